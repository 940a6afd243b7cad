//! The verification service (RFC 8816 §8.2): retrieves what waits for a called number, opens what opens, fetches the
//! certificates it lacks, and judges all PASSporTs of the call together, those that came in band among them.
//!
//! The RFC narrows the set of PASSporTs in six steps. Here each PASSporT is judged once, cheap checks first, and the
//! [trace](Checked::trace) says at which of the steps it left the set. What remains is the same; and no certificate is
//! fetched for a PASSporT of another call or one that is stale anyway.

use core::fmt;
use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use herald_core::{TelephoneNumber, Timestamp};

use super::collection::{Collection, CollectionFault};
use super::gathering::{Gathered, Gathering};
use super::io::{Answer, Ask, Fetched, IoFault, Machine, Moment, Ticket, Tickets, Turn};
use super::sources::CpsSources;
use crate::call::{CallVerdict, PassportReport};
use crate::certificate::{CertificateChain, CertificateSource, ChainCache, Held, TnAuthList};
use crate::context::{CallContext, CallFacts, IdentityValue};
use crate::error::{Fault, Stage};
use crate::limits::{CALL_PASSPORTS_MAX, CHECK_DEADLINE_DEFAULT_MS};
use crate::replay::{CallToken, ReplayMemory};
use crate::seal::{SealingKey, open};
use crate::verify::VerificationPolicy;

/// What all calls of one verification service have in common.
pub struct VerificationService {
    /// What a PASSporT must satisfy.
    pub policy: VerificationPolicy,
    /// The called side's keys: up to [`OPENING_KEYS_MAX`](crate::limits::OPENING_KEYS_MAX). Without any no service
    /// is asked, and only what came in band is judged.
    pub sealing_keys: Vec<SealingKey>,
    /// Finds the services of called numbers.
    pub cps: Arc<CpsSources>,
    /// The host's own certificates, asked first.
    pub certificates: Option<Arc<dyn CertificateSource + Send + Sync>>,
    /// The chains that were fetched.
    pub chains: Arc<ChainCache>,
    /// What was verified before.
    pub seen: Arc<ReplayMemory>,
    /// Is shown the signers' certificates.
    pub witness: Option<Arc<Witness>>,
}

/// Is shown the signer's certificate, DER, of each PASSporT that held, when its call has been checked: if the lists of all
/// its issuers hold each entry of its own. Must not block.
pub type Witness = dyn Fn(&[u8]) + Send + Sync;

/// A call to be checked.
#[derive(Clone, Debug)]
pub struct CheckRequest {
    /// What the signalling says.
    pub call: CallFacts,
    /// The values of the request's Identity header fields, if it came with some.
    pub in_band: Vec<Vec<u8>>,
    /// The Date of the request, in seconds since the Unix epoch; compact PASSporTs need it.
    pub date_s: Option<i64>,
    /// Names the call: the same PASSporT may come again with it and with no other. Without one nothing is remembered,
    /// and a copy of a PASSporT passes while it is fresh.
    pub name: Option<CallToken>,
    /// How long it may take from its begin, in milliseconds; a phone waits to ring.
    pub deadline_ms: u64,
}

impl CheckRequest {
    /// A call of which nothing but `call` is known.
    pub const fn new(call: CallFacts) -> Self {
        Self { call, in_band: Vec::new(), date_s: None, name: None, deadline_ms: CHECK_DEADLINE_DEFAULT_MS }
    }
}

/// What was found of a call.
#[derive(Clone, Debug)]
pub struct Checked {
    /// The verdict, with a report for each PASSporT that was judged. Of a call without any it is
    /// [`Fault::NoPassport`], of one whose check was cancelled [`Fault::NotJudged`].
    pub verdict: CallVerdict,
    /// How the set was narrowed, step by step.
    pub trace: Vec<Step>,
    /// Items the services had under the number, cover among them.
    pub items_count: usize,
    /// PASSporTs among them that opened, each counted once.
    pub opened_count: usize,
    /// Whether all services were asked; if not, a PASSporT may be missing.
    pub lookup: Result<(), LookupFault>,
}

/// Why not all was looked at that may wait for a call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LookupFault {
    /// The called party is no telephone number, so nothing waits for it out of band.
    NotANumber,
    /// No key is configured that could open what waits for the number, so nobody was asked.
    NoSealingKey,
    /// Nothing was retrieved.
    Nothing(CollectionFault),
    /// One of several services gave nothing; what it said.
    Missed(IoFault),
    /// The time was over.
    Deadline,
    /// The host cancelled it; nothing was judged.
    Cancelled,
}

