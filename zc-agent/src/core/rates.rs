//! From two counts and the time between them to a rate.

/// What a count grew by a second, to the nearest. A count that fell began anew.
pub(super) fn per_s(before: u64, now: u64, seconds: f64) -> u64 {
    rounded(grown(before, now, seconds).round())
}

/// The same rounded up, so that zero means none.
pub(super) fn losses_per_s(before: u64, now: u64, seconds: f64) -> u64 {
    rounded(grown(before, now, seconds).ceil())
}

/// A share of a whole, 0 to 1; 0 of nothing.
#[allow(clippy::cast_precision_loss, reason = "a share needs no more than 53 bits")]
pub(super) fn share(part: u64, whole: u64) -> f64 {
    if whole == 0 { 0.0 } else { (part as f64 / whole as f64).clamp(0.0, 1.0) }
}

#[allow(clippy::cast_precision_loss, reason = "a rate needs no more than 53 bits")]
fn grown(before: u64, now: u64, seconds: f64) -> f64 {
    let grown = if now < before { now } else { now - before };
    if seconds > 0.0 { grown as f64 / seconds } else { 0.0 }
}

#[allow(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "never negative; too large saturates"
)]
fn rounded(rate: f64) -> u64 {
    rate as u64
}
