//! Operations, and the scripts of them that a run follows.

use crate::common::Rng;
use larder::{TTL_NEVER, Type};
use std::sync::OnceLock;

/// Bytes of a value: a piece of [`ocean`], or a number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Value {
    Piece { at: usize, len: usize },
    Number([u8; 8]),
}

impl Value {
    pub(crate) fn bytes(&self) -> &[u8] {
        match self {
            Self::Piece { at, len } => &ocean()[*at..at + len],
            Self::Number(bytes) => bytes,
        }
    }

    pub(crate) fn text(&self) -> &str {
        std::str::from_utf8(self.bytes()).expect("the ocean is text")
    }

    pub(crate) fn number(&self) -> [u8; 8] {
        self.bytes().try_into().expect("a number")
    }
}

/// `DeleteIf` selects keys by their remainder modulo this number.
pub(crate) const REMAINDERS: usize = 5;
const OCEAN: usize = 10 << 20;
/// Number of offsets in the ocean at which values start.
const STARTS: usize = 1 << 16;

/// A random text; values are pieces of it.
fn ocean() -> &'static [u8] {
    static BYTES: OnceLock<Vec<u8>> = OnceLock::new();
    BYTES.get_or_init(|| {
        let mut rng = Rng::new(1);
        let mut words =
            || (rng.next() & 0x1f1f_1f1f_1f1f_1f1f | 0x4040_4040_4040_4040).to_le_bytes();
        (0..OCEAN / 8).flat_map(|_| words()).collect()
    })
}

