//! What a call can answer: one number for each reason, the same in every language, for ever.

#![forbid(unsafe_code)]

/// Why a call did not do what was asked. The number is the C interface's status.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(i32)]
#[non_exhaustive]
pub enum Error {
    /// No item has this key, or it has expired.
    NotFound = -1,
    /// An argument is NULL or out of its range, or the configuration does not allow the call; nothing was changed.
    Invalid = -2,
    /// Region, limit or table are too small, or too much is in use: nothing more can be evicted. What was asked for
    /// was not done.
    NoMemory = -3,
    /// A key, value or size is above what configuration, region and limit allow; nothing was evicted.
    TooLarge = -4,
    /// The buffer is shorter than the value; the length is reported.
    BufferTooSmall = -5,
    /// An item with this key is there already.
    Exists = -6,
    /// The value is of another type.
    TypeMismatch = -7,
    /// The lock is taken, it runs already, or a callback called back.
    Busy = -8,
    /// A check found an invariant broken, or an item's checksum does not fit.
    Corrupt = -9,
    /// The block, view or reservation was given back before, or what it is for was changed since.
    Stale = -10,
    /// The structure or region is of another version of the library, or the region of another
    /// configuration.
    VersionMismatch = -11,
    /// The region does not start at a multiple of [`ALIGN`](crate::ALIGN).
    Misaligned = -12,
    /// There is more to do: call again.
    Again = -13,
    /// A view or a reservation holds it.
    Pinned = -14,
}

impl Error {
    /// The error with this number.
    pub const fn from_code(code: i32) -> Option<Self> {
        Some(match code {
            -1 => Self::NotFound,
            -2 => Self::Invalid,
            -3 => Self::NoMemory,
            -4 => Self::TooLarge,
            -5 => Self::BufferTooSmall,
            -6 => Self::Exists,
            -7 => Self::TypeMismatch,
            -8 => Self::Busy,
            -9 => Self::Corrupt,
            -10 => Self::Stale,
            -11 => Self::VersionMismatch,
            -12 => Self::Misaligned,
            -13 => Self::Again,
            -14 => Self::Pinned,
            _ => return None,
        })
    }

    /// The status number of the C interface.
    pub const fn code(self) -> i32 {
        self as i32
    }

    /// A short English text, which is true of every cause that the error can have.
    pub const fn text(self) -> &'static core::ffi::CStr {
        match self {
            Self::NotFound => c"not found",
            Self::Invalid => {
                c"invalid: an argument is NULL or out of range, or the configuration does not allow the call"
            }
            Self::NoMemory => c"not enough memory: region, limit or table too small, or too much of it in use",
            Self::TooLarge => c"too large: a key, value or size above what configuration, region and limit allow",
            Self::BufferTooSmall => c"buffer smaller than the value",
            Self::Exists => c"exists already",
            Self::TypeMismatch => c"value is of another type",
            Self::Busy => c"busy: locked, leased, running already, in the making, or called from inside a callback",
            Self::Corrupt => c"corrupt: an invariant or a checksum does not hold",
            Self::Stale => c"stale: given back before, or changed since",
            Self::VersionMismatch => c"of another version of the library, or made with another configuration",
            Self::Misaligned => c"memory does not start at a multiple of 16 bytes",
            Self::Again => c"more to do, call again",
            Self::Pinned => c"pinned by a view or a reservation",
        }
    }
}

impl core::fmt::Display for Error {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str(self.text().to_str().unwrap_or("error"))
    }
}

impl core::error::Error for Error {}

/// `Ok`, or why not.
pub type Result<T> = core::result::Result<T, Error>;
