//! Attaching to a region: every whole item is recovered, and no other.

mod common;

use common::{DESCRIPTOR, Region, Rng, audited, checked, key, now_ms, page_tables, set_now};
use larder::{AttachReport, Cache, Config, Error, Found, PolicyKind, TTL_NEVER};
use std::collections::BTreeMap;
use std::mem::forget;

const KIB: usize = 1024;

/// A configuration with this test's clock, after `change`.
fn config(change: impl FnOnce(&mut Config)) -> Config {
    let mut config = Config::default().clock(now_ms);
    config.hash_seed = 7;
    change(&mut config);
    config
}

/// Configurations with all layouts of regions and items.
fn configs() -> Vec<Config> {
    let mut configs = Vec::new();
    for policy in [PolicyKind::Default, PolicyKind::Lru] {
        for (shards, item_times, checksum, zero_on_free) in [
            (1, false, false, false),
            (1, false, true, true),
            (2, true, true, false),
            (1, true, false, true),
        ] {
            configs.push(config(|c| {
                (c.policy, c.shards) = (policy, shards);
                (c.item_times, c.checksum) = (item_times, checksum);
                c.zero_on_free = zero_on_free;
            }));
        }
    }
    configs
}

fn copy_of(region: &mut Region) -> Region {
    let mut copy = Region::new(region.bytes().len());
    copy.bytes().copy_from_slice(region.bytes());
    copy
}

fn attach<'r>(region: &'r mut Region, config: &Config) -> (Cache<'r>, AttachReport) {
    let mut report = AttachReport::default();
    let cache = Cache::attach(region.bytes(), config, &mut report).unwrap();
    assert_eq!(report.found, Found::Cache);
    assert_eq!(report.items_recovered, cache.item_count());
    checked(&cache);
    audited(&cache);
    (cache, report)
}

/// A value computed from its key, version and length.
fn value(n: u64, version: u64, len: usize) -> Vec<u8> {
    let mut rng = Rng::new(n << 40 | version << 16 | len as u64);
    (0..len).map(|_| rng.next() as u8).collect()
}

/// Sets, deletes, touches and moves items, in a region too small for all of them.
fn work(cache: &Cache<'_>, rng: &mut Rng, size: usize, ops: u32) {
    for version in 0..ops {
        let n = rng.below(size / 64) as u64;
        let ttl = [0, 0, 50_000, 3_000_000_000, TTL_NEVER][rng.below(5)];
        let len = rng.log_uniform(1, size / 16);
        let done = match rng.below(20) {
            0 => cache.delete(&key(n)),
            1 => cache.touch(&key(n), ttl),
            2 => cache.set_i64(&key(n), n as i64, ttl),
            3 => cache.increment(&key(n), 3).map(drop),
            4 => cache.optimize(64).map(drop),
            5 => cache.reserve(&key(n), len, ttl).and_then(|mut room| {
                for i in 0..room.span_count() {
                    room.span_mut(i)?.fill(n as u8);
                }
                room.commit()
            }),
            _ => cache.set(&key(n), &value(n, u64::from(version), len), ttl),
        };
        assert!(
            matches!(
                done,
                Ok(()) | Err(Error::NotFound | Error::TypeMismatch | Error::TooLarge)
            ),
            "{done:?}"
        );
        set_now(now_ms() + rng.below(20) as u64);
    }
}

type Items = BTreeMap<Vec<u8>, (Vec<u8>, u64, i32)>;

/// All items with value, TTL and type.
fn items(cache: &Cache<'_>) -> Items {
    let mut keys = Vec::new();
    cache
        .scan(&mut Default::default(), |item| {
            keys.push((item.key.to_vec(), item.value_type as i32));
            true
        })
        .unwrap();
    let items = keys.into_iter().map(|(key, kind)| {
        let mut buffer = vec![0; 1 << 20];
        let len = cache.get(&key, &mut buffer).unwrap();
        let ttl = cache.ttl(&key).unwrap();
        (key, (buffer[..len].to_vec(), ttl, kind))
    });
    items.collect()
}

#[test]
fn every_item_is_recovered_at_another_address() {
    for size in [4 * KIB, 16 * KIB, 64 * KIB, 1024 * KIB] {
        for config in configs() {
            if config.shards > 1 && size < 16 * KIB {
                continue;
            }
            set_now(1 << 41);
            let mut rng = Rng::new(size as u64);
            let mut region = Region::new(size);
            let cache = Cache::new(region.bytes(), &config).unwrap();
            work(&cache, &mut rng, size, 3_000);
            let before = items(&cache);
            assert!(!before.is_empty());
            let then = now_ms();
            for _ in 0..3 {
                set_now(then);
                let mut other = copy_of(&mut region);
                let (cache, report) = attach(&mut other, &config);
                assert_eq!(report.items_dropped(), report.items_expired);
                assert!(items(&cache) == before);
                work(&cache, &mut rng, size, 1_000);
                checked(&cache);
            }
        }
    }
}

