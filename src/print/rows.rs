//! Every figure that is printed: its name, its help, its metric in Prometheus, and where its value is.
//!
//! Names are those of the C structures' fields. Rows of one metric stand side by side. A metric whose name ends with
//! `_total` is a counter, any other a gauge.

use crate::limits::Limits;
use crate::policy::Advice;
use crate::stats::{CacheStats, OwnerStats, PageOwner};

/// Rows with a heading in common.
pub(super) struct Section {
    pub(super) name: &'static str,
    /// One for each set of figures; a section that has one set alone names none.
    pub(super) subjects: &'static [&'static str],
    /// The label in Prometheus that tells the subjects apart.
    pub(super) label: &'static str,
    pub(super) rows: &'static [Row],
}

impl Section {
    pub(super) fn is_list(&self) -> bool {
        !self.label.is_empty()
    }
}

pub(super) struct Row {
    pub(super) name: &'static str,
    pub(super) help: &'static str,
    pub(super) metric: Metric,
    pub(super) value: Value,
}

/// A metric of Prometheus, without the `larder_` before its name.
pub(super) struct Metric {
    pub(super) name: &'static str,
    pub(super) label: (&'static str, &'static str),
    /// For a metric of several rows; where it is empty, the row's own help is the metric's.
    pub(super) help: &'static str,
    /// Digits behind the point: percent become ratios, milliseconds seconds.
    pub(super) decimals: usize,
}

pub(super) enum Value {
    Stats(fn(&CacheStats) -> u64),
    Owner(fn(&OwnerStats) -> u64),
    Limit(fn(&Limits) -> u64),
    /// Of one of the limits that are advised on, counted from 0.
    Advice(fn(&Advice, usize) -> u64),
}

/// What is printed of every cache, in this order. A further section has a `Value` of its own.
pub(super) const SECTIONS: &[Section] = &[
    Section {
        name: "stats",
        subjects: &[""],
        label: "",
        rows: STATS,
    },
    Section {
        name: "owners",
        subjects: &["window", "main", "index", "free"],
        label: "owner",
        rows: OWNERS,
    },
    Section {
        name: "limits",
        subjects: &[""],
        label: "",
        rows: LIMITS,
    },
];

/// What is printed behind them of a cache that gives advice.
pub(super) const ADVISED: &[Section] = &[
    Section {
        name: "advice",
        subjects: &[""],
        label: "",
        rows: ADVICE,
    },
    Section {
        name: "advice_at",
        subjects: &["1/4", "1/2", "1", "2", "4"],
        label: "times",
        rows: ADVICE_AT,
    },
];

const fn metric(name: &'static str) -> Metric {
    Metric {
        name,
        label: ("", ""),
        help: "",
        decimals: 0,
    }
}

const fn gets(result: &'static str) -> Metric {
    Metric {
        label: ("result", result),
        help: "Reads, by whether they found their item.",
        ..metric("gets_total")
    }
}

const fn failures(reason: &'static str) -> Metric {
    Metric {
        label: ("reason", reason),
        help: "Calls that failed, by their reason.",
        ..metric("failures_total")
    }
}

const fn bytes(kind: &'static str) -> Metric {
    Metric {
        label: ("kind", kind),
        help: "Bytes of the region, by what they hold. The kinds add up to the region.",
        ..metric("bytes")
    }
}

const fn ratio(name: &'static str, help: &'static str) -> Metric {
    Metric {
        decimals: 2,
        help,
        ..metric(name)
    }
}

const fn millionths(name: &'static str, help: &'static str) -> Metric {
    Metric {
        decimals: 6,
        help,
        ..metric(name)
    }
}

/// Thousandths of it.
const fn milli(name: &'static str, help: &'static str) -> Metric {
    Metric {
        decimals: 3,
        help,
        ..metric(name)
    }
}

const fn seconds(name: &'static str, help: &'static str) -> Metric {
    milli(name, help)
}

const fn stats(
    name: &'static str,
    metric: Metric,
    value: fn(&CacheStats) -> u64,
    help: &'static str,
) -> Row {
    Row {
        name,
        help,
        metric,
        value: Value::Stats(value),
    }
}

const fn owner(
    name: &'static str,
    metric: Metric,
    value: fn(&OwnerStats) -> u64,
    help: &'static str,
) -> Row {
    Row {
        name,
        help,
        metric,
        value: Value::Owner(value),
    }
}

const fn limit(
    name: &'static str,
    metric: Metric,
    value: fn(&Limits) -> u64,
    help: &'static str,
) -> Row {
    Row {
        name,
        help,
        metric,
        value: Value::Limit(value),
    }
}

