//! Values without copying: views to read, reservations to write in place.
//!
//! A view pins an item: the item is neither moved nor evicted nor overwritten. Its bytes stay readable until the
//! view is dropped, even if the key is deleted or set again. A reservation pins bytes that are not yet an item; its
//! commit makes them one. Both count under the limit.
//!
//! # Invariants
//! 1. Each pointer from here belongs to a ticket. Until the ticket is released, the cache does not write the bytes
//!    of its value (`pins`, inv. 1 and 2).
#![allow(unsafe_code)]

mod reading;

pub use reading::Contiguous;
#[cfg(feature = "alloc")]
pub use reading::Pieces;

use crate::cache::Cache;
use crate::page::Id;
use crate::pins::Ticket;
use crate::shard::Shard;
use crate::status::{Error, Result};
use core::ptr::NonNull;

/// Contiguous bytes of a value.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Span {
    pub(crate) data: NonNull<u8>,
    pub(crate) len: usize,
}

/// A pinned item: its shard, its ticket and its value.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Hold {
    pub(crate) shard: u32,
    pub(crate) ticket: Ticket,
    pub(crate) first: Span,
    /// Bytes of the whole value.
    pub(crate) len: usize,
    pub(crate) spans: u32,
}

impl Shard {
    fn span(&self, id: Id, index: u32) -> Option<Span> {
        let store = &self.store;
        let piece = store.layout.piece(&store.pages, id, index)?;
        let data = store.pages.bytes().pointer(piece.at, piece.len)?;
        Some(Span {
            data,
            len: piece.len,
        })
    }

    /// Calls `visit` with each piece of a value in order, if there are at most `capacity`. Returns their number.
    fn spans(&self, id: Id, capacity: usize, mut visit: impl FnMut(usize, Span)) -> usize {
        let (pages, layout) = (&self.store.pages, self.store.layout);
        let count = layout.piece_count(pages, id) as usize;
        let mut pieces = layout.pieces(pages, id, self.store.head(id));
        for number in 0..if count <= capacity { count } else { 0 } {
            let piece = pieces.next(pages).unwrap_or_default();
            if let Some(data) = pages.bytes().pointer(piece.at, piece.len) {
                let len = piece.len;
                visit(number, Span { data, len });
            }
        }
        count
    }

    fn hold(&self, shard: u32, (ticket, id): (Ticket, Id)) -> Result<Hold> {
        let (pages, layout) = (&self.store.pages, self.store.layout);
        // Most values are in one piece.
        let plain = layout.plain_value(id, self.store.head(id));
        if let Some(piece) = plain
            && let Some(data) = pages.bytes().pointer(piece.at, piece.len)
        {
            let len = piece.len;
            return Ok(Hold {
                shard,
                ticket,
                first: Span { data, len },
                len,
                spans: 1,
            });
        }
        Ok(Hold {
            shard,
            ticket,
            first: self.span(id, 0).ok_or(Error::Corrupt)?,
            len: self.store.layout.value_len(&self.store.pages, id),
            spans: self.store.layout.piece_count(&self.store.pages, id),
        })
    }
}

