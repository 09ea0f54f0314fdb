//! One meeting through one router: who takes part, and what must be true at the end.

mod clips;
mod outcome;
mod router;
mod table;

use clap::Args;
use client::{
    ClientError, IpChoice, JoinOptions, MmrAddress, ProgressSink, PublishOptions, Publisher,
    RecordOptions, RecordReport, Recorder, Token, TransportChoice, Trust, no_progress,
};
use clips::Clips;
use indicatif::{ProgressBar, ProgressStyle};
use outcome::Outcome;
use router::Router;
use std::error::Error;
use std::future::ready;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use wire::token::Role;
use wire::{Kind, Transport};

/// How long the streams may take to be there, and to end after the publisher left: loopback needs milliseconds.
const PATIENCE: Duration = Duration::from_secs(10);

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

/// Runs the demo and prints its result.
pub(crate) async fn run(options: &Options) -> Result<Verdict, Box<dyn Error>> {
    let say = |line: String| {
        if !options.json {
            println!("{line}")
        }
    };
    let clips = Clips::embedded()?;
    let (router, remark) = Router::start()?;
    if let Some(remark) = remark {
        eprintln!("note: {remark}");
    }
    for line in router.introduction().await? {
        say(line);
    }
    let versions: &[IpChoice] = if router::has_ipv6() {
        &[IpChoice::V4, IpChoice::V6]
    } else {
        eprintln!("note: this host has no IPv6 on loopback; the six subscribers become three");
        &[IpChoice::V4]
    };
    let meeting = Meeting::gather(&router, &clips, versions).await?;
    let played = meeting.play(clips.duration(), !options.json).await?;
    let outcomes: Vec<_> = played
        .reports
        .iter()
        .flat_map(|(seat, report)| outcome::judge(*seat, report, &clips))
        .collect();
    if options.json {
        println!("{}", serde_json::to_string_pretty(&outcomes)?);
    } else {
        println!("{}", table::render(&outcomes));
        println!("{}", router.summary().await?);
    }
    router.stop().await;
    let verdict = match outcomes.iter().all(Outcome::is_complete) {
        _ if played.interrupted => Verdict::Interrupted,
        true => Verdict::Everything,
        false => Verdict::Incomplete,
    };
    say(table::conclusion(&outcomes, verdict));
    Ok(verdict)
}

/// Everybody in the meeting, nothing sent yet.
struct Meeting {
    publisher: Publisher,
    recorders: Vec<(Seat, Recorder)>,
}

/// How one subscriber takes part.
#[derive(Clone, Copy)]
struct Seat {
    transport: Transport,
    ip: IpChoice,
}

impl Seat {
    fn name(self) -> String {
        format!("{}-{}", self.transport, self.ip_name())
    }

    fn ip_name(self) -> &'static str {
        if self.ip == IpChoice::V6 { "ipv6" } else { "ipv4" }
    }

    fn host(self) -> &'static str {
        if self.ip == IpChoice::V6 { "::1" } else { "127.0.0.1" }
    }
}

impl Meeting {
    async fn gather(
        router: &Router,
        clips: &Clips,
        versions: &[IpChoice],
    ) -> Result<Self, Box<dyn Error>> {
        let sources = clips.sources();
        let streams = sources.len();
        let host = Seat { transport: Transport::Udp, ip: IpChoice::V4 };
        let join = join_options(router, "alice", Role::Host, host)?;
        let publisher =
            Publisher::join(PublishOptions { join, sources, repeat: false, duration: None })
                .await?;
        let mut recorders = Vec::new();
        for transport in Transport::ALL {
            for &ip in versions {
                let seat = Seat { transport, ip };
                let join = join_options(router, &seat.name(), Role::Viewer, seat)?;
                let kinds = Kind::ALL.to_vec();
                let options = RecordOptions { join, kinds, max_layer: 0, folder: None };
                recorders.push((seat, Recorder::join(options).await?));
            }
        }
        for (seat, recorder) in &recorders {
            if !recorder.wait_for_streams(streams, PATIENCE).await {
                return Err(format!("{} saw no streams to subscribe to", seat.name()).into());
            }
        }
        Ok(Self { publisher, recorders })
    }

    /// Plays the clips to the end, or until Ctrl-C. Recorders record from the moment they joined.
    async fn play(self, total: Duration, show: bool) -> Result<Played, ClientError> {
        let bar = if show { progress_bar(total) } else { ProgressBar::hidden() };
        let interrupted = AtomicBool::new(false);
        let interruption = async {
            // Without a handler for Ctrl-C there is nothing to wait for.
            if tokio::signal::ctrl_c().await.is_err() {
                std::future::pending::<()>().await;
            }
            interrupted.store(true, Ordering::Relaxed);
        };
        let published = self.publisher.run(interruption, &progress_sink(&bar)).await;
        bar.finish_and_clear();
        let streams = published?.streams.len();
        let mut reports = Vec::new();
        for (seat, recorder) in self.recorders {
            // What did not end in time shows as missing in the report.
            let all_ended = recorder.ends();
            let _ = tokio::time::timeout(PATIENCE, all_ended.wait(streams)).await;
            let report = recorder.run(ready(()), None, &no_progress()).await?;
            reports.push((seat, report));
        }
        Ok(Played { reports, interrupted: interrupted.into_inner() })
    }
}

/// What everybody received.
struct Played {
    reports: Vec<(Seat, RecordReport)>,
    interrupted: bool,
}

fn join_options(
    router: &Router,
    participant: &str,
    role: Role,
    seat: Seat,
) -> Result<JoinOptions, ClientError> {
    Ok(JoinOptions {
        at: MmrAddress { host: seat.host().to_owned(), port: router.tls_port(seat.ip) }.into(),
        token: Token::new(router.token(participant, role)),
        trust: Trust::from_pem(router.ca_pem().as_bytes())?,
        transport: TransportChoice::Only(seat.transport),
        ip: seat.ip,
    })
}

fn progress_bar(total: Duration) -> ProgressBar {
    let template = "{spinner} playing {bar:30} {msg}";
    let style = ProgressStyle::with_template(template).expect("the template is a constant");
    let length = u64::try_from(total.as_millis()).unwrap_or(u64::MAX);
    ProgressBar::new(length).with_style(style)
}

fn progress_sink(bar: &ProgressBar) -> ProgressSink {
    let bar = bar.clone();
    Arc::new(move |progress| {
        bar.set_position(u64::try_from(progress.elapsed.as_millis()).unwrap_or(u64::MAX));
        bar.set_message(format!(
            "{} s, {} frames sent",
            progress.elapsed.as_secs(),
            progress.frames
        ));
    })
}
