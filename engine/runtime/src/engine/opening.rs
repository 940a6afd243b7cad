//! What an engine takes and finds when it is opened: its memory, its journal, the cover of its last life.

use std::fs::{DirBuilder, Permissions, set_permissions};
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::Path;
use std::sync::Arc;

use herald_core::{CoverSecret, NewPlacement, Random, Retention, Timestamp};
use herald_journal::{Durability, Fault, Journal, JournalConfig, Meta, RocksKeeper, RocksStore};
use herald_log::limits::{SEGMENT_BYTES_MIN, SEGMENTS_PER_HANDLE_MIN};
use herald_log::{BeyondConfig, BeyondRecord, LogConfig, PlacementLog};

use super::{Level, ReportFn, reactor_count, reader_count};
use crate::config::{Config, ConfigError};
use crate::error::{EngineError, EngineErrorKind};
use crate::limits::{JOURNAL_MODE, SEGMENT_BYTES_MAX, SESSIONS_MAX};
use crate::shared::Shared;

pub(super) fn check(config: &Config) -> Result<(), ConfigError> {
    if config.durability != Durability::Memory && config.data.is_none() {
        return Err(ConfigError::new(
            "data is not set: name the journal's folder, or set durability to memory and lose all at a restart",
        ));
    }
    if config.durability == Durability::Memory && config.beyond_bytes > 0 {
        return Err(ConfigError::new(
            "beyond_memory is set: what leaves memory is read from the journal, so set durability to buffered or \
             synced, or beyond_memory to 0",
        ));
    }
    let tls = config.tls_certificate.is_some() && config.tls_key.is_some();
    if !config.listen.is_empty() && !tls {
        return Err(ConfigError::new("listen is set: set tls_certificate and tls_key too"));
    }
    Ok(())
}

pub(super) fn open_store(path: &Path, memory_bytes: usize) -> Result<RocksStore, EngineError> {
    let path = path.join("journal");
    // Called numbers and the cover secret lie there in clear.
    let made = DirBuilder::new().recursive(true).mode(JOURNAL_MODE).create(&path);
    made.and_then(|()| set_permissions(&path, Permissions::from_mode(JOURNAL_MODE))).map_err(|error| {
        EngineError::new(EngineErrorKind::Disk, format!("cannot make the folder {}: {error}", path.display()))
    })?;
    Ok(RocksStore::open(&path, memory_bytes)?)
}

/// When the journal was last known to be written; this life begins later.
pub(super) fn last_clock(store: Option<&RocksStore>) -> Result<Timestamp, Fault> {
    let bytes = store.map(|store| store.meta(Meta::Clock)).transpose()?.flatten();
    let millis = bytes.and_then(|bytes| Some(u64::from_le_bytes(bytes.try_into().ok()?)));
    Ok(Timestamp::from_millis(millis.map_or(0, |millis| millis + 1)))
}

/// The cover secret of the last life, so that its dummies live on beside the placements; or a new one.
pub(super) fn load_cover(
    store: Option<&RocksStore>,
    random: &dyn Random,
    retention: Retention,
    now: Timestamp,
    report: &ReportFn,
) -> Result<CoverSecret, Fault> {
    let bytes = store.map(|store| store.meta(Meta::Cover)).transpose()?.flatten();
    let Some(bytes) = bytes else { return Ok(CoverSecret::generate(random, retention, now)) };
    let secret =
        bytes.as_slice().try_into().ok().and_then(|bytes| CoverSecret::from_bytes(bytes, retention, now));
    Ok(secret.unwrap_or_else(|| {
        report(
            Level::Warning,
            "the stored cover secret fits neither clock nor retention any more; new cover begins, and for one \
             retention pollers can tell what was placed before",
        );
        CoverSecret::generate(random, retention, now)
    }))
}

/// A log, which goes beyond its memory if there is somebody to read what has left it.
pub(super) fn make_log(
    config: &Config,
    random: &dyn Random,
    keeper: Option<&Arc<RocksKeeper>>,
) -> Result<Arc<PlacementLog>, EngineError> {
    let Some(keeper) = keeper else { return Ok(PlacementLog::create(log_config(config, random))?) };
    let beyond = BeyondConfig { bytes: config.beyond_bytes, keeper: keeper.clone() };
    Ok(PlacementLog::create_beyond(log_config(config, random), &beyond)?)
}

/// Puts every live placement of the journal back into memory, or back to be found if a keeper reads it.
pub(super) fn recover(
    store: &RocksStore,
    shared: &Shared,
    keeper: Option<&RocksKeeper>,
    now: Timestamp,
    report: &ReportFn,
) -> Result<(), EngineError> {
    let retention_ms = shared.retention.as_millis();
    let (mut indexed, mut unindexed, mut recovered, mut refused) = (0, 0, 0, 0);
    let mut handle = shared.log.handle()?;
    let mut restore = |placement: &NewPlacement<'_>| match handle.restore(placement) {
        Ok(()) => recovered += 1,
        Err(_) => refused += 1,
    };
    let damaged_count = if let Some(keeper) = keeper {
        let mut index = |records: &[BeyondRecord]| {
            let Ok(taken) = shared.log.restore_beyond(records) else {
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
        report(Level::Error, &format!("{damaged_count} damaged blocks of the journal were passed over"));
    }
    refused += unindexed;
    if refused > 0 {
        return Err(EngineError::new(
            EngineErrorKind::Limit,
            format!(
                "{refused} placements of the journal do not fit; set memory or beyond_memory higher, nothing is lost"
            ),
        ));
    }
    report(Level::Info, &format!("recovered {} placements from the journal", indexed + recovered));
    Ok(())
}

pub(super) fn open_journal(
    store: RocksStore,
    shared: &Shared,
    now: Timestamp,
) -> Result<Journal<RocksStore>, EngineError> {
    let config = JournalConfig { durability: shared.durability, retention: shared.retention, opened_at: now };
    let mut journal = Journal::new(shared.log.clone(), store, shared.commits.clone(), config);
    journal.keep_cover(shared.cover())?;
    Ok(journal)
}

/// Segments as large as the journal's blocks may be, but enough of them for every handle.
fn log_config(config: &Config, random: &dyn Random) -> LogConfig {
    if config.is_client() {
        return client_log_config(random);
    }
    let readers = if config.beyond_bytes > 0 { reader_count(config) } else { 0 };
    let handles_max = SESSIONS_MAX + reactor_count(config) + readers + 1;
    let wanted = handles_max * SEGMENTS_PER_HANDLE_MIN;
    let mut segment_bytes = SEGMENT_BYTES_MAX;
    while config.arena_bytes / segment_bytes < wanted && segment_bytes > SEGMENT_BYTES_MIN {
        segment_bytes /= 2;
    }
    let arena_bytes = config.arena_bytes / segment_bytes * segment_bytes;
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
