//! Taking over what an earlier owner left in a region: retained memory, a mapped file, shared memory at another
//! address.
//!
//! Nothing that lies there is believed. The descriptors tell of each page which log it may be of; every run of
//! such pages is looked at, and what is a whole item stays. Lists, counts, index and policy are built anew
//! from these items. So it does not matter between which two stores the owner was stopped, or whether another
//! program wrote into the region meanwhile: what comes back is in bounds, and with checksums it is what was set.
//!
//! # Time
//! O(bytes of the pages' runs) and a hash of every key; with checksums, O(bytes).
//!
//! # Not here
//! What an owner does so that items are whole wherever it is stopped: `log`, `store`. Whether a region
//! holds a cache: `stamp`. What can be a whole item: `attach::judge`.

#![forbid(unsafe_code)]

mod judge;

use crate::expiry::Time;
use crate::hash::{Hash, Place};
use crate::item::{Head, Items, State};
use crate::page::{Id, List, NO_DUE, Owner, Page, Tables};
use crate::pins::Holder;
use crate::policy::Lru;
use crate::stamp::Found;
use crate::store::{Kept, Store};

/// What [`Cache::attach`](crate::Cache::attach) found.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
pub struct AttachReport {
    /// What the region held.
    pub found: Found,
    /// Items that are back.
    pub items_recovered: u64,
    /// Their key and value bytes.
    pub bytes_recovered: u64,
    /// Items whose time has come.
    pub items_expired: u64,
    /// Runs that held a part of an item, or one whose expiry is unknown: being written or moved when the owner was
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

/// How a shard is taken over. Reached through this pointer alone, so that programs which never attach do not
/// carry the code.
#[derive(Clone, Copy)]
pub(crate) struct Adopt {
    pub(crate) tables: Tables,
    pub(crate) shard: fn(&mut Store, Option<Kept>, Place, &[Holder], &mut AttachReport),
}

impl Adopt {
    pub(crate) fn new() -> Self {
        // The compiler is not to see that there is one such function.
        core::hint::black_box(Self {
            tables: Tables::LEFT,
            shard: Store::adopt,
        })
    }
}

/// A descriptor's mark: the page is in a list built anew; a chain's page belongs to an item.
const FOUND: u8 = 2;

impl Store {
    /// Takes over what lies in the pages whose descriptors were read. `kept`: the earlier owner's, if it can be one;
    /// without it nothing that expires comes back. `place`: which keys are this shard's. `held`: what others hold, who
    /// live: it stays where it is.
    fn adopt(
        &mut self,
        kept: Option<Kept>,
        place: Place,
        held: &[Holder],
        report: &mut AttachReport,
    ) {
        let known = kept.is_some();
        let replaced = kept.as_ref().map_or(Id::NONE, |kept| kept.replaced);
        if let Some(kept) = kept {
            self.kept = kept;
        }
        for page in self.pages.all() {
            self.judge_page(page);
        }
        for page in self.pages.all() {
            self.judge_chain(page);
        }
        for page in self.pages.all() {
            self.judge_items(page, known, place, held, report);
        }
        for page in self.pages.all() {
            self.settle(page);
        }
        self.pages.collect_free();
        self.index.start(&mut self.pages);
        self.relink(Owner::Window);
        self.relink(Owner::Main);
        for page in self.pages.all() {
            self.enlist_page(page, replaced, held, report);
        }
        self.adopt_order();
        if !known {
            // An owner that was stopped before finds nothing that expires either.
            self.kept.time = Time::default();
        }
        self.room.sweep.wake();
    }

    // ---- pages ---------------------------------------------------------------------------------

    /// The pages of a chain belong to this item. A copy of it that is found later comes too late.
    fn claim(&mut self, id: Id) {
        let mut page = self.layout.chain_page(&self.pages, id);
        while let Some(here) = page.some() {
            let granules = self.pages.granules() as u16;
            let descriptor = self.pages.get_mut(here);
            page = descriptor.next;
            (descriptor.mark, descriptor.live, descriptor.due) = (FOUND, granules, NO_DUE);
        }
        if let Some(first) = self.layout.chain_page(&self.pages, id).some() {
            self.pages.get_mut(first).due = id.0;
        }
    }

    /// Counts what lives in a page; one in which nothing does is free.
    fn settle(&mut self, page: Page) {
        let owner = self.pages.get(page).owner;
        if owner == Owner::Chain {
            if self.pages.get(page).mark != FOUND {
                self.free_page(page);
            }
            return;
        }
        if !owner.is_log() {
            return;
        }
        let (mut live, mut items, mut chains) = (self.settle_rest(page), 0, 0);
        self.each_in(page, |id, head| {
            live += self.layout.granules_here(&self.pages, id, head);
            chains += self.layout.chain_len(&self.pages, id);
            items += 1;
            true
        });
        self.pages.get_mut(page).live = live as u16;
        if live == 0 {
            return self.free_page(page);
        }
        let chain_granules = self.pages.granules_of(chains);
        let log = self.logs.of(owner);
        log.live += live + chain_granules;
        log.items += items;
        log.chains += chains;
        log.pages += 1;
    }

    /// Granules of the rest that a page begins with, where it is an item's.
    fn settle_rest(&mut self, page: Page) -> u32 {
        let start = self.pages.start_of(page);
        let first = u32::from(self.pages.get(page).first);
        if first == 0 {
            return 0;
        }
        let id = Id(self.pages.word(start));
        let own = id.some().is_some_and(|id| {
            self.pages.holds(id)
                && self.pages.get(self.pages.page_of(id)).owner.is_log()
                && self.begins(id)
                && self.layout.rest_page(&self.pages, id) == page
        });
        if own {
            return first;
        }
        self.bury(Id(start), first);
        self.pages.set_word(start, Id::NONE.0);
        0
    }

