use crate::trace::{Lengths, Op, Result, Trace};
use ruzstd::encoding::{CompressionLevel, compress_to_vec};
use std::path::{Path, PathBuf};

const LENGTHS: Lengths = Lengths { key: 8, value: 10 };

/// A file with these bytes.
fn file(name: &str, bytes: &[u8]) -> PathBuf {
    let path = std::env::temp_dir().join(format!("larder-tool-{}-{name}", std::process::id()));
    std::fs::write(&path, bytes).unwrap();
    path
}

fn read(name: &str, bytes: &[u8]) -> Result<Trace> {
    let path = file(name, bytes);
    let trace = Trace::read(&path, None, LENGTHS);
    std::fs::remove_file(path).unwrap();
    trace
}

fn error(name: &str, bytes: &[u8]) -> String {
    let error = read(name, bytes).unwrap_err().to_string();
    let (_, end) = error.split_once(name).unwrap();
    end.to_owned()
}

fn ids(trace: &Trace) -> Vec<u32> {
    trace.requests.iter().map(|one| one.id).collect()
}

#[test]
fn numbers_are_gets_of_the_lengths_that_were_given() {
    let words = [70_000u32, 3, 70_000].map(u32::to_le_bytes).concat();
    let trace = read("a.b.ids", &words).unwrap();
    assert_eq!((ids(&trace), trace.keys), (vec![0, 1, 0], 2));
    assert_eq!(
        (trace.name.as_str(), trace.gets()),
        (format!("larder-tool-{}-a", std::process::id()).as_str(), 3)
    );
    assert_eq!(trace.requests[0].bytes(), 18);
    assert!(trace.is_of_one_size());
}

#[test]
fn bytes_at_the_end_are_no_number() {
    let wrong = error("cut.ids", &[1, 0, 0, 0, 9]);
    assert_eq!(
        wrong,
        ": 1 bytes at the end, behind 1 numbers, are no number; each has 4 bytes"
    );
}

#[test]
fn a_request_a_line() {
    let text = "time_s,key_id,key_size,value_size,op,ttl_s\n\
                0.5,9,20,100,get,0\r\n1,8,2,5,set,60\n2,9,300,0,delete,0";
    let trace = read("a.csv", text.as_bytes()).unwrap();
    let [get, set, delete] = trace.requests[..] else {
        panic!("{trace:?}");
    };
    assert_eq!(
        (get.time_ms, get.id, get.bytes(), get.op),
        (500, 0, 120, Op::Get)
    );
    assert_eq!(
        (set.key_len, set.expires_ms(), set.op),
        (4, 61_000, Op::Set)
    );
    assert_eq!(
        (delete.id, delete.op, delete.expires_ms()),
        (0, Op::Delete, u64::MAX)
    );
    assert_eq!(
        (delete.key_len, trace.gets(), trace.mean_lengths()),
        (255, 1, (130, 3))
    );
    assert!(!trace.is_of_one_size());
}

#[test]
fn an_error_names_the_line_and_what_would_be_right() {
    let header = "time_s,key_id,key_size,value_size,op,ttl_s\n";
    assert!(error("h.csv", b"a,b\n").starts_with(":1: the first line has to be time_s,"));
    for (line, expected) in [
        ("1,2,3,4,got,0", "get, set or delete"),
        ("x,2,3,4,get,0", "seconds, as 12 or 12.345"),
        ("-1,2,3,4,get,0", "seconds, as 12 or 12.345"),
        ("1,-2,3,4,get,0", "the number of a key, below 2^32"),
        ("1,2,x,4,get,0", "the size of a key in bytes, below 2^32"),
        (
            "1,2,3,4294967296,get,0",
            "the size of a value in bytes, below 2^32",
        ),
        (
            "1,2,3,4,get,0.5",
            "a time to live in whole seconds, 0 for none",
        ),
        ("1,2,3,4,get", "a time to live in whole seconds, 0 for none"),
        ("1,2,3,4,get,0,", "six fields"),
    ] {
        let text = format!("{header}0,1,8,8,get,0\n{line}\n");
        let wrong = error("l.csv", text.as_bytes());
        let right = format!(
            ":3: '{line}' is no request: expected {expected}, as in {}",
            header.trim()
        );
        assert_eq!(wrong, right);
    }
}