impl fmt::Display for LookupFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotANumber => {
                f.write_str("the called party is no telephone number; only those have a service")
            }
            Self::NoSealingKey => {
                f.write_str("no sealing key is configured to open what waits for the number")
            }
            Self::Nothing(fault) => fault.fmt(f),
            Self::Missed(fault) => write!(f, "a service of the called number gave nothing: {fault}"),
            Self::Deadline => f.write_str("the time to check the call was over"),
            Self::Cancelled => f.write_str("checking the call was cancelled"),
        }
    }
}

impl core::error::Error for LookupFault {}

/// The steps of RFC 8816 §8.2.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum StepName {
    /// Step 1: what was retrieved is opened.
    Open = 1,
    /// Step 2: the types that are supported.
    Type = 2,
    /// Step 3: those of this call.
    Call = 3,
    /// Step 4: those whose credentials are valid and trusted.
    Credentials = 4,
    /// Step 5: the fresh ones.
    Freshness = 5,
    /// Step 6: those whose signature holds, and what else belongs to it: chain, digests, no replay.
    Signature = 6,
}

impl StepName {
    const ALL: [Self; 6] =
        [Self::Open, Self::Type, Self::Call, Self::Credentials, Self::Freshness, Self::Signature];

    /// Its short name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Type => "type",
            Self::Call => "call",
            Self::Credentials => "credentials",
            Self::Freshness => "freshness",
            Self::Signature => "signature",
        }
    }

    /// The step at which `fault` takes a PASSporT out of the set.
    const fn of(fault: &Fault) -> Self {
        match (fault, fault.stage()) {
            (Fault::OrigMismatch | Fault::DestMismatch, _) => Self::Call,
            (_, Stage::Certificate | Stage::Authority) => Self::Credentials,
            (_, Stage::Iat) => Self::Freshness,
            (_, Stage::Signature | Stage::Chain | Stage::Replay) => Self::Signature,
            _ => Self::Type,
        }
    }
}

/// How one step narrowed the set. It names no telephone number.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// Which.
    pub name: StepName,
    /// How many PASSporTs are left after it.
    pub kept_count: usize,
    /// How many it took out, by reason.
    pub dropped: Vec<(String, usize)>,
}

impl VerificationService {
    /// The machine that checks the call of `request`.
    pub fn check(self: Arc<Self>, request: CheckRequest) -> CheckCall {
        CheckCall {
            service: self,
            request,
            tickets: Tickets::default(),
            deadline: Timestamp::default(),
            collection: None,
            gathering: Gathering::default(),
            found: Found::default(),
            lookup: Ok(()),
            outcome: None,
            is_done: false,
        }
    }
}

/// One call being checked.
pub struct CheckCall {
    service: Arc<VerificationService>,
    request: CheckRequest,
    tickets: Tickets,
    deadline: Timestamp,
    /// Until all services have answered or are no longer waited for.
    collection: Option<Collection>,
    gathering: Gathering,
    found: Found,
    lookup: Result<(), LookupFault>,
    outcome: Option<Checked>,
    is_done: bool,
}

/// What was retrieved so far.
#[derive(Default)]
struct Found {
    items_count: usize,
    closed_count: usize,
    /// Each once, in the order in which they came.
    tokens: Vec<String>,
}

impl Machine for CheckCall {
    type Outcome = Checked;

    fn begin(&mut self, now: Moment, asks: &mut Vec<Ask>) {
        self.deadline = now.steady.plus_millis(self.request.deadline_ms);
        match self.request.call.dest.number() {
            None => self.go_without(LookupFault::NotANumber, now, asks),
            Some(_) if self.service.sealing_keys.is_empty() => {
                self.go_without(LookupFault::NoSealingKey, now, asks);
            }
            Some(number) => {
                self.collection = Some(Collection::of(number));
                let result = self.discover(now, asks);
                self.go_on(result, now, asks);
            }
        }
    }

    fn answer(&mut self, ticket: Ticket, answer: Answer, now: Moment, asks: &mut Vec<Ask>) {
        if self.is_done {
            return;
        }
        if let Some(collection) = self.collection.as_mut().filter(|collection| collection.awaits(ticket)) {
            let turn = &mut Turn::new(now, &mut self.tickets, asks);
            let result = collection.answer(ticket, answer, &self.service.cps, turn);
            let result = result.and_then(|()| self.discover(now, asks));
            self.go_on(result, now, asks);
        } else if self.gathering.awaits(ticket) {
            let turn = &Turn::new(now, &mut self.tickets, asks);
            self.gathering.answer(ticket, answer, &self.service.chains, turn);
            if self.gathering.is_complete() {
                self.judge(now, asks);
            }
        }
    }

    fn wake_at(&self) -> Option<Timestamp> {
        let slow = self.collection.as_ref().and_then(Collection::wake_at);
        (!self.is_done).then(|| slow.map_or(self.deadline, |at| at.min(self.deadline)))
    }

