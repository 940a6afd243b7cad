//! One plugin for as long as the engine lives, whatever its code is replaced by.

use core::sync::atomic::Ordering;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::{Arc, mpsc};
use std::thread;

use herald_plugin_abi as abi;
use parking_lot::{Mutex, RwLock};
use zeroize::Zeroizing;

use crate::limits::{
    PLUGIN_CHORE_MS, PLUGIN_DISCOVERY_THREADS, PLUGIN_LOADS_MAX, PLUGIN_OPEN_MS, PLUGIN_THREADS_MAX,
};
use crate::plugin_loader::{self, Kind, Table};
use crate::plugins::book::{NotDone, Promise};
use crate::plugins::files::{self, Stamp};
use crate::plugins::generation::{Came, Generation, NotTaken, Surroundings, Work, close_patience, work};
use crate::plugins::identity::{Identity, Tally};
use crate::plugins::rate_control::{key_add, key_drop};
use crate::{Level, PluginState, PluginStatus, Report};

pub(crate) struct Plugin {
    identity: Arc<Identity>,
    kind: Kind,
    settings: Vec<(String, String)>,
    surroundings: Surroundings,
    /// What is loaded, and from where.
    code: Mutex<Code>,
    /// Held while it is started or replaced.
    changing: Mutex<()>,
    serving: RwLock<Option<Arc<Generation>>>,
    /// The keys in use, so that another generation can take them over.
    keys: Mutex<Keys>,
}

/// Keys and their secrets, by handle.
pub(super) type Keys = BTreeMap<u64, Zeroizing<Vec<u8>>>;

/// A plugin's code, checked.
pub(crate) struct Code {
    table: Table,
    kind: Kind,
    /// The file and its state when it was loaded; `None` for what is linked in.
    file: Option<(PathBuf, Stamp)>,
    loads_count: u64,
}

impl Code {
    /// Loads the shared object at `path`.
    pub(crate) fn load(path: &Path) -> Result<Self, String> {
        let (sealed, stamp) = files::sealed(path)?;
        let table = plugin_loader::load(&sealed)?;
        Ok(Self { kind: table.kind()?, table, file: Some((path.to_owned(), stamp)), loads_count: 1 })
    }

    /// Takes what is linked into this program.
    pub(crate) fn linked(entry: abi::LinkedEntry) -> Result<Self, String> {
        let table = plugin_loader::table(entry)?;
        Ok(Self { kind: table.kind()?, table, file: None, loads_count: 1 })
    }

    pub(crate) fn name(&self) -> &str {
        &self.table.name
    }

    pub(crate) const fn kind(&self) -> &Kind {
        &self.kind
    }
}

impl Plugin {
    pub(crate) fn new(
        code: Code,
        settings: Vec<(String, String)>,
        report: Report,
        surroundings: Surroundings,
    ) -> Self {
        let name = code.table.name.clone();
        Self {
            identity: Arc::new(Identity { name, report, tally: Tally::default() }),
            kind: code.kind.clone(),
            settings,
            surroundings,
            code: Mutex::new(code),
            changing: Mutex::new(()),
            serving: RwLock::new(None),
            keys: Mutex::default(),
        }
    }

    pub(crate) fn name(&self) -> &str {
        &self.identity.name
    }

    pub(crate) const fn kind(&self) -> &Kind {
        &self.kind
    }

    pub(crate) fn now_ms(&self) -> u64 {
        self.surroundings.watch.now_ms()
    }

    /// Opens an instance, and serves from now on. A second start does nothing.
    pub(crate) fn start(&self) -> Result<(), String> {
        let _changing = self.changing.lock();
        if self.serving.read().is_none() {
            let table = self.code.lock().table.clone();
            let generation = self.open(&table)?;
            *self.serving.write() = Some(generation);
            self.identity.say(Level::Info, &format!("{} {} serves", kind_name(&self.kind), table.version));
        }
        Ok(())
    }

