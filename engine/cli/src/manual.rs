//! `herald manual` and `herald completions`: manual pages and what shells complete, from the definitions of the commands.

use std::path::Path;
use std::process::ExitCode;

use clap::{Command, CommandFactory};
use clap_complete::Shell;
use clap_mangen::Man;

use crate::args::{Cli, Completions, Manual, with_properties};
use crate::output::{Failure, Output};

/// What the page of the program says besides.
const MORE: &str = r#".SH "EXIT STATUS"
.TP
0
Done.
.TP
1
The call is not verified, or what was asked for is not so.
.TP
2
Arguments, files or the configuration are wrong.
.TP
69
The service, the disk or the network does not allow it now.
.TP
130
Interrupted.
.SH "ENVIRONMENT"
.TP
NOTIFY_SOCKET
Where \fBherald serve\fR tells a service manager that it is ready, reloads and stops: see sd_notify(3).
.SH "SEE ALSO"
herald(3) is the library for C and C++.
"#;

pub(crate) fn manual(manual: &Manual) -> Result<ExitCode, Failure> {
    let named = |error| Failure::usage(format!("{}: {error}", manual.out.display()));
    std::fs::create_dir_all(&manual.out).map_err(named)?;
    let mut command = definitions().disable_help_subcommand(true);
    command.build();
    pages(&command, &manual.out).map_err(named)?;
    Ok(ExitCode::SUCCESS)
}

pub(crate) fn completions(completions: &Completions, output: &Output) -> ExitCode {
    let mut script = Vec::new();
    clap_complete::generate(completions.shell, &mut definitions(), "herald", &mut script);
    output.line(String::from_utf8_lossy(&script).trim_end());
    ExitCode::SUCCESS
}

/// The commands as they are parsed.
fn definitions() -> Command {
    with_properties(Cli::command())
}

/// Writes the page of a command and those of its subcommands.
fn pages(command: &Command, folder: &Path) -> std::io::Result<()> {
    command.get_subcommands().filter(|one| !one.is_hide_set()).try_for_each(|one| pages(one, folder))?;
    let page = Man::new(command.clone());
    let name = page.get_filename();
    let title = name.trim_end_matches(".1");
    let mut text =
        format!(".TH {title} 1 \"\" \"herald {}\" \"Herald\"\n", env!("CARGO_PKG_VERSION")).into_bytes();
    page.render_name_section(&mut text)?;
    page.render_synopsis_section(&mut text)?;
    page.render_description_section(&mut text)?;
    page.render_options_section(&mut text)?;
    if command.has_subcommands() {
        page.render_subcommands_section(&mut text)?;
    }
    if title == "herald" {
        text.extend_from_slice(MORE.as_bytes());
    }
    std::fs::write(folder.join(name), text)
}

/// The shells there are scripts for.
pub(crate) fn shell(name: &str) -> Result<Shell, &'static str> {
    match name {
        "bash" => Ok(Shell::Bash),
        "zsh" => Ok(Shell::Zsh),
        "fish" => Ok(Shell::Fish),
        _ => Err("a shell is bash, zsh or fish"),
    }
}