const fn advice(
    name: &'static str,
    metric: Metric,
    value: fn(&Advice, usize) -> u64,
    help: &'static str,
) -> Row {
    Row {
        name,
        help,
        metric,
        value: Value::Advice(value),
    }
}

#[rustfmt::skip]
const STATS: &[Row] = &[
    stats("item_count", metric("items"), |s| s.item_count,
        "Items held, expired ones that were not met yet included."),
    stats("hits", gets("hit"), |s| s.hits,
        "Reads that found their item."),
    stats("misses", gets("miss"), |s| s.misses,
        "Reads that found none."),
    stats("sets", metric("sets_total"), |s| s.sets,
        "Values stored."),
    stats("updates", metric("updates_total"), |s| s.updates,
        "Values stored that replaced another value."),
    stats("deletes", metric("deletes_total"), |s| s.deletes,
        "Items deleted by the caller."),
    stats("evictions", metric("evictions_total"), |s| s.evictions,
        "Items evicted to make room."),
    stats("expirations", metric("expirations_total"), |s| s.expirations,
        "Items taken out because their time was over."),
    stats("evicted_unread", metric("evictions_unread_total"), |s| s.evicted_unread,
        "Evicted items that no caller had read."),
    stats("expired_unread", metric("expirations_unread_total"), |s| s.expired_unread,
        "Expired items that no caller had read."),
    stats("misses_expired", metric("misses_expired_total"), |s| s.misses_expired,
        "Misses that found an expired item of their key."),
    stats("recoveries", metric("recoveries_total"), |s| s.recoveries,
        "Shards recovered after the death of a process in mid-call."),
    stats("failed_no_memory", failures("no_memory"), |s| s.failed_no_memory,
        "Calls that failed for want of memory."),
    stats("failed_too_large", failures("too_large"), |s| s.failed_too_large,
        "Keys and values that the limit can never hold."),
    stats("failed_exists", failures("exists"), |s| s.failed_exists,
        "Adds that found an item."),
    stats("failed_type_mismatch", failures("type_mismatch"), |s| s.failed_type_mismatch,
        "Typed calls on a value of another type."),
    stats("failed_buffer_too_small", failures("buffer_too_small"), |s| s.failed_buffer_too_small,
        "Reads into a buffer that was too short."),
    stats("failed_busy", failures("busy"), |s| s.failed_busy,
        "Calls turned away because the cache was busy."),
    stats("failed_corrupt", failures("corrupt"), |s| s.failed_corrupt,
        "Reads of an item that its checksum did not fit."),
    stats("region_bytes", metric("region_bytes"), |s| s.region_bytes,
        "Bytes given by the caller."),
    stats("limit_bytes", metric("limit_bytes"), |s| s.limit_bytes,
        "The memory limit in bytes."),
    stats("payload_bytes", bytes("payload"), |s| s.payload_bytes,
        "Bytes of keys and values."),
    stats("free_bytes", bytes("free"), |s| s.free_bytes,
        "Bytes that items could still take, dead ones included."),
    stats("overhead_bytes", bytes("overhead"), |s| s.overhead_bytes,
        "Bytes of headers, index, tables and rounding."),
    stats("dead_bytes", metric("dead_bytes"), |s| s.dead_bytes,
        "Free bytes in pages that hold items: of items that are gone, and page ends."),
    stats("total_allocated", metric("allocated_bytes"), |s| s.total_allocated,
        "Bytes cut from the region so far."),
    stats("total_used", metric("used_bytes"), |s| s.total_used,
        "Bytes taken, which the limit bounds."),
    stats("peak_used", metric("used_peak_bytes"), |s| s.peak_used,
        "The most bytes ever taken: the sum of each shard's."),
    stats("pool_reuses", metric("page_reuses_total"), |s| s.pool_reuses,
        "Pages taken whose bytes had been used before."),
    stats("arena_allocs", metric("region_cuts_total"), |s| s.arena_allocs,
        "Cuts made from the region: tables and pages."),
    stats("reclaim_passes", metric("optimize_passes_total"), |s| s.reclaim_passes,
        "Optimize passes that reached their end."),
    stats("items_moved", metric("items_moved_total"), |s| s.items_moved,
        "Items copied to other pages."),
    stats("index_rebuilds", metric("index_rebuilds_total"), |s| s.index_rebuilds,
        "Index segments written anew."),
    stats("index_splits", metric("index_splits_total"), |s| s.index_splits,
        "Index segments split in two."),
    stats("memory_pressure", ratio("pressure_ratio",
        "Bytes taken as a part of the limit, rounded down to a hundredth."), |s| s.memory_pressure.into(),
        "Bytes taken in percent of the limit, rounded down."),
    stats("page_size", metric("page_bytes"), |s| s.page_size.into(),
        "Bytes of a page."),
    stats("page_count", metric("pages"), |s| s.page_count.into(),
        "Pages of the region."),
    stats("pages_free", metric("pages_free"), |s| s.pages_free.into(),
        "Pages without an owner."),
    stats("shards", metric("shards"), |s| s.shards.into(),
        "Parts of the cache with a lock each."),
    stats("policy", metric("policy"), |s| s.policy as u64,
        "The eviction policy: 0 is the library's choice, 1 exact LRU."),
    stats("views", metric("views"), |s| s.views.into(),
        "Views held."),
    stats("reservations", metric("reservations"), |s| s.reservations.into(),
        "Reservations held."),
];

