//! Planted faults, which show that the tests find them: `make test-planted`. Other builds have no planted faults.

#![forbid(unsafe_code)]

/// Whether the environment's `LARDER_PLANTED` names this fault.
#[cfg(all(larder_planted = "chosen", feature = "hosted"))]
pub(crate) fn is(fault: &str) -> bool {
    use core::sync::atomic::{AtomicU32, Ordering};
    static CHOSEN: AtomicU32 = AtomicU32::new(0);
    let mut chosen = CHOSEN.load(Ordering::Relaxed);
    if chosen == 0 {
        chosen = crate::hosted::variable(c"LARDER_PLANTED").map_or(1, number);
        CHOSEN.store(chosen, Ordering::Relaxed);
    }
    chosen == number(fault.as_bytes())
}

/// A hash of the name (FNV-1a), above 1.
#[cfg(all(larder_planted = "chosen", feature = "hosted"))]
fn number(name: &[u8]) -> u32 {
    let sum = name.iter().fold(0x811c_9dc5u32, |sum, &byte| {
        (sum ^ u32::from(byte)).wrapping_mul(0x0100_0193)
    });
    sum | 2
}

#[cfg(not(all(larder_planted = "chosen", feature = "hosted")))]
#[inline(always)]
pub(crate) const fn is(_: &str) -> bool {
    false
}
