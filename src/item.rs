//! Items: header, key and value in a slot, the rest of a large value in further slots.
//!
//! # Layout
//! ```text
//! word 0   | kind 3 | main 1 | freq 2 | chained 1 | ttl 1 | type 3 | value length 13 | key length 8 |
//! then     [ previous, next, stamp ]   where the policy keeps links
//!          [ checksum ]                with LARDER_CHECKSUM
//!          [ set time ]                with LARDER_ITEM_TIMES
//!          [ expiry ]                  with a time to live
//!          [ value length, next part ] where the value is chained
//!          key bytes, value bytes
//!
//! a later part of a chained item:
//! word 0   | kind 3 | - |   word 1: the part before   word 2: the part behind   then value bytes
//! ```
//! All parts but the last are slots of the largest class, filled to the end; the last one is of the
//! smallest class that holds what is left.
//!
//! An item is written into a pending slot, and its first word makes it one: so a slot of kind `Item` holds all
//! of it, whenever its owner may have been stopped.
//!
//! # Invariants (walked by [`Items::check`])
//! 1. Key, header and the head's share of the value fit in the head's slot.
//! 2. Following `next part` from a head reaches slots of kind `Link` that together hold the value;
//!    each one's `part before` names the one it was reached from.
//!
//! # Not here
//! What the checksum is: `checksum`.

#![forbid(unsafe_code)]

mod whole;

pub(crate) use whole::FOUND;

use crate::checksum;
use crate::expiry::{Instant, NEVER, Time};
use crate::hash::KeyHasher;
use crate::region::copy;
use crate::slab::{Class, Id, Kind, Slab};

/// What a value is; it comes back as what it was.
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
    const fn of(bits: u32) -> Self {
        match bits {
            1 => Self::Str,
            2 => Self::I64,
            3 => Self::U64,
            4 => Self::F64,
            _ => Self::Bytes,
        }
    }
}

/// The longest key: its length has eight bits.
pub const KEY_LEN_MAX: usize = 255;

const KEY_LEN: u32 = 0xff;
const VALUE_SHIFT: u32 = 8;
const VALUE_LEN: u32 = 0x1fff;
const TYPE_SHIFT: u32 = 21;
const HAS_TTL: u32 = 1 << 24;
const CHAINED: u32 = HAS_TTL * 2;
const FREQ_SHIFT: u32 = 26;
const FREQ: u32 = 3 << FREQ_SHIFT;
const MAIN: u32 = 1 << 28;

/// Words before a later part's bytes.
const LINK_WORDS: usize = 3;
/// The same in bytes.
pub(crate) const LINK_SIZE: usize = LINK_WORDS * 4;

/// Which optional words every item of a cache has.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Format {
    /// Words that every item has.
    fixed: u32,
    /// The time of the last set is among them.
    pub(crate) times: bool,
    /// A checksum is among them.
    pub(crate) checksum: bool,
}

impl Format {
    /// `links`: the policy keeps two links and a stamp in each item; `times`: the time of the last set
    /// is kept; `checksum`: so is a checksum.
    pub(crate) fn new(links: bool, times: bool, checksum: bool) -> Self {
        let links = if links { 3 } else { 0 };
        Self {
            fixed: 1 + links + u32::from(checksum) + u32::from(times),
            times,
            checksum,
        }
    }

    /// The word that the checksum is in, where items have one.
    fn checksum_at(self) -> u32 {
        self.fixed - 1 - u32::from(self.times)
    }

    #[inline]
    fn fixed_words(self) -> u32 {
        self.fixed
    }

    /// The encoded time of a set, where items keep it.
    #[inline]
    pub(crate) fn stamp(self, time: &Time) -> u32 {
        if self.times { time.stamp() } else { 0 }
    }

    /// The expiry takes a word, what a chained value needs two: just what their bits weigh.
    #[cfg_attr(not(feature = "small"), inline(always))]
    fn header_words(self, word: u32) -> u32 {
        self.fixed_words() + ((word / HAS_TTL) & 3)
    }

