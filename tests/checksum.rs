//! Changes of an item in place keep its checksum correct.

mod common;

use common::{Region, checked, key, now_ms, set_now};
use larder::{Cache, Config, PolicyKind, TTL_NEVER};

#[test]
fn a_time_to_live_that_changes_leaves_an_item_intact() {
    for policy in [PolicyKind::Default, PolicyKind::Lru] {
        set_now(0);
        let mut region = Region::new(64 << 10);
        let mut config = Config::default().clock(now_ms);
        (config.policy, config.checksum) = (policy, true);
        let cache = Cache::new(region.bytes(), &config).unwrap();
        let values = [0, 1, 100, 5_000].map(|len| vec![7; len]);
        for (n, value) in (0..).zip(&values) {
            cache.set(&key(n), value, 1_000).unwrap();
        }
        let mut buffer = [0; 5_000];
        for ttl in [5_000, 10, 2_000_000_000, 20, TTL_NEVER, 3_000, 1 << 40] {
            set_now(now_ms() + 5);
            for (n, value) in (0..).zip(&values) {
                cache.touch(&key(n), ttl).unwrap();
                assert_eq!(cache.get(&key(n), &mut buffer), Ok(value.len()), "{ttl}");
                assert_eq!(buffer[..value.len()], value[..]);
            }
            checked(&cache);
        }
        assert_eq!(cache.stats().failed_corrupt, 0);
    }
}
