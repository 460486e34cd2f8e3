//! The locks of a cache that processes share, and what becomes of a shard whose lock's owner died.

use super::super::making::{Counted, Left};
use super::{COUNTERS_AT, Cache, GENERATION_AT, Own, SLOT_AT, holders};
use crate::attach::{Adopt, AttachReport};
use crate::callbacks::Turn;
use crate::hash::Place;
use crate::hosted::{Taken, lives};
use crate::lock::{Guarded, LockSlot, Locks};
use crate::pins::Holder;
use crate::region::{Cutter, Shift};
use crate::shard::Shard;
use crate::sizing;
use crate::stats::{Counters, Gone};
use crate::status::{Error, Result};
use core::marker::PhantomData;
use core::ptr::NonNull;
use core::sync::atomic::Ordering;

/// See [`Locks::take_over`].
///
/// # Safety
/// `own` is an [`Own`]'s, and `value` one of its cells; the calling thread took the lock as it says.
pub(super) unsafe fn take_over(
    own: NonNull<Locks>,
    value: NonNull<()>,
    taken: Taken,
    waits: bool,
) -> Result<()> {
    // SAFETY: the caller's promise.
    let own = unsafe { own.cast::<Own>().as_ref() };
    own.take_over(value, taken, waits)
}

/// See [`Locks::turn`].
///
/// # Safety
/// `own` is an [`Own`]'s, and `value` one of its cells.
pub(super) unsafe fn turn(own: NonNull<Locks>, value: NonNull<()>) -> NonNull<Turn> {
    // SAFETY: the caller's promise.
    let own = unsafe { own.cast::<Own>().as_ref() };
    let number = own.number(value) as usize;
    let [first, ..] = &own.turns;
    NonNull::from(own.turns.get(number).unwrap_or(first))
}

impl Own {
    /// Which cell lies there.
    fn number(&self, value: NonNull<()>) -> u32 {
        let at = value.as_ptr() as usize - self.places.cells.as_ptr() as usize;
        at.checked_div(self.places.stride).unwrap_or(0) as u32
    }

    /// Bytes of a cell, or beside it.
    pub(super) fn place(&self, number: u32, at: usize) -> NonNull<u8> {
        debug_assert!(
            number < self.count() && at < self.places.stride,
            "no such cell"
        );
        let at = number as usize * self.places.stride + at;
        // SAFETY: the numbers of shards are below their count, and each has a cell with so many bytes.
        unsafe { self.places.cells.add(at) }
    }

    pub(super) fn slot_of(&self, number: u32) -> &LockSlot {
        self.locks.slot(self.place(number, 0).cast())
    }

    /// What is held of a shard.
    ///
    /// # Safety
    /// The caller has the shard's lock, or is the only one who knows of the region.
    #[allow(clippy::mut_from_ref)]
    pub(super) unsafe fn holders(&self, number: u32) -> &mut [Holder] {
        let first = self.place(number, SLOT_AT + size_of::<LockSlot>());
        let count = holders(&self.config) as usize;
        // SAFETY: so many lie behind each slot, written in `set_up`; the caller keeps others out.
        unsafe { core::slice::from_raw_parts_mut(first.cast().as_ptr(), count) }
    }

    /// A shard, by other means than the cell's.
    ///
    /// # Safety
    /// As for [`Own::holders`].
    #[allow(clippy::mut_from_ref)]
    pub(super) unsafe fn shard(&self, number: u32) -> &mut Shard {
        let shard = self
            .place(number, Guarded::<Shard>::VALUE_AT)
            .cast::<Shard>();
        // SAFETY: written when the region was laid out; the caller keeps others out.
        unsafe { &mut *shard.as_ptr() }
    }

    /// Makes the shard of a lock this process's own, where it is another one's, or has none.
    #[cold]
    fn take_over(&self, value: NonNull<()>, taken: Taken, waits: bool) -> Result<()> {
        let slot = self.locks.slot(value);
        match taken {
            Taken::Well => {}
            Taken::OwnerDied => self.invalidate(slot),
            Taken::No => return Err(Error::Busy),
        }
        let number = self.number(value);
        match slot.mapped_at.load(Ordering::Relaxed) {
            0 if !waits => {
                self.locks.give(slot);
                return Err(Error::Busy);
            }
            0 => self.adopt(number, slot).ok_or_else(|| {
                self.locks.give(slot);
                Error::Corrupt
            })?,
            other if other != self.locks.mapped_at() => {
                // SAFETY: the lock was just taken.
                let shard = unsafe { self.shard(number) };
                shard.shift(&Shift::new(other, self.locks.region));
            }
            _ => {}
        }
        slot.mapped_at
            .store(self.locks.mapped_at(), Ordering::Relaxed);
        Ok(())
    }

    /// What the lock's last owner left is not to be believed. The host's lock does not say for which shard it was.
    fn invalidate(&self, slot: &LockSlot) {
        if self.locks.hooks.is_none() {
            slot.mapped_at.store(0, Ordering::Relaxed);
            return slot.lock.make_consistent();
        }
        for number in 0..self.count() {
            self.slot_of(number).mapped_at.store(0, Ordering::Relaxed);
        }
    }

    fn cache(&self) -> Cache<'_> {
        Cache {
            header: self.handle,
            region: PhantomData,
        }
    }

    fn count(&self) -> u32 {
        self.cache().shard_count()
    }

    /// Builds a shard anew from its pages, whose lock was just taken. What living processes hold stays theirs.
    fn adopt(&self, number: u32, slot: &LockSlot) -> Option<()> {
        let cell = self.place(number, 0);
        // SAFETY: the lock was just taken.
        let holders = unsafe { self.holders(number) };
        for holder in holders.iter_mut().filter(|holder| !lives(holder.process)) {
            *holder = Holder::NONE;
        }
        // SAFETY: inside the cell, aligned; they may be any bits.
        let mut counters = unsafe { self.place(number, COUNTERS_AT).cast::<Counters>().read() };
        // That was the dead one's to be told.
        counters.gone = Gone::default();
        // SAFETY: as above.
        let generation = unsafe { self.place(number, GENERATION_AT).cast::<u32>().read() };
        let left = Left {
            report: &mut AttachReport::default(),
            adopt: Adopt::new(),
            held: holders,
            counted: Some(&Counted {
                counters,
                generation,
            }),
        };
        // SAFETY: there are so many parts.
        let part = unsafe { self.places.parts.add(number as usize * self.places.part) };
        // SAFETY: the lock was just taken; the part is this shard's alone.
        let cutter = unsafe { Cutter::new(part, self.places.part) };
        let place = Place {
            number,
            count: self.count(),
        };
        let sizes = (&self.config.setup(), &self.places.layout, self.places.part);
        // SAFETY: the cell was written when the region was laid out.
        unsafe {
            Cache::lay_out_shard(cell, cutter, place, sizes, self.places.hasher, Some(left))
        }?;
        // SAFETY: the lock was just taken; nothing else refers to the shard.
        let (shard, cache) = (unsafe { self.shard(number) }, self.cache());
        shard.keep_old();
        cache.observe(shard);
        let share = sizing::share(cache.memory_limit(), cache.head().outside, place.count);
        shard.move_limit(share.min(shard.region()));
        shard.pins.restore(&mut shard.store, holders);
        shard.note_usage();
        slot.recoveries.fetch_add(1, Ordering::Relaxed);
        if cache.listens() {
            cache.forget_parent();
            self.adopted.fetch_add(1, Ordering::Relaxed);
            cache.head().callbacks.leave_more();
        }
        Some(())
    }
}
