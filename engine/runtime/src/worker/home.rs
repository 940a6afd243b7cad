//! A service that stands in the place of the engine in process, and threads of the host that ask it and wait.
//!
//! A machine that asks for [`Local`](CpsUri::Local) is sent there. A thread of the host leaves its question with a lane,
//! whose connection to the service carries many at once. Knows nothing of what is asked.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::time::{Duration, Instant};

use herald_net::sync::{Condvar, Mutex};
use herald_net::{Answered, Bytes, ClientError, Exchange, Protocol, Request, Route};
use herald_stir::services::{Asked, CpsUri};

use super::lane::Message;
use super::{CallId, Common, HttpsRoutes, Worker};
use crate::cps;
use crate::error::{EngineError, EngineErrorKind};
use crate::limits::{CLIENT_DEADLINE_S, HOME_PATIENCE_MS};
use crate::shared::Stage;

/// The service, and the way to it.
pub(super) struct Home {
    cps: CpsUri,
    route: Arc<Route>,
    base: Arc<str>,
    counts: Mutex<HomeCounts>,
    guests: Mutex<Guests>,
    guest_left: Condvar,
}

/// Threads of the host in calls that ask it.
#[derive(Default)]
struct Guests {
    count: usize,
    /// No more are let in.
    is_closed: bool,
}

/// What came of the questions to it.
#[derive(Clone, Copy, Default)]
struct HomeCounts {
    answered: u64,
    refused: u64,
    /// It gave no answer in time.
    timed_out: u64,
    /// It could not be reached, or broke off.
    unreachable: u64,
    /// They were not put, since too much was under way.
    busy: u64,
    /// What the last one says of the service.
    fault: Option<&'static str>,
}

impl HomeCounts {
    fn add(&mut self, answered: &Answered) {
        *match answered {
            Ok(response) if response.status().is_success() => &mut self.answered,
            Ok(_) => &mut self.refused,
            Err(ClientError::Timeout { .. }) => &mut self.timed_out,
            Err(ClientError::Busy { .. }) => &mut self.busy,
            Err(_) => &mut self.unreachable,
        } += 1;
        self.fault = match answered {
            Ok(response) if response.status().is_server_error() => {
                Some("the service that has the placements refused the last request, look at its health")
            }
            Ok(_) => None,
            Err(ClientError::Busy { .. }) => self.fault,
            Err(_) => Some("the service that has the placements gave no answer to the last request"),
        };
    }
}

impl Home {
    /// `deadline` is the longest that a thread of the host waits for it.
    pub(super) fn new(
        cps: CpsUri,
        https: Option<&HttpsRoutes>,
        deadline: Duration,
    ) -> Result<Self, EngineError> {
        let (route, base): (_, Arc<str>) = match &cps {
            CpsUri::Unix(path) => {
                // A service that is an engine speaks HTTP/2, which carries many exchanges on one connection.
                let route = Route::unix(&**path).protocol(Protocol::Http2);
                (route, cps::UNIX_BASE.into())
            }
            CpsUri::Https(url) => {
                let none = || wrong("service is asked over HTTPS: set cps_authorities too");
                (Route::clone(&https.ok_or_else(none)?.named), url.clone())
            }
            CpsUri::Local => return Err(wrong("service is local: name one elsewhere, or leave it out")),
        };
        // Each exchange has its deadline, and none is to be broken off before it.
        let patience = 2 * deadline.max(Duration::from_secs(CLIENT_DEADLINE_S));
        Ok(Self {
            cps,
            route: Arc::new(route.ping_timeout(patience)),
            base,
            counts: Mutex::default(),
            guests: Mutex::default(),
            guest_left: Condvar::default(),
        })
    }

    pub(super) fn is(&self, cps: &CpsUri) -> bool {
        self.cps == *cps
    }

    pub(super) fn way(&self) -> (Arc<Route>, Arc<str>) {
        (self.route.clone(), self.base.clone())
    }
}

impl Common {
    /// Tells who asked the service what came of it.
    pub(super) fn tell_home(&self, asker: HomeAsker, answered: Answered) {
        if let Some(home) = &self.home {
            home.counts.lock().add(&answered);
        }
        asker.tell(answered);
    }

    /// What is asked of the engine in process is asked of what stands in its place.
    pub(super) fn seen_from_home(&self, what: Asked) -> Asked {
        let Some(home) = &self.home else { return what };
        let cps = home.cps.clone();
        match what {
            Asked::Retrieve { cps: CpsUri::Local, number } => Asked::Retrieve { cps, number },
            Asked::Store { cps: CpsUri::Local, number, body } => Asked::Store { cps, number, body },
            other => other,
        }
    }
}

/// A thread of the host in a call that asks the service, until this is dropped.
pub(crate) struct Visit<'a>(&'a Home);

impl Drop for Visit<'_> {
    fn drop(&mut self) {
        let mut guests = self.0.guests.lock();
        guests.count -= 1;
        if guests.is_closed {
            self.0.guest_left.notify_all();
        }
    }
}

