//! Text: the key of a get in each line.

use super::{Lengths, Lines, Numbers, Op, Request, Result, key_len};
use std::io::BufRead;

/// Empty lines are left out.
pub(super) fn read(
    mut lines: Lines<'_, impl BufRead>,
    lengths: Lengths,
) -> Result<(Vec<Request>, usize)> {
    let (mut requests, mut numbers) = (Vec::new(), Numbers::new());
    while let Some(line) = lines.next()? {
        if line.is_empty() {
            continue;
        }
        if line.contains(&0) {
            return Err(lines.error(
                "the line has a byte 0: text has a key in each line; a trace of numbers ends in .ids",
            ));
        }
        let Some(key_len) = key_len(line.len()) else {
            let len = line.len();
            return Err(lines.error(format!("the key has {len} bytes; 255 is the most")));
        };
        requests.push(Request {
            time_ms: 0,
            id: numbers.of(line.to_vec()),
            value_len: lengths.value,
            ttl_s: 0,
            key_len,
            op: Op::Get,
        });
    }
    Ok((requests, numbers.count()))
}
