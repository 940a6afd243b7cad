//! One thread of a worker: its calls, what is under way for them, and when they want to be woken.

use core::pin::Pin;
use core::time::Duration;
use std::collections::{BTreeSet, HashMap, VecDeque};
use std::mem;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};

use herald_core::{Item, Problem, TelephoneNumber, Timestamp};
use herald_journal::CommitState;
use herald_net::sync::Mutex;
use herald_net::{
    Answered, Bytes, Exchange, ExchangeId, Outbound, OutboundWaker, Request, Route, Surroundings,
};
use herald_stir::services::{Answer, Ask, Asked, CpsUri, IoFault, Moment, Ticket};

use super::call::{Call, Progress, Step};
use super::home::{HomeAsker, HomeQuestion};
use super::store::Storing;
use super::{CallId, Common, NamedCps};
use crate::cps::{self, CpsError};
use crate::discovery::Wanted;
use crate::error::EngineError;
use crate::fetch::{AnswerWaiter, FetchJob, Want};
use crate::limits::{
    CLIENT_DEADLINE_S, RETRIEVED_ANSWER_BYTES_MAX, STORED_ANSWER_BYTES_MAX, WORKER_MESSAGES_PER_TURN,
    WORKER_ROUTES_MAX,
};
use crate::readers::Reading;
use crate::shared::Retrieved;
use crate::stack::Pending;
use crate::wallet::Held;

/// What other threads tell a lane.
pub(super) enum Message {
    Submit(CallId, Box<dyn Call>, Arc<NamedCps>),
    Cancel(CallId),
    /// The answer to an ask, from wherever it was found.
    Answer(CallId, Ticket, Answer),
    /// The engine in process has got on with an ask.
    GotOn(CallId, Ticket),
    /// There is a token for a store that waits, or none to wait for.
    StoreNow(CallId, Ticket),
    /// A thread of the host asks the service that stands in the engine's place.
    AskHome(Box<HomeQuestion>),
}

/// Where messages to a lane are left. Bounded by the calls under way, each with the few asks a machine makes, and by the
/// host's threads, each with the few questions it waits for.
pub(super) struct Inbox {
    state: Mutex<InboxState>,
    waker: OutboundWaker,
}

#[derive(Default)]
struct InboxState {
    messages: VecDeque<Message>,
    is_closed: bool,
}

/// A lane that ended by itself.
pub(super) struct Broken;

/// A lane that takes no more messages.
pub(super) struct Closed;

impl Inbox {
    pub(super) fn push(&self, message: Message) -> Result<(), Closed> {
        self.push_with(|| Some(message))
    }

    /// Leaves a message that is only made if the lane takes it.
    pub(super) fn push_with(&self, make: impl FnOnce() -> Option<Message>) -> Result<(), Closed> {
        {
            let mut state = self.state.lock();
            if state.is_closed {
                return Err(Closed);
            }
            state.messages.extend(make());
        }
        self.nudge();
        Ok(())
    }

    /// Ends the lane's wait.
    pub(super) fn nudge(&self) {
        self.waker.wake();
    }

    fn take(&self) -> Option<Message> {
        self.state.lock().messages.pop_front()
    }

    fn is_empty(&self) -> bool {
        self.state.lock().messages.is_empty()
    }

    /// From here on nothing is taken. What was left comes back.
    pub(super) fn close(&self) -> VecDeque<Message> {
        let mut state = self.state.lock();
        state.is_closed = true;
        mem::take(&mut state.messages)
    }
}

/// The thread's own side.
pub(super) struct Lane {
    common: Arc<Common>,
    inbox: Arc<Inbox>,
    outbound: Outbound,
    calls: HashMap<CallId, Running>,
    exchanges: HashMap<ExchangeId, Purpose>,
    local: HashMap<(CallId, Ticket), Local>,
    /// Stores that wait for a token.
    pub(super) parked: HashMap<(CallId, Ticket), Box<Storing>>,
    wakes: BTreeSet<(Timestamp, CallId)>,
    unix_routes: HashMap<Arc<str>, Arc<Route>>,
}

/// A call under way on this lane.
pub(super) struct Running {
    call: Box<dyn Call>,
    /// As the operator had named them when it began.
    named: Arc<NamedCps>,
    wake_at: Option<Timestamp>,
    exchanges: Vec<ExchangeId>,
    /// What its stores are authorised with.
    pub(super) sessions: Held,
}