/// What a thread of the host asks.
pub(crate) struct HomeQuestion {
    request: Request<Bytes>,
    answer_bytes_max: usize,
    until: Instant,
    asker: HomeAsker,
}

impl HomeQuestion {
    pub(super) fn put_to(self, home: &Home) -> (Exchange, HomeAsker) {
        let exchange = Exchange {
            route: home.route.clone(),
            request: self.request,
            answer_bytes_max: self.answer_bytes_max,
            allowed: self.until.saturating_duration_since(Instant::now()),
        };
        (exchange, self.asker)
    }
}

/// The thread that asked. Dropped untold, it hears that the worker has ended.
pub(super) struct HomeAsker(SyncSender<Answered>);

impl HomeAsker {
    fn tell(self, answered: Answered) {
        // It has room for one, and is told once. Who waits no more does not hear it.
        let _ = self.0.try_send(answered);
    }
}

/// An answer that is on its way.
pub(crate) struct HomeAnswer {
    told: Receiver<Answered>,
    until: Instant,
}

/// Why there is no answer to wait for any more.
pub(crate) enum NoAnswer {
    /// The lane is too late to say so itself.
    TimedOut,
    /// The worker has ended.
    Ended,
}

impl HomeAnswer {
    /// Waits for it. Blocks until the question's deadline at most, and a moment.
    pub(crate) fn wait(self) -> Result<Answered, NoAnswer> {
        let left = self.until.saturating_duration_since(Instant::now());
        self.told.recv_timeout(left + Duration::from_millis(HOME_PATIENCE_MS)).map_err(|error| match error {
            RecvTimeoutError::Timeout => NoAnswer::TimedOut,
            RecvTimeoutError::Disconnected => NoAnswer::Ended,
        })
    }
}

impl Worker {
    /// What came of questions to the service that stands in the engine's place, if one does.
    pub(crate) fn home_counts(&self) -> Option<Vec<(&'static str, u64)>> {
        let HomeCounts { answered, refused, timed_out, unreachable, busy, .. } =
            *self.common.home.as_ref()?.counts.lock();
        Some(vec![
            ("answered", answered),
            ("refused", refused),
            ("timed_out", timed_out),
            ("unreachable", unreachable),
            ("busy", busy),
        ])
    }

    /// Why the service that stands in the engine's place would do nothing, as far as the last question tells. The outer
    /// `None` if there is none.
    pub(crate) fn home_fault(&self) -> Option<Option<&'static str>> {
        Some(self.common.home.as_ref()?.counts.lock().fault)
    }

    /// Lets a thread of the host in for one call. Any thread.
    ///
    /// # Errors
    /// [`EngineErrorKind::State`] from [`close_home`](Self::close_home) on.
    pub(crate) fn visit_home(&self) -> Result<Visit<'_>, EngineError> {
        let home = self.common.home.as_ref().ok_or_else(no_home)?;
        let mut guests = home.guests.lock();
        if guests.is_closed {
            return Err(Stage::Stopped.refusal());
        }
        guests.count += 1;
        Ok(Visit(home))
    }

    /// Lets no thread in any more, and waits until those inside have left, for `patience` at most.
    pub(crate) fn close_home(&self, patience: Duration) {
        let Some(home) = &self.common.home else { return };
        let began = Instant::now();
        let mut guests = home.guests.lock();
        guests.is_closed = true;
        while guests.count > 0
            && let Some(left) = patience.checked_sub(began.elapsed())
            && !left.is_zero()
        {
            (guests, _) = home.guest_left.wait_for(guests, left);
        }
    }

    /// Puts a question to the service that stands in the engine's place; `make` makes the request of what its URIs
    /// begin with. Any thread.
    ///
    /// # Errors
    /// [`EngineErrorKind::State`] after the stop, [`EngineErrorKind::Failed`] if all threads have failed, and what `make`
    /// finds.
    pub(crate) fn ask_home<E>(
        &self,
        make: impl FnOnce(&str) -> Result<Request<Bytes>, E>,
        answer_bytes_max: usize,
        until: Instant,
    ) -> Result<HomeAnswer, EngineError>
    where
        EngineError: From<E>,
    {
        let home = self.common.home.as_ref().ok_or_else(no_home)?;
        let (asker, told) = sync_channel(1);
        let request = make(&home.base)?;
        let mut question =
            Some(Box::new(HomeQuestion { request, answer_bytes_max, until, asker: HomeAsker(asker) }));
        let id = CallId(self.next_call.fetch_add(1, Ordering::Relaxed));
        self.leave(id, || question.take().map(Message::AskHome))?;
        Ok(HomeAnswer { told, until })
    }
}

#[cold]
fn no_home() -> EngineError {
    EngineError::new(EngineErrorKind::State, "no service stands in this engine's place")
}

#[cold]
fn wrong(why: &str) -> EngineError {
    EngineError::new(EngineErrorKind::Argument, why)
}
