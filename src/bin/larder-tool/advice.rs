//! What a cache itself predicts for other limits.

use larder::Cache;

/// Bytes and hit ratio at 1/4, 1/2, 1, 2 and 4 times the limit; `None` where the cache does not say.
pub(crate) type Advice = [(f64, f64); 5];

pub(crate) fn advice(_cache: &Cache<'_>) -> Option<Advice> {
    None
}
