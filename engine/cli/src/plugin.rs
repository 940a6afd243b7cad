//! `herald plugin`: plugins listed, tried out, and begun.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use clap::{Args, Subcommand, ValueEnum};
use herald_runtime::core::TelephoneNumber;
use herald_runtime::{Config, PluginStatus, check_plugin, list_plugins};
use serde_json::{Value, json};

use crate::args::setting;
use crate::calls::read_text;
use crate::development::write;
use crate::output::{EXIT_NOT_GOOD, Failure, Output};

#[derive(Subcommand)]
pub(crate) enum Plugin {
    /// Show the plugins that a configuration or paths name. They are loaded, not opened.
    List(List),
    /// Try a plugin out: load it, open it, call each of its functions, close it. Ends with 0 if it does what it should, 1
    /// if not.
    Check(Check),
    /// Begin a plugin: write sources that work.
    New(New),
}

#[derive(Args)]
pub(crate) struct List {
    /// Shared objects, or folders of them.
    #[arg(value_name = "PATH", required_unless_present = "config")]
    pub paths: Vec<PathBuf>,
    /// The configuration file of a service, for its property plugins.
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
}

#[derive(Args)]
pub(crate) struct Check {
    /// The shared object.
    #[arg(value_name = "FILE")]
    pub file: PathBuf,
    /// A setting of the plugin; may be given again.
    #[arg(long, value_name = "NAME=VALUE", value_parser = setting)]
    pub setting: Vec<(String, String)>,
    /// A number to ask a discovery plugin for; may be given again. A number set aside for fiction if not given.
    #[arg(long, value_name = "NUMBER")]
    pub number: Vec<TelephoneNumber>,
}

#[derive(Args)]
pub(crate) struct New {
    /// Its name: lower-case letters, digits and hyphens, up to 32. A folder of this name is made.
    #[arg(value_name = "NAME")]
    pub name: String,
    /// What it is to do.
    #[arg(long, value_enum)]
    pub kind: Kind,
    /// The language it is written in.
    #[arg(long, value_enum)]
    pub lang: Lang,
    /// For Rust: the folder plugins/sdk of Herald's sources.
    #[arg(long, value_name = "FOLDER", required_if_eq("lang", "rust"))]
    pub sdk: Option<PathBuf>,
}

#[derive(Clone, Copy, ValueEnum)]
pub(crate) enum Kind {
    /// Finds the Call Placement Services of numbers.
    Discovery,
    /// Makes, issues and redeems tokens.
    RateControl,
}

#[derive(Clone, Copy, ValueEnum)]
pub(crate) enum Lang {
    C,
    Rust,
}

const NAME_BYTES_MAX: usize = 32;
/// A number set aside for fiction.
const NUMBER: &str = "12025550123";
const HEADER: &str = include_str!("../../../include/herald_plugin.h");
const PREFIX_C: &str = include_str!("../../../plugins/example-c/prefix.c");
const TOKENS_C: &str = include_str!("../../../plugins/example-c/tokens.c");
const DISCOVERY_RS: &str = include_str!("../skeletons/discovery.rs");
const RATE_CONTROL_RS: &str = include_str!("../skeletons/rate_control.rs");
const MANIFEST: &str = include_str!("../skeletons/Cargo.toml.in");

pub(crate) fn run(plugin: &Plugin, output: &Output) -> Result<ExitCode, Failure> {
    match plugin {
        Plugin::List(list) => self::list(list, output),
        Plugin::Check(check) => self::check(check, output),
        Plugin::New(new) => self::new(new, output),
    }
}

fn list(list: &List, output: &Output) -> Result<ExitCode, Failure> {
    let mut config = Config::default();
    if let Some(path) = &list.config {
        let text = read_text(path)?;
        config.set_all(&text).map_err(|error| Failure::usage(format!("{}: {error}", path.display())))?;
    }
    if !list.paths.is_empty() {
        let paths = list.paths.iter().map(|path| Ok(absolute(path)?.display().to_string()));
        let paths = paths.collect::<Result<Vec<_>, Failure>>()?.join(",");
        config.set("plugins", &paths).map_err(Failure::usage)?;
    }
    for status in list_plugins(&config)? {
        output.answer(line(&status), &members(&status));
    }
    Ok(ExitCode::SUCCESS)
}