impl Cache<'_> {
    pub(crate) fn hold_item(&self, key: &[u8]) -> Result<Hold> {
        self.with_key(key, false, |shard, hash| {
            let held = shard.pin(hash, key)?;
            self.note(self.shard_of(hash), shard, held.0.entry);
            shard.hold(self.shard_of(hash), held)
        })
    }

    /// Calls `call` with the shard of a ticket. `Stale` if there is no shard with this number.
    fn with_ticket<R>(&self, shard: u32, call: impl FnOnce(&mut Shard) -> Result<R>) -> Result<R> {
        if shard >= self.shard_count() {
            return Err(Error::Stale);
        }
        self.with_shard(shard, call)?
    }

    /// The same with a ticket that is given back.
    fn give_ticket(
        &self,
        number: u32,
        ticket: Ticket,
        call: impl FnOnce(&mut Shard) -> Result<()>,
    ) -> Result<()> {
        self.with_ticket(number, |shard| {
            let given = call(shard);
            self.note(number, shard, ticket.entry);
            given
        })
    }

    pub(crate) fn let_go(&self, shard: u32, ticket: Ticket) -> Result<()> {
        self.give_ticket(shard, ticket, |shard| shard.unpin(ticket))
    }

    /// Span number `index` of a viewed value: `NotFound` past the last.
    pub(crate) fn viewed_span(&self, shard: u32, ticket: Ticket, index: u32) -> Result<Span> {
        self.with_ticket(shard, |shard| {
            let id = shard.viewed(ticket)?;
            shard.span(id, index).ok_or(Error::NotFound)
        })
    }

    /// As [`Shard::spans`], for a viewed value. O(spans).
    pub(crate) fn viewed_spans(
        &self,
        shard: u32,
        ticket: Ticket,
        capacity: usize,
        visit: impl FnMut(usize, Span),
    ) -> Result<usize> {
        self.with_ticket(shard, |shard| {
            Ok(shard.spans(shard.viewed(ticket)?, capacity, visit))
        })
    }

    pub(crate) fn hold_bytes(&self, key: &[u8], value_len: usize, ttl_ms: u64) -> Result<Hold> {
        self.with_key(key, true, |shard, hash| {
            let held = shard.reserve(key, value_len, ttl_ms)?;
            self.note(self.shard_of(hash), shard, held.0.entry);
            shard.hold(self.shard_of(hash), held)
        })
    }

    /// Span number `index` of a reserved value: `NotFound` past the last.
    pub(crate) fn reserved_span(&self, shard: u32, ticket: Ticket, index: u32) -> Result<Span> {
        self.with_ticket(shard, |shard| {
            let id = shard.reserved(ticket)?;
            shard.span(id, index).ok_or(Error::NotFound)
        })
    }

    /// As [`Shard::spans`], for a reserved value. O(spans).
    pub(crate) fn reserved_spans(
        &self,
        shard: u32,
        ticket: Ticket,
        capacity: usize,
        visit: impl FnMut(usize, Span),
    ) -> Result<usize> {
        self.with_ticket(shard, |shard| {
            Ok(shard.spans(shard.reserved(ticket)?, capacity, visit))
        })
    }

    pub(crate) fn commit_bytes(&self, shard: u32, ticket: Ticket, ttl_ms: u64) -> Result<()> {
        self.give_ticket(shard, ticket, |shard| {
            self.look_at_clock(shard, true);
            shard.commit(ticket, ttl_ms)
        })
    }

    pub(crate) fn abort_bytes(&self, shard: u32, ticket: Ticket) -> Result<()> {
        self.give_ticket(shard, ticket, |shard| shard.abort(ticket))
    }

    /// Pins an item to read its value in place. Counts as a get.
    ///
    /// # Errors
    /// `NotFound` on a miss; `NoMemory` if there are already [`Config::pins_max`] pins.
    ///
    /// # Time
    /// O(`pins_max`). The third pin of a shard at a time makes a page free for the table of pins.
    ///
    /// [`Config::pins_max`]: crate::Config::pins_max
    pub fn pin(&self, key: &[u8]) -> Result<View<'_>> {
        let hold = self.hold_item(key)?;
        Ok(View {
            cache: self.alias(),
            hold,
        })
    }

    /// Reserves a value of `value_len` bytes, which the caller writes in place. A get does not find it before the
    /// commit. The bytes keep their old contents.
    ///
    /// # Errors
    /// As [`Cache::set`](Cache::set), and `NoMemory` if there are already
    /// [`Config::pins_max`](crate::Config::pins_max) pins. A failed call may have evicted items, also the key's.
    ///
    /// # Time
    /// As [`Cache::set`](Cache::set), without the copy.
    pub fn reserve(&self, key: &[u8], value_len: usize, ttl_ms: u64) -> Result<Reservation<'_>> {
        let hold = self.hold_bytes(key, value_len, ttl_ms)?;
        Ok(Reservation {
            cache: self.alias(),
            hold,
            ttl_ms,
        })
    }
}

/// A value that is read in place; see [`Cache::pin`]. Do not drop it inside a callback of its cache, or while a lock
/// hook fails: the item would stay pinned.
#[derive(Debug)]
pub struct View<'c> {
    cache: Cache<'c>,
    hold: Hold,
}

