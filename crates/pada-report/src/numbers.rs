//! Number formats of the report.

use pada_metrics::Difference;

/// Formats a paired difference with its interval, for example `+0.060 [+0.010, +0.110]`.
pub(crate) fn difference(found: Difference) -> String {
    let Difference { mean, interval, .. } = found;
    format!("{mean:+.3} [{:+.3}, {:+.3}]", interval.low, interval.high)
}

/// Formats with a fixed number of decimals, without a negative zero.
pub(crate) fn fixed(value: f64, decimals: usize) -> String {
    let text = format!("{value:.decimals$}");
    match text.strip_prefix('-') {
        Some(rest) if rest.bytes().all(|b| b == b'0' || b == b'.') => rest.to_owned(),
        _ => text,
    }
}

/// Formats an optional number; `–` stands for `None`.
pub(crate) fn optional(value: Option<f64>, decimals: usize) -> String {
    value.map_or_else(|| "–".to_owned(), |value| fixed(value, decimals))
}

/// Formats a number of any size with three significant digits.
pub(crate) fn digits(value: f64) -> String {
    let size = value.abs();
    if value == 0.0 {
        return "0".to_owned();
    }
    if !(1e-3..1e6).contains(&size) {
        return format!("{value:.2e}");
    }
    fixed(value, (2 - size.log10().floor() as i32).max(0) as usize)
}

/// Formats an integer with thousands separators.
pub(crate) fn count(value: usize) -> String {
    let digits = value.to_string();
    let mut out = String::new();
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// Formats seconds with a suitable unit.
pub(crate) fn duration(seconds: f64) -> String {
    match seconds {
        s if s < 1.0 => format!("{:.0} ms", 1000.0 * s),
        s if s < 120.0 => format!("{s:.1} s"),
        s if s < 7200.0 => format!("{:.1} min", s / 60.0),
        s => format!("{:.1} h", s / 3600.0),
    }
}

/// Formats a share as percent.
pub(crate) fn percent(share: f64) -> String {
    format!("{} %", fixed(100.0 * share, if share < 0.1 { 1 } else { 0 }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_written_for_people() {
        assert_eq!([fixed(-0.0004, 3), fixed(-0.25, 2), fixed(1.0, 0)], ["0.000", "-0.25", "1"]);
        assert_eq!(
            [digits(0.0), digits(0.012345), digits(123.4), digits(12345.0)],
            ["0", "0.0123", "123", "12345"]
        );
        assert_eq!([digits(1.5e-7), digits(-2.0e9)], ["1.50e-7", "-2.00e9"]);
        assert_eq!([count(0), count(999), count(1000), count(1234567)], ["0", "999", "1,000", "1,234,567"]);
        let durations = [0.0512, 18.04, 600.0, 36000.0].map(duration);
        assert_eq!(durations, ["51 ms", "18.0 s", "10.0 min", "10.0 h"]);
        assert_eq!([percent(0.56), percent(0.0123)], ["56 %", "1.2 %"]);
        assert_eq!(optional(None, 3), "–");
    }
}
