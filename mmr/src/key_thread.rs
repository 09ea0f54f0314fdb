//! The thread that fetches public keys, where the configuration names a URL for them. A name that is not
//! resolved, or a server that does not answer, holds up nothing else.

use crate::control::Handle;
use daemon::keys::{Keys, Sources};
use std::io;
use std::sync::Arc;
use std::thread::JoinHandle;
use tokio::runtime::Builder;
use tokio::sync::oneshot;
use wire::token::Verifier;

/// Ends when it is dropped.
pub(crate) struct KeyThread {
    end: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl KeyThread {
    /// Gives the control thread the keys of this zone whenever they have changed.
    ///
    /// # Errors
    /// No thread, or no epoll for it.
    pub(crate) fn start(keys: &Arc<Keys>, control: &Handle, zone: &str) -> io::Result<Self> {
        let runtime = Builder::new_current_thread().enable_all().build()?;
        let (end, ended) = oneshot::channel();
        let (keys, control, zone) = (Arc::clone(keys), control.clone(), zone.to_owned());
        let run = move || {
            let take = |sources: &Sources| {
                control.try_replace_keys(Verifier::new(&[&zone], sources.keys()))
            };
            runtime.block_on(async {
                tokio::select! {
                    () = keys.refresh(take) => {}
                    _ = ended => {}
                }
            });
            // A name that is being resolved is not waited for.
            runtime.shutdown_background();
        };
        let thread = std::thread::Builder::new().name("mmr-keys".to_owned()).spawn(run)?;
        Ok(Self { end: Some(end), thread: Some(thread) })
    }
}

impl Drop for KeyThread {
    fn drop(&mut self) {
        drop(self.end.take());
        if let Some(thread) = self.thread.take() {
            // A panic was told by the panic hook already.
            let _ = thread.join();
        }
    }
}
