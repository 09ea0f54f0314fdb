//! What SIGHUP does everywhere: files are read again, and systemd and the log are told what came of it.

use crate::systemd;

/// A daemon's words for it.
#[derive(Clone, Copy, Debug)]
pub struct Reload {
    /// The configuration's keys that are read again: `tls and tokens`.
    pub keys: &'static str,
    /// What they name: `certificates and tokens`.
    pub what: &'static str,
}

impl Reload {
    /// Runs `read`, which reads the files and takes what they hold. It answers whether other keys have
    /// changed, too; or why it has changed nothing.
    pub async fn run(self, read: impl Future<Output = Result<bool, String>>) {
        systemd::reloading();
        match read.await {
            Ok(others_changed) => {
                if others_changed {
                    let Self { keys, .. } = self;
                    tracing::warn!("other keys than {keys} changed too: they need a restart");
                }
                tracing::info!("{} were read again", self.what);
            }
            Err(why) => tracing::error!("nothing was changed: {why}"),
        }
        systemd::ready();
    }
}
