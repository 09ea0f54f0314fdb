//! `zone-controller simulate`: compares strategies without a zone.

use super::args::SimulateArgs;
use crate::placement::Strategy;
use crate::simulate::{Outcome, Scenario, play, plot};
use ::daemon::{Failure, say};

pub(super) fn simulate(args: &SimulateArgs) -> Result<(), Failure> {
    let scenario = Scenario {
        mmrs: args.mmrs.into(),
        joins: usize::try_from(args.joins).unwrap_or(usize::MAX),
        burst: args.burst,
        meeting: f64::from(args.meeting),
        fill: f64::from(args.fill_percent) / 100.0,
        deaths: args.deaths.into(),
        seed: args.seed,
        ..Scenario::default()
    };
    say(&format!(
        "{} MMRs, {} people within {:?}, {} MMRs die, seed {}. Load as it is: 1 is full.\n\n{:<13}{}\n",
        scenario.mmrs,
        scenario.joins,
        scenario.burst,
        scenario.deaths,
        scenario.seed,
        "strategy",
        "  mean  spread    p50    p99   most   peak  overloaded  refusals   placed  displaced  replaced after (median, longest)",
    ))?;
    let mut outcomes = Vec::new();
    for strategy in Strategy::ALL {
        let outcome = play(&scenario, strategy);
        say(&row(&outcome))?;
        outcomes.push(outcome);
    }
    if let Some(file) = &args.html {
        std::fs::write(file, plot::page(&scenario, &outcomes)).map_err(|cause| {
            let shown = file.display();
            Failure::failed(format!("{shown} can't be written: {cause}. Name another with --html."))
        })?;
        say(&format!("\nplots: {}\n", file.display()))?;
    }
    Ok(())
}

fn row(outcome: &Outcome) -> String {
    let mean = outcome.course.last().map_or(0.0, |sample| sample.mean);
    let [median, longest] = outcome.replaced_after;
    format!(
        "{:<13}{mean:>6.2}{:>8.3}{:>7.2}{:>7.2}{:>7.2}{:>7.2}{:>12}{:>10}{:>9}{:>11}  {:.1} s, {:.1} s\n",
        outcome.strategy.name(),
        outcome.spread(),
        outcome.quantile(0.5),
        outcome.quantile(0.99),
        outcome.quantile(1.0),
        outcome.peak(),
        outcome.overloaded(),
        outcome.refusals,
        outcome.placed,
        outcome.displaced,
        median.as_secs_f64(),
        longest.as_secs_f64(),
    )
}
