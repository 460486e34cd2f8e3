//! Regions as an owner leaves them: caches of every layout, with values computed from their keys.

use crate::common::{Region, Rng, now_ms, page_tables, set_now};
use larder::{Cache, Config, Error, PolicyKind, Result, TTL_NEVER, Type};
use std::mem::forget;
use std::sync::OnceLock;

const KIB: usize = 1024;
/// Most sizes are small: small regions are quicker to test, and reach more limits.
const SIZES: [usize; 10] = [
    4 * KIB,
    4 * KIB,
    5 * KIB + 16,
    6 * KIB,
    8 * KIB,
    8 * KIB,
    16 * KIB,
    20 * KIB,
    64 * KIB,
    256 * KIB,
];
/// The host's clock when an image is made.
const THEN: u64 = 1 << 41;

/// A region that an owner left.
#[derive(Clone, Debug)]
pub(crate) struct Image {
    pub(crate) config: Config,
    pub(crate) bytes: Vec<u8>,
    /// The clock when the owner left.
    pub(crate) now: u64,
    /// The page tables, one for each shard: offset and number of descriptors.
    pub(crate) descriptors: Vec<(usize, usize)>,
}

/// The number of keys for a region of this size.
pub(crate) fn key_count(size: usize) -> usize {
    (size / 48).clamp(64, 4_000)
}

/// The key of a number: some are long.
pub(crate) fn key_of(n: usize) -> Vec<u8> {
    let mut key = (n as u32).to_be_bytes().to_vec();
    let len = match n % 32 {
        0 => 90,
        1 => 40,
        other => 4 + other % 12,
    };
    key.resize(len, b'.');
    key
}

/// The number of a key, if it is one.
pub(crate) fn number_of(key: &[u8]) -> Option<usize> {
    let n = u32::from_be_bytes(*key.first_chunk()?) as usize;
    (key_of(n) == key).then_some(n)
}

const LONGEST: usize = 1 << 18;

/// The bytes of this length that are stored for a key.
pub(crate) fn value_of(n: usize, len: usize) -> &'static [u8] {
    static OCEAN: OnceLock<Vec<u8>> = OnceLock::new();
    let ocean = OCEAN.get_or_init(|| {
        let mut rng = Rng::new(5);
        (0..LONGEST / 4)
            .flat_map(|_| rng.next().to_le_bytes())
            .collect()
    });
    let at = (n * 257 + len * 11) % LONGEST;
    &ocean[at..at + len.min(LONGEST)]
}

/// Whether this may be the value of a key. In numbers, only the upper half changes.
pub(crate) fn is_value_of(n: usize, kind: Type, value: &[u8]) -> bool {
    match kind {
        Type::Bytes => value == value_of(n, value.len()),
        Type::I64 => {
            let number = value.try_into().map(i64::from_ne_bytes);
            number.is_ok_and(|number| number as u32 == n as u32)
        }
        _ => false,
    }
}

/// The TTL of a key.
pub(crate) fn ttl_of(n: usize) -> u64 {
    [0, 0, 900, 50_000, 3_000_000_000, TTL_NEVER][n % 6]
}

/// Stores a value of a key by a random call.
pub(crate) fn store(cache: &Cache<'_>, rng: &mut Rng, n: usize, len: usize) -> Result<()> {
    let (key, ttl) = (key_of(n), ttl_of(n));
    match rng.below(12) {
        0 | 1 => cache.set_i64(&key, n as i64, ttl),
        2 => cache.increment(&key, 1 << 32).map(drop),
        3 => cache.touch(&key, ttl),
        4 => {
            let mut room = cache.reserve(&key, len, ttl)?;
            let mut value = value_of(n, len);
            for i in 0..room.span_count() {
                let span = room.span_mut(i)?;
                let (here, rest) = value.split_at(span.len());
                span.copy_from_slice(here);
                value = rest;
            }
            room.commit()
        }
        _ => cache.set(&key, value_of(n, len), ttl),
    }
}

/// Whether a call may have this result. `held`: whether items may be pinned.
pub(crate) fn may_be<T>(done: &Result<T>, held: bool) -> bool {
    match done {
        Ok(_) | Err(Error::NotFound | Error::TooLarge | Error::TypeMismatch | Error::Invalid) => {
            true
        }
        Err(error) => *error == Error::NoMemory && held,
    }
}

/// An image from a random configuration, region, and sequence of calls.
pub(crate) fn left_behind(seed: u64) -> Image {
    let mut rng = Rng::new(seed);
    let size = SIZES[rng.below(SIZES.len())];
    let mut config = Config::default().clock(now_ms);
    config.policy = [PolicyKind::Default, PolicyKind::Lru][seed as usize % 2];
    config.shards = if size >= 16 * KIB {
        1 + rng.below(2) as u32
    } else {
        1
    };
    config.checksum = (seed / 2).is_multiple_of(2);
    config.item_times = rng.one_in(2);
    config.zero_on_free = rng.one_in(2);
    config.hash_seed = seed;
    set_now(THEN);
    let mut region = Region::new(size);
    Cache::new(region.bytes(), &config).expect("large enough");
    let descriptors = page_tables(region.bytes());
    let cache = Cache::new(region.bytes(), &config).expect("large enough");
    work(&cache, &mut rng, size);
    Image {
        config,
        bytes: region.bytes().to_vec(),
        now: now_ms(),
        descriptors,
    }
}

fn work(cache: &Cache<'_>, rng: &mut Rng, size: usize) {
    let (keys, longest) = (key_count(size), size / [6, 24, 100][rng.below(3)]);
    let calls = 50 + rng.below(keys * 4);
    for _ in 0..calls {
        let (n, len) = (rng.below(keys), rng.log_uniform(1, longest));
        let done = match rng.below(16) {
            0 => cache.delete(&key_of(n)),
            1 => cache.optimize(64).map(drop),
            2 => cache.get(&key_of(n), &mut vec![0; longest]).map(drop),
            _ => store(cache, rng, n, len),
        };
        assert!(may_be(&done, false), "{done:?}");
        set_now(now_ms() + rng.below(20) as u64);
    }
    // Never released, as after a crash of the owner.
    for _ in 0..rng.below(4) {
        let (n, len) = (rng.below(keys), rng.log_uniform(1, longest));
        let key = key_of(n);
        let _ = cache.pin(&key).map(forget);
        let _ = cache.reserve(&key, len, ttl_of(n)).map(forget);
        let _ = store(cache, rng, n, len);
    }
}
