//! Making room: the policy passes items at the tails of the logs.
//!
//! A set of n granules asks for n granules beside a reserve. What is missing is made up in a slice: expired items
//! first, then pages with dead bytes, then the policy's choice. The slice is bounded in proportion to n; the
//! reserve carries the debt over to the next sets.
//!
//! # Invariants
//! 1. A slice evicts at most 3/2 n + 32 granules and an item more (3 n + 32 while a lowered limit is reached), and
//!    copies at most 4 n + 128 and an item more when it cleans (16 n + 512 where items have expired); the policy copies at most as many again.
//!
//! # Not here
//! Copying items out of pages: `clean`. What has expired: `sweep`. The rules: `policy`.

#![forbid(unsafe_code)]

use crate::item::{Draft, Head, Shape};
use crate::page::{Id, Owner, Page};
use crate::planted;
use crate::policy::{self, WINDOW_STEPS};
use crate::progress::Work;
use crate::status::{Error, Result};
use crate::store::Store;

/// Pages of `count` that are kept for relocations: two heads and two tails; one less where there are few.
pub(crate) const fn reserve_pages(count: u32) -> u32 {
    if count < 64 { 3 } else { 4 }
}

/// Fewer pages hold nothing: one item between the reserve, the index and the table of what is held.
pub(crate) const PAGES_MIN: u32 = 8;
/// Dead granules with exact LRU, in 1,024ths of all.
const DEAD_SHARE_LRU: u32 = 102;
/// Granules that an item takes more where it lies in two pages.
const SPLIT_GRANULES: u32 = 3;
/// Sweeps of a slice, at most.
const SWEEPS: u32 = 2;
/// Steps of a slice, beside one for each granule asked for.
const STEPS: u32 = 64;

impl Store {
    /// Granules that items can still take, once the tails and the cleaner are through with their pages.
    #[inline]
    pub(crate) fn available(&self) -> u32 {
        let pages = &self.pages;
        pages.granules_of(pages.free_count())
            + self.logs.window.room()
            + self.logs.main.room()
            + self.logs.window.passed(pages)
            + self.logs.main.passed(pages)
            + self.room.cleaner.passed(pages)
    }

    /// Granules that are to be available beside those asked for.
    #[inline]
    fn reserve(&self) -> u32 {
        let beyond = self.pages.count() - self.pages.limit();
        let kept = reserve_pages(self.pages.count());
        self.pages.granules_of(kept + beyond)
    }

    /// Pages that hold items at most.
    pub(crate) fn item_pages(&self) -> u32 {
        let others = self.index.pages() + u32::from(self.held > 0);
        self.pages.limit().saturating_sub(others)
    }

    /// The most granules of one item, which fits once all others are gone: two heads, and the page of a rest, may be
    /// filled in part.
    pub(crate) fn item_granules_max(&self) -> u32 {
        self.pages.granules_of(self.item_pages().saturating_sub(3))
    }

    // ---- appending -----------------------------------------------------------------------------

    /// Appends an item, after making room for it.
    #[inline]
    pub(crate) fn append_with_room(
        &mut self,
        owner: Owner,
        shape: &Shape,
        draft: &Draft<'_>,
    ) -> Result<(Id, Head)> {
        self.make_room(shape.granules().saturating_add(self.chain_granules(shape)));
        match self.append(owner, shape, draft) {
            Some(item) => Ok(item),
            None if planted::is("NoMemory when full") => Err(Error::NoMemory),
            None => self.append_by_force(owner, shape, draft),
        }
    }

    #[inline]
    pub(crate) fn chain_granules(&self, shape: &Shape) -> u32 {
        if shape.chain == 0 {
            0
        } else {
            self.pages.granules_of(shape.chain)
        }
    }

    /// Cleans and evicts until pages are free for an item, whatever it takes.
    #[cold]
    fn append_by_force(
        &mut self,
        owner: Owner,
        shape: &Shape,
        draft: &Draft<'_>,
    ) -> Result<(Id, Head)> {
        let mut cleanings = self.pages.granules();
        loop {
            // The last items may have gone because they had expired: nothing more to gain, and room all the same.
            let gained = self.gain_by_force(&mut cleanings);
            if let Some(item) = self.append(owner, shape, draft) {
                return Ok(item);
            }
            if !gained {
                return Err(Error::NoMemory);
            }
        }
    }

