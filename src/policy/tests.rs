//! What the policy costs in steps and bytes.

extern crate std;

use super::duo::LOOKS;
use super::*;
use crate::cache::Cache;
use crate::class::Geometry;
use crate::config::Config;
use crate::region::ALIGN;
use crate::segment::Buckets;
use std::vec::Vec;

/// Memory for a region, and where in it the region starts.
fn memory(len: usize) -> (Vec<u8>, usize) {
    let memory = std::vec![0; len + ALIGN];
    let at = memory.as_ptr().align_offset(ALIGN);
    (memory, at)
}

/// Slots looked at for the latest victim; and slots of the class with most of them in a page.
fn looks(cache: &Cache<'_>) -> (u32, u32) {
    let (mut looks, mut slots) = (0, 0);
    let done = cache.each_shard(|shard| {
        if let Policy::Duo(duo) = &shard.policy {
            looks = looks.max(duo.looks());
        }
        slots = slots.max(shard.slab.slots_per_page(Class(0)));
    });
    done.unwrap();
    (looks, slots)
}

/// Numbers that look random (splitmix64, G. Steele et al., OOPSLA 2014).
fn next(state: &mut u64) -> u64 {
    *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mut z = *state;
    z = (z ^ z >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ z >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ z >> 31
}

#[test]
fn a_victim_is_found_within_the_looks_after_any_history() {
    for (len, ops) in [(6 << 10, 100_000), (64 << 10, 200_000), (4 << 20, 700_000)] {
        let (mut memory, at) = memory(len);
        let cache = Cache::new(&mut memory[at..at + len], &Config::default()).unwrap();
        let (mut state, mut most, mut sum, mut victims) = (len as u64, 0, 0u64, 0u64);
        let keys = len as u64 / 20;
        for op in 0..ops {
            let random = next(&mut state);
            // Keys near 0 are more frequent; the workload changes now and then.
            let key = ((random % keys * (random >> 32 & 0xffff)) >> 16) + op / 50_000 * 1000;
            let key = key.to_le_bytes();
            let value = [0; 200];
            let evictions = cache.stats().evictions;
            let short = if op / 30_000 % 2 == 0 { 40 } else { 200 };
            match random >> 48 & 15 {
                // Stretches of one queue alone, and sparse pages.
                0 if op / 20_000 % 3 == 1 => drop(cache.delete(&key)),
                1..=6 => drop(cache.get(&key, &mut [0; 200])),
                n => cache
                    .set(&key, &value[..if n < 14 { short } else { 8 }], 0)
                    .unwrap(),
            }
            if cache.stats().evictions > evictions {
                let (now, slots) = looks(&cache);
                (most, sum, victims) = (most.max(now), sum + u64::from(now), victims + 1);
                assert!(now <= LOOKS + slots, "{now} looks at {op} in {len}");
            }
        }
        std::println!("{len}: {} looks a victim, at most {most}", sum / victims);
        cache.check().unwrap();
    }
}

/// Under a lowered limit the policy is asked where free slots lie between the items.
#[test]
fn a_victim_is_found_in_sparse_pages() {
    let len = 1 << 20;
    let (mut memory, at) = memory(len);
    let cache = Cache::new(&mut memory[at..at + len], &Config::default()).unwrap();
    for n in 0..20_000u64 {
        cache.set(&n.to_le_bytes(), &[], 0).unwrap();
    }
    for n in (0..20_000u64).filter(|n| n % 97 != 0) {
        let _ = cache.delete(&n.to_le_bytes());
    }
    let items = cache.item_count();
    assert!(items > 100);
    cache
        .each_shard(|shard| {
            for left in (0..shard.items).rev() {
                assert!(shard.evict_least().is_some(), "{left} left");
                assert_eq!(shard.items, left);
            }
            assert!(shard.evict_least().is_none());
        })
        .unwrap();
    cache.check().unwrap();
}

/// Bytes of an item, with what the index takes for it.
const ITEM: usize = 100;

#[test]
fn the_default_policy_costs_at_most_1_4_bytes_an_item_and_2_kib() {
    for shift in 12..=30 {
        let area = 1 << shift;
        let geometry = Geometry::for_area(area);
        let classes = geometry.slot_sizes().count();
        let tables = Policy::table_size(PolicyKind::Default, classes, area).unwrap();
        let buckets = Buckets::for_page(geometry.page_size());
        // Loads lie between half of the load that splits a segment and all of it, 0.72 on average.
        let load = buckets.split_at() as f64 * 0.72;
        let ghosts = f64::from(4 * buckets.ghost_buckets()) / load;
        let items = (area / ITEM) as f64;
        let cost = tables as f64 + items * ghosts;
        std::println!("{area}: {tables} B, {ghosts:.2} B an item: {cost:.0} B");
        assert!(cost <= 2048.0 + 1.4 * items, "{cost:.0} of {area} B");
    }
}
