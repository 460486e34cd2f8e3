//! Statuses and versions.

use crate::status::Error;
use core::ffi::c_char;

/// What a call returns: LARDER_OK, or a negative number that says why not. The numbers never change.
pub type larder_status = i32;

/// Done.
pub const LARDER_OK: i32 = 0;
/// No item has this key, or it has expired. In other calls: the end of a list, or no cache in this memory.
pub const LARDER_NOT_FOUND: i32 = -1;
/// An argument is NULL or out of range, or the configuration does not allow the call. Nothing was changed.
pub const LARDER_INVALID: i32 = -2;
/// The region, the limit or a table is too small, or nothing more can be evicted. The call was not carried out.
pub const LARDER_NO_MEMORY: i32 = -3;
/// A key, value or size is above what configuration, region and limit allow. Nothing was evicted.
pub const LARDER_TOO_LARGE: i32 = -4;
/// The buffer is shorter than the value. The length was written.
pub const LARDER_BUFFER_TOO_SMALL: i32 = -5;
/// An item with this key exists, or a cache that others share does in this memory.
pub const LARDER_EXISTS: i32 = -6;
/// The value has another type.
pub const LARDER_TYPE_MISMATCH: i32 = -7;
/// Another call has the lock, another caller the lease, the monitor runs already, a shared cache is being made or
/// recovered, or a callback called its own cache.
pub const LARDER_BUSY: i32 = -8;
/// An invariant is broken, or an item does not fit its checksum.
pub const LARDER_CORRUPT: i32 = -9;
/// The view, block or reservation was released before, or its item was changed since.
pub const LARDER_STALE: i32 = -10;
/// The structure or the region has another version than the library, or the region another configuration.
pub const LARDER_VERSION_MISMATCH: i32 = -11;
/// The region does not start at a multiple of LARDER_ALIGN.
pub const LARDER_MISALIGNED: i32 = -12;
/// Work is left: call again.
pub const LARDER_AGAIN: i32 = -13;
/// A view or a reservation holds the item.
pub const LARDER_PINNED: i32 = -14;

/// A region starts at a multiple of this many bytes.
pub const LARDER_ALIGN: usize = 16;

/// Version of the interface: incremented by an incompatible change.
pub const LARDER_VERSION_MAJOR: u32 = 0;
/// Version of the interface: incremented by an addition.
pub const LARDER_VERSION_MINOR: u32 = 1;
/// Version of the interface: incremented by a correction.
pub const LARDER_VERSION_PATCH: u32 = 0;
/// major * 10000 + minor * 100 + patch.
pub const LARDER_VERSION_NUMBER: u32 = 100;

const _: () = {
    let number = LARDER_VERSION_MAJOR * 10_000 + LARDER_VERSION_MINOR * 100 + LARDER_VERSION_PATCH;
    assert!(number == LARDER_VERSION_NUMBER);
    assert!(LARDER_ALIGN == crate::ALIGN);
};

const VERSION: &[u8] = concat!(env!("CARGO_PKG_VERSION"), "\0").as_bytes();

/// Returns a short English text for a status: never NULL, valid for ever. The text names each cause that the status
/// can have; the function that returned the status says which causes it has. O(1).
#[unsafe(no_mangle)]
pub extern "C" fn larder_strerror(status: larder_status) -> *const c_char {
    match Error::from_code(status) {
        Some(error) => error.text(),
        None if status == LARDER_OK => c"ok",
        None => c"unknown status",
    }
    .as_ptr()
}

/// Returns LARDER_VERSION_NUMBER of the linked library. O(1).
#[unsafe(no_mangle)]
pub extern "C" fn larder_version_number() -> u32 {
    LARDER_VERSION_NUMBER
}

/// Returns the version of the linked library as text, valid for ever. O(1).
#[unsafe(no_mangle)]
pub extern "C" fn larder_version_string() -> *const c_char {
    VERSION.as_ptr().cast()
}

#[cfg(test)]
mod tests {
    use super::*;
    use core::ffi::CStr;

    #[test]
    fn every_status_has_its_number_and_a_text_of_its_own() {
        for code in LARDER_PINNED..LARDER_OK {
            assert_eq!(Error::from_code(code).unwrap().code(), code);
        }
        // SAFETY: a C string that is valid for ever.
        let text = unsafe { CStr::from_ptr(larder_version_string()) };
        let number = text
            .to_str()
            .unwrap()
            .split('.')
            .fold(0, |n, part| n * 100 + part.parse::<u32>().unwrap());
        assert_eq!(number, larder_version_number());
    }
}
