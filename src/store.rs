//! Items in logs, with the index over them, the policy among them and the sums about them.
//!
//! This is the one place that tells index, policy and sums what happens to an item. Every change goes through
//! `insert`, `replace`, `overwrite`, `relocate` or `remove`.
//!
//! # Invariants (walked by `check`)
//! 1. The index names exactly the live and the pinned items.
//! 2. `items`, `ttl_items` and `payload` are theirs.
//!
//! # Not here
//! Making room: `room`. What callers ask for: `shard`.

#![forbid(unsafe_code)]

mod copying;
mod indexing;
mod kept;
mod logs;
mod walking;

pub(crate) use kept::Kept;
pub(crate) use logs::Logs;

use crate::expiry::{Instant, Time};
use crate::hash::{Hash, KeyHasher};
use crate::index::Index;
use crate::item::{Draft, HEAD_SIZE, Head, Item, Items, Meta, Shape, State};
use crate::page::{GRANULE, Id, Owner, Page, Pages};
use crate::planted;
use crate::policy::Policy;
use crate::progress::Room;
use crate::region::{Shared, barrier};
use crate::segment::Segment;
use crate::stats::Counters;

/// What a shard holds.
#[derive(Debug)]
pub(crate) struct Store {
    pub(crate) kept: Kept,
    pub(crate) pages: Pages,
    pub(crate) layout: Items,
    pub(crate) logs: Logs,
    pub(crate) index: Index,
    pub(crate) policy: Policy,
    pub(crate) hasher: Shared<KeyHasher>,
    pub(crate) room: Room,
    pub(crate) items: u32,
    pub(crate) ttl_items: u32,
    /// Key and value bytes.
    pub(crate) payload: u64,
    /// Views and reservations held.
    pub(crate) held: u32,
    pub(crate) counters: Counters,
    /// For how long what has expired may still be read by those who ask for that.
    pub(crate) grace_ms: u32,
}

impl Store {
    pub(crate) fn time(&self) -> &Time {
        &self.kept.time
    }

    /// Granules in which something lives.
    #[inline]
    pub(crate) fn live(&self) -> u32 {
        self.logs.live()
    }

    /// The log that an item is in.
    #[inline]
    pub(crate) fn owner_of(&self, id: Id) -> Owner {
        self.pages.get(self.pages.page_of(id)).owner
    }

    pub(crate) fn head(&self, id: Id) -> Head {
        Items::head(&self.pages, id)
    }

    #[inline]
    pub(crate) fn item(&self, id: Id) -> Item {
        self.layout.item(&self.pages, id, self.head(id))
    }

    #[inline]
    pub(crate) fn hash_of(&self, id: Id) -> Hash {
        self.hasher.hash(self.layout.key(&self.pages, id))
    }

    // ---- finding -------------------------------------------------------------------------------

    /// The item with this key, expired or not, and its first word.
    #[cfg_attr(not(feature = "small"), inline(always))]
    pub(crate) fn find_in(&self, segment: Segment, hash: Hash, key: &[u8]) -> Option<(Id, Head)> {
        let (pages, layout) = (&self.pages, self.layout);
        let mut head = Head::dead(0);
        let id = segment.find(pages, hash, |id| {
            head = Items::head(pages, id);
            layout.key_is(pages, id, head, key)
        })?;
        Some((id, head))
    }

    /// The same, and the bucket that names it.
    #[inline(always)]
    pub(crate) fn place_in(&self, of: Segment, hash: Hash, key: &[u8]) -> Option<(usize, Id)> {
        let (pages, layout) = (&self.pages, self.layout);
        let mut found = Id::NONE;
        let at = of.place(pages, hash, |id| {
            found = id;
            layout.key_is(pages, id, Items::head(pages, id), key)
        })?;
        Some((at, found))
    }

    #[inline]
    pub(crate) fn find(&self, hash: Hash, key: &[u8]) -> Option<(Id, Head)> {
        self.find_in(self.index.segment(&self.pages, hash), hash, key)
    }

    /// When an item expires; `u64::MAX` = never.
    pub(crate) fn expires_at(&self, id: Id) -> u64 {
        let page = self.pages.get(self.pages.page_of(id));
        let expiry = self.layout.expiry(&self.pages, id);
        expiry.map_or(u64::MAX, |instant| self.time().at(instant, page))
    }