    pub(crate) fn header_size(self, has_ttl: bool, chained: bool) -> usize {
        let word = if has_ttl { HAS_TTL } else { 0 } | if chained { CHAINED } else { 0 };
        self.header_words(word) as usize * 4
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
    /// Where it has one.
    pub(crate) expiry: Option<Instant>,
    /// Encoded time of this set.
    pub(crate) set_time: u32,
}

impl Draft<'_> {
    /// Key and value bytes.
    #[inline]
    pub(crate) fn payload(&self) -> usize {
        self.key.len() + self.value_len
    }
}

/// The slots that an item takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Shape {
    pub(crate) head: Class,
    /// Parts of the largest class behind the head.
    pub(crate) full: usize,
    /// The last part's class, if the item is chained and its end is shorter than a full part.
    pub(crate) last: Option<Class>,
    chained: bool,
}

impl Shape {
    /// Slots behind the head.
    pub(crate) fn parts(&self) -> usize {
        self.full + usize::from(self.last.is_some())
    }

    /// Whether the value may go on in further slots.
    pub(crate) fn is_chained(&self) -> bool {
        self.chained
    }
}

/// How items lie in the slots of a slab.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Items {
    pub(crate) format: Format,
}

impl Items {
    /// Bytes that an item of these lengths needs in its first slot, number of full parts behind it,
    /// bytes of its last part (0 = none). A chained item needs more in its first slot than that has:
    /// `largest + 1`. `None` where the key alone is too long for a slot of `largest` bytes.
    #[inline]
    pub(crate) fn division(
        self,
        largest: usize,
        key: usize,
        value: usize,
        ttl: bool,
    ) -> Option<(usize, usize, usize)> {
        let single = self.format.header_size(ttl, false) + key;
        // An item that has no expiry yet can always get one without being chained.
        let spare = if ttl { 0 } else { 4 };
        if value <= VALUE_LEN as usize && single + value + spare <= largest {
            return Some((single + value, 0, 0));
        }
        Self::chain_division(largest, self.format.header_size(true, true) + key, value)
    }

    #[cold]
    fn chain_division(largest: usize, head: usize, value: usize) -> Option<(usize, usize, usize)> {
        let rest = value.saturating_sub(largest.checked_sub(head)?);
        let part = largest - LINK_WORDS * 4;
        let (full, end) = (rest / part.max(1), rest % part.max(1));
        Some((
            largest + 1,
            full,
            if end > 0 { LINK_WORDS * 4 + end } else { 0 },
        ))
    }

    /// The slots for an item of these lengths; `None` where the key alone is too long for a slot.
    #[inline]
    pub(crate) fn shape(self, slab: &Slab, key: usize, value: usize, ttl: bool) -> Option<Shape> {
        let largest = slab.largest_class();
        let slot = slab.slot_size(largest);
        let (head, full, last) = self.division(slot, key, value, ttl)?;
        let chained = head > slot;
        let head = if chained {
            largest
        } else {
            slab.class_for(head)
        };
        let last = (last > 0).then(|| slab.class_for(last));
        Some(Shape {
            head,
            full,
            last,
            chained,
        })
    }

    /// Writes an item whose value fits in its slot, which is pending; returns the word that makes it an item.
    #[cfg_attr(not(feature = "small"), inline(always))]
    pub(crate) fn write(self, slab: &mut Slab, id: Id, draft: &Draft<'_>) -> u32 {
        let (at, word) = self.write_head(slab, id, draft, false);
        slab.write(id, at, draft.value);
        word
    }

