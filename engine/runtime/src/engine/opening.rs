//! What an engine takes and finds when it is opened: its memory, its journal, the cover of its last life.

use std::fs::{DirBuilder, Permissions, set_permissions};
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::Path;
use std::sync::Arc;

use herald_core::{CoverSecret, NewPlacement, PlacementClass, Random, Retention, Timestamp};
use herald_journal::{Durability, Fault, Journal, JournalConfig, Meta, RocksKeeper, RocksStore, Vault};
use herald_log::limits::{SEGMENT_BYTES_MIN, SEGMENTS_PER_HANDLE_MIN};
use herald_log::{BeyondConfig, BeyondRecord, LogConfig, PlacementLog};

use super::{Level, ReportFn, reactor_count, reader_count};
use crate::config::{ClassSettings, Config, ConfigError};
use crate::error::{EngineError, EngineErrorKind};
use crate::limits::{JOURNAL_MODE, SEGMENT_BYTES_MAX, SESSIONS_MAX};
use crate::stack::Stack;

pub(super) fn check(config: &Config) -> Result<(), ConfigError> {
    if config.durability != Durability::Memory && config.data.is_none() {
        return Err(ConfigError::new(
            "data is not set: name the journal's folder, or set durability to memory and lose all at a restart",
        ));
    }
    let beyond = config.kept().find(|(_, settings)| settings.beyond_bytes > 0);
    if let (Durability::Memory, Some((class, _))) = (config.durability, beyond) {
        let prefix = prefix_of(class);
        return Err(ConfigError::new(format!(
            "{prefix}beyond_memory is set: what leaves memory is read from the journal, so set durability to buffered or \
             synced, or {prefix}beyond_memory to 0",
        )));
    }
    let tls = config.tls_certificate.is_some() && config.tls_key.is_some();
    if !config.listen.is_empty() && !tls {
        return Err(ConfigError::new("listen is set: set tls_certificate and tls_key too"));
    }
    Ok(())
}

/// A class of placements that is being opened.
pub(super) struct Opening<'a> {
    config: &'a Config,
    pub(super) class: PlacementClass,
    settings: &'a ClassSettings,
    store: Option<RocksStore>,
}

/// A class of placements, recovered.
pub(super) struct Opened {
    pub(super) stack: Stack,
    pub(super) journal: Option<Journal<RocksStore>>,
}

impl<'a> Opening<'a> {
    /// Opens the journals of all classes that `config` keeps, calls first.
    pub(super) fn all(config: &'a Config, report: &ReportFn) -> Result<Vec<Self>, EngineError> {
        if let (Some(data), false) = (&config.data, config.keeps_messages)
            && data.join(MESSAGES_FOLDER).exists()
        {
            let why = format!(
                "{} holds messages of an earlier life, which are not shown: set message_retention, or remove it",
                data.join(MESSAGES_FOLDER).display()
            );
            report(Level::Warning, &why);
        }
        let open = |(class, settings): (PlacementClass, &'a ClassSettings)| {
            let store = match (&config.data, config.durability) {
                (_, Durability::Memory) | (None, _) => None,
                (Some(data), _) => Some(open_store(&data.join(folder_of(class)), settings.journal_bytes)?),
            };
            Ok(Self { config, class, settings, store })
        };
        config.kept().map(open).collect()
    }

    /// When the journal was last known to be written; this life begins later.
    pub(super) fn last_clock(&self) -> Result<Timestamp, Fault> {
        let bytes = self.store.as_ref().map(|store| store.meta(Meta::Clock)).transpose()?.flatten();
        let millis = bytes.and_then(|bytes| Some(u64::from_le_bytes(bytes.try_into().ok()?)));
        Ok(Timestamp::from_millis(millis.map_or(0, |millis| millis + 1)))
    }

    /// What rate control keeps, in the journal of calls.
    pub(super) fn vault(&self) -> Result<Option<Vault>, Fault> {
        let is_wanted = self.class == PlacementClass::Call && self.config.admission.plugin.is_some();
        self.store.as_ref().filter(|_| is_wanted).map(RocksStore::vault).transpose()
    }

