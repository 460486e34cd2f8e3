//! The locks of a cache that processes share, and what becomes of a shard whose lock's owner died.

use super::super::making::Left;
use super::{COUNTERS_AT, Cache, GENERATION_AT, Own};
use crate::attach::{Adopt, AttachReport};
use crate::callbacks::Turn;
use crate::hash::Place;
use crate::hosted::{Taken, lives};
use crate::lock::{Guarded, Locks, Post};
use crate::pins::Holder;
use crate::region::{Cutter, Shift};
use crate::shard::Shard;
use crate::sizing;
use crate::stats::Counters;
use crate::status::{Error, Result};
use core::marker::PhantomData;
use core::ptr::NonNull;
use core::sync::atomic::Ordering;

/// See [`Locks::arrive`].
///
/// # Safety
/// `own` is an [`Own`]'s, and `value` one of its cells; the calling thread took the lock as it says.
pub(super) unsafe fn arrive(
    own: NonNull<Locks>,
    value: NonNull<()>,
    taken: Taken,
    waits: bool,
) -> Result<()> {
    // SAFETY: the caller's promise.
    let own = unsafe { own.cast::<Own>().as_ref() };
    own.arrive(value, taken, waits)
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
        // SAFETY: there are so many cells, each with so many bytes.
        unsafe {
            self.places
                .cells
                .add(number as usize * self.places.stride + at)
        }
    }

    pub(super) fn post_of(&self, number: u32) -> &Post {
        self.locks.post(self.place(number, 0).cast())
    }

    /// What is held of a shard whose lock the caller has.
    #[allow(clippy::mut_from_ref)]
    pub(super) fn holders(&self, post: &Post) -> &mut [Holder] {
        let at = core::ptr::from_ref(post) as usize - self.places.cells.as_ptr() as usize;
        // SAFETY: the holders lie right behind their post.
        let first = unsafe { self.places.cells.add(at + size_of::<Post>()) }.cast::<Holder>();
        // SAFETY: so many were written in `set_up`, and the lock keeps others out.
        unsafe { core::slice::from_raw_parts_mut(first.as_ptr(), post.holders as usize) }
    }

    /// A shard whose lock the caller has, by other means than the cell's.
    #[allow(clippy::mut_from_ref)]
    pub(super) fn shard(&self, number: u32) -> &mut Shard {
        let shard = self
            .place(number, Guarded::<Shard>::VALUE_AT)
            .cast::<Shard>();
        // SAFETY: written when the region was laid out; the lock keeps others out.
        unsafe { &mut *shard.as_ptr() }
    }

    /// Makes the shard of a lock this process's own, where it is another one's, or has none.
    #[cold]
    fn arrive(&self, value: NonNull<()>, taken: Taken, waits: bool) -> Result<()> {
        let post = self.locks.post(value);
        match taken {
            Taken::Well => {}
            Taken::OwnerDied => self.distrust(post),
            Taken::No => return Err(Error::Busy),
        }
        let number = self.number(value);
        match post.home.load(Ordering::Relaxed) {
            0 if !waits => {
                self.locks.give(post);
                return Err(Error::Busy);
            }
            0 => self.adopt(number, post).ok_or_else(|| {
                self.locks.give(post);
                Error::Corrupt
            })?,
            home if home != self.locks.home() => {
                self.shard(number)
                    .shift(&Shift::new(home, self.locks.region));
            }
            _ => {}
        }
        post.home.store(self.locks.home(), Ordering::Relaxed);
        Ok(())
    }

    /// What the lock's last owner left is not to be believed. The host's lock does not say for which shard it was.
    fn distrust(&self, post: &Post) {
        if self.locks.hooks.is_none() {
            post.home.store(0, Ordering::Relaxed);
            return post.lock.forgive();
        }
        for number in 0..self.count() {
            self.post_of(number).home.store(0, Ordering::Relaxed);
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

    /// Builds a shard anew from its pages. What living processes hold stays theirs.
    fn adopt(&self, number: u32, post: &Post) -> Option<()> {
        let cell = self.place(number, 0);
        let holders = self.holders(post);
        for holder in holders.iter_mut().filter(|holder| !lives(holder.process)) {
            *holder = Holder::NONE;
        }
        // SAFETY: inside the cell, aligned; they may be any bits.
        let counters = unsafe { self.place(number, COUNTERS_AT).cast::<Counters>().read() };
        // SAFETY: as above.
        let generation = unsafe { self.place(number, GENERATION_AT).cast::<u32>().read() };
        let left = Left {
            report: &mut AttachReport::default(),
            adopt: Adopt::new(),
            held: holders,
            counters: Some(&counters),
        };
        // SAFETY: there are so many parts.
        let part = unsafe { self.places.parts.add(number as usize * self.places.part) };
        // SAFETY: the lock keeps others out.
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
        let (shard, cache) = (self.shard(number), self.cache());
        shard.keep_old();
        cache.observe(shard);
        let share = sizing::share(cache.memory_limit(), cache.head().outside, place.count);
        shard.move_limit(share.min(shard.region()));
        shard.pins.restore(&mut shard.store, holders, generation);
        shard.note_usage();
        post.recoveries.fetch_add(1, Ordering::Relaxed);
        self.adopted.fetch_add(1, Ordering::Relaxed);
        Some(())
    }
}
