//! Attaches to a region with unknown contents, and uses the recovered cache.

use crate::common::{Rng, now_ms, set_now};
use crate::image::{
    Image, is_value_of, key_count, key_of, may_be, number_of, store, ttl_of, value_of,
};
use larder::{AttachReport, Cache, Config, Error, Found, TTL_NEVER, Type, View};
use std::collections::BTreeSet;

/// Calls on a recovered cache.
const CALLS: usize = 60;
const CANARY: u8 = 0xa5;
const CANARIES: usize = 64;

/// The results over all images.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Tally {
    pub(crate) images: u64,
    pub(crate) taken_over: u64,
    pub(crate) told_apart: u64,
    pub(crate) recovered: u64,
    pub(crate) dropped: u64,
    pub(crate) calls: u64,
}

impl Tally {
    pub(crate) fn add(&mut self, other: &Self) {
        self.images += other.images;
        self.taken_over += other.taken_over;
        self.told_apart += other.told_apart;
        self.recovered += other.recovered;
        self.dropped += other.dropped;
        self.calls += other.calls;
    }
}

/// A region between guard bytes, which must not change.
struct Fenced {
    bytes: Vec<u8>,
    at: usize,
    len: usize,
}

impl Fenced {
    fn new(image: &[u8]) -> Self {
        let mut bytes = vec![CANARY; image.len() + 2 * CANARIES];
        let at = bytes[CANARIES / 2..].as_ptr().align_offset(larder::ALIGN) + CANARIES / 2;
        bytes[at..at + image.len()].copy_from_slice(image);
        let len = image.len();
        Self { bytes, at, len }
    }

    fn region(&mut self) -> &mut [u8] {
        &mut self.bytes[self.at..self.at + self.len]
    }
}

impl Drop for Fenced {
    fn drop(&mut self) {
        let (before, rest) = self.bytes.split_at(self.at);
        let outside = before.iter().chain(&rest[self.len..]);
        if !std::thread::panicking() {
            assert!(
                outside.copied().all(|byte| byte == CANARY),
                "a byte outside was written"
            );
        }
    }
}

/// Attaches to an image at a later time and with a slightly different configuration.
pub(crate) fn take_over(mut image: Image, rng: &mut Rng) -> Tally {
    image.now += [0, 0, 500, 60_000, 4_000_000_000][rng.below(5)];
    vary(&mut image.config, rng, image.bytes.len());
    take_back(&image, rng)
}

/// Attaches to an image, and uses the cache if that succeeds; sometimes twice.
pub(crate) fn take_back(image: &Image, rng: &mut Rng) -> Tally {
    let mut tally = Tally {
        images: 1,
        ..Tally::default()
    };
    let config = image.config;
    let mut fenced = Fenced::new(&image.bytes);
    set_now(image.now);
    for _ in 0..1 + rng.below(3) / 2 {
        if !attach(&mut fenced, &config, rng, &mut tally) {
            break;
        }
    }
    tally
}

/// Changes the options that may differ between two owners.
fn vary(config: &mut Config, rng: &mut Rng, size: usize) {
    config.zero_on_free ^= rng.one_in(8);
    if rng.one_in(8) {
        config.memory_limit = size - rng.below(size / 2);
    }
    if rng.one_in(8) {
        config.default_ttl_ms = 0;
        config.pins_max = rng.below(12) as u32;
    }
}

fn attach(fenced: &mut Fenced, config: &Config, rng: &mut Rng, tally: &mut Tally) -> bool {
    let before = fenced.region().to_vec();
    let mut report = AttachReport::default();
    let cache = match Cache::attach(fenced.region(), config, &mut report) {
        Ok(cache) => cache,
        Err(error) => {
            let told = match report.found {
                Found::Cache => error == Error::NoMemory && config.memory_limit != 0,
                Found::Nothing => {
                    error == Error::NotFound
                        || error == Error::Invalid && config.memory_limit > before.len()
                }
                _ => error == Error::VersionMismatch,
            };
            assert!(told, "{error:?} where {report:?}");
            assert!(
                before == fenced.region(),
                "a refused attach changed the region"
            );
            tally.told_apart += 1;
            return false;
        }
    };
    assert_eq!(report.found, Found::Cache);
    tally.taken_over += 1;
    tally.recovered += report.items_recovered;
    tally.dropped += report.items_dropped();
    if config.memory_limit == 0 {
        assert_eq!(report.items_recovered, cache.item_count());
    }
    audit(&cache);
    let mut guest = Guest {
        cache: &cache,
        size: before.len(),
        trusted: config.checksum,
        own: BTreeSet::new(),
        held: Vec::new(),
    };
    guest.look_around();
    for _ in 0..CALLS {
        guest.call(rng);
    }
    tally.calls += CALLS as u64;
    guest.held.clear();
    guest.look_around();
    audit(&cache);
    true
}

