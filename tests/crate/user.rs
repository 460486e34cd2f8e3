//! Collections of the newest crates, and of the standard library, in an arena and a pool; and an owned cache.
#![cfg_attr(feature = "nightly", feature(allocator_api, btreemap_alloc))]

use allocator_api2::{boxed::Box as NewestBox, vec::Vec as NewestVec};
use hashbrown::{DefaultHashBuilder, HashMap, HashSet};
use larder::allocator_api2::vec::Vec as LarderVec;
use larder::{Arena, Cache, Config, OwnedCache, Pool, PoolConfig};

#[repr(align(16))]
struct Region([u8; 64 * 1024]);

fn main() -> Result<(), larder::Error> {
    let (mut first, mut second, mut third) = (Region([0; _]), Region([0; _]), Region([0; _]));
    let arena = Arena::new(&mut first.0)?;
    let pool = Pool::new(&mut second.0, &PoolConfig::default())?;
    let cache = Cache::new(&mut third.0, &Config::default())?;

    // allocator-api2, the newest.
    let mut vector = NewestVec::new_in(&arena);
    vector.extend(0..1000);
    let boxed = NewestBox::new_in(vector.len(), &pool);
    assert_eq!((vector[999], *boxed), (999, 1000));

    // hashbrown, the newest.
    let mut map = HashMap::with_hasher_in(DefaultHashBuilder::default(), &pool);
    let mut set = HashSet::with_hasher_in(DefaultHashBuilder::default(), &arena);
    for n in 0..500u32 {
        map.insert(n, n * 7);
        set.insert(n);
    }
    assert!((0..500).all(|n| map[&n] == n * 7 && set.contains(&n)));

    // larder's own allocator-api2.
    cache.set(b"answer", b"forty-two", 0)?;
    let value: LarderVec<u8, _> = cache.get_in(b"answer", &arena)?;
    assert_eq!(&value[..], b"forty-two");

    // A cache that owns its region.
    let owned = OwnedCache::with_memory(64 * 1024)?;
    owned.insert("answer", "forty-two")?;
    let values = owned.get_many(&["answer", "question"])?;
    assert_eq!(values, [Some(b"forty-two".to_vec()), None]);

    // The standard library.
    #[cfg(feature = "nightly")]
    {
        let mut vector = Vec::new_in(&arena);
        vector.extend(0..1000);
        let mut tree = std::collections::BTreeMap::new_in(&pool);
        tree.extend((0..100).map(|n| (n, n * 7)));
        assert_eq!((vector[999], tree[&99]), (999, 693));
    }
    Ok(())
}