    /// Writes an item over another one in its slot, which is pending: no old byte stays where bytes are
    /// zeroed. Returns the word that makes it an item, with the marks that the policy gave the old one.
    pub(crate) fn rewrite(self, slab: &mut Slab, id: Id, draft: &Draft<'_>) -> u32 {
        let old = slab.word(id, 0);
        let before = self.size(slab, id);
        let word = self.write(slab, id, draft) | old & (FREQ | MAIN);
        let after = self.header_and(word);
        if slab.zeroes_on_free() {
            slab.bytes_mut(id, after, before.saturating_sub(after))
                .fill(0);
        }
        word
    }

    /// Bytes of header, key and value of an item in one piece whose header starts with this word.
    fn header_and(self, word: u32) -> usize {
        let payload = (word & KEY_LEN) + (word >> VALUE_SHIFT & VALUE_LEN);
        self.format.header_words(word) as usize * 4 + payload as usize
    }

    /// Bytes of header, key and value of an item that is not chained.
    pub(crate) fn size(self, slab: &Slab, id: Id) -> usize {
        let word = slab.word(id, 0);
        self.format.header_words(word) as usize * 4 + self.payload(slab, id)
    }

    /// Copies an item that is not chained to `to`, a pending slot which may be its own, and gives it an
    /// expiry; returns the word that makes it an item. The slot `to` holds four bytes more than the item has.
    pub(crate) fn add_expiry(self, slab: &mut Slab, id: Id, to: Id, expiry: Instant) -> u32 {
        let fixed = self.format.fixed_words();
        let head = fixed as usize * 4;
        let word = Kind::Item.word(slab.word(id, 0) | HAS_TTL);
        slab.copy_bytes((id, head), (to, head + 4), self.payload(slab, id));
        slab.copy_bytes((id, 4), (to, 4), head - 4);
        slab.set_word(to, fixed, expiry.0);
        if self.format.checksum {
            let at = self.format.checksum_at();
            let sum = checksum::with_expiry(slab.word(to, at), NEVER.0, expiry.0);
            slab.set_word(to, at, sum);
        }
        word
    }

    /// Header and key, but for the first word; returns the byte at which the value starts, and that word.
    #[cfg_attr(not(feature = "small"), inline(always))]
    fn write_head(self, slab: &mut Slab, id: Id, draft: &Draft<'_>, chained: bool) -> (usize, u32) {
        let value_len = if chained { 0 } else { draft.value_len as u32 };
        let mut low = draft.key.len() as u32
            | value_len << VALUE_SHIFT
            | (draft.value_type as u32) << TYPE_SHIFT;
        let mut at = self.format.fixed_words();
        if self.format.times {
            slab.set_word(id, at - 1, draft.set_time);
        }
        // A chained item always has the word, so that its value never has to shift.
        if let Some(expiry) = draft.expiry.or(chained.then_some(NEVER)) {
            low |= HAS_TTL;
            slab.set_word(id, at, expiry.0);
            at += 1;
        }
        if chained {
            low |= CHAINED;
            slab.set_word(id, at, draft.value_len as u32);
            slab.set_word(id, at + 1, Id::NONE.0);
            at += 2;
        }
        let at = at as usize * 4;
        slab.write(id, at, draft.key);
        (at + draft.key.len(), Kind::Item.word(low))
    }

    /// Writes a chained item, its head still pending, whose later parts are linked behind `id` in order of
    /// their use; returns the word that makes it an item.
    pub(crate) fn write_chained(
        self,
        slab: &mut Slab,
        id: Id,
        first: Id,
        draft: &Draft<'_>,
    ) -> u32 {
        let (at, word) = self.write_head(slab, id, draft, true);
        slab.set_word(id, 0, Kind::Pending.word(word));
        let share = slab.slot_size(slab.class_of(id)) - at;
        let (here, mut rest) = draft
            .value
            .split_at_checked(share)
            .unwrap_or((draft.value, &[]));
        slab.write(id, at, here);
        self.set_first_part(slab, id, first);
        let mut part = first;
        while let Some(p) = part.some() {
            let room = Self::part_room(slab, p);
            let (here, behind) = rest.split_at_checked(room).unwrap_or((rest, &[]));
            slab.write(p, LINK_WORDS * 4, here);
            rest = behind;
            part = Self::next_part(slab, p);
        }
        if let Some(first) = first.some() {
            Self::set_part_before(slab, first, id);
        }
        word
    }

