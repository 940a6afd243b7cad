//! The command line. Properties of the engine come from its own table.

use std::path::PathBuf;

use clap::{Arg, ArgMatches, Args, Parser, Subcommand};
use clap_complete::Shell;
use herald_runtime::PROPERTIES;
use herald_runtime::core::TelephoneNumber;
use herald_runtime::stir::{Attestation, Suite};

use crate::gateway::Gateway;
use crate::keys::Keys;
use crate::manual::shell;
use crate::plugin::Plugin;
use crate::table::TableCommand;

use crate::case::{Open, Seal, Sign, Verify};

/// Herald: a Call Placement Service (RFC 8816) and the tools around it.
///
/// A call's proof of identity (its PASSporT) travels beside the call: the calling side signs it, seals it for the
/// called side and stores it at the Call Placement Service under the called number; the called side retrieves it
/// when the call arrives. Between them the service holds only sealed bytes, among cover that looks the same.
#[derive(Parser)]
#[command(name = "herald", version)]
pub(crate) struct Cli {
    /// Answer in JSON, one object a line.
    #[arg(long, global = true)]
    pub json: bool,
    #[command(subcommand)]
    pub command: Command,
}

#[derive(Subcommand)]
pub(crate) enum Command {
    /// Run the Call Placement Service until SIGTERM or SIGINT. SIGHUP reads the TLS certificate and what plugins
    /// read again, and replaces plugins whose files have changed.
    Serve(Serve),
    /// Make keys and certificates: a signer's certificate with its numbers, and a sealing key. For trials: the
    /// authority that signs is made here too.
    Keygen(Keygen),
    /// Say for which keys calls to your numbers are sealed: make a key bundle, publish it, or show what is published.
    #[command(subcommand)]
    Keys(Keys),
    /// Store a sealed PASSporT under the called number.
    Store(Store),
    /// Show what waits under a called number. Some of it is cover; only the called side's key tells.
    Retrieve(Retrieve),
    /// Place a call: sign its PASSporT, seal it for the called side, store it under the called number.
    Place(Place),
    /// Check a call: retrieve what waits under the called number, open what opens, verify it, print the verdict.
    /// Ends with 0 if the call is verified, 1 if not.
    Check(Check),
    /// Take a SIP request's PASSporTs out of SIP to the called side, or back into SIP.
    #[command(subcommand)]
    Gateway(Gateway),
    /// Look up the Call Placement Services of a number as calls do, by the configuration of an engine. Ends with 1 if there
    /// is none to be used, 69 if the number could not be looked up.
    Discover(Discover),
    /// Judge what came with a call: a token, an Identity header field or a SIP request. Ends with 0 if it is
    /// accepted, 1 if it is rejected.
    Verify(Verify),
    /// Sign one PASSporT and print it.
    Sign(Sign),
    /// Seal one PASSporT for the called side.
    Seal(Seal),
    /// Open one sealed placement and print the PASSporT. Ends with 1 if no key opens it.
    Open(Open),
    /// Show, try out and begin plugins, for discovery and rate control.
    #[command(subcommand)]
    Plugin(Plugin),
    /// Compile, look up and show tables of Call Placement Services, for the plugin discovery-static.
    #[command(subcommand)]
    Table(TableCommand),
    /// Say whether the daemon would start with a configuration file: every wrong line with the nearest property, settings
    /// that contradict each other, files that are not what they should be. Ends with 2 if anything is wrong.
    CheckConfig(CheckConfig),
    /// Watch what an engine does, live, by reading its metrics (property metrics_listen). Ctrl-C ends it.
    Top(Top),
    /// Measure what this machine makes of the engine: stores and retrieves in process, beside the limits of its
    /// memory and disk. About 20 seconds, and what the system needs to hand out memory.
    Bench(Bench),
    /// Play a whole call on this machine, step by step, with a service that is killed on the way.
    Demo,
    /// Print a configuration file with every property and what it means. Those given as options are set in it, the others
    /// are told in comments.
    Config,
    /// Print a script by which a shell completes commands and options.
    Completions(Completions),
    /// Write the manual pages.
    #[command(hide = true)]
    Manual(Manual),
}

#[derive(Args)]
pub(crate) struct Serve {
    /// Read properties from this TOML file; those on the command line go before.
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// For trials: make an own TLS authority and certificate for this machine under the data folder, and listen
    /// on 127.0.0.1 if nothing else is said.
    #[arg(long)]
    pub dev: bool,
}

