//! `.csv`: a request a line.

use super::{Lines, NUMBER, Numbers, Op, Request, Result};
use std::io::BufRead;

const HEADER: &str = "time_s,key_id,key_size,value_size,op,ttl_s";
/// In milliseconds it still is far from 2^64.
const SECONDS_MAX: f64 = 1e12;

pub(super) fn read(mut lines: Lines<'_, impl BufRead>) -> Result<(Vec<Request>, usize)> {
    if lines.next()? != Some(HEADER.as_bytes()) {
        return Err(lines.error(format!("the first line has to be {HEADER}")));
    }
    let (mut requests, mut numbers) = (Vec::new(), Numbers::new());
    while let Some(line) = lines.next()? {
        match std::str::from_utf8(line).map_or(Err("text"), parse) {
            Ok(mut request) => {
                request.id = numbers.of(request.id);
                requests.push(request);
            }
            Err(expected) => {
                let line = String::from_utf8_lossy(line).into_owned();
                return Err(lines.error(format!(
                    "'{line}' is no request: expected {expected}, as in {HEADER}"
                )));
            }
        }
    }
    Ok((requests, numbers.count()))
}

/// The request in a line, with a key of at most 255 bytes, or what was expected where it is none.
fn parse(line: &str) -> std::result::Result<Request, &'static str> {
    let mut fields = line.split(',');
    let mut next = |expected| fields.next().ok_or(expected);
    let time = "seconds, as 12 or 12.345";
    let time_s: f64 = next(time)?.parse().map_err(|_| time)?;
    if !(0.0..SECONDS_MAX).contains(&time_s) {
        return Err(time);
    }
    let key = "the number of a key, below 2^32";
    let id = next(key)?.parse().map_err(|_| key)?;
    let size = "the size of a key in bytes, below 2^32";
    let key_size: u32 = next(size)?.parse().map_err(|_| size)?;
    let key_len = key_size.clamp(NUMBER as u32, u8::MAX.into()) as u8;
    let value = "the size of a value in bytes, below 2^32";
    let value_len = next(value)?.parse().map_err(|_| value)?;
    let op = match next("get, set or delete")? {
        "get" => Op::Get,
        "set" => Op::Set,
        "delete" => Op::Delete,
        _ => return Err("get, set or delete"),
    };
    let ttl = "a time to live in whole seconds, 0 for none";
    let ttl_s = next(ttl)?.parse().map_err(|_| ttl)?;
    if fields.next().is_some() {
        return Err("six fields");
    }
    Ok(Request {
        time_ms: (time_s * 1e3) as u64,
        id,
        value_len,
        ttl_s,
        key_len,
        op,
    })
}
