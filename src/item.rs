//! Items: header, key and value in a log. A long value continues in the next page and in whole pages of its own.
//!
//! # Layout
//! ```text
//! word 0   | form 3 | state 2 | ttl 1 | uses 2 | value bytes 16 | key bytes 8 |
//! then     [ newer, older ]           with exact LRU
//!          [ tag ]                    with LARDER_ITEM_TAGS
//!          [ version, two words ]     with LARDER_ITEM_VERSIONS
//!          [ checksum ]               with LARDER_CHECKSUM
//!          [ set time ]               with LARDER_ITEM_TIMES
//!          [ expiry ]                 with a time to live
//!          [ value length, pages ]    in a long item
//!          key bytes, value bytes
//!
//! dead     | 0 | granules 16 | 0 |    a dead run of that many granules: its key bytes are 0
//! pages    | chain 16 | rest 16 |     page numbers, NONE without such a page
//! rest     | id | value bytes ..      at the start of a log page: the bytes that did not fit in the item's page
//! chain    | value bytes .. |         whole pages, linked by their descriptors; the first one's `due` is the id
//! ```
//! Word 0 counts the value bytes in the log. A long item's chain has the value bytes after them. A value shorter
//! than a page is in the log alone.
//!
//! # Invariants (walked by `check`)
//! 1. Header and key are in one page. The first part of an item with a rest ends at its page's end.
//! 2. A rest's first word, and the `due` of a chain's first page, name the item.
//!
//! # Not here
//! Appending and killing: `log`. The checksum's definition: `checksum`. Finding a region's items: `attach`.

#![forbid(unsafe_code)]

mod head;
mod pieces;
mod shape;
mod token;
mod words;

pub(crate) use head::{Head, LEASE_TYPE, State};
pub use head::{KEY_LEN_MAX, Type};
use pieces::copy_pieces;
pub(crate) use pieces::{Piece, Pieces};
pub(crate) use shape::{Draft, Format, Meta, NEWER, OLDER, Shape};
pub(crate) use token::Token;

use head::{FORM_SHIFT, KEY, LONG, LONG_WORDS, TTL};

use crate::checksum;
use crate::expiry::NEVER;
use crate::limits::narrow;
use crate::page::{GRANULE, Id, Owner, Page, Pages};

/// An item in a log.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Item {
    pub(crate) id: Id,
    pub(crate) head: Head,
    /// Granules in the page of its header.
    pub(crate) here: u32,
    /// Granules of all its parts.
    pub(crate) granules: u32,
}

/// Bytes of the header of an item without optional words.
pub(crate) const HEAD_SIZE: usize = GRANULE;

/// The layout of items in the pages of a shard.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Items {
    pub(crate) format: Format,
}

impl Items {
    /// The shape of an item of these lengths in pages of `page_size` bytes. `key_len` is at most
    /// [`Format::key_len_max`].
    #[inline(always)]
    pub(crate) fn shape(
        self,
        page_size: usize,
        key_len: usize,
        value_len: usize,
        ttl: bool,
    ) -> Shape {
        let words = self.format.fixed + u32::from(ttl);
        if value_len <= page_size && words as usize * GRANULE + key_len + value_len <= page_size {
            return Shape {
                long: false,
                words,
                key_len,
                here: value_len,
                chain: 0,
            };
        }
        Self::long_shape(page_size, words + LONG_WORDS, key_len, value_len)
    }

    /// The shape of a lease.
    pub(crate) fn lease_shape(self, page_size: usize, key_len: usize) -> Shape {
        Self::long_shape(
            page_size,
            self.format.fixed + 1 + LONG_WORDS,
            key_len,
            Token::LEN,
        )
    }

    #[cold]
    fn long_shape(page_size: usize, words: u32, key_len: usize, value_len: usize) -> Shape {
        let shift = page_size.trailing_zeros();
        // The page count fits in `u32`: `Store::too_large` has rejected longer values.
        Shape {
            long: true,
            words,
            key_len,
            here: value_len & (page_size - 1),
            chain: u32::try_from(value_len >> shift).unwrap_or(u32::MAX),
        }
    }

    // ---- reading the header --------------------------------------------------------------------

