//! The optional words of an item: tag, version, expiry, set time, checksum.

#![forbid(unsafe_code)]

use super::{Head, Items, Meta};
use crate::checksum;
use crate::expiry::{Instant, NEVER};
use crate::hash::KeyHasher;
use crate::limits::narrow;
use crate::page::{Id, Pages};
use crate::planted;

impl Items {
    // ---- tag and version -----------------------------------------------------------------------

    /// The tag and the version; 0 for each that the cache does not keep.
    pub(crate) fn meta(self, pages: &Pages, id: Id) -> Meta {
        let mut meta = Meta::default();
        if self.format.tags {
            meta.tag = pages.word(id.0 + self.format.tag_at());
        }
        if self.format.versions {
            let at = id.0 + self.format.version_at();
            meta.version = u64::from(pages.word(at)) | u64::from(pages.word(at + 1)) << 32;
        }
        meta
    }

    #[cold]
    pub(crate) fn set_meta(self, pages: &mut Pages, id: Id, meta: Meta) {
        if self.format.tags {
            pages.set_word(id.0 + self.format.tag_at(), meta.tag);
        }
        if self.format.versions {
            let at = id.0 + self.format.version_at();
            pages.set_word(at, meta.version as u32);
            pages.set_word(at + 1, (meta.version >> 32) as u32);
        }
    }

    // ---- expiry, set time, checksum ------------------------------------------------------------

    /// The item's expiry, if it has one. The descriptor of the item's page defines its meaning.
    #[inline]
    pub(crate) fn expiry(self, pages: &Pages, id: Id) -> Option<Instant> {
        Self::head(pages, id)
            .has_ttl()
            .then(|| Instant(pages.word(id.0 + self.format.fixed)))
    }

    /// Replaces the expiry of an item that has one.
    pub(crate) fn set_expiry(self, pages: &mut Pages, id: Id, expiry: Instant) {
        debug_assert!(Self::head(pages, id).has_ttl());
        let at = id.0 + self.format.fixed;
        if self.format.checksum {
            let (old, sum_at) = (pages.word(at), id.0 + self.format.checksum_at());
            let sum = checksum::with_expiry(pages.word(sum_at), old, expiry.0);
            if !planted::is("checksum not updated") {
                pages.set_word(sum_at, sum);
            }
        }
        pages.set_word(at, expiry.0);
    }

    /// Encoded time of the last set, if the cache keeps it.
    pub(crate) fn set_time(self, pages: &Pages, id: Id) -> Option<u32> {
        self.format
            .times
            .then(|| pages.word(id.0 + self.format.fixed - 1))
    }

    /// Stores the checksum of a written item, if items have one. `head` is the item's first word, not yet stored.
    #[inline]
    pub(crate) fn sum_up(self, pages: &mut Pages, id: Id, head: Head, hasher: &KeyHasher) {
        if self.format.checksum {
            let sum = self.sum(pages, id, head, hasher);
            pages.set_word(id.0 + self.format.checksum_at(), sum);
        }
    }

    /// Whether the item's checksum matches its contents. True if items have no checksum.
    #[inline]
    pub(crate) fn is_intact(self, pages: &Pages, id: Id, hasher: &KeyHasher) -> bool {
        !self.format.checksum
            || pages.word(id.0 + self.format.checksum_at())
                == self.sum(pages, id, Self::head(pages, id), hasher)
    }

    #[cold]
    fn sum(self, pages: &Pages, id: Id, head: Head, hasher: &KeyHasher) -> u32 {
        let mut sum = checksum::Sum::new(hasher);
        sum.add_bytes(pages.bytes().slice(self.key_at(id, head), head.key_len()));
        let mut pieces = self.pieces(pages, id, head);
        let len = pieces.left;
        while let Some(piece) = pieces.next(pages) {
            sum.add_bytes(pages.bytes().slice(piece.at, piece.len));
        }
        let expiry = if head.has_ttl() {
            pages.word(id.0 + self.format.fixed)
        } else {
            NEVER.0
        };
        let time = self.set_time(pages, id).unwrap_or(0);
        sum.finish(head.identity(), narrow(len), time, expiry)
    }
}
