//! A dump of memcached's keys, as `lru_crawler metadump all` prints it:
//!
//! ```text
//! key=user%3A7 exp=-1 la=1700000000 cas=12 fetch=yes cls=3 size=96 flags=0
//! ```
//!
//! Each line is a set of that item at the time of its last access; the least recent is the first.

use super::{Lines, Numbers, Op, Request, Result, key_len};
use std::io::BufRead;

/// What memcached counts in `size` besides key and value: a header, the CAS, a NUL, a line end.
const OVERHEAD: u64 = 48 + 8 + 1 + 2;
const EXPECTED: &str = "key=.. exp=.. la=.. cas=.. fetch=.. cls=.. size=..";

pub(super) fn read(mut lines: Lines<'_, impl BufRead>) -> Result<(Vec<Request>, usize)> {
    let (mut requests, mut numbers) = (Vec::new(), Numbers::new());
    while let Some(line) = lines.next()? {
        if line == b"END" || line.is_empty() {
            continue;
        }
        let Some(item) = std::str::from_utf8(line).ok().and_then(Item::parse) else {
            let line = String::from_utf8_lossy(line).into_owned();
            return Err(lines.error(format!("'{line}' is no item: expected {EXPECTED}")));
        };
        let Some(request) = item.request(&mut numbers) else {
            let len = item.key.len();
            return Err(lines.error(format!(
                "the key has {len} bytes; 255 is the most, and a value has less than 2^32"
            )));
        };
        requests.push(request);
    }
    requests.sort_by_key(|request| request.time_ms);
    Ok((requests, numbers.count()))
}

struct Item {
    key: Vec<u8>,
    /// Seconds since 1970; `None` = never.
    expires_s: Option<u64>,
    accessed_s: u64,
    size: u64,
}

impl Item {
    fn parse(line: &str) -> Option<Self> {
        let field = |name: &str| {
            let mut fields = line.split(' ').filter_map(|field| field.split_once('='));
            fields.find(|(key, _)| *key == name).map(|(_, value)| value)
        };
        let expires: i64 = field("exp")?.parse().ok()?;
        Some(Self {
            key: decode(field("key")?)?,
            expires_s: u64::try_from(expires).ok().filter(|&at| at > 0),
            accessed_s: field("la")?.parse().ok()?,
            size: field("size")?.parse().ok()?,
        })
    }

    fn request(&self, numbers: &mut Numbers<Vec<u8>>) -> Option<Request> {
        let key_len = key_len(self.key.len())?;
        let value_len = self.size.saturating_sub(OVERHEAD + self.key.len() as u64);
        // An item that was accessed after its end, by the clock's granularity, has a second left.
        let ttl_s = self.expires_s.map_or(0, |at| {
            at.saturating_sub(self.accessed_s).clamp(1, u32::MAX.into()) as u32
        });
        Some(Request {
            time_ms: self.accessed_s.checked_mul(1000)?,
            id: numbers.of(self.key.clone()),
            value_len: u32::try_from(value_len).ok()?,
            ttl_s,
            key_len,
            op: Op::Set,
        })
    }
}

/// Takes the percent signs out of a key.
fn decode(text: &str) -> Option<Vec<u8>> {
    let mut parts = text.split('%');
    let mut key = parts.next()?.as_bytes().to_vec();
    for part in parts {
        let (digits, rest) = part.split_at_checked(2)?;
        let digit = |at: usize| char::from(digits.as_bytes()[at]).to_digit(16);
        key.push((digit(0)? << 4 | digit(1)?) as u8);
        key.extend_from_slice(rest.as_bytes());
    }
    Some(key)
}