#[derive(Args)]
pub(crate) struct CheckConfig {
    /// The file, TOML.
    #[arg(value_name = "FILE")]
    pub file: PathBuf,
}

#[derive(Args)]
pub(crate) struct Top {
    /// Where the metrics are served.
    #[arg(long, value_name = "ADDRESS:PORT", default_value = "127.0.0.1:9464")]
    pub metrics: String,
    /// Look again after so long.
    #[arg(long, value_name = "SECONDS", default_value_t = 2.0)]
    pub every: f64,
    /// Look twice, print one picture of the time between, and end.
    #[arg(long)]
    pub once: bool,
}

#[derive(Args)]
pub(crate) struct Keygen {
    /// The folder to write to: signing.pem (certificate chain), signing.key, sealing.jwk (secret),
    /// sealing.pub.jwk (for callers).
    #[arg(long, value_name = "DIR")]
    pub out: PathBuf,
    /// The folder of the authority that signs, made if there is none; roots.pem there is what verifiers trust.
    #[arg(long, value_name = "DIR")]
    pub authority: PathBuf,
    /// A telephone number the signer stands for; may be given again.
    #[arg(long, value_name = "NUMBER")]
    pub number: Vec<TelephoneNumber>,
    /// A service provider code the signer stands for; may be given again.
    #[arg(long, value_name = "CODE")]
    pub spc: Vec<String>,
    /// The suite of the sealing key: that of the service calls are placed at.
    #[arg(long, value_name = "x25519|p256", default_value = "x25519", value_parser = suite)]
    pub suite: Suite,
}

/// Which service to ask.
#[derive(Args)]
pub(crate) struct Service {
    /// The Call Placement Service: https://HOST[:PORT] or unix:PATH.
    #[arg(long, value_name = "URL")]
    pub cps: String,
    /// The authorities its TLS certificate should chain to, PEM. Not needed for unix:PATH.
    #[arg(long, value_name = "FILE")]
    pub ca: Option<PathBuf>,
}

#[derive(Args)]
pub(crate) struct Store {
    #[command(flatten)]
    pub service: Service,
    /// The called number.
    #[arg(long, value_name = "NUMBER", required_unless_present = "batch")]
    pub number: Option<TelephoneNumber>,
    /// The sealed PASSporT; - reads standard input.
    #[arg(value_name = "FILE", required_unless_present = "batch")]
    pub file: Option<PathBuf>,
    /// Store many, a few hundred in a request: each line of this list has a called number, a space and the file of a
    /// sealed PASSporT, relative to the list's folder; - reads the list from standard input. Ends with 1 if any was
    /// refused.
    #[arg(long, value_name = "LIST", conflicts_with_all = ["number", "file"])]
    pub batch: Option<PathBuf>,
    /// What is stored is about a text message (RFC 9475), not a call: it lives as long as the service keeps messages.
    /// Refused by one that keeps none.
    #[arg(long)]
    pub message: bool,
}

#[derive(Args)]
pub(crate) struct Retrieve {
    #[command(flatten)]
    pub service: Service,
    /// The called number.
    #[arg(long, value_name = "NUMBER")]
    pub number: TelephoneNumber,
    /// Write each item to a file of its id in this folder.
    #[arg(long, value_name = "DIR")]
    pub out: Option<PathBuf>,
}

#[derive(Args)]
pub(crate) struct Place {
    #[command(flatten)]
    pub service: Service,
    /// The calling number.
    #[arg(long, value_name = "NUMBER")]
    pub from: TelephoneNumber,
    /// The called number.
    #[arg(long, value_name = "NUMBER")]
    pub to: TelephoneNumber,
    /// How well the caller is known: A fully, B partially, C gateway (RFC 8588).
    #[arg(long, value_name = "A|B|C", default_value = "A", value_parser = attestation)]
    pub attest: Attestation,
    /// The signer's private key, PEM.
    #[arg(long, value_name = "FILE")]
    pub key: PathBuf,
    /// The signer's certificate chain, PEM. That it may sign for the caller is checked; it goes into the PASSporT (x5c).
    #[arg(long, value_name = "FILE", required_unless_present = "x5u")]
    pub certificate: Option<PathBuf>,
    /// An https URL that serves the chain; it goes into the PASSporT instead of the chain.
    #[arg(long, value_name = "URL")]
    pub x5u: Option<String>,
    /// The called side's public sealing key, JWK; a copy is sealed for each one given.
    #[arg(long, value_name = "FILE", required = true)]
    pub recipient: Vec<PathBuf>,
}

