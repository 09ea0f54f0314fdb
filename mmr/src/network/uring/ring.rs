//! An io_uring instance set up for one thread, with its descriptor registered.

use crate::network::batch::BATCH_MAX;
use crate::packet::SLOTS;
use io_uring::squeue::Entry;
use io_uring::types::{CancelBuilder, SubmitArgs, Timespec};
use io_uring::{CompletionQueue, IoUring, Probe, SubmissionQueue, Submitter};
use std::io;
use std::mem::ManuallyDrop;
use std::os::fd::RawFd;
use std::time::Duration;

/// Submission entries: a whole batch of sends.
const SUBMISSIONS: u32 = 1_024;
/// Completion entries: one for each slot the kernel may fill, and refusals of a whole batch of sends;
/// what is more the kernel keeps until there is room. The ring's 150 KiB count against
/// RLIMIT_MEMLOCK, 8 MiB by default for all of a user's rings.
const COMPLETIONS: u32 = 4_096;

const _: () = assert!(SLOTS as usize + BATCH_MAX <= COMPLETIONS as usize);

/// The ring. Its parts borrow the boxed `IoUring` behind `instance`: the crate remembers a
/// registered descriptor only in a `Submitter`, so that has to live as long as the ring.
pub(super) struct Ring {
    /// Dropped before `instance`, in `Drop`.
    parts: ManuallyDrop<Parts>,
    /// From `Box::into_raw`; touched only in `Drop`.
    instance: *mut IoUring,
}

struct Parts {
    submitter: Submitter<'static>,
    submissions: SubmissionQueue<'static>,
    completions: CompletionQueue<'static>,
}

impl Ring {
    /// Sets a ring up for the calling thread, which alone may use it.
    ///
    /// # Errors
    /// As io_uring_setup(2); EINVAL on kernels before 6.1.
    pub(super) fn new() -> io::Result<Self> {
        let ring = match builder().setup_no_sqarray().build(SUBMISSIONS) {
            // NO_SQARRAY came with Linux 6.6, what the others need with 6.1.
            Err(error) if error.raw_os_error() == Some(libc::EINVAL) => {
                builder().build(SUBMISSIONS)?
            }
            ring => ring?,
        };
        let instance = Box::into_raw(Box::new(ring));
        // SAFETY: `instance` is a box's pointer, valid until `Drop` makes it a box again; until
        // then nothing but the parts made here touches what it points to, so the mutable borrow is
        // the only one.
        let (submitter, submissions, completions) = unsafe { &mut *instance }.split();
        let parts = ManuallyDrop::new(Parts { submitter, submissions, completions });
        let mut ring = Self { parts, instance };
        // Saves a look-up of the descriptor at each system call (Linux 5.18); without it all works
        // as well.
        let _ = ring.parts.submitter.register_ring_fd();
        Ok(ring)
    }

    /// Whether the kernel knows an operation.
    pub(super) fn knows(&self, opcode: u8) -> io::Result<bool> {
        let mut probe = Probe::new();
        self.parts.submitter.register_probe(&mut probe)?;
        Ok(probe.is_supported(opcode))
    }

    /// Makes descriptors known to the ring; operations name them by their index.
    pub(super) fn register_files(&self, files: &[RawFd]) -> io::Result<()> {
        self.parts.submitter.register_files(files)
    }

    pub(super) fn submitter(&self) -> &Submitter<'static> {
        &self.parts.submitter
    }

    /// Queues an operation; submits what is queued when there is no room.
    ///
    /// # Safety
    /// Everything the entry points to stays valid until the kernel has completed it, or until the
    /// ring is dropped while the entry was never submitted.
    pub(super) unsafe fn push(&mut self, entry: &Entry) -> io::Result<()> {
        // SAFETY: what the entry points to is valid long enough, says the caller.
        while unsafe { self.parts.submissions.push(entry) }.is_err() {
            self.submit()?;
        }
        Ok(())
    }

    /// Hands everything queued to the kernel, which has taken it all on success; does not wait.
    /// Work the kernel put off (DEFER_TASKRUN) is done on the way.
    pub(super) fn submit(&mut self) -> io::Result<()> {
        self.parts.submissions.sync();
        for _ in 0..SUBMIT_ATTEMPTS_MAX {
            match self.parts.submitter.submit() {
                Err(error) if !is_passing(&error) => return Err(error),
                _ => {}
            }
            self.parts.submissions.sync();
            if self.parts.submissions.is_empty() {
                return Ok(());
            }
        }
        Err(io::Error::other("the kernel does not take what is submitted to the ring"))
    }

    /// Submits, then waits until something completes, at most for `timeout`.
    pub(super) fn wait(&mut self, timeout: Duration) -> io::Result<()> {
        self.parts.submissions.sync();
        let timespec = Timespec::from(timeout);
        let waited =
            self.parts.submitter.submit_with_args(1, &SubmitArgs::new().timespec(&timespec));
        match waited {
            Err(error) if error.raw_os_error() == Some(libc::ETIME) || is_passing(&error) => Ok(()),
            waited => waited.map(drop),
        }
    }

    /// Whether there is something to submit, or work the kernel put off.
    pub(super) fn is_due(&mut self) -> bool {
        self.parts.submissions.sync();
        !self.parts.submissions.is_empty()
            || self.parts.submissions.taskrun()
            || self.parts.submissions.cq_overflow()
    }

    /// What has completed.
    pub(super) fn completions(&mut self) -> &mut CompletionQueue<'static> {
        self.parts.completions.sync();
        &mut self.parts.completions
    }

    /// Ends every operation under way, and waits until the kernel has let go of it.
    pub(super) fn cancel_all(&self) -> io::Result<()> {
        match self.parts.submitter.register_sync_cancel(None, CancelBuilder::any()) {
            // Nothing was under way.
            Err(error) if error.raw_os_error() == Some(libc::ENOENT) => Ok(()),
            cancelled => cancelled,
        }
    }
}

/// How often a submission is tried while the kernel is short of memory for requests.
const SUBMIT_ATTEMPTS_MAX: usize = 1_000;

fn builder() -> io_uring::Builder {
    let mut builder = IoUring::builder();
    builder
        .dontfork()
        .setup_cqsize(COMPLETIONS)
        .setup_single_issuer()
        .setup_defer_taskrun()
        .setup_coop_taskrun()
        .setup_taskrun_flag()
        .setup_submit_all();
    builder
}

/// Interrupted, or for the moment out of resources.
fn is_passing(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(libc::EINTR | libc::EAGAIN | libc::EBUSY))
}

impl Drop for Ring {
    fn drop(&mut self) {
        // A registered descriptor would keep the ring alive for as long as this thread. That it was
        // never registered is the only way to fail.
        let _ = self.parts.submitter.unregister_ring_fd();
        // SAFETY: dropped here, once, and not used afterwards.
        unsafe { ManuallyDrop::drop(&mut self.parts) };
        // SAFETY: the pointer is from `Box::into_raw`, and what borrowed from it was just dropped.
        drop(unsafe { Box::from_raw(self.instance) });
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]
    use super::*;

    #[test]
    fn a_thread_can_register_one_ring_after_the_other() {
        // A thread has room for 16 at once (IO_RINGFD_REG_MAX in the kernel).
        for _ in 0..40 {
            let mut ring = Ring::new().unwrap();
            let again = ring.parts.submitter.register_ring_fd().unwrap_err();
            assert_eq!(again.raw_os_error(), Some(libc::EEXIST), "it was not registered");
        }
    }
}
