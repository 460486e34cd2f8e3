//! The options on the command line and in the environment.

use crate::contender::{BASELINE, Contender};
use crate::grid::Size;
use crate::replay::LarderOptions;
use crate::trace::files_in;
use clap::{Arg, ArgAction, ArgMatches, Command, value_parser};
use std::path::PathBuf;

/// The environment variable with the directory of the default traces.
const DIRECTORY: &str = "LARDER_TRACES";
const QUICK_REQUESTS: usize = 2_000_000;

pub(crate) struct Options {
    /// Traces; if empty, generated workloads.
    pub(crate) files: Vec<PathBuf>,
    pub(crate) contenders: Vec<Contender>,
    pub(crate) sizes: Vec<Size>,
    /// Whether the advice on the limit is compared.
    pub(crate) advice: bool,
    /// Bytes; none: the comparison with other policies.
    pub(crate) regions: Vec<usize>,
    pub(crate) larder: LarderOptions,
    pub(crate) csv: Option<PathBuf>,
    pub(crate) svg: Option<PathBuf>,
    pub(crate) jobs: usize,
    pub(crate) requests_max: usize,
}

fn option(name: &'static str, what: &'static str, help: &'static str) -> Arg {
    Arg::new(name).long(name).value_name(what).help(help)
}

fn number(name: &'static str, default: &'static str, help: &'static str) -> Arg {
    option(name, "N", help)
        .default_value(default)
        .value_parser(value_parser!(u32))
}

fn list(name: &'static str, what: &'static str, help: &'static str) -> Arg {
    option(name, what, help).value_delimiter(',')
}

fn command() -> Command {
    Command::new("hitratio")
        .about("Hit ratios of larder and of published policies over access traces")
        .after_help(
            "FILES end in .ids, .csv, .ids.zst or .csv.zst. Without any: all in the directory that\n\
             LARDER_TRACES names; without that: generated workloads.",
        )
        .arg(
            Arg::new("files")
                .num_args(0..)
                .value_parser(value_parser!(PathBuf)),
        )
        .arg(
            list("policies", "NAMES", "Which to run, besides lru and optimum")
                .value_parser(parse_contender),
        )
        .arg(
            list("sizes", "SIZES", "Cache sizes: items, or % of the distinct keys")
                .default_value("64,0.1%,1%,10%")
                .value_parser(parse_size),
        )
        .arg(
            list("regions", "KIB", "Print what larder hits in such regions, and nothing else")
                .value_parser(value_parser!(u32)),
        )
        .arg(flag("advice").help("Compare the advice on the limit with what such limits hit"))
        .arg(number("value", "8", "Bytes of a value, where traces tell no sizes"))
        .arg(number("seed", "0", "Seed of larder's hash"))
        .arg(number("jobs", "2", "Threads"))
        .arg(path("csv", "FILE", "Write every hit ratio to a file"))
        .arg(path("svg", "DIR", "Write a plot for each trace to a directory"))
        .arg(flag("quick").help("Leave out traces of more than 2 million requests"))
        // Cargo passes this argument to every benchmark.
        .arg(flag("bench").hide(true))
}

fn path(name: &'static str, what: &'static str, help: &'static str) -> Arg {
    option(name, what, help).value_parser(value_parser!(PathBuf))
}

fn flag(name: &'static str) -> Arg {
    Arg::new(name).long(name).action(ArgAction::SetTrue)
}

fn parse_contender(name: &str) -> Result<Contender, String> {
    Contender::from_name(name).ok_or_else(|| {
        let names: Vec<_> = Contender::all().iter().map(|one| one.name()).collect();
        format!("the policies are {}", names.join(", "))
    })
}

fn parse_size(text: &str) -> Result<Size, String> {
    let size = match text.strip_suffix('%') {
        Some(percent) => percent.parse().ok().map(|n: f64| Size::Share(n / 100.0)),
        None => text.parse().ok().filter(|&n| n >= 2).map(Size::Items),
    };
    size.ok_or_else(|| "a size is a number of items, at least 2, or a percentage".to_owned())
}

/// The named contenders, LRU and the optimum, in the order of the list.
fn contenders(named: &[Contender]) -> Vec<Contender> {
    let needed = [BASELINE, Contender::Optimum];
    let mut all = Contender::all();
    all.retain(|one| named.is_empty() || named.contains(one) || needed.contains(one));
    all
}

fn files(named: Vec<PathBuf>) -> Result<Vec<PathBuf>, String> {
    let directory = std::env::var_os(DIRECTORY).filter(|name| !name.is_empty());
    match directory.map(PathBuf::from) {
        Some(directory) if named.is_empty() => {
            files_in(&directory).map_err(|error| format!("{}: {error}", directory.display()))
        }
        _ => Ok(named),
    }
}

impl Options {
    pub(crate) fn parse() -> Result<Self, String> {
        Self::from_matches(command().get_matches())
    }

    fn from_matches(mut found: ArgMatches) -> Result<Self, String> {
        let number = |name| found.get_one::<u32>(name).copied().unwrap_or(0) as usize;
        let larder = LarderOptions {
            value_len: number("value"),
            seed: number("seed") as u64,
        };
        let jobs = number("jobs").max(1);
        let quick = found.get_flag("quick");
        let advice = found.get_flag("advice");
        let regions: Vec<u32> = many(&mut found, "regions");
        Ok(Self {
            files: files(many(&mut found, "files"))?,
            contenders: contenders(&many(&mut found, "policies")),
            sizes: many(&mut found, "sizes"),
            regions: regions.iter().map(|&kib| (kib as usize) << 10).collect(),
            advice,
            larder,
            csv: found.remove_one("csv"),
            svg: found.remove_one("svg"),
            jobs,
            requests_max: if quick { QUICK_REQUESTS } else { usize::MAX },
        })
    }
}

fn many<T: Clone + Send + Sync + 'static>(found: &mut ArgMatches, name: &str) -> Vec<T> {
    let values = found.remove_many(name);
    values.map(Iterator::collect).unwrap_or_default()
}