impl Running {
    fn new(call: Box<dyn Call>, named: Arc<NamedCps>) -> Self {
        Self { call, named, wake_at: None, exchanges: Vec::new(), sessions: Held::new() }
    }
}

/// What an exchange is for.
pub(super) enum Purpose {
    Retrieve(CallId, Ticket),
    Store(CallId, Ticket, Box<Storing>),
    Fetch(Box<FetchJob>),
    Home(HomeAsker),
}

impl Purpose {
    /// Bytes of a service's answer that are accepted.
    const fn answer_bytes_max(&self) -> usize {
        match self {
            Self::Retrieve(..) => RETRIEVED_ANSWER_BYTES_MAX,
            Self::Store(..) | Self::Fetch(_) | Self::Home(_) => STORED_ANSWER_BYTES_MAX,
        }
    }
}

/// What the engine in process is at.
enum Local {
    /// A store waits for the journal.
    Committing { pending: Pending, location: String },
    /// Items are read elsewhere, where the disk may be waited for.
    Reading(Reading<Vec<Item>>),
}

impl Lane {
    pub(super) fn new(common: Arc<Common>, surroundings: Surroundings) -> Result<Self, EngineError> {
        let outbound = Outbound::new(surroundings)?;
        let inbox = Inbox { state: Mutex::default(), waker: outbound.waker() };
        Ok(Self {
            common,
            inbox: Arc::new(inbox),
            outbound,
            calls: HashMap::new(),
            exchanges: HashMap::new(),
            local: HashMap::new(),
            parked: HashMap::new(),
            wakes: BTreeSet::new(),
            unix_routes: HashMap::new(),
        })
    }

    pub(super) fn inbox(&self) -> Arc<Inbox> {
        self.inbox.clone()
    }

    /// Works until the worker stops. If the network fails for good, so do the calls.
    ///
    /// # Errors
    /// [`Broken`] if it ended before the worker was to stop.
    pub(super) fn run(mut self) -> Result<(), Broken> {
        while !self.common.is_stopping() {
            self.read_messages();
            self.take_answers();
            self.wake_the_due();
            let (inbox, common) = (&self.inbox, &self.common);
            let has_news = || !inbox.is_empty() || common.is_stopping();
            if self.outbound.turn(patience(&self.wakes, common.clock.now()), has_news).is_err() {
                break;
            }
        }
        let outcome = if self.common.is_stopping() { Ok(()) } else { Err(Broken) };
        self.end();
        outcome
    }

    fn read_messages(&mut self) {
        for _ in 0..WORKER_MESSAGES_PER_TURN {
            let Some(message) = self.inbox.take() else { return };
            self.obey(message);
        }
    }

    fn obey(&mut self, message: Message) {
        match message {
            Message::Submit(id, call, named) => {
                self.calls.insert(id, Running::new(call, named));
                self.advance(id, Step::Begin);
            }
            Message::Cancel(id) => self.advance(id, Step::Cancel),
            Message::Answer(id, ticket, answer) => self.advance(id, Step::Answer(ticket, answer)),
            Message::StoreNow(id, ticket) => self.store_now(id, ticket),
            Message::AskHome(question) => self.ask_home(*question),
            Message::GotOn(id, ticket) => {
                if let Some(local) = self.local.remove(&(id, ticket))
                    && let Some(answer) = self.await_local(id, ticket, local)
                {
                    self.advance(id, Step::Answer(ticket, answer));
                }
            }
        }
    }

    fn take_answers(&mut self) {
        while let Some((exchange, answered)) = self.outbound.take_done() {
            match self.exchanges.remove(&exchange) {
                Some(Purpose::Fetch(job)) => {
                    // Those who wait for it are told through their lanes' inboxes.
                    job.finish(answered, self.common.clock.now());
                }
                Some(Purpose::Home(asker)) => self.common.tell_home(asker, answered),
                Some(Purpose::Retrieve(id, ticket)) => self.answer(id, exchange, ticket, retrieved(answered)),
                Some(Purpose::Store(id, ticket, storing)) => {
                    if let Some(answer) = self.take_stored(id, ticket, storing, answered) {
                        self.answer(id, exchange, ticket, answer);
                    } else {
                        self.forget_exchange(id, exchange);
                    }
                }
                None => {}
            }
        }
    }

