//! The verbs on the whole: limit, optimize, scan, statistics, time.

#![forbid(unsafe_code)]

use super::Cache;
use crate::limits::Limits;
use crate::optimize::OptimizeReport;
use crate::page::Page;
use crate::policy::{Advice, Sums};
use crate::shard::{ItemInfo, Shard};
use crate::sizing;
use crate::stats::{CacheStats, OwnerStats, PageInfo, PageOwner};
use crate::status::{Error, Result};
use core::sync::atomic::Ordering;

/// Steps of an optimize before it gives the lock back.
const OPTIMIZE_SLICE: u32 = 4096;

/// Where a scan stands: start with the default, hand it back unchanged.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Cursor(pub(crate) u64);

impl Cache<'_> {
    /// Takes every item out. The counters stay.
    ///
    /// Views and reservations stay their holders'; what a view held goes with the last one.
    ///
    /// # Errors
    /// `Busy` from inside a callback, or where a lock hook fails.
    ///
    /// # Time
    /// O(pages), and O(items) of a shard in which something is held; O(region) where freed bytes are zeroed.
    pub fn clear(&self) -> Result<()> {
        self.each_shard(Shard::clear)
    }

    /// Moves the limit. What lies above the new one goes in slices: up to eight items of each shard now, what
    /// [`Cache::set`] says with each later call that stores, and all of it with [`Cache::optimize`]; usage does
    /// not rise meanwhile.
    ///
    /// # Errors
    /// `Invalid` for 0 or more than the region; `NoMemory` for less than the fixed parts and one
    /// item need.
    ///
    /// # Time
    /// O(1) evictions for each shard.
    pub fn set_memory_limit(&self, limit: usize) -> Result<()> {
        let head = self.head();
        if limit == 0 || limit > head.region {
            return Err(Error::Invalid);
        }
        let mut lowest = 0;
        self.each_shard(|shard| lowest = lowest.max(shard.limit_min()))?;
        if sizing::share(limit, head.outside, head.cell_count) < lowest {
            return Err(Error::NoMemory);
        }
        let now = &self.common().limit;
        now.store(limit, Ordering::Release);
        // Another thread may move it meanwhile: each shard gets what it is by then, so that all get the
        // last one's.
        self.each_shard(|shard| {
            let limit = now.load(Ordering::Acquire);
            let share = sizing::share(limit, head.outside, head.cell_count);
            self.look_at_clock(shard, true);
            shard.set_limit(share.min(shard.region()));
        })
    }

    /// The limit in bytes.
    pub fn memory_limit(&self) -> usize {
        self.common().limit.load(Ordering::Relaxed)
    }

    /// What the cache takes at most, under the limit that it has now.
    ///
    /// # Errors
    /// `Busy` from inside a callback, or where a lock hook fails.
    ///
    /// # Time
    /// O(shards).
    pub fn limits(&self) -> Result<Limits> {
        let mut limits = Limits {
            shards: self.head().cell_count,
            key_len_max: usize::MAX,
            value_len_max: usize::MAX,
            ttl_ms_max: u64::MAX,
        };
        self.each_shard(|shard| {
            self.look_at_clock(shard, true);
            let (key, value, ttl) = shard.limits();
            limits.key_len_max = limits.key_len_max.min(key);
            limits.value_len_max = limits.value_len_max.min(value);
            limits.ttl_ms_max = limits.ttl_ms_max.min(ttl);
        })?;
        Ok(limits)
    }

    /// Every byte taken: fixed tables, pages of the index, and items with their headers. Dead bytes are free.
    pub fn memory_usage(&self) -> usize {
        let mut usage = self.head().outside;
        let _ = self.each_shard(|shard| usage += shard.usage());
        usage
    }

    /// Items, expired ones that no call has removed yet included.
    pub fn item_count(&self) -> u64 {
        let mut items = 0;
        let _ = self.each_shard(|shard| items += u64::from(shard.store.items));
        items
    }

    /// Takes out what has expired, reaches a lowered limit, and cleans pages with dead bytes: at most `step_max`
    /// items and pages looked at or copied. A report whose `done` is false means that
    /// there is more to do: the next call goes on there. 0 = a whole pass, from the start.
    ///
    /// # Errors
    /// `Busy` from inside a callback, or where a lock hook fails.
    ///
    /// # Time
    /// O(`step_max`); a whole pass is O(pages + items). The lock is given back every 4,096 steps.
    pub fn optimize(&self, step_max: u32) -> Result<OptimizeReport> {
        let mut report = OptimizeReport {
            done: true,
            ..OptimizeReport::default()
        };
        let mut left = if step_max == 0 { u32::MAX } else { step_max };
        for i in 0..self.head().cell_count {
            if step_max == 0 {
                self.with_shard(i, Shard::restart_pass)?;
            }
            loop {
                let slice = self.with_shard(i, |shard| {
                    self.look_at_clock(shard, false);
                    shard.optimize(left.min(OPTIMIZE_SLICE))
                })?;
                report.add(&slice);
                if step_max != 0 {
                    left = left.saturating_sub(slice.steps.max(u32::from(!slice.done)));
                }
                if slice.done {
                    break;
                }
                if left == 0 {
                    report.done = false;
                    return Ok(report);
                }
            }
        }
        // Until here, a shard that is through waits for the others, whose turn would never come otherwise.
        self.each_shard(Shard::restart_pass)?;
        Ok(report)
    }

    /// Takes out what has expired: at most `step_max` items or pages looked at in all shards together, 0 = all. It
    /// begins with shard `first`, and returns the shard with which the next call begins: each has its turn.
    pub(crate) fn sweep(&self, step_max: u32, first: u32) -> Result<u32> {
        let mut left = if step_max == 0 { u32::MAX } else { step_max };
        let count = self.head().cell_count;
        for i in (first..count).chain(0..first) {
            let mut pages = u32::MAX;
            while pages > 0 {
                let made = self.with_shard(i, |shard| {
                    self.look_at_clock(shard, false);
                    shard.store.sweep(&mut pages, left.min(OPTIMIZE_SLICE))
                })?;
                if step_max != 0 {
                    left -= made;
                }
                if left == 0 {
                    return Ok(if i + 1 < count { i + 1 } else { 0 });
                }
            }
        }
        Ok(first)
    }

    /// Calls `visit` with each item, in no particular order, until it says `false`. Returns whether
    /// all were visited; if not, a further call with the same cursor goes on behind the last one.
    ///
    /// Items that come, go or move while other threads change the cache may be missed or met twice.
    /// `visit` runs under the lock of the item's shard, which is given back after each item: other threads'
    /// calls of that shard wait for it. A call of this cache from inside is `Busy`.
    ///
    /// # Errors
    /// `Busy` from inside a callback, or where a lock hook fails.
    ///
    /// # Time
    /// O(pages + items).
    pub fn scan(
        &self,
        cursor: &mut Cursor,
        mut visit: impl FnMut(&ItemInfo<'_>) -> bool,
    ) -> Result<bool> {
        let (head, process) = (self.head(), self.turn_away_visitor()?);
        loop {
            let (mut shard, page, granule) = cursor.place();
            if shard >= head.cell_count {
                return Ok(true);
            }
            let mut stop = false;
            let cell = self.cell(shard);
            let next = self.visit(cell, |shard| {
                self.look_at_clock(shard, head.item_times);
                shard.scan((page, granule), |item| {
                    stop = !visit(&item);
                    false
                })
            })?;
            self.still(process)?;
            let (page, granule) = next.unwrap_or((0, 0));
            shard += u32::from(next.is_none());
            *cursor = Cursor::at(shard, page, granule);
            if stop {
                return Ok(false);
            }
        }
    }

    /// Takes out the items that `matches` says, of at most `step_max` that it is asked about; 0 = of all. Returns how
    /// many went, and whether all were asked about; if not, a further call with the same cursor goes on behind the last
    /// one. As for [`Cache::scan`], `matches` runs under the lock of the item's shard, which is given back after each
    /// item; what is held by a view goes with its last one.
    ///
    /// # Errors
    /// `Busy` from inside a callback, or where a lock hook fails.
    ///
    /// # Time
    /// O(pages + items asked about).
    pub fn delete_if(
        &self,
        cursor: &mut Cursor,
        step_max: u32,
        mut matches: impl FnMut(&ItemInfo<'_>) -> bool,
    ) -> Result<(u64, bool)> {
        let (head, process) = (self.head(), self.turn_away_visitor()?);
        let mut matches = |item: &ItemInfo<'_>| matches(item) && self.still(process).is_ok();
        let mut left = if step_max == 0 {
            u64::MAX
        } else {
            step_max.into()
        };
        let mut deleted = 0;
        loop {
            let (mut shard, page, granule) = cursor.place();
            if shard >= head.cell_count {
                return Ok((deleted, true));
            }
            if left == 0 {
                return Ok((deleted, false));
            }
            let next = self.visit(self.cell(shard), |shard| {
                self.look_at_clock(shard, head.item_times);
                shard.delete_next((page, granule), &mut matches)
            })?;
            self.still(process)?;
            left -= u64::from(next.is_some());
            let (page, granule, gone) = next.unwrap_or((0, 0, false));
            deleted += u64::from(gone);
            shard += u32::from(next.is_none());
            *cursor = Cursor::at(shard, page, granule);
        }
    }

    /// All statistics.
    pub fn stats(&self) -> CacheStats {
        let head = self.head();
        let mut stats = CacheStats {
            failed_busy: u64::from(self.common().busy.load(Ordering::Relaxed)),
            region_bytes: head.region as u64,
            limit_bytes: self.memory_limit() as u64,
            overhead_bytes: head.outside as u64,
            total_allocated: head.outside as u64,
            total_used: head.outside as u64,
            peak_used: head.outside as u64,
            arena_allocs: u64::from(head.cuts),
            shards: head.cell_count,
            policy: head.policy,
            ..CacheStats::default()
        };
        let _ = self.each_shard(|shard| shard.add_stats(&mut stats));
        #[cfg(feature = "hosted")]
        {
            stats.recoveries = self.recoveries();
        }
        stats.memory_pressure = pressure(stats.total_used, stats.limit_bytes);
        stats
    }

    /// What the hit ratio would be at 1/4, 1/2, 2 and 4 times the limit, by simulations of a sample of the keys that
    /// run all the time. A set of a new key counts as the get that missed it.
    ///
    /// # Errors
    /// `NoMemory` where a shard has less than 256 KiB of the region or room for fewer than 2,048 items, or no
    /// simulations (`no_advice`, or the feature `small` or `one-rule`). `Again` until 256 gets of sampled keys were
    /// counted. `Busy` from inside a callback, or where a lock hook fails.
    ///
    /// # Time
    /// O(shards).
    pub fn advise(&self) -> Result<Advice> {
        let mut all = Some(Sums::default());
        self.each_shard(|shard| {
            self.look_at_clock(shard, true);
            let sums = shard.advice_sums();
            all = all.and_then(|all| Some(all.and(&sums?)));
        })?;
        all.ok_or(Error::NoMemory)?
            .advice(self.memory_limit() as u64)
    }

    /// `total_used`, and what the shards have counted; the other figures are 0.
    pub(crate) fn counts(&self) -> Result<CacheStats> {
        let mut stats = CacheStats {
            total_used: self.head().outside as u64,
            ..CacheStats::default()
        };
        self.each_shard(|shard| {
            stats.total_used += shard.usage() as u64;
            shard.store.counters.add_to(&mut stats);
        })?;
        Ok(stats)
    }

    /// What one owner of pages has, over all shards.
    ///
    /// # Errors
    /// `Busy` from inside a callback, or where a lock hook fails.
    pub fn owner_stats(&self, owner: PageOwner) -> Result<OwnerStats> {
        let mut sum = OwnerStats::default();
        self.each_shard(|shard| {
            self.look_at_clock(shard, self.head().item_times);
            sum.add(&shard.owner_stats(owner));
        })?;
        Ok(sum)
    }

    /// One page of the region, counted over all shards; `NotFound` past the last one.
    ///
    /// # Errors
    /// `NotFound`, or `Busy` from inside a callback.
    pub fn page_info(&self, index: u32) -> Result<PageInfo> {
        let (mut first, mut info) = (0, None);
        self.each_shard(|shard| {
            let pages = shard.store.pages.count();
            if info.is_none() && index - first < pages {
                info = Some(shard.page_info(Page((index - first) as u16)));
            }
            first = (first + pages).min(index);
        })?;
        info.ok_or(Error::NotFound)
    }

    /// Walks every invariant: pages, logs, items, index, order of exact LRU, sums.
    ///
    /// # Errors
    /// `Corrupt` where one does not hold.
    ///
    /// # Time
    /// O(region).
    pub fn check(&self) -> Result<()> {
        let mut sound = true;
        let mut region = self.head().outside;
        self.each_shard(|shard| {
            sound = sound && shard.check();
            region += shard.region();
        })?;
        if sound && region == self.head().region {
            Ok(())
        } else {
            Err(Error::Corrupt)
        }
    }

    /// Sets the time, in milliseconds, where the configuration has no clock. From then on the cache looks at no
    /// other clock: each call moves the time forward by the difference to the call before.
    ///
    /// A cache without any clock (`hosted` is off) starts at 0, and its time runs by this call alone: an item set
    /// before the first call expires once that call, or a later one, says its TTL or more.
    ///
    /// # Errors
    /// `Invalid` where the configuration has a clock.
    ///
    /// # Time
    /// O(shards).
    pub fn set_time(&self, now_ms: u64) -> Result<()> {
        let head = self.head();
        if !head.clock.is_default() {
            return Err(Error::Invalid);
        }
        self.turn_away()?;
        let clock = head.clock.read();
        self.each_shard(|shard| {
            let is_empty = shard.store.items == 0;
            shard.store.kept.set_time(clock, now_ms, is_empty);
        })
    }
}

/// Percent of the limit, rounded down.
pub(crate) fn pressure(used: u64, limit: u64) -> u32 {
    // Both are lengths of memory, so a hundredfold fits in 64 bits on any machine there is.
    used.saturating_mul(100)
        .checked_div(limit)
        .unwrap_or(0)
        .min(u64::from(u32::MAX)) as u32
}

const PAGE_BITS: u32 = 24;
const GRANULE_BITS: u32 = 24;

impl Cursor {
    fn at(shard: u32, page: u32, granule: u32) -> Self {
        Self(
            u64::from(shard) << (PAGE_BITS + GRANULE_BITS)
                | u64::from(page) << GRANULE_BITS
                | u64::from(granule),
        )
    }

    fn place(self) -> (u32, u32, u32) {
        let low = |n: u64, bits: u32| (n & ((1 << bits) - 1)) as u32;
        (
            (self.0 >> (PAGE_BITS + GRANULE_BITS)) as u32,
            low(self.0 >> GRANULE_BITS, PAGE_BITS),
            low(self.0, GRANULE_BITS),
        )
    }
}
