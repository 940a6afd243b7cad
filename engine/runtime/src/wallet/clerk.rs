//! The thread that asks issuers: for directories, and for tokens ahead, on connections of its own.

use core::sync::atomic::{AtomicBool, Ordering};
use core::time::Duration;
use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::sync::mpsc::sync_channel;
use std::thread::{self, JoinHandle};

use herald_admission::Mode;
use herald_admission::directory::{self, Directory, OfferedKey};
use herald_admission::limits::DIRECTORY_BYTES_MAX;
use herald_core::Timestamp;
use herald_net::header::{AUTHORIZATION, CONTENT_TYPE, RETRY_AFTER};
use herald_net::{
    Answered, Bytes, Exchange, ExchangeId, Method, Outbound, OutboundWaker, Request, Response, StatusCode,
};
use herald_stir::AccessToken;
use parking_lot::Mutex;

use super::Core;
use super::purse::{Now, Plan};
use super::session::Waiter;
use crate::cps;
use crate::error::{EngineError, EngineErrorKind};
use crate::limits::{
    CLIENT_DEADLINE_S, ISSUER_FAILED_MS, ISSUER_WAIT_MAX_S, TOKENS_ANSWER_BYTES_MAX, TOKENS_DEADLINE_MS,
};
use crate::plugin_loader::Scheme;
use crate::plugins::{NotDone, RateControlPlugin, Secret, Token, Want};

/// The running thread.
pub(super) struct Clerk {
    desk: Arc<Desk>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

/// Where plugins leave what they made.
struct Desk {
    /// Bounded by the purses: each is busy with one thing.
    letters: Mutex<VecDeque<Letter>>,
    waker: OutboundWaker,
    is_stopping: AtomicBool,
}

/// An order for tokens on its way.
struct Order {
    service: Arc<str>,
    key: OfferedKey,
    mode: Mode,
    count: u32,
    plugin: RateControlPlugin,
}

enum Letter {
    Requested(Order, Result<(Vec<u8>, Secret), NotDone>),
    Finished(Order, Result<Vec<Token>, NotDone>),
}

/// What an exchange is for.
enum Errand {
    Directory(Arc<str>),
    Tokens(Order, Secret),
}

/// Why there are no tokens, and how long.
struct Trouble {
    why: String,
    wait_ms: u64,
    forgets_keys: bool,
    /// More tokens were asked for than may be had: how many may.
    left: Option<u32>,
}

impl Trouble {
    fn new(why: impl Into<String>) -> Self {
        Self { why: why.into(), wait_ms: ISSUER_FAILED_MS, forgets_keys: false, left: None }
    }
}

impl Clerk {
    pub(super) fn start(core: Arc<Core>) -> Result<Self, EngineError> {
        let (sender, receiver) = sync_channel(1);
        let run = move || match Outbound::new(core.around.network.clone()) {
            Ok(outbound) => {
                let desk = Arc::new(Desk {
                    letters: Mutex::default(),
                    waker: outbound.waker(),
                    is_stopping: AtomicBool::new(false),
                });
                // The starter waits for this message and nothing else.
                let _ = sender.send(Ok(desk.clone()));
                Work { core, desk, outbound, errands: HashMap::new() }.run();
            }
            Err(error) => {
                let _ = sender.send(Err(error.into()));
            }
        };
        let thread = thread::Builder::new().name("herald-wallet".into()).spawn(run).map_err(|error| {
            EngineError::new(EngineErrorKind::Limit, format!("the system refuses a thread: {error}"))
        })?;
        let desk = receiver.recv().unwrap_or_else(|_| {
            Err(EngineError::new(EngineErrorKind::Failed, "the wallet's thread ended before it began"))
        })?;
        Ok(Self { desk, thread: Mutex::new(Some(thread)) })
    }

    /// There is something to see to.
    pub(super) fn nudge(&self) {
        self.desk.waker.wake();
    }

    pub(super) fn stop(&self) {
        // SeqCst, here and where it is read: a clerk that was woken afterwards sees it.
        self.desk.is_stopping.store(true, Ordering::SeqCst);
        self.nudge();
        if let Some(thread) = self.thread.lock().take() {
            // A panic was reported by the panic hook.
            let _ = thread.join();
        }
    }
}

impl Drop for Clerk {
    fn drop(&mut self) {
        self.stop();
    }
}

impl Desk {
    fn leave(&self, letter: Letter) {
        self.letters.lock().push_back(letter);
        self.waker.wake();
    }

