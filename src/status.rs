//! What a call can answer: one number for each reason, the same in every language, for ever.

/// Why a call did not do what was asked. The number is the C interface's status.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(i32)]
#[non_exhaustive]
pub enum Error {
    /// No item has this key, or it has expired.
    NotFound = -1,
    /// An argument is out of its range; nothing was changed.
    Invalid = -2,
    /// Nothing more can be evicted to make room; nothing was changed.
    NoMemory = -3,
    /// Larger than the limit can ever hold; nothing was evicted.
    TooLarge = -4,
    /// The buffer is shorter than the value; the length is reported.
    BufferTooSmall = -5,
    /// An item with this key is there already.
    Exists = -6,
    /// The value is of another type.
    TypeMismatch = -7,
    /// The lock is taken, or a callback called back.
    Busy = -8,
    /// A check found an invariant broken.
    Corrupt = -9,
    /// The block or view was given back before.
    Stale = -10,
    /// The structure is of another version of the library.
    VersionMismatch = -11,
    /// The region does not start at a multiple of [`ALIGN`](crate::ALIGN).
    Misaligned = -12,
    /// There is more to do: call again.
    Again = -13,
    /// The item is pinned by a reader.
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

    /// A short English text.
    pub const fn text(self) -> &'static core::ffi::CStr {
        match self {
            Self::NotFound => c"not found",
            Self::Invalid => c"invalid argument",
            Self::NoMemory => c"no memory left to evict",
            Self::TooLarge => c"too large for the limit",
            Self::BufferTooSmall => c"buffer too small",
            Self::Exists => c"exists already",
            Self::TypeMismatch => c"value is of another type",
            Self::Busy => c"busy",
            Self::Corrupt => c"corrupt",
            Self::Stale => c"stale handle",
            Self::VersionMismatch => c"version mismatch",
            Self::Misaligned => c"region is misaligned",
            Self::Again => c"more to do, call again",
            Self::Pinned => c"pinned",
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
