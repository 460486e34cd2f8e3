//! Shortens a failing program to a short one that still fails.
//!
//! # Source
//! Delta debugging: A. Zeller, ESEC/FSE 1999.

use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind, set_hook, take_hook};
use std::sync::Once;
use std::time::{Duration, Instant};

thread_local! {
    static QUIET: Cell<bool> = const { Cell::new(false) };
}

/// Whether failures of this thread are expected.
pub(crate) fn is_quiet() -> bool {
    QUIET.get()
}

/// Whether a run fails. Its output is suppressed.
pub(crate) fn fails_quietly(run: impl FnOnce()) -> bool {
    static HOOK: Once = Once::new();
    HOOK.call_once(|| {
        let loud = take_hook();
        set_hook(Box::new(move |info| {
            if !is_quiet() {
                loud(info);
            }
        }));
    });
    QUIET.set(true);
    let failed = catch_unwind(AssertUnwindSafe(run)).is_err();
    QUIET.set(false);
    failed
}

/// Leaves out runs of operations, shorter and shorter ones, as long as the program fails without them.
pub(crate) fn shortest<T: Clone>(
    mut program: Vec<T>,
    patience: Duration,
    fails: impl Fn(&[T]) -> bool,
) -> Vec<T> {
    let start = Instant::now();
    let mut run = program.len().div_ceil(2);
    while run > 0 && start.elapsed() < patience {
        let (mut at, before) = (0, program.len());
        while at < program.len() && start.elapsed() < patience {
            let end = (at + run).min(program.len());
            let shorter = [&program[..at], &program[end..]].concat();
            if fails(&shorter) {
                program = shorter;
            } else {
                at = end;
            }
        }
        // Single operations are tried again until all are needed.
        run = if run == 1 && program.len() < before {
            1
        } else {
            run / 2
        };
    }
    program
}

#[test]
fn operations_without_effect_on_the_failure_are_left_out() {
    let program: Vec<u32> = (0..10_000).collect();
    let fails = |program: &[u32]| {
        let needed = [17, 4_000, 4_001, 9_999];
        fails_quietly(|| assert!(!needed.iter().all(|n| program.contains(n))))
    };
    let short = shortest(program, Duration::from_secs(60), fails);
    assert_eq!(short, [17, 4_000, 4_001, 9_999]);
}