    /// Serves nobody any more. Whether it has ended.
    pub(crate) fn stop(&self) -> bool {
        self.keys.lock().clear();
        let Some(generation) = self.serving.write().take() else { return true };
        generation.abandon();
        let is_over = generation.wait_until_over(close_patience());
        if !is_over {
            self.identity.say(Level::Warning, "does not end; its threads are left behind");
        }
        is_over
    }

    /// Has `work` done; its end is told in any case. Nothing may be locked.
    pub(crate) fn submit(&self, work: Box<dyn Work>, deadline_ms: u64) {
        if let Err(not_taken) = self.place(work, deadline_ms) {
            not_taken.tell();
        }
    }

    /// Gives `work` to the generation that serves.
    fn place(&self, mut work: Box<dyn Work>, deadline_ms: u64) -> Result<(), NotTaken> {
        loop {
            let Some(generation) = self.serving.read().clone() else {
                return Err(NotTaken::stopped(work));
            };
            let Err(not_taken) = generation.submit(work, deadline_ms) else { return Ok(()) };
            work = not_taken.for_another()?;
            if self.serves(&generation) {
                return Err(NotTaken::stopped(work));
            }
            // It was replaced just now: the next one takes it.
        }
    }

    fn serves(&self, generation: &Arc<Generation>) -> bool {
        self.serving.read().as_ref().is_some_and(|serving| Arc::ptr_eq(serving, generation))
    }

    /// Loads `path` and serves with it from now on. What was asked before is done by what was there before; if anything is
    /// wrong, that stays.
    pub(crate) fn replace(&self, path: &Path) -> Result<(), String> {
        let _changing = self.changing.lock();
        let loads_count = self.code.lock().loads_count + 1;
        if loads_count > PLUGIN_LOADS_MAX {
            return Err(format!("it was replaced {PLUGIN_LOADS_MAX} times; start the process anew"));
        }
        let new = Code::load(path)?;
        if new.table.name != self.identity.name {
            return Err(format!("it is the plugin {}, not {}", new.table.name, self.identity.name));
        }
        if new.kind != self.kind {
            return Err(
                "it does something else than what it is to replace: another kind or token scheme".to_owned()
            );
        }
        if self.serving.read().is_some() {
            let generation = self.open(&new.table)?;
            self.hand_over(generation)?;
        }
        let version = new.table.version.clone();
        *self.code.lock() = Code { loads_count, ..new };
        self.identity.say(Level::Info, &format!("replaced by version {version}, generation {loads_count}"));
        Ok(())
    }

    /// Has it read its files again; if its own file is another one than before, it is replaced.
    pub(crate) fn reload(&self) -> Result<(), String> {
        let changed = match &self.code.lock().file {
            Some((path, was)) if files::stamp(path).is_some_and(|is| is != *was) => Some(path.clone()),
            _ => None,
        };
        if let Some(path) = changed {
            return self.replace(&path);
        }
        let Some(generation) = self.serving.read().clone() else { return Ok(()) };
        self.wait_for(&generation, PLUGIN_OPEN_MS, |promise| {
            work("reload", promise, |instance, _| match instance.reload() {
                Ok(()) => Came::To(()),
                Err(why) => Came::ToNothing(NotDone::Failed(why)),
            })
        })
    }

    /// What it is and does.
    pub(crate) fn status(&self) -> PluginStatus {
        let (code, serving, tally) = (self.code.lock(), self.serving.read().clone(), &self.identity.tally);
        let state = match &serving {
            None => PluginState::Loaded,
            Some(generation) => generation.disabled().map_or(PluginState::Serving, PluginState::Disabled),
        };
        PluginStatus {
            name: self.identity.name.clone(),
            kind: kind_name(&self.kind),
            version: code.table.version.clone(),
            summary: code.table.summary.clone(),
            path: code.file.as_ref().map(|(path, _)| path.clone()),
            generation: code.loads_count,
            state,
            calls: tally.calls.load(Ordering::Relaxed),
            failures: tally.failures.load(Ordering::Relaxed),
            timed_out: tally.timed_out.load(Ordering::Relaxed),
            busy: tally.busy.load(Ordering::Relaxed),
            late: tally.late.load(Ordering::Relaxed),
            lost_threads: serving.map_or(0, |generation| generation.lost_count()),
        }
    }

