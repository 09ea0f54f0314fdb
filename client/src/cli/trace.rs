//! `mmr-client trace`.

use super::args::TraceArgs;
use super::{Exit, show};
use client::{ClientError, TraceReport, TraceStep};
use wire::Kind;

pub(super) async fn run(args: TraceArgs) -> Result<Exit, ClientError> {
    let TraceArgs { at, kinds } = args;
    let kinds = if kinds.is_empty() { vec![Kind::Audio] } else { kinds };
    let json = at.json;
    let report = client::trace(at.join()?, &kinds, |step| {
        if !json {
            show_step(step);
        }
    });
    let report = report.await?;
    if json {
        show::json(&report)
    } else {
        show(&report)
    }
    Ok(if report.connects() { Exit::Done } else { Exit::Unreachable })
}

fn show_step(step: &TraceStep) {
    let way = match (step.kind, step.transport) {
        (Some(kind), Some(transport)) => format!("{kind} {transport}"),
        (Some(kind), None) => kind.to_string(),
        _ => "control".into(),
    };
    let (mark, detail) = match (&step.error, &step.detail) {
        (Some(error), _) => ("FAIL", error.as_str()),
        (None, detail) => ("ok", detail.as_deref().unwrap_or("")),
    };
    let (at, took) = (show::millis(step.at_us), show::millis(step.took_us));
    println!(
        "{at:>10}  {mark:<4} {way:<13} {:<10} {took:>10}  {}  {detail}",
        step.step, step.target
    );
}

fn show(report: &TraceReport) {
    println!();
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