fn check(check: &Check, output: &Output) -> Result<ExitCode, Failure> {
    let numbers = match check.number.as_slice() {
        [] => vec![NUMBER.parse().map_err(Failure::usage)?],
        numbers => numbers.to_vec(),
    };
    let json = output.is_json();
    let report = Arc::new(move |level, line: &str| Output::report(json, level, line));
    let checked = check_plugin(&absolute(&check.file)?, &check.setting, &numbers, report)?;
    output.answer(line(&checked.status), &members(&checked.status));
    for trial in &checked.trials {
        let (word, text) = match &trial.outcome {
            Ok(text) => ("ok", text),
            Err(why) => ("WRONG", why),
        };
        let ms = trial.took.as_secs_f64() * 1000.0;
        output.answer(
            format!("{word:<6} {}: {text}  [{ms:.1} ms]", trial.what),
            &json!({ "trial": trial.what, "good": trial.outcome.is_ok(), "text": text, "ms": ms }),
        );
    }
    let is_good = checked.trials.iter().all(|trial| trial.outcome.is_ok());
    let verdict = if is_good { "it does what it should" } else { "it does what it should not" };
    output.answer(verdict, &json!({ "good": is_good }));
    Ok(if is_good { ExitCode::SUCCESS } else { ExitCode::from(EXIT_NOT_GOOD) })
}

fn new(new: &New, output: &Output) -> Result<ExitCode, Failure> {
    let is_plain = |sign: u8| sign.is_ascii_lowercase() || sign.is_ascii_digit() || sign == b'-';
    if !new.name.starts_with(|sign: char| sign.is_ascii_lowercase())
        || !new.name.bytes().all(is_plain)
        || new.name.len() > NAME_BYTES_MAX
    {
        return Err(Failure::usage(
            "a name has lower-case letters, digits and hyphens, up to 32, a letter first",
        ));
    }
    let folder = PathBuf::from(&new.name);
    fs::create_dir(&folder).map_err(|error| Failure::usage(format!("{}: {error}", folder.display())))?;
    let build = match new.lang {
        Lang::C => write_c(&new.name, new.kind, &folder)?,
        Lang::Rust => new_rust(new, &folder)?,
    };
    let setting = match new.kind {
        Kind::Discovery => " --setting uri=https://cps.example",
        Kind::RateControl => "",
    };
    let object = match new.lang {
        Lang::C => format!("{}.so", new.name),
        Lang::Rust => format!("target/release/lib{}.so", new.name.replace('-', "_")),
    };
    let (build, check) =
        (format!("cd {} && {build}", new.name), format!("herald plugin check {object}{setting}"));
    output.answer(format!("{build}\n{check}"), &json!({ "build": build, "check": check }));
    Ok(ExitCode::SUCCESS)
}

/// Writes the source of a plugin in C and its header. Returns the line that compiles it there.
pub(crate) fn write_c(name: &str, kind: Kind, folder: &Path) -> Result<String, Failure> {
    let (source, known) = match kind {
        Kind::Discovery => (PREFIX_C, "example-c"),
        Kind::RateControl => (TOKENS_C, "example-tokens"),
    };
    let (file, line) = (format!("{name}.c"), compile_line(name));
    let mut text = String::new();
    for known_line in source.lines() {
        // The example's own compile line is the only one that names the compiler.
        text += &match known_line.strip_prefix(" *     cc ") {
            Some(_) => format!(" *     {line}\n"),
            None => format!("{}\n", known_line.replace(&format!("\"{known}\""), &format!("\"{name}\""))),
        };
    }
    write(&folder.join(file), &text, false).map_err(Failure::usage)?;
    write(&folder.join("herald_plugin.h"), HEADER, false).map_err(Failure::usage)?;
    Ok(line)
}

fn compile_line(name: &str) -> String {
    format!("cc -std=c11 -Wall -Wextra -fPIC -shared {name}.c -o {name}.so")
}

fn new_rust(new: &New, folder: &Path) -> Result<String, Failure> {
    let sdk = absolute(new.sdk.as_deref().unwrap_or(Path::new("")))?;
    if !sdk.join("Cargo.toml").is_file() {
        return Err(Failure::usage(format!("{}: is no folder with the SDK of Herald", sdk.display())));
    }
    let source = match new.kind {
        Kind::Discovery => DISCOVERY_RS,
        Kind::RateControl => RATE_CONTROL_RS,
    };
    let manifest = MANIFEST.replace("NAME", &new.name).replace("SDK", &sdk.display().to_string());
    fs::create_dir(folder.join("src")).map_err(Failure::usage)?;
    write(&folder.join("Cargo.toml"), &manifest, false).map_err(Failure::usage)?;
    let text = source.replace("c\"NAME\"", &format!("c\"{}\"", new.name));
    write(&folder.join("src/lib.rs"), &text, false).map_err(Failure::usage)?;
    Ok("cargo build --release".to_owned())
}

fn absolute(path: &Path) -> Result<PathBuf, Failure> {
    std::path::absolute(path).map_err(|error| Failure::usage(format!("{}: {error}", path.display())))
}

fn line(status: &PluginStatus) -> String {
    let path = status.path.as_ref().map_or_else(String::new, |path| format!("  {}", path.display()));
    format!("{}  {}  {}  {}{path}", status.name, status.kind, status.version, status.summary)
}

fn members(status: &PluginStatus) -> Value {
    json!({
        "name": status.name, "kind": status.kind, "version": status.version, "summary": status.summary,
        "path": status.path.as_ref().map(|path| path.display().to_string()),
    })
}
