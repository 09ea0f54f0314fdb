//! A run as JSON: the host, every figure of every round, all ratios, the targets.

use crate::error::BenchError;
use crate::results::{Ratio, Refusal, Results, Sample};
use crate::shape::Shape;
use crate::targets::{self, Verdict};
use nix::sys::utsname::uname;
use serde::Serialize;
use std::path::Path;

/// The file's content. Times are nanoseconds per delivered datagram, rates datagrams per second, where the metric's
/// last word says nothing else.
#[derive(Serialize)]
pub(crate) struct Document<'r> {
    pub(crate) version: &'static str,
    pub(crate) host: Host,
    pub(crate) shapes: Vec<ShapeEntry>,
    /// Set when these are no wire numbers.
    pub(crate) caveat: Option<&'static str>,
    pub(crate) samples: &'r [Sample],
    /// Figures there are none of.
    pub(crate) refusals: &'r [Refusal],
    pub(crate) ratios: Vec<Ratio>,
    pub(crate) targets: Vec<Verdict>,
}

/// Where it was measured.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Host {
    pub(crate) kernel: String,
    pub(crate) cpu: String,
    pub(crate) cores: usize,
    /// Seconds since 1970.
    pub(crate) at: u64,
    pub(crate) command: String,
}

/// What a shape was.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct ShapeEntry {
    pub(crate) name: &'static str,
    pub(crate) about: &'static str,
    pub(crate) device: &'static str,
    pub(crate) fan_out: u32,
}

impl<'r> Document<'r> {
    /// All of a run.
    pub(crate) fn new(shapes: &[Shape], results: &'r Results) -> Self {
        Self {
            version: env!("CARGO_PKG_VERSION"),
            host: Host::here(),
            shapes: shapes
                .iter()
                .map(|shape| ShapeEntry {
                    name: shape.name,
                    about: shape.about,
                    device: shape.device.name(),
                    fan_out: shape.fan_out(),
                })
                .collect(),
            caveat: crate::table::caveat(shapes),
            samples: &results.samples,
            refusals: &results.refusals,
            ratios: results.ratios(),
            targets: targets::verdicts(results),
        }
    }

    /// Writes the file.
    ///
    /// # Errors
    /// It can't be written.
    pub(crate) fn write(&self, file: &Path) -> Result<(), BenchError> {
        let text = serde_json::to_string_pretty(self).map_err(|cause| unwritable(file, &cause))?;
        std::fs::write(file, text).map_err(|cause| unwritable(file, &cause))
    }
}

impl Host {
    fn here() -> Self {
        let name = uname().ok();
        let kernel = name.as_ref().map(|name| {
            format!("{} {}", name.sysname().to_string_lossy(), name.release().to_string_lossy())
        });
        let cpuinfo = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
        let cpu =
            cpuinfo.lines().find_map(|line| line.strip_prefix("model name")?.split_once(": "));
        let mut words = std::env::args();
        let program = words.next().map(|program| {
            Path::new(&program).file_name().unwrap_or_default().to_string_lossy().into_owned()
        });
        Self {
            kernel: kernel.unwrap_or_default(),
            cpu: cpu.map_or_else(String::new, |(_, name)| name.to_owned()),
            cores: std::thread::available_parallelism().map_or(1, usize::from),
            at: crate::stamp::now().as_secs(),
            command: program.into_iter().chain(words).collect::<Vec<_>>().join(" "),
        }
    }
}

/// Why a file could not be written.
pub(crate) fn unwritable(file: &Path, cause: &dyn std::fmt::Display) -> BenchError {
    BenchError::Usage(format!("{} can't be written: {cause}", file.display()))
}
