//! Properties of hashbrown that `segment` needs and hashbrown's documentation does not promise.

use super::*;
use core::cell::Cell;

const ALL: [Buckets; 3] = [Buckets::B32, Buckets::B64, Buckets::B128];

#[repr(align(16))]
struct Bytes([u8; 1024]);

/// Allocates the only block, as [`Block`] does, and records the requests.
struct Counted<'t> {
    block: &'t Block,
    requests: &'t Cell<usize>,
    asked: &'t Cell<usize>,
}

// SAFETY: as for `Block`; a second request, or one that is too large, fails.
unsafe impl Allocator for Counted<'_> {
    fn allocate(&self, layout: Layout) -> Result<NonNull<[u8]>, AllocError> {
        self.requests.set(self.requests.get() + 1);
        self.asked.set(layout.size());
        if self.requests.get() > 1 || layout.size() > size_of::<Bytes>() {
            return Err(AllocError);
        }
        self.block.allocate(layout)
    }

    unsafe fn deallocate(&self, _: NonNull<u8>, _: Layout) {}
}

/// Calls `call` with a table made as [`Segment::create`] makes it. Then checks that the table requested one block,
/// of at most the size cut for it.
fn with_table(buckets: Buckets, call: impl FnOnce(&mut HashTable<u32, Counted<'_>>)) {
    let mut bytes = Bytes([0; 1024]);
    let block = Block {
        at: NonNull::from(&mut bytes.0).cast(),
    };
    let (requests, asked) = (Cell::new(0), Cell::new(0));
    let counted = Counted {
        block: &block,
        requests: &requests,
        asked: &asked,
    };
    let mut table = HashTable::with_capacity_in(buckets.capacity(), counted);
    call(&mut table);
    drop(table);
    assert_eq!(requests.get(), 1, "a table asked for more than its block");
    assert!(asked.get() <= buckets.block_size());
}

#[test]
fn a_table_takes_exactly_its_block() {
    for buckets in ALL {
        with_table(buckets, |table| {
            assert_eq!(table.num_buckets(), buckets.count());
            assert_eq!(table.capacity(), buckets.capacity());
            assert!(table.allocation_size() <= buckets.block_size());
        });
        assert_eq!(buckets.size() % 16, 0);
    }
}

#[test]
fn a_table_with_room_never_asks_for_memory() {
    let mut random = 1u32;
    let mut next = || {
        random = random.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        random >> 8
    };
    for buckets in ALL {
        with_table(buckets, |table| {
            let (mut inserted, mut removed, mut refused) = (0, 0, 0);
            for _ in 0..100_000 {
                // Few different hashes make long probes, so removed entries leave marks.
                let id = next() % 200;
                let hash = u64::from(id % 50).wrapping_mul(0x9e37_79b9_7f4a_7c15);
                if let Ok(entry) = table.find_entry(hash, |&e| e == id) {
                    entry.remove();
                    removed += 1;
                } else if table.capacity() != table.len() {
                    table.insert_unique(hash, id, |_| 0);
                    inserted += 1;
                } else {
                    refused += 1;
                }
                assert!(table.len() <= table.capacity());
                assert!(table.capacity() <= buckets.capacity());
            }
            assert_eq!(inserted - removed, table.len());
            assert!(refused > 0, "the table was never full");
        });
    }
}

#[test]
fn each_entry_has_a_bucket_of_its_own() {
    for buckets in ALL {
        with_table(buckets, |table| {
            for id in 0..buckets.capacity() as u32 {
                table.insert_unique(u64::from(id), id, |_| 0);
            }
            let full = (0..buckets.count()).filter_map(|at| table.get_bucket(at));
            assert_eq!(full.count(), buckets.capacity());
            for id in 0..buckets.capacity() as u32 {
                let at = table.find_bucket_index(u64::from(id), |&e| e == id);
                assert_eq!(at.and_then(|at| table.get_bucket(at)), Some(&id));
            }
        });
    }
}

#[test]
fn a_cleared_segment_takes_as_many_entries_as_a_fresh_one() {
    use crate::page::Descriptor;
    for buckets in ALL {
        crate::region::with_cutter(8 << 10, |cutter| {
            let table = cutter.table(2, Descriptor::FREE).unwrap();
            let bytes = cutter.bytes(buckets.size() + 2 * 1024).unwrap();
            let start = (buckets.size() / GRANULE) as u32;
            let mut pages = Pages::new(bytes, table, start, 8, false);
            let segment = Segment::create(&mut pages, Id(0), buckets, 0, 0);
            let all = 0..buckets.capacity() as u32;
            for _ in 0..3 {
                // The entries are neighbours in the table, so removed ones leave marks.
                let filled = all.clone().all(|i| segment.insert(&mut pages, 1, Id(i)));
                assert!(filled && !segment.has_room(&pages));
                assert!(all.clone().all(|i| {
                    let at = segment.place(&pages, 1, |id| id == Id(i));
                    segment.remove(&mut pages, at.unwrap()).is_some()
                }));
                assert_eq!(segment.len(&pages), 0);
                segment.clear(&mut pages, buckets);
            }
        });
    }
}
