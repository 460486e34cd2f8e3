//! With the feature `one-rule` no simulation chooses the rule: no cache has shadows (`shadow`).

#![forbid(unsafe_code)]

use super::rule::Rule;
use crate::hash::Hash;
use crate::region::Cutter;

/// There are none.
#[derive(Debug)]
pub(crate) enum Shadows {}

impl Shadows {
    pub(crate) fn table_size(_: usize) -> Option<usize> {
        Some(0)
    }

    pub(crate) fn new(_: &mut Cutter, _: usize) -> Option<Self> {
        None
    }

    pub(crate) fn rule(&self) -> &'static Rule {
        match *self {}
    }

    pub(crate) fn scale(&mut self, _: u32) {
        match *self {}
    }

    pub(crate) fn requested(&mut self, _: Hash) {
        match *self {}
    }
}
