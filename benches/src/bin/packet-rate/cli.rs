//! The command line.

use crate::child;
use crate::document::Document;
use crate::error::BenchError;
use crate::floor::Floor;
use crate::interrupt;
use crate::page;
use crate::rig::Device;
use crate::run::{self, Effort, Plan};
use crate::scene::Contender;
use crate::shape::{self, Look, Shape};
use crate::table;
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use std::path::PathBuf;
use std::time::Duration;

/// So much longer is the load for a cost than for a latency, which runs at a higher rate.
const COST_STRETCHES: u32 = 5;
/// File descriptors of ten thousand participants: a channel and some sockets each.
const FILES: u64 = 200_000;

/// What a router costs per delivered datagram, against the best forwarders anyone could write with plain sockets.
///
/// Each shape is run for several rounds, contenders in turn, so that what else goes on in the machine meets all of
/// them; read the ratios, not the figures. As root it builds two networks with a wire between them: the contender on
/// core 0, everybody else on core 1. Keep the machine quiet meanwhile.
#[derive(clap::Parser, Debug)]
#[command(name = "packet-rate", version, after_help = AFTER_HELP)]
pub(crate) struct Arguments {
    /// A shape to run, may be given again; all when none is given. --list tells them.
    #[arg(long = "shape", value_name = "NAME")]
    shapes: Vec<String>,
    /// A contender to run, may be given again; routers, floor and floor-gso when none is given. Ratios to the floor need
    /// the floor.
    #[arg(long = "contender", value_name = "NAME")]
    contenders: Vec<Contender>,
    /// How often every contender has its turn.
    #[arg(long, default_value_t = 5)]
    rounds: usize,
    /// Seconds of load for a latency; a cost gets five times as many.
    #[arg(long, default_value_t = 1.0)]
    seconds: f64,
    /// Only the cost per datagram: no highest rates, no latencies, no overload.
    #[arg(long)]
    cost_only: bool,
    /// Only look whether everything works: one short round of three shapes, below a minute.
    #[arg(long)]
    quick: bool,
    /// On loopback, without root: not a wire number.
    #[arg(long)]
    loopback: bool,
    /// Every figure of every round, and all ratios.
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// A page with plots.
    #[arg(long, value_name = "FILE")]
    html: Option<PathBuf>,
    /// Tell the shapes and end.
    #[arg(long)]
    list: bool,
    #[command(subcommand)]
    child: Option<Child>,
}

const AFTER_HELP: &str = "\
Examples:
  sudo packet-rate --json run.json --html run.html     everything; the bar tells the time left
  sudo packet-rate --shape audio-50 --rounds 9         one shape, more rounds
  packet-rate --loopback --shape video-50              without root

Ctrl-C ends a run early: what was measured is told. Exit code 0: everything was measured. 1: something failed, was
interrupted, or the load was the limit of a figure, which is then left out.";

/// What this program runs itself as.
#[derive(clap::Subcommand, Debug)]
#[command(hide = true)]
enum Child {
    #[command(name = child::ROUTER, hide = true)]
    Router { config: PathBuf },
    #[command(name = child::FLOOR, hide = true)]
    Floor { floor: Floor },
}

/// Does what was asked for.
///
/// # Errors
/// What failed, and what to do about it.
pub(crate) fn run(arguments: Arguments) -> Result<(), BenchError> {
    raise_file_limit();
    match &arguments.child {
        Some(Child::Router { config }) => return child::run_router(config),
        Some(Child::Floor { floor }) => return child::run_floor(*floor),
        None => interrupt::listen(),
    }
    if arguments.list {
        for shape in shape::all() {
            println!("{:<16} {}", shape.name, shape.about);
        }
        return Ok(());
    }
    let plan = plan(&arguments)?;
    let results = run::run(&plan)?;
    let document = Document::new(&plan.shapes, &results);
    let table = table::render(&plan.shapes, &results, &document.targets);
    print!("{table}");
    if let Some(file) = &arguments.json {
        document.write(file)?;
    }
    if let Some(file) = &arguments.html {
        page::write(file, &document, &results, &table)?;
    }
    if arguments.quick {
        table::assert_delivered(&plan, &results)?;
    }
    match results.refusals.len() {
        _ if interrupt::is_asked() => Err(BenchError::Interrupted),
        0 => Ok(()),
        count => Err(BenchError::Incomplete(count)),
    }
}

fn plan(arguments: &Arguments) -> Result<Plan, BenchError> {
    let mut shapes = chosen(&arguments.shapes, arguments.quick)?;
    if arguments.loopback {
        shapes.iter_mut().for_each(|shape| shape.device = Device::Loopback);
    }
    let contenders = match arguments.contenders.is_empty() {
        true => Contender::USUAL.to_vec(),
        false => arguments.contenders.clone(),
    };
    if arguments.quick || arguments.cost_only {
        shapes.iter_mut().for_each(|shape| shape.looks = &[Look::Cost]);
    }
    let effort = match arguments.quick {
        true => {
            let short = Duration::from_millis(300);
            Effort { rounds: 1, cost: short, stretch: short, trial: short, strict: false }
        }
        false => {
            let stretch = Duration::from_secs_f64(arguments.seconds.clamp(0.1, 600.0));
            Effort {
                rounds: arguments.rounds.max(1),
                cost: stretch * COST_STRETCHES,
                stretch,
                trial: Duration::from_millis(500),
                strict: !arguments.loopback,
            }
        }
    };
    Ok(Plan { shapes, contenders, effort })
}

/// For `--quick`: one of each kind of device and media.
const QUICK: [&str; 3] = ["audio-50", "video-50", "video-50-whole"];

fn chosen(names: &[String], quick: bool) -> Result<Vec<Shape>, BenchError> {
    let all = shape::all();
    if names.is_empty() {
        return Ok(all.into_iter().filter(|it| !quick || QUICK.contains(&it.name)).collect());
    }
    let find = |name: &String| {
        let found = all.iter().find(|shape| shape.name == name).cloned();
        found.ok_or_else(|| {
            BenchError::Usage(format!("there is no shape {name}; --list tells them"))
        })
    };
    names.iter().map(find).collect()
}

/// As far as this user may; whoever can't opens fewer, and is told when they run out.
fn raise_file_limit() {
    if setrlimit(Resource::RLIMIT_NOFILE, FILES, FILES).is_err()
        && let Ok((_, hard)) = getrlimit(Resource::RLIMIT_NOFILE)
    {
        let _ = setrlimit(Resource::RLIMIT_NOFILE, hard, hard);
    }
}