#[test]
fn the_index_is_made_for_items_and_not_for_their_parts() {
    let config = config(|_| ());
    let mut region = Region::new(8 * KIB * KIB);
    let cache = Cache::new(region.bytes(), &config).unwrap();
    cache.set(b"large", &value(1, 1, 3 * KIB * KIB), 0).unwrap();
    let used = cache.memory_usage();
    let (cache, _) = attach(&mut region, &config);
    assert_eq!(cache.memory_usage(), used);
}

#[test]
fn pins_are_void_and_their_bytes_free_after_an_attach() {
    for config in configs() {
        set_now(5);
        // One of two shards may get all items.
        let mut region = Region::new(128 * KIB);
        let cache = Cache::new(region.bytes(), &config).unwrap();
        for (key, len) in [(b"short", 100), (b"large", 9_000)] {
            cache.set(key, &value(1, 1, len), 0).unwrap();
        }
        // Never released, as after a crash of the owner.
        for _ in 0..2 {
            forget(cache.pin(b"short").unwrap());
            forget(cache.pin(b"large").unwrap());
            forget(cache.reserve(b"never", 9_000, 0).unwrap());
            forget(cache.reserve(b"never", 30, 0).unwrap());
        }
        cache.set(b"short", b"new", 0).unwrap();
        let (cache, report) = attach(&mut region, &config);
        assert_eq!(report.items_dropped(), 0);
        assert_eq!(cache.item_count(), 2);
        assert_eq!(cache.stats().views, 0);
        let mut buffer = [0; 9_000];
        assert_eq!(cache.get(b"short", &mut buffer), Ok(3));
        assert_eq!(cache.get(b"large", &mut buffer), Ok(9_000));
        assert_eq!(buffer[..], value(1, 1, 9_000));
        assert_eq!(cache.get(b"never", &mut buffer), Err(Error::NotFound));
        cache.delete(b"large").unwrap();
        cache.delete(b"short").unwrap();
        let empty = cache.memory_usage();
        cache.clear().unwrap();
        assert_eq!(cache.memory_usage(), empty, "nothing was lost");
    }
}

#[test]
fn exact_lru_keeps_its_order() {
    let config = config(|c| c.policy = PolicyKind::Lru);
    let mut rng = Rng::new(3);
    let mut region = Region::new(32 * KIB);
    let base = region.bytes().as_mut_ptr();
    let cache = Cache::new(region.bytes(), &config).unwrap();
    for _ in 0..3_000 {
        let n = rng.below(200) as u64;
        if cache.get(&key(n), &mut [0; 64]).is_err() {
            cache.set(&key(n), &[1; 40], 0).unwrap();
        }
    }
    // From here on both regions, the original and the copy, must make the same evictions.
    let mut other = Region::new(32 * KIB);
    other.bytes().copy_from_slice(cache_bytes(base, 32 * KIB));
    let (theirs, _) = attach(&mut other, &config);
    let order = |cache: &Cache<'_>| {
        let mut gone: Vec<u64> = Vec::new();
        let mut n = 1_000;
        while cache.item_count() > 0 && gone.len() < 100 {
            let before: Vec<u64> = (0..200)
                .filter(|&n| cache.contains(&key(n)).unwrap())
                .collect();
            cache.set(&key(n), &[1; 40], 0).unwrap();
            n += 1;
            gone.extend(
                before
                    .iter()
                    .filter(|&&n| !cache.contains(&key(n)).unwrap()),
            );
            if before.is_empty() {
                break;
            }
        }
        gone
    };
    let gone = order(&cache);
    assert!(gone.len() > 50);
    assert_eq!(gone, order(&theirs));
}

#[test]
fn other_regions_are_told_apart_and_not_changed() {
    let config = config(|_| {});
    let mut region = Region::new(64 * KIB);
    Cache::new(region.bytes(), &config).unwrap();
    let other = |found: Found, error: Error, region: &mut Region, change: &dyn Fn(&mut Config)| {
        let mut config = config;
        change(&mut config);
        let before = region.bytes().to_vec();
        let mut report = AttachReport::default();
        let attached = Cache::attach(region.bytes(), &config, &mut report);
        assert_eq!(attached.map(drop), Err(error));
        assert_eq!(report.found, found);
        assert!(region.bytes() == &before[..], "nothing was written");
    };
    let layout = (Found::OtherLayout, Error::VersionMismatch);
    other(layout.0, layout.1, &mut region, &|c| c.shards = 2);
    other(layout.0, layout.1, &mut region, &|c| c.checksum = true);
    other(layout.0, layout.1, &mut region, &|c| c.item_times = true);
    other(layout.0, layout.1, &mut region, &|c| {
        c.policy = PolicyKind::Lru
    });
    other(Found::OtherSeed, layout.1, &mut region, &|c| {
        c.hash_seed = 8
    });
    let mut empty = Region::new(64 * KIB);
    other(Found::Nothing, Error::NotFound, &mut empty, &|_| {});
    let mut longer = Region::new(65 * KIB);
    longer.bytes()[..64 * KIB].copy_from_slice(region.bytes());
    other(layout.0, layout.1, &mut longer, &|_| {});
    // The version's word.
    region.bytes()[4] ^= 1;
    other(Found::OtherVersion, layout.1, &mut region, &|_| {});
}

