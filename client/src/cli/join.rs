//! `mmr-client join`: the whole way in, then publishing, recording, or both.

use super::args::JoinArgs;
use super::{Exit, exit_of, publish, record, show, stop};
use client::{
    ClientError, JoinOptions, PublishOptions, PublishReport, Publisher, RecordOptions,
    RecordReport, Recorder, StepSink, WayReport, no_progress,
};
use serde::Serialize;
use tokio::sync::watch;
use wire::Kind;

/// What is printed as JSON in the end.
#[derive(Default, Serialize)]
struct Report {
    /// How publishing went.
    publish: Option<PublishReport>,
    /// How recording went.
    record: Option<RecordReport>,
    /// Why there was nothing of it.
    failed: Option<Failed>,
}

/// What went wrong.
#[derive(Serialize)]
struct Failed {
    error: String,
    /// The page for browsers, and everything that was tried: when nothing worked.
    link: Option<String>,
    way: Option<WayReport>,
}

impl From<&ClientError> for Failed {
    fn from(error: &ClientError) -> Self {
        let text = error.to_string();
        match error {
            ClientError::NoWay { link, cause, report } => {
                let (link, way) = (Some(link.clone()), Some((**report).clone()));
                Self { error: cause.to_string(), link, way }
            }
            _ => Self { error: text, link: None, way: None },
        }
    }
}

pub(super) async fn run(args: JoinArgs) -> Result<Exit, ClientError> {
    let json = args.network.json;
    match join(&args).await {
        Ok(report) if json => show::json(&report),
        Ok(report) => tell(&report),
        Err(error) if json => {
            show::json(&Report { failed: Some(Failed::from(&error)), ..Report::default() });
            return Ok(exit_of(&error));
        }
        Err(error) => return Err(error),
    }
    Ok(Exit::Done)
}

/// Who records comes first and goes last: it misses nothing of who publishes.
async fn join(args: &JoinArgs) -> Result<Report, ClientError> {
    let sources = publish::sources(&args.media)?;
    let publishes = !sources.is_empty();
    let recorder = match &args.record {
        Some(folder) => {
            let join = options(args, if publishes { "-recorder" } else { "" })?;
            let (kinds, folder) = (Kind::ALL.to_vec(), Some(folder.clone()));
            Some(Recorder::join(RecordOptions { join, kinds, max_layer: u8::MAX, folder }).await?)
        }
        None => None,
    };
    let publisher = if publishes {
        let (join, repeat, duration) = (options(args, "")?, args.media.repeat, args.duration);
        Some(Publisher::join(PublishOptions { join, sources, repeat, duration }).await?)
    } else {
        None
    };
    let (ended, mut over) = watch::channel(false);
    let (failed, mut failing) = watch::channel(false);
    let publishing = async {
        let Some(publisher) = publisher else { return Ok(None) };
        let end = async {
            tokio::select! {
                () = stop(None) => {}
                // Who wanted a recording would publish for nothing.
                Ok(_) = failing.wait_for(|failed| *failed) => {}
            }
        };
        let report = publisher.run(end, &no_progress()).await;
        ended.send_replace(true);
        report.map(Some)
    };
    let recording = async {
        let Some(recorder) = recorder else { return Ok(None) };
        let end = async {
            if publishes {
                // An error would say that who publishes is gone, too.
                let _ = over.wait_for(|over| *over).await;
            } else {
                stop(args.duration).await;
            }
        };
        let recorded = recorder.run(end, None, &no_progress()).await;
        failed.send_replace(recorded.is_err());
        recorded.map(Some)
    };
    let (publish, record) = tokio::join!(publishing, recording);
    // Whatever became of publishing: what was recorded is there.
    if let (Some(folder), Ok(Some(report))) = (&args.record, &record) {
        record::write_summary(folder, report)?;
    }
    let (publish, record) = (publish?, record?);
    Ok(Report { publish, record, failed: None })
}

fn options(args: &JoinArgs, suffix: &str) -> Result<JoinOptions, ClientError> {
    let mut options = args.join(suffix)?;
    if !args.network.json {
        options.told = StepSink::new(show::step);
    }
    Ok(options)
}

fn tell(report: &Report) {
    if let Some(report) = &report.publish {
        println!();
        show::way(&report.way);
        publish::show(report);
    }
    if let Some(report) = &report.record {
        println!();
        show::way(&report.way);
        record::show(report);
    }
}
