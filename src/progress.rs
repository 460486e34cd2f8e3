//! How far making room has come: what a call may still do, the page being cleaned, and the sweep's hand.
//!
//! # Not here
//! What is done: `room`, `clean`, `sweep`.

#![forbid(unsafe_code)]

use crate::page::{Page, Pages};

/// What a call may still do, and has done.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Work {
    /// Items and dead runs that may still be looked at.
    pub(crate) steps: u32,
    /// Granules copied, and how many may be before items go whatever their uses.
    pub(crate) copied: u32,
    pub(crate) copied_max: u32,
    /// Granules asked for.
    pub(crate) need: u32,
}

/// Steps of a slice, beside one for each granule asked for.
const STEPS: u32 = 64;
/// Of more granules, no slice does more than of so many: 512 MiB.
const NEED_MAX: u32 = 1 << 27;

impl Work {
    /// What a call for so many granules may do.
    #[inline]
    pub(crate) fn for_granules(granules: u32) -> Self {
        let need = granules.min(NEED_MAX);
        Self {
            steps: STEPS + need,
            copied: 0,
            copied_max: need * 4 + 128,
            need,
        }
    }

    /// Something has to go, and nothing is copied for its uses. The search for it walks past what is pinned and what
    /// is dead beside it: at most a page for each that is pinned.
    pub(crate) const FORCED: Self = Self {
        steps: u32::MAX,
        copied: 0,
        copied_max: 0,
        need: 1,
    };
}

/// What making room keeps from call to call.
#[derive(Debug)]
pub(crate) struct Room {
    /// Some item had to go for another one.
    pub(crate) full: bool,
    pub(crate) work: Work,
    pub(crate) cleaner: Cleaner,
    pub(crate) sweep: Sweep,
}

impl Room {
    pub(crate) fn new() -> Self {
        Self {
            full: false,
            work: Work::default(),
            cleaner: Cleaner::default(),
            sweep: Sweep::default(),
        }
    }

    /// There are no items any more; the counts stay.
    pub(crate) fn restart(&mut self) {
        *self = Self::new();
    }

    /// A higher limit: newcomers find room without evictions again.
    pub(crate) fn limit_rose(&mut self) {
        self.full = false;
    }
}

/// The descriptor's mark of the page that is being cleaned.
pub(crate) const CLEANED: u8 = 1;

/// The descriptor's mark of a page in which an item has expired.
pub(crate) const EXPIRED: u8 = 2;

/// The page being cleaned.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Cleaner {
    pub(crate) page: Page,
    /// The next granule to look at.
    pub(crate) at: u32,
    /// The next page to sample.
    pub(crate) hand: u32,
    /// Pages marked [`EXPIRED`], at most: their dead bytes come back before an item is evicted.
    pub(crate) owed: u32,
}

impl Default for Cleaner {
    fn default() -> Self {
        Self {
            page: Page::NONE,
            at: 0,
            hand: 0,
            owed: 0,
        }
    }
}

impl Cleaner {
    /// The page, unless it was given back meanwhile.
    pub(crate) fn page(&self, pages: &Pages) -> Option<Page> {
        self.page
            .some()
            .filter(|&page| pages.get(page).mark == CLEANED)
    }

    /// Granules of the page that come back with it.
    #[inline]
    pub(crate) fn passed(&self, pages: &Pages) -> u32 {
        self.page(pages)
            .map_or(0, |page| self.at - pages.start_of(page))
    }

    /// Whether expired items' bytes are dead in pages.
    pub(crate) fn is_owed(&self) -> bool {
        self.owed > 0
    }

    /// An item of the page has expired.
    pub(crate) fn owe(&mut self, pages: &mut Pages, page: Page) {
        let descriptor = pages.get_mut(page);
        if descriptor.owner.is_log() && descriptor.mark == 0 {
            descriptor.mark = EXPIRED;
            self.owed += 1;
        }
    }

    /// Whether expired items' bytes are to come back before an item goes, or a page is half cleaned.
    pub(crate) fn is_wanted(&self, pages: &Pages) -> bool {
        self.owed > 0 || self.page(pages).is_some()
    }

    /// The next page to look at.
    pub(crate) fn start_at(&mut self, page: u32) {
        self.hand = page;
    }

    pub(crate) fn stop(&mut self, pages: &mut Pages) {
        if let Some(page) = self.page(pages) {
            pages.get_mut(page).mark = 0;
        }
        self.page = Page::NONE;
    }
}

/// Where the hand stands.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sweep {
    pub(crate) page: u32,
    /// The next granule of the page, where it is walked.
    pub(crate) at: Option<u32>,
    /// When the first item of those passed in the page expires, and of those that came since.
    pub(crate) page_due: u64,
    /// The same of the pages passed in this lap.
    pub(crate) lap_due: u64,
    /// Nothing expires anywhere before this time.
    pub(crate) due: u64,
}

impl Default for Sweep {
    fn default() -> Self {
        Self {
            page: 0,
            at: None,
            page_due: u64::MAX,
            lap_due: u64::MAX,
            due: u64::MAX,
        }
    }
}

impl Sweep {
    /// An item of a page expires at `at`, and its grace ends `over`.
    pub(crate) fn note(&mut self, page: Page, at: u64, over: u64) {
        self.due = self.due.min(over);
        self.lap_due = self.lap_due.min(over);
        if u32::from(page.0) == self.page {
            self.page_due = self.page_due.min(at);
        }
    }

    /// Every page is to be looked at.
    pub(crate) fn wake(&mut self) {
        *self = Self {
            due: 0,
            ..Self::default()
        };
    }
}
