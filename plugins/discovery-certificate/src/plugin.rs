//! The plugin itself.

use core::ffi::CStr;
use std::path::PathBuf;

use herald_core::{TelephoneNumber, Timestamp};
use herald_plugin_sdk::{Answer, Discovery, Find, Host, Level, Question, Settings, Side};
use herald_stir::table::{By, Found, Table};
use herald_stir::{CpsUriExtension, services};
use parking_lot::{Mutex, RwLock};

use crate::folder::Folder;
use crate::limits::{FRESH_DEFAULT_S, FRESH_MAX_S};
use crate::named::{Named, table};
use crate::observed::Observed;

/// The plugin: see the [crate](crate).
pub struct DiscoveryCertificate {
    host: Host,
    extension: CpsUriExtension,
    folder: Option<Folder>,
    fresh_s: u32,
    /// What the folder names.
    filed: RwLock<Filed>,
    observed: Mutex<Observed>,
    /// What is in `observed`, to be looked up.
    shown: RwLock<Table<Vec<u8>>>,
}

/// What was read from the folder.
struct Filed {
    named: Vec<Named>,
    /// What is in `named`, to be looked up.
    table: Table<Vec<u8>>,
}

impl Discovery for DiscoveryCertificate {
    const NAME: &'static CStr = c"discovery-certificate";
    const VERSION: &'static CStr = c"0.1.0";
    const SUMMARY: &'static CStr = c"the services that certificates name for their numbers";

    fn open(host: Host, settings: &Settings<'_>) -> Result<Self, String> {
        settings.only(&["oid", "certificates", "roots", "crls", "fresh"])?;
        let extension =
            CpsUriExtension::new(settings.require("oid")?).map_err(|error| format!("oid: {error}"))?;
        let folder = read_folder(settings)?;
        let fresh_s = settings.value("fresh").map_or(Ok(FRESH_DEFAULT_S), read_fresh)?;
        let filed = folder.as_ref().map_or_else(
            || Ok(Filed { named: Vec::new(), table: empty() }),
            |folder| read(host, folder, &extension),
        )?;
        Ok(Self {
            host,
            extension,
            folder,
            fresh_s,
            filed: RwLock::new(filed),
            observed: Mutex::default(),
            shown: RwLock::new(empty()),
        })
    }

    fn find(&self, question: &Question<'_>) -> Find {
        let Some(number) = TelephoneNumber::from_signs(question.number.as_bytes()) else {
            return Find::Failed("a question about no canonical number".to_owned());
        };
        let side = match question.side {
            Side::Calling => services::Side::Calling,
            Side::Called => services::Side::Called,
        };
        let now = Timestamp::from_millis(self.host.wall_ms());
        Find::Answer(self.look(number, question.spc, side, now))
    }

    fn observe_certificate(&self, der: &[u8]) {
        self.take(der, Timestamp::from_millis(self.host.wall_ms()));
    }

    fn reload(&self) -> Result<(), String> {
        if let Some(folder) = &self.folder {
            let fresh = read(self.host, folder, &self.extension)?;
            drop(core::mem::replace(&mut *self.filed.write(), fresh));
        }
        Ok(())
    }
}

impl DiscoveryCertificate {
    fn look(
        &self,
        number: TelephoneNumber,
        code: Option<&str>,
        side: services::Side,
        now: Timestamp,
    ) -> Answer {
        let now_s = now.as_millis() / 1000;
        let holds = |found: &Found<'_>| found.service.until_s.is_none_or(|until_s| now_s <= until_s);
        self.drop_run_out(|table| table.look(number, code, side).is_some_and(|found| !holds(&found)), now);
        let (filed, shown) = (self.filed.read(), self.shown.read());
        let found = [&filed.table, &shown].into_iter().filter_map(|table| table.look(number, code, side));
        // The narrower set, and of the same the one issued last.
        let best =
            found.filter(holds).min_by_key(|found| (found.by, core::cmp::Reverse(found.service.since_s)));
        best.map_or_else(|| self.nothing(), |found| self.answer(&found, now_s))
    }

