//! How far the advice on the limit is from what larder hits with such a limit.
//!
//! A cell is a trace, a region and a policy. The cache is asked at the end of a replay; the same requests are replayed
//! in regions of 1/4, 1/2, 2 and 4 times the size. Where a trace tells no sizes, lengths are as for `--regions`.

use crate::bytes::run_larder;
use crate::cache::{Policy, Setup};
use crate::grid::in_parallel;
use crate::options::Options;
use crate::regions::request;
use crate::trace::{Request, SizedTrace, Trace};

const REGIONS: [usize; 4] = [288 << 10, 1 << 20, 4 << 20, 16 << 20];
const QUARTERS: [usize; 5] = [1, 2, 4, 8, 16];
const POLICIES: [(Policy, &str); 2] = [(Policy::Default, "larder"), (Policy::Lru, "larder-lru")];

/// Points by which the prediction for each of [`QUARTERS`] is off.
pub(crate) struct Errors {
    policy: usize,
    sized: bool,
    points: [f64; QUARTERS.len()],
}

pub(crate) fn run(trace: &Trace, options: &Options) -> Vec<Errors> {
    let footprint = (0..trace.keys as u32).map(|id| request(id).bytes()).sum();
    let requests = trace.ids.iter().map(|&id| request(id));
    run_each(&trace.name, requests, footprint, (options, false))
}

pub(crate) fn run_sized(trace: &SizedTrace, options: &Options) -> Vec<Errors> {
    let name = format!("{} (sizes)", trace.name);
    let requests = trace.requests.iter().copied();
    run_each(&name, requests, trace.footprint(), (options, true))
}

fn run_each(
    name: &str,
    requests: impl Iterator<Item = Request> + Clone + Sync,
    footprint: u64,
    (options, sized): (&Options, bool),
) -> Vec<Errors> {
    let regions: Vec<_> = REGIONS
        .into_iter()
        .filter(|&size| (size as u64) < footprint)
        .collect();
    let each = POLICIES.len() * QUARTERS.len();
    let runs = in_parallel(options.jobs, regions.len() * each, |job| {
        let (region, job) = (regions[job / each], job % each);
        let setup = Setup {
            policy: POLICIES[job / QUARTERS.len()].0,
            seed: options.larder.seed,
        };
        let size = region / 4 * QUARTERS[job % QUARTERS.len()];
        let (tally, cache) = run_larder(&setup, requests.clone(), size);
        (100.0 * (1.0 - tally.miss_ratio()), cache.advise())
    });
    let mut all = Vec::new();
    for (i, cell) in runs.chunks(QUARTERS.len()).enumerate() {
        let Some(advised) = cell[2].1 else { continue };
        let policy = i % POLICIES.len();
        let mut points = [0.0; QUARTERS.len()];
        for (points, (advised, (hit, _))) in points.iter_mut().zip(advised.iter().zip(cell)) {
            *points = f64::from(*advised) / 10_000.0 - hit;
        }
        let hits: Vec<_> = cell.iter().map(|(hit, _)| format!("{hit:6.2}")).collect();
        let errors: Vec<_> = points
            .iter()
            .map(|points| format!("{points:+6.2}"))
            .collect();
        println!(
            "{:>6} KiB  {name:<26} {:<11} {}   {}",
            regions[i / POLICIES.len()] >> 10,
            POLICIES[policy].1,
            hits.join(" "),
            errors.join(" ")
        );
        all.push(Errors {
            policy,
            sized,
            points,
        });
    }
    all
}

/// Mean and largest errors.
pub(crate) fn print_summary(all: &[Errors]) {
    println!(
        "\n| | cells | all four: mean | largest | 1/2 and 2 x: mean | largest |\n|---|---|---|---|---|---|"
    );
    for (policy, (_, name)) in POLICIES.iter().enumerate() {
        for (sized, what) in [(false, "no sizes"), (true, "sizes")] {
            let of = |limits: &[usize]| {
                let cells = all
                    .iter()
                    .filter(|one| one.policy == policy && one.sized == sized);
                let errors = cells.flat_map(|one| limits.iter().map(|&i| one.points[i].abs()));
                let errors: Vec<f64> = errors.collect();
                let mean = errors.iter().sum::<f64>() / errors.len().max(1) as f64;
                (
                    errors.len() / limits.len(),
                    mean,
                    errors.iter().copied().fold(0.0, f64::max),
                )
            };
            let ((count, mean, most), (_, near, near_most)) = (of(&[0, 1, 3, 4]), of(&[1, 3]));
            if count > 0 {
                println!(
                    "| {name}, {what} | {count} | {mean:.2} | {most:.2} | {near:.2} | {near_most:.2} |"
                );
            }
        }
    }
}
