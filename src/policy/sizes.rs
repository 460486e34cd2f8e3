//! Which sizes are cold: whose items come and go without anybody asking for them again.
//!
//! A large cold item would push out many small warm ones, since a stream of large items needs pages
//! all the time: by age alone it would get them.

#![forbid(unsafe_code)]

/// One newcomer in so many finds the ghost of another key: four fingerprints of eight bits are looked at.
const CHANCE: u16 = 64;
/// Sizes are cold if of so many newcomers fewer than one in so many are asked for.
const COLD_MIN: u16 = 64;
const COLD_SHARE: u16 = 16;
/// Groups of sizes: slots up to 63 B, up to 499 B, and larger ones.
pub(super) const GROUPS: usize = 3;

#[cfg_attr(not(feature = "small"), inline(always))]
pub(super) fn group_of(size: usize) -> usize {
    usize::from(size >= 64) + usize::from(size >= 500)
}

/// What came of the items of some sizes, of late: all counts are halved with each period.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Sizes {
    /// Items that came, those of them that had a ghost, and items used that had no use left.
    came: u16,
    remembered: u16,
    used: u16,
    period: u16,
}

impl Sizes {
    /// As of this period.
    pub(super) fn at(self, period: u16) -> Self {
        let shift = u32::from(period.wrapping_sub(self.period)).min(15);
        Self {
            came: self.came >> shift,
            remembered: self.remembered >> shift,
            used: self.used >> shift,
            period,
        }
    }

    #[inline]
    pub(super) fn go_on(&mut self, period: u16) {
        if self.period != period {
            *self = self.at(period);
        }
    }

    /// An item came, which had a ghost or not.
    pub(super) fn count(&mut self, remembered: bool) {
        if self.came == u16::MAX {
            *self = Self {
                period: self.period,
                ..self.at(self.period.wrapping_add(1))
            };
        }
        self.came += 1;
        self.remembered += u16::from(remembered);
    }

    /// An item was used that had no use left.
    #[inline]
    pub(super) fn count_use(&mut self) {
        self.used = self.used.saturating_add(1);
    }

    pub(super) fn are_used(&self) -> bool {
        self.used > 0
    }

    /// Whether such items come without being asked for again, before or after they go.
    pub(super) fn are_cold(&self) -> bool {
        let asked_for = self.remembered.saturating_sub(self.came / CHANCE);
        self.came >= COLD_MIN && asked_for.saturating_add(self.used) < self.came / COLD_SHARE
    }
}
