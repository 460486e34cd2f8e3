//! What a cache itself predicts for other limits.

use larder::Cache;

/// Bytes and hit ratio at 1/4, 1/2, 1, 2 and 4 times the limit.
pub(crate) type Advice = [(f64, f64); 5];

/// `None` where the cache is too small to say, or has seen too few gets.
pub(crate) fn advice(cache: &Cache<'_>) -> Option<Advice> {
    let advice = cache.advise().ok()?;
    let at = |n: usize| (advice.limit[n] as f64, f64::from(advice.hit_ppm[n]) / 1e6);
    Some(std::array::from_fn(at))
}
