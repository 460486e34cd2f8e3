//! Moving an item: it is copied to the head of a log, and dead where it lay.

#![forbid(unsafe_code)]

use super::{Logs, Store};
use crate::expiry::Instant;
use crate::hash::Hash;
use crate::item::{Draft, Head, Item, Items, Meta};
use crate::page::{GRANULE, Id, Owner};
use crate::planted;
use crate::region::barrier;

impl Store {
    /// Copies an item that is live to the head of a log, with so many uses, and kills it where it lay. `None` where
    /// pages are missing.
    pub(crate) fn relocate(&mut self, item: Item, owner: Owner, uses: u32) -> Option<Id> {
        let fits = item.granules <= self.logs.of(owner).room();
        let to = if item.head.is_plain() && fits {
            self.copy_plain(item, owner, uses)
        } else {
            self.copy(item.id, owner, uses, None)?
        };
        self.counters.items_moved += 1;
        Some(to)
    }

    /// As [`Store::relocate`], for an item in one piece that never expires, and a head page that has room for it: all
    /// of its bytes go as they are.
    fn copy_plain(&mut self, item: Item, owner: Owner, uses: u32) -> Id {
        debug_assert!(item.head.is_live());
        let hash = self.hash_of(item.id);
        self.index.prefetch_hash(&self.pages, hash);
        let to = self.logs.of(owner).push(&mut self.pages, item.granules);
        let place = |id: Id| (id.0 as usize + 1) * GRANULE;
        let len = (item.granules as usize - 1) * GRANULE;
        let bytes = self.pages.bytes_mut();
        bytes.copy_within(place(item.id), place(to), len);
        self.hand_over(item.id, to, item.head.with_uses(uses), hash);
        self.room.work.copied += item.granules;
        let from = self.owner_of(item.id);
        self.logs.of(from).kill(&mut self.pages, self.layout, item);
        to
    }

    /// What is written is the item from now on, instead of the one it was copied from.
    #[inline]
    fn hand_over(&mut self, from: Id, to: Id, head: Head, hash: Hash) {
        barrier();
        Items::set_head(&mut self.pages, to, head);
        let replaced = planted::is("index skipped on relocate")
            || self.index.replace(&mut self.pages, hash, from, to);
        debug_assert!(replaced);
        if self.policy.is_lru() {
            self.kept.lru.moved(&mut self.pages, to);
        }
    }

    /// Copies an item, and gives it another expiry.
    pub(crate) fn copy_with_expiry(&mut self, id: Id, expiry: (Instant, u64)) -> Option<Id> {
        let (owner, head) = (self.owner_of(id), self.head(id));
        let to = self.copy(id, owner, head.uses(), Some(expiry))?;
        self.ttl_items += u32::from(!head.has_ttl());
        Some(to)
    }

    fn copy(
        &mut self,
        id: Id,
        owner: Owner,
        uses: u32,
        expiry: Option<(Instant, u64)>,
    ) -> Option<Id> {
        let old = self.head(id);
        debug_assert!(old.is_live());
        // A checksum is made of pieces, which may be others then; a wrong one stays wrong.
        let intact = self.layout.is_intact(&self.pages, id, &self.hasher);
        if !intact {
            self.layout.mend(&mut self.pages, id);
        }
        let hash = self.hash_of(id);
        let expiry = expiry.or(self.expiry_of(id));
        let shape = self.layout.shape_of(&self.pages, id, expiry.is_some());
        let draft = Draft {
            key: &[],
            value: &[],
            value_len: self.layout.value_len(&self.pages, id),
            value_type: old.draft_type(),
            expiry,
            uses,
            meta: Meta::default(),
        };
        let chain = self.layout.chain_page(&self.pages, id);
        let count = self.layout.chain_len(&self.pages, id);
        let (to, head) = self.append_with(owner, &shape, &draft, chain)?;
        let mut head = self.layout.copy_body(&mut self.pages, id, old, to, head);
        if !old.is_unread() {
            head = head.seen();
        }
        if intact && head.is_long() | old.is_long() {
            self.layout.sum_up(&mut self.pages, to, head, &self.hasher);
        }
        self.hand_over(id, to, head, hash);
        self.room.work.copied += shape.granules();
        self.hand_chain(id, owner, count);
        let from = self.owner_of(id);
        self.logs
            .of(from)
            .kill_but_chain(&mut self.pages, self.layout, id);
        Some(to)
    }

    fn hand_chain(&mut self, id: Id, owner: Owner, count: u32) {
        let from = self.owner_of(id);
        if count == 0 || from == owner {
            return;
        }
        let Logs { window, main } = &mut self.logs;
        let (from, to) = if from == Owner::Window {
            (window, main)
        } else {
            (main, window)
        };
        from.hand_chain(to, &self.pages, count);
    }
}