    fn is_stopping(&self) -> bool {
        self.is_stopping.load(Ordering::SeqCst)
    }
}

/// The thread's own side.
struct Work {
    core: Arc<Core>,
    desk: Arc<Desk>,
    outbound: Outbound,
    errands: HashMap<ExchangeId, Errand>,
}

impl Work {
    fn run(mut self) {
        while !self.desk.is_stopping() {
            self.read_letters();
            self.take_answers();
            let patience = self.see_to_the_due();
            let (desk, core) = (&self.desk, &self.core);
            let has_news = || {
                let now = core.around.clock.now();
                let is_due =
                    || core.purses.lock().values().any(|purse| !purse.is_busy && purse.look_at <= now);
                desk.is_stopping() || !desk.letters.lock().is_empty() || is_due()
            };
            if self.outbound.turn(patience, has_news).is_err() {
                return;
            }
        }
    }

    /// Begins what is due. How long the rest can wait.
    fn see_to_the_due(&mut self) -> Option<Duration> {
        let now = self.core.now();
        let due: Vec<Arc<str>> = {
            let purses = self.core.purses.lock();
            let is_due = |purse: &super::Purse| !purse.is_busy && purse.look_at <= now.steady;
            purses.iter().filter(|(_, purse)| is_due(purse)).map(|(service, _)| service.clone()).collect()
        };
        due.into_iter().for_each(|service| self.see_to(&service, now));
        let purses = self.core.purses.lock();
        let next = purses.values().filter(|purse| !purse.is_busy).map(|purse| purse.look_at).min();
        next.map(|at| Duration::from_millis(at.millis_since(now.steady)))
    }

    fn see_to(&mut self, service: &Arc<str>, now: Now) {
        let (plan, token_type) = {
            let mut purses = self.core.purses.lock();
            let Some(purse) = purses.get_mut(service) else { return };
            let settings = self.core.around.settings;
            let plan = purse.plan(now, settings.class.name(), settings.kept, &self.core.chance);
            purse.is_busy = matches!(plan, Plan::Directory | Plan::Tokens(..));
            (plan, purse.challenge.token_type())
        };
        let begun = match plan {
            Plan::Rest => Ok(()),
            Plan::Drop => {
                self.core.purses.lock().remove(service);
                Ok(())
            }
            Plan::Directory => self.fetch_directory(service),
            Plan::Tokens(key, count) => self.order(service, token_type, key, count),
        };
        if let Err(trouble) = begun {
            self.fail(service, trouble);
        }
    }

    fn fetch_directory(&mut self, service: &Arc<str>) -> Result<(), Trouble> {
        let request = Request::builder().uri(format!("{}{}", base(service), directory::PATH));
        let request = request.body(Bytes::new()).map_err(|_| Trouble::new("its URL is none"))?;
        self.send(service, request, DIRECTORY_BYTES_MAX, Errand::Directory(service.clone()))
    }

    /// Has the plugin make a request for tokens.
    fn order(&self, service: &Arc<str>, token_type: u16, key: OfferedKey, count: u32) -> Result<(), Trouble> {
        let plugin = self.core.around.plugins.rate_control_of_type(token_type);
        let plugin = plugin.ok_or_else(|| Trouble::new("no plugin makes tokens of its type"))?;
        let mode = mode(plugin.scheme(), &key)
            .ok_or_else(|| Trouble::new("tokens of its kind cannot be presented in any way that is known"))?;
        let challenge_digest = self.core.purses.lock().get(service).map(|purse| purse.challenge.digest());
        let challenge_digest = challenge_digest.ok_or_else(|| Trouble::new("it was forgotten"))?;
        let count = count.min(plugin.scheme().count_max).max(1);
        let want = Want {
            mode: u32::from(mode.code()),
            count,
            public_key: key.public_key.clone(),
            agreement_key: key.agreement_key.clone(),
            challenge_digest,
        };
        let order = Order { service: service.clone(), key, mode, count, plugin: plugin.clone() };
        let desk = self.desk.clone();
        let done = Box::new(move |came| desk.leave(Letter::Requested(order, came)));
        plugin.request(want, self.plugin_deadline_ms(), done);
        Ok(())
    }

    fn plugin_deadline_ms(&self) -> u64 {
        self.core.around.clock.now().as_millis() + TOKENS_DEADLINE_MS
    }

    fn read_letters(&mut self) {
        loop {
            let Some(letter) = self.desk.letters.lock().pop_front() else { return };
            match letter {
                Letter::Requested(order, came) => self.requested(order, came),
                Letter::Finished(order, came) => self.finished(order, came),
            }
        }
    }

