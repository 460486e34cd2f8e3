//! A trace, replayed into a cache: a get that misses is followed by a set; sets and deletes are done as they stand.

use crate::Result;
use crate::bytes::show;
use crate::trace::{NUMBER, Op, Request, Trace};
use larder::{Cache, CacheStats, Config, Error, KEY_LEN_MAX, OwnedCache, PolicyKind, TTL_NEVER};

/// Times at which a replay lets its caller look at the cache.
pub(crate) const LOOKS: usize = 128;

/// What a replay counted.
#[derive(Clone, Debug, Default)]
pub(crate) struct Outcome {
    pub(crate) gets: u64,
    pub(crate) hits: u64,
    /// Key and value bytes of all gets, and of those that hit.
    pub(crate) bytes: u64,
    pub(crate) bytes_hit: u64,
    /// Values that the cache can never hold.
    pub(crate) too_large: u64,
    /// The most key and value bytes that the cache held, at any look.
    pub(crate) payload_max: u64,
    pub(crate) stats: CacheStats,
}

impl Outcome {
    pub(crate) fn hit_ratio(&self) -> f64 {
        self.hits as f64 / self.gets.max(1) as f64
    }

    pub(crate) fn byte_hit_ratio(&self) -> f64 {
        self.bytes_hit as f64 / self.bytes.max(1) as f64
    }

    /// Prints a line for each subject.
    pub(crate) fn print(&self, trace: &Trace, memory: usize) {
        let stats = &self.stats;
        let (requests, keys) = (trace.requests.len(), trace.keys);
        println!(
            "trace      {}: {requests} requests for {keys} keys",
            trace.name
        );
        println!(
            "memory     {memory} bytes ({}), {:?} policy",
            show(memory as f64),
            stats.policy
        );
        println!(
            "gets       {} hits of {}: {:.2}%",
            self.hits,
            self.gets,
            100.0 * self.hit_ratio()
        );
        println!(
            "bytes      {} of {}: {:.2}%",
            self.bytes_hit,
            self.bytes,
            100.0 * self.byte_hit_ratio()
        );
        println!(
            "items      {} held, {} sets, {} evictions, {} expirations, {} deletes",
            stats.item_count, stats.sets, stats.evictions, stats.expirations, stats.deletes
        );
        println!(
            "held       {} bytes of keys and values, {} overhead, {} free",
            stats.payload_bytes, stats.overhead_bytes, stats.free_bytes
        );
        if self.too_large > 0 {
            println!(
                "too large  {} sets of items that this cache can never hold",
                self.too_large
            );
        }
    }
}

/// A cache, and the buffers for its requests.
struct Player {
    cache: OwnedCache,
    key: [u8; KEY_LEN_MAX],
    value: Vec<u8>,
    buffer: Vec<u8>,
    now_ms: u64,
    outcome: Outcome,
}

