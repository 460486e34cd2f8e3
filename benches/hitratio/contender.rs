//! The contenders whose hits are counted.

use crate::cache::Policy;
use crate::reference::{Kind, optimum_hits};
use crate::replay::{Held, LarderOptions, run_larder};
use crate::trace::Trace;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Contender {
    Reference(Kind),
    Optimum,
    Larder(Policy),
}

/// The contender that all others are compared with.
pub(crate) const BASELINE: Contender = Contender::Reference(Kind::Lru);

/// The result of a contender for a trace and a number of items.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Score {
    pub(crate) hits: u64,
    /// The items of a larder.
    pub(crate) held: Option<Held>,
}

impl Contender {
    pub(crate) fn all() -> Vec<Self> {
        let references = Kind::ALL.map(Self::Reference);
        let rest = [
            Self::Optimum,
            Self::Larder(Policy::Default),
            Self::Larder(Policy::Lru),
        ];
        [&references[..], &rest].concat()
    }

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Reference(kind) => kind.name(),
            Self::Optimum => "optimum",
            Self::Larder(Policy::Default) => "larder",
            Self::Larder(Policy::Lru) => "larder-lru",
        }
    }

    pub(crate) fn from_name(name: &str) -> Option<Self> {
        Self::all().into_iter().find(|one| one.name() == name)
    }

    pub(crate) fn run(self, trace: &Trace, items: usize, options: &LarderOptions) -> Score {
        let hits = match self {
            Self::Reference(kind) => kind.hits(&trace.ids, trace.keys, items),
            Self::Optimum => optimum_hits(&trace.ids, trace.keys, items),
            Self::Larder(policy) => return run_larder(policy, trace, items, options),
        };
        Score { hits, held: None }
    }
}