    // ---- lists ---------------------------------------------------------------------------------

    /// Links the pages of a log, in their old order as far as it holds together.
    fn relink(&mut self, owner: Owner) {
        let mut list = List::EMPTY;
        for starts in [true, false] {
            for page in self.pages.all() {
                if self.is_unlisted(page, owner) && !(starts && self.is_preceded(page, owner)) {
                    self.relink_run(&mut list, page, owner);
                }
            }
        }
        for page in self.pages.all() {
            self.pages.get_mut(page).mark = 0;
        }
        let pages = &self.pages;
        self.logs.of(owner).adopt(pages, list);
    }

    fn is_unlisted(&self, page: Page, owner: Owner) -> bool {
        let descriptor = self.pages.get(page);
        descriptor.owner == owner && descriptor.mark != FOUND
    }

    /// Whether another page of the log says that this one comes next.
    fn is_preceded(&self, page: Page, owner: Owner) -> bool {
        let prev = self.pages.get(page).prev;
        self.pages.contains(prev)
            && self.pages.get(prev).owner == owner
            && self.pages.get(prev).next == page
    }

    /// Lists a page and those that follow it.
    fn relink_run(&mut self, list: &mut List, first: Page, owner: Owner) {
        let mut page = first;
        loop {
            let next = self.pages.get(page).next;
            self.pages.get_mut(page).mark = FOUND;
            let goes_on = self.pages.contains(next)
                && self.is_unlisted(next, owner)
                && self.pages.get(next).prev == page;
            self.pages.push_head(list, page);
            if !goes_on {
                return;
            }
            page = next;
        }
    }

    // ---- index, sums ---------------------------------------------------------------------------

    fn enlist_page(
        &mut self,
        page: Page,
        replaced: Id,
        held: &[Holder],
        report: &mut AttachReport,
    ) {
        self.each_in_mut(page, |store, id, head| {
            if head.is_live() {
                store.enlist(id, head, (replaced, held), report);
            }
        });
    }

    /// Enters a whole item into index and sums.
    fn enlist(
        &mut self,
        id: Id,
        head: Head,
        (replaced, held): (Id, &[Holder]),
        report: &mut AttachReport,
    ) {
        let hash = self.hash_of(id);
        let found = self.find(hash, self.layout.key(&self.pages, id));
        if let Some((other, _)) = found {
            report.items_duplicate += 1;
            if other != replaced {
                return self.drop_copy(id, held);
            }
            // The one that was being replaced goes.
            report.items_recovered -= 1;
            report.bytes_recovered -=
                self.layout.payload(&self.pages, other, self.head(other)) as u64;
            self.index.replace(&mut self.pages, hash, other, id);
            self.forget_adopted(other, held);
        } else {
            if !self.index_takes(hash) {
                report.items_homeless += 1;
                return self.drop_copy(id, held);
            }
            let segment = self.index.segment(&self.pages, hash);
            segment.insert(&mut self.pages, hash, id);
        }
        self.count(id, head);
        let version = self.layout.meta(&self.pages, id).version;
        self.kept.version = self.kept.version.max(version);
        report.items_recovered += 1;
        report.bytes_recovered += self.layout.payload(&self.pages, id, self.head(id)) as u64;
    }

    /// Makes room in the index, without evicting anything.
    fn index_takes(&mut self, hash: Hash) -> bool {
        self.with_index(|index, pages, rehash| index.grow(pages, hash, rehash));
        self.index.has_room(&self.pages, hash)
    }

    /// What the index does not name is dead, or its holder's alone.
    fn drop_copy(&mut self, id: Id, held: &[Holder]) {
        if Holder::any_of(held, id) {
            let head = self.head(id).with_state(State::Pending);
            return Items::set_head(&mut self.pages, id, head);
        }
        self.kill(id);
    }

    fn forget_adopted(&mut self, id: Id, held: &[Holder]) {
        self.items -= 1;
        self.ttl_items -= u32::from(self.head(id).has_ttl());
        self.payload -= self.layout.payload(&self.pages, id, self.head(id)) as u64;
        self.drop_copy(id, held);
    }

    // ---- exact LRU -----------------------------------------------------------------------------

    /// Puts all items in the order of their last uses, as far as their links hold together; then come the others.
    fn adopt_order(&mut self) {
        if !self.policy.is_lru() {
            return;
        }
        let mut next = self
            .kept
            .lru
            .newest
            .some()
            .filter(|&id| self.is_indexed(id));
        self.kept.lru = Lru::EMPTY;
        while let Some(id) = next {
            next = Lru::next_older(&self.pages, id, |older| self.is_indexed(older));
            self.adopt_in_order(id);
        }
        for page in self.pages.all() {
            self.each_in_mut(page, |store, id, head| {
                if head.is_live() && head.uses() == 0 {
                    store.adopt_in_order(id);
                }
            });
        }
    }

    /// Whether an item lies here that is in the index, and in no order yet.
    fn is_indexed(&self, id: Id) -> bool {
        self.pages.holds(id)
            && self.head(id).is_live()
            && self.head(id).uses() == 0
            && self
                .index
                .find(&self.pages, self.hash_of(id), |other| other == id)
                .is_some()
    }

    /// An item is the oldest; its uses say that it is in order.
    fn adopt_in_order(&mut self, id: Id) {
        let head = self.head(id).with_uses(1);
        Items::set_head(&mut self.pages, id, head);
        self.kept.lru.appended(&mut self.pages, id);
    }
}
