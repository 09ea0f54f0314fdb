//! What only the start needs a privilege for is done there; then the privilege is given up.
//!
//! Capabilities belong to threads, and threads inherit them from whoever starts them: the thread that starts the
//! daemon's others gives them up first. What the express plane does later, it does through descriptors that are open
//! already (bpf(2): tables are written, not made) or asks no privilege for (rtnetlink(7): routes are read).

use caps::errors::CapsError;
use caps::{CapSet, Capability};

/// What loads and attaches the express plane, asks for packets' marks, and takes buffers beyond the host's maximum.
const START_ONLY: [Capability; 3] =
    [Capability::CAP_BPF, Capability::CAP_PERFMON, Capability::CAP_NET_ADMIN];

/// For this thread, and those it starts from now on, for good.
pub(crate) fn give_up() {
    if let Err(error) = START_ONLY.into_iter().try_for_each(drop_one) {
        tracing::warn!(
            %error,
            "CAP_BPF, CAP_PERFMON and CAP_NET_ADMIN can't be given up: allow the system call capset (SystemCallFilter)"
        );
    }
}

fn drop_one(capability: Capability) -> Result<(), CapsError> {
    if !caps::has_cap(None, CapSet::Permitted, capability)? {
        return Ok(());
    }
    // What is not permitted can't be effective, nor ambient (capabilities(7)).
    for set in [CapSet::Effective, CapSet::Inheritable, CapSet::Permitted] {
        caps::drop(None, set, capability)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn they_are_given_up_for_this_thread_and_those_it_starts_and_no_other() {
        let held = || START_ONLY.map(|it| caps::has_cap(None, CapSet::Permitted, it).ok());
        let before = held();
        let after = std::thread::spawn(move || {
            give_up();
            give_up();
            [held(), std::thread::spawn(held).join().expect("it only looks")]
        });
        assert_eq!(after.join().expect("it only drops"), [[Some(false); 3]; 2]);
        assert_eq!(held(), before);
    }
}
