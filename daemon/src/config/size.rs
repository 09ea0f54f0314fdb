//! Durations and sizes as people write them: `90s`, `10m`, `4MiB`.

use std::time::Duration;

/// The longest time that can be written, a year: no deadline here is longer, and added to any clock
/// it stays far from the clock's end.
const DURATION_MAX: Duration = Duration::from_secs(8_760 * 3_600);

/// `500ms`, `90s`, `10m`, `2h`: a whole number and its unit, a year (`8760h`) at most. `None` for
/// anything else.
pub fn parse_duration(text: &str) -> Option<Duration> {
    let (number, unit) = split(text)?;
    let seconds = |factor: u64| number.checked_mul(factor).map(Duration::from_secs);
    let duration = match unit {
        "ms" => Some(Duration::from_millis(number)),
        "s" => seconds(1),
        "m" => seconds(60),
        "h" => seconds(3_600),
        _ => None,
    };
    duration.filter(|duration| *duration <= DURATION_MAX)
}

/// Bytes: `65536`, `512KiB`, `4MiB`, `1GiB`. `None` for anything else.
pub fn parse_size(text: &str) -> Option<usize> {
    let (number, unit) = split(text)?;
    let number = usize::try_from(number).ok()?;
    match unit {
        "" => Some(number),
        "KiB" => number.checked_mul(1 << 10),
        "MiB" => number.checked_mul(1 << 20),
        "GiB" => number.checked_mul(1 << 30),
        _ => None,
    }
}

fn split(text: &str) -> Option<(u64, &str)> {
    let end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(end);
    Some((number.parse().ok()?, unit.trim_start()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_people_write_and_nothing_else() {
        assert_eq!(parse_duration("500ms"), Some(Duration::from_millis(500)));
        assert_eq!(parse_duration("10m"), Some(Duration::from_secs(600)));
        assert_eq!(parse_duration("2h"), Some(Duration::from_secs(7_200)));
        for wrong in ["", "10", "m", "-1s", "1.5h", "10 minutes", "8761h", "99999999999999999999s"]
        {
            assert_eq!(parse_duration(wrong), None, "{wrong:?}");
        }
        assert_eq!(parse_size("4MiB"), Some(4 << 20));
        assert_eq!(parse_size("1GiB"), Some(1 << 30));
        assert_eq!(parse_size("65536"), Some(65_536));
        for wrong in ["", "4MB", "MiB", "-4", "18446744073709551615MiB"] {
            assert_eq!(parse_size(wrong), None, "{wrong:?}");
        }
    }
}
