//! Arenas and pools as allocators of collections, for each version of the trait.
//!
//! | trait | collections that use it | feature |
//! |---|---|---|
//! | allocator-api2 0.2 | those of hashbrown, bumpalo and [`crate::allocator_api2`] | |
//! | allocator-api2 0.4 | those of allocator-api2 0.4 | `alloc` |
//! | `core::alloc::Allocator` | those of the standard library | `nightly` |
#![allow(unsafe_code)]

use crate::{Arena, Pool};
use core::alloc::Layout;
use core::ptr::NonNull;

/// Implements a trait's two methods by `take` and `give_back`.
macro_rules! implement {
    ($owner:ident, $($api:ident)::+) => {
        // SAFETY: memory from `take` stays valid and unaliased until `give_back`, or until the arena's reset.
        // `reset` takes `&mut Arena`, so no `&Arena` exists then. A move of the owner does not move its region.
        unsafe impl $($api)::+::Allocator for &$owner<'_> {
            fn allocate(&self, layout: Layout) -> Result<NonNull<[u8]>, $($api)::+::AllocError> {
                self.take(layout).ok_or($($api)::+::AllocError)
            }

            unsafe fn deallocate(&self, place: NonNull<u8>, layout: Layout) {
                // SAFETY: the caller guarantees that `allocate` returned `place` for this layout.
                unsafe { self.give_back(place, layout) }
            }
        }
    };
}

implement!(Arena, allocator_api2::alloc);
implement!(Pool, allocator_api2::alloc);
#[cfg(feature = "alloc")]
implement!(Arena, allocator_api2_04::alloc);
#[cfg(feature = "alloc")]
implement!(Pool, allocator_api2_04::alloc);
#[cfg(feature = "nightly")]
implement!(Arena, core::alloc);
#[cfg(feature = "nightly")]
implement!(Pool, core::alloc);
