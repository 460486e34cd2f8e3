//! The first word of an item.

#![forbid(unsafe_code)]

use crate::limits::narrow;

/// The type of a value. A read returns the type that was set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(i32)]
pub enum Type {
    /// Bytes.
    Bytes = 0,
    /// Text.
    Str = 1,
    /// A signed integer of 64 bits.
    I64 = 2,
    /// An unsigned integer of 64 bits.
    U64 = 3,
    /// A floating-point number of 64 bits.
    F64 = 4,
}

impl Type {
    const fn of(form: u32) -> Self {
        match form {
            1 | 6 => Self::Str,
            2 => Self::I64,
            3 => Self::U64,
            4 => Self::F64,
            _ => Self::Bytes,
        }
    }
}

/// The longest key in bytes: the length is stored in eight bits.
pub const KEY_LEN_MAX: usize = 255;

pub(super) const KEY: u32 = 0xff;
pub(super) const VALUE_SHIFT: u32 = 8;
pub(super) const VALUE: u32 = 0xffff;
pub(super) const USES_SHIFT: u32 = 24;
pub(super) const USES: u32 = 3 << USES_SHIFT;
pub(super) const TTL: u32 = 1 << 26;
pub(super) const STATE_SHIFT: u32 = 27;
pub(super) const STATE: u32 = 3 << STATE_SHIFT;
/// Of the two bits of the state: whether an item is held, and of one that is not, whether no caller has read it.
const HELD: u32 = 1 << STATE_SHIFT;
const UNREAD: u32 = 2 << STATE_SHIFT;
pub(super) const FORM_SHIFT: u32 = 29;
/// The lowest form of a long item.
pub(super) const LONG: u32 = 5;
pub(super) const LONG_WORDS: u32 = 2;
/// The form of a lease.
const LEASE: u32 = LONG + LEASE_TYPE as u32;
/// The value type of a lease's draft.
pub(crate) const LEASE_TYPE: Type = Type::I64;

/// An item's state, which limits what a log may do with the item.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum State {
    /// In the index: may be moved, evicted and overwritten.
    Live = 0,
    /// In the index, and pinned by a view: neither moved nor evicted nor overwritten.
    Pinned = 1,
    /// Not in the index: being written, or read by the last holder of a view.
    Pending = 3,
}

/// An item's first word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(transparent)]
pub(crate) struct Head(pub(crate) u32);

impl Head {
    /// The first word of a dead run of `granules` granules.
    #[inline(always)]
    pub(crate) fn dead(granules: u32) -> Self {
        Self(granules << VALUE_SHIFT)
    }

    #[inline(always)]
    pub(crate) fn is_dead(self) -> bool {
        self.0 & KEY == 0
    }

    #[inline(always)]
    pub(crate) fn is_live(self) -> bool {
        !self.is_dead() && self.0 & HELD == 0
    }

    pub(crate) fn state(self) -> State {
        match self.0 >> STATE_SHIFT & 3 {
            1 => State::Pinned,
            3 => State::Pending,
            _ => State::Live,
        }
    }

    /// A live item counts as read from then on: see [`Head::unread`].
    #[must_use]
    pub(crate) fn with_state(self, state: State) -> Self {
        Self(self.0 & !STATE | (state as u32) << STATE_SHIFT)
    }

    /// A live item that no caller has read yet.
    #[inline(always)]
    #[must_use]
    pub(crate) fn unread(self) -> Self {
        Self(self.with_state(State::Live).0 | UNREAD)
    }

    /// A live item that a caller has read.
    #[inline(always)]
    #[must_use]
    pub(crate) fn seen(self) -> Self {
        Self(self.0 & !UNREAD)
    }

    /// Whether no caller has read a live item.
    #[inline(always)]
    pub(crate) fn is_unread(self) -> bool {
        self.0 & STATE == UNREAD
    }

    /// A live item: one that was pinned counts as read.
    #[must_use]
    pub(crate) fn live(self) -> Self {
        if self.is_live() {
            self
        } else {
            self.with_state(State::Live)
        }
    }

    /// The first word of a live item that is not long, never expires, and was never read.
    #[inline(always)]
    pub(crate) fn new(key_len: usize, value_len: usize, value_type: Type, uses: u32) -> Self {
        Self(
            narrow(key_len)
                | narrow(value_len) << VALUE_SHIFT
                | uses << USES_SHIFT
                | UNREAD
                | (value_type as u32) << FORM_SHIFT,
        )
    }

    /// Whether this is such a word, of an item that may have been read.
    #[inline(always)]
    pub(crate) fn is_plain(self) -> bool {
        self.0 & (HELD | TTL) == 0 && !self.is_long() && !self.is_dead()
    }

    #[inline(always)]
    pub(crate) fn is_long(self) -> bool {
        self.0 >= LONG << FORM_SHIFT
    }

    /// Whether the item is a lease, which has no value yet: see `shard::leases`. A lease has the form of a long
    /// `I64`, which no value has: numbers are never long.
    #[inline(always)]
    pub(crate) fn is_lease(self) -> bool {
        self.0 >> FORM_SHIFT == LEASE
    }

    /// The value type for a draft of the same item.
    pub(crate) fn draft_type(self) -> Type {
        if self.is_lease() {
            LEASE_TYPE
        } else {
            self.value_type()
        }
    }

    #[inline(always)]
    pub(crate) fn has_ttl(self) -> bool {
        self.0 & TTL != 0
    }

    #[inline(always)]
    pub(crate) fn uses(self) -> u32 {
        self.0 >> USES_SHIFT & 3
    }

    #[inline(always)]
    #[must_use]
    pub(crate) fn with_uses(self, uses: u32) -> Self {
        Self(self.0 & !USES | uses << USES_SHIFT & USES)
    }

    /// A live item that a caller has read, by one use more.
    #[inline(always)]
    #[must_use]
    pub(crate) fn read(self) -> Self {
        self.used().seen()
    }

    /// One use more, up to three.
    #[inline(always)]
    #[must_use]
    pub(crate) fn used(self) -> Self {
        if self.0 & USES == USES {
            self
        } else {
            Self(self.0 + (1 << USES_SHIFT))
        }
    }

    #[inline(always)]
    pub(crate) fn key_len(self) -> usize {
        (self.0 & KEY) as usize
    }

    /// Value bytes in the log; granules of a dead run.
    #[inline(always)]
    pub(super) fn low(self) -> u32 {
        self.0 >> VALUE_SHIFT & VALUE
    }

    pub(crate) fn value_type(self) -> Type {
        Type::of(self.0 >> FORM_SHIFT)
    }

    /// Key length and type: the bits that neither a move nor a use changes.
    pub(super) fn identity(self) -> u32 {
        self.0 & KEY | (self.value_type() as u32) << FORM_SHIFT
    }
}