    // ---- fields --------------------------------------------------------------------------------

    pub(crate) fn key_len(self, slab: &Slab, id: Id) -> usize {
        (slab.word(id, 0) & KEY_LEN) as usize
    }

    #[inline]
    pub(crate) fn key(self, slab: &Slab, id: Id) -> &[u8] {
        let word = slab.word(id, 0);
        slab.bytes(
            id,
            self.format.header_words(word) as usize * 4,
            (word & KEY_LEN) as usize,
        )
    }

    /// Whether an item whose header starts with this word has this key.
    #[cfg_attr(not(feature = "small"), inline(always))]
    pub(crate) fn key_is(self, slab: &Slab, id: Id, word: u32, key: &[u8]) -> bool {
        let at = self.format.header_words(word) as usize * 4;
        (word & KEY_LEN) as usize == key.len() && slab.bytes_are(id, at, key)
    }

    #[inline]
    pub(crate) fn value_len(self, slab: &Slab, id: Id) -> usize {
        let word = slab.word(id, 0);
        if word & CHAINED != 0 {
            return slab.word(id, self.format.header_words(word) - 2) as usize;
        }
        (word >> VALUE_SHIFT & VALUE_LEN) as usize
    }

    pub(crate) fn value_type(self, slab: &Slab, id: Id) -> Type {
        Type::of(slab.word(id, 0) >> TYPE_SHIFT & 7)
    }

    pub(crate) fn is_chained(self, slab: &Slab, id: Id) -> bool {
        slab.word(id, 0) & CHAINED != 0
    }

    pub(crate) fn has_ttl(self, slab: &Slab, id: Id) -> bool {
        slab.word(id, 0) & HAS_TTL != 0
    }

    /// The expiry, where the item has one. What it means, the page's base tells.
    #[inline]
    pub(crate) fn expiry(self, slab: &Slab, id: Id) -> Option<Instant> {
        if slab.word(id, 0) & HAS_TTL == 0 {
            return None;
        }
        Some(Instant(slab.word(id, self.format.fixed_words())))
    }

    /// Replaces the expiry of an item that has one.
    pub(crate) fn set_expiry(self, slab: &mut Slab, id: Id, expiry: Instant) {
        if !self.has_ttl(slab, id) {
            return;
        }
        let at = self.format.fixed_words();
        if self.format.checksum {
            let (old, sum_at) = (slab.word(id, at), self.format.checksum_at());
            let sum = checksum::with_expiry(slab.word(id, sum_at), old, expiry.0);
            slab.set_word(id, sum_at, sum);
        }
        slab.set_word(id, at, expiry.0);
    }

    // ---- checksum ------------------------------------------------------------------------------

    /// Stores the checksum of an item that is written, where items have one; `word` is to be its first.
    #[cfg_attr(not(feature = "small"), inline(always))]
    pub(crate) fn sum_up(self, slab: &mut Slab, id: Id, word: u32, hasher: &KeyHasher) {
        if self.format.checksum {
            // The lengths are read from there.
            slab.set_word(id, 0, Kind::Pending.word(word));
            let sum = self.sum(slab, id, hasher);
            slab.set_word(id, self.format.checksum_at(), sum);
        }
    }

    /// Whether an item is what its checksum was made of; true where items have none.
    #[inline]
    pub(crate) fn is_intact(self, slab: &Slab, id: Id, hasher: &KeyHasher) -> bool {
        !self.format.checksum || self.has_its_sum(slab, id, hasher)
    }

    /// What a chain leads to counts only where it is one: others may be endless.
    #[cold]
    fn has_its_sum(self, slab: &Slab, id: Id, hasher: &KeyHasher) -> bool {
        (!self.is_chained(slab, id) || self.chain_is_whole(slab, id))
            && slab.word(id, self.format.checksum_at()) == self.sum(slab, id, hasher)
    }

