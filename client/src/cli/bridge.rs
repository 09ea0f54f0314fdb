//! `mmr-client bridge`.

use super::args::BridgeArgs;
use super::{Exit, show, stop};
use client::{Bridge, BridgeOptions, BridgeReport, ClientError, RtpOutput};

pub(super) async fn run(args: BridgeArgs) -> Result<Exit, ClientError> {
    let BridgeArgs { at, inputs, output, sdp, duration } = args;
    let output = output.zip(sdp).map(|(address, sdp)| RtpOutput { address, sdp });
    let bridge = Bridge::join(BridgeOptions { join: at.join()?, inputs, output }).await?;
    let (bar, progress) = show::progress("bridging");
    let report = bridge.run(stop(duration), duration, &progress).await;
    bar.finish_and_clear();
    let report = report?;
    if at.network.json {
        show::json(&report)
    } else {
        show(&report)
    }
    Ok(Exit::Done)
}

fn show(report: &BridgeReport) {
    println!("{} bridged", report.participant);
    for input in &report.inputs {
        println!(
            "in  {:<8} {}: {} packets, {} frames sent, {} incomplete, {} refused",
            input.kind,
            input.address,
            input.received,
            input.sent.frames,
            input.frames_incomplete,
            input.frames_refused,
        );
    }
    for output in &report.outputs {
        println!(
            "out {:<8} {}: {} packets of {}, {} lost",
            output.kind, output.address, output.packets, output.participant, output.lost
        );
    }
}