    /// Changes the keys in use, and has the generation that serves do so by `work`. No generation takes over in between: the
    /// next one has each key once.
    pub(super) fn change_keys(&self, change: impl FnOnce(&mut Keys), work: Box<dyn Work>, deadline_ms: u64) {
        let placed = {
            let mut keys = self.keys.lock();
            change(&mut keys);
            self.place(work, deadline_ms)
        };
        if let Err(not_taken) = placed {
            not_taken.tell();
        }
    }

    fn open(&self, table: &Table) -> Result<Arc<Generation>, String> {
        let threads_count = match self.kind {
            // It answers at once or says that it answers later.
            Kind::Discovery => PLUGIN_DISCOVERY_THREADS,
            Kind::RateControl(_) => {
                let cores = thread::available_parallelism().map_or(1, usize::from);
                (cores / 2).clamp(1, PLUGIN_THREADS_MAX)
            }
        };
        Generation::open(&self.identity, table, &self.settings, &self.surroundings, threads_count)
    }

    /// Gives `generation` the keys in use, and puts it into the place of the one that serves.
    fn hand_over(&self, generation: Arc<Generation>) -> Result<(), String> {
        let mut added = BTreeSet::new();
        loop {
            let missing: Vec<_> = {
                let keys = self.keys.lock();
                let missing: Vec<_> = keys
                    .iter()
                    .filter(|(key, _)| !added.contains(*key))
                    .map(|(key, secret)| (*key, secret.clone()))
                    .collect();
                if missing.is_empty() {
                    let dropped: Vec<_> = added.into_iter().filter(|key| !keys.contains_key(key)).collect();
                    let swapped =
                        self.serving.write().as_mut().map(|old| core::mem::replace(old, generation.clone()));
                    drop(keys);
                    let Some(old) = swapped else {
                        generation.abandon();
                        return Err("the engine was stopped meanwhile".to_owned());
                    };
                    for key in dropped {
                        self.submit(key_drop(key, Box::new(|_| {})), self.now_ms() + PLUGIN_CHORE_MS);
                    }
                    old.retire();
                    return Ok(());
                }
                missing
            };
            for (key, secret) in missing {
                let taken = self.wait_for(&generation, PLUGIN_CHORE_MS, |promise| {
                    key_add(key, secret, Box::new(move |came| promise.tell(came)))
                });
                if let Err(why) = taken {
                    generation.abandon();
                    return Err(format!("it does not take over a key: {why}"));
                }
                added.insert(key);
            }
        }
    }

    /// Has `generation` do one thing, and waits for it: the watch sees to it that this ends.
    fn wait_for(
        &self,
        generation: &Generation,
        patience_ms: u64,
        make: impl FnOnce(Arc<Promise<()>>) -> Box<dyn Work>,
    ) -> Result<(), String> {
        let (sender, receiver) = mpsc::channel();
        let promise = Promise::new(Box::new(move |came| {
            // The other end waits.
            let _ = sender.send(came);
        }));
        let work = make(promise);
        if let Err(not_taken) = generation.submit(work, self.now_ms() + patience_ms) {
            not_taken.tell();
        }
        match receiver.recv() {
            Ok(Ok(())) => Ok(()),
            Ok(Err(NotDone::Failed(why) | NotDone::Disabled(why))) => Err(why),
            Ok(Err(why)) => Err(format!("{why:?}")),
            Err(_) => Err("nobody answered".to_owned()),
        }
    }
}

const fn kind_name(kind: &Kind) -> &'static str {
    match kind {
        Kind::Discovery => "discovery",
        Kind::RateControl(_) => "rate-control",
    }
}