#[test]
fn ttls_continue_from_the_last_time() {
    let config = Config::default().clock(now_ms);
    set_now(10_000);
    let mut region = Region::new(16 * KIB);
    let cache = Cache::new(region.bytes(), &config).unwrap();
    cache.set(b"a", b"1", 1_000).unwrap();
    cache.set(b"b", b"2", 60_000).unwrap();
    set_now(10_400);
    assert_eq!(cache.ttl(b"a"), Ok(600));

    let mut later = copy_of(&mut region);
    set_now(10_500);
    let (cache, _) = attach(&mut later, &config);
    assert_eq!(cache.ttl(b"a"), Ok(500));

    // A clock that has restarted.
    let mut anew = copy_of(&mut region);
    set_now(3);
    let (cache, _) = attach(&mut anew, &config);
    assert_eq!(cache.ttl(b"a"), Ok(600));
    set_now(603);
    assert_eq!(cache.get(b"a", &mut [0; 8]), Err(Error::NotFound));

    set_now(12_000);
    let (cache, _) = attach(&mut region, &config);
    assert_eq!(cache.get(b"a", &mut [0; 8]), Err(Error::NotFound));
    assert_eq!(cache.ttl(b"b"), Ok(58_000));
}

#[test]
fn a_time_set_by_the_host_continues() {
    let config = Config::default();
    let mut region = Region::new(16 * KIB);
    let cache = Cache::new(region.bytes(), &config).unwrap();
    cache.set_time(1_000).unwrap();
    cache.set(b"a", b"1", 1_000).unwrap();
    cache.set_time(1_100).unwrap();
    let (cache, _) = attach(&mut region, &config);
    cache.set_time(1_300).unwrap();
    assert_eq!(cache.ttl(b"a"), Ok(700));
}

#[test]
fn damage_is_found_by_the_checksum_and_the_item_is_removed() {
    for len in [10, 3_000, 20_000] {
        let config = config(|c| c.checksum = true);
        let mut region = Region::new(64 * KIB);
        let cache = Cache::new(region.bytes(), &config).unwrap();
        let mark = value(9, 9, len);
        cache.set(b"key", &mark, 0).unwrap();
        assert_eq!(cache.get(b"key", &mut vec![0; len]), Ok(len));
        let tail = &mark[len - 8..];
        let at = region.bytes().windows(8).position(|w| w == tail).unwrap();
        region.bytes()[at + 3] ^= 0x10;

        let mut copy = copy_of(&mut region);
        let mut report = AttachReport::default();
        let cache = Cache::attach(copy.bytes(), &config, &mut report).unwrap();
        assert_eq!((report.items_recovered, report.items_corrupt), (0, 1));
        checked(&cache);
    }
}

// ---- forged regions: contents that no owner leaves are not recovered -----------------------------------

fn word(bytes: &[u8], at: usize) -> u32 {
    u32::from_ne_bytes(bytes[at..at + 4].try_into().unwrap())
}

fn change_word(bytes: &mut [u8], at: usize, change: impl FnOnce(u32) -> u32) {
    let new = change(word(bytes, at));
    bytes[at..at + 4].copy_from_slice(&new.to_ne_bytes());
}

fn half(bytes: &[u8], at: usize) -> u16 {
    u16::from_ne_bytes([bytes[at], bytes[at + 1]])
}

fn set_half(bytes: &mut [u8], at: usize, half: u16) {
    bytes[at..at + 2].copy_from_slice(&half.to_ne_bytes());
}

/// The offset of the item with this key, whose header has `words` words.
fn item_at(bytes: &[u8], key: &[u8], words: usize) -> usize {
    let at = bytes.windows(key.len()).position(|w| w == key);
    at.expect("the item is there") - 4 * words
}

/// Words of the header of a plain item, and of a long one.
const PLAIN: usize = 1;
const LONG: usize = 3;
/// Owners of pages.
const FREE: u8 = 0;
const MAIN: u8 = 2;
const CHAIN: u8 = 3;

