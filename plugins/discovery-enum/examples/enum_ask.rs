//! Asks the plugin for a number, as a table that is opened from a test would: `enum_ask NAME=VALUE... NUMBER`.
//!
//! Prints the services, one a line, then `#` and how they were found and for how many seconds they hold.
#![allow(clippy::print_stdout, reason = "it is a program")]

use std::process::ExitCode;

use herald_discovery_enum::Enum;
use herald_plugin_sdk::harness::{Discovery, Reply};
use herald_plugin_sdk::{Side, discovery_entry};

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match run(&arguments) {
        Ok(text) => {
            print!("{text}");
            ExitCode::SUCCESS
        }
        Err(words) => {
            println!("# {words}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: &[String]) -> Result<String, String> {
    let (number, settings) = arguments.split_last().ok_or("usage: enum_ask NAME=VALUE... NUMBER")?;
    let settings: Vec<(&str, &str)> = settings
        .iter()
        .map(|text| text.split_once('=').ok_or("settings are NAME=VALUE"))
        .collect::<Result<_, _>>()?;
    let plugin = Discovery::open(discovery_entry::<Enum>, &settings)?;
    match plugin.find(number, Side::Calling) {
        Reply::Found(answer) | Reply::Nothing(answer) => {
            let uris: String = answer.uris.iter().map(|uri| format!("{uri}\n")).collect();
            Ok(format!("{uris}# {} s: {}\n", answer.fresh_s, answer.note))
        }
        Reply::Failed => Err(plugin.stage().heard().join("; ")),
        Reply::TimedOut => Err("no answer".to_owned()),
    }
}
