//! Regions with any bytes: a cache's region damaged by the input, or the input itself.
#![no_main]
#![allow(dead_code)]

#[path = "../common/mod.rs"]
mod common;
#[path = "../hostile/damage.rs"]
mod damage;
#[path = "../hostile/image.rs"]
mod image;
#[path = "../hostile/workout.rs"]
mod workout;

use common::Rng;
use image::Image;
use libfuzzer_sys::fuzz_target;

/// Number of undamaged regions.
const LEFT: usize = 24;

thread_local! {
    /// Small regions, which are quicker.
    static LEFT_BEHIND: Vec<Image> = {
        let all = (0..).map(image::left_behind);
        all.filter(|image| image.bytes.len() <= 8_192).take(LEFT).collect()
    };
}

fuzz_target!(|data: &[u8]| {
    let mut rng = Rng::of_bytes(1, data);
    let number = rng.below(LEFT);
    let mut image = LEFT_BEHIND.with(|left| left[number].clone());
    if rng.one_in(4) {
        // The input's bytes overwrite a place after the stamp: without the stamp no attach succeeds.
        let from = data.get(3..).unwrap_or(&[]);
        let at = (rng.below(1 << 16) + 24) % image.bytes.len();
        let len = from.len().min(image.bytes.len() - at);
        image.bytes[at..at + len].copy_from_slice(&from[..len]);
    } else {
        while !rng.is_spent() && image.bytes.len() >= 64 {
            damage::damage(&mut image, &mut rng);
        }
    }
    let mut calls = Rng::new(data.len() as u64);
    workout::take_over(image, &mut calls);
});
