//! The reference policies agree with plain implementations, and the optimum with a search over all choices.

mod common;
#[path = "reference/mod.rs"]
mod reference;

use common::Rng;
use reference::{ByteLru, Entry, Kind, Use, UseKind, byte_optimum_hits, optimum_hits};
use std::collections::VecDeque;

const KEYS: usize = 40;
const CAPACITIES: [usize; 6] = [2, 3, 7, 10, 16, 39];

/// Requests with frequent small numbers and some ascending runs.
fn requests(seed: u64, len: usize) -> Vec<u32> {
    let mut rng = Rng::new(seed);
    let mut ids = Vec::new();
    while ids.len() < len {
        if rng.one_in(20) {
            ids.extend((0..KEYS as u32).skip(rng.below(KEYS)));
        } else {
            ids.push(rng.log_uniform(1, KEYS) as u32 - 1);
        }
    }
    ids.truncate(len);
    ids
}

/// Hits of a queue from oldest to newest. With `renews`, a hit moves its key to the end.
fn plain_queue_hits(ids: &[u32], capacity: usize, renews: bool) -> u64 {
    let mut queue = VecDeque::new();
    let mut hits = 0;
    for &id in ids {
        match queue.iter().position(|&other| other == id) {
            Some(at) => {
                hits += 1;
                if renews {
                    queue.remove(at);
                    queue.push_back(id);
                }
            }
            None => {
                if queue.len() == capacity {
                    queue.pop_front();
                }
                queue.push_back(id);
            }
        }
    }
    hits
}

/// Hits of SIEVE: pairs of key and mark from oldest to newest, with the hand as an index.
fn plain_sieve_hits(ids: &[u32], capacity: usize) -> u64 {
    let mut items: Vec<(u32, bool)> = Vec::new();
    let (mut hand, mut hits) = (0, 0);
    for &id in ids {
        if let Some(item) = items.iter_mut().find(|item| item.0 == id) {
            item.1 = true;
            hits += 1;
            continue;
        }
        if items.len() == capacity {
            hand %= capacity;
            while items[hand].1 {
                items[hand].1 = false;
                hand = (hand + 1) % capacity;
            }
            items.remove(hand);
            // A hand behind the newest item restarts at the oldest one, before the new item is added.
            hand %= items.len().max(1);
        }
        items.push((id, false));
    }
    hits
}

/// The maximum number of hits over all choices of evictions and rejections.
fn best_hits(ids: &[u32], held: &[u32], capacity: usize) -> u64 {
    let Some((&id, rest)) = ids.split_first() else {
        return 0;
    };
    if held.contains(&id) {
        return 1 + best_hits(rest, held, capacity);
    }
    let with = [held, &[id]].concat();
    if with.len() <= capacity {
        return best_hits(rest, &with, capacity);
    }
    let choices = (0..with.len()).map(|out| {
        let mut held = with.clone();
        held.remove(out);
        best_hits(rest, &held, capacity)
    });
    choices.max().unwrap_or(0)
}

#[test]
fn lru_is_a_queue_that_hits_renew() {
    for (seed, capacity) in CAPACITIES.into_iter().enumerate() {
        let ids = requests(seed as u64, 3_000);
        let expected = plain_queue_hits(&ids, capacity, true);
        assert_eq!(Kind::Lru.hits(&ids, KEYS, capacity), expected);
    }
}

#[test]
fn fifo_is_a_queue_that_hits_do_not_change() {
    for (seed, capacity) in CAPACITIES.into_iter().enumerate() {
        let ids = requests(seed as u64, 3_000);
        let expected = plain_queue_hits(&ids, capacity, false);
        assert_eq!(Kind::Fifo.hits(&ids, KEYS, capacity), expected);
    }
}

#[test]
fn sieve_agrees_with_a_plain_one() {
    for (seed, capacity) in CAPACITIES.into_iter().enumerate() {
        let ids = requests(seed as u64, 3_000);
        let expected = plain_sieve_hits(&ids, capacity);
        assert_eq!(Kind::Sieve.hits(&ids, KEYS, capacity), expected);
    }
}

#[test]
fn optimum_is_the_best_of_all_choices() {
    let mut rng = Rng::new(1);
    for _ in 0..300 {
        let ids: Vec<u32> = (0..10).map(|_| rng.below(5) as u32).collect();
        for capacity in 1..4 {
            let best = best_hits(&ids, &[], capacity);
            assert_eq!(optimum_hits(&ids, 5, capacity), best, "{capacity}: {ids:?}");
        }
    }
}

#[test]
fn optimum_of_a_long_loop_keeps_all_but_one_item() {
    let (keys, capacity, laps) = (5_000, 1_000, 20);
    let ids: Vec<u32> = (0..laps).flat_map(|_| 0..keys as u32).collect();
    let hits = (laps - 1) * capacity as u64;
    assert_eq!(optimum_hits(&ids, keys, capacity), hits);
}

