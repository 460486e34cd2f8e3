//! The descriptor of a page, one entry of the page table.

#![forbid(unsafe_code)]

use super::Page;
use crate::region::{Cutter, Table};

/// The owner of a page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Owner {
    /// No owner.
    Free = 0,
    /// The log of new items.
    Window = 1,
    /// The log of proven items.
    Main = 2,
    /// One item whose value fills the page.
    Chain = 3,
    /// A slab of equal slots.
    Slab = 4,
    /// The index's directory.
    Directory = 5,
    /// The table of pins.
    Pins = 6,
}

impl Owner {
    fn of(byte: u8) -> Self {
        match byte {
            1 => Self::Window,
            2 => Self::Main,
            3 => Self::Chain,
            4 => Self::Slab,
            5 => Self::Directory,
            6 => Self::Pins,
            _ => Self::Free,
        }
    }

    /// Whether the page belongs to a log of items.
    #[inline]
    pub(crate) fn is_log(self) -> bool {
        matches!(self, Self::Window | Self::Main)
    }
}

/// The `due` of a page in which no item expires.
pub(crate) const NO_DUE: u32 = u32::MAX;

/// The page table's entry for a page.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub(crate) struct Descriptor {
    pub(crate) next: Page,
    pub(crate) prev: Page,
    /// Live granules; in a slab, used slots.
    pub(crate) live: u16,
    /// First granule of the page's own contents; in a slab, a free slot.
    pub(crate) first: u16,
    pub(crate) due: u32,
    pub(crate) era: u16,
    pub(crate) owner: Owner,
    /// Temporary mark of `attach`.
    pub(crate) mark: u8,
}

const _: () = assert!(size_of::<Descriptor>() == 16);

impl Descriptor {
    pub(crate) const FREE: Self = Self {
        next: Page::NONE,
        prev: Page::NONE,
        live: 0,
        first: 0,
        due: NO_DUE,
        era: 0,
        owner: Owner::Free,
        mark: 0,
    };

    /// The descriptor that an earlier owner of the region stored in these words.
    pub(crate) fn of_words(words: &[u32; 4]) -> Self {
        let bytes = words.map(u32::to_ne_bytes);
        let half = |word: usize, at: usize| match bytes.get(word) {
            Some(b) => u16::from_ne_bytes([
                b.get(at).copied().unwrap_or(0),
                b.get(at + 1).copied().unwrap_or(0),
            ]),
            None => 0,
        };
        let [.., last] = bytes;
        Self {
            next: Page(half(0, 0)),
            prev: Page(half(0, 2)),
            live: half(1, 0),
            first: half(1, 2),
            due: words[2],
            era: half(3, 0),
            owner: Owner::of(last[2]),
            mark: 0,
        }
    }
}

/// The constructor of the page table: a fresh one, or one from the words of an earlier owner. Only this pointer
/// names the code for attaching, so the linker removes that code from programs that never attach.
#[derive(Clone, Copy)]
pub(crate) struct Tables {
    pub(crate) descriptors: fn(&mut Cutter, u32) -> Option<Table<Descriptor>>,
}

impl Tables {
    pub(crate) const FRESH: Self = Self {
        descriptors: |cutter, count| cutter.table(count, Descriptor::FREE),
    };

    pub(crate) const LEFT: Self = Self {
        descriptors: |cutter, count| cutter.table_from(count, Descriptor::of_words),
    };
}
