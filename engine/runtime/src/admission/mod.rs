//! Admission at work: who may store over the network (RFC 8816 §7.5).
//!
//! `herald-admission` keeps the books and decides; a rate control plugin does the public-key work; this module brings them
//! together with the journal, the reactors and the clock. In call order: [`Admitting`] starts; [`keys`] makes keys ahead and
//! drops them; [`issuer`] gives tokens to those it knows; [`gate`] judges stores on each reactor; [`redeemer`] redeems the
//! tokens they come with. The issuer and the stores share nothing but keys.

mod answer;
mod counters;
pub(crate) mod gate;
pub(crate) mod issuer;
mod keeper;
mod kept_key;
mod keys;
mod redeemer;
pub(crate) mod settings;

use std::hash::RandomState;
use std::sync::{Arc, mpsc};

use herald_admission::{Admission, DirectoryState, Granted, Refusal, SpentRecord, TokenId, directory};
use herald_core::{Clock, Random, TelephoneNumber, Timestamp};
use herald_journal::Vault;
use herald_net::Bytes;
use herald_stir::TrustStore;
use parking_lot::{Mutex, RwLock};

use crate::config::ConfigError;
use crate::engine::{Level, Report};
use crate::error::{EngineError, EngineErrorKind};
use crate::plugins::{NotDone, PluginSet, RateControlPlugin};
use crate::readers::Reading;
use issuer::Issuer;
use keeper::Keeper;
use redeemer::{Redeemer, Token};
use settings::AdmissionSettings;

pub(crate) use answer::refused;
use counters::AdmissionCounters;
pub(crate) use counters::AdmissionStats;
pub(crate) use gate::Gatekeeper;
pub(crate) use issuer::{Errand, Wish};

/// What the parts of admission have in common.
pub(crate) struct Books {
    pub(crate) admission: Arc<Admission>,
    plugin: RateControlPlugin,
    /// What outlives a restart; without one nothing does, and a restart ends all tokens.
    vault: Option<Arc<Vault>>,
    clock: Arc<dyn Clock>,
    report: Report,
    /// The issuer directory as it was last written, for as long as it says the same.
    directory: Mutex<Option<(DirectoryState, Bytes)>>,
    pub(crate) counters: AdmissionCounters,
}

/// Admission of one engine, with its threads. Any thread.
pub(crate) struct Admitting {
    books: Arc<Books>,
    keeper: Keeper,
    redeemer: Redeemer,
    issuer: Issuer,
    sources: RandomState,
    /// Whose certificates count.
    trust: Arc<RwLock<Option<TrustStore>>>,
}

impl Admitting {
    /// Takes up what the vault holds, makes the keys of this epoch, which takes the plugin's time, and starts the threads.
    ///
    /// # Errors
    /// [`EngineErrorKind::Argument`] if a setting is wrong or there is no such plugin, [`EngineErrorKind::Failed`] if the
    /// plugin makes no key, [`EngineErrorKind::Disk`], [`EngineErrorKind::Limit`] if the system refuses a thread.
    pub(crate) fn start(
        settings: &AdmissionSettings,
        plugins: &PluginSet,
        vault: Option<Arc<Vault>>,
        clock: &Arc<dyn Clock>,
        random: &dyn Random,
        report: &Report,
    ) -> Result<Self, EngineError> {
        let name = settings.plugin.as_deref().unwrap_or_default();
        let plugin = plugins.rate_control(name).ok_or_else(|| {
            ConfigError::new(format!("admission: no rate control plugin {name:?} is loaded; set plugins"))
        })?;
        let admission = Admission::new(settings.of_scheme(plugin.scheme())?, random)
            .map_err(|error| ConfigError::new(format!("admission: {error}")))?;
        let trust = Arc::new(RwLock::new(settings.trust()?));
        let admission = Arc::new(admission);
        let books = Arc::new(Books {
            admission,
            plugin,
            vault,
            clock: clock.clone(),
            report: report.clone(),
            directory: Mutex::default(),
            counters: AdmissionCounters::default(),
        });
        let keeper = Keeper::start(books.clone())?;
        let redeemer = Redeemer::start(books.clone(), settings.share_percent)?;
        let issuer = Issuer::start(books.clone(), trust.clone())?;
        Ok(Self { books, keeper, redeemer, issuer, sources: RandomState::new(), trust })
    }

