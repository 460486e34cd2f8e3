//! Making a cache in a region, or taking over one that an earlier owner left there.

use super::{CELLS_AT, Cache, Header};
use crate::attach::{Adopt, AttachReport};
use crate::callbacks::Callbacks;
use crate::config::{Config, REGION_MAX};
use crate::expiry::Time;
use crate::hash::{KeyHasher, Place};
use crate::layout::{Layout, Setup};
use crate::lock::{Guarded, LockKind};
use crate::page::Tables;
use crate::pins::Holder;
use crate::planted;
use crate::region::{ALIGN, Cutter, Shared, barrier, check_region, clean};
use crate::shard::{Origin, Shard};
use crate::sizing;
use crate::stamp::{Found, MAGIC, Stamp};
use crate::stats::Counters;
use crate::status::{Error, Result};
use crate::store::Kept;
use core::marker::PhantomData;
use core::ptr::NonNull;
use core::sync::atomic::{AtomicU32, AtomicUsize, Ordering};

/// What an earlier owner left in a region.
pub(super) struct Left<'a> {
    pub(super) report: &'a mut AttachReport,
    pub(super) adopt: Adopt,
    /// What those hold who live.
    pub(super) held: &'a [Holder],
    /// What was counted before, and the last pin's generation, where that goes on.
    pub(super) counted: Option<&'a Counted>,
}

/// What goes on where a shard is adopted while processes use the cache.
#[derive(Clone, Copy)]
pub(super) struct Counted {
    pub(super) counters: Counters,
    pub(super) generation: u32,
}

impl Left<'_> {
    /// The same, for one more shard.
    fn again(&mut self) -> Left<'_> {
        Left {
            report: self.report,
            ..*self
        }
    }
}

/// How a region is to be cut.
pub(super) struct Making<'c, 'l> {
    pub(super) config: &'c Config,
    /// What the header says until the cache is there.
    pub(super) stamp: Stamp,
    /// Bytes behind each shard's cell.
    pub(super) beside: usize,
    pub(super) left: Option<Left<'l>>,
}

impl<'c, 'l> Making<'c, 'l> {
    /// A cache of one owner. A region that is taken over holds a cache all the time.
    fn of(config: &'c Config, len: usize, left: Option<Left<'l>>) -> Self {
        let stamp = Cache::stamp(config, len, &KeyHasher::new(config.hash_seed));
        Self {
            config,
            stamp: match left {
                Some(_) => stamp,
                None => stamp.unfinished(),
            },
            beside: 0,
            left,
        }
    }
}

impl<'r> Cache<'r> {
    /// Makes a cache in `region`, which it uses for as long as it lives; nothing needs to be freed.
    ///
    /// # Errors
    /// `Misaligned` unless the region starts at a multiple of [`ALIGN`](crate::ALIGN); `NoMemory` where it is too
    /// small for anything ([`Cache::required_size`] says what is needed); `Invalid` for a
    /// configuration out of range, which a limit above the region is, or a region above 1,095,216,660,480 bytes.
    ///
    /// # Time
    /// O(pages of the region).
    pub fn new(region: &'r mut [u8], config: &Config) -> Result<Self> {
        let len = region.len();
        let base = NonNull::from(region).cast();
        // SAFETY: the region is borrowed for as long as the cache lives.
        unsafe { Self::new_at(base, len, config) }
    }

    /// # Safety
    /// `base .. base + len` is memory that no other code touches for `'r`.
    pub(crate) unsafe fn new_at(base: NonNull<u8>, len: usize, config: &Config) -> Result<Self> {
        Self::check_arguments(base, len, config)?;
        // SAFETY: the caller gave this memory.
        let cutter = unsafe { Cutter::new(base, len) };
        let cache =
            Self::lay_out(cutter, len, Making::of(config, len, None)).ok_or(Error::NoMemory)?;
        cache.publish();
        cache.begin(config);
        Ok(cache)
    }

    /// Takes over the cache that an earlier owner left in `region`, made with the same `config` (limit,
    /// hooks, `zero_on_free`, lengths and default TTL may differ): after a reset, in another process, at
    /// another address, wherever the owner was stopped. What is whole comes back, with its TTL; a value that
    /// was being written over by one of its size, in its place, or touched with checksums, does not. Views,
    /// reservations, locks and statistics of the earlier owner are void, and so is what the default policy
    /// remembers of evicted items.
    ///
    /// Time goes on from where the clock stood at the owner's last look at it: a clock that has started
    /// anew since then, as after a reset, counts as one that stood still meanwhile.
    ///
    /// One owner at a time is the caller's to ensure: two processes must not use one mapping at once (in C,
    /// `larder_cache_share` makes a cache for several). The child of
    /// a fork attaches to its copy before any other call: a thread of the parent may have held a lock.
    ///
    /// # Errors
    /// The report's `found` tells what is there instead, and nothing was changed: `NotFound` where there is no
    /// cache, `VersionMismatch` where there is one that was made otherwise. Else as [`Cache::new`].
    ///
    /// # Time
    /// O(pages + items), and a hash of each key; O(bytes) with checksums.
    pub fn attach(
        region: &'r mut [u8],
        config: &Config,
        report: &mut AttachReport,
    ) -> Result<Self> {
        let len = region.len();
        let base = NonNull::from(region).cast();
        // SAFETY: the region is borrowed for as long as the cache lives.
        unsafe { Self::attach_at(base, len, config, report) }
    }