#[test]
fn a_dump_is_a_set_of_each_item_in_the_order_of_access() {
    let text = b"key=b%2Fa exp=-1 la=1700000009 cas=1 fetch=no cls=1 size=164 flags=0\n\
                 key=old exp=1700000060 la=1700000000 cas=2 fetch=yes cls=1 size=62\nEND\n";
    let trace = read("items.dump", text).unwrap();
    let [old, new] = trace.requests[..] else {
        panic!("{trace:?}");
    };
    assert_eq!(
        (old.id, old.ttl_s, old.value_len, old.op),
        (1, 60, 0, Op::Set)
    );
    assert_eq!(
        (new.id, new.ttl_s, new.value_len, new.key_len),
        (0, 0, 102, 4)
    );
    let wrong = error(
        "cut.dump",
        b"key=a exp=-1 la=1 cas=1 fetch=no cls=1 size=9\nkey=b exp=-1\n",
    );
    assert!(
        wrong.starts_with(":2: 'key=b exp=-1' is no item: expected key=.."),
        "{wrong}"
    );
    for key in ["%", "%4", "%+4", "%zz", "%é"] {
        let line = format!("key={key} exp=-1 la=1 cas=1 fetch=no cls=1 size=9\n");
        assert!(
            error("key.dump", line.as_bytes()).starts_with(":1: "),
            "{key}"
        );
    }
}

#[test]
fn text_has_a_key_a_line() {
    let trace = read("keys.txt", b"user:1\nuser:2\r\n\nuser:1").unwrap();
    assert_eq!(
        (ids(&trace), trace.requests[0].bytes()),
        (vec![0, 1, 0], 16)
    );
    let long = [b"x\n".as_slice(), &[b'k'; 256]].concat();
    assert_eq!(
        error("long.txt", &long),
        ":2: the key has 256 bytes; 255 is the most"
    );
    assert!(error("zero.txt", b"a\nb\0c\n").starts_with(":2: the line has a byte 0"));
}

#[test]
fn what_is_packed_is_unpacked() {
    let packed = |bytes: &[u8]| compress_to_vec(bytes, CompressionLevel::Fastest);
    let trace = read("packed.ids.zst", &packed(&[7, 0, 0, 0].repeat(1000))).unwrap();
    assert_eq!((trace.gets(), trace.keys), (1000, 1));
    let trace = read("packed.txt.zst", &packed(b"a\nb\na\n")).unwrap();
    assert_eq!(ids(&trace), [0, 1, 0]);
    // Frames follow each other, and some are to be skipped.
    let skip = [[0x5a, 0x2a, 0x4d, 0x18], [3, 0, 0, 0], *b"abck"].concat();
    let frames = [
        &skip[..11],
        &packed(b"a\nb"),
        &skip[..11],
        &packed(b"c\na\n"),
    ]
    .concat();
    let trace = read("frames.txt.zst", &frames).unwrap();
    assert_eq!(ids(&trace), [0, 1, 0]);
    let whole = packed(b"some lines\n");
    assert!(error("cut.txt.zst", &whole[..whole.len() - 3]).starts_with(": "));
}

#[test]
fn what_is_no_trace_is_said() {
    assert_eq!(error("empty.txt", b""), ": there is no request in it");
    assert!(error("not.ids.zst", b"plain bytes").starts_with(": not zstd: "));
    let gone = Trace::read(Path::new("/nowhere/gone.ids"), None, LENGTHS).unwrap_err();
    assert!(
        gone.to_string().starts_with("/nowhere/gone.ids: "),
        "{gone}"
    );
}