    /// Indexes anew what stands in the way of a question: a table has one certificate for a set, so one that has run out
    /// hides those that hold.
    fn drop_run_out(&self, stands_in_the_way: impl Fn(&Table<Vec<u8>>) -> bool, now: Timestamp) {
        let is_filed_old = stands_in_the_way(&self.filed.read().table);
        if is_filed_old {
            let mut filed = self.filed.write();
            filed.named.retain(|named| named.holds(now.as_millis() / 1000));
            match table(&filed.named) {
                Ok(fresh) => filed.table = fresh,
                Err(fault) => self.host.log(Level::Warning, &format!("certificates of the folder: {fault}")),
            }
        }
        let is_shown_old = stands_in_the_way(&self.shown.read());
        if is_shown_old {
            let mut observed = self.observed.lock();
            observed.drop_run_out(now);
            self.index(&observed);
        }
    }

    fn take(&self, der: &[u8], now: Timestamp) {
        let mut observed = self.observed.lock();
        match observed.take(der, &self.extension, now) {
            Ok(false) => {}
            Ok(true) => self.index(&observed),
            Err(fault) => self.host.log(Level::Warning, &format!("a certificate that was shown: {fault}")),
        }
    }

    fn index(&self, observed: &Observed) {
        match table(observed.all()) {
            Ok(fresh) => drop(core::mem::replace(&mut *self.shown.write(), fresh)),
            Err(fault) => self.host.log(Level::Warning, &format!("certificates that were shown: {fault}")),
        }
    }

    fn answer(&self, found: &Found<'_>, now_s: u64) -> Answer {
        let left_s = found.service.until_s.map_or(u64::MAX, |until_s| (until_s - now_s).saturating_add(1));
        let by = match found.by {
            By::Numbers { free_signs: 0 } => "the number".to_owned(),
            By::Numbers { free_signs } => format!("a range with {free_signs} free digits"),
            By::Code | By::Everybody => "its service provider code".to_owned(),
        };
        Answer {
            uris: found.service.uris().map(str::to_owned).collect(),
            is_proven: true,
            fresh_s: u32::try_from(left_s).map_or(self.fresh_s, |left_s| left_s.min(self.fresh_s)),
            note: format!("named by the certificate of {by}: {}", found.service.origin),
        }
    }

    fn nothing(&self) -> Answer {
        let note = "no certificate for it names a service".to_owned();
        // With 0 it would be no knowledge.
        Answer { fresh_s: self.fresh_s.max(1), note, ..Answer::default() }
    }
}

fn read_folder(settings: &Settings<'_>) -> Result<Option<Folder>, String> {
    let absolute = |name: &str, text: &str| {
        let path = PathBuf::from(text);
        if path.is_absolute() { Ok(path) } else { Err(format!("{name} is an absolute path")) }
    };
    let crls = settings.values("crls").map(|text| absolute("crls", text)).collect::<Result<Vec<_>, _>>()?;
    match (settings.value("certificates"), settings.value("roots")) {
        (Some(path), Some(roots)) => {
            Ok(Some(Folder { path: absolute("certificates", path)?, roots: absolute("roots", roots)?, crls }))
        }
        (None, None) if crls.is_empty() => Ok(None),
        _ => Err("certificates and roots go together, and crls with them: set both".to_owned()),
    }
}

fn read_fresh(text: &str) -> Result<u32, String> {
    let seconds = text.parse().ok().filter(|seconds| *seconds <= FRESH_MAX_S);
    seconds.ok_or_else(|| format!("fresh is 0 to {FRESH_MAX_S} seconds"))
}

fn empty() -> Table<Vec<u8>> {
    table(core::iter::empty::<&Named>()).expect("nothing is not too much")
}