/// A region of 4 KiB with pages of 128 bytes, which a test changes.
struct Forge<'r> {
    bytes: &'r mut [u8],
    /// The page table, and page 0.
    table: usize,
    pages: u16,
    page_0: usize,
}

const PAGE: usize = 128;

impl Forge<'_> {
    /// The offset of `next` in a page's descriptor.
    fn next(&self, page: u16) -> usize {
        self.table + DESCRIPTOR * usize::from(page)
    }

    fn prev(&self, page: u16) -> usize {
        self.next(page) + 2
    }

    fn first(&self, page: u16) -> usize {
        self.next(page) + 6
    }

    fn due(&self, page: u16) -> usize {
        self.next(page) + 8
    }

    fn era(&self, page: u16) -> usize {
        self.next(page) + 12
    }

    fn owner(&self, page: u16) -> usize {
        self.next(page) + 14
    }

    fn page_of(&self, at: usize) -> u16 {
        ((at - self.page_0) / PAGE) as u16
    }

    fn start_of(&self, page: u16) -> usize {
        self.page_0 + usize::from(page) * PAGE
    }

    fn free_page(&self) -> u16 {
        let mut pages = 0..self.pages;
        let free = pages.find(|&page| self.bytes[self.owner(page)] == FREE);
        free.expect("some page is free")
    }

    /// The offset of a long item's word with the pages of its rest and its chain.
    fn names(&self, key: &[u8]) -> usize {
        item_at(self.bytes, key, LONG) + 8
    }
}

/// Fills a region of 4 KiB by `fill`, changes it by `forge`, attaches, and checks the cache by the third function.
fn forged(
    fill: impl FnOnce(&Cache<'_>),
    forge: impl FnOnce(&mut Forge<'_>),
    then: impl FnOnce(&Cache<'_>, &AttachReport),
) {
    set_now(1 << 41);
    let config = config(|_| {});
    let mut region = Region::new(4 * KIB);
    Cache::new(region.bytes(), &config).unwrap();
    let (table, pages) = page_tables(region.bytes())[0];
    // The first item is at the start of the first page.
    let cache = Cache::new(region.bytes(), &config).unwrap();
    cache.set(b"the first", b"", 0).unwrap();
    assert_eq!(cache.stats().page_size, PAGE as u32);
    let page_0 = item_at(region.bytes(), b"the first", PLAIN);
    let cache = Cache::new(region.bytes(), &config).unwrap();
    fill(&cache);
    let bytes = region.bytes();
    forge(&mut Forge {
        bytes,
        table,
        pages: pages as u16,
        page_0,
    });
    let (cache, report) = attach(&mut region, &config);
    then(&cache, &report);
    for key in [&b"the key"[..], b"other"] {
        let _ = cache.touch(key, 50_000);
        let _ = cache.increment(key, 1);
        let _ = cache.set(key, &[3; 200], 0);
    }
    let _ = cache.optimize(0);
    for n in 0..200 {
        cache.set(&key(n), &[5; 90], 0).unwrap();
        checked(&cache);
    }
    audited(&cache);
}

fn put(value: &[u8]) -> impl FnOnce(&Cache<'_>) {
    move |cache| cache.set(b"the key", value, 0).unwrap()
}

/// Checks that only "the key" is not recovered.
fn is_torn(cache: &Cache<'_>, report: &AttachReport) {
    assert_eq!(report.items_torn, 1, "{report:?}");
    assert_eq!(cache.contains(b"the key"), Ok(false));
    assert_eq!(
        cache.item_count(),
        u64::from(cache.contains(b"other").unwrap())
    );
}

#[test]
fn a_free_page_of_an_owner_that_is_none_is_free() {
    for owner in [3, 4, 5, 6, 7, 250] {
        let forge = |forge: &mut Forge<'_>| {
            let at = forge.owner(forge.free_page());
            forge.bytes[at] = owner;
        };
        forged(put(b"value"), forge, |cache, report| {
            assert_eq!((cache.item_count(), report.items_dropped()), (1, 0));
            assert_eq!(cache.stats().pages_free, cache.stats().page_count - 1);
        });
    }
}

#[test]
fn a_page_whose_items_begin_behind_its_end_holds_none() {
    for first in [33, 34, 0x7fff, u16::MAX] {
        let forge = |forge: &mut Forge<'_>| {
            let at = forge.first(forge.page_of(item_at(forge.bytes, b"the key", PLAIN)));
            set_half(forge.bytes, at, first);
        };
        forged(put(b"value"), forge, |cache, _| {
            assert_eq!(cache.item_count(), 0)
        });
    }
}

#[test]
fn an_item_that_leaves_its_page_is_none() {
    // The longest item ends with its page.
    let longest = PAGE - 4 * PLAIN - b"the key".len();
    forged(
        put(&[1; 117]),
        |_| {},
        |cache, _| assert_eq!(cache.item_count(), 1),
    );
    assert_eq!(longest, 117);
    for more in [1, 2, 100, 65_000] {
        let forge = |forge: &mut Forge<'_>| {
            let at = item_at(forge.bytes, b"the key", PLAIN);
            change_word(forge.bytes, at, |word| word + (more << 8));
        };
        forged(put(&[1; 117]), forge, is_torn);
    }
    // A header that leaves its page.
    for words in [0xff, 1 << 31 | 0xff, 0xffff_ffff] {
        let forge = |forge: &mut Forge<'_>| {
            let at = item_at(forge.bytes, b"the key", PLAIN);
            change_word(forge.bytes, at, |_| words);
        };
        forged(put(&[1; 20]), forge, |cache, _| {
            assert_eq!(cache.item_count(), 0)
        });
    }
}

