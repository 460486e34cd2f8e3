//! Any operations, compared with the model of tests/model after each call.
#![no_main]
#![allow(dead_code)]

#[path = "../model/calls.rs"]
mod calls;
#[path = "../common/mod.rs"]
mod common;
#[path = "../model/ops.rs"]
mod ops;
#[path = "../model/oracle.rs"]
mod oracle;

use common::{Region, Rng, checked, set_now};
use larder::{AttachReport, Cache, Config, PolicyKind};
use libfuzzer_sys::fuzz_target;
use ops::{Op, Script, Sizes};
use oracle::{Model, Oracle};

fn geometry(rng: &mut Rng) -> (usize, Config, Sizes) {
    let size = [4, 5, 8, 20, 64][rng.below(5)] * 1024 + rng.below(2) * 16;
    let mut config = Config::default().clock(common::now_ms);
    config.policy = [PolicyKind::Default, PolicyKind::Lru][rng.below(2)];
    config.shards = if size > 16_384 {
        1 + rng.below(2) as u32
    } else {
        1
    };
    let switches = rng.below(16);
    config.item_times = switches & 1 != 0;
    config.zero_on_free = switches & 2 != 0;
    config.checksum = switches & 4 != 0;
    config.default_ttl_ms = if switches & 8 != 0 { 5_000 } else { 0 };
    (
        size,
        config,
        [Sizes::Fixed, Sizes::Mixed, Sizes::Shifting][rng.below(3)],
    )
}

fuzz_target!(|data: &[u8]| {
    set_now(1_000_000);
    let mut rng = Rng::of_bytes(1, data);
    let (size, mut config, sizes) = geometry(&mut rng);
    let mut script = Script::new(size, sizes, 64, rng);
    let mut region = Region::new(size);
    let mut known: Option<Model> = None;
    loop {
        let mut report = AttachReport::default();
        let cache = match &known {
            None => Cache::new(region.bytes(), &config),
            Some(_) => Cache::attach(region.bytes(), &config, &mut report),
        };
        let cache = cache.expect("large enough");
        let adopted = known.is_some();
        let model = known.take().unwrap_or_else(|| Model::new(&config, size));
        let mut oracle = Oracle::new(&cache, model);
        if adopted {
            oracle.check_adopted(&report);
        }
        let mut leaves = false;
        while !leaves && !script.is_spent() {
            let op = script.next(cache.memory_limit());
            oracle.apply(&op);
            checked(&cache);
            leaves = matches!(op, Op::Attach);
        }
        if !leaves {
            oracle.delete_everything();
            return;
        }
        config.memory_limit = cache.memory_limit();
        known = Some(oracle.leave());
        let mut copy = Region::new(size);
        copy.bytes().copy_from_slice(region.bytes());
        region = copy;
    }
});
