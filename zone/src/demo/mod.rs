//! Two meetings, two zones of two MMRs: who takes part from which network, by which way they come, and what must be true at the end.

mod clips;
mod load;
mod meeting;
mod outcome;
mod proxy;
mod site;
mod table;
mod ways;

use clap::Args;
use client::{IpChoice, TransportChoice};
use clips::Clips;
use load::Peaks;
use meeting::{Meeting, Network, Seat, play};
use outcome::Outcome;
use site::Site;
use std::error::Error;
use std::process::ExitCode;
use std::time::Duration;
use wire::Transport;

/// How long the streams may take to be there, and to end after the publisher left: loopback needs milliseconds.
const PATIENCE: Duration = Duration::from_secs(10);

/// Subscribers are spread over them in turn.
const MEETINGS: [&str; 2] = ["standup", "review"];

/// How to show the demo.
#[derive(Args)]
pub(crate) struct Options {
    /// Print the result as JSON instead of a table.
    #[arg(long)]
    json: bool,
}

/// How it ended.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// Every frame reached everybody as it was.
    Everything,
    /// Something is missing; the table says what.
    Incomplete,
    /// Ctrl-C.
    Interrupted,
}

impl Verdict {
    pub(crate) fn exit_code(self) -> ExitCode {
        match self {
            Self::Everything => ExitCode::SUCCESS,
            Self::Incomplete => ExitCode::FAILURE,
            Self::Interrupted => ExitCode::from(130),
        }
    }
}

/// One for each transport and IP version, and two in networks that let little out.
fn seats(versions: &[IpChoice]) -> Vec<Seat> {
    let open = Transport::ALL.into_iter().flat_map(|transport| {
        let transport = TransportChoice::Only(transport);
        versions.iter().map(move |&ip| Seat { transport, ..Seat::new(Network::Open, ip) })
    });
    let narrow = [Network::Office, Network::Hotel].map(|it| Seat::new(it, IpChoice::V4));
    open.chain(narrow).collect()
}

/// Runs the demo and prints its result.
pub(crate) async fn run(options: &Options) -> Result<Verdict, Box<dyn Error>> {
    let say = |line: String| {
        if !options.json {
            println!("{line}")
        }
    };
    let clips = Clips::embedded()?;
    let (site, remark) = Site::start().await?;
    if let Some(remark) = remark {
        eprintln!("note: {remark}");
    }
    for line in site.introduction().await? {
        say(line);
    }
    let versions: &[IpChoice] = if site::has_ipv6() {
        &[IpChoice::V4, IpChoice::V6]
    } else {
        eprintln!("note: this host has no IPv6 on loopback; the eight subscribers become five");
        &[IpChoice::V4]
    };
    let seats = seats(versions);
    let (mut meetings, mut came) = (Vec::new(), Vec::new());
    for (turn, name) in MEETINGS.into_iter().enumerate() {
        let seats = seats.iter().copied().skip(turn).step_by(MEETINGS.len());
        let meeting = Meeting::gather(&site, name, &clips, seats).await?;
        say(format!("meeting    {name}: everybody came by its link to {}", meeting.places()));
        came.extend(meeting.ways());
        meetings.push(meeting);
    }
    let playing = play(meetings, clips.duration(), !options.json);
    let (played, peaks) = Peaks::during(&site.zones, playing).await;
    let (played, interrupted) = played?;
    let outcomes: Vec<_> = played.iter().flat_map(|one| outcome::judge(one, &clips)).collect();
    if options.json {
        println!("{}", serde_json::to_string_pretty(&outcomes)?);
    } else {
        println!("{}", table::render(&outcomes));
        println!("{}", ways::render(&came));
        println!("{}", peaks.render());
        println!("{}", site.summary().await?);
    }
    site.stop().await;
    let verdict = match outcomes.iter().all(Outcome::is_complete) {
        _ if interrupted => Verdict::Interrupted,
        true => Verdict::Everything,
        false => Verdict::Incomplete,
    };
    say(table::conclusion(&outcomes, verdict));
    Ok(verdict)
}
