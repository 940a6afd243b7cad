//! Look-ups through the plugin while tables are compiled and swapped.

use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;
use std::{fs, thread};

use herald_discovery_static::DiscoveryStatic;
use herald_plugin_sdk::{Discovery as _, Find};

use crate::AnyError;
use crate::clock::processor_s;
use crate::limits::{COMPILED, SERVICES, SWAPS_EACH, TOGETHER};
use crate::look::ask;
use crate::results::record;
use crate::world::{Asked, World, uri, uri_begin};

/// What became of the look-ups.
#[derive(Default)]
pub(crate) struct Looked {
    answers: u64,
    wrong: u64,
    failed: u64,
    processor_s: f64,
    longest_ms: f64,
}

/// Where the plugin finds its table: a link, which is replaced as a whole.
pub(crate) struct Place {
    folder: PathBuf,
}

impl Place {
    pub(crate) fn new(folder: &Path) -> Self {
        Self { folder: folder.to_owned() }
    }

    pub(crate) fn path(&self) -> PathBuf {
        self.folder.join("table")
    }

    /// Writes the table of `version`, beside what is in use.
    pub(crate) fn write(&self, version: u32, bytes: &[u8]) -> Result<(), AnyError> {
        Ok(fs::write(self.file(version), bytes)?)
    }

    /// From now on the plugin finds the table of `version`, which was written.
    pub(crate) fn point(&self, version: u32) -> Result<(), AnyError> {
        let link = self.folder.join("link");
        symlink(self.file(version), &link)?;
        Ok(fs::rename(link, self.path())?)
    }

    fn file(&self, version: u32) -> PathBuf {
        self.folder.join(version.to_string())
    }
}

/// Compiles and swaps tables while another thread asks. The table of version 0 is in use and stays written.
pub(crate) fn measure(world: &World, plugin: &DiscoveryStatic, place: &Place) -> Result<(), AnyError> {
    check_the_check(world, plugin)?;
    let is_over = AtomicBool::new(false);
    let (swaps, looked) = thread::scope(|scope| {
        let looking = scope.spawn(|| look(world, plugin, &is_over));
        let swaps = swap(world, plugin, place);
        is_over.store(true, Ordering::Relaxed);
        (swaps, looking.join().expect("looking up does not panic"))
    });
    print(&looked, swaps?)?;
    match looked.wrong + looked.failed {
        0 => Ok(()),
        _ => Err("look-ups were answered wrongly or not at all".into()),
    }
}

/// How many swaps there were; each is seen by the next question of this thread.
fn swap(world: &World, plugin: &DiscoveryStatic, place: &Place) -> Result<u32, AnyError> {
    let known =
        world.numbers.iter().find(|asked| asked.service.is_some()).ok_or("no number has a service")?;
    let mut swaps = 0;
    for version in 1..=COMPILED {
        place.write(version, &world.compile(version)?)?;
        for turn in 0..=SWAPS_EACH {
            let shown = if turn % 2 == 0 { version } else { version - 1 };
            place.point(shown)?;
            plugin.reload()?;
            let expected = uri(known.service.ok_or("it has one")?, shown);
            if !matches!(ask(plugin, known), Find::Answer(answer) if answer.uris == [expected.as_str()]) {
                return Err("a table that was read again does not answer".into());
            }
            swaps += 1;
        }
    }
    Ok(swaps)
}

/// Asks for all numbers in turn and compares what is said, until it is over.
fn look(world: &World, plugin: &DiscoveryStatic, is_over: &AtomicBool) -> Looked {
    let begins: Vec<_> = (0..SERVICES).map(uri_begin).collect();
    let (mut looked, began_s) = (Looked::default(), processor_s());
    for asked in world.numbers.chunks(TOGETHER).cycle() {
        let began = Instant::now();
        asked.iter().for_each(|asked| looked.count(ask(plugin, asked), asked, &begins));
        looked.longest_ms = looked.longest_ms.max(began.elapsed().as_secs_f64() * 1e3);
        if is_over.load(Ordering::Relaxed) {
            break;
        }
    }
    looked.processor_s = processor_s() - began_s;
    looked
}

impl Looked {
    fn count(&mut self, said: Find, asked: &Asked, begins: &[String]) {
        self.answers += 1;
        let Find::Answer(answer) = said else {
            self.failed += 1;
            return;
        };
        let begin = asked.service.and_then(|service| begins.get(service as usize));
        let is_right = match (begin, answer.uris.as_slice()) {
            (Some(begin), [uri]) => uri.starts_with(begin),
            (None, []) => true,
            _ => false,
        };
        self.wrong += u64::from(!is_right);
    }
}

/// Answers held against the next number's service must be found wrong, or the comparison sees nothing.
fn check_the_check(world: &World, plugin: &DiscoveryStatic) -> Result<(), AnyError> {
    let begins: Vec<_> = (0..SERVICES).map(uri_begin).collect();
    let mut looked = Looked::default();
    for pair in world.numbers[..TOGETHER].windows(2) {
        looked.count(ask(plugin, &pair[0]), &pair[1], &begins);
    }
    let is_seen = looked.wrong > looked.answers / 2;
    if is_seen { Ok(()) } else { Err("wrong answers are not seen to be wrong".into()) }
}

#[allow(clippy::print_stdout, reason = "tables on standard output are the program")]
fn print(looked: &Looked, swaps: u32) -> Result<(), AnyError> {
    let mps = looked.answers as f64 / looked.processor_s / 1e6;
    println!("| while tables are compiled and swapped | |\n|---|--:|");
    println!("| answers of the plugin, each compared | {:.1} million |", looked.answers as f64 / 1e6);
    println!("| million a second of their thread's processor time | {mps:.2} |");
    println!("| tables compiled | {COMPILED} |\n| swaps | {swaps} |");
    println!("| answers that were wrong | {} |\n| questions that failed | {} |", looked.wrong, looked.failed);
    println!("| the longest {TOGETHER} answers, on the wall | {:.1} ms |", looked.longest_ms);
    Ok(record("table_swapped_mps", mps, "M/s", mps, mps)?)
}