    #[cold]
    fn sum(self, slab: &Slab, id: Id, hasher: &KeyHasher) -> u32 {
        let word = slab.word(id, 0) & (KEY_LEN | VALUE_LEN << VALUE_SHIFT | 7 << TYPE_SHIFT);
        let mut sum = checksum::Sum::new(hasher);
        sum.add_bytes(self.key(slab, id));
        self.for_each_span(slab, id, |span| {
            sum.add_bytes(span);
            true
        });
        sum.finish(
            word,
            self.value_len(slab, id) as u32,
            self.set_time(slab, id).unwrap_or(0),
            self.expiry(slab, id).unwrap_or(NEVER).0,
        )
    }

    /// Encoded time of the last set, where the cache keeps it.
    pub(crate) fn set_time(self, slab: &Slab, id: Id) -> Option<u32> {
        self.format
            .times
            .then(|| slab.word(id, self.format.fixed_words() - 1))
    }

    /// Where an item whose header starts with this word has its value, and its length: in one piece, with
    /// nothing that expires and no checksum. Others: `None`.
    #[cfg_attr(not(feature = "small"), inline(always))]
    pub(crate) fn plain_value(self, word: u32) -> Option<(usize, usize)> {
        if word & (HAS_TTL | CHAINED) != 0 || self.format.checksum {
            return None;
        }
        let at = self.format.fixed_words() * 4 + (word & KEY_LEN);
        Some((at as usize, (word >> VALUE_SHIFT & VALUE_LEN) as usize))
    }

    /// Key and value bytes of an item whose header starts with this word, unless it is chained.
    #[cfg_attr(not(feature = "small"), inline(always))]
    pub(crate) fn plain_payload(self, word: u32) -> Option<usize> {
        (word & CHAINED == 0)
            .then(|| ((word & KEY_LEN) + (word >> VALUE_SHIFT & VALUE_LEN)) as usize)
    }

    pub(crate) fn word_has_ttl(word: u32) -> bool {
        word & HAS_TTL != 0
    }

    /// The first bytes of the value: all of them, unless it is chained.
    #[inline]
    pub(crate) fn first_span(self, slab: &Slab, id: Id) -> &[u8] {
        let word = slab.word(id, 0);
        let at = self.format.header_words(word) as usize * 4 + (word & KEY_LEN) as usize;
        let len = if word & CHAINED == 0 {
            (word >> VALUE_SHIFT & VALUE_LEN) as usize
        } else {
            let slot = slab.slot_size(slab.class_of(id));
            slot.saturating_sub(at).min(self.value_len(slab, id))
        };
        slab.bytes(id, at, len)
    }

    /// Overwrites a value with one of the same length, in a slot of its own.
    pub(crate) fn set_value(self, slab: &mut Slab, id: Id, value: &[u8], hasher: &KeyHasher) {
        let word = slab.word(id, 0);
        if word & CHAINED == 0 && (word >> VALUE_SHIFT & VALUE_LEN) as usize == value.len() {
            let at = self.format.header_words(word) as usize * 4 + (word & KEY_LEN) as usize;
            slab.withdraw(id);
            slab.write(id, at, value);
            self.sum_up(slab, id, word, hasher);
            slab.publish(id, word);
        }
    }

    /// Copies `buffer.len()` bytes of the value from `offset` on; the range lies inside the value.
    /// O(parts up to its end).
    pub(crate) fn read(self, slab: &Slab, id: Id, offset: usize, buffer: &mut [u8]) {
        let span = self.first_span(slab, id);
        if let Some(here) = span.get(offset..).and_then(|s| s.get(..buffer.len())) {
            copy(buffer, here);
            return;
        }
        self.read_parts(slab, id, offset, buffer);
    }