    /// # Safety
    /// As for [`Cache::new_at`].
    pub(crate) unsafe fn attach_at(
        base: NonNull<u8>,
        len: usize,
        config: &Config,
        report: &mut AttachReport,
    ) -> Result<Self> {
        *report = AttachReport {
            found: Found::Nothing,
            ..AttachReport::default()
        };
        Self::check_arguments(base, len, config)?;
        if len < size_of::<Header>() {
            return Err(Error::NotFound);
        }
        let hasher = KeyHasher::new(config.hash_seed);
        // SAFETY: at least so many bytes, aligned.
        let there = unsafe { Self::stamp_at(base) };
        report.found = Self::stamp(config, len, &hasher).compare(&there);
        match report.found {
            Found::Cache => {}
            Found::Nothing => return Err(Error::NotFound),
            _ => return Err(Error::VersionMismatch),
        }
        // SAFETY: the caller gave this memory.
        let cutter = unsafe { Cutter::new(base, len) };
        let left = Left {
            report,
            adopt: Adopt::new(),
            held: &[],
            counted: None,
        };
        let making = Making::of(config, len, Some(left));
        let cache = Self::lay_out(cutter, len, making).ok_or(Error::NoMemory)?;
        cache.publish();
        cache.begin(config);
        Ok(cache)
    }

    pub(super) fn check_arguments(base: NonNull<u8>, len: usize, config: &Config) -> Result<()> {
        config.check()?;
        check_region(base, len)?;
        if config.memory_limit > len || len as u64 > REGION_MAX {
            return Err(Error::Invalid);
        }
        Ok(())
    }

    /// The clock, and the limit, which was checked before: what lies above it goes with later calls.
    pub(super) fn begin(&self, config: &Config) {
        let head = self.head();
        let limit = sizing::limit_of(config, head.region);
        self.common().limit.store(limit, Ordering::Release);
        let share = sizing::share(limit, head.outside, head.cell_count);
        for i in 0..head.cell_count {
            let _ = self.cell(i).with(&LockKind::None, |shard| {
                self.observe(shard);
                shard.move_limit(share.min(shard.region()));
            });
        }
    }

    /// What tells this cache from others.
    pub(super) fn stamp(config: &Config, len: usize, hasher: &KeyHasher) -> Stamp {
        let build = [
            size_of::<usize>(),
            size_of::<Header>(),
            size_of::<Guarded<Shard>>(),
            Self::KEPT_AT,
        ];
        let Config {
            policy,
            item_times,
            checksum,
            item_tags,
            item_versions,
            no_advice,
            ..
        } = *config;
        let words = [checksum, item_tags, item_versions, no_advice].map(usize::from);
        let layout = [
            len,
            config.shard_count(len) as usize,
            policy as usize,
            usize::from(item_times),
            words[0] | words[1] << 1 | words[2] << 2 | words[3] << 3,
        ];
        let wide = |n: usize| n as u64;
        Stamp::new(&build.map(wide), &layout.map(wide), hasher)
    }

    /// What lies in the first bytes of a region.
    ///
    /// # Safety
    /// A stamp's bytes can be read there, aligned, and its magic changes by [`Cache::magic_at`] alone.
    pub(super) unsafe fn stamp_at(base: NonNull<u8>) -> Stamp {
        // SAFETY: the caller's promise.
        let magic = unsafe { Self::magic_at(base) }.load(Ordering::Acquire);
        // SAFETY: as above.
        let further = unsafe { base.cast::<u32>().add(1) };
        // SAFETY: as above; words may be any bits.
        let [version, layout, seed] = unsafe { further.cast::<[u32; 3]>().read() };
        Stamp::of_words([magic, version, layout, seed])
    }

    /// The magic of a region's stamp, which other processes may look at, too.
    ///
    /// # Safety
    /// A word can be read and written there, aligned, for as long as the answer is used.
    pub(super) unsafe fn magic_at<'a>(base: NonNull<u8>) -> &'a AtomicU32 {
        // SAFETY: the caller's promise; the magic comes first.
        unsafe { base.cast().as_ref() }
    }