    #[inline(always)]
    pub(crate) fn head(pages: &Pages, id: Id) -> Head {
        Head(pages.word(id.0))
    }

    #[inline(always)]
    pub(crate) fn set_head(pages: &mut Pages, id: Id, head: Head) {
        pages.set_word(id.0, head.0);
    }

    #[inline(always)]
    fn key_at(self, id: Id, head: Head) -> usize {
        (id.0 + self.format.words(head)) as usize * GRANULE
    }

    #[cfg_attr(not(feature = "small"), inline)]
    #[cfg_attr(feature = "small", inline(never))]
    pub(crate) fn key(self, pages: &Pages, id: Id) -> &[u8] {
        self.key_of(pages, id, Self::head(pages, id))
    }

    /// The key of an item with the first word `head`.
    #[inline(always)]
    pub(crate) fn key_of(self, pages: &Pages, id: Id, head: Head) -> &[u8] {
        pages.bytes().slice(self.key_at(id, head), head.key_len())
    }

    #[inline(always)]
    pub(crate) fn key_is(self, pages: &Pages, id: Id, head: Head, key: &[u8]) -> bool {
        head.key_len() == key.len() && pages.bytes().equal(self.key_at(id, head), key)
    }

    /// The value of an item in one piece. `None` if the item is long, may expire, or has a checksum.
    #[inline(always)]
    pub(crate) fn plain_value(self, id: Id, head: Head) -> Option<Piece> {
        if head.has_ttl() || head.is_long() || self.format.checksum {
            return None;
        }
        Some(Piece {
            at: (id.0 + self.format.fixed) as usize * GRANULE + head.key_len(),
            len: head.low() as usize,
        })
    }

    /// The value of an item in one piece. `None` if the item is long.
    #[inline]
    pub(crate) fn short_value(self, id: Id, head: Head) -> Option<Piece> {
        (!head.is_long()).then(|| Piece {
            at: (id.0 + self.format.words(head)) as usize * GRANULE + head.key_len(),
            len: head.low() as usize,
        })
    }

    #[cfg_attr(not(feature = "small"), inline)]
    #[cfg_attr(feature = "small", inline(never))]
    pub(crate) fn value_len(self, pages: &Pages, id: Id) -> usize {
        let head = Self::head(pages, id);
        self.payload(pages, id, head) - head.key_len()
    }

    /// Key and value bytes of an item. `head` is its first word, stored or not.
    #[cfg_attr(not(feature = "small"), inline(always))]
    #[cfg_attr(feature = "small", inline(never))]
    pub(crate) fn payload(self, pages: &Pages, id: Id, head: Head) -> usize {
        let value = if head.is_long() {
            pages.word(self.long_at(id, head)) as usize
        } else {
            head.low() as usize
        };
        head.key_len() + value
    }

    /// Granules of header and key.
    pub(crate) fn header_granules(self, head: Head) -> u32 {
        self.format.words(head) + head.key_len().div_ceil(GRANULE) as u32
    }

    /// Whether the value's length fits its type. Numbers have eight bytes in one piece, so they can change in place.
    pub(crate) fn type_fits(self, pages: &Pages, id: Id, head: Head) -> bool {
        if head.is_lease() {
            return self.value_len(pages, id) == Token::LEN;
        }
        match head.value_type() {
            Type::Bytes | Type::Str => true,
            Type::I64 | Type::U64 | Type::F64 => self.value_len(pages, id) == 8,
        }
    }

    /// Whether a long item's lengths agree with [`Items::shape`]: its bytes in the log, in a rest and in whole
    /// pages. The caller has checked that the header is inside its page.
    pub(crate) fn lengths_fit(self, pages: &Pages, id: Id, head: Head) -> bool {
        let len = pages.word(self.long_at(id, head));
        let in_log = head.low();
        let here =
            (self.granules_here(pages, id, head) - self.format.words(head)) as usize * GRANULE;
        let goes_on = self.rest_page(pages, id) != Page::NONE;
        in_log == len & (pages.page_size() as u32 - 1)
            && (!goes_on || head.key_len() + in_log as usize > here)
    }

    /// The granule of a long item's value length. The word with the page numbers follows.
    fn long_at(self, id: Id, head: Head) -> u32 {
        id.0 + self.format.words(head) - LONG_WORDS
    }