    /// A page for other uses than items'.
    pub(crate) fn take_page(&mut self, owner: Owner) -> Option<Page> {
        self.make_room(self.pages.granules());
        let mut cleanings = self.pages.granules();
        while self.pages.available() == 0 && self.gain_by_force(&mut cleanings) {}
        self.pages.take(owner)
    }

    /// A page is cleaned a step further, or an item goes whatever its uses; `false` where nothing can go.
    pub(crate) fn gain_by_force(&mut self, cleanings: &mut u32) -> bool {
        self.room.work = Work::FORCED;
        if *cleanings > 0 && self.dead() > self.pages.granules() && self.clean_step() {
            *cleanings -= 1;
            return true;
        }
        self.evict_one() || self.evict_from_heads()
    }

    // ---- a slice -------------------------------------------------------------------------------

    /// Makes room for so many granules, as far as a slice allows.
    #[inline]
    pub(crate) fn make_room(&mut self, granules: u32) {
        let short =
            self.available() < self.reserve().saturating_add(granules) || self.pages.excess() > 0;
        if short
            || self.policy.is_lru() && self.live_max_lru() < self.live().saturating_add(granules)
        {
            self.make_room_slice(granules);
        }
    }

    /// Granules that may live with exact LRU: its dead bytes lie anywhere, so some of them wait to be cleaned.
    fn live_max_lru(&self) -> u32 {
        let all = self
            .item_pages()
            .saturating_sub(reserve_pages(self.pages.count()));
        let all = self.pages.granules_of(all);
        all - (all >> 10) * DEAD_SHARE_LRU
    }

    /// What a call for so many granules may do. While a lowered limit is reached, it copies nothing: a copy may take
    /// a little more than the item did.
    fn work_for(&self, granules: u32) -> Work {
        Work {
            steps: STEPS.saturating_add(granules),
            copied: 0,
            copied_max: match self.pages.excess() {
                0 => granules.saturating_mul(4).saturating_add(128),
                _ => 0,
            },
            need: granules,
        }
    }

    #[cold]
    fn make_room_slice(&mut self, granules: u32) {
        if planted::is("make_room does nothing") {
            return;
        }
        self.room.full = true;
        self.room.work = self.work_for(granules);
        let bound = match self.pages.excess() {
            0 => (granules + granules / 2).saturating_add(32),
            _ => granules.saturating_mul(3).saturating_add(32),
        };
        let goal = self
            .reserve()
            .saturating_add(granules)
            .min(self.available().saturating_add(bound));
        let copied_max = match self.room.cleaner.is_owed() {
            false => granules.saturating_mul(4).saturating_add(128),
            true => granules.saturating_mul(16).saturating_add(512),
        };
        let live_least = self.live().saturating_sub(bound);
        // While a lowered limit is reached, usage never rises.
        let live_max = match self.pages.excess() {
            0 => u32::MAX,
            _ => self.live().saturating_sub(granules + SPLIT_GRANULES),
        };
        if self.policy.is_lru() {
            self.sweep_before_eviction();
            let live_max = live_max.min(self.live_max_lru().saturating_sub(granules));
            while self.live() > live_max.max(live_least) && self.evict_oldest() {}
            while self.available() < goal && self.may_work(copied_max) && self.clean_step() {}
            return;
        }
        let (mut idle, mut sweeps) = (0, SWEEPS);
        while (self.available() < goal || self.live() > live_max)
            && self.live() > live_least
            && self.room.work.steps > 0
            && idle < 3
        {
            let worked = self.may_work(copied_max) && self.cleans_first() && self.clean_step()
                || self.sweeps_first(&mut sweeps)
                || self.evict_a_step();
            idle = if worked { 0 } else { idle + 1 };
        }
    }

    fn may_work(&self, copied_max: u32) -> bool {
        self.room.work.steps > 0 && self.room.work.copied < copied_max
    }

    /// Whether a sweep took items out instead.
    fn sweeps_first(&mut self, sweeps: &mut u32) -> bool {
        *sweeps > 0 && {
            *sweeps -= 1;
            self.sweep_before_eviction()
        }
    }

    fn evict_a_step(&mut self) -> bool {
        self.room.work.steps = self.room.work.steps.saturating_sub(1);
        self.evict_one()
    }