    fn wake(&mut self, now: Moment, asks: &mut Vec<Ask>) {
        if self.is_done {
            return;
        }
        if now.steady >= self.deadline {
            if self.lookup.is_ok() {
                self.lookup = Err(LookupFault::Deadline);
            }
            let (verdict, _) = self.verdict(now);
            self.show_signers(&verdict, now);
            self.finish(verdict);
        } else {
            let result = self.discover(now, asks);
            self.go_on(result, now, asks);
        }
    }

    fn cancel(&mut self) {
        if !self.is_done {
            self.lookup = Err(LookupFault::Cancelled);
            self.finish(CallVerdict::refused(Fault::NotJudged));
        }
    }

    fn outcome(&mut self) -> Option<Checked> {
        self.outcome.take()
    }
}

impl CheckCall {
    /// Judges what came in band alone.
    fn go_without(&mut self, why: LookupFault, now: Moment, asks: &mut Vec<Ask>) {
        self.lookup = Err(why);
        self.judge(now, asks);
    }

    /// Asks the services of the called number, or for what is needed to find them.
    fn discover(&mut self, now: Moment, asks: &mut Vec<Ask>) -> Result<(), CollectionFault> {
        let Some(collection) = &mut self.collection else { return Ok(()) };
        let turn = &mut Turn::new(now, &mut self.tickets, asks);
        collection.discover(&self.service.cps, self.deadline, turn)
    }

    /// Opens what came, and judges when that may change something.
    fn go_on(&mut self, result: Result<(), CollectionFault>, now: Moment, asks: &mut Vec<Ask>) {
        let has_more = self.open_items();
        let is_over = match (&self.collection, result) {
            (_, Err(fault)) => {
                self.lookup = Err(LookupFault::Nothing(fault));
                true
            }
            (Some(collection), Ok(())) if collection.is_complete(now.steady) => {
                self.lookup = collection.missed().map_or(Ok(()), |fault| Err(LookupFault::Missed(fault)));
                true
            }
            _ => false,
        };
        if is_over {
            self.collection = None;
        }
        if is_over || has_more {
            self.judge(now, asks);
        }
    }

    /// Step 1. Returns whether something new was opened.
    // rfc8816:8.2-1.
    fn open_items(&mut self) -> bool {
        let (Some(collection), Some(number)) = (&mut self.collection, self.request.call.dest.number()) else {
            return false;
        };
        let opened_before = self.found.tokens.len();
        for item in collection.take_items() {
            self.found.items_count += 1;
            match open(&item, number, &self.service.sealing_keys) {
                Ok(token) if !self.found.tokens.contains(&token) => self.found.tokens.push(token),
                Ok(_) => {}
                Err(_) => self.found.closed_count += 1,
            }
        }
        self.found.tokens.len() > opened_before
    }

    /// Steps 2 to 6 over what is there. Ends if the call is accepted or nothing more is to come.
    fn judge(&mut self, now: Moment, asks: &mut Vec<Ask>) {
        let (verdict, missing) = self.verdict(now);
        if verdict.outcome().is_err() {
            let turn = &mut Turn::new(now, &mut self.tickets, asks);
            self.gathering.gather(missing, &self.service.chains, turn);
            if !self.gathering.is_complete() || self.collection.is_some() {
                return;
            }
        }
        self.show_signers(&verdict, now);
        self.finish(verdict);
    }

    /// The verdict on what is there, and the URLs of certificates that it lacks.
    // rfc8816:8.2-2, rfc8816:8.2-3, rfc8816:8.2-4, rfc8816:8.2-5, rfc8816:8.2-6.
    fn verdict(&self, now: Moment) -> (CallVerdict, Missing) {
        let source = Noting::new(&self.service, &self.gathering);
        let service = &*self.service;
        let in_band = self.request.in_band.iter().map(|value| IdentityValue::Header(value));
        let mut values: Vec<_> = in_band.collect();
        let room = CALL_PASSPORTS_MAX.saturating_sub(values.len());
        values.extend(self.most_promising(room, &source, now).into_iter().map(IdentityValue::Token));
        let context = CallContext {
            date_s: self.request.date_s,
            seen: self.request.name.map(|name| (&*service.seen, name)),
            ..CallContext::of(&self.request.call)
        };
        let verdict = service.policy.verify_call(&values, &context, &source, now.wall);
        (verdict, source.missing.into_inner())
    }

