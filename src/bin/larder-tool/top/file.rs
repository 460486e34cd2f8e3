//! The file in which a program offers its cache's statistics.
//!
//! # Layout
//! ```text
//! magic (8) | sizes of statistics, owner, configuration (3 x 4) | process (4) | sequence (4) | - (4) | time (8)
//! statistics | owner x 4 | configuration
//! ```
//! Numbers have the order of bytes of this machine. The sequence is odd while the program writes.

use crate::Result;
use larder::ffi::cache_config::larder_cache_config;
use larder::ffi::cache_stats::{larder_cache_stats_t, larder_class_stats};
use larder::{CacheStats, OwnerStats, PageOwner, PolicyKind};
use std::fs::File;
use std::io::{Read, Seek};
use std::mem::offset_of;
use std::path::Path;
use std::time::Duration;

const MAGIC: &[u8; 8] = b"larder-1";
const SEQUENCE: usize = 24;
const HEAD: usize = 40;
/// No structure has more bytes.
const SIZE_MAX: usize = 4096;
/// Times that a file is read which is being written.
const TRIES: u32 = 50;

/// What the file said at one time.
#[derive(Clone, Debug)]
pub(super) struct Sample {
    pub(super) process: u32,
    /// Since 1970.
    pub(super) time_ms: u64,
    pub(super) stats: CacheStats,
    pub(super) owners: Vec<OwnerStats>,
    pub(super) default_ttl_ms: u64,
    pub(super) flags: u32,
}

impl Sample {
    /// A whole sample, of one time.
    pub(super) fn read(path: &Path) -> Result<Self> {
        let name = path.display();
        let mut file = File::open(path).map_err(|error| format!("{name}: {error}"))?;
        for _ in 0..TRIES {
            let read = whole(&mut file).map_err(|error| format!("{name}: {error}"))?;
            if let Some(bytes) = read {
                return Self::parse(&bytes).ok_or_else(|| {
                    format!(
                        "{name}: not a file of statistics, as c-examples/stats_file.h writes it"
                    )
                    .into()
                });
            }
            std::thread::sleep(Duration::from_millis(2));
        }
        Err(format!("{name}: no statistics yet, or the program ended while it wrote them").into())
    }

    pub(super) fn parse(bytes: &[u8]) -> Option<Self> {
        if !bytes.starts_with(MAGIC) {
            return None;
        }
        let size = |at| Some(u32_at(bytes, at)? as usize).filter(|size| *size <= SIZE_MAX);
        let (stats_size, owner_size, config_size) = (size(8)?, size(12)?, size(16)?);
        let owners = HEAD + stats_size;
        let config = owners + PageOwner::ALL.len() * owner_size;
        let part = |from: usize, size| bytes.get(from..from + size).map(Part);
        let owner_at = |at: usize| {
            Some(owner(
                PageOwner::ALL[at],
                &part(owners + at * owner_size, owner_size)?,
            ))
        };
        let config = part(config, config_size)?;
        Some(Self {
            process: u32_at(bytes, 20)?,
            time_ms: part(32, 8)?.u64(0),
            stats: stats(&part(HEAD, stats_size)?),
            owners: (0..PageOwner::ALL.len())
                .map(owner_at)
                .collect::<Option<_>>()?,
            default_ttl_ms: config.u64(offset_of!(larder_cache_config, default_ttl_ms)),
            flags: config.u32(offset_of!(larder_cache_config, flags)),
        })
    }
}

/// The bytes of a file; `None` where they were written meanwhile, or not yet.
fn whole(file: &mut (impl Read + Seek)) -> std::io::Result<Option<Vec<u8>>> {
    let mut read = || {
        let mut bytes = Vec::new();
        file.rewind()?;
        let len_max = HEAD + SIZE_MAX * (2 + PageOwner::ALL.len());
        file.by_ref().take(len_max as u64).read_to_end(&mut bytes)?;
        std::io::Result::Ok(bytes)
    };
    let (before, bytes, after) = (read()?, read()?, read()?);
    let [first, last] = [&before, &after].map(|bytes| u32_at(bytes, SEQUENCE));
    // A file of something else has no sequence: its beginning says so.
    let is_other =
        !bytes.starts_with(MAGIC) && bytes.iter().take(MAGIC.len()).any(|&byte| byte != 0);
    let is_still = first == last && first.is_some_and(|number| number > 0 && number % 2 == 0);
    Ok((is_still || is_other).then_some(bytes))
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    let bytes = bytes.get(at..at + 4)?.try_into().ok()?;
    Some(u32::from_ne_bytes(bytes))
}

/// A structure of C. A field that an earlier version did not have is 0.
struct Part<'b>(&'b [u8]);

impl Part<'_> {
    fn u32(&self, at: usize) -> u32 {
        u32_at(self.0, at).unwrap_or(0)
    }

    fn u64(&self, at: usize) -> u64 {
        let bytes = self
            .0
            .get(at..at + 8)
            .and_then(|bytes| bytes.try_into().ok());
        bytes.map_or(0, u64::from_ne_bytes)
    }
}

fn stats(part: &Part<'_>) -> CacheStats {
    type C = larder_cache_stats_t;
    CacheStats {
        item_count: part.u64(offset_of!(C, item_count)),
        hits: part.u64(offset_of!(C, hits)),
        misses: part.u64(offset_of!(C, misses)),
        sets: part.u64(offset_of!(C, sets)),
        deletes: part.u64(offset_of!(C, deletes)),
        evictions: part.u64(offset_of!(C, evictions)),
        expirations: part.u64(offset_of!(C, expirations)),
        failed_no_memory: part.u64(offset_of!(C, failed_no_memory)),
        failed_too_large: part.u64(offset_of!(C, failed_too_large)),
        failed_busy: part.u64(offset_of!(C, failed_busy)),
        failed_corrupt: part.u64(offset_of!(C, failed_corrupt)),
        region_bytes: part.u64(offset_of!(C, region_bytes)),
        limit_bytes: part.u64(offset_of!(C, limit_bytes)),
        payload_bytes: part.u64(offset_of!(C, payload_bytes)),
        total_used: part.u64(offset_of!(C, total_used)),
        peak_used: part.u64(offset_of!(C, peak_used)),
        items_moved: part.u64(offset_of!(C, items_moved)),
        memory_pressure: part.u32(offset_of!(C, memory_pressure)),
        page_size: part.u32(offset_of!(C, page_size)),
        page_count: part.u32(offset_of!(C, page_count)),
        shards: part.u32(offset_of!(C, shards)),
        views: part.u32(offset_of!(C, views)),
        reservations: part.u32(offset_of!(C, reservations)),
        policy: match part.u32(offset_of!(C, policy)) {
            number if number == PolicyKind::Lru as u32 => PolicyKind::Lru,
            _ => PolicyKind::Default,
        },
        ..CacheStats::default()
    }
}

fn owner(owner: PageOwner, part: &Part<'_>) -> OwnerStats {
    type C = larder_class_stats;
    OwnerStats {
        owner,
        pages: part.u64(offset_of!(C, pages)),
        items: part.u64(offset_of!(C, slots_used)),
        live_bytes: part.u64(offset_of!(C, live_bytes)),
        dead_bytes: part.u64(offset_of!(C, waste_bytes)),
        free_bytes: part.u64(offset_of!(C, free_bytes)),
        evictions: part.u64(offset_of!(C, evictions)),
        ..OwnerStats::default()
    }
}
