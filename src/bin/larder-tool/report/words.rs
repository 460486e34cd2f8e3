//! What a report says in sentences.

use super::Report;
use crate::bytes::show;

/// More memory is worth nothing where it brings fewer points than this.
const WORTH: f64 = 1.0;

/// The advice: what this memory brings, what more or less would, from where on more is not worth it.
pub(super) fn advice(report: &Report) -> Vec<String> {
    let now = 100.0 * report.outcome.hit_ratio();
    let memory = report.memory as f64;
    let mut text = vec![format!("In {}, {now:.1}% of gets hit.", show(memory))];
    if let Some(more) = ratio_at(report, 2.0 * memory) {
        let gain = more - now;
        text.push(format!(
            "Twice the memory would bring {gain:.1} points more."
        ));
    }
    if let Some(less) = ratio_at(report, memory / 2.0) {
        text.push(format!("Half of it would cost {:.1} points.", now - less));
    }
    let points = &report.curve.points;
    let last = &points[points.len() - 1];
    let is_near = |ratio: f64| 100.0 * last.larder - ratio < WORTH;
    let enough = points.iter().find(|point| is_near(100.0 * point.larder));
    let enough = enough.map_or(last.memory, |point| point.memory);
    if enough == last.memory {
        text.push(format!("The curve still rises at {}.", show(enough as f64)));
    } else if is_near(now) {
        text.push("More memory brings less than a point.".to_owned());
    } else {
        let enough = show(enough as f64);
        text.push(format!("More than {enough} brings less than a point."));
    }
    text.extend(predicted(report));
    text
}

/// What a cache of the curve said itself about twice its limit.
fn predicted(report: &Report) -> Option<String> {
    let (at, advice) = report.curve.advice()?;
    let (memory, ratio) = advice[3];
    Some(format!(
        "From its own sample, a cache of {} predicts {:.1}% in {}.",
        show(report.curve.points[at].memory as f64),
        100.0 * ratio,
        show(memory)
    ))
}

/// The measured hit ratio in percent, between points of the curve in proportion to doublings; `None` outside.
fn ratio_at(report: &Report, memory: f64) -> Option<f64> {
    let pairs = report.curve.points.windows(2);
    let mut pairs = pairs.map(|pair| (&pair[0], &pair[1]));
    let (low, high) = pairs.find(|(low, high)| {
        low.memory as f64 * 0.999 <= memory && memory <= high.memory as f64 * 1.001
    })?;
    let doublings = |a: f64, b: usize| (a / b as f64).log2();
    let share = doublings(memory, low.memory) / doublings(high.memory as f64, low.memory);
    Some(100.0 * (low.larder + share * (high.larder - low.larder)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::curve::{Curve, Point};
    use crate::replay::Outcome;

    fn report(memory: usize, hits: u64, ratios: &[f64]) -> Report {
        let points = ratios.iter().enumerate().map(|(at, &larder)| Point {
            memory: 1024 << at,
            larder,
            lru: 0.0,
            optimum: 1.0,
            advice: None,
        });
        Report {
            curve: Curve {
                name: String::new(),
                points: points.collect(),
                is_of_one_size: true,
            },
            requests: 100,
            keys: 1,
            memory,
            outcome: Outcome {
                gets: 100,
                hits,
                ..Outcome::default()
            },
            looks: Vec::new(),
            owners: Vec::new(),
        }
    }

    #[test]
    fn the_advice_is_what_the_curve_shows() {
        let said = advice(&report(2048, 40, &[0.1, 0.4, 0.6, 0.7, 0.705]));
        let right = [
            "In 2 KiB, 40.0% of gets hit.",
            "Twice the memory would bring 20.0 points more.",
            "Half of it would cost 30.0 points.",
            "More than 8 KiB brings less than a point.",
        ];
        assert_eq!(said, right);
    }

    #[test]
    fn outside_the_curve_there_is_no_guess() {
        let said = advice(&report(2048, 60, &[0.4, 0.6]));
        let right = [
            "In 2 KiB, 60.0% of gets hit.",
            "Half of it would cost 20.0 points.",
            "The curve still rises at 2 KiB.",
        ];
        assert_eq!(said, right);
        let said = advice(&report(4096, 60, &[0.4, 0.6, 0.6, 0.6]));
        assert_eq!(said[3], "More memory brings less than a point.");
    }

    #[test]
    fn what_a_cache_predicted_is_said() {
        let mut report = report(2048, 40, &[0.1, 0.4, 0.6]);
        assert_eq!(predicted(&report), None);
        let said = [0.1, 0.2, 0.4, 0.55, 0.6].map(|ratio| (4096.0, ratio));
        report.curve.points[1].advice = Some(said);
        let right = "From its own sample, a cache of 2 KiB predicts 55.0% in 4 KiB.";
        assert_eq!(advice(&report).last().unwrap(), right);
    }

    #[test]
    fn between_points_doublings_count() {
        let between = ratio_at(&report(1024, 0, &[0.2, 0.4]), 1024.0 * 2f64.sqrt()).unwrap();
        assert!((between - 30.0).abs() < 1e-9, "{between}");
    }
}
