//! How an item is divided: optional words, the part in the log, whole pages.

#![forbid(unsafe_code)]

use super::head::{Head, KEY_LEN_MAX, LONG_WORDS, Type};
use crate::expiry::Instant;
use crate::page::GRANULE;

/// Which optional words every item of a cache has.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Format {
    /// Words that every item has.
    pub(crate) fixed: u32,
    /// The time of the last set is among them.
    pub(crate) times: bool,
    /// A checksum is among them.
    pub(crate) checksum: bool,
    /// A tag is among them.
    pub(crate) tags: bool,
    /// A version is among them.
    pub(crate) versions: bool,
}

/// Words that an item's links are, with exact LRU.
pub(crate) const NEWER: u32 = 1;
pub(crate) const OLDER: u32 = 2;

impl Format {
    /// `links`: the policy keeps two links in each item; `wants`: what else is kept, without `fixed`.
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

    /// Whether no item has an optional word that all have.
    pub(crate) fn is_plain(self) -> bool {
        self.fixed == 1
    }

    pub(super) fn checksum_at(self) -> u32 {
        self.fixed - 1 - u32::from(self.times)
    }

    /// Whether a tag or a version is among the words.
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

    /// The most words of a header.
    pub(super) fn words_max(self) -> u32 {
        self.fixed + 1 + LONG_WORDS
    }

    /// The most bytes of a header.
    pub(crate) fn size_max(self) -> usize {
        self.words_max() as usize * GRANULE
    }

    /// The longest key in pages of so many bytes: header and key lie in one piece, and with the page's last byte of a
    /// value behind them, a rest still fits in a page behind its own first word.
    pub(crate) fn key_len_max(self, page_size: usize) -> usize {
        let most = page_size.saturating_sub(self.size_max() + GRANULE);
        most.min(KEY_LEN_MAX)
    }
}

/// What a new item consists of.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Draft<'a> {
    pub(crate) key: &'a [u8],
    /// All of it, or nothing where it is written later.
    pub(crate) value: &'a [u8],
    pub(crate) value_len: usize,
    pub(crate) value_type: Type,
    /// Where it has one, and when that is in milliseconds.
    pub(crate) expiry: Option<(Instant, u64)>,
    pub(crate) uses: u32,
    pub(crate) meta: Meta,
}

impl<'a> Draft<'a> {
    /// Of bytes.
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

/// What the host, and the cache, know an item by.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Meta {
    pub(crate) tag: u32,
    pub(crate) version: u64,
}

/// How an item is divided.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Shape {
    pub(crate) long: bool,
    /// Words of the header.
    pub(crate) words: u32,
    pub(crate) key_len: usize,
    /// Value bytes in the log.
    pub(crate) here: usize,
    /// Whole pages behind them.
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

    /// The same item in two pieces: how, and granules that its first piece has at least.
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