    #[cold]
    fn read_parts(self, slab: &Slab, id: Id, offset: usize, buffer: &mut [u8]) {
        let (mut skip, mut to) = (offset, buffer);
        self.for_each_span(slab, id, |span| {
            let here = span.get(skip..).unwrap_or(&[]);
            skip = skip.saturating_sub(span.len());
            let len = here.len().min(to.len());
            let (now, later) = core::mem::take(&mut to)
                .split_at_mut_checked(len)
                .unwrap_or_default();
            if let Some(here) = here.get(..now.len()) {
                copy(now, here);
            }
            to = later;
            !to.is_empty()
        });
    }

    /// Calls `visit` with each span of the value, until it says `false`.
    pub(crate) fn for_each_span<'a>(
        self,
        slab: &'a Slab,
        id: Id,
        mut visit: impl FnMut(&'a [u8]) -> bool,
    ) {
        let mut left = self.value_len(slab, id);
        let first = self.first_span(slab, id);
        left = left.saturating_sub(first.len());
        let mut go_on = visit(first);
        let mut part = self.first_part(slab, id);
        while let Some(p) = part.some().filter(|_| go_on && left > 0) {
            let room = Self::part_room(slab, p);
            let span = slab.bytes(p, LINK_WORDS * 4, room.min(left));
            left -= room.min(left);
            go_on = visit(span);
            part = Self::next_part(slab, p);
        }
    }

    /// Bytes of the region that the item takes: all its slots.
    pub(crate) fn footprint(self, slab: &Slab, id: Id) -> usize {
        let mut size = slab.slot_size(slab.class_of(id));
        let mut part = self.first_part(slab, id);
        while let Some(p) = part.some() {
            size += slab.slot_size(slab.class_of(p));
            part = Self::next_part(slab, p);
        }
        size
    }

    /// Key and value bytes.
    #[inline]
    pub(crate) fn payload(self, slab: &Slab, id: Id) -> usize {
        self.key_len(slab, id) + self.value_len(slab, id)
    }

    /// Key and value bytes in one slot of an item. O(parts before it).
    pub(crate) fn live_in(self, slab: &Slab, id: Id) -> usize {
        let Some(head) = Self::head_of(slab, id) else {
            return 0;
        };
        let here = self.first_span(slab, head).len();
        if head == id {
            return self.key_len(slab, id) + here;
        }
        let mut left = self.value_len(slab, head).saturating_sub(here);
        let mut part = self.first_part(slab, head);
        while part != id && !part.is_none() {
            left = left.saturating_sub(Self::part_room(slab, part));
            part = Self::next_part(slab, part);
        }
        Self::part_room(slab, id).min(left)
    }

    // ---- parts ---------------------------------------------------------------------------------

    pub(crate) fn first_part(self, slab: &Slab, id: Id) -> Id {
        let word = slab.word(id, 0);
        if word & CHAINED == 0 {
            return Id::NONE;
        }
        Id(slab.word(id, self.format.header_words(word) - 1))
    }

    fn set_first_part(self, slab: &mut Slab, id: Id, part: Id) {
        let word = slab.word(id, 0);
        if word & CHAINED != 0 {
            slab.set_word(id, self.format.header_words(word) - 1, part.0);
        }
    }

    /// Bytes of the value that a later part can hold.
    pub(crate) fn part_room(slab: &Slab, part: Id) -> usize {
        slab.slot_size(slab.class_of(part)) - LINK_WORDS * 4
    }

    pub(crate) fn part_before(slab: &Slab, part: Id) -> Id {
        Id(slab.word(part, 1))
    }

    fn set_part_before(slab: &mut Slab, part: Id, before: Id) {
        slab.set_word(part, 1, before.0);
    }

    pub(crate) fn next_part(slab: &Slab, part: Id) -> Id {
        Id(slab.word(part, 2))
    }