    /// Repairs a long item whose checksum does not match. Its page numbers become those of the pages that name the
    /// item, its length becomes theirs. O(pages).
    #[cold]
    pub(crate) fn mend(self, pages: &mut Pages, id: Id) {
        let head = Self::head(pages, id);
        if !head.is_long() {
            return;
        }
        let is_rest = |page: &Page| {
            let descriptor = pages.get(*page);
            descriptor.owner.is_log()
                && descriptor.first > 0
                && pages.word(pages.start_of(*page)) == id.0
        };
        let is_first = |page: &Page| {
            let descriptor = pages.get(*page);
            descriptor.owner == Owner::Chain && descriptor.due == id.0
        };
        let rest = pages.all().find(is_rest).unwrap_or(Page::NONE);
        let chain = pages.all().find(is_first).unwrap_or(Page::NONE);
        let (mut page, mut len) = (chain, head.low());
        while let Some(here) = page.some() {
            (page, len) = (pages.get(here).next, len + pages.page_size() as u32);
        }
        let at = self.long_at(id, head);
        pages.set_word(at, len);
        pages.set_word(at + 1, u32::from(chain.0) << 16 | u32::from(rest.0));
    }

    /// The page of a long item's rest, and the first page of its chain.
    fn long_pages(self, pages: &Pages, id: Id, head: Head) -> (Page, Page) {
        if !head.is_long() {
            return (Page::NONE, Page::NONE);
        }
        let word = pages.word(self.long_at(id, head) + 1);
        (Page(word as u16), Page((word >> 16) as u16))
    }

    pub(crate) fn rest_page(self, pages: &Pages, id: Id) -> Page {
        self.long_pages(pages, id, Self::head(pages, id)).0
    }

    pub(crate) fn chain_page(self, pages: &Pages, id: Id) -> Page {
        self.long_pages(pages, id, Self::head(pages, id)).1
    }

    /// Number of whole pages of the value.
    pub(crate) fn chain_len(self, pages: &Pages, id: Id) -> u32 {
        let head = Self::head(pages, id);
        if !head.is_long() {
            return 0;
        }
        let len = pages.word(self.long_at(id, head));
        len.saturating_sub(head.low()) >> pages.page_size().trailing_zeros()
    }

    /// Granules of the item, or of the dead run, in the page of its first word.
    #[cfg_attr(not(feature = "small"), inline(always))]
    #[cfg_attr(feature = "small", inline(never))]
    pub(crate) fn granules_here(self, pages: &Pages, id: Id, head: Head) -> u32 {
        if head.is_dead() {
            return head.low();
        }
        if head.is_long() && self.long_pages(pages, id, head).0 != Page::NONE {
            return pages.end_of(pages.page_of(id)) - id.0;
        }
        self.format.words(head) + (head.key_len() as u32 + head.low() + 3) / GRANULE as u32
    }

    /// Granules of the rest, its first word included.
    pub(crate) fn rest_granules(self, pages: &Pages, id: Id) -> u32 {
        let head = Self::head(pages, id);
        let here =
            (self.granules_here(pages, id, head) - self.format.words(head)) as usize * GRANULE;
        let rest = head.key_len() + head.low() as usize - here;
        1 + rest.div_ceil(GRANULE) as u32
    }

    /// Granules of a plain item: see [`Head::is_plain`].
    #[inline(always)]
    pub(crate) fn plain_granules(self, head: Head) -> u32 {
        self.format.fixed + (head.key_len() as u32 + head.low()).div_ceil(4)
    }

    /// The item with the first word `head`, and its sizes.
    #[cfg_attr(not(feature = "small"), inline(always))]
    #[cfg_attr(feature = "small", inline(never))]
    pub(crate) fn item(self, pages: &Pages, id: Id, head: Head) -> Item {
        if head.is_long() {
            return self.long_item(pages, id, head);
        }
        let here = self.format.words(head) + (head.key_len() as u32 + head.low()).div_ceil(4);
        Item {
            id,
            head,
            here,
            granules: here,
        }
    }

