//! The tables against the structures: no figure is forgotten, and none is printed twice.

use super::rows::{ADVISED, SECTIONS};
use super::*;
use crate::policy::PolicyKind;
use core::str::from_utf8;
use std::collections::BTreeSet;
use std::string::String;
use std::vec::Vec;

extern crate std;

const FORMATS: [Format; 3] = [Format::Text, Format::Json, Format::Prometheus];

/// Statistics in which each field has a number of its own. A new field has to be named here.
fn distinct_stats() -> CacheStats {
    CacheStats {
        item_count: 7001,
        hits: 7002,
        misses: 7003,
        sets: 7004,
        updates: 7005,
        deletes: 7006,
        evictions: 7007,
        expirations: 7008,
        failed_no_memory: 7009,
        failed_too_large: 7010,
        failed_exists: 7011,
        failed_type_mismatch: 7012,
        failed_buffer_too_small: 7013,
        failed_busy: 7014,
        region_bytes: 7015,
        limit_bytes: 7016,
        payload_bytes: 7017,
        free_bytes: 7018,
        overhead_bytes: 7019,
        total_allocated: 7020,
        total_used: 7021,
        peak_used: 7022,
        pool_reuses: 7023,
        arena_allocs: 7024,
        reclaim_passes: 7025,
        items_moved: 7026,
        index_rebuilds: 7027,
        index_splits: 7028,
        memory_pressure: 7029,
        page_size: 7030,
        page_count: 7031,
        pages_free: 7032,
        shards: 7033,
        policy: PolicyKind::Lru,
        views: 7034,
        reservations: 7035,
        failed_corrupt: 7036,
        dead_bytes: 7037,
        evicted_unread: 7038,
        expired_unread: 7039,
        misses_expired: 7040,
        recoveries: 7041,
    }
}

fn distinct_owner(n: u64, owner: PageOwner) -> OwnerStats {
    OwnerStats {
        owner,
        page_size: 8001 + 10 * n as usize,
        pages: 8002 + 10 * n,
        items: 8003 + 10 * n,
        live_bytes: 8004 + 10 * n,
        dead_bytes: 8005 + 10 * n,
        free_bytes: 8006 + 10 * n,
        evictions: 8007 + 10 * n,
        expirations: 8008 + 10 * n,
        oldest_age_ms: 8009 + 10 * n,
    }
}

fn distinct() -> Snapshot {
    let mut owners = [OwnerStats::default(); 4];
    for (n, owner) in PageOwner::ALL.into_iter().enumerate() {
        owners[n] = distinct_owner(n as u64, owner);
    }
    Snapshot {
        stats: distinct_stats(),
        owners,
        limits: Limits {
            shards: 7033,
            key_len_max: 9001,
            value_len_max: 9002,
            ttl_ms_max: 9003,
        },
        advice: Some(Advice {
            limit: [9011, 9012, 9013, 9014, 9015],
            hit_ppm: [9_000_021, 9_000_022, 9_000_023, 9_000_024, 9_000_025],
            sample: 9004,
            gets: 9005,
            elapsed_ms: 9006,
            gained_milli: 9007,
            lost_milli: 9008,
        }),
    }
}

fn printed(snapshot: &Snapshot, format: Format) -> String {
    let mut buffer = std::vec![0; STATS_PRINT_MAX];
    let len = snapshot.print(format, &mut buffer);
    from_utf8(&buffer[..len]).unwrap().into()
}

/// The numbers of a print, as often as they stand there, without points.
fn numbers(text: &str) -> Vec<u64> {
    let is_apart = |c: char| !c.is_ascii_alphanumeric() && c != '_' && c != '.';
    let words = text.split(is_apart).map(|word| word.replace('.', ""));
    words.filter_map(|word| word.parse().ok()).collect()
}

#[test]
fn every_field_of_every_structure_is_in_every_format_once() {
    let mut expected: Vec<u64> = (7001..=7040).chain(9001..=9008).collect();
    expected.extend((9011..=9015).chain(9_000_021..=9_000_025));
    for n in 0..4 {
        expected.extend(8001 + 10 * n..=8009 + 10 * n);
    }
    for format in FORMATS {
        let text = printed(&distinct(), format);
        for number in &expected {
            // Pages without an owner are slots that are free, too.
            let times = if *number == 8032 { 2 } else { 1 };
            let found = numbers(&text).iter().filter(|n| *n == number).count();
            assert_eq!(found, times, "{number} in {format:?}:\n{text}");
        }
    }
}

