//! Sources of services beside the directory and the bundles: they are asked by name, at most once at a time for a number,
//! and what they say is kept as long as they say, within bounds.
//!
//! It decides and remembers, and never waits: who asks is told later. In which order sources are asked and who is
//! believed is not its business (`herald_stir::services::CpsSources`).

mod cache;
mod counters;
mod shown;
mod source;

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use herald_core::{Random, TelephoneNumber, Timestamp};
use herald_stir::limits::CPS_URIS_MAX;
use herald_stir::services::{Answer, CpsUri, Directory, Discovered, IoFault, Side};
use parking_lot::{Mutex, RwLock};

use crate::fetch::AnswerWaiter;
use crate::limits::{DISCOVERIES_MAX, OWN_SERVICES_MAX};
use crate::plugins::{Outcome, Question};
use cache::{Cache, Key};
use counters::{Counters, add};
use shown::Shown;

pub use counters::SourceCounters;
pub(crate) use source::Source;

/// Asks sources for any number of workers. Any thread.
pub(crate) struct Discoverer {
    members: Vec<Member>,
    /// Knows which service provider code a number has.
    codes: RwLock<Arc<Directory>>,
    random: Arc<dyn Random>,
    /// How long a source may take, in milliseconds: as long for all who wait, however little time one of them has.
    deadline_ms: u64,
    state: Mutex<State>,
    /// The services that the operator's own sources found.
    own: Mutex<HashSet<CpsUri>>,
    shown: Mutex<Shown>,
}

struct Member {
    name: Arc<str>,
    source: Arc<dyn Source>,
    is_own: bool,
    counters: Counters,
}

#[derive(Default)]
struct State {
    cache: Cache,
    /// How often all was forgotten: what was asked before is not kept.
    epoch: u64,
    /// Who waits for which question, of which epoch.
    under_way: HashMap<(u64, Key), Vec<Box<dyn AnswerWaiter>>>,
}

/// What a machine wants to know.
#[derive(Clone, Copy)]
pub(crate) struct Wanted<'a> {
    pub(crate) source: &'a str,
    pub(crate) number: TelephoneNumber,
    pub(crate) side: Side,
}

impl Discoverer {
    /// Asks none yet; later each may take `deadline_ms`.
    pub(crate) fn new(codes: Arc<Directory>, random: Arc<dyn Random>, deadline_ms: u64) -> Self {
        let (state, own, shown) = Default::default();
        Self { members: Vec::new(), codes: RwLock::new(codes), random, deadline_ms, state, own, shown }
    }

    /// Knows codes from here from now on, and asks anew for what was found.
    pub(crate) fn set_codes(&self, codes: Arc<Directory>) {
        *self.codes.write() = codes;
        self.forget();
    }

    /// One more source. `is_own`: what it finds is the operator's own word, so it counts as proven, and the services are
    /// asked wherever they are.
    pub(crate) fn add(&mut self, name: &str, source: Arc<dyn Source>, is_own: bool) {
        self.members.push(Member { name: name.into(), source, is_own, counters: Counters::default() });
    }

    /// Asks for what is wanted at `now` on the steady clock. The answer, if it is known; else `waiter` is told.
    pub(crate) fn want(
        self: &Arc<Self>,
        wanted: Wanted<'_>,
        waiter: Box<dyn AnswerWaiter>,
        now: Timestamp,
    ) -> Option<Answer> {
        let Some(index) = self.members.iter().position(|member| *member.name == *wanted.source) else {
            let why = format!("there is no source {}", wanted.source);
            return Some(Answer::Failed(IoFault::NotAllowed(why)));
        };
        let key = Key { index, number: wanted.number, side: wanted.side };
        let (counters, is_own) = (&self.members[index].counters, self.members[index].is_own);
        let mut state = self.state.lock();
        let known = state.cache.find(&key, now);
        let place = (state.epoch, key);
        let is_under_way = state.under_way.contains_key(&place);
        let has_room = state.under_way.len() < DISCOVERIES_MAX;
        let (answer, waiters) = match known {
            Some(known) => {
                add(&counters.kept);
                if let (Ok(found), true) = (&known.says, is_own) {
                    self.remember_own(&found.services);
                }
                let answer = Answer::from(known.says);
                if !known.is_due || is_under_way || !has_room {
                    return Some(answer);
                }
                add(&counters.refreshed);
                (Some(answer), Vec::new())
            }
            None if is_under_way => {
                add(&counters.joined);
                state.under_way.entry(place).or_default().push(waiter);
                return None;
            }
            None if !has_room => return Some(Answer::Failed(IoFault::Busy)),
            None => (None, vec![waiter]),
        };
        state.under_way.insert(place, waiters);
        drop(state);
        self.ask(place, now);
        answer
    }

