//! Arenas and pools as the allocators of collections, for each version of the trait.
//!
//! | trait | whose collections | feature |
//! |---|---|---|
//! | allocator-api2 0.2 | hashbrown's, bumpalo's, [`crate::allocator_api2`]'s | |
//! | allocator-api2 0.4 | its own | `alloc` |
//! | `core::alloc::Allocator` | the standard library's | `nightly` |
#![allow(unsafe_code)]

use crate::{Arena, Pool};
use core::alloc::Layout;
use core::ptr::NonNull;

/// The same two calls under each trait's name.
macro_rules! implement {
    ($owner:ident, $($api:ident)::+) => {
        // SAFETY: what `take` hands out stays valid and unaliased until `give_back`, or until the arena's
        // reset, which needs `&mut Arena` and so the end of every `&Arena`. Moving the owner moves none of it.
        unsafe impl $($api)::+::Allocator for &$owner<'_> {
            fn allocate(&self, layout: Layout) -> Result<NonNull<[u8]>, $($api)::+::AllocError> {
                self.take(layout).ok_or($($api)::+::AllocError)
            }

            unsafe fn deallocate(&self, place: NonNull<u8>, layout: Layout) {
                // SAFETY: the caller gives back what `allocate` returned for this layout.
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
