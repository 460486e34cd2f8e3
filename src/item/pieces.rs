//! The pieces of an item's value.

#![forbid(unsafe_code)]

use super::Items;
use super::head::Head;
use crate::page::{GRANULE, Id, Page, Pages};
use crate::region::copy;

/// One piece of a value: byte offset in the shard's bytes, and length.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Piece {
    pub(crate) at: usize,
    pub(crate) len: usize,
}

impl Items {
    /// The pieces of an item's value. `head` is the item's first word, stored or not.
    pub(crate) fn pieces(self, pages: &Pages, id: Id, head: Head) -> Pieces {
        let at = self.key_at(id, head) + head.key_len();
        let (rest, chain) = self.long_pages(pages, id, head);
        let here = if rest == Page::NONE {
            head.low() as usize
        } else {
            pages.end_of(pages.page_of(id)) as usize * GRANULE - at
        };
        let len = if head.is_long() {
            pages.word(self.long_at(id, head)) as usize
        } else {
            head.low() as usize
        };
        Pieces {
            first: Some(Piece {
                at,
                len: here.min(len),
            }),
            rest,
            rest_len: (head.low() as usize).saturating_sub(here),
            chain,
            left: len,
        }
    }

    /// Writes the value of an item whose header is written. `head` is the item's first word, not yet stored.
    #[cfg_attr(not(feature = "small"), inline(always))]
    pub(crate) fn write_value(self, pages: &mut Pages, id: Id, head: Head, value: &[u8]) {
        if head.is_long() {
            return self.write_pieces(pages, id, head, value);
        }
        let at = self.key_at(id, head) + head.key_len();
        pages.bytes_mut().copy_in(at, value);
    }

    #[cold]
    fn write_pieces(self, pages: &mut Pages, id: Id, head: Head, value: &[u8]) {
        self.write_at(pages, id, head, 0, value);
    }

    /// Writes a part of the value from `offset`. The part is inside the value.
    pub(crate) fn write_at(
        self,
        pages: &mut Pages,
        id: Id,
        head: Head,
        offset: usize,
        value: &[u8],
    ) {
        let mut rest = value;
        let mut pieces = self.pieces_from(pages, id, head, offset);
        while let Some(piece) = pieces.next(pages) {
            let (here, behind) = rest.split_at_checked(piece.len).unwrap_or((rest, &[]));
            pages.bytes_mut().copy_in(piece.at, here);
            rest = behind;
        }
    }

    /// Copies an item's value into another item's value, from `offset` on. Bytes that do not fit are left out.
    pub(crate) fn copy_value(
        self,
        pages: &mut Pages,
        (from, old): (Id, Head),
        (to, new): (Id, Head),
        offset: usize,
    ) {
        let source = self.pieces(pages, from, old);
        let target = self.pieces_from(pages, to, new, offset);
        copy_pieces(pages, source, target, Pieces::next);
    }

    /// The pieces of a value from `offset` on.
    fn pieces_from(self, pages: &Pages, id: Id, head: Head, offset: usize) -> Pieces {
        let mut pieces = self.pieces(pages, id, head);
        let mut skip = offset;
        while skip > 0
            && let Some(piece) = pieces.next(pages)
        {
            let skipped = skip.min(piece.len);
            skip -= skipped;
            let len = piece.len - skipped;
            if len > 0 {
                // The part of the piece that was not skipped is the next piece.
                pieces.left += len;
                pieces.first = Some(Piece {
                    at: piece.at + skipped,
                    len,
                });
            }
        }
        pieces
    }

    /// Copies `buffer.len()` bytes of the value from `offset`. The range is inside the value.
    pub(crate) fn read(self, pages: &Pages, id: Id, offset: usize, buffer: &mut [u8]) {
        let (mut skip, mut to) = (offset, buffer);
        let mut pieces = self.pieces(pages, id, Self::head(pages, id));
        while let Some(piece) = pieces.next(pages) {
            let skipped = skip.min(piece.len);
            skip -= skipped;
            let len = (piece.len - skipped).min(to.len());
            let (now, later) = core::mem::take(&mut to)
                .split_at_mut_checked(len)
                .unwrap_or_default();
            copy(now, pages.bytes().slice(piece.at + skipped, len));
            to = later;
            if to.is_empty() {
                return;
            }
        }
    }