#[derive(Args)]
pub(crate) struct Check {
    #[command(flatten)]
    pub service: Service,
    /// The calling number, as signalled.
    #[arg(long, value_name = "NUMBER")]
    pub from: TelephoneNumber,
    /// The called number.
    #[arg(long, value_name = "NUMBER")]
    pub to: TelephoneNumber,
    /// The called side's private sealing key, JWK; may be given again.
    #[arg(long, value_name = "FILE", required = true)]
    pub sealing_key: Vec<PathBuf>,
    /// The authorities that signers' certificates should chain to, PEM.
    #[arg(long, value_name = "FILE")]
    pub roots: PathBuf,
    /// The chain, PEM, for PASSporTs that name a URL instead of carrying it (nothing is fetched).
    #[arg(long, value_name = "FILE")]
    pub certificate: Option<PathBuf>,
    /// The value of an Identity header field that came with the call; may be given again.
    #[arg(long, value_name = "VALUE")]
    pub identity: Vec<String>,
    /// A setting of the verification policy, see docs/POLICY.md; may be given again.
    #[arg(long, value_name = "NAME=VALUE", value_parser = setting)]
    pub policy: Vec<(String, String)>,
}

#[derive(Args)]
pub(crate) struct Discover {
    /// The called number.
    #[arg(value_name = "NUMBER")]
    pub number: TelephoneNumber,
    /// Read properties from this TOML file, such as that of a daemon; those on the command line go before.
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Ask as the calling side, which stores.
    #[arg(long, conflicts_with = "called")]
    pub calling: bool,
    /// Ask as the called side, which retrieves; so it is if nothing is said.
    #[arg(long)]
    pub called: bool,
    /// Show what each source said, how long it took, and whose word counts.
    #[arg(long)]
    pub explain: bool,
}

#[derive(Args)]
pub(crate) struct Bench {
    /// How long to measure, in all.
    #[arg(long, value_name = "SECONDS", default_value_t = 20.0)]
    pub seconds: f64,
    /// Measure the disk of this folder; what is written goes to a folder inside that is removed. The folder for
    /// temporary files if not given.
    #[arg(long, value_name = "FOLDER")]
    pub data: Option<PathBuf>,
    /// Memory for placements, as in 256MiB; the copy beside them takes as much again. An eighth of what is
    /// available if not given, 1 GiB at most.
    #[arg(long, value_name = "SIZE")]
    pub memory: Option<String>,
}

#[derive(Args)]
pub(crate) struct Completions {
    /// The shell.
    #[arg(value_name = "bash|zsh|fish", value_parser = shell)]
    pub shell: Shell,
}

#[derive(Args)]
pub(crate) struct Manual {
    /// The folder to write to, made if there is none.
    #[arg(long, value_name = "DIR")]
    pub out: PathBuf,
}

pub(crate) fn suite(name: &str) -> Result<Suite, &'static str> {
    match name {
        "x25519" => Ok(Suite::X25519),
        "p256" => Ok(Suite::P256),
        _ => Err("a suite is x25519 or p256"),
    }
}

pub(crate) fn attestation(letter: &str) -> Result<Attestation, &'static str> {
    Attestation::from_letter(letter).ok_or("an attestation is A, B or C")
}

pub(crate) fn setting(text: &str) -> Result<(String, String), &'static str> {
    let (name, value) = text.split_once('=').ok_or("it has the form NAME=VALUE")?;
    Ok((name.to_owned(), value.to_owned()))
}

/// The command line with an option for each property of the engine.
pub(crate) fn with_properties(command: clap::Command) -> clap::Command {
    ["serve", "discover", "config"].into_iter().fold(command, |command, name| {
        command.mut_subcommand(name, |subcommand| {
            subcommand.args(PROPERTIES.iter().map(|property| {
                let help = format!("{} [default: {}]", property.meaning, property.default);
                Arg::new(property.name).long(property.option).value_name(property.form).help(help)
            }))
        })
    })
}

/// The properties given on the command line.
pub(crate) fn properties_given(matches: &ArgMatches) -> Vec<(&'static str, String)> {
    let given = |name| matches.get_one::<String>(name).cloned();
    PROPERTIES.iter().filter_map(|property| Some((property.name, given(property.name)?))).collect()
}
