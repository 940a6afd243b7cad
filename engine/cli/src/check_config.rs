//! `herald check-config`: whether a daemon would start with a configuration file, without starting one.

use std::process::ExitCode;

use herald_runtime::{Config, ConfigError, Engine, EngineError};
use serde_json::json;

use crate::args::CheckConfig;
use crate::output::{EXIT_USAGE, Failure, Output};
use crate::serve::read_config;

pub(crate) fn run(check: &CheckConfig, output: &Output) -> Result<ExitCode, Failure> {
    let (path, text) = read_config(&check.file)?;
    let mut config = Config::default();
    let wrong = config.set_good(&text);
    for error in &wrong {
        say(output, &path.display().to_string(), error.line(), error);
    }
    if !wrong.is_empty() {
        return Ok(ExitCode::from(EXIT_USAGE));
    }
    if let Err(error) = usable(config) {
        say(output, &path.display().to_string(), None, &error);
        return Ok(ExitCode::from(EXIT_USAGE));
    }
    let good = format!("{} is good", path.display());
    output.answer(good, &json!({ "file": path.display().to_string(), "good": true }));
    Ok(ExitCode::SUCCESS)
}

/// Whether the settings go together and the files that they name are what they should be.
fn usable(config: Config) -> Result<(), EngineError> {
    if !config.has_listeners() {
        return Err(ConfigError::new("nothing to listen on: set listen or unix_socket").into());
    }
    Engine::try_config(config)
}

fn say(output: &Output, file: &str, line: Option<usize>, error: &dyn std::fmt::Display) {
    let text = format!("{file}: {error}");
    output.answer(text, &json!({ "file": file, "good": false, "line": line, "message": error.to_string() }));
}