    /// There is a cache from now on. One that is taken over was there all the time.
    fn publish(&self) {
        barrier();
        // SAFETY: this cache's header.
        unsafe { Self::magic_at(self.header.cast()) }.store(MAGIC, Ordering::Release);
    }

    /// Bytes before the parts of `count` shards: header, cells with so many bytes behind each, hasher.
    pub(super) fn head_size(count: u32, beside: usize) -> usize {
        let cells = sizing::cells_size::<Guarded<Shard>>(count, beside);
        CELLS_AT + cells + size_of::<KeyHasher>().next_multiple_of(ALIGN)
    }

    /// Where what outlives its owner lies in a shard's cell.
    const KEPT_AT: usize = Guarded::<Shard>::VALUE_AT + Shard::KEPT_AT;

    /// Cuts the region.
    pub(super) fn lay_out(mut cutter: Cutter, len: usize, making: Making<'_, '_>) -> Option<Self> {
        let Making {
            config,
            stamp,
            beside,
            mut left,
        } = making;
        let count = config.shard_count(len);
        let mut header = cutter.cut(size_of::<Header>())?.cast::<Header>();
        let cells = cutter.cut(sizing::cells_size::<Guarded<Shard>>(count, beside))?;
        let setup = config.setup();
        let hasher = cutter.place()?;
        debug_assert!(cutter.used() <= Self::head_size(count, beside));
        let part = sizing::part_size(len.checked_sub(Self::head_size(count, beside))?, count);
        let layout = sizing::check_limit(config, &setup, len, part)?;
        // Nothing was written before this.
        if left.is_none() {
            // Until the end, there is no cache.
            // SAFETY: cut above.
            let magic = unsafe { Self::magic_at(header.cast()) };
            magic.store(stamp.magic, Ordering::Release);
            barrier();
        }
        let seed = if planted::is("seed ignored") {
            0
        } else {
            setup.seed
        };
        let hasher = hasher.fill(KeyHasher::new(seed));
        let stride = sizing::cell_stride::<Guarded<Shard>>(count, beside);
        let mut cuts = cutter.cuts();
        let sizes = (&setup, &layout, part);
        for number in 0..count {
            let at = cutter.cut(part)?;
            // SAFETY: `cut` hands out each byte once.
            let cutter = unsafe { Cutter::new(at, part) };
            // SAFETY: number < count, and room for count cells was cut.
            let cell = unsafe { cells.add(number as usize * stride) };
            let left = left.as_mut().map(Left::again);
            let place = Place { number, count };
            // SAFETY: as above; an earlier owner wrote the cell where it left something.
            cuts += unsafe { Self::lay_out_shard(cell, cutter, place, sizes, hasher, left)? };
        }
        let sizes = (len, part * count as usize, stride);
        // SAFETY: cut above, aligned to ALIGN.
        unsafe { Self::write_header(header, config, sizes, hasher, stamp) };
        // SAFETY: written just now, and no other code has its address yet.
        unsafe { header.as_mut() }.cuts = cuts as u16;
        Some(Self {
            header,
            region: PhantomData,
        })
    }

    /// Cuts a shard's part and starts the shard in its cell; returns the number of cuts.
    ///
    /// # Safety
    /// `cell` is a place for a shard, aligned, and this call's alone; initialised where something was `left`.
    pub(super) unsafe fn lay_out_shard(
        cell: NonNull<u8>,
        mut cutter: Cutter,
        place: Place,
        (setup, layout, part): (&Setup, &Layout, usize),
        hasher: Shared<KeyHasher>,
        left: Option<Left<'_>>,
    ) -> Option<u32> {
        let (origin, tables, kept, counted) = match left {
            None => (Origin::Fresh, Tables::FRESH, None, None),
            Some(left) => {
                // SAFETY: by the caller's promise.
                let kept = unsafe { Self::kept_left(cell) };
                let origin = Origin::Left(kept, place, left.held, left.report, left.adopt);
                (origin, left.adopt.tables, kept, left.counted)
            }
        };
        // Where the time is not known, the next owner is not to believe it either.
        let time = match origin {
            Origin::Fresh => Time::default(),
            Origin::Left(..) => Time::UNKNOWN,
        };
        let kept = kept.unwrap_or(Kept::new(time));
        let mut cell = cell.cast::<Guarded<Shard>>();
        let cuts = (&mut cutter, &tables, part);
        // SAFETY: by the caller's promise.
        unsafe { Self::write_cell(cell, cuts, (setup, layout), hasher, kept, counted) }?;
        // SAFETY: written above, and no other thread reads it yet.
        unsafe { cell.as_mut() }.get_mut().start(origin);
        Some(cutter.cuts())
    }