    fn answer(&mut self, id: CallId, exchange: ExchangeId, ticket: Ticket, answer: Answer) {
        if self.forget_exchange(id, exchange) {
            self.advance(id, Step::Answer(ticket, answer));
        }
    }

    /// Whether its call is under way.
    fn forget_exchange(&mut self, id: CallId, exchange: ExchangeId) -> bool {
        let Some(running) = self.calls.get_mut(&id) else { return false };
        running.exchanges.retain(|&other| other != exchange);
        true
    }

    /// Takes a call aside, to be put back.
    pub(super) fn take_running(&mut self, id: CallId) -> Option<Running> {
        self.calls.remove(&id)
    }

    pub(super) fn put_running(&mut self, id: CallId, running: Running) {
        self.calls.insert(id, running);
    }

    pub(super) fn common(&self) -> &Common {
        &self.common
    }

    /// Whether the operator had named the service when the call began.
    pub(super) fn is_named(&self, id: CallId, cps: &CpsUri) -> bool {
        self.calls.get(&id).is_some_and(|running| self.common.is_named(&running.named, cps))
    }

    fn wake_the_due(&mut self) {
        let now = self.common.clock.now();
        // Each once: a machine that wants to be woken at once is woken in the next turn.
        let due: Vec<CallId> =
            self.wakes.iter().take_while(|(at, _)| *at <= now).map(|(_, id)| *id).collect();
        due.into_iter().for_each(|id| self.advance(id, Step::Wake));
    }

    /// Takes a call through `step` and all that can be answered at once.
    pub(super) fn advance(&mut self, id: CallId, step: Step) {
        let Some(mut running) = self.calls.remove(&id) else { return };
        if let Some(at) = running.wake_at.take() {
            self.wakes.remove(&(at, id));
        }
        let mut asks = Vec::new();
        let mut answers = VecDeque::from([step]);
        let mut progress = Progress::UnderWay;
        while progress == Progress::UnderWay
            && let Some(step) = answers.pop_front()
        {
            progress = running.call.step(step, self.moment(), &mut asks);
            if progress == Progress::UnderWay {
                for Ask { ticket, what } in asks.drain(..) {
                    let answer = self.carry_out(id, &mut running, ticket, what);
                    answers.extend(answer.map(|answer| Step::Answer(ticket, answer)));
                }
            }
        }
        match progress {
            Progress::UnderWay => {
                running.wake_at = running.call.wake_at();
                self.wakes.extend(running.wake_at.map(|at| (at, id)));
                self.calls.insert(id, running);
            }
            Progress::Done | Progress::Panicked => self.finish(id, running, progress),
        }
    }

    fn finish(&mut self, id: CallId, running: Running, progress: Progress) {
        for exchange in running.exchanges {
            self.exchanges.remove(&exchange);
            self.outbound.cancel(exchange);
        }
        self.local.retain(|(owner, _), _| *owner != id);
        self.parked.retain(|(owner, _), _| *owner != id);
        let panics = usize::from(progress == Progress::Panicked) + usize::from(running.call.tell().is_err());
        self.common.count_panics(panics);
    }

    fn moment(&self) -> Moment {
        Moment { steady: self.common.clock.now(), wall: (self.common.wall)() }
    }

    /// Does what is asked, or begins to. `Some` if there is an answer already.
    fn carry_out(
        &mut self,
        id: CallId,
        running: &mut Running,
        ticket: Ticket,
        what: Asked,
    ) -> Option<Answer> {
        match self.common.seen_from_home(what) {
            Asked::Retrieve { cps: CpsUri::Local, number } => self.retrieve_here(id, ticket, number),
            Asked::Store { cps: CpsUri::Local, number, body } => self.store_here(id, ticket, number, &body),
            Asked::Retrieve { cps, number } => {
                let request = |base: &str| cps::retrieve_request(base, number);
                self.ask_elsewhere(running, &cps, request, Purpose::Retrieve(id, ticket))
                    .err()
                    .map(Answer::Failed)
            }
            Asked::Store { cps, number, body } => {
                self.store_elsewhere(id, running, ticket, Storing::new(cps, number, body))
            }
            Asked::Get { url, kind } => {
                let (waiter, now) = (self.waiting(id, ticket), self.common.clock.now());
                self.take_want(self.common.fetcher.want(&url, kind, waiter, now))
            }
            Asked::GetAnew { url, kind } => {
                let (waiter, now) = (self.waiting(id, ticket), self.common.clock.now());
                self.take_want(self.common.fetcher.want_anew(&url, kind, waiter, now))
            }
            Asked::Discover { source, number, side, .. } => {
                let Some(discoverer) = self.common.discoverer() else { return Some(no_source(&source)) };
                let wanted = Wanted { source: &source, number, side };
                discoverer.want(wanted, self.waiting(id, ticket), self.common.clock.now())
            }
        }
    }

