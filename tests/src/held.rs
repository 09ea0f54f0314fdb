//! A thread of another process that takes no turns.

use nix::sys::ptrace;
use nix::sys::wait::{WaitPidFlag, waitpid};
use nix::unistd::Pid;

/// A thread of another process that the kernel does not let run, until dropped. By ptrace, which stops one thread
/// where a signal stops the process; only the thread that made it may drop it.
pub struct Held(Pid);

impl Held {
    /// Holds it from now on.
    ///
    /// # Errors
    /// EPERM where ptrace is forbidden.
    pub fn hold(thread: Pid) -> nix::Result<Self> {
        ptrace::seize(thread, ptrace::Options::empty())?;
        let held = Self(thread);
        ptrace::interrupt(thread)?;
        waitpid(thread, Some(WaitPidFlag::__WALL))?;
        Ok(held)
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        // Refused only when the thread has ended.
        let _ = ptrace::detach(self.0, None);
    }
}
