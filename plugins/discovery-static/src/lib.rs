//! Discovery from a compiled table of numbers, ranges, prefixes and service provider codes.
//!
//! The table is what `herald table build` makes of text, CSV and the advertisements of RFC 9888 §4; docs/DISCOVERY.md has
//! the grammar. It is looked up in sealed memory, so nothing that happens to the file reaches the host, and
//! [`reload`](herald_plugin_sdk::Discovery::reload) puts another in its place while look-ups go on.
//!
//! Settings:
//! - `table`: the absolute path of the compiled table.
//! - `fresh`: for how many seconds the host may remember an answer, 60 if not set, up to [`FRESH_MAX_S`]; as long an old
//!   answer may live on after a reload.
//!
//! It does not know other sources, and does not verify: whether an entry is proven was decided when the table was made
//! and stands in it.

use core::ffi::CStr;
use std::path::{Path, PathBuf};

use herald_core::TelephoneNumber;
use herald_plugin_sdk::{Answer, Discovery, Find, Host, Level, Question, Sealed, Settings, Side};
use herald_stir::limits::TABLE_BYTES_MAX;
use herald_stir::services;
use herald_stir::table::{By, Found, Table};
use parking_lot::RwLock;

/// Seconds that an answer may be remembered at most: a day, as adverts change by then.
pub const FRESH_MAX_S: u32 = 24 * 3600;
/// Seconds that an answer may be remembered when nothing is set: a reload shows after a minute.
const FRESH_DEFAULT_S: u32 = 60;
/// Bytes that a note has at most, without the origin.
const NOTE_BYTES: usize = 56;

/// The plugin.
pub struct DiscoveryStatic {
    host: Host,
    path: PathBuf,
    fresh_s: u32,
    table: RwLock<Table<Sealed>>,
}

impl Discovery for DiscoveryStatic {
    const NAME: &'static CStr = c"discovery-static";
    const VERSION: &'static CStr = c"0.1.0";
    const SUMMARY: &'static CStr = c"a compiled table of numbers, prefixes and service provider codes";

    fn open(host: Host, settings: &Settings<'_>) -> Result<Self, String> {
        settings.only(&["table", "fresh"])?;
        let path = PathBuf::from(settings.require("table")?);
        if !path.is_absolute() {
            return Err("table is an absolute path".to_owned());
        }
        let fresh_s = settings.value("fresh").map_or(Ok(FRESH_DEFAULT_S), read_fresh)?;
        let table = RwLock::new(open_table(host, &path)?);
        Ok(Self { host, path, fresh_s, table })
    }

    fn find(&self, question: &Question<'_>) -> Find {
        let Some(number) = TelephoneNumber::from_signs(question.number.as_bytes()) else {
            return Find::Failed("a question about no canonical number".to_owned());
        };
        let side = match question.side {
            Side::Calling => services::Side::Calling,
            Side::Called => services::Side::Called,
        };
        let table = self.table.read();
        Find::Answer(match table.look(number, question.spc, side) {
            Some(found) => self.answer(&found),
            None => self.nothing("not in the table"),
        })
    }

    fn reload(&self) -> Result<(), String> {
        let fresh = open_table(self.host, &self.path)?;
        // The old one is given back when nobody waits for the lock any more.
        let old = core::mem::replace(&mut *self.table.write(), fresh);
        drop(old);
        Ok(())
    }
}

impl DiscoveryStatic {
    fn answer(&self, found: &Found<'_>) -> Answer {
        let now_s = || self.host.wall_ms() / 1000;
        let left_s = found.service.until_s.map_or(u64::MAX, |until_s| (until_s + 1).saturating_sub(now_s()));
        if left_s == 0 {
            return self.nothing(&format!("the entry from {} has run out", found.service.origin));
        }
        Answer {
            uris: found.service.uris().map(str::to_owned).collect(),
            is_proven: found.service.is_proven,
            fresh_s: u32::try_from(left_s).map_or(self.fresh_s, |left_s| left_s.min(self.fresh_s)),
            note: note(found),
        }
    }

    fn nothing(&self, note: &str) -> Answer {
        // With 0 it would be no knowledge.
        Answer { fresh_s: self.fresh_s.max(1), note: note.to_owned(), ..Answer::default() }
    }
}

/// How it was found. Put together by hand, as formatting would take as long as the look-up.
fn note(found: &Found<'_>) -> String {
    let mut note = String::with_capacity(NOTE_BYTES + found.service.origin.len());
    note.push_str(if found.service.is_proven { "signed, by " } else { "by " });
    match found.by {
        By::Numbers { free_signs: 0 } => note.push_str("its number"),
        By::Numbers { free_signs } => {
            note.push_str("a set of numbers with ");
            note.push_str(if free_signs < 10 { "" } else { "1" });
            note.push(char::from(b'0' + free_signs % 10));
            note.push_str(" free digits");
        }
        By::Code => note.push_str("its service provider code"),
        By::Everybody => note.push_str("the entry for everybody"),
    }
    note.push_str(", from ");
    note.push_str(found.service.origin);
    note
}

fn read_fresh(text: &str) -> Result<u32, String> {
    let seconds = text.parse().ok().filter(|seconds| *seconds <= FRESH_MAX_S);
    seconds.ok_or_else(|| format!("fresh is 0 to {FRESH_MAX_S} seconds"))
}

fn open_table(host: Host, path: &Path) -> Result<Table<Sealed>, String> {
    let named = |words: &dyn core::fmt::Display| format!("{}: {words}", path.display());
    let bytes = Sealed::copy_of(path, TABLE_BYTES_MAX as u64).map_err(|error| named(&error))?;
    let table = Table::open(bytes).map_err(|fault| named(&fault))?;
    let about = table.about();
    let words = format!("{} entries, made at {} s", about.entries_count, about.made_s);
    host.log(Level::Info, &named(&words));
    Ok(table)
}