    /// Makes `part` the later part in front of `behind`. Chains are built from their end.
    pub(crate) fn link(slab: &mut Slab, part: Id, behind: Id) {
        slab.set_word(part, 0, Kind::Pending.word(0));
        slab.set_word(part, 1, Id::NONE.0);
        slab.set_word(part, 2, behind.0);
        if let Some(behind) = behind.some() {
            Self::set_part_before(slab, behind, part);
        }
    }

    /// The chain belongs to an item that is pinned: nobody may move or free a part of it.
    pub(crate) fn unseal(slab: &mut Slab, first: Id) {
        let mut part = first;
        while let Some(p) = part.some() {
            slab.set_kind(p, Kind::Pending);
            part = Self::next_part(slab, p);
        }
    }

    /// Span number `index` of a value: its slot, where in it, and how many bytes. O(index).
    pub(crate) fn span(self, slab: &Slab, id: Id, index: u32) -> Option<(Id, usize, usize)> {
        let word = slab.word(id, 0);
        let at = self.format.header_words(word) as usize * 4 + (word & KEY_LEN) as usize;
        let first = self.first_span(slab, id).len();
        let mut span = (id, at, first);
        let mut left = self.value_len(slab, id) - first;
        let mut part = self.first_part(slab, id);
        for _ in 0..index {
            let here = part.some()?;
            let len = Self::part_room(slab, here).min(left);
            left -= len;
            span = (here, LINK_WORDS * 4, len);
            part = Self::next_part(slab, here);
        }
        Some(span)
    }

    /// How many spans a value has. O(1).
    pub(crate) fn span_count(self, slab: &Slab, id: Id) -> u32 {
        let rest = self.value_len(slab, id) - self.first_span(slab, id).len();
        let part = slab.slot_size(slab.largest_class()) - LINK_WORDS * 4;
        1 + rest.div_ceil(part.max(1)) as u32
    }

    /// The chain belongs to an item now.
    pub(crate) fn seal(slab: &mut Slab, first: Id) {
        let mut part = first;
        while let Some(p) = part.some() {
            slab.set_word(p, 0, Kind::Link.word(0));
            part = Self::next_part(slab, p);
        }
    }

    /// The head of the item that a later part belongs to. O(parts before it).
    pub(crate) fn head_of(slab: &Slab, part: Id) -> Option<Id> {
        let mut id = part;
        while slab.kind(id) == Kind::Link {
            id = Self::part_before(slab, id);
        }
        (slab.kind(id) == Kind::Item).then_some(id)
    }

    /// A part lies in `to` now, not in `from`: its neighbours follow.
    pub(crate) fn part_moved(self, slab: &mut Slab, from: Id, to: Id) {
        let before = Self::part_before(slab, to);
        if slab.kind(before) == Kind::Item {
            self.set_first_part(slab, before, to);
        } else if Self::next_part(slab, before) == from {
            slab.set_word(before, 2, to.0);
        }
        if let Some(behind) = Self::next_part(slab, to).some() {
            Self::set_part_before(slab, behind, to);
        }
    }

    /// A head lies in `to` now: its first part follows.
    pub(crate) fn head_moved(self, slab: &mut Slab, to: Id) {
        if let Some(part) = self.first_part(slab, to).some() {
            Self::set_part_before(slab, part, to);
        }
    }

    /// Whether the item's slots hold together. O(parts).
    pub(crate) fn check(self, slab: &Slab, id: Id) -> bool {
        let word = slab.word(id, 0);
        let slot = slab.slot_size(slab.class_of(id));
        let head = self.format.header_words(word) as usize * 4 + (word & KEY_LEN) as usize;
        if word & CHAINED == 0 {
            return head + (word >> VALUE_SHIFT & VALUE_LEN) as usize <= slot;
        }
        let mut left = self
            .value_len(slab, id)
            .saturating_sub(slot.saturating_sub(head));
        let (mut before, mut part) = (id, self.first_part(slab, id));
        while let Some(p) = part.some() {
            let ok = slab.kind(p) == Kind::Link && Self::part_before(slab, p) == before;
            if !ok || left == 0 {
                return false;
            }
            left = left.saturating_sub(Self::part_room(slab, p));
            (before, part) = (p, Self::next_part(slab, p));
        }
        head <= slot && left == 0
    }
}

