//! `mmr-client trace`.

use super::args::TraceArgs;
use super::{Exit, show};
use client::{ClientError, StepSink, TraceReport};
use wire::Kind;

pub(super) async fn run(args: TraceArgs) -> Result<Exit, ClientError> {
    let TraceArgs { at, kinds } = args;
    let kinds = if kinds.is_empty() { vec![Kind::Audio] } else { kinds };
    let json = at.network.json;
    let mut options = at.join()?;
    if !json {
        options.told = StepSink::new(show::step);
    }
    let report = client::trace(options, &kinds).await?;
    if json {
        show::json(&report)
    } else {
        show(&report)
    }
    Ok(if report.connects() { Exit::Done } else { Exit::Unreachable })
}

fn show(report: &TraceReport) {
    println!();
    show::way(&report.way);
    if let Some(error) = &report.error {
        println!("{error}");
        if let Some(link) = &report.link {
            println!(
                "the meeting's page for browsers is {link}; joining there is not possible yet"
            );
        }
        return;
    }
    for kind in &report.works {
        let names: Vec<&str> = kind.transports.iter().map(|transport| transport.name()).collect();
        match names.first() {
            Some(first) => {
                println!("{}: {} works; a client takes {first}", kind.kind, names.join(", "))
            }
            None => println!("{}: nothing works; ask for UDP and TCP 8801 or TLS 443", kind.kind),
        }
    }
    if report.works.is_empty() {
        println!(
            "no control channel, so links could not be tried: it takes TLS to the MMR's TLS port"
        );
    }
}
