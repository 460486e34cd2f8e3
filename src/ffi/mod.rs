//! The C face: one noun a file. Convert in, call, convert out; the doc comments here are the C
//! documentation, since `include/larder.h` is made from them.
//!
//! Every function checks its pointers by one rule: NULL is `LARDER_INVALID`, but
//! for `(NULL, 0)`, which is an empty value. Outputs are written on success alone, but for the length
//! that `LARDER_BUFFER_TOO_SMALL` reports.
#![allow(unsafe_code, non_camel_case_types)]

pub mod arena;
pub mod cache;
pub mod cache_advice;
pub mod cache_attach;
pub mod cache_change;
pub mod cache_config;
pub mod cache_item;
pub mod cache_limits;
pub mod cache_many;
pub mod cache_print;
#[cfg(feature = "hosted")]
pub mod cache_share;
pub mod cache_stats;
pub mod cache_typed;
pub mod cache_view;
pub mod cache_whole;
mod input;
pub mod monitor;
#[cfg(feature = "hosted")]
pub mod monitor_thread;
pub mod pool;
pub mod status;