#[test]
fn a_long_item_whose_lengths_do_not_agree_is_none() {
    // 300 bytes: 44 in the log, and two pages.
    let changes: [fn(&mut u32, &mut u32); 8] = [
        |_, len| *len += 1,
        |_, len| *len += 128,
        |_, len| *len -= 128,
        |_, len| *len = 44,
        |_, len| *len = 0,
        |_, len| *len = u32::MAX,
        |word, _| *word += 1 << 8,
        // The part in the log is always less than a page.
        |word, len| (*word, *len) = (*word + (128 << 8), *len + 128),
    ];
    for change in changes {
        let forge = |forge: &mut Forge<'_>| {
            let at = item_at(forge.bytes, b"the key", LONG);
            let (mut first, mut len) = (word(forge.bytes, at), word(forge.bytes, at + 4));
            change(&mut first, &mut len);
            change_word(forge.bytes, at, |_| first);
            change_word(forge.bytes, at + 4, |_| len);
        };
        forged(put(&[1; 300]), forge, is_torn);
    }
}

#[test]
fn a_number_of_another_length_is_none() {
    for form in [2, 3, 4, 7] {
        for (len, words) in [(20, PLAIN), (300, LONG)] {
            let forge = |forge: &mut Forge<'_>| {
                let at = item_at(forge.bytes, b"the key", words);
                change_word(forge.bytes, at, |word| word & 0x1fff_ffff | form << 29);
            };
            forged(put(&vec![1; len]), forge, |cache, report| {
                assert_eq!((cache.item_count(), report.items_recovered), (0, 0));
            });
        }
    }
}

#[test]
fn pages_that_no_item_leads_to_are_free() {
    let forge = |forge: &mut Forge<'_>| {
        let at = item_at(forge.bytes, b"the key", LONG);
        // Makes its granules dead: header, key and 44 bytes.
        change_word(forge.bytes, at, |_| (LONG as u32 + 13) << 8);
    };
    forged(put(&[1; 300]), forge, |cache, report| {
        assert_eq!((cache.item_count(), report.items_dropped()), (0, 0));
        assert_eq!(cache.stats().pages_free, cache.stats().page_count);
    });
}

#[test]
fn a_chain_that_leads_elsewhere_is_none() {
    let named = |forge: &Forge<'_>| (word(forge.bytes, forge.names(b"the key")) >> 16) as u16;
    let item_page = |forge: &Forge<'_>| forge.page_of(item_at(forge.bytes, b"the key", LONG));
    // The item names another page.
    type Pick = fn(&Forge<'_>, u16, u16) -> u16;
    let picks: [Pick; 6] = [
        |forge, first, _| half(forge.bytes, forge.next(first)),
        |_, _, item| item,
        |forge, _, _| forge.free_page(),
        |_, _, _| u16::MAX,
        |forge, _, _| forge.pages,
        |_, _, _| u16::MAX - 1,
    ];
    for pick in picks {
        let forge = |forge: &mut Forge<'_>| {
            let page = pick(forge, named(forge), item_page(forge));
            let at = forge.names(b"the key");
            change_word(forge.bytes, at, |names| {
                names & 0xffff | u32::from(page) << 16
            });
        };
        forged(put(&[1; 300]), forge, is_torn);
    }
    // The links of its pages are broken.
    let breaks: [fn(&mut Forge<'_>, u16, u16); 8] = [
        |forge, first, _| set_half(forge.bytes, forge.next(first), first),
        |forge, first, _| set_half(forge.bytes, forge.next(first), u16::MAX),
        |forge, first, _| set_half(forge.bytes, forge.next(first), forge.pages),
        |forge, first, _| set_half(forge.bytes, forge.prev(first), first),
        |forge, first, second| set_half(forge.bytes, forge.next(second), first),
        |forge, _, second| set_half(forge.bytes, forge.prev(second), second),
        |forge, _, second| set_half(forge.bytes, forge.prev(second), u16::MAX),
        |forge, _, second| forge.bytes[forge.owner(second)] = FREE,
    ];
    for cut in breaks {
        let forge = |forge: &mut Forge<'_>| {
            let first = named(forge);
            let second = half(forge.bytes, forge.next(first));
            cut(forge, first, second);
        };
        forged(put(&[1; 300]), forge, is_torn);
    }
    // The chain has one page too many.
    let forge = |forge: &mut Forge<'_>| {
        let (first, more) = (named(forge), forge.free_page());
        let second = half(forge.bytes, forge.next(first));
        set_half(forge.bytes, forge.next(second), more);
        set_half(forge.bytes, forge.prev(more), second);
        set_half(forge.bytes, forge.next(more), u16::MAX);
        forge.bytes[forge.owner(more)] = CHAIN;
    };
    forged(put(&[1; 300]), forge, is_torn);
}

