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
use crate::hash::{Hash, KeyHasher};
use crate::item::{FOUND, Items};
use crate::region::Shared;
use crate::shard::{Place, Shard};
use crate::slab::{Id, Kind, MakeSlab, NO_BASE, Page, Slab};
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

/// How a shard is taken over. Reached through these pointers alone, so that programs which never attach do not
/// carry the code.
#[derive(Clone, Copy)]
pub(crate) struct Adopt {
    pub(crate) slab: MakeSlab,
    pub(crate) shard: fn(&mut Shard, Option<Time>, Place, &mut AttachReport) -> bool,
}

impl Adopt {
    pub(crate) fn new() -> Self {
        // The compiler is not to see that there is one such pair.
        core::hint::black_box(Self {
            slab: Slab::adopt,
            shard: Shard::adopt,
        })
    }
}

/// Why an item does not come back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Reason {
    Torn,
    Corrupt,
    Expired,
}

/// Judges what lies in a slot.
struct Judge<'a> {
    layout: Items,
    hasher: Shared<KeyHasher>,
    /// `None`: nothing that expires comes back.
    time: Option<Time>,
    report: &'a mut AttachReport,
}

impl Judge<'_> {
    /// The heads of large values, all in slots of the largest class, come first: they tell which parts are
    /// anybody's.
    fn judge_head(&mut self, slab: &mut Slab, id: Id) {
        let is_head = matches!(slab.kind(id), Kind::Item | Kind::Pinned);
        if is_head && self.layout.is_chained(slab, id) && self.is_sound(slab, id) {
            self.layout.mark_found(slab, id);
        } else if is_head && self.layout.is_chained(slab, id) {
            slab.set_kind(id, Kind::Pending);
        }
    }

    /// Whether what lies in a slot stays, once the heads of large values were judged.
    fn stays(&mut self, slab: &mut Slab, id: Id) -> bool {
        match slab.kind(id) {
            Kind::Item | Kind::Pinned if self.layout.is_chained(slab, id) => {
                slab.class_of(id) == slab.largest_class()
            }
            Kind::Item => self.is_sound(slab, id),
            Kind::Pinned => {
                let sound = self.is_sound(slab, id);
                slab.set_kind(id, Kind::Item);
                sound
            }
            FOUND => {
                slab.set_kind(id, Kind::Link);
                true
            }
            _ => false,
        }
    }

    fn is_sound(&mut self, slab: &Slab, id: Id) -> bool {
        let count = match self.verdict(slab, id) {
            Ok(()) => return true,
            Err(Reason::Torn) => &mut self.report.items_torn,
            Err(Reason::Corrupt) => &mut self.report.items_corrupt,
            Err(Reason::Expired) => &mut self.report.items_expired,
        };
        *count += 1;
        false
    }

    fn verdict(&self, slab: &Slab, id: Id) -> Result<(), Reason> {
        if !self.layout.is_whole(slab, id) {
            return Err(Reason::Torn);
        }
        if !self.layout.is_intact(slab, id, &self.hasher) {
            return Err(Reason::Corrupt);
        }
        match self.layout.expiry(slab, id) {
            None | Some(NEVER) => Ok(()),
            Some(PAST) => Err(Reason::Expired),
            Some(instant) => {
                let base = slab.base(slab.page_of(id));
                let at = Time::at(instant, base);
                let Some(time) = self.time.filter(|time| time.may_set(instant, at)) else {
                    return Err(Reason::Torn);
                };
                if base == NO_BASE || base > tick(at) {
                    Err(Reason::Torn)
                } else if at <= time.now() {
                    Err(Reason::Expired)
                } else {
                    Ok(())
                }
            }
        }
    }
}

/// Items that wait for the lines of the index that they need.
#[derive(Default)]
struct Queue {
    items: heapless::Vec<(Id, Hash), QUEUE>,
}

const QUEUE: usize = 16;

impl Shard {
    /// Takes over what lies in the pages of a slab that was adopted. `time`: the earlier owner's, if it can be
    /// one. `place`: which keys are this shard's. Whether there was room for an index at all.
    pub(crate) fn adopt(
        &mut self,
        time: Option<Time>,
        place: Place,
        report: &mut AttachReport,
    ) -> bool {
        let items = self.settle_slots(time, report);
        // Whoever takes over from here on finds nothing that expires where the time was not known.
        self.time = time.unwrap_or_default();
        self.slab.restore_free_pages();
        if !self.index.start_for(&mut self.slab, items) {
            return self.start_empty(items, report);
        }
        self.enlist_all(place, report);
        self.policy.adopted_all(&mut self.slab);
        true
    }