/// What the policy keeps in an item. It sees no bytes.
pub(crate) mod marks {
    use super::{
        CHAINED, FREQ, FREQ_SHIFT, Id, KEY_LEN, Kind, MAIN, Slab, TYPE_SHIFT, VALUE_LEN,
        VALUE_SHIFT,
    };

    /// The two-bit use count.
    #[inline]
    pub(crate) fn freq(slab: &Slab, id: Id) -> u32 {
        (slab.word(id, 0) & FREQ) >> FREQ_SHIFT
    }

    #[inline]
    pub(crate) fn set_freq(slab: &mut Slab, id: Id, freq: u32) {
        let word = slab.word(id, 0);
        slab.set_word(id, 0, word & !FREQ | (freq << FREQ_SHIFT & FREQ));
    }

    /// Counts a use, up to three, in an item whose header starts with this word.
    #[cfg_attr(not(feature = "small"), inline(always))]
    pub(crate) fn count_use(slab: &mut Slab, id: Id, word: u32) {
        if word & FREQ != FREQ {
            slab.set_word(id, 0, word + (1 << FREQ_SHIFT));
        }
    }

    /// Whether an item of the window lies in the slot that starts with this word.
    #[cfg_attr(not(feature = "small"), inline(always))]
    pub(crate) fn is_in_window(word: u32) -> bool {
        matches!(Kind::of(word), Kind::Item) && word & MAIN == 0
    }

    /// As [`is_in_window`], where the item has fewer uses than that, is in one piece and never expires.
    #[cfg_attr(not(feature = "small"), inline(always))]
    pub(crate) fn is_plain_in_window(word: u32, uses: u32) -> bool {
        let plain = word & !(FREQ | KEY_LEN | VALUE_LEN << VALUE_SHIFT | 7 << TYPE_SHIFT);
        plain == Kind::Item.word(0) && (word & FREQ) >> FREQ_SHIFT < uses
    }

    /// Puts an item into one of the queues, with so many uses.
    #[cfg_attr(not(feature = "small"), inline(always))]
    pub(crate) fn start(slab: &mut Slab, id: Id, main: bool, uses: u32) {
        let word = slab.word(id, 0) & !(MAIN | FREQ);
        let main = if main { MAIN } else { 0 };
        slab.set_word(id, 0, word | main | uses << FREQ_SHIFT);
    }

    /// Whether nobody had used the item when its header's first word was this.
    #[cfg_attr(not(feature = "small"), inline(always))]
    pub(crate) fn is_unused(word: u32) -> bool {
        word & FREQ == 0
    }

    /// About how many bytes of its slot the item takes whose header starts with this word.
    #[cfg_attr(not(feature = "small"), inline(always))]
    pub(crate) fn size(slab: &Slab, id: Id, word: u32) -> usize {
        if word & CHAINED != 0 {
            return slab.slot_size(slab.class_of(id));
        }
        4 + ((word & KEY_LEN) + (word >> VALUE_SHIFT & VALUE_LEN)) as usize
    }

    /// Whether the item is in the policy's main queue.
    #[inline]
    pub(crate) fn is_main(slab: &Slab, id: Id) -> bool {
        slab.word(id, 0) & MAIN != 0
    }

    #[inline]
    pub(crate) fn set_main(slab: &mut Slab, id: Id, main: bool) {
        let word = slab.word(id, 0) & !MAIN;
        slab.set_word(id, 0, if main { word | MAIN } else { word });
    }

    /// Links and stamp: only in items with links.
    pub(crate) const PREVIOUS: u32 = 1;
    pub(crate) const NEXT: u32 = 2;
    pub(crate) const STAMP: u32 = 3;
}
