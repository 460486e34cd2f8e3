//! Statistics as text for people, as JSON, and in Prometheus's exposition format.
//!
//! The tables of `rows` list every figure once, with its name and help. Each format walks them, so a figure that
//! has a row is in all three.
//!
//! # Not here
//! What the figures mean: `stats`, `limits`.

#![forbid(unsafe_code)]

mod formats;
mod rows;
#[cfg(test)]
mod tests;
mod writer;

use crate::cache::Cache;
use crate::limits::Limits;
use crate::policy::Advice;
use crate::stats::{CacheStats, OwnerStats, PageOwner};
use crate::status::{Error, Result};
use rows::{ADVISED, Row, SECTIONS, Value};
use writer::Writer;

/// Bytes that no print of statistics exceeds, whatever the counters.
pub const STATS_PRINT_MAX: usize = 12 * 1024;

/// How statistics are printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum Format {
    /// Aligned lines with a sentence each, for people.
    Text = 0,
    /// One JSON object in one line; its names are those of the C structures' fields.
    Json = 1,
    /// Prometheus's text exposition format: HELP, TYPE and samples; base units, ratios from 0 to 1.
    Prometheus = 2,
}

impl Format {
    /// The format with this number of the C interface.
    pub const fn from_code(code: u32) -> Option<Self> {
        match code {
            0 => Some(Self::Text),
            1 => Some(Self::Json),
            2 => Some(Self::Prometheus),
            _ => None,
        }
    }
}

/// All that is printed, read before the first byte is written.
#[derive(Default)]
struct Snapshot {
    stats: CacheStats,
    owners: [OwnerStats; PageOwner::ALL.len()],
    limits: Limits,
    /// Where the cache gives some.
    advice: Option<Advice>,
}

impl Snapshot {
    fn read(&mut self, cache: &Cache<'_>) -> Result<()> {
        for (stats, owner) in self.owners.iter_mut().zip(PageOwner::ALL) {
            *stats = cache.owner_stats(owner)?;
        }
        self.limits = cache.limits()?;
        self.advice = match cache.advise() {
            Err(Error::NoMemory | Error::Again) => None,
            advice => Some(advice?),
        };
        self.stats = cache.stats();
        Ok(())
    }

    /// A row's figure of the section's `subject`, counted from 0.
    fn figure(&self, row: &Row, subject: usize) -> u64 {
        match row.value {
            Value::Stats(value) => value(&self.stats),
            Value::Owner(value) => self.owners.get(subject).map_or(0, value),
            Value::Limit(value) => value(&self.limits),
            Value::Advice(value) => self
                .advice
                .as_ref()
                .map_or(0, |advice| value(advice, subject)),
        }
    }

    fn print(&self, format: Format, buffer: &mut [u8]) -> usize {
        let mut out = Writer::new(buffer);
        let advised = if self.advice.is_some() { ADVISED } else { &[] };
        let sections = || SECTIONS.iter().chain(advised);
        match format {
            Format::Text => formats::text(self, sections(), &mut out),
            Format::Json => formats::json(self, sections(), &mut out),
            Format::Prometheus => formats::prometheus(self, sections(), &mut out),
        }
        out.len()
    }
}

impl Cache<'_> {
    /// Prints statistics, what each owner of pages has, limits, and advice where the cache gives some; returns the
    /// length in bytes.
    ///
    /// ```
    /// # #[repr(align(16))]
    /// # struct Region([u8; 64 * 1024]);
    /// # let mut region = Region([0; 64 * 1024]);
    /// # let cache = larder::Cache::new(&mut region.0, &larder::Config::default())?;
    /// let mut buffer = [0; larder::STATS_PRINT_MAX];
    /// let len = cache.print_stats(larder::Format::Prometheus, &mut buffer)?;
    /// let page = core::str::from_utf8(&buffer[..len]).unwrap();
    /// assert!(page.contains("# TYPE larder_gets_total counter\n"));
    /// # Ok::<(), larder::Error>(())
    /// ```
    ///
    /// # Errors
    /// `BufferTooSmall` where the buffer is shorter than what is printed: its bytes mean nothing then.
    /// [`STATS_PRINT_MAX`] bytes are always enough.
    /// `Busy` from inside a callback, or where a lock hook fails.
    ///
    /// # Time
    /// O(shards).
    pub fn print_stats(&self, format: Format, buffer: &mut [u8]) -> Result<usize> {
        let room = buffer.len();
        let len = self.print_stats_or_len(format, buffer)?;
        if len > room {
            return Err(Error::BufferTooSmall);
        }
        Ok(len)
    }

    /// The same; where the buffer is too short, the length that it would take.
    pub(crate) fn print_stats_or_len(&self, format: Format, buffer: &mut [u8]) -> Result<usize> {
        // Read in its place: a copy on the way would take as much stack again.
        let mut snapshot = Snapshot::default();
        snapshot.read(self)?;
        Ok(snapshot.print(format, buffer))
    }
}