    /// Lets every slot be an item's or free; returns how many items' heads there are, at most.
    fn settle_slots(&mut self, time: Option<Time>, report: &mut AttachReport) -> u32 {
        self.each_page_left(|shard, page| {
            for slot in 0..shard.slab.page_touched(page) {
                let id = shard.slab.slot(page, slot);
                Items::forget_found(&mut shard.slab, id);
            }
        });
        let largest = self.slab.largest_class();
        let mut judge = Judge {
            layout: self.layout,
            hasher: self.hasher,
            time,
            report,
        };
        self.each_page_left(|shard, page| {
            if shard.slab.page_class(page) == largest {
                for slot in 0..shard.slab.page_touched(page) {
                    let id = shard.slab.slot(page, slot);
                    judge.judge_head(&mut shard.slab, id);
                }
            }
        });
        let mut items = 0;
        self.each_page_left(|shard, page| {
            shard.slab.restore_page(page, |slab, id| {
                let stays = judge.stays(slab, id);
                items += u32::from(stays && slab.kind(id) != Kind::Link);
                stays
            });
        });
        items
    }

    /// Where all pages are full of items, which no owner leaves.
    #[cold]
    fn start_empty(&mut self, items: u32, report: &mut AttachReport) -> bool {
        report.items_homeless += u64::from(items);
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

    // ---- index, sums, policy -------------------------------------------------------------------

    fn enlist_all(&mut self, place: Place, report: &mut AttachReport) {
        let mut queue = Queue::default();
        self.each_page_left(|shard, page| {
            let mut slot = 0;
            // A page may go to the index while its last item goes.
            while shard.is_left(page) && slot < shard.slab.page_touched(page) {
                let id = shard.slab.slot(page, slot);
                slot += 1;
                if shard.slab.kind(id) != Kind::Item {
                    continue;
                }
                if queue.items.is_full() {
                    shard.enlist_queue(&mut queue, place, report);
                }
                let hash = shard.hash_of(id);
                let segment = shard.index.segment(&shard.slab, hash);
                shard.index.prefetch(&shard.slab, segment, hash);
                let _ = queue.items.push((id, hash));
            }
        });
        self.enlist_queue(&mut queue, place, report);
    }

    fn enlist_queue(&mut self, queue: &mut Queue, place: Place, report: &mut AttachReport) {
        for &(id, hash) in &queue.items {
            if place.is_of(hash) {
                self.enlist(id, hash, report);
            } else {
                // Nobody would ask for it here.
                report.items_torn += 1;
                self.free_whole(id);
            }
        }
        queue.items.clear();
    }

    /// Enters a whole item into index, sums and policy.
    fn enlist(&mut self, id: Id, hash: Hash, report: &mut AttachReport) {
        let mut segment = self.index.segment(&self.slab, hash);
        let key = self.layout.key(&self.slab, id);
        if self.find_in(segment, hash, key).is_some() {
            report.items_duplicate += 1;
            return self.free_whole(id);
        }
        if !self.index.is_ready(&self.slab, segment) {
            if !self.index_takes(hash) {
                report.items_homeless += 1;
                return self.free_whole(id);
            }
            segment = self.index.segment(&self.slab, hash);
        }
        segment.insert(&mut self.slab, hash, id);
        let class = self.slab.class_of(id);
        self.count(id, class);
        self.policy.adopted(&mut self.slab, id, class);
        report.items_recovered += 1;
        report.bytes_recovered += self.layout.payload(&self.slab, id) as u64;
    }

    /// Makes room in the index, without evicting anybody.
    #[cold]
    fn index_takes(&mut self, hash: Hash) -> bool {
        let class = self.index.segment_class();
        if self.index.wants_split(&mut self.slab, hash)
            && let Some(slot) = self.slab.alloc(class, 0)
        {
            self.with_index(|index, slab, rehash| index.split(slab, hash, slot, rehash));
        }
        self.index.has_room(&self.slab, hash)
    }
}