/// A page has one slot, so the fields that count slots of pages, and those of pools alone, are not printed.
#[rustfmt::skip]
const OWNERS: &[Row] = &[
    owner("slot_size", metric("owner_page_bytes"), |o| o.page_size as u64,
        "Bytes of a page."),
    owner("pages", metric("owner_pages"), |o| o.pages,
        "Pages that the owner has."),
    owner("slots_used", metric("owner_items"), |o| o.items,
        "Items and reservations in these pages."),
    owner("slots_free", metric("owner_pages_free"), |o| if o.owner == PageOwner::Free { o.pages } else { 0 },
        "Pages without an owner."),
    owner("live_bytes", metric("owner_live_bytes"), |o| o.live_bytes,
        "Bytes in which something lives, headers included."),
    owner("free_bytes", metric("owner_free_bytes"), |o| o.free_bytes,
        "Bytes not used yet."),
    owner("waste_bytes", metric("owner_dead_bytes"), |o| o.dead_bytes,
        "Bytes of items that are gone, and page ends."),
    owner("evictions", metric("owner_evictions_total"), |o| o.evictions,
        "Items evicted from these pages."),
    owner("expirations", metric("owner_expirations_total"), |o| o.expirations,
        "Items that expired in these pages."),
    owner("oldest_age_ms", seconds("owner_oldest_age_seconds",
        "Seconds since the item at the log's tail was set, where the cache keeps set times."), |o| o.oldest_age_ms,
        "Milliseconds since the item at the log's tail was set, where the cache keeps set times."),
];

/// The number of shards is printed with the statistics.
#[rustfmt::skip]
const LIMITS: &[Row] = &[
    limit("key_len_max", metric("key_max_bytes"), |l| l.key_len_max as u64,
        "Longest key in bytes."),
    limit("value_len_max", metric("value_max_bytes"), |l| l.value_len_max as u64,
        "Longest value in bytes."),
    limit("ttl_ms_max", seconds("ttl_max_seconds", "Longest time to live in seconds."), |l| l.ttl_ms_max,
        "Longest time to live in milliseconds."),
];

#[rustfmt::skip]
const ADVICE: &[Row] = &[
    advice("sample", metric("advice_sample_keys"), |a, _| a.sample.into(),
        "Of how many keys one is simulated."),
    advice("gets", metric("advice_gets"), |a, _| a.gets,
        "Gets since the limit was set."),
    advice("elapsed_ms", seconds("advice_elapsed_seconds", "Seconds in which these gets were made."),
        |a, _| a.elapsed_ms,
        "Milliseconds in which these gets were made."),
    advice("gained_milli", milli("advice_gained_hits", "Hits a second that each MiB more would bring."),
        |a, _| a.gained_milli,
        "Thousandths of a hit a second that each MiB more would bring."),
    advice("lost_milli", milli("advice_lost_hits", "Hits a second that each MiB less would cost."),
        |a, _| a.lost_milli,
        "Thousandths of a hit a second that each MiB less would cost."),
];

#[rustfmt::skip]
const ADVICE_AT: &[Row] = &[
    advice("limit", metric("advice_limit_bytes"), |a, at| a.limit.get(at).copied().unwrap_or(0),
        "This many times the limit, in bytes."),
    advice("hit_ppm", millionths("advice_hit_ratio", "Hits, as a part of the gets, that this limit would bring."),
        |a, at| a.hit_ppm.get(at).copied().unwrap_or(0).into(),
        "Hits in a million gets that this limit would bring."),
];
