//! Values into vectors. The length is asked for under the lock, and room for it is made outside.
//!
//! The first look counts as the read. Later ones, for a value that is longer than the buffer, peek.

#![forbid(unsafe_code)]

use super::{OwnedCache, copied, unless_missing};
use crate::hash::Hash;
use crate::shard::Shard;
use crate::status::{Error, Result};
use alloc::vec::Vec;

/// Bytes of a value that is copied by way of the stack: one look is enough for it.
pub(super) const SHORT: usize = 256;

/// Bytes of a value, and whether they were copied.
pub(super) type Answer = Result<(usize, bool)>;

impl Shard {
    /// Copies a value where the buffer is long enough. It counts as a get, and as no failure where the buffer is not.
    pub(super) fn get_if_fits(&mut self, hash: Hash, key: &[u8], buffer: &mut [u8]) -> Answer {
        let answer = self.get(hash, key, buffer);
        if matches!(answer, Ok((_, false))) {
            self.store.counters.failed_buffer_too_small -= 1;
        }
        answer
    }

    /// The same, neither counted nor reported to the policy.
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

    /// A copy of a value, counted as a get.
    pub(super) fn read(&self, key: &[u8]) -> Result<Option<Vec<u8>>> {
        let mut short = [0; SHORT];
        let answer = self.look(key, &mut short);
        self.finish(key, &short, answer)
    }

    /// The value that the first look found: it lies in `short`, or is too long for that.
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

    /// Makes a vector hold the value, and nothing on a miss or an error; whether there is a value. Counted as a get.
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

    /// Copies a value, of so many bytes at the last look, into a vector; whether it is still there.
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
                // Another thread has set a longer one since.
                Some((longer, false)) => len = longer,
            }
        }
    }
}

/// Makes a vector at least so long. `NoMemory` where the heap refuses.
fn grow(value: &mut Vec<u8>, len: usize) -> Result<()> {
    let more = len.saturating_sub(value.len());
    value.try_reserve_exact(more).map_err(|_| Error::NoMemory)?;
    value.resize(value.len() + more, 0);
    Ok(())
}
