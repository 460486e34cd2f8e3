//! Pointers from C, checked: the one place with the one rule.

use super::status::{LARDER_INVALID, LARDER_OK, larder_status};
use crate::item::KEY_LEN_MAX;
use crate::status::{Error, Result};
use core::ffi::{CStr, c_char, c_void};
use core::ptr::NonNull;

/// The status of a result.
pub(super) fn status(result: Result<()>) -> larder_status {
    match result {
        Ok(()) => LARDER_OK,
        Err(error) => error.code(),
    }
}

/// A pointer that must not be NULL.
pub(super) fn required<T>(pointer: *mut T) -> Result<NonNull<T>> {
    NonNull::new(pointer).ok_or(Error::Invalid)
}

/// Bytes to read: NULL only where there are none.
///
/// # Safety
/// `data .. data + len` can be read until the call that got it returns.
#[inline]
pub(super) unsafe fn bytes<'a>(data: *const c_void, len: usize) -> Result<&'a [u8]> {
    if data.is_null() {
        return if len == 0 {
            Ok(&[])
        } else {
            Err(Error::Invalid)
        };
    }
    if len > isize::MAX as usize {
        return Err(Error::TooLarge);
    }
    // SAFETY: not NULL, not longer than memory can be; readable by the caller's promise.
    Ok(unsafe { core::slice::from_raw_parts(data.cast(), len) })
}

/// A key: never empty, and not longer than any cache's: the others would be read as a whole, for nothing.
///
/// # Safety
/// As for [`bytes`].
#[inline]
pub(super) unsafe fn key<'a>(data: *const c_void, len: usize) -> Result<&'a [u8]> {
    if len == 0 || data.is_null() {
        return Err(Error::Invalid);
    }
    if len > KEY_LEN_MAX {
        return Err(Error::TooLarge);
    }
    // SAFETY: the caller's promise.
    unsafe { bytes(data, len) }
}

/// The bytes of a text before its NUL. Without a C library there is no strlen to ask, nor must the
/// compiler make this loop into one: hence volatile.
///
/// # Safety
/// `start` is a text that ends with NUL, which can be read until the call that got it returns.
pub(super) unsafe fn text<'a>(start: NonNull<c_char>) -> &'a [u8] {
    if cfg!(feature = "hosted") {
        // SAFETY: the caller's promise.
        return unsafe { CStr::from_ptr(start.as_ptr()) }.to_bytes();
    }
    let byte = |at| {
        // SAFETY: no byte before this one is NUL, so it is one of the text's.
        let at = unsafe { start.add(at) };
        // SAFETY: the caller's promise.
        unsafe { at.read_volatile() }
    };
    let mut len = 0;
    while byte(len) != 0 {
        len += 1;
    }
    // SAFETY: so many bytes have just been read.
    unsafe { core::slice::from_raw_parts(start.as_ptr().cast(), len) }
}

/// A buffer to write: NULL only where it has no capacity.
///
/// # Safety
/// `data .. data + capacity` can be written until the call that got it returns.
#[inline]
pub(super) unsafe fn buffer<'a>(data: *mut c_void, capacity: usize) -> Result<&'a mut [u8]> {
    if data.is_null() {
        return if capacity == 0 {
            Ok(&mut [])
        } else {
            Err(Error::Invalid)
        };
    }
    let capacity = match capacity.checked_add(data as usize) {
        Some(_) if capacity <= isize::MAX as usize => capacity,
        _ => clamp(data as usize),
    };
    // SAFETY: not NULL; writable by the caller's promise.
    Ok(unsafe { core::slice::from_raw_parts_mut(data.cast(), capacity) })
}

/// A larger capacity than memory can have is as good as all that lies behind.
#[cold]
fn clamp(data: usize) -> usize {
    (isize::MAX as usize).min(usize::MAX - data)
}

/// Writes an output.
///
/// # Safety
/// `out` can be written.
pub(super) unsafe fn put<T>(out: NonNull<T>, value: T) {
    // SAFETY: the caller's promise.
    unsafe { out.write(value) };
}