/// Checks every invariant and the sums.
fn audit(cache: &Cache<'_>) {
    assert_eq!(cache.check(), Ok(()));
    let s = cache.stats();
    assert_eq!(
        s.payload_bytes + s.free_bytes + s.overhead_bytes,
        s.region_bytes
    );
    assert_eq!(s.total_used + s.free_bytes, s.region_bytes);
    assert_eq!(s.item_count, cache.item_count());
    assert_eq!(s.failed_corrupt, 0, "a recovered item is damaged");
}

/// A user of a recovered cache.
struct Guest<'c> {
    cache: &'c Cache<'c>,
    size: usize,
    /// Whether recovered items must be those that an earlier owner set.
    trusted: bool,
    /// Keys that were set after the attach.
    own: BTreeSet<usize>,
    held: Vec<View<'c>>,
}

impl Guest<'_> {
    /// Whether the value of a key must be one of the key's values.
    fn must_fit(&self, n: usize) -> bool {
        self.trusted || self.own.contains(&n)
    }

    /// Checks every item by a scan, and some of them by other calls.
    fn look_around(&self) {
        let mut keys = Vec::new();
        let mut count = 0;
        let all = self.cache.scan(&mut Default::default(), |item| {
            count += 1;
            let n = number_of(item.key);
            assert!(n.is_some() || !self.trusted, "a key that was never set");
            if let Some(n) = n.filter(|&n| self.must_fit(n)) {
                assert!(
                    item.ttl_ms <= ttl_of(n).wrapping_sub(1).saturating_add(1),
                    "a longer life"
                );
                if item.span.len() == item.value_len {
                    assert!(
                        is_value_of(n, item.value_type, item.span),
                        "another's value"
                    );
                } else {
                    assert!(value_of(n, item.value_len).starts_with(item.span));
                }
            }
            if keys.len() < 50 {
                keys.push(item.key.to_vec());
            }
            true
        });
        assert_eq!(all, Ok(true));
        assert!(count <= self.cache.item_count());
        let mut buffer = vec![0; self.size];
        for key in keys {
            let len = self
                .cache
                .get(&key, &mut buffer)
                .expect("the scan returned it");
            let kind = self.cache.value_type(&key).expect("as before");
            self.compare(&key, kind, &buffer[..len]);
        }
    }

    fn compare(&self, key: &[u8], kind: Type, value: &[u8]) {
        if let Some(n) = number_of(key).filter(|&n| self.must_fit(n)) {
            assert!(is_value_of(n, kind, value), "another's value");
            let ttl = self.cache.ttl(key).expect("it is there");
            let most = if ttl_of(n) == 0 { TTL_NEVER } else { ttl_of(n) };
            assert!(ttl <= most, "{ttl} ms to live instead of {most}");
        }
    }

    fn call(&mut self, rng: &mut Rng) {
        let n = rng.below(key_count(self.size));
        let len = rng.log_uniform(1, self.size / 8);
        let key = key_of(n);
        let held = !self.held.is_empty();
        let done = match rng.below(24) {
            0..3 => {
                let mut buffer = vec![0; self.size];
                let got = self.cache.get(&key, &mut buffer);
                if let Ok(len) = got {
                    let kind = self.cache.value_type(&key).expect("it is there");
                    self.compare(&key, kind, &buffer[..len]);
                }
                got.map(drop)
            }
            3 | 4 => self.cache.delete(&key),
            5 => self.cache.touch(&key, ttl_of(n)),
            6 => self.cache.optimize([0, 1, 30, 500][rng.below(4)]).map(drop),
            7 => {
                let limit = self.size - rng.log_uniform(1, self.size / 2);
                match self.cache.set_memory_limit(limit) {
                    Err(Error::NoMemory) => Ok(()),
                    done => done,
                }
            }
            8 => self.cache.set_memory_limit(self.size),
            9 | 10 => self.pin(n),
            11 => {
                drop(self.held.pop());
                Ok(())
            }
            12 => {
                set_now(now_ms() + rng.log_uniform(1, 100_000) as u64);
                Ok(())
            }
            13 if !held && rng.one_in(8) => self.cache.clear(),
            14 => self.cache.reserve(&key, len, 0).map(drop),
            _ => {
                let done = store(self.cache, rng, n, len);
                if done.is_ok() && self.cache.value_type(&key) == Ok(Type::Bytes) {
                    let mut buffer = vec![0; self.size];
                    let len = self.cache.get(&key, &mut buffer).expect("it is there");
                    if buffer[..len] == *value_of(n, len) {
                        self.own.insert(n);
                    }
                }
                done
            }
        };
        assert!(may_be(&done, held), "{done:?}");
    }

    fn pin(&mut self, n: usize) -> larder::Result<()> {
        let view = match self.cache.pin(&key_of(n)) {
            // The table of pins may find no room beside the item.
            Err(Error::NoMemory) => return Ok(()),
            view => view?,
        };
        let (mut value, mut spans) = (Vec::new(), 0);
        while spans < view.span_count() {
            value.extend_from_slice(view.span(spans)?);
            spans += 1;
        }
        assert_eq!(value.len(), view.len());
        let kind = self.cache.value_type(&key_of(n)).expect("it is there");
        self.compare(&key_of(n), kind, &value);
        if self.held.len() < 3 {
            self.held.push(view);
        }
        Ok(())
    }
}
