//! The policy's choices: who goes at the tails of the logs, who is moved on, and where a newcomer comes in.
//!
//! # Not here
//! How much has to go: `room`. The rules: `policy`.

#![forbid(unsafe_code)]

use crate::item::Item;
use crate::page::Owner;
use crate::policy::{self, Moment, WINDOW_STEPS};
use crate::progress::Work;
use crate::store::Store;

impl Store {
    // ---- evicting ------------------------------------------------------------------------------

    /// As [`Store::evict_one`], where it need not be quick.
    #[inline(never)]
    pub(crate) fn evict_some(&mut self) -> bool {
        self.evict_one()
    }

    /// The policy lets one item go, or several steps pass. `false` where nothing was found to do.
    #[cfg_attr(not(feature = "small"), inline(always))]
    pub(crate) fn evict_one(&mut self) -> bool {
        if self.policy.is_lru() {
            return self.evict_oldest();
        }
        for _ in 0..WINDOW_STEPS {
            let share = self.policy.queues.rule.share_of(self.live());
            if self.logs.window.live < share {
                return self.evict_from_main() || self.evict_from_window();
            }
            let Some(item) = self.tail(Owner::Window) else {
                return self.evict_from_main();
            };
            match self.pass_window(item, share) {
                Passed::Gone => return true,
                Passed::Moved => {}
            }
        }
        true
    }

    fn evict_from_main(&mut self) -> bool {
        self.gate(self.policy.queues.looks(self.room.work.need), 0, true)
    }

    fn evict_from_window(&mut self) -> bool {
        let item = self.tail(Owner::Window);
        item.is_some_and(|item| {
            self.drop_item(Owner::Window, item);
            true
        })
    }

    /// An item of a head page goes, where nothing else can.
    pub(crate) fn evict_from_heads(&mut self) -> bool {
        let items = self.layout;
        [Owner::Window, Owner::Main].into_iter().any(|owner| {
            let item = self.logs.of(owner).head_item(&self.pages, items);
            item.is_some_and(|(id, head)| {
                self.drop_item(owner, items.item(&self.pages, id, head));
                true
            })
        })
    }

    pub(crate) fn evict_oldest(&mut self) -> bool {
        let Some(id) = self.kept.lru.oldest.some() else {
            return false;
        };
        self.drop_item(self.owner_of(id), self.item(id));
        true
    }

    /// The next item at a log's tail that can go.
    #[cfg_attr(not(feature = "small"), inline(always))]
    #[cfg_attr(feature = "small", inline(never))]
    fn tail(&mut self, owner: Owner) -> Option<Item> {
        let (pages, layout, work) = (&mut self.pages, self.layout, &mut self.room.work);
        let (id, head) = self
            .logs
            .of(owner)
            .tail_item(pages, layout, &mut work.steps)?;
        Some(layout.item(pages, id, head))
    }

    /// As [`Store::let_go`], where it need not be quick.
    #[inline(never)]
    fn drop_item(&mut self, owner: Owner, item: Item) {
        self.let_go(owner, item);
    }

    /// Asks for the lines of the index that are read when the next item goes.
    #[inline(always)]
    pub(crate) fn prefetch_victim(&mut self) {
        if self.index.is_far() {
            let share = self.policy.queues.rule.share_of(self.live());
            let from_main = self.logs.window.live < share;
            self.prefetch_tail(if from_main {
                Owner::Main
            } else {
                Owner::Window
            });
        }
    }

    /// The same where a log's next item goes, or moves.
    fn prefetch_tail(&mut self, owner: Owner) {
        if self.index.is_far()
            && let Some((id, head)) = self.logs.of(owner).next_item(&self.pages)
        {
            let key = self.layout.key_of(&self.pages, id, head);
            self.index.prefetch_hash(&self.pages, self.hasher.hash(key));
        }
    }

    /// An item at a log's tail goes: it has expired, or is evicted.
    #[cfg_attr(not(feature = "small"), inline(always))]
    #[cfg_attr(feature = "small", inline(never))]
    fn let_go(&mut self, owner: Owner, item: Item) {
        if self.is_expired(item.id, item.head) {
            self.expire(item.id);
        } else {
            self.evict(owner, item);
        }
        self.logs.of(owner).pass(item.id, item.here);
    }

    /// Moves an item at a log's tail to another log's head, or lets it go where there is no page for that.
    fn move_on(&mut self, from: Owner, item: Item, to: Owner, uses: u32) -> bool {
        let moved = self.relocate(item, to, uses).is_some();
        if !moved {
            self.evict(from, item);
        }
        self.logs.of(from).pass(item.id, item.here);
        self.prefetch_tail(from);
        moved
    }