    /// The expiry of an item that has one, and when that is.
    pub(crate) fn expiry_of(&self, id: Id) -> Option<(Instant, u64)> {
        let instant = self.layout.expiry(&self.pages, id)?;
        Some((instant, self.expires_at(id)))
    }

    /// Whether an item's time has come. The one place that says so.
    #[inline]
    pub(crate) fn is_expired(&self, id: Id, head: Head) -> bool {
        head.has_ttl() && is_due(self.expires_at(id), self.time().now())
    }

    /// Whether an item's time has come, and its grace is over.
    pub(crate) fn is_gone(&self, id: Id, head: Head) -> bool {
        head.has_ttl() && self.is_over(self.expires_at(id))
    }

    /// Whether the grace is over of what expires at `at`.
    pub(crate) fn is_over(&self, at: u64) -> bool {
        is_due(at.saturating_add(self.grace_ms.into()), self.time().now())
    }

    /// Whether the index names what has this first word.
    pub(crate) fn is_item(&self, head: Head) -> bool {
        !head.is_dead() && head.state() != State::Pending
    }

    // ---- writing -------------------------------------------------------------------------------

    /// Appends an item without optional words to a log whose head page has room for it; it is dead until `head` is
    /// its first word.
    #[inline(always)]
    pub(crate) fn append_plain(
        &mut self,
        owner: Owner,
        head: Head,
        key: &[u8],
        value: &[u8],
    ) -> Id {
        let granules = self.layout.plain_granules(head);
        let id = self.logs.of(owner).push(&mut self.pages, granules);
        let at = id.0 as usize * GRANULE + HEAD_SIZE;
        self.pages.bytes_mut().copy_in(at, key);
        self.pages.bytes_mut().copy_in(at + key.len(), value);
        id
    }

    /// Appends an item to a log, still dead; its first word makes it one. `None` where pages are missing.
    pub(crate) fn append_item(
        &mut self,
        owner: Owner,
        shape: &Shape,
        draft: &Draft<'_>,
    ) -> Option<(Id, Head)> {
        let chain = match shape.chain {
            0 => Page::NONE,
            count => self.logs.of(owner).take_chain(&mut self.pages, count)?,
        };
        let Some((id, head)) = self.append_with(owner, shape, draft, chain) else {
            let pages = &mut self.pages;
            self.logs.of(owner).give_chain(pages, chain);
            return None;
        };
        if !draft.value.is_empty() {
            self.layout
                .write_value(&mut self.pages, id, head, draft.value);
        }
        Some((id, head))
    }

    /// A tag, with the next version where the cache keeps versions.
    pub(crate) fn next_meta(&mut self, tag: u32) -> Meta {
        if self.layout.format.versions {
            self.kept.version += 1;
            barrier();
        }
        let version = self.kept.version;
        Meta { tag, version }
    }

    /// The time of a set, where the cache keeps it.
    #[inline]
    fn stamp(&self) -> u32 {
        if self.layout.format.times {
            self.time().stamp()
        } else {
            0
        }
    }

    /// As [`Store::append_item`], without the value, before a chain that is there.
    fn append_with(
        &mut self,
        owner: Owner,
        shape: &Shape,
        draft: &Draft<'_>,
        chain: Page,
    ) -> Option<(Id, Head)> {
        let stamp = self.stamp();
        let (pages, time) = (&mut self.pages, &self.kept.time);
        let log = self.logs.of(owner);
        if draft.expiry.is_some() && !log.ready_for_expiry(pages, time) {
            return None;
        }
        let place = log.append_item(pages, time, shape)?;
        let (id, after) = (place.id, (place.rest, chain));
        let head = self
            .layout
            .write_head(pages, id, &place.shape, draft, stamp, after);
        if let Some(chain) = chain.some() {
            pages.get_mut(chain).due = id.0;
        }
        if let Some((_, at)) = draft.expiry {
            self.note_expiry(id, at);
        }
        Some((id, head))
    }

    /// An item of a page expires at `at`: the page's `due` says so before the item does.
    pub(crate) fn note_expiry(&mut self, id: Id, at: u64) {
        let page = self.pages.page_of(id);
        self.kept.time.note(self.pages.get_mut(page), at);
        if !planted::is("sweep never notes due") {
            let over = at.saturating_add(self.grace_ms.into());
            self.room.sweep.note(page, at, over);
        }
        barrier();
    }

