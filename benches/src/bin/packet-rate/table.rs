//! The figures for a terminal.

use crate::error::BenchError;
use crate::results::{Refusal, Results, Spread};
use crate::rig::Device;
use crate::run::Plan;
use crate::shape::Shape;
use crate::targets::Verdict;
use std::fmt::Write;

/// Every shape's table, then what was not measured, then the targets.
pub(crate) fn render(shapes: &[Shape], results: &Results, targets: &[Verdict]) -> String {
    let mut text = String::new();
    for shape in shapes {
        let _ = writeln!(text, "\n{}: {} ({})", shape.name, shape.about, shape.device.name());
        for (metric, contenders) in metrics(shape, results) {
            let _ = writeln!(text, "  {metric}");
            for contender in contenders {
                let Some(spread) = results.spread(shape.name, contender, &metric) else { continue };
                let _ = write!(text, "    {contender:<10}{}", columns(spread));
                let to = (shape.name, "floor");
                let ratio = results.ratio((shape.name, contender), to, &metric);
                if let Some(ratio) = ratio.filter(|_| contender != "floor") {
                    let _ = write!(text, "   {:>6.2} × floor", ratio.median);
                    let _ = write!(text, "  ({:.2} … {:.2})", ratio.min, ratio.max);
                }
                text.push('\n');
            }
        }
    }
    for Refusal { shape, contender, round, why } in &results.refusals {
        let _ = write!(text, "\nno figures of {contender} at {shape}, round {}: {why}", round + 1);
    }
    for Verdict { number, about, median, min, max, at_most, met } in targets {
        let _ = write!(
            text,
            "\n{number}  {about}: {median:.3} ({min:.3} … {max:.3}), at most {at_most}: "
        );
        text.push_str(if *met { "met" } else { "MISSED" });
    }
    text.push('\n');
    text
}

fn columns(Spread { min, median, max }: Spread) -> String {
    format!("{:>12} {:>12} {:>12}", number(min), number(median), number(max))
}

fn number(value: f64) -> String {
    match value.abs() {
        big if big >= 1_000.0 => format!("{value:.0}"),
        small if small < 10.0 => format!("{value:.3}"),
        _ => format!("{value:.1}"),
    }
}

/// Metrics of a shape in the order they were first noted, with who has them.
fn metrics(shape: &Shape, results: &Results) -> Vec<(String, Vec<&'static str>)> {
    let mut metrics: Vec<(String, Vec<&'static str>)> = Vec::new();
    for sample in results.samples.iter().filter(|sample| sample.shape == shape.name) {
        let place = metrics.iter().position(|(metric, _)| *metric == sample.metric);
        let place = place.unwrap_or_else(|| {
            metrics.push((sample.metric.clone(), Vec::new()));
            metrics.len() - 1
        });
        if !metrics[place].1.contains(&sample.contender) {
            metrics[place].1.push(sample.contender);
        }
    }
    metrics
}

/// That every contender delivered what it was sent: what `--quick` is for.
///
/// # Errors
/// Somebody delivered less than half.
pub(crate) fn assert_delivered(plan: &Plan, results: &Results) -> Result<(), BenchError> {
    for shape in &plan.shapes {
        for contender in plan.contenders(shape) {
            let loss = results.spread(shape.name, contender.name(), "loss");
            if loss.is_none_or(|loss| loss.max > 0.5) {
                let who = format!("{} at {}", contender.name(), shape.name);
                return Err(BenchError::part(
                    who,
                    format!("it delivered too little: {loss:?} lost"),
                ));
            }
        }
    }
    Ok(())
}

/// What stands over everything that was not measured on a wire.
pub(crate) fn caveat(shapes: &[Shape]) -> Option<&'static str> {
    let loopback = shapes.iter().any(|shape| shape.device == Device::Loopback);
    loopback.then(|| Device::Loopback.name())
}