    /// Whether dead bytes are to be given back before an item goes: not where more lives than a lowered limit holds.
    fn cleans_first(&self) -> bool {
        let most = self.pages.granules_of(
            self.item_pages()
                .saturating_sub(reserve_pages(self.pages.count())),
        );
        match self.pages.excess() {
            0 => self.wants_cleaning() || self.room.cleaner.is_wanted(&self.pages),
            _ => self.live() <= most,
        }
    }

    /// Gives back what lies above a lowered limit, in a slice of so many steps; `cleans`: by copying, too, where that
    /// gives pages back. Returns the steps made.
    pub(crate) fn shrink(&mut self, steps: u32, cleans: bool) -> u32 {
        self.room.work = Work::FORCED;
        let mut left = steps;
        while left > 0 && self.pages.excess() > 0 {
            let gained = cleans && self.cleans_first() && self.clean_step();
            if !(gained || self.evict_one() || self.evict_from_heads()) {
                break;
            }
            left -= 1;
        }
        steps - left
    }

    // ---- evicting ------------------------------------------------------------------------------

    /// The policy lets one item go, or several steps pass. `false` where nothing was found to do.
    fn evict_one(&mut self) -> bool {
        if self.policy.is_lru() {
            return self.evict_oldest();
        }
        for _ in 0..WINDOW_STEPS {
            let share = self.policy.queues.rule.share_of(self.live());
            let item = if self.logs.window.live < share {
                None
            } else {
                self.tail(Owner::Window)
            };
            let Some((id, head)) = item else {
                return self.evict_from_main() || self.evict_from_window();
            };
            match self.pass_window(id, head, share) {
                Passed::Gone => return true,
                Passed::Moved => {}
            }
        }
        true
    }

    fn evict_from_main(&mut self) -> bool {
        let looks = self.policy.queues.looks(self.room.work.need);
        self.gate(looks, 0, true)
    }

    fn evict_from_window(&mut self) -> bool {
        let Some((id, head)) = self.tail(Owner::Window) else {
            return false;
        };
        self.let_go(Owner::Window, id, head);
        true
    }

    /// An item of a head page goes, where nothing else can.
    fn evict_from_heads(&mut self) -> bool {
        let items = self.layout;
        [Owner::Window, Owner::Main].into_iter().any(|owner| {
            let item = self.logs.of(owner).head_item(&self.pages, items);
            item.is_some_and(|(id, head)| {
                self.let_go(owner, id, head);
                true
            })
        })
    }

    fn evict_oldest(&mut self) -> bool {
        let Some(id) = self.kept.lru.oldest.some() else {
            return false;
        };
        let (owner, head) = (self.owner_of(id), self.head(id));
        self.let_go(owner, id, head);
        true
    }

    /// The next item at a log's tail that can go.
    fn tail(&mut self, owner: Owner) -> Option<(Id, Head)> {
        let (pages, layout, work) = (&mut self.pages, self.layout, &mut self.room.work);
        let log = self.logs.of(owner);
        log.tail_item(pages, layout, &mut work.steps)
    }

    /// An item at a log's tail goes: it has expired, or is evicted.
    fn let_go(&mut self, owner: Owner, id: Id, head: Head) {
        let here = self.layout.granules_here(&self.pages, id, head);
        if self.is_expired(id, head) {
            self.expire(id);
        } else {
            self.evict(id);
        }
        self.logs.of(owner).pass(id, here);
    }

    /// Moves an item at a log's tail to another log's head, or lets it go where there is no page for that.
    fn move_on(&mut self, from: Owner, (id, head): (Id, Head), to: Owner, uses: u32) -> bool {
        let here = self.layout.granules_here(&self.pages, id, head);
        let moved = self.relocate(id, to, uses).is_some();
        if !moved {
            self.evict(id);
        }
        self.logs.of(from).pass(id, here);
        moved
    }

