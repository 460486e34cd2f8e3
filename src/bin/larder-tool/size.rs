//! The bytes in which a cache holds items, none evicted.

use crate::trace::{Lengths, Trace};
use crate::{Result, bytes};
use clap::Args;
use clap::builder::RangedI64ValueParser;
use larder::{Cache, Config, PolicyKind};
use std::path::PathBuf;

#[derive(Args)]
pub(crate) struct SizeArguments {
    /// Items
    #[arg(long, value_name = "N", required_unless_present = "trace", value_parser = bytes::parse)]
    items: Option<usize>,
    /// Bytes of a key
    #[arg(long, value_name = "BYTES", required_unless_present = "trace", value_parser = bytes::parse)]
    key: Option<usize>,
    /// Bytes of a value
    #[arg(long, value_name = "BYTES", required_unless_present = "trace", value_parser = bytes::parse)]
    value: Option<usize>,
    /// Take items and mean lengths from a trace or a dump
    #[arg(long, value_name = "FILE", conflicts_with_all = ["items", "key", "value"])]
    trace: Option<PathBuf>,
    /// Parts of the cache with a lock each
    #[arg(long, value_name = "N", default_value = "1", value_parser = shard_counts())]
    shards: u32,
    /// Evict by exact LRU
    #[arg(long)]
    lru: bool,
}

fn shard_counts() -> RangedI64ValueParser<u32> {
    clap::value_parser!(u32).range(1..=i64::from(larder::SHARDS_MAX))
}

/// Items, and the lengths of each.
struct Items {
    count: usize,
    key: usize,
    value: usize,
}

impl SizeArguments {
    fn items(&self) -> Result<Items> {
        if let Some(path) = &self.trace {
            let trace = Trace::read(
                path,
                None,
                Lengths {
                    key: 16,
                    value: 100,
                },
            )?;
            let (key, value) = trace.mean_lengths();
            let count = trace.keys;
            return Ok(Items { count, key, value });
        }
        Ok(Items {
            count: self.items.unwrap_or(0),
            key: self.key.unwrap_or(0),
            value: self.value.unwrap_or(0),
        })
    }
}

pub(crate) fn print(arguments: &SizeArguments) -> Result<()> {
    let Items { count, key, value } = arguments.items()?;
    if count == 0 || !(1..=larder::KEY_LEN_MAX).contains(&key) {
        return Err("a size needs at least one item, and a key of 1 to 255 bytes".into());
    }
    let mut config = Config::default();
    config.shards = arguments.shards;
    if arguments.lru {
        config.policy = PolicyKind::Lru;
    }
    let required = Cache::required_size(&config, count as u64, key, value);
    let required = required.map_err(|error| format!("no region holds that: {error}"))?;
    let payload = count as f64 * (key + value) as f64;
    let (all, each) = (required as f64, required as f64 / count as f64);
    println!("items      {count}, each a key of {key} bytes and a value of {value}");
    println!("memory     {required} bytes ({})", bytes::show(all));
    println!(
        "each item  {each:.1} bytes, of which {:.1} are larder's",
        each - (key + value) as f64
    );
    println!(
        "payload    {:.1}% of the memory are keys and values",
        100.0 * payload / all
    );
    Ok(())
}
