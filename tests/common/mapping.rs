//! Regions larger than the machine's memory: mapped, without memory until they are written.

#![allow(unsafe_code)]

/// Anonymous memory that takes no physical memory until it is written.
pub(crate) struct Mapping {
    at: *mut libc::c_void,
    len: usize,
}

impl Mapping {
    pub(crate) fn new(len: usize) -> Option<Self> {
        let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE;
        let access = libc::PROT_READ | libc::PROT_WRITE;
        // SAFETY: a new mapping at an address that the system chooses.
        let at = unsafe { libc::mmap(std::ptr::null_mut(), len, access, flags, -1, 0) };
        (at != libc::MAP_FAILED).then_some(Self { at, len })
    }

    pub(crate) fn bytes(&mut self) -> &mut [u8] {
        // SAFETY: mapped in `new`, zero until written; `&mut self` excludes other accesses.
        unsafe { std::slice::from_raw_parts_mut(self.at.cast(), self.len) }
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        // SAFETY: mapped in `new`, and no borrow is left.
        unsafe { libc::munmap(self.at, self.len) };
    }
}
