//! A viewed value as a slice, piece by piece, or as a copy.

#![forbid(unsafe_code)]

use super::View;
#[cfg(feature = "alloc")]
use crate::status::{Error, Result};
#[cfg(feature = "alloc")]
use alloc::vec::{self, Vec};
use core::ops::Deref;

/// A view of a value in one piece, which derefs to the value's bytes. See [`View::contiguous`].
///
/// ```
/// # #[repr(align(16))]
/// # struct Region([u8; 64 * 1024]);
/// # let mut region = Region([0; 64 * 1024]);
/// # let cache = larder::Cache::new(&mut region.0, &larder::Config::default())?;
/// cache.set(b"key", b"value", 0)?;
/// if let Ok(value) = cache.pin(b"key")?.contiguous() {
///     assert!(value.starts_with(b"val"));
///     assert_eq!(std::str::from_utf8(&value), Ok("value"));
/// }
/// # Ok::<(), larder::Error>(())
/// ```
#[derive(Debug)]
pub struct Contiguous<'c>(View<'c>);

impl<'c> View<'c> {
    /// Converts the view into a [`Contiguous`], which derefs to the value's bytes.
    ///
    /// # Errors
    /// The view itself, if the value is in several pieces.
    pub fn contiguous(self) -> core::result::Result<Contiguous<'c>, Self> {
        match self.bytes() {
            Some(_) => Ok(Contiguous(self)),
            None => Err(self),
        }
    }

    /// The value's pieces, in order. See [`Pieces`].
    ///
    /// # Errors
    /// `Busy` from inside a callback, or if a lock hook fails; `NoMemory` if the heap has no memory. A value in one
    /// piece has neither error.
    ///
    /// # Time
    /// O(pieces).
    #[cfg(feature = "alloc")]
    pub fn pieces(&self) -> Result<Pieces<'_>> {
        if let Some(bytes) = self.bytes() {
            return Ok(Pieces {
                first: Some(bytes),
                others: Vec::new().into_iter(),
            });
        }
        let count = self.span_count() as usize;
        let mut pieces: Vec<&[u8]> = Vec::new();
        pieces
            .try_reserve_exact(count)
            .map_err(|_| Error::NoMemory)?;
        pieces.resize(count, &[]);
        self.spans(&mut pieces)?;
        Ok(Pieces {
            first: None,
            others: pieces.into_iter(),
        })
    }

    /// A copy of the value.
    ///
    /// # Errors
    /// As [`View::pieces`], and `NoMemory` if the heap has no memory for the copy.
    ///
    /// # Time
    /// O(value length).
    #[cfg(feature = "alloc")]
    pub fn to_vec(&self) -> Result<Vec<u8>> {
        let mut value = Vec::new();
        value
            .try_reserve_exact(self.len())
            .map_err(|_| Error::NoMemory)?;
        self.pieces()?
            .for_each(|piece| value.extend_from_slice(piece));
        Ok(value)
    }
}

impl Deref for Contiguous<'_> {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        self.0.bytes().unwrap_or(&[])
    }
}

impl AsRef<[u8]> for Contiguous<'_> {
    fn as_ref(&self) -> &[u8] {
        self
    }
}

/// The pieces of a viewed value, one for each of its pages. See [`View::pieces`].
///
/// ```
/// let cache = larder::OwnedCache::with_memory(1 << 20)?;
/// cache.insert("long", vec![7; 100_000])?;
/// let view = cache.view("long")?.expect("stored above");
/// let lens = view.pieces()?.map(<[u8]>::len);
/// assert_eq!(lens.sum::<usize>(), 100_000);
/// # Ok::<(), larder::Error>(())
/// ```
#[cfg(feature = "alloc")]
#[derive(Clone, Debug)]
#[must_use]
pub struct Pieces<'v> {
    first: Option<&'v [u8]>,
    others: vec::IntoIter<&'v [u8]>,
}

#[cfg(feature = "alloc")]
impl<'v> Iterator for Pieces<'v> {
    type Item = &'v [u8];

    fn next(&mut self) -> Option<&'v [u8]> {
        self.first.take().or_else(|| self.others.next())
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        let left = usize::from(self.first.is_some()) + self.others.len();
        (left, Some(left))
    }
}

#[cfg(feature = "alloc")]
impl ExactSizeIterator for Pieces<'_> {}

#[cfg(feature = "alloc")]
impl core::iter::FusedIterator for Pieces<'_> {}