/// Replays a trace in so many bytes. `look` sees the cache at most [`LOOKS`] times, with the number of requests so far,
/// and at the end.
pub(crate) fn replay(
    trace: &Trace,
    memory: usize,
    policy: PolicyKind,
    mut look: impl FnMut(usize, &Cache<'_>),
) -> Result<Outcome> {
    let mut player = Player::new(trace, memory, policy)?;
    let step = trace.requests.len().div_ceil(LOOKS);
    let mut done = 0;
    for part in trace.requests.chunks(step) {
        for request in part {
            player.play(request)?;
        }
        done += part.len();
        let payload = player.cache.stats().payload_bytes;
        player.outcome.payload_max = player.outcome.payload_max.max(payload);
        look(done, player.cache.as_cache());
    }
    player.outcome.stats = player.cache.stats();
    Ok(player.outcome)
}

impl Player {
    fn new(trace: &Trace, memory: usize, policy: PolicyKind) -> Result<Self> {
        let built = OwnedCache::builder(memory).policy(policy).build();
        let cache = built.map_err(|error| too_small(memory, error))?;
        cache.as_cache().set_time(0)?;
        // No value longer than the region fits in any case.
        let value_len_max = trace.value_len_max().min(memory);
        Ok(Self {
            cache,
            key: [0; KEY_LEN_MAX],
            value: vec![0; value_len_max],
            buffer: vec![0; value_len_max],
            now_ms: 0,
            outcome: Outcome::default(),
        })
    }

    fn play(&mut self, request: &Request) -> Result<()> {
        if request.time_ms > self.now_ms {
            self.now_ms = request.time_ms;
            self.cache.as_cache().set_time(self.now_ms)?;
        }
        self.key[..NUMBER].copy_from_slice(&request.id.to_le_bytes());
        match request.op {
            Op::Get => self.get(request),
            Op::Set => self.set(request),
            Op::Delete => self.delete(request),
        }
    }

    fn key(&self, request: &Request) -> &[u8] {
        &self.key[..request.key_len.into()]
    }

    fn get(&mut self, request: &Request) -> Result<()> {
        let mut buffer = std::mem::take(&mut self.buffer);
        let found = self.cache.as_cache().get(self.key(request), &mut buffer);
        self.buffer = buffer;
        self.outcome.gets += 1;
        self.outcome.bytes += request.bytes();
        match found {
            Ok(_) => {
                self.outcome.hits += 1;
                self.outcome.bytes_hit += request.bytes();
                Ok(())
            }
            Err(Error::NotFound) => self.set(request),
            Err(error) => Err(error.into()),
        }
    }

    /// Where the value is too large, there is no item with this key behind it.
    fn set(&mut self, request: &Request) -> Result<()> {
        let ttl_ms = match request.ttl_s {
            0 => TTL_NEVER,
            ttl_s => u64::from(ttl_s) * 1000,
        };
        let value = self.value.get(..request.value_len as usize);
        let set = value.map_or(Err(Error::TooLarge), |value| {
            self.cache.as_cache().set(self.key(request), value, ttl_ms)
        });
        match set {
            Err(Error::TooLarge) => {
                self.outcome.too_large += 1;
                self.delete(request)
            }
            done => Ok(done?),
        }
    }

    fn delete(&mut self, request: &Request) -> Result<()> {
        match self.cache.as_cache().delete(self.key(request)) {
            Err(Error::NotFound) => Ok(()),
            done => Ok(done?),
        }
    }
}

fn too_small(memory: usize, error: Error) -> Box<dyn std::error::Error + Send + Sync> {
    let least = Cache::required_size(&Config::default(), 0, 0, 0).unwrap_or(0);
    match error {
        Error::NoMemory if memory < least => {
            format!("no cache fits in {memory} bytes; {least} do").into()
        }
        error => format!("a cache of {memory} bytes: {error}").into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(id: u32, op: Op) -> Request {
        Request {
            time_ms: 0,
            id,
            value_len: 100,
            ttl_s: 0,
            key_len: 8,
            op,
        }
    }

    fn trace(requests: Vec<Request>) -> Trace {
        Trace {
            name: "test".to_owned(),
            keys: 1 + requests.iter().map(|one| one.id).max().unwrap() as usize,
            requests,
        }
    }

    fn run(requests: Vec<Request>) -> Outcome {
        replay(&trace(requests), 1 << 16, PolicyKind::Default, |_, _| ()).unwrap()
    }

    #[test]
    fn a_miss_is_followed_by_a_set() {
        let outcome = run([3, 3, 3].map(|id| request(id, Op::Get)).into());
        assert_eq!((outcome.gets, outcome.hits), (3, 2));
        assert_eq!((outcome.bytes, outcome.bytes_hit), (324, 216));
        assert_eq!((outcome.stats.item_count, outcome.payload_max), (1, 108));
    }

    #[test]
    fn what_was_deleted_or_is_expired_misses() {
        let deleted = [Op::Set, Op::Get, Op::Delete, Op::Get].map(|op| request(0, op));
        let outcome = run(deleted.into());
        assert_eq!((outcome.gets, outcome.hits), (2, 1));
        let mut expired = [0, 5000, 11_000, 12_000].map(|time_ms| Request {
            time_ms,
            ttl_s: 10,
            ..request(0, Op::Get)
        });
        expired[2].ttl_s = 100;
        assert_eq!(run(expired.into()).hits, 2);
    }

    #[test]
    fn a_value_that_is_too_large_is_counted_and_not_held() {
        let mut large = request(1, Op::Get);
        large.value_len = 1 << 20;
        let outcome = run(vec![request(0, Op::Set), large, large]);
        assert_eq!((outcome.gets, outcome.hits, outcome.too_large), (2, 0, 2));
        assert_eq!(outcome.stats.item_count, 1);
    }

    #[test]
    fn looks_are_few_and_the_last_is_at_the_end() {
        let requests: Vec<_> = (0..1000).map(|id| request(id, Op::Get)).collect();
        let mut seen = Vec::new();
        let see = |done, _: &Cache<'_>| seen.push(done);
        replay(&trace(requests), 1 << 16, PolicyKind::Default, see).unwrap();
        assert!(seen.len() <= LOOKS);
        assert_eq!((seen[0], seen.last()), (8, Some(&1000)));
    }

    #[test]
    fn a_memory_that_is_too_small_is_told_what_is_enough() {
        let trace = trace(vec![request(0, Op::Get)]);
        let error = |memory| replay(&trace, memory, PolicyKind::Default, |_, _| ()).unwrap_err();
        let text = error(100).to_string();
        let enough = text.strip_prefix("no cache fits in 100 bytes; ").unwrap();
        let enough = enough.strip_suffix(" do").unwrap().parse().unwrap();
        assert!(replay(&trace, enough, PolicyKind::Default, |_, _| ()).is_ok());
    }
}
