//! What the owners of pages have, and who has a page.

#![forbid(unsafe_code)]

use super::Shard;
use crate::log::Log;
use crate::page::{GRANULE, Id, Owner, Page};
use crate::stats::{OwnerStats, PageInfo, PageOwner};
use crate::store::Store;

impl Shard {
    /// What one owner of pages has.
    pub(crate) fn owner_stats(&self, owner: PageOwner) -> OwnerStats {
        let store = &self.store;
        let page = store.pages.page_size() as u64;
        let mut stats = OwnerStats {
            owner,
            page_size: store.pages.page_size(),
            ..OwnerStats::default()
        };
        let of_log = |log: &Log, stats: &mut OwnerStats| {
            stats.pages = u64::from(log.pages + log.chains);
            stats.items = u64::from(log.items);
            stats.live_bytes = u64::from(log.live) * GRANULE as u64;
            stats.free_bytes = u64::from(log.room()) * GRANULE as u64;
            stats.dead_bytes = stats.pages * page - stats.live_bytes - stats.free_bytes;
        };
        match owner {
            PageOwner::Window => {
                of_log(&store.logs.window, &mut stats);
                [stats.evictions, _] = store.counters.evictions;
                [stats.expirations, _] = store.counters.expirations;
                stats.oldest_age_ms = self.tail_age(&store.logs.window);
            }
            PageOwner::Main => {
                of_log(&store.logs.main, &mut stats);
                [_, stats.evictions] = store.counters.evictions;
                [_, stats.expirations] = store.counters.expirations;
                stats.oldest_age_ms = self.tail_age(&store.logs.main);
            }
            PageOwner::Index => {
                stats.pages = self.overhead_pages() as u64;
                stats.live_bytes = stats.pages * page;
            }
            PageOwner::Free => {
                stats.pages = u64::from(store.pages.free_count());
                stats.free_bytes = stats.pages * page;
            }
        }
        stats
    }

    /// Milliseconds since the item was set that is the next to be looked at for eviction; 0 where that is not kept.
    fn tail_age(&self, log: &Log) -> u64 {
        let store = &self.store;
        let next = if store.policy.is_lru() {
            store.kept.lru.oldest.some()
        } else {
            let item = log.oldest_item(&store.pages, store.layout);
            item.map(|(id, _)| id)
        };
        next.and_then(|id| self.age_of(id)).unwrap_or(0)
    }

    pub(crate) fn page_info(&self, page: Page) -> PageInfo {
        let store = &self.store;
        let descriptor = store.pages.get(page);
        let owner = match descriptor.owner {
            Owner::Chain => store.owner_of_chain(page),
            owner => owner,
        };
        let granules = store.pages.granules();
        let (owner, live) = match owner {
            Owner::Free => (PageOwner::Free, 0),
            Owner::Window => (PageOwner::Window, u32::from(descriptor.live)),
            Owner::Main | Owner::Chain => (PageOwner::Main, u32::from(descriptor.live)),
            Owner::Slab | Owner::Directory | Owner::Pins => (PageOwner::Index, granules),
        };
        PageInfo {
            owner,
            live,
            granules,
            touched: descriptor.owner != Owner::Free || u32::from(page.0) < store.pages.touched(),
        }
    }
}

impl Store {
    /// The log of the item that a chain's page belongs to. O(pages of the value).
    fn owner_of_chain(&self, page: Page) -> Owner {
        let mut first = page;
        while let Some(before) = self.pages.get(first).prev.some() {
            first = before;
        }
        self.owner_of(Id(self.pages.get(first).due))
    }
}
