//! `.ids`: the number of a key for each get, as 4 little-endian bytes.

use super::{Lengths, NUMBER, Numbers, Op, Request, Result};
use std::io::Read;

pub(super) fn read(
    mut bytes: impl Read,
    name: &str,
    lengths: Lengths,
) -> Result<(Vec<Request>, usize)> {
    let (mut requests, mut numbers) = (Vec::new(), Numbers::new());
    let mut buffer = Vec::new();
    loop {
        buffer.clear();
        let part = bytes.by_ref().take(1 << 20).read_to_end(&mut buffer);
        if part.map_err(|error| format!("{name}: {error}"))? == 0 {
            return Ok((requests, numbers.count()));
        }
        let (words, rest) = buffer.as_chunks::<NUMBER>();
        requests.extend(words.iter().map(|&word| Request {
            time_ms: 0,
            id: numbers.of(u32::from_le_bytes(word)),
            value_len: lengths.value,
            ttl_s: 0,
            key_len: lengths.key,
            op: Op::Get,
        }));
        if !rest.is_empty() {
            let (rest, count) = (rest.len(), requests.len());
            return Err(format!(
                "{name}: {rest} bytes at the end, behind {count} numbers, are no number; each has {NUMBER} bytes"
            )
            .into());
        }
    }
}