    /// Puts a new shard into its cell. Apart, so that its copies leave the stack before it starts.
    ///
    /// # Safety
    /// `cell` is a place for one, aligned, and this call's alone.
    #[inline(never)]
    unsafe fn write_cell(
        cell: NonNull<Guarded<Shard>>,
        (cutter, tables, part): (&mut Cutter, &Tables, usize),
        (setup, layout): (&Setup, &Layout),
        hasher: Shared<KeyHasher>,
        kept: Kept,
        counted: Option<&Counted>,
    ) -> Option<()> {
        let cuts = layout.cut(cutter, setup, part, tables)?;
        let mut shard = Shard::new(cuts, setup, layout, hasher, kept);
        // With the shard, not after it: this process may die at any time, too.
        if let (true, Some(counted)) = (cfg!(feature = "hosted"), counted) {
            shard.store.counters = counted.counters;
            shard.pins.generation = counted.generation;
        }
        // SAFETY: by the caller's promise.
        unsafe { cell.write(Guarded::new(shard)) };
        Some(())
    }

    /// Where the host gave no hooks, their places have bytes of the stack: the region may be a file, or others' too.
    fn clean_hooks(header: &mut Header) {
        match header.lock {
            LockKind::Default => clean(&mut header.lock, LockKind::Default),
            LockKind::None => clean(&mut header.lock, LockKind::None),
            _ => {}
        }
        if header.on_event.is_none() {
            clean(&mut header.on_event, None);
        }
    }

    /// What outlives its owner in a shard's cell, if it can be that.
    ///
    /// # Safety
    /// `cell` has as many bytes as a cell, initialised.
    unsafe fn kept_left(cell: NonNull<u8>) -> Option<Kept> {
        // SAFETY: inside the cell.
        let kept = unsafe { cell.add(Self::KEPT_AT) };
        // SAFETY: as above, aligned as what lies there; words may be any bits.
        Kept::left_behind(unsafe { kept.cast::<[u64; 9]>().read() })
    }

    /// Apart, so that its copy has left the stack before a shard is made.
    ///
    /// # Safety
    /// `header` is a place for one, aligned, and this call's alone.
    #[inline(never)]
    pub(super) unsafe fn write_header(
        mut header: NonNull<Header>,
        config: &Config,
        (region, parts, stride): (usize, usize, usize),
        hasher: Shared<KeyHasher>,
        stamp: Stamp,
    ) {
        let value = Header {
            stamp,
            region,
            outside: region - parts,
            limit: AtomicUsize::new(region),
            cell_stride: stride as u32,
            cell_count: config.shard_count(region),
            #[cfg(feature = "hosted")]
            cells_near: config.shard_count(region),
            #[cfg(feature = "hosted")]
            // SAFETY: the cells lie right behind a header in a region; a handle's caller writes its own.
            cells: unsafe { header.cast::<u8>().add(CELLS_AT) },
            #[cfg(feature = "hosted")]
            common: header,
            #[cfg(feature = "hosted")]
            own: None,
            policy: config.policy,
            item_times: config.item_times,
            default_ttl: config.default_ttl_ms != 0,
            cuts: 0,
            hasher,
            lock: config.lock,
            clock: config.clock,
            callbacks: Callbacks::default(),
            on_event: config.on_event,
            busy: AtomicU32::new(0),
        };
        // SAFETY: by the caller's promise.
        unsafe { Self::magic_at(header.cast()) }.store(stamp.magic, Ordering::Release);
        let behind = size_of_val(&stamp.magic);
        // SAFETY: inside the value.
        let from = unsafe { NonNull::from(&value).cast::<u8>().add(behind) };
        // SAFETY: inside the place, by the caller's promise.
        let to = unsafe { header.cast::<u8>().add(behind) };
        // SAFETY: both have so many bytes behind the magic, and are apart.
        unsafe { to.copy_from_nonoverlapping(from, size_of::<Header>() - behind) };
        // SAFETY: written just now.
        Self::clean_hooks(unsafe { header.as_mut() });
    }

    /// The size of a region in which a cache of this configuration keeps `items` items of these
    /// lengths, index and headers included, without evicting any. With 0 items: the smallest region
    /// that makes a cache at all. With a memory limit: the limit's own size, rounded up to [`ALIGN`].
    ///
    /// # Errors
    /// `Invalid` for a configuration, key or value length out of range; `TooLarge` where no region could be
    /// large enough: for the memory limit, for pins, or for ids.
    pub fn required_size(
        config: &Config,
        items: u64,
        key_len: usize,
        value_len: usize,
    ) -> Result<usize> {
        config.check()?;
        let head = |count| Self::head_size(count, 0);
        sizing::required_size(config, items, key_len, value_len, head)
    }
}