/// The number of runs of the ocean's letters that are too long to occur by chance.
pub(crate) fn traces_of_values(bytes: &[u8]) -> usize {
    let runs = bytes.split(|byte| byte & 0xe0 != 0x40);
    runs.filter(|run| run.len() >= 12).count()
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verb {
    Set,
    Add,
    Replace,
}

/// One call, or one step of the clock. Keys are numbers; see [`key_bytes`].
#[derive(Clone, Copy, Debug)]
pub(crate) enum Op {
    Store {
        verb: Verb,
        key: usize,
        value: Value,
        kind: Type,
        ttl: u64,
    },
    Get {
        key: usize,
        short: bool,
    },
    GetTyped {
        key: usize,
        kind: Type,
    },
    GetRange {
        key: usize,
        offset: usize,
        len: usize,
    },
    Delete {
        key: usize,
    },
    Touch {
        key: usize,
        ttl: u64,
    },
    Look {
        key: usize,
    },
    Increment {
        key: usize,
        by: i64,
    },
    Extend {
        key: usize,
        len: usize,
        front: bool,
    },
    AddU64 {
        key: usize,
        by: i64,
        wraps: bool,
    },
    Lease {
        key: usize,
        ms: u64,
    },
    Fill {
        key: usize,
        value: Value,
    },
    /// Deletes the items whose key has this remainder, in slices of `steps` steps.
    DeleteIf {
        remainder: usize,
        steps: u32,
    },
    Limit {
        bytes: usize,
    },
    Optimize {
        steps: u32,
    },
    Clear,
    Scan {
        stop_after: usize,
    },
    Forward {
        ms: u64,
    },
    Back {
        ms: u64,
    },
    /// A new owner attaches to a copy of the region.
    Attach,
}

/// The bytes of a key: most are short, some have 60 bytes, a few are too long for small pages.
pub(crate) fn key_bytes(key: usize) -> Vec<u8> {
    let len = match key % 64 {
        0 => 255,
        1..4 => 60,
        n => 4 + n % 12,
    };
    let mut bytes = (key as u32).to_be_bytes().to_vec();
    bytes.resize(len, b'.');
    bytes
}

#[derive(Clone, Copy, Debug)]
pub(crate) enum Sizes {
    /// One size, of which some thousands fill the region.
    Fixed,
    /// From one byte to a quarter of the limit; all orders of magnitude are equally likely.
    Mixed,
    /// A narrow range that moves up and down.
    Shifting,
}

/// An endless sequence of operations.
pub(crate) struct Script {
    rng: Rng,
    region: usize,
    sizes: Sizes,
    keys: usize,
    phase_len: usize,
    drawn: usize,
}

#[allow(dead_code)] // The fuzzer does not use all of it.
impl Script {
    pub(crate) fn new(region: usize, sizes: Sizes, ops: usize, rng: Rng) -> Self {
        let keys = (region / 64).clamp(64, 6000);
        Self {
            rng,
            region,
            sizes,
            keys,
            phase_len: ops / 8 + 1,
            drawn: 0,
        }
    }

    /// Whether all further operations are random.
    pub(crate) fn is_spent(&self) -> bool {
        self.rng.is_spent()
    }

    pub(crate) fn next(&mut self, limit: usize) -> Op {
        self.drawn += 1;
        let key = self.key();
        match self.rng.below(1000) {
            0..440 => self.store(key, limit),
            440..640 => Op::Get {
                key,
                short: self.rng.one_in(16),
            },
            640..680 => Op::GetTyped {
                key,
                kind: self.kind(),
            },
            680..720 => {
                let (offset, len) = (
                    self.rng.log_uniform(0, limit),
                    self.rng.log_uniform(0, limit),
                );
                Op::GetRange {
                    key,
                    offset: offset / 8,
                    len: len / 8,
                }
            }
            720..800 => Op::Delete { key },
            800..806 => Op::Fill {
                key,
                value: Value::Piece {
                    at: self.rng.below(STARTS),
                    len: self.len(limit),
                },
            },
            806..820 => Op::Extend {
                key,
                len: self.rng.log_uniform(1, limit / 4) - 1,
                front: self.rng.one_in(2),
            },
            820..860 => Op::Touch {
                key,
                ttl: self.ttl(),
            },
            860..890 => Op::Look { key },
            890..910 => Op::Increment {
                key,
                by: self.increment(),
            },
            910..918 => Op::AddU64 {
                key,
                by: self.increment(),
                wraps: self.rng.one_in(2),
            },
            918..930 => Op::Lease {
                key,
                ms: self.rng.log_uniform(1, 100_000) as u64,
            },
            930..935 => Op::Limit {
                bytes: self.limit(),
            },
            935..950 => Op::Optimize {
                steps: self.rng.log_uniform(0, 1000) as u32,
            },
            950..953 => Op::Scan {
                stop_after: self.rng.log_uniform(1, 10_000),
            },
            953 if self.rng.one_in(8) => Op::Clear,
            953 if self.rng.one_in(8) => Op::DeleteIf {
                remainder: key % REMAINDERS,
                steps: self.rng.log_uniform(1, 1000) as u32 - 1,
            },
            954..956 => Op::Back {
                ms: self.rng.log_uniform(1, 10_000) as u64,
            },
            957 if self.rng.one_in(2) => Op::Attach,
            956 if self.rng.one_in(64) => Op::Forward { ms: 1 << 31 },
            _ => Op::Forward {
                ms: self.rng.log_uniform(1, 2_000) as u64,
            },
        }
    }

    /// A random key. A few keys are much more frequent than the others.
    fn key(&mut self) -> usize {
        let key = self.rng.below(self.keys);
        if self.rng.one_in(2) {
            key % (self.keys / 8)
        } else {
            key
        }
    }

    fn kind(&mut self) -> Type {
        [Type::Bytes, Type::Str, Type::I64, Type::U64, Type::F64][self.rng.below(5)]
    }

    fn store(&mut self, key: usize, limit: usize) -> Op {
        let ttl = self.ttl();
        let kind = if self.rng.one_in(4) {
            self.kind()
        } else {
            Type::Bytes
        };
        let value = match kind {
            Type::Bytes | Type::Str => {
                let len = self.len(limit);
                Value::Piece {
                    at: self.rng.below(STARTS),
                    len,
                }
            }
            _ => Value::Number(self.number().to_ne_bytes()),
        };
        let verb = match self.rng.below(8) {
            0 if kind == Type::Bytes => Verb::Add,
            1 if kind == Type::Bytes => Verb::Replace,
            _ => Verb::Set,
        };
        Op::Store {
            verb,
            key,
            value,
            kind,
            ttl,
        }
    }

    /// A number of any magnitude, sometimes at the end of its range.
    fn number(&mut self) -> i64 {
        let ends = [i64::MAX, i64::MIN, -1, 0];
        if self.rng.one_in(4) {
            return ends[self.rng.below(4)];
        }
        self.rng.next() as i64 >> self.rng.below(63)
    }

    fn len(&mut self, limit: usize) -> usize {
        if self.rng.one_in(500) {
            return self.rng.log_uniform(0, self.region + self.region / 8);
        }
        match self.sizes {
            Sizes::Fixed => (self.region / 2048).max(24),
            Sizes::Mixed => self.rng.log_uniform(1, limit / 4) - self.rng.below(2),
            Sizes::Shifting => {
                let small = (self.region / 4096).max(8);
                let typical = small << (self.drawn / self.phase_len * 5 % 8);
                typical + self.rng.below(typical / 4)
            }
        }
    }

    fn ttl(&mut self) -> u64 {
        match self.rng.below(8) {
            0 => self.rng.log_uniform(1, 100) as u64,
            1 => self.rng.log_uniform(100, 100_000) as u64,
            2 => 1_000 * self.rng.log_uniform(1_000, 315_360_000) as u64,
            3 => TTL_NEVER,
            _ => 0,
        }
    }

    fn increment(&mut self) -> i64 {
        if self.rng.one_in(8) {
            self.rng.next() as i64
        } else {
            self.rng.below(100) as i64 - 50
        }
    }

    fn limit(&mut self) -> usize {
        match self.rng.below(4) {
            0 => self.region,
            1 => self.rng.below(self.region + self.region / 16),
            _ => self.region - self.rng.below(self.region / 2),
        }
    }
}
