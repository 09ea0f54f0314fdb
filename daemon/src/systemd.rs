//! What systemd is told. Does nothing when systemd did not start us.

use sd_notify::NotifyState;
use std::time::Duration;

/// We serve.
pub fn ready() {
    notify(&[NotifyState::Ready]);
}

/// We end.
pub fn stopping() {
    notify(&[NotifyState::Stopping]);
}

/// We end, and need so much longer.
pub fn still_stopping(extension: Duration) {
    let extension = u32::try_from(extension.as_micros()).unwrap_or(u32::MAX);
    notify(&[NotifyState::ExtendTimeoutUsec(extension)]);
}

/// We read our files again; [`ready`] says that it is done.
pub fn reloading() {
    if let Ok(now) = NotifyState::monotonic_usec_now() {
        notify(&[NotifyState::Reloading, now]);
    }
}

/// We are well.
pub fn feed_watchdog() {
    notify(&[NotifyState::Watchdog]);
}

/// How long systemd waits for the next [`feed_watchdog`], when the unit has a watchdog.
pub fn watchdog() -> Option<Duration> {
    sd_notify::watchdog_enabled()
}

fn notify(state: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(state) {
        tracing::warn!(%error, "systemd could not be told: is NOTIFY_SOCKET right?");
    }
}
