//! Bytes, as people read and write them.

/// Reads "123", "64K", "16M" or "1G", in powers of 1024.
pub(crate) fn parse(text: &str) -> Result<usize, String> {
    let wrong = || format!("'{text}' is no size; it is a number of bytes, or 64K, 16M, 1G");
    let (digits, shift) = match text.to_ascii_uppercase().chars().last() {
        Some('K') => (&text[..text.len() - 1], 10),
        Some('M') => (&text[..text.len() - 1], 20),
        Some('G') => (&text[..text.len() - 1], 30),
        _ => (text, 0),
    };
    let digits = digits.bytes().all(|c| c.is_ascii_digit()).then_some(digits);
    let number: usize = digits
        .and_then(|digits| digits.parse().ok())
        .ok_or_else(wrong)?;
    number.checked_mul(1 << shift).ok_or_else(wrong)
}

/// Three digits and a unit: "1.50 MiB".
pub(crate) fn show(bytes: f64) -> String {
    let units = ["B", "KiB", "MiB", "GiB", "TiB"];
    let (mut value, mut unit) = (bytes, 0);
    while value >= 1000.0 && unit + 1 < units.len() {
        (value, unit) = (value / 1024.0, unit + 1);
    }
    let digits = match value {
        _ if unit == 0 || value >= 99.95 => 0,
        _ if value >= 9.995 => 1,
        _ => 2,
    };
    let text = format!("{value:.digits$}");
    let short = if digits > 0 {
        text.trim_end_matches('0').trim_end_matches('.')
    } else {
        &text
    };
    format!("{short} {}", units[unit])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_read_in_powers_of_1024() {
        for (text, bytes) in [
            ("0", 0),
            ("123", 123),
            ("64K", 65_536),
            ("2m", 2 << 20),
            ("1G", 1 << 30),
        ] {
            assert_eq!(parse(text), Ok(bytes));
        }
        for text in [
            "",
            "K",
            "-1",
            "+1",
            "1.5M",
            "1 K",
            "1KB",
            "ſ",
            "99999999999999999999",
            "18014398509481984K",
        ] {
            assert!(parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn sizes_are_shown_in_three_digits() {
        let shown = [
            0.0,
            999.0,
            1024.0,
            1536.0,
            65_536.0,
            1_000_000.0,
            123_456_789.0,
            4e9,
        ]
        .map(show);
        let right = [
            "0 B", "999 B", "1 KiB", "1.5 KiB", "64 KiB", "977 KiB", "118 MiB", "3.73 GiB",
        ];
        assert_eq!(shown, right);
    }
}
