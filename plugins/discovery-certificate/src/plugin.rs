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
    filed: RwLock<Table<Vec<u8>>>,
    observed: Mutex<Observed>,
    /// What is in `observed`, to be looked up.
    shown: RwLock<Table<Vec<u8>>>,
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
        let filed = folder.as_ref().map_or_else(|| Ok(empty()), |folder| read(host, folder, &extension))?;
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
        let now_s = self.host.wall_ms() / 1000;
        let holds = |found: &Found<'_>| found.service.until_s.is_none_or(|until_s| now_s <= until_s);
        let (filed, shown) = (self.filed.read(), self.shown.read());
        let found = [&filed, &shown].into_iter().filter_map(|table| table.look(number, question.spc, side));
        // The narrower set, and of the same the one issued last.
        let best =
            found.filter(holds).min_by_key(|found| (found.by, core::cmp::Reverse(found.service.since_s)));
        Find::Answer(best.map_or_else(|| self.nothing(), |found| self.answer(&found, now_s)))
    }

    fn observe_certificate(&self, der: &[u8]) {
        let now = Timestamp::from_millis(self.host.wall_ms());
        let mut observed = self.observed.lock();
        match observed.take(der, &self.extension, now) {
            Ok(false) => {}
            Ok(true) => match table(observed.all()) {
                Ok(fresh) => drop(core::mem::replace(&mut *self.shown.write(), fresh)),
                Err(fault) => {
                    self.host.log(Level::Warning, &format!("certificates that were shown: {fault}"))
                }
            },
            Err(fault) => self.host.log(Level::Warning, &format!("a certificate that was shown: {fault}")),
        }
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
        Answer { fresh_s: self.fresh_s, note, ..Answer::default() }
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

fn read(host: Host, folder: &Folder, extension: &CpsUriExtension) -> Result<Table<Vec<u8>>, String> {
    let contents = folder.read(extension, Timestamp::from_millis(host.wall_ms()))?;
    for fault in &contents.faults {
        host.log(Level::Warning, fault);
    }
    let (named, all, folder) = (contents.named.len(), contents.files_count, folder.path.display());
    host.log(Level::Info, &format!("{folder}: {named} of {all} certificates name services"));
    table(&contents.named).map_err(|fault| format!("{folder}: {fault}"))
}