#[test]
fn no_policy_holds_more_than_its_capacity_or_beats_the_optimum() {
    for kind in Kind::ALL {
        for (seed, capacity) in CAPACITIES.into_iter().enumerate() {
            let ids = requests(seed as u64, 5_000);
            let mut cache = kind.cache(capacity, KEYS);
            let mut hits = 0;
            for &id in &ids {
                hits += u64::from(cache.access(id));
                assert!(cache.held() <= capacity, "{} overflows", kind.name());
            }
            assert!(hits <= optimum_hits(&ids, KEYS, capacity));
            assert_eq!(hits, kind.hits(&ids, KEYS, capacity));
        }
    }
}

#[test]
fn a_repeated_request_hits_in_every_policy_that_admits_all() {
    for kind in Kind::ALL {
        let mut cache = kind.cache(10, KEYS);
        for id in requests(7, 2_000) {
            cache.access(id);
            assert!(
                kind == Kind::WTinyLfu || cache.access(id),
                "{}",
                kind.name()
            );
        }
    }
}

#[test]
fn policies_that_resist_scans_keep_more_of_a_loop_than_lru() {
    let ids: Vec<u32> = (0..60).flat_map(|_| 0..1_000).collect();
    let hits = |kind: Kind| kind.hits(&ids, 1_000, 500);
    assert_eq!(hits(Kind::Lru), 0);
    assert!(hits(Kind::WTinyLfu) > 10_000);
    assert!(hits(Kind::Arc) < optimum_hits(&ids, 1_000, 500));
}

#[test]
fn byte_lru_stays_below_its_capacity_and_expires() {
    let mut cache = ByteLru::new(1_000, KEYS);
    let mut rng = Rng::new(3);
    let mut expires = [0; KEYS];
    for now_ms in 0..5_000 {
        let id = rng.below(KEYS) as u32;
        let hit = cache.get(id, now_ms);
        assert!(!hit || expires[id as usize] > now_ms);
        if !hit {
            expires[id as usize] = now_ms + rng.below(200) as u64;
            let bytes = rng.log_uniform(1, 2_000) as u64;
            let expires_ms = expires[id as usize];
            cache.set(id, Entry { bytes, expires_ms });
        }
        assert!(cache.used() <= 1_000);
    }
}

#[test]
fn byte_lru_of_equal_sizes_is_lru() {
    let ids = requests(9, 3_000);
    let mut cache = ByteLru::new(700, KEYS);
    let entry = Entry {
        bytes: 100,
        expires_ms: u64::MAX,
    };
    let mut hits = 0;
    for &id in &ids {
        if cache.get(id, 0) {
            hits += 1;
        } else {
            cache.set(id, entry);
        }
    }
    assert_eq!(hits, Kind::Lru.hits(&ids, KEYS, 7));
}

#[test]
fn beladys_rule_by_bytes_is_the_optimum_of_one_size() {
    let ids = requests(9, 3_000);
    let get = Use {
        bytes: 100,
        time_ms: 0,
        expires_ms: u64::MAX,
        kind: UseKind::Get,
    };
    for items in CAPACITIES {
        let hits = byte_optimum_hits(&ids, KEYS, 100 * items as u64 + 99, |_| get);
        assert_eq!(hits, optimum_hits(&ids, KEYS, items));
    }
}

/// The n-th request of a workload with every verb, in which items of one size live for 300 requests.
fn mixed(at: usize) -> Use {
    Use {
        bytes: 100,
        time_ms: at as u64,
        expires_ms: at as u64 + 300,
        kind: match at * 7 % 10 {
            0 => UseKind::Set,
            1 => UseKind::Delete,
            _ => UseKind::Get,
        },
    }
}

fn byte_lru_hits(ids: &[u32], capacity: u64, uses: impl Fn(usize) -> Use) -> u64 {
    let mut cache = ByteLru::new(capacity, KEYS);
    let mut hits = 0;
    for (at, &id) in ids.iter().enumerate() {
        let one = uses(at);
        let (bytes, expires_ms) = (one.bytes, one.expires_ms);
        match one.kind {
            UseKind::Delete => cache.delete(id),
            UseKind::Get if cache.get(id, one.time_ms) => hits += 1,
            _ => cache.set(id, Entry { bytes, expires_ms }),
        }
    }
    hits
}

#[test]
fn beladys_rule_knows_sets_deletes_and_expiry() {
    let ids = requests(5, 3_000);
    for items in CAPACITIES {
        let capacity = 100 * items as u64;
        let lru = byte_lru_hits(&ids, capacity, mixed);
        let most = byte_optimum_hits(&ids, KEYS, capacity, mixed);
        assert!(most > lru || most == lru && items == 39);
    }
    // With room for all, what is left is the same for every rule.
    let all = 100 * KEYS as u64;
    assert_eq!(
        byte_optimum_hits(&ids, KEYS, all, mixed),
        byte_lru_hits(&ids, all, mixed)
    );
}