    /// Takes its memory and recovers what its journal holds.
    pub(super) fn recover(
        self,
        random: &dyn Random,
        now: Timestamp,
        report: &ReportFn,
    ) -> Result<Opened, EngineError> {
        let Self { config, class, settings, mut store } = self;
        let retention = settings.retention;
        let cover = load_cover(store.as_ref(), class, random, retention, now, report)?;
        if let Some(store) = &mut store {
            store.begin_life(retention, now);
        }
        if !config.is_client() {
            let mib = settings.arena_bytes >> 20;
            report(Level::Info, &format!("taking {mib} MiB of memory for {}", name_of(class)));
        }
        let keeper = store.as_ref().filter(|_| settings.beyond_bytes > 0);
        let keeper = keeper.map(|store| store.keeper(retention, now));
        let log = make_log(config, settings, random, keeper.as_ref())?;
        let stack = Stack::new(log, retention, cover);
        if let Some(store) = &store {
            recover(store, class, &stack, keeper.as_deref(), now, report)?;
        }
        let config = JournalConfig { durability: config.durability, retention, opened_at: now };
        let journal = store.map(|store| open_journal(store, &stack, config)).transpose()?;
        Ok(Opened { stack, journal })
    }
}

/// The folder of messages, in the folder `data`.
const MESSAGES_FOLDER: &str = "messages";

const fn folder_of(class: PlacementClass) -> &'static str {
    match class {
        PlacementClass::Call => "journal",
        PlacementClass::Message => MESSAGES_FOLDER,
    }
}

/// What reports call the placements of a class.
const fn name_of(class: PlacementClass) -> &'static str {
    match class {
        PlacementClass::Call => "placements",
        PlacementClass::Message => "messages",
    }
}

/// What the names of its properties begin with.
const fn prefix_of(class: PlacementClass) -> &'static str {
    match class {
        PlacementClass::Call => "",
        PlacementClass::Message => "message_",
    }
}

fn open_store(path: &Path, memory_bytes: usize) -> Result<RocksStore, EngineError> {
    // Called numbers and the cover secret lie there in clear.
    let made = DirBuilder::new().recursive(true).mode(JOURNAL_MODE).create(path);
    made.and_then(|()| set_permissions(path, Permissions::from_mode(JOURNAL_MODE))).map_err(|error| {
        EngineError::new(EngineErrorKind::Disk, format!("cannot make the folder {}: {error}", path.display()))
    })?;
    Ok(RocksStore::open(path, memory_bytes)?)
}

/// The cover secret of the last life, so that its dummies live on beside the placements; or a new one.
fn load_cover(
    store: Option<&RocksStore>,
    class: PlacementClass,
    random: &dyn Random,
    retention: Retention,
    now: Timestamp,
    report: &ReportFn,
) -> Result<CoverSecret, Fault> {
    let bytes = store.map(|store| store.meta(Meta::Cover)).transpose()?.flatten();
    let Some(bytes) = bytes else { return Ok(CoverSecret::generate(random, retention, now)) };
    // Dummies of another retention are others, though the secret may serve.
    let before_ms = store.and_then(RocksStore::retention_before_ms);
    let fits = before_ms.is_none_or(|before_ms| before_ms == retention.as_millis());
    let secret = bytes.as_slice().try_into().ok().filter(|_| fits);
    let secret = secret.and_then(|bytes| CoverSecret::from_bytes(bytes, retention, now));
    Ok(secret.unwrap_or_else(|| {
        let why = format!(
            "the stored cover secret of {} fits neither clock nor retention any more; new cover begins, and for one \
             retention pollers can tell what was placed before",
            name_of(class)
        );
        report(Level::Warning, &why);
        CoverSecret::generate(random, retention, now)
    }))
}