    fn ask(self: &Arc<Self>, place: (u64, Key), now: Timestamp) {
        let (_, key) = place;
        let member = &self.members[key.index];
        add(&member.counters.asked);
        let (number, side) = (key.number, key.side);
        let spc = self.codes.read().code_of(number).map(str::to_owned);
        let asking =
            Asking { discoverer: self.clone(), place, asked_at: now, is_told: AtomicBool::new(false) };
        let deadline_ms = now.plus_millis(self.deadline_ms).as_millis();
        let question = Question { number, side, spc, deadline_ms };
        member.source.ask(question, Box::new(move |outcome| asking.tell(outcome)));
    }

    fn finish(&self, place: &(u64, Key), outcome: Outcome, asked_at: Timestamp) {
        let (epoch, key) = place;
        let member = &self.members[key.index];
        member.counters.count(&outcome);
        let says = judge(outcome, member.is_own);
        let waiters = {
            let mut state = self.state.lock();
            if state.epoch == *epoch {
                // Before anybody may act on it.
                if let (Ok(found), true) = (&says, member.is_own) {
                    self.remember_own(&found.services);
                }
                state.cache.put(*key, &says, asked_at, &*self.random);
            }
            state.under_way.remove(place).unwrap_or_default()
        };
        let answer = Answer::from(says);
        for waiter in waiters {
            waiter.tell(answer.clone());
        }
    }

    /// Whether one of the operator's own sources named the service.
    pub(crate) fn is_own(&self, cps: &CpsUri) -> bool {
        self.own.lock().contains(cps)
    }

    fn remember_own(&self, services: &[CpsUri]) {
        let mut own = self.own.lock();
        if own.len() + services.len() > OWN_SERVICES_MAX {
            own.clear();
        }
        own.extend(services.iter().cloned());
    }

    /// Shows the sources a certificate whose chain was verified, DER, unless they have seen it a moment ago.
    pub(crate) fn show_certificate(&self, der: &[u8], now: Timestamp) {
        if self.shown.lock().is_news(der, now) {
            self.members.iter().for_each(|member| member.source.observe_certificate(der));
        }
    }

    /// Forgets all answers, those to come to questions under way too: sources may know better now. Services that are the
    /// operator's own are so when a source names them again.
    pub(crate) fn forget(&self) {
        let mut state = self.state.lock();
        state.cache = Cache::default();
        state.epoch += 1;
        self.own.lock().clear();
    }

    /// What the sources were asked so far, in the order in which they were added.
    pub(crate) fn counters(&self) -> Vec<(String, SourceCounters)> {
        let snapshot = |member: &Member| (member.name.to_string(), member.counters.snapshot());
        self.members.iter().map(snapshot).collect()
    }
}

/// A question under way. Dropped untold, its source has failed.
struct Asking {
    discoverer: Arc<Discoverer>,
    place: (u64, Key),
    asked_at: Timestamp,
    is_told: AtomicBool,
}

impl Asking {
    fn tell(&self, outcome: Outcome) {
        if !self.is_told.swap(true, Ordering::Relaxed) {
            self.discoverer.finish(&self.place, outcome, self.asked_at);
        }
    }
}

impl Drop for Asking {
    fn drop(&mut self) {
        self.tell(Outcome::Failed("it dropped the question".to_owned()));
    }
}

/// What is made of a source's words.
fn judge(outcome: Outcome, is_own: bool) -> Result<Discovered, IoFault> {
    let found = |services, is_proven, note: String, fresh_s: u32| Discovered {
        services,
        is_proven,
        note: note.into(),
        fresh_s: fresh_s.into(),
        is_kept: false,
    };
    match outcome {
        Outcome::Found(says) => {
            let services = https_services(&says.uris);
            if services.is_empty() {
                return Err(IoFault::Malformed("it names no service by an https URI".to_owned()));
            }
            Ok(found(services, says.is_proven || is_own, says.note, says.fresh_s))
        }
        Outcome::Nothing { fresh_s: 0, .. } => Err(IoFault::Unreachable("it could not find out".to_owned())),
        Outcome::Nothing { fresh_s, note } => Ok(found(Vec::new(), false, note, fresh_s)),
        Outcome::Failed(why) => Err(IoFault::Unreachable(why)),
        Outcome::TimedOut => Err(IoFault::TimedOut),
        Outcome::Busy => Err(IoFault::Busy),
        Outcome::Disabled(why) => Err(IoFault::NotAllowed(why)),
    }
}

/// The different services among `uris`; no source names this engine or a socket.
pub(crate) fn https_services(uris: &[String]) -> Vec<CpsUri> {
    let mut services: Vec<CpsUri> = Vec::new();
    for uri in uris {
        if let Ok(service @ CpsUri::Https(_)) = uri.parse()
            && !services.iter().any(|other| other.is_same(&service))
            && services.len() < CPS_URIS_MAX
        {
            services.push(service);
        }
    }
    services
}

#[cfg(test)]
mod tests;