    fn requested(&mut self, order: Order, came: Result<(Vec<u8>, Secret), NotDone>) {
        let service = order.service.clone();
        let sent = came.map_err(|why| plugin_trouble(&why)).and_then(|(request, state)| {
            let request = self.token_request(&order, request)?;
            self.send(&service, request, TOKENS_ANSWER_BYTES_MAX, Errand::Tokens(order, state))
        });
        if let Err(trouble) = sent {
            self.fail(&service, trouble);
        }
    }

    /// A request for tokens, signed for by who asks.
    fn token_request(&self, order: &Order, body: Vec<u8>) -> Result<Request<Bytes>, Trouble> {
        let (path, name) = {
            let purses = self.core.purses.lock();
            let purse = purses.get(&order.service).ok_or_else(|| Trouble::new("it was forgotten"))?;
            let uri = purse.request_uri().unwrap_or_default();
            let path = uri.strip_prefix(base(&order.service)).unwrap_or(uri);
            (path.to_owned(), purse.challenge.name().to_owned())
        };
        if !path.starts_with('/') || path.starts_with("//") {
            return Err(Trouble::new("it has tokens asked for at another service, which is not done"));
        }
        let around = &self.core.around;
        let audience = format!("https://{name}{path}");
        let asker = around.asker.lock();
        let access = AccessToken::sign(&audience, (around.wall)(), &asker.1, &asker.0, &*around.random);
        drop(asker);
        let access = access.map_err(|why| Trouble::new(format!("no access token can be signed: {why}")))?;
        let request = Request::builder()
            .method(Method::POST)
            .uri(format!("{}{path}", base(&order.service)))
            .header(CONTENT_TYPE, &order.plugin.scheme().request_type)
            .header(AUTHORIZATION, format!("Bearer {access}"));
        request.body(Bytes::from(body)).map_err(|_| Trouble::new("its request URI is none"))
    }

    fn finished(&self, order: Order, came: Result<Vec<Token>, NotDone>) {
        let tokens = match came {
            Ok(tokens) if !tokens.is_empty() => tokens,
            Ok(_) => return self.fail(&order.service, Trouble::new("its answer holds no tokens")),
            Err(NotDone::Refused) => {
                return self.fail(&order.service, Trouble::new("its answer does not make valid tokens"));
            }
            Err(why) => return self.fail(&order.service, plugin_trouble(&why)),
        };
        let now = self.core.around.clock.now();
        self.end(&order.service, |purse| purse.put_tokens(order.key, order.mode, tokens, now));
    }

    fn send(
        &mut self,
        service: &Arc<str>,
        request: Request<Bytes>,
        answer_bytes_max: usize,
        errand: Errand,
    ) -> Result<(), Trouble> {
        let is_named = self.core.purses.lock().get(service).is_some_and(|purse| purse.is_named);
        let routes = &self.core.around.routes;
        let route = if is_named { &routes.named } else { &routes.found }.clone();
        let allowed = Duration::from_secs(CLIENT_DEADLINE_S);
        let exchange = Exchange { route, request, answer_bytes_max, allowed };
        let id = self.outbound.begin(exchange).map_err(|error| Trouble::new(error.to_string()))?;
        self.errands.insert(id, errand);
        Ok(())
    }

    fn take_answers(&mut self) {
        while let Some((id, answered)) = self.outbound.take_done() {
            match self.errands.remove(&id) {
                Some(Errand::Directory(service)) => self.take_directory(&service, answered),
                Some(Errand::Tokens(order, state)) => self.take_tokens(order, state, answered),
                None => {}
            }
        }
    }

    fn take_directory(&self, service: &Arc<str>, answered: Answered) {
        let read = checked(answered).and_then(|response| {
            Directory::read(response.body()).map_err(|error| Trouble::new(error.to_string()))
        });
        let found = match read {
            Ok(found) => found,
            Err(trouble) => return self.fail(service, trouble),
        };
        let (now, class) = (self.core.now(), self.core.around.settings.class.name());
        let until = now.steady.plus_millis(ISSUER_FAILED_MS);
        self.end(service, |purse| {
            if purse.put_directory(found, class, now) {
                return Vec::new();
            }
            purse.fail(format!("it has no key in force for tokens of the class {class}"), until, false)
        });
    }

