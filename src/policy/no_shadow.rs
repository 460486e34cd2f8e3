//! With the feature `one-rule` no simulation chooses the rule: no cache has shadows (`shadow`).

#![forbid(unsafe_code)]

use super::advice::{Moment, Sums};
use super::rule::{RULES, Rule};
use crate::hash::Hash;
use crate::region::Cutter;

/// There are none.
#[derive(Debug)]
pub(crate) struct Shadows;

impl Shadows {
    pub(crate) fn table_size(_: usize, _: usize, _: usize) -> Option<usize> {
        Some(0)
    }

    pub(crate) fn new(_: &mut Cutter, _: usize, _: usize, _: usize) -> Option<Self> {
        Some(Self)
    }

    #[cfg(feature = "hosted")]
    pub(crate) fn shift(&mut self, _: &crate::region::Shift) {}

    pub(crate) fn rule(&self) -> Rule {
        RULES[0]
    }

    pub(crate) fn measure(&mut self, items: u32, _: u32, _: u32) -> u32 {
        items
    }

    pub(crate) fn list(&mut self, _: Hash, _: i32, _: bool, _: &mut Advisor) {}

    pub(crate) fn scale_advisor(&mut self, _: &mut Advisor, _: u32, _: Moment) {}

    pub(crate) fn samples(&self, _: Hash) -> bool {
        false
    }

    pub(crate) fn simulate(&mut self, _: Hash, _: i32, _: bool, _: &mut Advisor) {}
}

/// There is none either.
#[derive(Debug)]
pub(crate) struct Advisor;

impl Advisor {
    pub(crate) fn table_size(_: usize) -> Option<usize> {
        Some(0)
    }

    pub(crate) fn new(_: &mut Cutter, _: usize) -> Option<Self> {
        Some(Self)
    }

    #[cfg(feature = "hosted")]
    pub(crate) fn shift(&mut self, _: &crate::region::Shift) {}

    pub(crate) fn limit_moved(&mut self, _: Moment) {}

    pub(crate) fn samples(&self, _: Hash) -> bool {
        false
    }

    pub(crate) fn listed(_: usize) -> usize {
        0
    }

    pub(crate) fn sums(&self, _: Moment) -> Option<Sums> {
        None
    }
}