/// A log, which goes beyond its memory if there is somebody to read what has left it.
fn make_log(
    config: &Config,
    settings: &ClassSettings,
    random: &dyn Random,
    keeper: Option<&Arc<RocksKeeper>>,
) -> Result<Arc<PlacementLog>, EngineError> {
    let log = log_config(config, settings, random);
    let Some(keeper) = keeper else { return Ok(PlacementLog::create(log)?) };
    let beyond = BeyondConfig { bytes: settings.beyond_bytes, keeper: keeper.clone() };
    Ok(PlacementLog::create_beyond(log, &beyond)?)
}

/// Puts every live placement of the journal back into memory, or back to be found if a keeper reads it.
fn recover(
    store: &RocksStore,
    class: PlacementClass,
    stack: &Stack,
    keeper: Option<&RocksKeeper>,
    now: Timestamp,
    report: &ReportFn,
) -> Result<(), EngineError> {
    let (log, name) = (&stack.log, name_of(class));
    let retention_ms = stack.retention.as_millis();
    let (mut indexed, mut unindexed, mut recovered, mut refused) = (0, 0, 0, 0);
    let mut handle = log.handle()?;
    let mut restore = |placement: &NewPlacement<'_>| match handle.restore(placement) {
        Ok(()) => recovered += 1,
        Err(_) => refused += 1,
    };
    let damaged_count = if let Some(keeper) = keeper {
        let mut index = |records: &[BeyondRecord]| {
            let Ok(taken) = log.restore_beyond(records) else {
                unindexed += records.len();
                return records.len();
            };
            indexed += taken;
            taken
        };
        store.index_live(now, retention_ms, keeper, &mut index, &mut restore)?
    } else {
        store.for_each_live(now, retention_ms, &mut restore)?
    };
    if damaged_count > 0 {
        report(
            Level::Error,
            &format!("{damaged_count} damaged blocks of the journal of {name} were passed over"),
        );
    }
    refused += unindexed;
    if refused > 0 {
        return Err(EngineError::new(
            EngineErrorKind::Limit,
            format!(
                "{refused} {name} of the journal do not fit; set {prefix}memory or {prefix}beyond_memory higher, nothing is lost",
                prefix = prefix_of(class)
            ),
        ));
    }
    report(Level::Info, &format!("recovered {} {name} from the journal", indexed + recovered));
    Ok(())
}

fn open_journal(
    store: RocksStore,
    stack: &Stack,
    config: JournalConfig,
) -> Result<Journal<RocksStore>, EngineError> {
    let mut journal = Journal::new(stack.log.clone(), store, stack.commits.clone(), config);
    journal.keep_cover(stack.cover(config.opened_at))?;
    Ok(journal)
}

/// Segments as large as the journal's blocks may be, but enough of them for every handle.
fn log_config(config: &Config, settings: &ClassSettings, random: &dyn Random) -> LogConfig {
    if config.is_client() {
        return client_log_config(random);
    }
    let readers = if config.goes_beyond() { reader_count(config) } else { 0 };
    let handles_max = SESSIONS_MAX + reactor_count(config) + readers + 1;
    let wanted = handles_max * SEGMENTS_PER_HANDLE_MIN;
    let mut segment_bytes = SEGMENT_BYTES_MAX;
    while settings.arena_bytes / segment_bytes < wanted && segment_bytes > SEGMENT_BYTES_MIN {
        segment_bytes /= 2;
    }
    let arena_bytes = settings.arena_bytes / segment_bytes * segment_bytes;
    LogConfig { arena_bytes, segment_bytes, hash_key: random.key(), handles_max }
}

/// The smallest log there is: a client keeps nothing in it.
fn client_log_config(random: &dyn Random) -> LogConfig {
    LogConfig {
        arena_bytes: SEGMENT_BYTES_MIN * SEGMENTS_PER_HANDLE_MIN,
        segment_bytes: SEGMENT_BYTES_MIN,
        hash_key: random.key(),
        handles_max: 1,
    }
}
