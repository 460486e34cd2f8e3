//! Advice on the memory limit, in C.

use super::cache::{handle, larder_cache};
use super::input::{ABI_VERSION, put_sized, required, sized, status};
use super::status::larder_status;
use crate::policy::Advice;

/// What the hit ratio would be under other limits.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct larder_advice {
    /// sizeof(larder_advice); has to be set, as LARDER_ADVICE_INIT does.
    pub struct_size: u32,
    /// 1
    pub abi_version: u32,
    /// 1/4, 1/2, 1, 2 and 4 times the limit, in bytes.
    pub limit: [u64; 5],
    /// Hits in a million gets that each of them would bring; at the present limit, those that were counted.
    pub hit_ppm: [u32; 5],
    /// Of how many keys one is simulated.
    pub sample: u32,
    /// Gets since the limit was set.
    pub gets: u64,
    /// Milliseconds in which they were made; 0 where the cache's clock stands still.
    pub elapsed_ms: u64,
    /// Thousandths of a hit a second that each MiB more would bring, up to twice the limit.
    pub gained_milli: u64,
    /// Thousandths of a hit a second that each MiB less would cost, down to half the limit.
    pub lost_milli: u64,
}

/// [`larder_advice`] as it is filled: what follows the first two fields is laid out as Rust's (a test compares every
/// field).
#[repr(C)]
#[derive(Clone, Copy)]
struct Filled {
    struct_size: u32,
    abi_version: u32,
    advice: Advice,
}

const _: () = assert!(size_of::<Filled>() == size_of::<larder_advice>());

/// Writes what the hit ratio would be at 1/4, 1/2, 2 and 4 times the limit. Simulations over a sample of the keys run
/// all the time; this call reads them. A set of a new key counts as the get that missed it.
///
/// Returns LARDER_NO_MEMORY if a shard has less than 256 KiB of the region or room for fewer than 2,048 items, or no
/// simulations: with LARDER_NO_ADVICE, and in an archive for firmware. LARDER_AGAIN until 256 gets of sampled keys were
/// counted. LARDER_BUSY inside a callback of this cache, or if a lock hook fails. `out->struct_size` needs to be set:
/// LARDER_INVALID if it is 0 or no version's size, LARDER_VERSION_MISMATCH if it is more than the library's.
/// O(shards).
///
/// # Safety
/// `cache` is what larder_cache_init gave; `out` has as many bytes as its first field says.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn larder_cache_advise(
    cache: *const larder_cache,
    out: *mut larder_advice,
) -> larder_status {
    // SAFETY: the caller's promise.
    status(unsafe { handle(cache) }.and_then(|cache| {
        let out = required(out)?;
        // SAFETY: the caller's promise.
        unsafe { sized(out, &[]) }?;
        let filled = Filled {
            struct_size: size_of::<larder_advice>() as u32,
            abi_version: ABI_VERSION,
            advice: cache.advise()?,
        };
        // SAFETY: the caller's promise; laid out alike.
        unsafe { put_sized(out.cast(), &filled, &[]) }
    }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use core::mem::offset_of;

    macro_rules! places {
        ($($field:ident),*) => {
            [$((offset_of!(larder_advice, $field), offset_of!(Advice, $field))),*]
        };
    }

    #[test]
    fn every_field_lies_where_rust_has_it() {
        let places = places!(
            limit,
            hit_ppm,
            sample,
            gets,
            elapsed_ms,
            gained_milli,
            lost_milli
        );
        for (c, rust) in places {
            assert_eq!(c, offset_of!(Filled, advice) + rust);
        }
    }
}
