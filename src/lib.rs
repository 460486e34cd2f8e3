//! A cache that lives in the memory that you give it.
//!
//! ```text
//!   your region      arena <- class <- slab <- pool
//!                                       ^
//!                    item, index (segment, hash), policy, expiry
//!                                       ^
//!                    shard (reclaim, sweep, optimize) <- cache <- monitor
//!                                       ^
//!                                      ffi     (C and C++: include/larder.h)
//! ```
//!
//! | module | what it owns |
//! |---|---|
//! | `region` | raw bytes: the bounds of everything |
//! | [`Arena`] | bump allocation over regions |
//! | `class`, `slab` | size classes; pages, and the slots that they are cut into |
//! | [`Pool`] | reusable blocks |
//! | `allocators` | arenas and pools as the allocators of collections |
//! | `item`, `checksum` | header, key and value in slots |
//! | `hash`, `segment`, `index` | from a key's hash to its slot |
//! | `policy` | whom to evict |
//! | `expiry` | time, and when an item expires |
//! | `limits` | the longest key, value and TTL |
//! | `shard`, `footprint` | one lock's worth of all that; its layout |
//! | `stamp`, `attach` | what an earlier owner left in the region |
//! | `reclaim`, `sweep`, `optimize` | making room; what has expired; giving back |
//! | `pins`, `view` | what is held outside the lock; values without copying |
//! | [`Cache`] | shards over one region |
//! | `batch` | many requests in one call |
//! | [`Monitor`], `ticker` | watches a cache's pressure; a thread that ticks |
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
//! | `alloc` | yes | for programs with a heap: `Cache::get_in`, collections of allocator-api2 0.4 |
//! | `hosted` | yes | a clock and the monitor's thread, from the C library |
//! | `spin` | yes | the default lock, on targets with compare-and-swap |
//! | `nightly` | no | `core::alloc::Allocator` for [`Arena`] and [`Pool`]; needs a nightly compiler |
//! | `small` | no | little code rather than quick code |
//! | `one-rule` | no | 3 KB less code: no simulations that choose the policy's rule |
//! | `capi` | no | for the C archive alone |
//!
//! The crate never allocates from a heap. Rust asks for a global allocator all the same, since hashbrown
//! names the crate `alloc`. Without the feature `alloc`, on a target without an operating system
//! (`target_os = "none"`), this crate is that allocator: a program that could reach it does not link, and
//! the linker names `larder_no_heap`. A program with an allocator of its own there enables `alloc`.
#![no_std]
#![cfg_attr(feature = "nightly", allow(stable_features), feature(allocator_api))]

mod allocators;
mod arena;
mod attach;
mod batch;
mod cache;
mod callbacks;
mod checksum;
mod class;
mod config;
mod expiry;
pub mod ffi;
mod footprint;
mod hash;
#[cfg(feature = "hosted")]
mod hosted;
mod index;
#[cfg(all(loom, test))]
mod interleavings;
mod item;
mod limits;
mod lock;
mod monitor;
mod optimize;
mod pins;
mod policy;
mod pool;
mod reclaim;
mod region;
mod segment;
mod shard;
mod sizing;
mod slab;
mod stamp;
mod stats;
mod status;
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
pub use cache::{Cache, Cursor};
pub use config::{Config, Event, EventKind, SHARDS_MAX};
pub use expiry::TTL_NEVER;
pub use item::{KEY_LEN_MAX, Type};
pub use limits::Limits;
pub use lock::LockHooks;
pub use monitor::{HISTORY, Monitor, MonitorConfig, MonitorReport, MonitorStats, Sample};
pub use optimize::OptimizeReport;
pub use policy::PolicyKind;
pub use pool::{Block, Pool, PoolConfig, PoolStats};
pub use region::ALIGN;
pub use shard::ItemInfo;
pub use slab::{ClassKind, ClassStats, PageInfo};
pub use stamp::Found;
pub use stats::CacheStats;
pub use status::{Error, Result};
pub use view::{Reservation, View};