    pub(crate) fn books(&self) -> &Arc<Books> {
        &self.books
    }

    /// By what networks are told apart.
    fn sources(&self) -> &RandomState {
        &self.sources
    }

    /// Has a token redeemed, and its first store judged: the verdict comes when it is spent on the disk.
    /// `source` tells those apart who may flood.
    pub(crate) fn redeem(
        &self,
        redemption: herald_admission::Redemption,
        number: Option<TelephoneNumber>,
        body: Bytes,
        source: u64,
        now: Timestamp,
    ) -> Result<Reading<Granted>, Refusal> {
        self.redeemer.submit(Token { redemption, number, body }, source, now)
    }

    /// Gives what the holder of numbers asks for. `None` if too many ask.
    pub(crate) fn ask(&self, errand: Errand) -> Option<Reading<answer::HttpResponse>> {
        self.issuer.submit(errand)
    }

    /// Knows other holders from now on.
    pub(crate) fn set_trust(&self, trust: Option<TrustStore>) {
        *self.trust.write() = trust;
    }

    /// What it did so far, and what it holds. O(sessions there may be).
    pub(crate) fn stats(&self) -> AdmissionStats {
        let Books { admission, counters, .. } = &*self.books;
        AdmissionStats {
            sessions: admission.sessions_count(),
            spent: admission.spent_count(),
            waiting: self.redeemer.waiting_count(),
            redeemed: counters.redeemed(),
            issued: counters.issued(),
            refused: counters.refused(),
        }
    }

    /// Ends the threads. What waits is refused.
    pub(crate) fn stop(&self) {
        self.redeemer.stop();
        self.issuer.stop();
        self.keeper.stop();
    }
}

impl Books {
    fn now(&self) -> Timestamp {
        self.clock.now()
    }

    fn say(&self, level: Level, what: &str) {
        (self.report)(level, &format!("admission: {what}"));
    }

    /// The issuer directory. Written anew when keys or the epoch have changed.
    fn directory(&self, now: Timestamp) -> Bytes {
        let state = self.admission.directory_state(now);
        let mut directory = self.directory.lock();
        if let Some((of, text)) = &*directory
            && *of == state
        {
            return text.clone();
        }
        let keys = self.admission.published_keys(now);
        let text = Bytes::from(directory::write(self.admission.settings(), &keys));
        *directory = Some((state, text.clone()));
        text
    }

    /// Takes in what was spent before a restart of an epoch that is not over. How many tokens.
    fn restore_spent(&self, vault: &Vault, epoch: u64, now: Timestamp) -> Result<u64, EngineError> {
        let mut count = 0;
        vault.for_each_spent(epoch, &mut |mark| {
            let record = SpentRecord { epoch, token_id: TokenId(mark.token), first_store: mark.digest };
            count += u64::from(self.admission.restore(&record, now));
        })?;
        Ok(count)
    }
}

/// Waits for a call into a plugin. The watch over plugins sees to it that it ends.
fn wait_for<T: Send + 'static>(ask: impl FnOnce(crate::plugins::Done<T>)) -> Result<T, NotDone> {
    let (sender, receiver) = mpsc::channel();
    ask(Box::new(move |came| {
        // The other end waits.
        let _ = sender.send(came);
    }));
    receiver.recv().unwrap_or(Err(NotDone::Stopped))
}

/// Starts a thread of admission.
fn spawn(
    name: &str,
    work: impl FnOnce() + Send + 'static,
) -> Result<std::thread::JoinHandle<()>, EngineError> {
    std::thread::Builder::new().name(name.into()).spawn(work).map_err(|error| {
        EngineError::new(EngineErrorKind::Limit, format!("the system refuses a thread: {error}"))
    })
}
