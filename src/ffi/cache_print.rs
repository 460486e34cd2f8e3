//! A cache's statistics as text, in C.

use super::cache::{handle, larder_cache};
use super::input::{buffer, put, required};
use super::status::{LARDER_BUFFER_TOO_SMALL, LARDER_OK, larder_status};
use crate::cache::Cache;
use crate::print::{Format, STATS_PRINT_MAX};
use crate::status::{Error, Result};
use core::ffi::c_char;

/// larder_cache_stats_print: aligned lines with a sentence each, for people.
pub const LARDER_FORMAT_TEXT: u32 = 0;
/// larder_cache_stats_print: one JSON object in one line, with members stats, owners, limits, and where the cache gives
/// advice, advice and advice_at. Names are those of the fields of larder_cache_stats_t, larder_class_stats,
/// larder_cache_limits_t and larder_advice.
pub const LARDER_FORMAT_JSON: u32 = 1;
/// larder_cache_stats_print: Prometheus's text exposition format, with HELP and TYPE lines. Names begin with larder_;
/// sizes are in bytes, times in seconds, ratios from 0 to 1.
pub const LARDER_FORMAT_PROMETHEUS: u32 = 2;
/// Bytes that larder_cache_stats_print never exceeds, its NUL included.
pub const LARDER_STATS_PRINT_MAX: u32 = 12288;

const _: () = assert!(LARDER_STATS_PRINT_MAX as usize == STATS_PRINT_MAX);
const _: () = assert!(LARDER_FORMAT_TEXT == Format::Text as u32);
const _: () = assert!(LARDER_FORMAT_JSON == Format::Json as u32);
const _: () = assert!(LARDER_FORMAT_PROMETHEUS == Format::Prometheus as u32);

/// Prints all statistics, what each owner of pages has, limits, and advice where the cache gives some, in one of the
/// LARDER_FORMAT_.., with a NUL behind them, and writes the length without the NUL. LARDER_INVALID for a format that
/// there is not. LARDER_BUFFER_TOO_SMALL where `capacity` is not more than the length: the length is written, and the
/// buffer's bytes mean nothing. `(NULL, 0)` asks for the length, which grows with the counters; LARDER_STATS_PRINT_MAX
/// bytes are always enough. Nothing is allocated. LARDER_BUSY from inside a callback of this cache, or where a lock
/// hook fails. O(shards).
///
/// # Safety
/// `cache` is what larder_cache_init gave; buffer and length can be written.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn larder_cache_stats_print(
    cache: *const larder_cache,
    format: u32,
    buffer: *mut c_char,
    capacity: usize,
    len: *mut usize,
) -> larder_status {
    // SAFETY: the caller's promise.
    let printed = unsafe { handle(cache) }.and_then(|cache| {
        let out = required(len)?;
        // SAFETY: the caller's promise.
        let buffer = unsafe { self::buffer(buffer.cast(), capacity) }?;
        let (len, fits) = print(&cache, format, buffer)?;
        // SAFETY: the caller's promise.
        unsafe { put(out, len) };
        Ok(fits)
    });
    match printed {
        Ok(true) => LARDER_OK,
        Ok(false) => LARDER_BUFFER_TOO_SMALL,
        Err(error) => error.code(),
    }
}

/// Prints with a NUL behind; returns the length without it, and whether there was room.
fn print(cache: &Cache<'_>, format: u32, buffer: &mut [u8]) -> Result<(usize, bool)> {
    let format = Format::from_code(format).ok_or(Error::Invalid)?;
    let len = cache.print_stats_or_len(format, buffer)?;
    match buffer.get_mut(len) {
        Some(end) => {
            *end = 0;
            Ok((len, true))
        }
        None => Ok((len, false)),
    }
}