#[test]
fn percent_are_ratios_and_milliseconds_seconds_in_prometheus() {
    let text = printed(&distinct(), Format::Prometheus);
    for line in [
        "\nlarder_pressure_ratio 70.29\n",
        "\nlarder_ttl_max_seconds 9.003\n",
        "\nlarder_gets_total{result=\"hit\"} 7002\n",
        "\nlarder_owner_pages{owner=\"main\"} 8012\n",
        "\nlarder_policy 1\n",
        "\nlarder_advice_hit_ratio{times=\"1/4\"} 9.000021\n",
        "\nlarder_advice_gained_hits 9.007\n",
        "# HELP larder_gets_total Reads, by whether they found their item.\n# TYPE larder_gets_total counter\n",
        "# HELP larder_sets_total Values stored.\n",
        "# TYPE larder_bytes gauge\n",
    ] {
        assert!(text.contains(line), "{line} is not in\n{text}");
    }
    let small = Snapshot {
        stats: CacheStats {
            memory_pressure: 7,
            ..CacheStats::default()
        },
        ..distinct()
    };
    assert!(printed(&small, Format::Prometheus).contains("\nlarder_pressure_ratio 0.07\n"));
}

#[test]
fn a_metric_has_one_run_of_rows_one_help_and_one_way_of_labels() {
    let mut seen = BTreeSet::new();
    for section in SECTIONS.iter().chain(ADVISED) {
        let mut samples = BTreeSet::new();
        let mut before = "";
        for row in section.rows {
            let (name, (label, value)) = (row.metric.name, row.metric.label);
            assert!(name == before || seen.insert(name), "{name} stands apart");
            assert!(samples.insert((name, value)), "{name} {value} stands twice");
            assert!(label.is_empty() || !section.is_list(), "{name}: two labels");
            assert!(label.is_empty() || !row.metric.help.is_empty(), "{name}");
            assert!(row.help.ends_with('.'), "{}", row.help);
            let plain = |text: &str| !text.contains(['"', '\\', '\n']);
            assert!(
                [row.name, row.help, row.metric.help, name, value]
                    .into_iter()
                    .all(plain)
            );
            before = name;
        }
    }
}

#[test]
fn the_largest_counters_fit_and_a_short_buffer_tells_the_same_length() {
    let most = u64::MAX;
    let mut snapshot = distinct();
    let stats = &mut snapshot.stats;
    for field in [&mut stats.hits, &mut stats.misses, &mut stats.sets] {
        *field = most;
    }
    for format in FORMATS {
        let text = printed(&snapshot, format);
        assert!(text.contains("18446744073709551615"));
        // Every figure has 4 digits at least here, and at most 16 more, with a point 17.
        let figures: usize = SECTIONS
            .iter()
            .map(|s| s.rows.len() * s.subjects.len())
            .sum();
        assert!(
            text.len() + figures * 20 < STATS_PRINT_MAX,
            "{}",
            text.len() + figures * 20
        );
        for room in [0, 1, 100, text.len() - 1, text.len()] {
            let mut short = std::vec![0; room];
            assert_eq!(snapshot.print(format, &mut short), text.len());
            assert_eq!(
                short,
                &text.as_bytes()[..room],
                "nothing is out of its place"
            );
        }
    }
}

#[test]
fn a_cache_prints_what_it_counted_or_says_that_the_buffer_is_short() {
    #[repr(align(16))]
    struct Region([u8; 32 * 1024]);
    let mut region = Region([0; 32 * 1024]);
    let cache = Cache::new(&mut region.0, &crate::Config::default()).unwrap();
    cache.set(b"key", b"value", 0).unwrap();
    let mut buffer = [0; STATS_PRINT_MAX];
    let len = cache.print_stats(Format::Prometheus, &mut buffer).unwrap();
    let text = from_utf8(&buffer[..len]).unwrap();
    assert!(text.contains("\nlarder_sets_total 1\n") && text.contains("\nlarder_items 1\n"));
    for format in FORMATS {
        let len = cache.print_stats(format, &mut buffer).unwrap();
        let exact = cache.print_stats(format, &mut buffer[..len]);
        let short = cache.print_stats(format, &mut buffer[..len - 1]);
        assert_eq!((exact, short), (Ok(len), Err(Error::BufferTooSmall)));
    }
    assert_eq!(Format::from_code(2), Some(Format::Prometheus));
    assert_eq!(Format::from_code(3), None);
}

#[test]
fn a_cache_without_advice_prints_none() {
    let mut snapshot = distinct();
    for format in FORMATS {
        assert!(printed(&snapshot, format).contains("advice"));
    }
    snapshot.advice = None;
    for format in FORMATS {
        assert!(!printed(&snapshot, format).contains("advice"));
    }
}