    /// What becomes of the window's tail item: it goes, or is moved on, to main or to the window's head.
    #[cfg_attr(not(feature = "small"), inline(always))]
    #[cfg_attr(feature = "small", inline(never))]
    fn pass_window(&mut self, item: Item, share: u32) -> Passed {
        let uses = item.head.uses();
        let queues = &self.policy.queues;
        let (rule, credit) = (queues.rule, queues.credit(item.granules));
        let passes = !self.is_expired(item.id, item.head)
            && (policy::passes(uses, rule.uses.into(), credit)
                || rule.lucky > 0 && queues.is_lucky(self.hash_of(item.id)));
        if !passes || self.room.work.copied >= self.room.work.copied_max {
            self.let_go(Owner::Window, item);
            return Passed::Gone;
        }
        self.pass_on(item, share, policy::first_uses(credit))
    }

    /// As [`Store::pass_window`], for an item that was used enough, or is lucky.
    #[inline(never)]
    fn pass_on(&mut self, item: Item, share: u32, first: u32) -> Passed {
        let (window, uses) = (Owner::Window, item.head.uses());
        // A share in bytes is never met exactly: main has room while the window is an item above its own.
        let is_above = self.logs.window.live >= share.saturating_add(item.granules);
        if is_above || self.logs.main.live == 0 {
            return Passed::moved_if(self.move_on(window, item, Owner::Main, first));
        }
        if self.passes_gate(item.granules) {
            self.move_on(window, item, Owner::Main, first);
            return Passed::Gone;
        }
        if self.policy.queues.rule.stay && uses > 0 {
            return Passed::moved_if(self.move_on(window, item, window, uses - 1));
        }
        self.drop_item(window, item);
        Passed::Gone
    }

    /// Whether main gives way to an item of so many granules.
    fn passes_gate(&mut self, granules: u32) -> bool {
        match self.policy.queues.rule.looks {
            0 => self.evict_from_main(),
            looks => self.gate(looks.into(), granules, false),
        }
    }

    /// Looks at so many used items at main's tail for so many granules of unused ones, which go. Where one `must` go,
    /// it does after so many looks.
    fn gate(&mut self, looks: u32, granules: u32, must: bool) -> bool {
        let main = Owner::Main;
        let (mut left, mut freed) = (looks, 0);
        while let Some(item) = self.tail(main) {
            self.room.work.steps = self.room.work.steps.saturating_sub(1);
            if self.is_expired(item.id, item.head) {
                self.drop_item(main, item);
                if must || self.room.work.steps == 0 {
                    return true;
                }
                continue;
            }
            if left == 0 && !must {
                return false;
            }
            let queues = &mut self.policy.queues;
            let credit = queues.credit(item.granules);
            let aged = policy::aged(item.head.uses(), credit, &mut queues.dice);
            let copied_enough = self.room.work.copied >= self.room.work.copied_max;
            let Some(uses) = aged.filter(|_| !(must && (left == 0 || copied_enough))) else {
                self.drop_item(main, item);
                freed += item.granules;
                if must || freed >= granules {
                    return true;
                }
                continue;
            };
            if copied_enough {
                return false;
            }
            left = left.saturating_sub(1);
            if !self.move_on(main, item, main, uses) {
                return must;
            }
        }
        false
    }

    // ---- admitting -----------------------------------------------------------------------------

    /// The log that a newcomer of so many granules goes to, and its uses; `remembered`: it was evicted not long ago.
    #[inline]
    pub(crate) fn admit(&mut self, granules: u32, remembered: bool) -> (Owner, u32) {
        let reads = self.counters.hits + self.counters.misses;
        if self.policy.queues.inserting(reads) {
            self.measure();
        }
        if self.policy.is_lru() {
            return (Owner::Main, 0);
        }
        if self.room.full && !remembered {
            return (Owner::Window, 0);
        }
        self.admit_known(granules, remembered)
    }

    #[cold]
    fn measure(&mut self) {
        let live = self.live();
        let most = live.saturating_add(self.pages.granules_of(self.pages.available()));
        let most = if self.room.full { live } else { most };
        let moment = self.moment();
        self.policy.queues.measure(self.items, live, most, moment);
    }

    /// What was counted until now.
    pub(crate) fn moment(&self) -> Moment {
        Moment {
            hits: self.counters.hits,
            misses: self.counters.misses,
            now_ms: self.time().now(),
        }
    }

    /// As [`Store::admit`], for an item that is remembered, or where nothing had to go yet.
    fn admit_known(&mut self, granules: u32, remembered: bool) -> (Owner, u32) {
        let (live, rule) = (self.live(), self.policy.queues.rule);
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
        let mean = live / self.items.max(1);
        if self.logs.window.live >= share.saturating_add(granules.max(mean)) {
            return (Owner::Main, first);
        }
        self.room.work = Work::for_granules(granules);
        if self.pages.excess() > 0 {
            self.room.work.copied_max = 0;
        }
        if self.passes_gate(granules) {
            (Owner::Main, first)
        } else {
            (Owner::Window, if rule.again { rule.uses.into() } else { 0 })
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