impl View<'_> {
    /// Bytes of the value.
    pub fn len(&self) -> usize {
        self.hold.len
    }

    /// Whether the value has no bytes.
    pub fn is_empty(&self) -> bool {
        self.hold.len == 0
    }

    /// Number of the value's pieces, one for each of its pages.
    pub fn span_count(&self) -> u32 {
        self.hold.spans
    }

    /// The piece number `index`. O(index).
    ///
    /// # Errors
    /// `NotFound` past the last piece; `Busy` from inside a callback, or if a lock hook fails.
    pub fn span(&self, index: u32) -> Result<&[u8]> {
        let Hold { shard, ticket, .. } = self.hold;
        let span = self.cache.viewed_span(shard, ticket, index)?;
        // SAFETY: bytes of the region, which the cache does not write before the ticket is released (inv. 1).
        Ok(unsafe { core::slice::from_raw_parts(span.data.as_ptr(), span.len) })
    }

    /// Stores all pieces in `spans`, in order. Returns their number. O(spans).
    ///
    /// # Errors
    /// `BufferTooSmall` if `spans` has fewer than [`View::span_count`] elements; `Busy` as for [`View::span`].
    pub fn spans<'v>(&'v self, spans: &mut [&'v [u8]]) -> Result<usize> {
        let Hold { shard, ticket, .. } = self.hold;
        let capacity = spans.len();
        let count = self
            .cache
            .viewed_spans(shard, ticket, capacity, |number, span| {
                if let Some(to) = spans.get_mut(number) {
                    // SAFETY: as in `span`.
                    *to = unsafe { core::slice::from_raw_parts(span.data.as_ptr(), span.len) };
                }
            })?;
        if count <= capacity {
            Ok(count)
        } else {
            Err(Error::BufferTooSmall)
        }
    }

    /// The whole value, if it is in one piece.
    pub fn bytes(&self) -> Option<&[u8]> {
        let Hold { first, len, .. } = self.hold;
        // SAFETY: as in `span`.
        (first.len == len)
            .then(|| unsafe { core::slice::from_raw_parts(first.data.as_ptr(), first.len) })
    }
}

impl Drop for View<'_> {
    fn drop(&mut self) {
        let _ = self.cache.let_go(self.hold.shard, self.hold.ticket);
    }
}

/// A value that is written in place; see [`Cache::reserve`]. Dropping it gives the value up. As a [`View`], it must
/// not be dropped inside a callback.
#[derive(Debug)]
pub struct Reservation<'c> {
    cache: Cache<'c>,
    hold: Hold,
    ttl_ms: u64,
}

impl Reservation<'_> {
    /// Number of the value's pieces, one for each of its pages.
    pub fn span_count(&self) -> u32 {
        self.hold.spans
    }

    /// The piece number `index`. O(index).
    ///
    /// # Errors
    /// As [`View::span`].
    pub fn span_mut(&mut self, index: u32) -> Result<&mut [u8]> {
        let Hold { shard, ticket, .. } = self.hold;
        let span = self.cache.reserved_span(shard, ticket, index)?;
        // SAFETY: bytes of the region that belong to this ticket alone (inv. 1).
        Ok(unsafe { core::slice::from_raw_parts_mut(span.data.as_ptr(), span.len) })
    }

    /// Stores all pieces in `spans`, in order. Returns their number. O(spans).
    ///
    /// # Errors
    /// As [`View::spans`].
    pub fn spans_mut<'v>(&'v mut self, spans: &mut [&'v mut [u8]]) -> Result<usize> {
        let Hold { shard, ticket, .. } = self.hold;
        let capacity = spans.len();
        let count = self
            .cache
            .reserved_spans(shard, ticket, capacity, |number, span| {
                if let Some(to) = spans.get_mut(number) {
                    // SAFETY: as in `span_mut`; no two spans overlap.
                    *to = unsafe { core::slice::from_raw_parts_mut(span.data.as_ptr(), span.len) };
                }
            })?;
        if count <= capacity {
            Ok(count)
        } else {
            Err(Error::BufferTooSmall)
        }
    }

    /// The whole value, if it is in one piece.
    pub fn bytes_mut(&mut self) -> Option<&mut [u8]> {
        let Hold { first, len, .. } = self.hold;
        // SAFETY: as in `span_mut`.
        (first.len == len)
            .then(|| unsafe { core::slice::from_raw_parts_mut(first.data.as_ptr(), first.len) })
    }

    /// Commits the written value: the key has this value from now on, and its TTL starts.
    ///
    /// # Errors
    /// `Stale` if the key was set, deleted, added to or cleared after the reserve: the written value is older.
    /// `NoMemory` if the index has no room for one more entry. An error gives the reservation up.
    pub fn commit(self) -> Result<()> {
        let Hold { shard, ticket, .. } = self.hold;
        self.cache.commit_bytes(shard, ticket, self.ttl_ms)
    }
}

impl Drop for Reservation<'_> {
    fn drop(&mut self) {
        // After a commit the ticket is stale, and this does nothing.
        let _ = self.cache.abort_bytes(self.hold.shard, self.hold.ticket);
    }
}