    fn waiting(&self, id: CallId, ticket: Ticket) -> Box<Waiting> {
        Box::new(Waiting { inbox: self.inbox.clone(), id, ticket })
    }

    /// The answer, if there is one at once.
    fn take_want(&mut self, want: Want) -> Option<Answer> {
        match want {
            Want::Answer(answer) => Some(answer),
            Want::AnswerAndRefresh(answer, job) => {
                self.fetch(job);
                Some(answer)
            }
            Want::Later => None,
            Want::Fetch(job) => {
                self.fetch(job);
                None
            }
        }
    }

    fn fetch(&mut self, mut job: FetchJob) {
        match self.outbound.begin(job.exchange()) {
            Ok(exchange) => {
                self.exchanges.insert(exchange, Purpose::Fetch(Box::new(job)));
            }
            Err(error) => job.finish(Err(error), self.common.clock.now()),
        }
    }

    /// The way to a service elsewhere, and what its URIs begin with.
    fn elsewhere(&mut self, named: &NamedCps, cps: &CpsUri) -> Result<(Arc<Route>, Arc<str>), IoFault> {
        if let Some(home) = self.common.home.as_ref().filter(|home| home.is(cps)) {
            return Ok(home.way());
        }
        let is_named = self.common.is_named(named, cps);
        match cps {
            CpsUri::Local => unreachable!("the engine in process is asked without a detour"),
            CpsUri::Https(url) => {
                let routes = self.common.https.as_ref().ok_or_else(|| {
                    let why = "no authorities are configured that a service's certificate may chain to";
                    IoFault::NotAllowed(why.to_owned())
                })?;
                Ok((if is_named { &routes.named } else { &routes.found }.clone(), url.clone()))
            }
            CpsUri::Unix(_) if !is_named => {
                let why = "only services that the operator has named are asked through a socket";
                Err(IoFault::NotAllowed(why.to_owned()))
            }
            CpsUri::Unix(path) => {
                if self.unix_routes.len() >= WORKER_ROUTES_MAX && !self.unix_routes.contains_key(path) {
                    self.unix_routes.clear();
                }
                let make = || Arc::new(Route::unix(&**path));
                let route = self.unix_routes.entry(path.clone()).or_insert_with(make).clone();
                Ok((route, cps::UNIX_BASE.into()))
            }
        }
    }

    pub(super) fn ask_elsewhere(
        &mut self,
        running: &mut Running,
        cps: &CpsUri,
        request: impl FnOnce(&str) -> Result<Request<Bytes>, CpsError>,
        purpose: Purpose,
    ) -> Result<(), IoFault> {
        let (route, base) = self.elsewhere(&running.named, cps)?;
        let exchange = Exchange {
            route,
            request: request(&base)?,
            answer_bytes_max: purpose.answer_bytes_max(),
            allowed: Duration::from_secs(CLIENT_DEADLINE_S),
        };
        let exchange = self.outbound.begin(exchange).map_err(CpsError::from)?;
        self.exchanges.insert(exchange, purpose);
        running.exchanges.push(exchange);
        Ok(())
    }

    fn ask_home(&mut self, question: HomeQuestion) {
        // Who asks has seen that there is a home.
        let Some(home) = &self.common.home else { return };
        let (exchange, asker) = question.put_to(home);
        match self.outbound.begin(exchange) {
            Ok(exchange) => {
                self.exchanges.insert(exchange, Purpose::Home(asker));
            }
            Err(error) => self.common.tell_home(asker, Err(error)),
        }
    }

    fn retrieve_here(&mut self, id: CallId, ticket: Ticket, number: TelephoneNumber) -> Option<Answer> {
        let Some(local) = self.common.local() else { return Some(Answer::Failed(no_engine())) };
        match local.begin_retrieve(number) {
            Err(error) => Some(Answer::Failed(refused_here(&error))),
            Ok(Retrieved::Now(items)) => Some(shown(items)),
            Ok(Retrieved::Later(reading)) => self.await_local(id, ticket, Local::Reading(reading)),
        }
    }