    /// What is written is an item from now on.
    #[inline]
    pub(crate) fn publish(&mut self, id: Id, head: Head) {
        self.layout.sum_up(&mut self.pages, id, head, &self.hasher);
        barrier();
        Items::set_head(&mut self.pages, id, head);
    }

    // ---- the five changes ----------------------------------------------------------------------

    /// A new item comes into the index, which has room.
    #[cfg_attr(not(feature = "small"), inline(always))]
    pub(crate) fn insert(&mut self, segment: Segment, hash: Hash, id: Id, head: Head) {
        self.publish(id, head);
        let inserted = segment.insert(&mut self.pages, hash, id);
        debug_assert!(inserted);
        if self.policy.is_lru() {
            self.kept.lru.inserted(&mut self.pages, id);
        }
        self.count(id, head);
    }

    /// A new item takes the place of another one with its key.
    pub(crate) fn replace(&mut self, hash: Hash, old: Id, id: Id, head: Head) {
        let place = self.index.place(&self.pages, hash, old);
        self.replace_in(place, old, id, head);
    }

    /// The same where segment and bucket are known.
    #[inline]
    pub(crate) fn replace_in(
        &mut self,
        (segment, at): (Segment, usize),
        old: Id,
        id: Id,
        head: Head,
    ) {
        self.kept.replaced = old;
        barrier();
        self.publish(id, head);
        let replaced = segment.replace(&mut self.pages, at, id);
        debug_assert!(replaced);
        self.count(id, head);
        self.forget(self.owner_of(old), self.item(old));
        if self.policy.is_lru() {
            self.kept.lru.inserted(&mut self.pages, id);
        }
        self.counters.updates += 1;
    }

    /// Writes an item over another one with its key, where it lies: it has no more granules.
    pub(crate) fn overwrite(&mut self, id: Id, shape: &Shape, draft: &Draft<'_>) {
        let old = self.head(id);
        let here = self.layout.granules_here(&self.pages, id, old);
        if planted::is("sums forget a payload") {
            self.payload += 1;
        }
        self.uncount(id, old);
        Items::set_head(&mut self.pages, id, Head::dead(here));
        barrier();
        if let Some((_, at)) = draft.expiry {
            self.note_expiry(id, at);
        }
        let (stamp, nowhere) = (self.stamp(), (Page::NONE, Page::NONE));
        let head = self
            .layout
            .write_head(&mut self.pages, id, shape, draft, stamp, nowhere);
        self.layout
            .write_value(&mut self.pages, id, head, draft.value);
        self.wipe_end(id, shape, here);
        self.publish(id, head);
        let owner = self.owner_of(id);
        self.logs
            .of(owner)
            .trim(&mut self.pages, id, here, shape.granules());
        self.count(id, head);
        self.counters.updates += 1;
    }

    /// As [`Store::overwrite`], where the header stays as it is but for its first word, and nothing is wiped.
    #[inline(always)]
    pub(crate) fn rewrite(&mut self, id: Id, old: Head, new: Head, value: &[u8]) {
        let dead = Head::dead(self.layout.plain_granules(old));
        Items::set_head(&mut self.pages, id, dead);
        barrier();
        let at = id.0 as usize * GRANULE + HEAD_SIZE + new.key_len();
        self.pages.bytes_mut().copy_in(at, value);
        barrier();
        Items::set_head(&mut self.pages, id, new);
        let payload = |head| self.layout.payload(&self.pages, id, head) as u64;
        self.payload = self.payload + payload(new) - payload(old);
        self.counters.updates += 1;
    }

    /// No old byte stays behind a shorter value, where bytes are zeroed; what was cut off is a dead run.
    fn wipe_end(&mut self, id: Id, shape: &Shape, here: u32) {
        let end = (id.0 + here) as usize * GRANULE;
        if self.pages.zeroes_on_free() && !planted::is("trims not zeroed") {
            let from = (id.0 + shape.words) as usize * GRANULE + shape.key_len + shape.here;
            self.pages.bytes_mut().zero(from, end - from);
        }
        let granules = shape.granules();
        if granules < here {
            Items::set_head(
                &mut self.pages,
                Id(id.0 + granules),
                Head::dead(here - granules),
            );
        }
    }

