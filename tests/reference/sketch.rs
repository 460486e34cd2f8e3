//! An estimate of the recent requests for a key: a count-min sketch that is halved at intervals.
//!
//! # Source
//! G. Cormode, S. Muthukrishnan, "An Improved Data Stream Summary", 2005.

const ROWS: u64 = 4;
const COUNT_MAX: u8 = 15;
/// Counters for each item of the cache.
const COUNTERS: usize = 16;
/// Increments for each item of the cache until every counter is halved.
const SAMPLE: usize = 10;

pub(crate) struct Sketch {
    counters: Vec<u8>,
    added: usize,
    halve_at: usize,
}

impl Sketch {
    pub(crate) fn new(capacity: usize) -> Self {
        Self {
            counters: vec![0; capacity.next_power_of_two() * COUNTERS],
            added: 0,
            halve_at: SAMPLE * capacity,
        }
    }

    pub(crate) fn estimate(&self, id: u32) -> u8 {
        let counts = places(id, self.counters.len()).map(|place| self.counters[place]);
        counts.min().unwrap_or(0)
    }

    pub(crate) fn add(&mut self, id: u32) {
        let mut counted = false;
        for place in places(id, self.counters.len()) {
            let counter = &mut self.counters[place];
            counted |= *counter < COUNT_MAX;
            *counter = (*counter + 1).min(COUNT_MAX);
        }
        self.added += usize::from(counted);
        if self.added >= self.halve_at {
            self.counters.iter_mut().for_each(|counter| *counter /= 2);
            self.added /= 2;
        }
    }
}

/// A key's counter in each row; the rows share the table.
fn places(id: u32, counters: usize) -> impl Iterator<Item = usize> {
    (0..ROWS).map(move |row| {
        let mut hash = (u64::from(id) << 3 | row).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        hash = (hash ^ hash >> 32).wrapping_mul(0xd6e8_feb8_6659_fd93);
        (hash ^ hash >> 32) as usize & (counters - 1)
    })
}