fn read(host: Host, folder: &Folder, extension: &CpsUriExtension) -> Result<Filed, String> {
    let contents = folder.read(extension, Timestamp::from_millis(host.wall_ms()))?;
    for fault in &contents.faults {
        host.log(Level::Warning, fault);
    }
    let (named, all, folder) = (contents.named.len(), contents.files_count, folder.path.display());
    host.log(Level::Info, &format!("{folder}: {named} of {all} certificates name services"));
    let table = table(&contents.named).map_err(|fault| format!("{folder}: {fault}"))?;
    Ok(Filed { named: contents.named, table })
}

#[cfg(test)]
#[path = "../tests/common/mod.rs"]
mod common;

#[cfg(test)]
mod tests {
    use herald_plugin_sdk::harness::Stage;

    use super::common::{Authority, OID, Said, signer_der};
    use super::*;
    use crate::limits::OBSERVED_S;

    fn open(settings: &[(&str, &str)]) -> DiscoveryCertificate {
        let host = Stage::new().host(herald_plugin_sdk::abi::DISCOVERY);
        DiscoveryCertificate::open(host, &Settings::of(settings)).expect("it opens")
    }

    /// What it says of the number 5, so many seconds from now.
    fn says(plugin: &DiscoveryCertificate, from_now_s: u64) -> Vec<String> {
        plugin.look(number(), None, services::Side::Called, later(plugin, from_now_s)).uris
    }

    fn number() -> TelephoneNumber {
        "5".parse().expect("a number")
    }

    fn later(plugin: &DiscoveryCertificate, from_now_s: u64) -> Timestamp {
        Timestamp::from_millis(plugin.host.wall_ms() + from_now_s * 1000)
    }

    /// One for the number that runs out first, and two that it hides.
    fn three(authority: &Authority) -> [String; 3] {
        let of = |entry, uri, holds_s| authority.issue(&Said { holds_s, ..Said::now(&[entry], &[uri]) });
        [
            of("2-5", "https://short", (-60, 600)),
            of("2-5", "https://long", (-1800, 3600)),
            of("1-5-2", "https://range", (-3600, 7200)),
        ]
    }

    #[test]
    fn a_certificate_that_has_run_out_hides_none_that_holds() {
        let (authority, folder) = (Authority::new(), tempfile::tempdir().expect("a folder"));
        let path = |name: &str| folder.path().join(name).to_str().expect("a plain path").to_owned();
        std::fs::write(path("roots"), &authority.root_pem).expect("it can be written");
        for (index, pem) in three(&authority).iter().enumerate() {
            std::fs::write(path(&format!("{index}.pem")), pem).expect("it can be written");
        }
        let filed = open(&[("oid", OID), ("certificates", &path("")), ("roots", &path("roots"))]);
        let shown = open(&[("oid", OID)]);
        for pem in three(&authority) {
            shown.take(&signer_der(&pem), later(&shown, 0));
        }
        for plugin in [filed, shown] {
            let said = [0, 700, 4000, 8000].map(|from_now_s| says(&plugin, from_now_s));
            assert_eq!(said, [vec!["https://short"], vec!["https://long"], vec!["https://range"], vec![]]);
        }
    }

    #[test]
    fn a_certificate_that_is_no_longer_shown_is_forgotten_after_a_day() {
        let authority = Authority::new();
        let said = Said { holds_s: (-60, 10 * 86_400), ..Said::now(&["2-5"], &["https://a"]) };
        let (plugin, der) = (open(&[("oid", OID)]), signer_der(&authority.issue(&said)));
        plugin.take(&der, later(&plugin, 0));
        assert_eq!(says(&plugin, OBSERVED_S - 60), ["https://a"]);
        plugin.take(&der, later(&plugin, OBSERVED_S / 2));
        assert_eq!(says(&plugin, OBSERVED_S + 60), ["https://a"], "it was shown again");
        assert!(says(&plugin, 2 * OBSERVED_S).is_empty());
        plugin.take(&der, later(&plugin, 2 * OBSERVED_S));
        assert_eq!(says(&plugin, 2 * OBSERVED_S), ["https://a"], "it is good after all");
    }
}
