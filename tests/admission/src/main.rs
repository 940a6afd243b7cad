//! Tokens are raced by threads in a process that is killed with -9 again and again. Whoever presents a token has a store
//! of its own; a token is good for one of them, whatever happens, and somebody gets it.
//!
//! The books, the vault and what is done after a restart are the engine's; most tokens are a toy's, since only whether they
//! are valid would be the plugin's; fewer are the real VOPRF's, behind its table, which all threads call at once. What was
//! accepted is written down by who was told, after it was told, in files that a kill leaves alone. Virtual clock; no
//! assumption about speed.
#![allow(clippy::print_stdout, reason = "its report is its output")]

mod child;
mod ledger;
mod limits;
mod scheme;
mod service;

use std::path::Path;
use std::process::{Child, Command, ExitCode};
use std::thread;
use std::time::Duration;

use ledger::{Sum, read_all};
use limits::{CAMPAIGN, CONTROL, LIVES_SPARE, LOOK_MS, SAMPLE, VOPRF_CAMPAIGN, VOPRF_SAMPLE};
use scheme::Kind;

pub(crate) type AnyError = Box<dyn std::error::Error>;

/// How much is raced.
#[derive(Clone, Copy)]
pub(crate) struct Size {
    pub(crate) tokens: u32,
    pub(crate) kills: u32,
}

/// Whether spent tokens are written down.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Journal {
    Kept,
    /// The control.
    Left,
}

fn main() -> ExitCode {
    match run() {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            println!("FAIL: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<bool, AnyError> {
    let words: Vec<_> = std::env::args().skip(1).collect();
    let words: Vec<_> = words.iter().map(String::as_str).collect();
    match words[..] {
        ["child", folder, life, first, tokens, kind, journal] => {
            let journal = if journal == "left" { Journal::Left } else { Journal::Kept };
            let kind = if kind == "voprf" { Kind::Voprf } else { Kind::Toy };
            child::race(Path::new(folder), life.parse()?, first.parse()?, tokens.parse()?, (kind, journal))?;
            Ok(true)
        }
        [] => Ok(judge(SAMPLE, Kind::Toy)? && judge(VOPRF_SAMPLE, Kind::Voprf)?),
        ["--campaign"] => Ok(judge(CAMPAIGN, Kind::Toy)? && judge(VOPRF_CAMPAIGN, Kind::Voprf)?),
        _ => Err("it takes --campaign or nothing".into()),
    }
}

fn judge(size: Size, kind: Kind) -> Result<bool, AnyError> {
    let sum = race(size, kind, Journal::Kept)?;
    let name = if kind == Kind::Voprf { "VOPRF" } else { "toy" };
    println!("{name}: spent tokens journaled: {sum}");
    let control = race(if kind == Kind::Voprf { VOPRF_SAMPLE } else { CONTROL }, kind, Journal::Left)?;
    println!("control, not journaled: {control}");
    if control.double_spends == 0 {
        println!("FAIL: the control found no double spend, so nothing was proved");
    }
    let is_good = sum.double_spends == 0 && sum.false_refusals == 0 && sum.kills == size.kills;
    if !is_good {
        println!("FAIL: a token was spent twice, nobody got it, or too few kills happened");
    }
    Ok(is_good && control.double_spends > 0)
}

/// Lives and kills until every token is had.
fn race(size: Size, kind: Kind, journal: Journal) -> Result<Sum, AnyError> {
    let folder = tempfile::tempdir()?;
    if kind == Kind::Voprf {
        scheme::make(folder.path(), size.tokens, service::challenge_digest(kind)?)?;
    }
    let (mut kills, mut spare) = (0, LIVES_SPARE);
    for life in 0.. {
        let known = read_all(folder.path(), size.tokens)?;
        let had = known.had_count();
        if had == size.tokens || spare == 0 {
            return Ok(known.sum(size.tokens, kills));
        }
        let process = start(folder.path(), life, known.first_missing(), size.tokens, (kind, journal))?;
        // The kills are spread over the course, a little before or behind.
        let share = |kill: u32| u64::from(size.tokens) * u64::from(kill) / u64::from(size.kills + 1);
        let target = share(kills + 1) + u64::from(life.wrapping_mul(2_654_435_761) % 499);
        if kills < size.kills {
            if kill_at(process, folder.path(), u32::try_from(target)?, size.tokens)? {
                kills += 1;
            }
        } else {
            let mut process = process;
            spare -= 1;
            if !process.wait()?.success() {
                return Err("the process failed; its words are above".into());
            }
        }
    }
    unreachable!("the loop ends by returning")
}

fn start(
    folder: &Path,
    life: u32,
    first: u32,
    tokens: u32,
    (kind, journal): (Kind, Journal),
) -> Result<Child, AnyError> {
    let mut command = Command::new(std::env::current_exe()?);
    command.arg("child").arg(folder);
    command.args([life, first, tokens].map(|number| number.to_string()));
    command.arg(if kind == Kind::Voprf { "voprf" } else { "toy" });
    command.arg(if journal == Journal::Left { "left" } else { "kept" });
    Ok(command.spawn()?)
}

/// Kills it once so many tokens are had, or sees it end before.
fn kill_at(mut process: Child, folder: &Path, target: u32, tokens: u32) -> Result<bool, AnyError> {
    let target = target.min(tokens - 1);
    loop {
        if let Some(status) = process.try_wait()? {
            return if status.success() { Ok(false) } else { Err("the process failed by itself".into()) };
        }
        if ledger::lines(folder)? >= u64::from(target) {
            process.kill()?;
            process.wait()?;
            return Ok(true);
        }
        thread::sleep(Duration::from_millis(LOOK_MS));
    }
}
