//! Damaged regions, and regions forged by an attacker who knows the layout. For any contents an attach ends, and the
//! recovered cache is sound. With checksums, every recovered item is one that was set.
//!
//! `LARDER_HOSTILE_IMAGES=1000000` tries this number of images. A failure prints the image's number;
//! `LARDER_HOSTILE_IMAGE=n` tries that image alone.

#[path = "../common/mod.rs"]
mod common;
mod damage;
mod image;
mod workout;

use common::Rng;
use image::Image;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};
use workout::Tally;

const IMAGES: u64 = 20_000;
/// Number of undamaged regions from which images are made.
const LEFT: u64 = 96;
/// An image that takes longer counts as one that never ends.
const PATIENCE: Duration = Duration::from_secs(60);

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok()?.parse().ok()
}

/// The undamaged regions. Each thread makes its own, since a configuration is not `Send`.
fn left() -> Vec<Image> {
    (0..LEFT).map(image::left_behind).collect()
}

/// Image number `n`.
fn damaged(left: &[Image], n: u64) -> (Image, Rng) {
    let mut rng = Rng::new(n << 20);
    let mut image = left[rng.below(left.len())].clone();
    for _ in 0..rng.log_uniform(1, 12) {
        damage::damage(&mut image, &mut rng);
        if image.bytes.len() < 64 {
            break;
        }
    }
    (image, rng)
}

/// Prints the image's number after a panic.
struct Trial(u64);

impl Drop for Trial {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("LARDER_HOSTILE_IMAGE={}", self.0);
        }
    }
}

fn try_one(left: &[Image], n: u64) -> Tally {
    let trial = Trial(n);
    let (image, mut rng) = damaged(left, n);
    let tally = workout::take_over(image, &mut rng);
    drop(trial);
    tally
}

/// Tries images `from`, `from + step`, .. below `to`. Stores the current image's number in `at`.
fn try_many(left: &[Image], from: u64, to: u64, step: u64, at: &AtomicUsize) -> Tally {
    let mut tally = Tally::default();
    for n in (from..to).step_by(step as usize) {
        at.store(n as usize, Ordering::Relaxed);
        tally.add(&try_one(left, n));
    }
    at.store(usize::MAX, Ordering::Relaxed);
    tally
}

/// Ends the process if a number stays the same for too long.
fn watch(at: &[AtomicUsize]) {
    let read = || {
        at.iter()
            .map(|at| at.load(Ordering::Relaxed))
            .collect::<Vec<usize>>()
    };
    let (mut seen, mut since) = (read(), vec![Instant::now(); at.len()]);
    while seen.iter().any(|&n| n != usize::MAX) {
        std::thread::sleep(Duration::from_millis(20));
        for (i, now) in read().into_iter().enumerate() {
            if now != seen[i] {
                (seen[i], since[i]) = (now, Instant::now());
            } else if now != usize::MAX && since[i].elapsed() > PATIENCE {
                eprintln!("endless: LARDER_HOSTILE_IMAGE={now}");
                std::process::abort();
            }
        }
    }
}

#[test]
fn no_image_does_harm() {
    if let Some(n) = number("LARDER_HOSTILE_IMAGE") {
        println!("{:?}", try_one(&left(), n));
        return;
    }
    let images = number("LARDER_HOSTILE_IMAGES").unwrap_or(IMAGES);
    let threads = std::thread::available_parallelism().map_or(1, |n| n.get() as u64);
    let at: Vec<AtomicUsize> = (0..threads).map(|n| AtomicUsize::new(n as usize)).collect();
    let mut tally = Tally::default();
    std::thread::scope(|scope| {
        let tries = at.iter().zip(0..).map(|(at, from)| {
            scope.spawn(move || {
                let caught =
                    std::panic::catch_unwind(|| try_many(&left(), from, images, threads, at));
                at.store(usize::MAX, Ordering::Relaxed);
                caught
            })
        });
        let tries: Vec<_> = tries.collect();
        watch(&at);
        for one in tries {
            let done = one.join().ok().and_then(|done| done.ok());
            tally.add(&done.expect("an image did harm: see above"));
        }
    });
    println!("{tally:?}");
    assert_eq!(tally.images, images);
    assert!(tally.taken_over > images / 2 && tally.recovered > images && tally.dropped > images);
}

#[test]
fn undamaged_images_are_recovered_whole() {
    let mut sum = Tally::default();
    for seed in 0..LEFT {
        let image = image::left_behind(seed);
        let tally = workout::take_back(&image, &mut Rng::new(seed));
        assert!(tally.taken_over > 0);
        sum.add(&tally);
    }
    // In the smallest regions, unreleased reservations may leave no item.
    assert!(sum.recovered > LEFT);
}
