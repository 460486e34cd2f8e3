//! A cache that lives in the memory that you give it.
//!
//! ```text
//!   your region      region <- arena <- page <- slab <- class <- pool
//!                                        ^       ^
//!                    item, log, policy --+       +-- segment, index
//!                                        ^
//!                    store <- room, sweep, clean, optimize, pins, attach
//!                                        ^
//!                    shard <- cache <- monitor <- ffi     (C and C++: include/larder.h)
//! ```
//!
//! The layers, from the ground up: a module uses those before it alone, which `tests/structure.rs` holds.
//!
//! | module | what it owns |
//! |---|---|
//! | `status` | what a call may answer |
//! | `hash`, `checksum`, `limits` | of keys; of items; the longest key, value and TTL |
//! | `hosted`, `clock` | what the C library gives; where milliseconds come from |
//! | `planted` | faults on purpose, in a build that tests the tests |
//! | `callbacks`, `lock`, `ticker` | who is inside one; one lock; a thread that ticks |
//! | `region` | raw bytes: the bounds of everything |
//! | `arena` | [`Arena`]: bump allocation over regions |
//! | `page` | pages of a region, each with one owner |
//! | `slab` | equal slots in pages |
//! | `class`, `blocks`, `pool` | size classes; reusable blocks; [`Pool`] |
//! | `allocators`, `bare` | arenas and pools as the allocators of collections; no allocator |
//! | `stamp` | what an earlier owner left in the region |
//! | `expiry` | time, and when an item expires |
//! | `item`, `log` | words of an item; items appended to pages |
//! | `ghost`, `segment`, `index` | from a key's hash to its item, and whether it was there |
//! | `policy`, `stats` | whom to evict; what is counted |
//! | `progress` | how far making room has come |
//! | `store` | the one place that tells index, policy and sums |
//! | `sweep`, `clean`, `evict`, `room` | what has expired; dead bytes; whom the policy lets go; making room |
//! | `optimize` | giving back |
//! | `pins`, `attach`, `check` | what is held outside the lock; taking over a region; the walker |
//! | `layout`, `config`, `sizing` | how a region is cut; what a cache is made with; which size is enough |
//! | `shard` | one lock's worth of all that |
//! | `cache` | [`Cache`]: shards over one region |
//! | `batch`, `view`, `print` | many requests in one call; values without copying; statistics as text |
//! | `monitor` | [`Monitor`] |
//! | `owned` | `OwnedCache`: a cache with a region of its own, in the words of Rust's collections |
//! | `ffi` | the C interface |
//!
//! ```
//! #[repr(align(16))]
//! struct Region([u8; 64 * 1024]);
//! let mut region = Region([0; 64 * 1024]);
//!
//! let cache = larder::Cache::new(&mut region.0, &larder::Config::default())?;
//! cache.set(b"answer", b"forty-two", 60_000)?;
//! let mut buffer = [0; 16];
//! let len = cache.get(b"answer", &mut buffer)?;
//! assert_eq!(&buffer[..len], b"forty-two");
//! # Ok::<(), larder::Error>(())
//! ```
//!
//! # Features
//! | feature | default | what it brings |
//! |---|---|---|
//! | `alloc` | yes | for programs with a heap: `OwnedCache`, `Cache::get_in`, collections of allocator-api2 0.4 |
//! | `hosted` | yes | a clock and the monitor's thread, from the C library |
//! | `spin` | yes | the default lock, on targets with compare-and-swap |
//! | `serde` | no | `Serialize` for statistics and reports |
//! | `nightly` | no | `core::alloc::Allocator` for [`Arena`] and [`Pool`]; needs a nightly compiler |
//! | `small` | no | little code rather than quick code |
//! | `one-rule` | no | 2 KB less code: no simulations that choose the policy's rule |
//! | `capi` | no | for the C archive alone |
//!
//! Only `OwnedCache`, and calls that return a vector, allocate from a heap. Rust asks for a global allocator all the
//! same, since hashbrown names the crate `alloc`. Without the feature `alloc`, on a target without an operating system
//! (`target_os = "none"`), this crate is that allocator: a program that could reach it does not link, and
//! the linker names `larder_no_heap`. A program with an allocator of its own there enables `alloc`.
#![no_std]
#![cfg_attr(feature = "nightly", allow(stable_features), feature(allocator_api))]

#[cfg(feature = "alloc")]
extern crate alloc;

mod allocators;
mod arena;
mod attach;
mod batch;
mod blocks;
mod cache;
mod callbacks;
mod check;
mod checksum;
mod class;
mod clean;
mod clock;
mod config;
mod evict;
mod expiry;
pub mod ffi;
#[cfg_attr(feature = "small", allow(dead_code))] // Nothing grows or shrinks there.
mod ghost;
mod hash;
#[cfg(feature = "hosted")]
mod hosted;
#[cfg_attr(feature = "small", allow(dead_code))] // Nothing grows or shrinks there.
mod index;
#[cfg(all(loom, test))]
#[path = "../tests/interleavings/mod.rs"]
mod interleavings;
mod item;
mod layout;
mod limits;
mod lock;
mod log;
mod monitor;
mod optimize;
#[cfg(feature = "alloc")]
mod owned;
mod page;
mod pins;
mod planted;
mod policy;
mod pool;
mod print;
mod progress;
mod region;
mod room;
#[cfg_attr(feature = "small", allow(dead_code))] // Nothing grows or shrinks there.
mod segment;
mod shard;
mod sizing;
#[cfg_attr(feature = "small", allow(dead_code))] // Nothing grows or shrinks there.
mod slab;
mod stamp;
mod stats;
mod status;
mod store;
mod sweep;
#[cfg(feature = "hosted")]
mod ticker;
mod view;

#[cfg(all(
    any(feature = "capi", all(not(feature = "alloc"), target_os = "none")),
    not(test)
))]
mod bare;

/// The version of allocator-api2 whose collections and trait go with [`Cache`], [`Arena`] and [`Pool`],
/// and with hashbrown's collections.
pub use allocator_api2;

pub use arena::{ARENA_REGIONS_MAX, Arena, ArenaStats};
pub use attach::AttachReport;
pub use blocks::PoolStats;
pub use cache::{Cache, Cursor, Put};
pub use class::PoolClassStats;
pub use config::{Config, Event, EventKind, SHARDS_MAX};
pub use expiry::{TTL_KEEP, TTL_MAX, TTL_NEVER};
pub use item::{KEY_LEN_MAX, Type};
pub use limits::Limits;
pub use lock::LockHooks;
pub use monitor::{HISTORY, Monitor, MonitorConfig, MonitorReport, MonitorStats, Rates, Sample};
pub use optimize::OptimizeReport;
#[cfg(feature = "alloc")]
pub use owned::{Items, OwnedCache, OwnedCacheBuilder};
pub use policy::{Advice, PolicyKind};
pub use pool::{Block, Pool, PoolConfig};
pub use print::{Format, STATS_PRINT_MAX};
pub use region::ALIGN;
pub use shard::{ItemInfo, ItemMeta, Lease, Overflow, PutMode, Reading};
pub use stamp::Found;
pub use stats::{CacheStats, OwnerStats, PageInfo, PageOwner};
pub use status::{Error, Result};
#[cfg(feature = "alloc")]
pub use view::Pieces;
pub use view::{Contiguous, Reservation, View};
