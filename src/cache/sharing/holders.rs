//! Which process holds what in a cache that processes share.

use super::Cache;
use crate::hosted::this_process;
use crate::page::Id;
use crate::pins::{Holder, Ticket};
use crate::shard::Shard;
use crate::status::{Error, Result};
use core::sync::atomic::Ordering;

impl Cache<'_> {
    /// What an entry of a shard's table is by now, and whose; the caller has the lock.
    pub(in super::super) fn note_holder(&self, number: u32, shard: &Shard, entry: u32) {
        let Some(own) = self.own() else { return };
        // SAFETY: the caller has the lock, as the shard shows.
        let holders = unsafe { own.holders(number) };
        let Some(holder) = holders.get_mut(entry as usize) else {
            return;
        };
        let (id, generation) = shard.pins.entry(&shard.store, entry);
        if (id, generation) != (holder.id, holder.generation) {
            *holder = Holder {
                id,
                generation,
                process: if id == Id::NONE { 0 } else { this_process() },
            };
        }
    }

    /// Gives back what processes hold of which `is_alive` says that they are none. Leases lie among the items: the lock
    /// is held for a page of them at a time.
    ///
    /// # Errors
    /// `Invalid` for a cache that processes do not share; `Busy` from inside a callback.
    pub(crate) fn reap(&self, mut is_alive: impl FnMut(u32) -> bool) -> Result<()> {
        self.turn_away_visitor()?;
        let mut asked = (0, true);
        // Much in a row is one process's; 0 is none.
        let mut is_alive = |process| {
            if process == 0 {
                return true;
            }
            if process != asked.0 {
                asked = (process, is_alive(process));
            }
            asked.1
        };
        let own = self.own().ok_or(Error::Invalid)?;
        for number in 0..self.shard_count() {
            let cell = self.cell(number);
            let pages = self.visit(cell, |shard| {
                // SAFETY: under the shard's lock.
                let holders = unsafe { own.holders(number) };
                for (entry, holder) in holders.iter_mut().enumerate() {
                    if !is_alive(holder.process) {
                        let (entry, generation) = (entry as u32, holder.generation);
                        let ticket = Ticket { entry, generation };
                        // One of the two it is.
                        let _ = shard.unpin(ticket).or_else(|_| shard.abort(ticket));
                        *holder = Holder::NONE;
                    }
                }
                shard.store.pages.all()
            })?;
            for page in pages {
                self.visit(cell, |shard| shard.reap(page, &mut is_alive))?;
            }
        }
        Ok(())
    }

    /// Shards that were adopted after a process had died with their lock.
    pub(crate) fn recoveries(&self) -> u64 {
        let Some(own) = self.own() else { return 0 };
        let of = |number| own.slot_of(number).recoveries.load(Ordering::Relaxed);
        (0..self.shard_count())
            .map(|number| u64::from(of(number)))
            .sum()
    }
}
