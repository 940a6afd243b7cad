//! `herald serve`: the service as a daemon.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use herald_runtime::net::Address;
use herald_runtime::{Config, Engine, Environment, Level, LogFormat};
use serde_json::json;
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::Signals;

use crate::args::Serve;
use crate::development;
use crate::log::Log;
use crate::notify::Manager;
use crate::output::{Failure, Output};

pub(crate) fn run(
    serve: &Serve,
    properties: &[(&str, String)],
    output: &Output,
) -> Result<ExitCode, Failure> {
    let file = serve.config.as_deref().map(read_config).transpose()?;
    let given = |config: &mut Config| set_given(config, file.as_ref(), properties);
    let mut config = Config::default();
    given(&mut config)?;
    let ca = if serve.dev { Some(prepare_development(&mut config)?) } else { None };
    // What is given goes before what --dev supplies.
    given(&mut config)?;
    if !config.has_listeners() {
        return Err(Failure::usage("nothing to listen on: set listen or unix_socket, or try --dev"));
    }
    let told = std::env::var_os("NOTIFY_SOCKET");
    let manager =
        Manager::new(told.as_deref()).map_err(|error| Failure::usage(format!("NOTIFY_SOCKET: {error}")))?;
    // Before the engine starts, so that no signal finds the process without a handler.
    let mut signals = Signals::new([SIGTERM, SIGINT, SIGHUP]).map_err(Failure::unavailable)?;
    let format = if output.is_json() { LogFormat::Json } else { config.log_format() };
    let log = Log::new(format, std::env::var("JOURNAL_STREAM").ok().as_deref());
    let environment = Environment::system(move |level, message| log.write(level, message));
    let engine = Engine::open(config, environment)?;
    engine.start()?;
    for address in engine.addresses() {
        announce(output, address, ca.as_deref());
    }
    if let Some(Address::Tcp(address)) = engine.metrics_address() {
        log.write(Level::Info, &format!("metrics are served at http://{address}/metrics"));
    }
    serve_until_told(&engine, &mut signals, &manager, log);
    manager.stopping();
    log.write(Level::Info, "stopping: requests under way may finish");
    engine.stop()?;
    Ok(ExitCode::SUCCESS)
}

/// Serves, and reads files again on SIGHUP, until another signal comes.
fn serve_until_told(engine: &Engine, signals: &mut Signals, manager: &Manager, log: Log) {
    let places: Vec<_> = engine.addresses().iter().map(|address| url(address).0).collect();
    let serving = format!("serving {}", places.join(", "));
    manager.ready(&serving);
    for _ in signals.forever().take_while(|&signal| signal == SIGHUP) {
        manager.reloading();
        reload(engine, log);
        manager.ready(&serving);
    }
}

/// Sets what is given: the file first, then the command line.
pub(crate) fn set_given(
    config: &mut Config,
    file: Option<&(&Path, String)>,
    properties: &[(&str, String)],
) -> Result<(), Failure> {
    if let Some((path, text)) = file {
        let named = |error| Failure::usage(format!("{}: {error}", path.display()));
        config.set_all(text).map_err(named)?;
    }
    properties.iter().try_for_each(|(name, value)| config.set(name, value)).map_err(Failure::usage)
}

pub(crate) fn read_config(path: &Path) -> Result<(&Path, String), Failure> {
    let text = std::fs::read_to_string(path);
    Ok((path, text.map_err(|error| Failure::usage(format!("{}: {error}", path.display())))?))
}

fn prepare_development(config: &mut Config) -> Result<PathBuf, Failure> {
    let data = config.data().ok_or_else(|| {
        Failure::usage("--dev needs data for its certificates and its journal: add --data DIR")
    })?;
    let files = development::tls_files(data).map_err(Failure::usage)?;
    let mut set = |name, value: &str| config.set(name, value).map_err(Failure::usage);
    set("tls_certificate", &files.certificate.to_string_lossy())?;
    set("tls_key", &files.key.to_string_lossy())?;
    if !config.has_listeners() {
        config.set("listen", "127.0.0.1:0").map_err(Failure::usage)?;
    }
    Ok(files.ca)
}

fn announce(output: &Output, address: &Address, ca: Option<&Path>) {
    let (url, over_tls) = url(address);
    let ca = ca.filter(|_| over_tls).map(|path| path.display().to_string());
    let text = match &ca {
        Some(ca) => format!("listening {url} ca={ca}"),
        None => format!("listening {url}"),
    };
    output.answer(text, &json!({ "listening": url, "ca": ca }));
}

/// The URL of a listener, and whether it speaks TLS.
fn url(address: &Address) -> (String, bool) {
    match address {
        Address::Tcp(address) => (format!("https://{address}"), true),
        Address::Unix(path) => (format!("unix:{}", path.display()), false),
    }
}

fn reload(engine: &Engine, log: Log) {
    match engine.reload() {
        Ok(()) => log.write(Level::Info, "certificates, keys, lists and plugins were read again"),
        Err(error) => log.write(Level::Error, &error.to_string()),
    }
}
