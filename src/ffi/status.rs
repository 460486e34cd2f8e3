//! Statuses and versions.

use crate::status::Error;
use core::ffi::c_char;

/// What a call answers: 0 = ok, negative = why not. The numbers never change.
pub type larder_status = i32;

/// Done.
pub const LARDER_OK: i32 = 0;
/// No item has this key, or it has expired.
pub const LARDER_NOT_FOUND: i32 = -1;
/// An argument is NULL or out of its range, or the configuration does not allow the call; nothing was changed.
pub const LARDER_INVALID: i32 = -2;
/// Region, limit or table are too small, or too much is in use: nothing more can be evicted. What was asked for
/// was not done.
pub const LARDER_NO_MEMORY: i32 = -3;
/// A key, value or size is above what configuration, region and limit allow; nothing was evicted.
pub const LARDER_TOO_LARGE: i32 = -4;
/// The buffer is shorter than the value; the length is reported.
pub const LARDER_BUFFER_TOO_SMALL: i32 = -5;
/// An item with this key is there already.
pub const LARDER_EXISTS: i32 = -6;
/// The value is of another type.
pub const LARDER_TYPE_MISMATCH: i32 = -7;
/// The lock is taken, it runs already, or a callback called back.
pub const LARDER_BUSY: i32 = -8;
/// A check found an invariant broken, or an item's checksum does not fit.
pub const LARDER_CORRUPT: i32 = -9;
/// It was given back before, or what it is for was changed since.
pub const LARDER_STALE: i32 = -10;
/// The structure or region is of another version of the library, or the region of another configuration.
pub const LARDER_VERSION_MISMATCH: i32 = -11;
/// The region does not start at a multiple of LARDER_ALIGN.
pub const LARDER_MISALIGNED: i32 = -12;
/// There is more to do: call again.
pub const LARDER_AGAIN: i32 = -13;
/// A view or a reservation holds it.
pub const LARDER_PINNED: i32 = -14;

/// Every region starts at a multiple of so many bytes.
pub const LARDER_ALIGN: usize = 16;

/// Version of the interface: incompatible changes.
pub const LARDER_VERSION_MAJOR: u32 = 0;
/// Version of the interface: additions.
pub const LARDER_VERSION_MINOR: u32 = 1;
/// Version of the interface: corrections.
pub const LARDER_VERSION_PATCH: u32 = 0;
/// major * 10000 + minor * 100 + patch
pub const LARDER_VERSION_NUMBER: u32 = 100;

const _: () = {
    let number = LARDER_VERSION_MAJOR * 10_000 + LARDER_VERSION_MINOR * 100 + LARDER_VERSION_PATCH;
    assert!(number == LARDER_VERSION_NUMBER);
    assert!(LARDER_ALIGN == crate::ALIGN);
};

const VERSION: &[u8] = concat!(env!("CARGO_PKG_VERSION"), "\0").as_bytes();

/// A short English text for a status; never NULL, valid for ever. It names every cause that the status can have; the
/// function that answered it says which ones it has.
#[unsafe(no_mangle)]
pub extern "C" fn larder_strerror(status: larder_status) -> *const c_char {
    match Error::from_code(status) {
        Some(error) => error.text(),
        None if status == LARDER_OK => c"ok",
        None => c"unknown status",
    }
    .as_ptr()
}

/// LARDER_VERSION_NUMBER of the library that was linked.
#[unsafe(no_mangle)]
pub extern "C" fn larder_version_number() -> u32 {
    LARDER_VERSION_NUMBER
}

/// The version of the library that was linked, as text; valid for ever.
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
