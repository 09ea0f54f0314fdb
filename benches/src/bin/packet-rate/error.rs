//! Why there is no result.

/// What went wrong, with its remedy.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub(crate) enum BenchError {
    /// Networks need root.
    #[error(
        "only root can build networks: run with sudo, or with --loopback for figures that are not wire numbers"
    )]
    NotRoot,
    /// The command line.
    #[error("{0}")]
    Usage(String),
    /// The machine lacks something.
    #[error("this host can't be measured on: {0}")]
    Host(String),
    /// The counter in the kernel.
    #[error("the kernel takes no counter: {0}. It needs BPF, and XDP on veth (Linux 4.19)")]
    Counter(String),
    /// A router, a floor or the load.
    #[error("{who} failed: {cause}")]
    Part {
        /// Which.
        who: String,
        /// Why.
        cause: String,
    },
    /// By a signal.
    #[error("interrupted")]
    Interrupted,
    /// The figures would be the load's, not the router's.
    #[error("the load was the limit: {0}")]
    LoadWasTheLimit(String),
    /// Some figures are missing; why, the tables say.
    #[error("{0} turns gave no figures: see above")]
    Incomplete(usize),
}

impl BenchError {
    /// A part failed.
    pub(crate) fn part(who: impl Into<String>, cause: impl std::fmt::Display) -> Self {
        Self::Part { who: who.into(), cause: cause.to_string() }
    }
}
