//! Where code is to be small, there is the general path alone.

#![forbid(unsafe_code)]

use super::{NewValue, Shard};
use crate::hash::Hash;
use crate::status::Result;

impl Shard {
    pub(crate) fn get_quickly(
        &mut self,
        _: Hash,
        _: &[u8],
        _: &mut [u8],
    ) -> Option<Result<(usize, bool)>> {
        None
    }

    pub(crate) fn set_quickly(
        &mut self,
        _: Hash,
        _: &[u8],
        _: &NewValue<'_>,
    ) -> Option<Result<()>> {
        None
    }

    pub(crate) fn delete_quickly(&mut self, _: Hash, _: &[u8]) -> Option<Result<()>> {
        None
    }
}