/// A configuration as long as its caller knows it, over the defaults.
///
/// # Safety
/// `config` has as many bytes as its first field says.
pub(super) unsafe fn config<T: Copy>(config: *const T, defaults: T) -> Result<T> {
    let mut merged = defaults;
    // SAFETY: the caller's promise; a configuration of integers and pointers alone, over our own.
    unsafe { merge(config.cast(), (&raw mut merged).cast(), size_of::<T>()) }?;
    Ok(merged)
}

/// # Safety
/// As for [`config`]; `ours` has `size` bytes, which may be any.
unsafe fn merge(config: *const u8, ours: *mut u8, size: usize) -> Result<()> {
    let Some(config) = NonNull::new(config.cast_mut()) else {
        return Ok(());
    };
    // SAFETY: every configuration starts with its size.
    let theirs = unsafe { config.cast::<u32>().read() } as usize;
    check_size(theirs, size)?;
    // SAFETY: the caller's promise; no more than ours has.
    unsafe { core::ptr::copy_nonoverlapping(config.as_ptr(), ours, theirs) };
    Ok(())
}

/// Writes the first `size` bytes of the defaults into a configuration of the caller's.
///
/// # Safety
/// `out` has `size` bytes.
pub(super) unsafe fn config_init<T: Copy>(out: *mut T, size: usize, defaults: &T) -> Result<()> {
    let out = required(out)?;
    check_size(size, size_of::<T>())?;
    let from = core::ptr::from_ref(defaults).cast::<u8>();
    // SAFETY: the caller's promise; no more than ours has.
    unsafe { core::ptr::copy_nonoverlapping(from, out.as_ptr().cast(), size) };
    Ok(())
}

/// Sizes of earlier versions are shorter: each holds its size and version at least, and ends with a word.
fn check_size(size: usize, ours: usize) -> Result<()> {
    if size > ours {
        Err(Error::VersionMismatch)
    } else if size >= 8 && size.is_multiple_of(size_of::<usize>()) {
        Ok(())
    } else {
        Err(Error::Invalid)
    }
}

/// Statistics as long as their caller knows them: the first field says how long. `older` are the sizes that
/// earlier versions had; any other size is a field that was not set.
///
/// # Safety
/// `out` has as many bytes as its first field says, and at least that field.
pub(super) unsafe fn put_sized<T: Copy>(out: NonNull<T>, value: &T, older: &[usize]) -> Result<()> {
    // SAFETY: the caller's promise.
    let size = unsafe { sized(out, older) }?;
    let from = core::ptr::from_ref(value).cast::<u8>();
    // SAFETY: the caller's promise; no more than ours has.
    unsafe { core::ptr::copy_nonoverlapping(from, out.as_ptr().cast(), size) };
    // The next call finds the size that this one found.
    // SAFETY: the first field, written above.
    unsafe { out.cast::<u32>().write(size as u32) };
    Ok(())
}

/// The size that a structure says it has, if a version of it had that.
///
/// # Safety
/// `structure` has at least its first field, which is its size.
pub(super) unsafe fn sized<T>(structure: NonNull<T>, older: &[usize]) -> Result<usize> {
    // SAFETY: the caller's promise.
    let size = unsafe { structure.cast::<u32>().read() } as usize;
    if size > size_of::<T>() {
        Err(Error::VersionMismatch)
    } else if size == size_of::<T>() || older.contains(&size) {
        Ok(size)
    } else {
        Err(Error::Invalid)
    }
}

/// The abi_version of every structure that has one.
pub(super) const ABI_VERSION: u32 = 1;

pub(super) fn check_abi(version: u32) -> Result<()> {
    if version == ABI_VERSION {
        Ok(())
    } else {
        Err(Error::VersionMismatch)
    }
}

const _: () = assert!(LARDER_INVALID == Error::Invalid as i32);
