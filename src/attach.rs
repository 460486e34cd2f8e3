//! Taking over what an earlier owner left in a region: retained memory, a mapped file, shared memory at another
//! address.
//!
//! Nothing that lies there is believed. The descriptors tell of each page which class it may be of; every slot
//! of such pages is looked at, and what is a whole item stays. Lists, counts, index and policy are built anew
//! from these items. So it does not matter between which two stores the owner was stopped, or whether somebody
//! wrote into the region meanwhile: what comes back is in bounds, and with checksums it is what was set.
//!
//! # Time
//! O(slots) and a hash of every key; with checksums, O(bytes).
//!
//! # Not here
//! What an owner does so that items are whole whenever it is stopped: `slab` (inv. 5), `item`. Whether a region
//! holds a cache: `stamp`.

#![forbid(unsafe_code)]

use crate::expiry::{NEVER, PAST, Time, tick};
use crate::item::Items;
use crate::shard::Shard;
use crate::slab::{Id, Kind, NO_BASE, Page};
use crate::stamp::Found;

/// What [`Cache::attach`](crate::Cache::attach) found.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct AttachReport {
    /// What the region held.
    pub found: Found,
    /// Items that are back.
    pub items_recovered: u64,
    /// Their key and value bytes.
    pub bytes_recovered: u64,
    /// Items whose time has come.
    pub items_expired: u64,
    /// Slots that held a part of an item, or one whose expiry is unknown: being written or moved when the owner was
    /// stopped, or damaged.
    pub items_torn: u64,
    /// Items that are not what their checksum was made of.
    pub items_corrupt: u64,
    /// Copies of an item that was being moved or replaced.
    pub items_duplicate: u64,
    /// Items for which the index had no room.
    pub items_homeless: u64,
}

impl AttachReport {
    /// Items that did not come back, for whatever reason.
    pub fn items_dropped(&self) -> u64 {
        self.items_expired
            + self.items_torn
            + self.items_corrupt
            + self.items_duplicate
            + self.items_homeless
    }
}

/// Why an item does not come back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Reason {
    Torn,
    Corrupt,
    Expired,
}

impl Shard {
    /// Takes over what lies in the pages of a slab that was adopted. `time`: the earlier owner's.
    pub(crate) fn adopt(&mut self, time: Time, report: &mut AttachReport) -> bool {
        self.time = time;
        self.each_slot_left(|shard, id| shard.judge(id, report));
        self.each_page_left(|shard, page| shard.slab.restore_page(page, Items::was_found));
        self.slab.restore_free_pages();
        if !self.index.start(&mut self.slab) {
            return self.start_empty(report);
        }
        self.each_slot_left(|shard, id| shard.enlist(id, report));
        self.policy.adopted_all(&mut self.slab);
        true
    }

    /// Where all pages are full of items, which no owner leaves.
    #[cold]
    fn start_empty(&mut self, report: &mut AttachReport) -> bool {
        self.each_slot_left(|shard, id| {
            report.items_homeless += u64::from(shard.slab.kind(id) == Kind::Item);
        });
        self.slab.clear();
        self.index.start(&mut self.slab)
    }

    fn each_page_left(&mut self, mut visit: impl FnMut(&mut Self, Page)) {
        for number in 0..self.slab.pages_cut() {
            let page = Page(number as u16);
            if self.is_left(page) {
                visit(self, page);
            }
        }
    }

    fn is_left(&self, page: Page) -> bool {
        self.slab.is_claimed(page) && self.holds_items(self.slab.page_class(page))
    }

    /// A page may go to the index while its last item goes.
    fn each_slot_left(&mut self, mut visit: impl FnMut(&mut Self, Id)) {
        self.each_page_left(|shard, page| {
            let mut slot = 0;
            while shard.is_left(page) && slot < shard.slab.page_touched(page) {
                let id = shard.slab.slot(page, slot);
                visit(shard, id);
                slot += 1;
            }
        });
    }

    // ---- what is whole -------------------------------------------------------------------------

    fn judge(&mut self, id: Id, report: &mut AttachReport) {
        if !matches!(self.slab.kind(id), Kind::Item | Kind::Pinned) {
            return;
        }
        match self.verdict(id) {
            Ok(()) => return self.layout.mark_found(&mut self.slab, id),
            Err(Reason::Torn) => report.items_torn += 1,
            Err(Reason::Corrupt) => report.items_corrupt += 1,
            Err(Reason::Expired) => report.items_expired += 1,
        }
        self.slab.set_kind(id, Kind::Pending);
    }

    fn verdict(&self, id: Id) -> Result<(), Reason> {
        let (layout, slab) = (self.layout, &self.slab);
        if !layout.is_whole(slab, id) {
            return Err(Reason::Torn);
        }
        if !layout.is_intact(slab, id, &self.hasher) {
            return Err(Reason::Corrupt);
        }
        match layout.expiry(slab, id) {
            None | Some(NEVER) => Ok(()),
            Some(PAST) => Err(Reason::Expired),
            Some(instant) => {
                let base = slab.base(slab.page_of(id));
                let at = Time::at(instant, base);
                if base == NO_BASE || base > tick(at) {
                    Err(Reason::Torn)
                } else if at <= self.time.now() {
                    Err(Reason::Expired)
                } else {
                    Ok(())
                }
            }
        }
    }

    // ---- what is found -------------------------------------------------------------------------

    /// Enters a whole item into index, sums and policy.
    fn enlist(&mut self, id: Id, report: &mut AttachReport) {
        if self.slab.kind(id) != Kind::Item {
            return;
        }
        let hash = self.hash_of(id);
        if self.find(hash, self.layout.key(&self.slab, id)).is_some() {
            report.items_duplicate += 1;
            return self.free_whole(id);
        }
        if !self.index_takes(hash) {
            report.items_homeless += 1;
            return self.free_whole(id);
        }
        self.index.insert(&mut self.slab, hash, id);
        let class = self.slab.class_of(id);
        self.count(id, class);
        self.policy.adopted(&mut self.slab, id, class);
        report.items_recovered += 1;
        report.bytes_recovered += self.layout.payload(&self.slab, id) as u64;
    }

    /// Makes room in the index, without evicting anybody.
    fn index_takes(&mut self, hash: u64) -> bool {
        let segment = self.index.segment_of(&self.slab, hash);
        if self.index.is_ready(&self.slab, segment) {
            return true;
        }
        let class = self.index.segment_class();
        if self.index.wants_split(&mut self.slab, hash)
            && let Some(slot) = self.slab.alloc(class, 0)
        {
            self.with_index(|index, slab, rehash| index.split(slab, hash, slot, rehash));
        }
        self.index.has_room(&self.slab, hash)
    }
}
