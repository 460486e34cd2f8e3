//! The shape of an item: its optional words, its part in the log, its whole pages.

#![forbid(unsafe_code)]

use super::head::{Head, KEY_LEN_MAX, LONG_WORDS, Type};
use crate::expiry::Instant;
use crate::page::GRANULE;

/// The optional words that every item of a cache has.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Format {
    /// Words that every item has.
    pub(crate) fixed: u32,
    /// Items have the time of the last set.
    pub(crate) times: bool,
    /// Items have a checksum.
    pub(crate) checksum: bool,
    /// Items have a tag.
    pub(crate) tags: bool,
    /// Items have a version.
    pub(crate) versions: bool,
}

/// With exact LRU, the positions of an item's links among its words.
pub(crate) const NEWER: u32 = 1;
pub(crate) const OLDER: u32 = 2;

impl Format {
    /// `links`: whether the policy stores two links in each item. `wants`: the other words; its `fixed` is ignored.
    pub(crate) fn new(links: bool, wants: Self) -> Self {
        let Self {
            times,
            checksum,
            tags,
            versions,
            ..
        } = wants;
        let links = if links { 2 } else { 0 };
        let meta = u32::from(tags) + 2 * u32::from(versions);
        Self {
            fixed: 1 + links + meta + u32::from(checksum) + u32::from(times),
            ..wants
        }
    }

    /// Whether `fixed` includes no optional word.
    pub(crate) fn is_plain(self) -> bool {
        self.fixed == 1
    }

    pub(super) fn checksum_at(self) -> u32 {
        self.fixed - 1 - u32::from(self.times)
    }

    /// Whether items have a tag or a version.
    #[inline(always)]
    pub(super) fn has_meta(self) -> bool {
        self.tags | self.versions
    }

    pub(super) fn version_at(self) -> u32 {
        self.fixed - u32::from(self.times) - u32::from(self.checksum) - 2
    }

    pub(super) fn tag_at(self) -> u32 {
        let behind =
            u32::from(self.times) + u32::from(self.checksum) + 2 * u32::from(self.versions);
        self.fixed - behind - 1
    }

    #[inline(always)]
    pub(super) fn words(self, head: Head) -> u32 {
        let long = if head.is_long() { LONG_WORDS } else { 0 };
        self.fixed + (head.0 >> 26 & 1) + long
    }

    /// The maximum number of words of a header.
    pub(super) fn words_max(self) -> u32 {
        self.fixed + 1 + LONG_WORDS
    }

    /// The maximum number of bytes of a header.
    pub(crate) fn size_max(self) -> usize {
        self.words_max() as usize * GRANULE
    }

    /// The longest key in pages of `page_size` bytes. Header and key must fit in one page. Even with
    /// `page_size - 1` value bytes in the log, the rest must fit in a page behind the rest's first word.
    pub(crate) fn key_len_max(self, page_size: usize) -> usize {
        let most = page_size.saturating_sub(self.size_max() + GRANULE);
        most.min(KEY_LEN_MAX)
    }
}

/// The contents of a new item.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Draft<'a> {
    pub(crate) key: &'a [u8],
    /// The whole value, or empty if the value is written later.
    pub(crate) value: &'a [u8],
    pub(crate) value_len: usize,
    pub(crate) value_type: Type,
    /// The expiry, if there is one, and the same time in milliseconds.
    pub(crate) expiry: Option<(Instant, u64)>,
    pub(crate) uses: u32,
    pub(crate) meta: Meta,
}

impl<'a> Draft<'a> {
    /// A draft of an item of [`Type::Bytes`].
    pub(crate) fn of(key: &'a [u8], value: &'a [u8], expiry: Option<(Instant, u64)>) -> Self {
        Self {
            key,
            value,
            value_len: value.len(),
            value_type: Type::Bytes,
            expiry,
            uses: 0,
            meta: Meta::default(),
        }
    }
}

/// The host's tag of an item, and the cache's version of it.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Meta {
    pub(crate) tag: u32,
    pub(crate) version: u64,
}

/// The division of an item between the log and whole pages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Shape {
    pub(crate) long: bool,
    /// Words of the header.
    pub(crate) words: u32,
    pub(crate) key_len: usize,
    /// Value bytes in the log.
    pub(crate) here: usize,
    /// Number of whole pages for the other value bytes.
    pub(crate) chain: u32,
}

impl Shape {
    /// Granules in the log, in one piece.
    #[inline(always)]
    pub(crate) fn granules(&self) -> u32 {
        self.words + ((self.key_len + self.here + 3) / GRANULE) as u32
    }

    /// Granules of header and key.
    pub(super) fn head_granules(&self) -> u32 {
        self.words + self.key_len.div_ceil(GRANULE) as u32
    }

    /// The shape of the item in two pieces, and the minimum number of granules of the first piece.
    pub(crate) fn split(&self) -> (Self, u32) {
        let words = self.words + if self.long { 0 } else { LONG_WORDS };
        let split = Self {
            long: true,
            words,
            ..*self
        };
        (split, split.head_granules())
    }
}