    /// What becomes of the window's tail item: it goes, or is moved on, to main or to the window's head.
    fn pass_window(&mut self, id: Id, head: Head, share: u32) -> Passed {
        let window = Owner::Window;
        if self.is_expired(id, head) {
            self.let_go(window, id, head);
            return Passed::Gone;
        }
        let granules = self.granules(id);
        let queues = &self.policy.queues;
        let (rule, credit) = (queues.rule, queues.credit(granules));
        let passes = policy::passes(head.uses(), rule.uses, credit)
            || rule.lucky > 0 && queues.is_lucky(self.hash_of(id));
        if !passes || self.room.work.copied >= self.room.work.copied_max {
            self.let_go(window, id, head);
            return Passed::Gone;
        }
        let first = policy::first_uses(credit);
        // A share in bytes is never met exactly: main has room while the window is an item above its own.
        if self.logs.window.live >= share.saturating_add(granules) || self.logs.main.live == 0 {
            return Passed::moved_if(self.move_on(window, (id, head), Owner::Main, first));
        }
        if self.passes_gate(granules) {
            self.move_on(window, (id, head), Owner::Main, first);
            return Passed::Gone;
        }
        if rule.stay && head.uses() > 0 {
            return Passed::moved_if(self.move_on(window, (id, head), window, head.uses() - 1));
        }
        self.let_go(window, id, head);
        Passed::Gone
    }

    /// Whether main gives way to an item of so many granules.
    fn passes_gate(&mut self, granules: u32) -> bool {
        match self.policy.queues.rule.looks {
            0 => self.evict_from_main(),
            looks => {
                // For many items' bytes, as many items are looked at.
                let items = self.policy.queues.items_of(granules).max(1);
                self.gate(looks.saturating_mul(items), granules, false)
            }
        }
    }

    /// Looks at so many used items at main's tail for so many granules of unused ones, which go. Where one `must` go,
    /// it does after so many looks.
    fn gate(&mut self, looks: u32, granules: u32, must: bool) -> bool {
        let main = Owner::Main;
        let (mut left, mut freed) = (looks, 0);
        while let Some((id, head)) = self.tail(main) {
            self.room.work.steps = self.room.work.steps.saturating_sub(1);
            if self.is_expired(id, head) {
                self.let_go(main, id, head);
                if must || self.room.work.steps == 0 {
                    return true;
                }
                continue;
            }
            if left == 0 && !must {
                return false;
            }
            let size = self.granules(id);
            let queues = &mut self.policy.queues;
            let credit = queues.credit(size);
            let aged = policy::aged(head.uses(), credit, &mut queues.dice);
            let copied_enough = self.room.work.copied >= self.room.work.copied_max;
            let Some(uses) = aged.filter(|_| !(must && (left == 0 || copied_enough))) else {
                self.let_go(main, id, head);
                freed += size;
                if must || freed >= granules {
                    return true;
                }
                continue;
            };
            if copied_enough {
                return false;
            }
            left = left.saturating_sub(1);
            if !self.move_on(main, (id, head), main, uses) {
                return must;
            }
        }
        false
    }

    // ---- admitting -----------------------------------------------------------------------------

    /// The log that a newcomer of so many granules goes to, and its uses; `remembered`: it was evicted not long ago.
    pub(crate) fn admit(&mut self, granules: u32, remembered: bool) -> (Owner, u32) {
        if self.policy.is_lru() {
            return (Owner::Main, 0);
        }
        let live = self.live();
        let most = live.saturating_add(self.pages.granules_of(self.pages.available()));
        let most = if self.room.full { live } else { most };
        let reads = self.counters.hits + self.counters.misses;
        self.policy.queues.inserting(self.items, live, most, reads);
        let rule = self.policy.queues.rule;
        let share = rule.share_of(live);
        let first = policy::first_uses(self.policy.queues.credit(granules));
        if !self.room.full {
            let to_main = remembered || self.logs.window.live >= share;
            return if to_main {
                (Owner::Main, if remembered { first } else { 0 })
            } else {
                (Owner::Window, 0)
            };
        }
        if !remembered {
            return (Owner::Window, 0);
        }
        let mean = live / self.items.max(1);
        if self.logs.window.live >= share.saturating_add(granules.max(mean)) {
            return (Owner::Main, first);
        }
        self.room.work = self.work_for(granules);
        if self.passes_gate(granules) {
            (Owner::Main, first)
        } else {
            (Owner::Window, if rule.again { rule.uses } else { 0 })
        }
    }
}

/// What became of the window's tail item.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Passed {
    /// It went, or others did for it.
    Gone,
    /// It was moved on, and nothing is gained yet.
    Moved,
}

impl Passed {
    fn moved_if(moved: bool) -> Self {
        if moved { Self::Moved } else { Self::Gone }
    }
}
