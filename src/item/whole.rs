//! Whether a slot that an earlier owner of the region left holds a whole item. Nothing in it is believed.

#![forbid(unsafe_code)]

use super::{CHAINED, HAS_TTL, Items, KEY_LEN, LINK_WORDS, TYPE_SHIFT, Type};
use crate::slab::{Id, Kind, Slab};

/// The kind of a part whose head was found to be whole. No block of the public pool lies in a cache.
pub(crate) const FOUND: Kind = Kind::Block;

impl Items {
    /// Whether a slot of kind `Item` or `Pinned` holds all of an item: header, key and value lie in slots that
    /// were handed out. O(parts).
    pub(crate) fn is_whole(self, slab: &Slab, id: Id) -> bool {
        let word = slab.word(id, 0);
        if word & KEY_LEN == 0 || !self.type_fits(slab, id, word) {
            return false;
        }
        if word & CHAINED != 0 {
            return self.chain_is_whole(slab, id);
        }
        // What has no expiry can get one in a slot, if not in its own.
        let spare = if word & HAS_TTL == 0 { 4 } else { 0 };
        let size = self.header_and(word);
        size <= slab.slot_size(slab.class_of(id))
            && size + spare <= slab.slot_size(slab.largest_class())
    }

    /// Numbers have eight bytes, in one piece: they change where they lie.
    fn type_fits(self, slab: &Slab, id: Id, word: u32) -> bool {
        let number = word >> TYPE_SHIFT & 7;
        number <= Type::Str as u32
            || number <= Type::F64 as u32 && word & CHAINED == 0 && self.value_len(slab, id) == 8
    }

    /// A chained item has a word for its expiry, so that its value never has to shift.
    pub(super) fn chain_is_whole(self, slab: &Slab, id: Id) -> bool {
        let word = slab.word(id, 0);
        let slot = slab.slot_size(slab.class_of(id));
        let head = self.format.header_words(word) as usize * 4 + (word & KEY_LEN) as usize;
        if slab.class_of(id) != slab.largest_class() || head > slot || word & HAS_TTL == 0 {
            return false;
        }
        let pinned = slab.kind(id) == Kind::Pinned;
        let mut left = self.value_len(slab, id).saturating_sub(slot - head);
        let (mut before, mut part) = (id, self.first_part(slab, id));
        while let Some(p) = part.some() {
            let ok = left > 0 && Self::part_is_whole(slab, p, before, left, pinned);
            if !ok {
                return false;
            }
            left -= Self::part_room(slab, p).min(left);
            (before, part) = (p, Self::next_part(slab, p));
        }
        left == 0
    }

    /// A part names the one before it, so it belongs to one chain at the most, and no chain is endless.
    fn part_is_whole(slab: &Slab, part: Id, before: Id, left: usize, pinned: bool) -> bool {
        let Some(part) = slab.slot_named(part) else {
            return false;
        };
        let kind = match slab.kind(part) {
            Kind::Link => true,
            Kind::Pending => pinned,
            _ => false,
        };
        let class = slab.class_of(part);
        kind && Self::part_before(slab, part) == before
            && slab.slot_size(class) > LINK_WORDS * 4
            && (class == slab.largest_class() || left <= Self::part_room(slab, part))
    }

    /// A part of which an owner that was stopped here before has found the head: it is found anew.
    pub(crate) fn forget_found(slab: &mut Slab, id: Id) {
        if slab.kind(id) == FOUND {
            slab.set_word(id, 0, Kind::Link.word(0));
        }
    }

    /// The item in this slot is whole: so are its parts. Kinds alone change, the head's last.
    pub(crate) fn mark_found(self, slab: &mut Slab, id: Id) {
        let mut part = self.first_part(slab, id);
        while let Some(p) = part.some() {
            slab.set_word(p, 0, FOUND.word(0));
            part = Self::next_part(slab, p);
        }
        slab.publish(id, Kind::Item.word(slab.word(id, 0)));
    }
}
