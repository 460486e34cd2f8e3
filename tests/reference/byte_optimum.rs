//! Belady's rule by bytes, with bypass: what is needed last goes first, be it the newcomer. With items of one size it
//! is the optimum; with items of several sizes the optimum is hard to compute, and this is near.
//!
//! An item that is set, deleted or expired before its next get is of no use, and is not held.

use super::optimum::{NEVER, Positions, next_requests};

/// A request, as far as the rule needs it.
#[derive(Clone, Copy)]
pub(crate) struct Use {
    /// Of the item.
    pub(crate) bytes: u64,
    pub(crate) time_ms: u64,
    /// Of an item that is stored by this request.
    pub(crate) expires_ms: u64,
    pub(crate) kind: UseKind,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum UseKind {
    /// Stores the item where it misses.
    Get,
    Set,
    Delete,
}

/// Hits in `capacity` bytes. `ids` are below `keys`; `uses` says what each of them is.
pub(crate) fn byte_optimum_hits(
    ids: &[u32],
    keys: usize,
    capacity: u64,
    uses: impl Fn(usize) -> Use,
) -> u64 {
    let next = next_requests(ids, keys);
    let mut held = Positions::new(ids.len());
    let mut expires = vec![0; keys];
    let mut bytes = vec![0; keys];
    let (mut hits, mut used) = (0, 0);
    for now in 0..ids.len() {
        let (key, one) = (ids[now] as usize, uses(now));
        let hit = held.remove(now);
        if hit {
            used -= bytes[key];
            hits += 1;
        } else {
            (expires[key], bytes[key]) = (one.expires_ms, one.bytes);
        }
        if one.kind == UseKind::Delete || next[now] == NEVER || bytes[key] > capacity {
            continue;
        }
        let then = uses(next[now] as usize);
        if then.kind != UseKind::Get || then.time_ms >= expires[key] {
            continue;
        }
        held.insert(next[now] as usize);
        used += bytes[key];
        while used > capacity {
            let last = held.last();
            held.remove(last);
            used -= bytes[ids[last] as usize];
        }
    }
    hits
}