#[test]
fn two_items_with_one_chain_are_one() {
    let fill = |cache: &Cache<'_>| {
        cache.set(b"the key", &[1; 300], 0).unwrap();
        cache.set(b"other", &[2; 300], 0).unwrap();
    };
    let forge = |forge: &mut Forge<'_>| {
        let (one, other) = (forge.names(b"the key"), forge.names(b"other"));
        let names = word(forge.bytes, one);
        change_word(forge.bytes, other, |_| names);
    };
    forged(fill, forge, |cache, report| {
        assert_eq!((cache.item_count(), report.items_torn), (1, 1));
    });
}

#[test]
fn a_rest_that_is_not_the_items_own_is_none() {
    // With its header, "the key" is longer than a page.
    let fill = |cache: &Cache<'_>| {
        cache.set(b"other", &[2; 60], 0).unwrap();
        cache.set(b"the key", &[1; 126], 0).unwrap();
    };
    forged(
        fill,
        |_| {},
        |cache, _| {
            assert_eq!(cache.item_count(), 2);
            assert_eq!(cache.get(b"the key", &mut [0; 126]), Ok(126));
        },
    );
    let breaks: [fn(&mut Forge<'_>, u16); 11] = [
        |forge, rest| change_word(forge.bytes, forge.start_of(rest), |id| id + 1),
        |forge, rest| change_word(forge.bytes, forge.start_of(rest), |_| u32::MAX),
        |forge, rest| change_word(forge.bytes, forge.start_of(rest), |_| 0),
        |forge, rest| set_half(forge.bytes, forge.first(rest), 1),
        |forge, rest| set_half(forge.bytes, forge.first(rest), 0),
        |forge, rest| set_half(forge.bytes, forge.first(rest), 32),
        |forge, rest| forge.bytes[forge.owner(rest)] = FREE,
        |forge, rest| forge.bytes[forge.owner(rest)] = MAIN,
        |forge, _| change_word(forge.bytes, forge.names(b"the key"), |word| word & !0xffff),
        |forge, _| change_word(forge.bytes, forge.names(b"the key"), |word| word - 1),
        |forge, _| {
            change_word(forge.bytes, forge.names(b"the key"), |word| {
                word & !0xffff | 0xfffe
            })
        },
    ];
    for cut in breaks {
        let forge = |forge: &mut Forge<'_>| {
            let rest = word(forge.bytes, forge.names(b"the key")) as u16;
            cut(forge, rest);
        };
        forged(fill, forge, |cache, report| {
            assert!(report.items_torn >= 1, "{report:?}");
            assert_eq!(cache.contains(b"the key"), Ok(false));
            assert_eq!(cache.get(b"other", &mut [0; 60]), Ok(60));
        });
    }
}

#[test]
fn the_order_of_pages_may_be_any() {
    let fill = |cache: &Cache<'_>| {
        for n in 0..8 {
            cache.set(&key(n), &[1; 100], 0).unwrap();
        }
    };
    for (next, prev) in (0..30).flat_map(|next| [0, 1, 5, 200, u16::MAX].map(|prev| (next, prev))) {
        let forge = |forge: &mut Forge<'_>| {
            for page in 0..forge.pages {
                if forge.bytes[forge.owner(page)] != FREE {
                    set_half(forge.bytes, forge.next(page), next);
                    set_half(forge.bytes, forge.prev(page), prev);
                }
            }
        };
        forged(fill, forge, |cache, report| {
            assert_eq!((cache.item_count(), report.items_dropped()), (8, 0));
        });
    }
}

