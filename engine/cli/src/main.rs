//! The `herald` program: the Call Placement Service as a daemon, and the tools to place and check calls.
//!
//! It parses arguments, reads files and prints; everything else is the runtime's.

mod args;
mod bench;
mod calls;
mod case;
mod check_config;
mod config_file;
mod demo;
mod development;
mod discover;
mod gateway;
mod keygen;
mod keys;
mod log;
mod manual;
mod notify;
mod output;
mod plugin;
mod serve;
mod services;
mod store_batch;
mod table;
mod top;

use std::process::ExitCode;

use args::{Cli, Command};
use clap::{CommandFactory, FromArgMatches};
use output::Output;

fn main() -> ExitCode {
    let matches = args::with_properties(Cli::command()).get_matches();
    let cli = match Cli::from_arg_matches(&matches) {
        Ok(cli) => cli,
        Err(error) => error.exit(),
    };
    let output = Output::new(cli.json);
    let properties = |name| matches.subcommand_matches(name).map_or_else(Vec::new, args::properties_given);
    let result = match &cli.command {
        Command::Serve(serve) => serve::run(serve, &properties("serve"), &output),
        Command::Discover(discover) => discover::run(discover, &properties("discover"), &output),
        Command::Keygen(keygen) => keygen::run(keygen, &output),
        Command::Keys(keys) => keys::run(keys, &output),
        Command::Store(store) => calls::store(store, &output),
        Command::Retrieve(retrieve) => calls::retrieve(retrieve, &output),
        Command::Place(place) => services::place(place, &output),
        Command::Check(check) => services::check(check, &output),
        Command::Gateway(gateway) => gateway::run(gateway, &output),
        Command::Verify(verify) => case::verify(verify, &output),
        Command::Sign(sign) => case::sign(sign, &output),
        Command::Seal(seal) => case::seal(seal, &output),
        Command::Open(open) => case::open(open, &output),
        Command::Plugin(plugin) => plugin::run(plugin, &output),
        Command::Table(command) => table::run(command, &output),
        Command::Bench(bench) => bench::run(bench, &output),
        Command::Demo => demo::run(&output),
        Command::Config => config_file::run(&properties("config"), &output),
        Command::CheckConfig(check) => check_config::run(check, &output),
        Command::Top(top) => top::run(top, &output),
        Command::Completions(chosen) => Ok(manual::completions(chosen, &output)),
        Command::Manual(manual) => manual::manual(manual),
    };
    result.unwrap_or_else(|failure| output.failure(&failure))
}
