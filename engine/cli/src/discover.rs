//! `herald discover`: a number looked up as calls do, with what each source said.

use core::fmt::Write;
use std::process::ExitCode;
use std::sync::mpsc::sync_channel;

use herald_runtime::stir::services::{FindingFault, LookedUp, LookupRequest, Said, Side, SourceReport};
use herald_runtime::{Config, Engine, Environment, Level, looked_up_json};
use serde_json::json;

use crate::args::Discover;
use crate::output::{EXIT_NOT_GOOD, EXIT_UNAVAILABLE, Failure, Output};
use crate::serve::{read_config, set_given};

pub(crate) fn run(
    discover: &Discover,
    properties: &[(&str, String)],
    output: &Output,
) -> Result<ExitCode, Failure> {
    let file = discover.config.as_deref().map(read_config).transpose()?;
    let mut config = Config::default();
    set_given(&mut config, file.as_ref(), properties)?;
    let side = if discover.calling { Side::Calling } else { Side::Called };
    let found = look_up(config.for_looking_up(), discover, side, output.is_json())?;
    let mut value = looked_up_json(&found);
    value["number"] = json!(discover.number.to_string());
    value["side"] = json!(side_name(side));
    output.answer(text(&found, discover, side), &value);
    Ok(match found.services {
        Ok(_) => ExitCode::SUCCESS,
        Err(FindingFault::Discovery(_)) => ExitCode::from(EXIT_UNAVAILABLE),
        Err(_) => ExitCode::from(EXIT_NOT_GOOD),
    })
}

/// Looks the number up with an engine that does nothing else.
fn look_up(config: Config, discover: &Discover, side: Side, json: bool) -> Result<LookedUp, Failure> {
    let report = move |level, message: &str| {
        if level > Level::Info {
            Output::report(json, level, message);
        }
    };
    let engine = Engine::open(config, Environment::system(report))?;
    engine.start()?;
    let (sender, receiver) = sync_channel(1);
    let request = LookupRequest { deadline_ms: 0, ..LookupRequest::new(discover.number, side) };
    engine.look_up(request, move |outcome| {
        // The receiver waits for this message and nothing else.
        let _ = sender.send(outcome);
    })?;
    let found = receiver.recv().map_err(Failure::unavailable)?.map_err(Failure::unavailable)?;
    engine.stop()?;
    Ok(found)
}

const fn side_name(side: Side) -> &'static str {
    match side {
        Side::Calling => "calling",
        Side::Called => "called",
    }
}

/// The services, one a line; explained, what each source said first.
fn text(found: &LookedUp, discover: &Discover, side: Side) -> String {
    let mut text = String::new();
    if discover.explain {
        let (side, policy) = (side_name(side), found.policy.name());
        let _ = writeln!(text, "{} for the {side} side, policy {policy}", discover.number);
        let width = found.reports.iter().map(|report| report.source.len()).max().unwrap_or(0);
        for report in &found.reports {
            let _ = writeln!(text, "  {:width$}  {}", report.source, said(report));
        }
        let _ = writeln!(text, "after {} ms:", found.took_ms);
    }
    match &found.services {
        Ok(services) => services.iter().for_each(|service| {
            let _ = writeln!(text, "{service}");
        }),
        Err(fault) => {
            let _ = writeln!(text, "none: {fault}");
        }
    }
    text.truncate(text.trim_end().len());
    text
}

fn said(report: &SourceReport) -> String {
    let took = format!("{:>5} ms", report.took_ms);
    match &report.said {
        Said::NotAsked => "         not asked".to_owned(),
        Said::Waiting => format!("{took}  no answer yet"),
        Said::Failed(fault) => format!("{took}  no answer: {fault}"),
        Said::Answered(found) => {
            let services: Vec<_> = found.services.iter().map(ToString::to_string).collect();
            let mut words = if services.is_empty() { "knows none".to_owned() } else { services.join(" ") };
            if !services.is_empty() {
                words += if found.is_proven { ", proven" } else { ", not proven" };
            }
            if found.is_kept {
                words += ", known from before";
            }
            if found.fresh_s > 0 {
                let _ = write!(words, ", fresh for {} s", found.fresh_s);
            }
            if !found.note.is_empty() {
                let note: String = found.note.chars().filter(|sign| !sign.is_control()).collect();
                let _ = write!(words, " ({note})");
            }
            format!("{took}  {words}")
        }
    }
}