#[test]
fn no_due_and_no_era_of_a_page_give_a_longer_life() {
    let dues = [
        1,
        2,
        1 << 20,
        1 << 21,
        1 << 30,
        1 << 31,
        u32::MAX - 1,
        u32::MAX,
    ];
    let eras = [0, 1, 2, 3, 4, 0x7fff, u16::MAX];
    for ttl in [1_000, 1 << 29, 1 << 35] {
        for (due, era) in dues.iter().flat_map(|&due| eras.map(|era| (due, era))) {
            let forge = |forge: &mut Forge<'_>| {
                let words = PLAIN + 1;
                let page = forge.page_of(item_at(forge.bytes, b"the key", words));
                let (due_at, era_at) = (forge.due(page), forge.era(page));
                change_word(forge.bytes, due_at, |old| if due == 1 { old } else { due });
                set_half(forge.bytes, era_at, era);
            };
            let fill = |cache: &Cache<'_>| cache.set(b"the key", b"value", ttl).unwrap();
            forged(fill, forge, |cache, _| {
                let lives = |cache: &Cache<'_>| cache.ttl(b"the key").unwrap_or(0);
                assert!(lives(cache) <= ttl, "{ttl} {due} {era}");
                for step in [ttl, 1 << 38, 1 << 39, 1 << 39] {
                    set_now(now_ms() + step);
                    assert_eq!(lives(cache), 0, "{ttl} {due} {era}");
                }
            });
        }
    }
}

#[test]
fn of_two_items_with_one_key_the_replaced_one_is_removed() {
    let (mut lower, mut higher) = (0, 0);
    for seed in 0..40 {
        let config = config(|c| c.hash_seed = seed);
        let mut rng = Rng::new(seed);
        let mut region = Region::new(4 * KIB);
        let base = region.bytes().as_mut_ptr();
        let cache = Cache::new(region.bytes(), &config).unwrap();
        let noise = |rng: &mut Rng| {
            for _ in 0..rng.below(12) {
                let n = rng.below(6) as u64;
                let _ = cache.delete(&key(n));
                cache.set(&key(n), &[9; 110][..rng.below(110)], 0).unwrap();
            }
        };
        noise(&mut rng);
        cache.set(b"the key", b"old value", 0).unwrap();
        let old = item_at(cache_bytes(base, 4 * KIB), b"the key", PLAIN);
        let first = word(cache_bytes(base, 4 * KIB), old);
        for n in 0..6 {
            let _ = cache.delete(&key(n));
        }
        // Varies the pages that the next items take.
        for n in 0..rng.below(3) as u64 {
            cache.set(&key(20 + n), &[8; 90], 0).unwrap();
        }
        cache.set(b"the key", b"the new value", 0).unwrap();
        let is_there = word(cache_bytes(base, 4 * KIB), old) == 5 << 8;
        let new = region
            .bytes()
            .windows(20)
            .position(|w| w == b"the keythe new value");
        let Some(new) = new.filter(|_| is_there) else {
            continue;
        };
        // As after a crash before the old item was killed.
        change_word(region.bytes(), old, |_| first);
        let (cache, report) = attach(&mut region, &config);
        assert_eq!(report.items_torn, 0);
        if report.items_duplicate == 0 {
            // The old item's page was released.
            continue;
        }
        (lower, higher) = (lower + u32::from(old < new), higher + u32::from(old > new));
        let mut buffer = [0; 13];
        assert_eq!(cache.get(b"the key", &mut buffer), Ok(13));
        assert_eq!(&buffer, b"the new value");
    }
    assert!(lower > 3 && higher > 3, "{lower} {higher}");
}

#[test]
fn free_bytes_are_zero_with_zero_on_free() {
    let config = config(|c| c.zero_on_free = true);
    let mut region = Region::new(4 * KIB);
    Cache::new(region.bytes(), &config).unwrap();
    let cache = Cache::new(region.bytes(), &config).unwrap();
    cache.set(b"the key", &[1; 100], 0).unwrap();
    // As after a crash before a page, and the end of another one, were zeroed.
    let at = item_at(region.bytes(), b"the key", PLAIN);
    region.bytes()[at + 116..at + 128].fill(0xee);
    region.bytes()[at + 3 * PAGE..at + 5 * PAGE].fill(0xee);
    let (cache, _) = attach(&mut region, &config);
    assert_eq!(cache.item_count(), 1);
    assert!(!region.bytes().windows(4).any(|w| w == [0xee; 4]));
}