    fn take_tokens(&self, order: Order, state: Secret, answered: Answered) {
        let response = match checked(answered) {
            Ok(response) => response.into_body().to_vec(),
            Err(trouble) => return self.refused(&order, trouble),
        };
        let (plugin, count) = (order.plugin.clone(), usize::try_from(order.count).unwrap_or(usize::MAX));
        let desk = self.desk.clone();
        let done = Box::new(move |came| desk.leave(Letter::Finished(order, came)));
        plugin.finish(state, response, count, self.plugin_deadline_ms(), done);
    }

    /// Takes in that there are no tokens; where that was for their number, how many there are.
    fn refused(&self, order: &Order, mut trouble: Trouble) {
        let now = self.core.now();
        match trouble.left {
            // What was asked for may have been given to another engine of the same holder meanwhile.
            Some(left) if left > 0 && left < order.count => {
                return self.end(&order.service, |purse| {
                    purse.ask_at_most(&order.key, left, now.steady);
                    Vec::new()
                });
            }
            Some(_) => {
                // Keys of the next epoch have a quota of their own.
                let key_ms = order.key.not_after_s.saturating_sub(now.wall_s).saturating_mul(1000);
                trouble.wait_ms = trouble.wait_ms.min(key_ms.max(ISSUER_FAILED_MS));
                if let Some(purse) = self.core.purses.lock().get_mut(&order.service) {
                    purse.ask_at_most(&order.key, 0, now.steady);
                }
            }
            None => {}
        }
        self.fail(&order.service, trouble);
    }

    fn fail(&self, service: &Arc<str>, trouble: Trouble) {
        let wait_ms = trouble.wait_ms + self.core.chance.below_ms(trouble.wait_ms.min(ISSUER_FAILED_MS) / 2);
        let until: Timestamp = self.core.around.clock.now().plus_millis(wait_ms);
        self.end(service, |purse| purse.fail(trouble.why, until, trouble.forgets_keys));
    }

    /// Ends what a purse is busy with, and tells those who wait, with nothing locked.
    fn end(&self, service: &Arc<str>, change: impl FnOnce(&mut super::Purse) -> Vec<Waiter>) {
        let now = self.core.around.clock.now();
        let waiters = {
            let mut purses = self.core.purses.lock();
            let purse = purses.get_mut(service).and_then(|purse| purse.end(now).then_some(purse));
            purse.map(change).unwrap_or_default()
        };
        waiters.into_iter().for_each(|waiter| waiter());
    }
}

fn base(service: &str) -> &str {
    service.trim_end_matches('/')
}

/// How tokens of a key are presented: so that they open sessions if that is possible, and show least.
fn mode(scheme: &Scheme, key: &OfferedKey) -> Option<Mode> {
    let is_possible = |mode: &Mode| match mode {
        _ if scheme.modes & u32::from(mode.code()) == 0 => false,
        Mode::Agreed => key.suite.is_some() && !key.agreement_key.is_empty(),
        Mode::Withheld | Mode::Committed => key.suite.is_some(),
        Mode::Bearer => true,
        Mode::Signed => false,
    };
    [Mode::Withheld, Mode::Agreed, Mode::Committed, Mode::Bearer].into_iter().find(is_possible)
}

/// An answer that is a success.
fn checked(answered: Answered) -> Result<Response<Bytes>, Trouble> {
    let response = answered.map_err(|error| Trouble::new(format!("its issuer cannot be asked: {error}")))?;
    let status = response.status();
    if status.is_success() {
        return Ok(response);
    }
    let seconds = response.headers().get(RETRY_AFTER).and_then(|value| value.to_str().ok()?.parse().ok());
    let wait_ms = seconds.map_or(ISSUER_FAILED_MS, |seconds: u64| seconds.clamp(1, ISSUER_WAIT_MAX_S) * 1000);
    Err(Trouble {
        why: format!("its issuer refuses with {}: {}", status.as_u16(), cps::reason(&response)),
        wait_ms,
        // It does not know the key any more.
        forgets_keys: status == StatusCode::UNPROCESSABLE_ENTITY,
        left: cps::tokens_left(&response).filter(|_| status == StatusCode::TOO_MANY_REQUESTS),
    })
}

fn plugin_trouble(why: &NotDone) -> Trouble {
    Trouble::new(match why {
        NotDone::Busy => "the rate control plugin has too much to do",
        NotDone::Refused => "the rate control plugin does not take its key",
        NotDone::Unsupported => "the rate control plugin does not ask for tokens",
        NotDone::TimedOut => "the rate control plugin took too long",
        NotDone::Failed(_) => "the rate control plugin failed",
        NotDone::Disabled(_) | NotDone::Stopped => "the rate control plugin does not serve",
    })
}