    fn store_here(
        &mut self,
        id: CallId,
        ticket: Ticket,
        number: TelephoneNumber,
        body: &[u8],
    ) -> Option<Answer> {
        let Some(local) = self.common.local() else { return Some(Answer::Failed(no_engine())) };
        match local.begin_store(number, body) {
            Err(error) => Some(Answer::Failed(refused_here(&error))),
            Ok((item, commit)) => {
                let location = cps::item_path(number, item);
                match commit {
                    None => Some(Answer::Stored { location }),
                    Some(commit) => {
                        self.await_local(id, ticket, Local::Committing { pending: commit, location })
                    }
                }
            }
        }
    }

    /// The answer of the engine in process, or `None` and it will say when to ask again.
    fn await_local(&mut self, id: CallId, ticket: Ticket, mut local: Local) -> Option<Answer> {
        let engine = self.common.local()?;
        let waker = Waker::from(Arc::new(Waiting { inbox: self.inbox.clone(), id, ticket }));
        let answer = match &mut local {
            Local::Committing { pending, location } => {
                engine.poll_durable(*pending, &waker).map(|state| match state {
                    CommitState::Durable => Answer::Stored { location: mem::take(location) },
                    CommitState::Pending | CommitState::Failed => {
                        Answer::Failed(refused_here(&Problem::Unavailable.into()))
                    }
                })
            }
            Local::Reading(reading) => {
                let read = Pin::new(reading).poll(&mut Context::from_waker(&waker));
                read.map(|items| {
                    items.map_or_else(|| Answer::Failed(refused_here(&engine.not_read())), shown)
                })
            }
        };
        match answer {
            Poll::Ready(answer) => Some(answer),
            Poll::Pending => {
                self.local.insert((id, ticket), local);
                None
            }
        }
    }

    /// Ends every call with the outcome that it was cancelled, those too that were never begun.
    fn end(mut self) {
        let left = self.inbox.close();
        for message in left {
            if let Message::Submit(id, call, named) = message {
                self.calls.insert(id, Running::new(call, named));
            }
        }
        let ids: Vec<CallId> = self.calls.keys().copied().collect();
        for id in ids {
            self.advance(id, Step::Cancel);
            // A machine that does not heed a cancel is lost.
            if let Some(running) = self.calls.remove(&id) {
                self.finish(id, running, Progress::Done);
            }
        }
    }
}

/// How long nothing is to be done, unless something happens.
fn patience(wakes: &BTreeSet<(Timestamp, CallId)>, now: Timestamp) -> Option<Duration> {
    let (at, _) = wakes.first()?;
    Some(Duration::from_millis(at.millis_since(now)))
}

/// A call that waits for something that another thread brings.
struct Waiting {
    inbox: Arc<Inbox>,
    id: CallId,
    ticket: Ticket,
}

impl AnswerWaiter for Waiting {
    fn tell(&self, answer: Answer) {
        // A lane that has closed has ended its calls.
        let _ = self.inbox.push(Message::Answer(self.id, self.ticket, answer));
    }
}

impl Wake for Waiting {
    fn wake(self: Arc<Self>) {
        let _ = self.inbox.push(Message::GotOn(self.id, self.ticket));
    }
}

fn retrieved(answered: Answered) -> Answer {
    let items = answered.map_err(CpsError::from).and_then(|response| cps::retrieved(&response));
    match items {
        Ok(items) => Answer::Items(items.into_iter().map(|item| item.body).collect()),
        Err(error) => Answer::Failed(error.into()),
    }
}

fn shown(items: Vec<Item>) -> Answer {
    Answer::Items(items.into_iter().map(|item| item.body).collect())
}

pub(super) fn stored(answered: Answered) -> Answer {
    match answered.map_err(CpsError::from).and_then(|response| cps::stored(&response)) {
        Ok(location) => Answer::Stored { location },
        Err(error) => Answer::Failed(error.into()),
    }
}

#[cold]
fn no_source(name: &str) -> Answer {
    Answer::Failed(IoFault::NotAllowed(format!("there is no source {name}")))
}

#[cold]
fn no_engine() -> IoFault {
    IoFault::NotAllowed("there is no engine in process; name a service by its URL".to_owned())
}

#[cold]
fn refused_here(error: &EngineError) -> IoFault {
    IoFault::Refused { status: 503, detail: error.to_string() }
}
