//! Reading values into vectors. The length is read under the lock, and memory is allocated outside the lock.
//!
//! The first look counts as a get. If the value is longer than the buffer, later looks do not count.

#![forbid(unsafe_code)]

use super::{OwnedCache, copied, unless_missing};
use crate::hash::Hash;
use crate::shard::Shard;
use crate::status::{Error, Result};
use alloc::vec::Vec;

/// A value of at most this length is copied to the stack at the first look.
pub(super) const SHORT: usize = 256;

/// A value's length, and whether the value was copied.
pub(super) type Answer = Result<(usize, bool)>;

impl Shard {
    /// Copies a value if the buffer is long enough. Counts as a get. A buffer that is too short counts as no failure.
    pub(super) fn get_if_fits(&mut self, hash: Hash, key: &[u8], buffer: &mut [u8]) -> Answer {
        let answer = self.get(hash, key, buffer);
        if matches!(answer, Ok((_, false))) {
            self.store.counters.failed_buffer_too_small -= 1;
        }
        answer
    }

    /// As [`Shard::get_if_fits`], but counts neither as a get nor as a use.
    fn peek(&mut self, hash: Hash, key: &[u8], buffer: &mut [u8]) -> Answer {
        let (id, _) = self.lookup(hash, key).ok_or(Error::NotFound)?;
        let len = self.store.layout.value_len(&self.store.pages, id);
        let Some(buffer) = buffer.get_mut(..len) else {
            return Ok((len, false));
        };
        self.check_sum(id, hash)?;
        self.store.layout.read(&self.store.pages, id, 0, buffer);
        Ok((len, true))
    }
}

impl OwnedCache {
    fn look(&self, key: &[u8], buffer: &mut [u8]) -> Answer {
        self.as_cache().with_key(key, false, |shard, hash| {
            shard.get_if_fits(hash, key, buffer)
        })
    }

    /// A copy of a value. Counts as a get.
    pub(super) fn read(&self, key: &[u8]) -> Result<Option<Vec<u8>>> {
        let mut short = [0; SHORT];
        let answer = self.look(key, &mut short);
        self.finish(key, &short, answer)
    }

    /// The value that the first look found: in `short`, or read again if it is longer.
    pub(super) fn finish(
        &self,
        key: &[u8],
        short: &[u8],
        answer: Answer,
    ) -> Result<Option<Vec<u8>>> {
        match unless_missing(answer)? {
            None => Ok(None),
            Some((len, true)) => copied(short.get(..len).unwrap_or(&[])).map(Some),
            Some((len, false)) => {
                let mut value = Vec::new();
                let is_there = self.fill(key, &mut value, len)?;
                Ok(is_there.then_some(value))
            }
        }
    }

    /// Copies the value into a vector, which is empty after a miss or an error. Returns whether there is a value.
    /// Counts as a get.
    pub(super) fn read_into(&self, key: &[u8], value: &mut Vec<u8>) -> Result<bool> {
        let read = match unless_missing(self.look(key, value)) {
            Ok(Some((len, true))) => {
                value.truncate(len);
                Ok(true)
            }
            Ok(Some((len, false))) => self.fill(key, value, len),
            Ok(None) => Ok(false),
            Err(error) => Err(error),
        };
        if read != Ok(true) {
            value.clear();
        }
        read
    }

    /// Copies a value into a vector. `len` is its length at the last look. Returns whether the item still exists.
    fn fill(&self, key: &[u8], value: &mut Vec<u8>, mut len: usize) -> Result<bool> {
        loop {
            grow(value, len)?;
            let answer = self
                .as_cache()
                .with_key(key, false, |shard, hash| shard.peek(hash, key, value));
            match unless_missing(answer)? {
                None => return Ok(false),
                Some((len, true)) => {
                    value.truncate(len);
                    return Ok(true);
                }
                // Another thread has set a longer value since.
                Some((longer, false)) => len = longer,
            }
        }
    }
}

/// Extends a vector to at least `len` bytes. `NoMemory` if the heap has no memory.
fn grow(value: &mut Vec<u8>, len: usize) -> Result<()> {
    let more = len.saturating_sub(value.len());
    value.try_reserve_exact(more).map_err(|_| Error::NoMemory)?;
    value.resize(value.len() + more, 0);
    Ok(())
}