    #[cold]
    fn long_item(self, pages: &Pages, id: Id, head: Head) -> Item {
        let here = self.granules_here(pages, id, head);
        let rest = match self.rest_page(pages, id).some() {
            Some(_) => self.rest_granules(pages, id),
            None => 0,
        };
        Item {
            id,
            head,
            here,
            granules: here + rest + pages.granules_of(self.chain_len(pages, id)),
        }
    }

    /// The shape of a stored item with the same lengths, with or without an expiry.
    pub(crate) fn shape_of(self, pages: &Pages, id: Id, ttl: bool) -> Shape {
        let (key_len, len) = (Self::head(pages, id).key_len(), self.value_len(pages, id));
        let chain = self.chain_len(pages, id);
        let shape = self.shape(pages.page_size(), key_len, len, ttl);
        if chain == 0 && !Self::head(pages, id).is_lease() || shape.long {
            return shape;
        }
        // A value of exactly one page keeps its chain. A lease keeps its form.
        Self::long_shape(pages.page_size(), shape.words + LONG_WORDS, key_len, len)
    }

    // ---- writing -------------------------------------------------------------------------------

    /// Writes an item's header and key, but not its first word. Returns that word, whose store completes the item.
    /// `rest` is the page of the item's rest, or `NONE`.
    #[cfg_attr(not(feature = "small"), inline(always))]
    pub(crate) fn write_head(
        self,
        pages: &mut Pages,
        id: Id,
        shape: &Shape,
        draft: &Draft<'_>,
        set_time: u32,
        (rest, chain): (Page, Page),
    ) -> Head {
        let mut word = Head::new(draft.key.len(), shape.here, draft.value_type, draft.uses).0;
        if shape.long {
            word += LONG << FORM_SHIFT;
        }
        let mut at = id.0 + self.format.fixed;
        if self.format.times {
            pages.set_word(at - 1, set_time);
        }
        if self.format.has_meta() {
            self.set_meta(pages, id, draft.meta);
        }
        if let Some((instant, _)) = draft.expiry {
            word |= TTL;
            pages.set_word(at, instant.0);
            at += 1;
        }
        if shape.long {
            pages.set_word(at, narrow(draft.value_len));
            pages.set_word(at + 1, u32::from(chain.0) << 16 | u32::from(rest.0));
            at += LONG_WORDS;
        }
        pages.bytes_mut().copy_in(at as usize * GRANULE, draft.key);
        Head(word)
    }

    /// Copies links, checksum, set time, key, and the value bytes in the log to another item. The other item's
    /// header is already written. Returns its first word, whose store completes the item.
    pub(crate) fn copy_body(
        self,
        pages: &mut Pages,
        from: Id,
        old: Head,
        to: Id,
        new: Head,
    ) -> Head {
        let word = new.0 & !KEY | old.0 & KEY;
        let new = Head(word);
        let fixed = self.format.fixed as usize - 1;
        let (a, b) = (
            (from.0 as usize + 1) * GRANULE,
            (to.0 as usize + 1) * GRANULE,
        );
        pages.bytes_mut().copy_within(a, b, fixed * GRANULE);
        if self.format.checksum && new.has_ttl() {
            let old_expiry = self.expiry(pages, from).unwrap_or(NEVER);
            let expiry = pages.word(to.0 + self.format.fixed);
            let at = to.0 + self.format.checksum_at();
            let sum = checksum::with_expiry(pages.word(at), old_expiry.0, expiry);
            pages.set_word(at, sum);
        }
        let (a, b) = (self.key_at(from, old), self.key_at(to, new));
        pages.bytes_mut().copy_within(a, b, old.key_len());
        let (from, to) = (self.pieces(pages, from, old), self.pieces(pages, to, new));
        copy_pieces(pages, from, to, Pieces::next_in_log);
        new
    }

    /// As [`Items::copy_body`], for another item with its own chain: copies the chain's bytes, too.
    pub(crate) fn copy_whole(
        self,
        pages: &mut Pages,
        from: Id,
        old: Head,
        to: Id,
        new: Head,
    ) -> Head {
        let new = self.copy_body(pages, from, old, to, new);
        let (from, to) = (self.pieces(pages, from, old), self.pieces(pages, to, new));
        copy_pieces(pages, from, to, Pieces::next);
        new
    }
}
