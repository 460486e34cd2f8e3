//! What larder is compared with, in as many bytes of keys and values: exact LRU and Belady's rule.

use crate::reference::{ByteLru, Entry, Use, UseKind, byte_optimum_hits};
use crate::trace::{Op, Request, Trace};

/// Hits of exact LRU.
pub(crate) fn lru_hits(trace: &Trace, capacity: u64) -> u64 {
    let mut cache = ByteLru::new(capacity, trace.keys);
    let mut hits = 0;
    for request in &trace.requests {
        match request.op {
            Op::Delete => cache.delete(request.id),
            Op::Get if cache.get(request.id, request.time_ms) => hits += 1,
            Op::Get | Op::Set => cache.set(
                request.id,
                Entry {
                    bytes: request.bytes(),
                    expires_ms: request.expires_ms(),
                },
            ),
        }
    }
    hits
}

/// Hits of Belady's rule, which knows what will be asked for.
pub(crate) fn optimum_hits(trace: &Trace, capacity: u64) -> u64 {
    let ids: Vec<u32> = trace.requests.iter().map(|one| one.id).collect();
    byte_optimum_hits(&ids, trace.keys, capacity, |at| use_of(&trace.requests[at]))
}

fn use_of(request: &Request) -> Use {
    Use {
        bytes: request.bytes(),
        time_ms: request.time_ms,
        expires_ms: request.expires_ms(),
        kind: match request.op {
            Op::Get => UseKind::Get,
            Op::Set => UseKind::Set,
            Op::Delete => UseKind::Delete,
        },
    }
}
