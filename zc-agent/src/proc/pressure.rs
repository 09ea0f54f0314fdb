//! /proc/pressure: how much tasks wait for a resource (Documentation/accounting/psi.rst).

use super::Malformed;

/// Shares of the last ten seconds, 0 to 1.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Stalls {
    /// Some task waited.
    pub some: f64,
    /// All that wanted to run waited.
    pub full: f64,
}

/// `some avg10=0.12 avg60=… avg300=… total=…`, and the same for `full`, which the oldest kernels lack for
/// cores.
///
/// # Errors
/// Nothing about some.
pub fn stalls(text: &str) -> Result<Stalls, Malformed> {
    let share = |wanted: &str| {
        let line = text.lines().find_map(|line| line.strip_prefix(wanted))?;
        let percent: f64 = line.split_whitespace().next()?.strip_prefix("avg10=")?.parse().ok()?;
        (0.0..=100.0).contains(&percent).then_some(percent / 100.0)
    };
    let some = share("some ").ok_or(Malformed)?;
    Ok(Stalls { some, full: share("full ").unwrap_or_default() })
}