    /// Up to `room` of the tokens that were opened: all if there are no more; else those that hold by themselves go
    /// first, so that nobody hides a good one behind many bad ones.
    fn most_promising(&self, room: usize, source: &Noting<'_>, now: Moment) -> Vec<&[u8]> {
        let mut tokens: Vec<&[u8]> = self.found.tokens.iter().map(String::as_bytes).collect();
        if tokens.len() > room {
            // Whom a PASSporT names as called is not compared: it may be part of a chain of diversions.
            let context = CallContext { dest: None, to: None, ..CallContext::of(&self.request.call) };
            let alone = |token| {
                let report =
                    self.service.policy.verify_one(IdentityValue::Token(token), &context, source, now.wall);
                report.outcome().err().map(|fault| core::cmp::Reverse(StepName::of(fault)))
            };
            tokens.sort_by_cached_key(|token| alone(token));
            tokens.truncate(room);
        }
        tokens
    }

    /// A certificate is believed for all of its numbers, so one that was given more than its issuers have is not shown,
    /// nor one of which only other sources can tell.
    fn show_signers(&self, verdict: &CallVerdict, now: Moment) {
        let Some(witness) = &self.service.witness else { return };
        let good = verdict.reports().iter().filter(|report| report.outcome().is_ok());
        for chain in good.filter_map(PassportReport::signer) {
            let verified = chain.verify(&self.service.policy.trust, now.wall);
            if verified.is_ok_and(|verified| verified.stands_for_own()) {
                witness(chain.signer_der());
            }
        }
    }

    fn finish(&mut self, verdict: CallVerdict) {
        self.is_done = true;
        let trace = self.trace(&verdict);
        let lookup = core::mem::replace(&mut self.lookup, Ok(()));
        let (items_count, opened_count) = (self.found.items_count, self.found.tokens.len());
        self.outcome = Some(Checked { verdict, trace, items_count, opened_count, lookup });
    }

    /// How the set came to what is left.
    fn trace(&self, verdict: &CallVerdict) -> Vec<Step> {
        let mut kept_count = self.found.tokens.len() + self.request.in_band.len();
        let faults: Vec<&Fault> =
            verdict.reports().iter().filter_map(|report| report.outcome().err()).collect();
        let passed_over = kept_count.saturating_sub(verdict.reports().len());
        StepName::ALL
            .into_iter()
            .map(|name| {
                let mut dropped: BTreeMap<String, usize> = BTreeMap::new();
                let here =
                    faults.iter().filter(|fault| name != StepName::Open && StepName::of(fault) == name);
                here.for_each(|fault| *dropped.entry(fault.to_string()).or_default() += 1);
                kept_count -= dropped.values().sum::<usize>().min(kept_count);
                if name == StepName::Open && self.found.closed_count > 0 {
                    dropped.insert("cover, or sealed for others".into(), self.found.closed_count);
                }
                if name == StepName::Type && passed_over > 0 {
                    dropped.insert("more than are judged for one call".into(), passed_over);
                    kept_count -= passed_over;
                }
                Step { name, kept_count, dropped: dropped.into_iter().collect() }
            })
            .collect()
    }
}

/// Documents by URL that are not at hand.
type Missing = BTreeSet<(String, Fetched)>;

/// The certificates at hand, and a note of those that are not.
struct Noting<'a> {
    own: Option<&'a (dyn CertificateSource + Send + Sync)>,
    gathered: Gathered<'a>,
    missing: RefCell<Missing>,
}

impl<'a> Noting<'a> {
    fn new(service: &'a VerificationService, gathering: &'a Gathering) -> Self {
        let gathered = gathering.gathered(&service.chains);
        Self { own: service.certificates.as_deref(), gathered, missing: RefCell::default() }
    }
}

impl CertificateSource for Noting<'_> {
    fn chain(&self, url: &str, now: Timestamp) -> Result<Arc<CertificateChain>, Fault> {
        match self.own.map(|own| own.chain(url, now)) {
            None | Some(Err(Fault::NoCertificate)) => {}
            Some(own) => return own,
        }
        let chain = self.gathered.chain(url, now);
        // One that has run out may have been replaced; until that is known it is what there is.
        if chain.as_ref().map_or_else(|fault| *fault == Fault::NoCertificate, |chain| chain.has_run_out(now))
        {
            self.missing.borrow_mut().insert((url.to_owned(), Fetched::Certificate));
        }
        chain
    }

    fn carried_chain(
        &self,
        certificates: &[Vec<u8>],
        now: Timestamp,
    ) -> Result<Arc<CertificateChain>, Fault> {
        self.gathered.carried_chain(certificates, now)
    }

    fn number_list(&self, url: &str, now: Timestamp) -> Option<Arc<TnAuthList>> {
        let own = self.own.and_then(|own| own.number_list(url, now));
        let list = own.or_else(|| self.gathered.number_list(url, now));
        if list.is_none() {
            self.missing.borrow_mut().insert((url.to_owned(), Fetched::NumberList));
        }
        list
    }

    fn code_holds(&self, code: &str, number: TelephoneNumber) -> Held {
        self.own.map_or(Held::Unknown, |own| own.code_holds(code, number))
    }
}