    /// The first piece of the value: the whole value if there is only one piece.
    pub(crate) fn first_piece(self, pages: &Pages, id: Id) -> Piece {
        let mut pieces = self.pieces(pages, id, Self::head(pages, id));
        pieces.next(pages).unwrap_or_default()
    }

    /// Piece number `index` of the value. O(index).
    pub(crate) fn piece(self, pages: &Pages, id: Id, index: u32) -> Option<Piece> {
        let mut pieces = self.pieces(pages, id, Self::head(pages, id));
        for _ in 0..index {
            pieces.next(pages)?;
        }
        pieces.next(pages)
    }

    /// Number of pieces of the value. O(1).
    pub(crate) fn piece_count(self, pages: &Pages, id: Id) -> u32 {
        let head = Self::head(pages, id);
        let pieces = self.pieces(pages, id, head);
        let first = u32::from(
            pieces
                .first
                .is_some_and(|piece| piece.len > 0 || pieces.left == 0),
        );
        let rest = u32::from(pieces.rest != Page::NONE && pieces.rest_len > 0);
        first + rest + self.chain_len(pages, id)
    }
}

/// The pieces of a value, in order.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pieces {
    first: Option<Piece>,
    rest: Page,
    rest_len: usize,
    chain: Page,
    /// Bytes from here to the value's end.
    pub(crate) left: usize,
}

/// Copies the pieces that `next` returns, until one of the values ends.
pub(super) fn copy_pieces(
    pages: &mut Pages,
    mut from: Pieces,
    mut to: Pieces,
    next: fn(&mut Pieces, &Pages) -> Option<Piece>,
) {
    let (mut source, mut target) = (Piece::default(), Piece::default());
    loop {
        if source.len == 0 {
            source = next(&mut from, pages).unwrap_or_default();
        }
        if target.len == 0 {
            target = next(&mut to, pages).unwrap_or_default();
        }
        let len = source.len.min(target.len);
        if len == 0 {
            return;
        }
        pages.bytes_mut().copy_within(source.at, target.at, len);
        for piece in [&mut source, &mut target] {
            (piece.at, piece.len) = (piece.at + len, piece.len - len);
        }
    }
}

impl Pieces {
    /// The next piece in the log; the chain's pieces are left out.
    pub(super) fn next_in_log(&mut self, pages: &Pages) -> Option<Piece> {
        if self.first.is_none() && self.rest == Page::NONE {
            return None;
        }
        let chain = core::mem::replace(&mut self.chain, Page::NONE);
        let piece = self.next(pages);
        self.chain = chain;
        piece
    }

    /// The next piece. An empty value has one piece of 0 bytes.
    pub(crate) fn next(&mut self, pages: &Pages) -> Option<Piece> {
        if let Some(first) = self.first.take()
            && (first.len > 0 || self.left == 0)
        {
            self.left -= first.len;
            return Some(first);
        }
        if self.left == 0 {
            return None;
        }
        if let Some(rest) = self.rest.some() {
            self.rest = Page::NONE;
            let len = self.rest_len.min(self.left);
            self.left -= len;
            if len > 0 {
                let at = (pages.start_of(rest) + 1) as usize * GRANULE;
                return Some(Piece { at, len });
            }
        }
        // Damaged words of an item may name any page.
        let page = self.chain.some().filter(|&page| pages.contains(page))?;
        self.chain = pages.get(page).next;
        let len = pages.page_size().min(self.left);
        self.left -= len;
        let at = pages.start_of(page) as usize * GRANULE;
        Some(Piece { at, len })
    }
}