#[test]
fn an_item_in_a_shard_that_is_not_its_own_is_none() {
    let config = config(|c| c.shards = 2);
    let mut region = Region::new(32 * KIB);
    Cache::new(region.bytes(), &config).unwrap();
    let tables = page_tables(region.bytes());
    let (first, second) = (tables[0].0, tables[1].0);
    let cache = Cache::new(region.bytes(), &config).unwrap();
    for n in 0..50 {
        cache.set(&key(n), &[1; 20], 0).unwrap();
    }
    // The two parts of the region change places, page descriptors first.
    let (one, other) = region.bytes().split_at_mut(second);
    let len = (second - first).min(other.len());
    one[first..first + len].swap_with_slice(&mut other[..len]);
    let (cache, report) = attach(&mut region, &config);
    assert_eq!(report.items_recovered, 0);
    assert!(report.items_torn > 20, "{report:?}");
    assert_eq!(cache.item_count(), 0);
}

#[test]
#[cfg(feature = "hosted")]
fn without_the_mark_of_host_time_the_clock_runs() {
    let config = Config::default();
    let mut region = Region::new(16 * KIB);
    let cache = Cache::new(region.bytes(), &config).unwrap();
    cache.set_time(1_000).unwrap();
    let by_hand = region
        .bytes()
        .windows(4)
        .position(|w| w == u32::from_le_bytes(*b"hand").to_ne_bytes())
        .unwrap();
    change_word(region.bytes(), by_hand, |_| 1);
    let (cache, _) = attach(&mut region, &config);
    cache.set(b"key", b"value", 1).unwrap();
    std::thread::sleep(std::time::Duration::from_millis(5));
    assert_eq!(cache.get(b"key", &mut [0; 8]), Err(Error::NotFound));
}

/// Changes a word of a cache's memory without the cache, as a failing memory cell does.
#[allow(unsafe_code)]
fn change_behind_its_back(base: *mut u8, at: usize, change: impl FnOnce(u32) -> u32) {
    // SAFETY: the offset is inside the region of the pointer, and no call is under way.
    let word = unsafe { base.add(at).cast::<u32>() };
    // SAFETY: as above; offsets of words are multiples of four.
    let old = unsafe { word.read() };
    // SAFETY: as above.
    unsafe { word.write(change(old)) };
}

#[test]
fn a_chain_that_leads_anywhere_is_found_by_the_checksum() {
    // Other pages for the chain, and for a rest that does not exist.
    let somewhere = |names: u32| {
        let chain = [1, 3, 64, 0x8000].map(|by| names ^ by << 16);
        [
            chain[0],
            chain[1],
            chain[2],
            chain[3],
            names | 0xffff_0000,
            names & !0xffff,
            names ^ 1,
        ]
    };
    for i in 0..7 {
        for policy in [PolicyKind::Default, PolicyKind::Lru] {
            let config = config(|c| (c.policy, c.checksum) = (policy, true));
            let mut region = Region::new(64 * KIB);
            let base = region.bytes().as_mut_ptr();
            let cache = Cache::new(region.bytes(), &config).unwrap();
            cache.set(b"the key", &[1; 5_000], 0).unwrap();
            cache.set(b"other", &[2; 500], 0).unwrap();
            let words = if policy == PolicyKind::Lru { 6 } else { 4 };
            let at = item_at(cache_bytes(base, 64 * KIB), b"the key", words);
            change_behind_its_back(base, at + 4 * words - 4, |names| somewhere(names)[i]);
            let mut buffer = [0; 5_000];
            assert_eq!(cache.get(b"the key", &mut buffer), Err(Error::Corrupt));
            assert_eq!(cache.get(b"the key", &mut buffer), Err(Error::NotFound));
            assert_eq!(cache.get(b"other", &mut buffer), Ok(500));
            assert_eq!(cache.stats().failed_corrupt, 1);
        }
    }
}

#[allow(unsafe_code)]
fn cache_bytes<'r>(base: *const u8, len: usize) -> &'r [u8] {
    // SAFETY: the region lives as long as its test, and no call is under way.
    unsafe { std::slice::from_raw_parts(base, len) }
}

#[test]
fn an_index_whose_items_are_all_gone_is_as_small_as_a_new_one() {
    for (seed, items) in (0..40).map(|i| (i, 100 + i * 5)) {
        let config = config(|c| (c.policy, c.hash_seed) = (PolicyKind::Lru, seed));
        let mut region = Region::new(1024 * KIB);
        let cache = Cache::new(region.bytes(), &config).unwrap();
        let empty = cache.memory_usage();
        for n in 0..items {
            // The items have several parts; only the item itself takes an entry of the index.
            cache.set(&key(n), &[1; 2_500], 0).unwrap();
        }
        let (cache, _) = attach(&mut region, &config);
        for n in 0..items {
            cache.delete(&key(n)).unwrap();
        }
        cache.optimize(0).unwrap();
        assert_eq!(
            cache.memory_usage(),
            empty,
            "after {items} items, seed {seed}"
        );
    }
}
