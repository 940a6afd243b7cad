//! `herald top`: what an engine does, seen live by reading its metrics.
//!
//! It asks the listener of metrics and nobody else, so it may run anywhere that reaches it.

mod frame;
mod scrape;

use std::io::{IsTerminal, Write};
use std::process::ExitCode;
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::time::Duration;

use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::iterator::Signals;

use crate::args::Top;
use crate::output::{Failure, Output};
use frame::frame;
use scrape::{Looks, Scrape, Scraper};

/// Seconds between two looks, at most: an hour.
const EVERY_MAX_S: f64 = 3600.0;
/// Begins a picture of its own without a cursor, and gives back what was on the screen.
const ENTER: &str = "\x1b[?1049h\x1b[?25l";
const LEAVE: &str = "\x1b[?25h\x1b[?1049l";
/// To the end of a line, and of the screen, nothing.
const CLEAR_LINE: &str = "\x1b[K";
const CLEAR_REST: &str = "\x1b[J";

pub(crate) fn run(top: &Top, output: &Output) -> Result<ExitCode, Failure> {
    let every = Some(top.every).filter(|seconds| *seconds > 0.0 && *seconds <= EVERY_MAX_S);
    let every =
        every.ok_or_else(|| Failure::usage("--every takes seconds, up to an hour, as in 2 or 0.5"))?;
    let every = Duration::from_secs_f64(every);
    let mut scraper = Scraper::new(&top.metrics).map_err(Failure::usage)?;
    let first = scraper.scrape().map_err(Failure::unavailable)?;
    if top.once {
        std::thread::sleep(every);
        let now = scraper.scrape().map_err(Failure::unavailable)?;
        output
            .line(frame(&Looks { before: Some(&first), now: &now, silence: None }, &top.metrics).trim_end());
        return Ok(ExitCode::SUCCESS);
    }
    if !std::io::stdout().is_terminal() {
        return Err(Failure::usage("standard output is no terminal; --once prints one picture"));
    }
    live(scraper, first, every, &top.metrics)
}

/// Draws until a signal comes.
fn live(mut scraper: Scraper, first: Scrape, every: Duration, place: &str) -> Result<ExitCode, Failure> {
    let mut signals = Signals::new([SIGINT, SIGTERM]).map_err(Failure::unavailable)?;
    let (sender, ended) = channel();
    std::thread::spawn(move || signals.forever().next().map(|signal| sender.send(signal)));
    let screen = Screen::enter();
    let mut before = None;
    let mut now = first;
    let mut silence: Option<String> = None;
    loop {
        let looks = Looks { before: before.as_ref(), now: &now, silence: silence.as_deref() };
        screen.draw(&frame(&looks, place));
        // Something is known of the second look soon.
        let wait = if before.is_none() { every.min(Duration::from_secs(1)) } else { every };
        match ended.recv_timeout(wait) {
            Err(RecvTimeoutError::Timeout) => {}
            _ => return Ok(ExitCode::SUCCESS),
        }
        match scraper.scrape() {
            Ok(next) => {
                before = Some(std::mem::replace(&mut now, next));
                silence = None;
            }
            Err(why) => silence = Some(why),
        }
    }
}

/// The terminal while a picture of ours is on it.
struct Screen;

impl Screen {
    fn enter() -> Self {
        put(ENTER);
        Self
    }

    fn draw(&self, picture: &str) {
        // Each line goes to its place: what is too much for the terminal ends in its last line and scrolls nothing.
        let lines = picture.trim_end().lines().zip(1..);
        let lines: String = lines.map(|(line, row)| format!("\x1b[{row};1H{line}{CLEAR_LINE}")).collect();
        put(&format!("{lines}{CLEAR_REST}"));
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        put(LEAVE);
    }
}

/// Whoever watched may have gone; that is no failure of ours.
fn put(text: &str) {
    let mut out = std::io::stdout().lock();
    let _ = out.write_all(text.as_bytes()).and_then(|()| out.flush());
}
