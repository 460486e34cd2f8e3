//! With the feature `one-rule` no simulation chooses the rule: no cache has shadows (`shadow`).

#![forbid(unsafe_code)]

use super::rule::{RULES, Rule};
use crate::hash::Hash;
use crate::region::Cutter;

/// There are none.
#[derive(Debug)]
pub(crate) struct Shadows;

impl Shadows {
    pub(crate) fn table_size(_: usize) -> Option<usize> {
        Some(0)
    }

    pub(crate) fn new(_: &mut Cutter, _: usize) -> Option<Self> {
        Some(Self)
    }

    pub(crate) fn rule(&self) -> Rule {
        RULES[0]
    }

    pub(crate) fn measure(&mut self, _: u32, _: u32, _: u32) {}

    pub(crate) fn samples(&self, _: Hash) -> bool {
        false
    }

    pub(crate) fn simulate(&mut self, _: Hash, _: i32) {}
}