    /// Takes an item out of index, policy, sums and pages.
    #[inline]
    pub(crate) fn remove(&mut self, id: Id, head: Head, hash: Hash) {
        let place = self.index.place(&self.pages, hash, id);
        self.remove_from(place, id, head, hash);
    }

    /// The same where segment and bucket are known.
    #[inline(always)]
    pub(crate) fn remove_from(&mut self, place: (Segment, usize), id: Id, head: Head, hash: Hash) {
        let sparse = self.index.remove(&mut self.pages, place);
        let (owner, item) = (self.owner_of(id), self.layout.item(&self.pages, id, head));
        self.forget(owner, item);
        if sparse {
            self.merge_segments(hash);
        }
    }

    /// As [`Store::remove`], where the policy chose the item, which is remembered.
    #[cfg_attr(not(feature = "small"), inline(always))]
    #[cfg_attr(feature = "small", inline(never))]
    pub(crate) fn evict(&mut self, owner: Owner, item: Item) {
        let key = self.layout.key_of(&self.pages, item.id, item.head);
        let hash = self.hasher.hash(key);
        let payload = self.layout.payload(&self.pages, item.id, item.head);
        let unread = item.head.is_unread() && !item.head.is_lease();
        self.counters
            .count_eviction(owner != Owner::Window, unread, payload);
        let sparse = self.index.evict(&mut self.pages, hash, item.id);
        self.forget(owner, item);
        if sparse {
            self.merge_segments(hash);
        }
    }

    /// As [`Store::remove`], where the item's time has come.
    pub(crate) fn expire(&mut self, id: Id) {
        let (hash, head) = (self.hash_of(id), self.head(id));
        let payload = self.layout.payload(&self.pages, id, head);
        let is_main = self.owner_of(id) != Owner::Window;
        let unread = head.is_unread() && !head.is_lease();
        self.counters.count_expiration(is_main, unread, payload);
        self.remove(id, head, hash);
        let page = self.pages.page_of(id);
        self.room.cleaner.owe(&mut self.pages, page);
    }

    /// The index does not name the item any more. What is held outlives that, without a key.
    #[cfg_attr(not(feature = "small"), inline(always))]
    #[cfg_attr(feature = "small", inline(never))]
    fn forget(&mut self, owner: Owner, item: Item) {
        let Item { id, head, .. } = item;
        self.uncount(id, head);
        if head.state() == State::Pinned {
            return Items::set_head(&mut self.pages, id, head.with_state(State::Pending));
        }
        if self.policy.is_lru() {
            self.kept.lru.removed(&mut self.pages, id);
        }
        self.logs.of(owner).kill(&mut self.pages, self.layout, item);
    }

    /// Declares dead what no sum counts and no index names.
    pub(crate) fn kill(&mut self, id: Id) {
        let (owner, item) = (self.owner_of(id), self.item(id));
        self.logs.of(owner).kill(&mut self.pages, self.layout, item);
    }

    /// Gives an item that has one another expiry, where its page takes it. Returns whether it did.
    pub(crate) fn set_expiry(&mut self, id: Id, (instant, at): (Instant, u64)) -> bool {
        let page = self.pages.page_of(id);
        if at != u64::MAX && !self.kept.time.fits(self.pages.get_mut(page)) {
            return false;
        }
        if at != u64::MAX {
            self.note_expiry(id, at);
        }
        self.layout.set_expiry(&mut self.pages, id, instant);
        true
    }

    // ---- sums ----------------------------------------------------------------------------------

    #[inline]
    pub(crate) fn count(&mut self, id: Id, head: Head) {
        self.items += 1;
        self.ttl_items += u32::from(head.has_ttl());
        self.payload += self.layout.payload(&self.pages, id, head) as u64;
    }

    #[inline]
    fn uncount(&mut self, id: Id, head: Head) {
        self.items -= 1;
        self.ttl_items -= u32::from(head.has_ttl());
        self.payload -= self.layout.payload(&self.pages, id, head) as u64;
    }
}

/// Whether what expires at `at` has expired by `now`.
#[inline]
pub(crate) fn is_due(at: u64, now: u64) -> bool {
    if planted::is("expiry off by one") {
        return at < now && at != u64::MAX;
    }
    at <= now && at != u64::MAX
}
