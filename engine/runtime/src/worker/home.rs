//! A service that stands in the place of the engine in process, and threads of the host that ask it and wait.
//!
//! A machine that asks for [`Local`](CpsUri::Local) is sent there. A thread of the host leaves its question with a lane,
//! whose connection to the service carries many at once. Knows nothing of what is asked.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::time::{Duration, Instant};

use herald_net::sync::Mutex;
use herald_net::{Answered, Bytes, ClientError, Exchange, Protocol, Request, Route};
use herald_stir::services::{Asked, CpsUri};

use super::lane::Message;
use super::{CallId, Common, HttpsRoutes, Worker};
use crate::cps;
use crate::error::{EngineError, EngineErrorKind};
use crate::limits::HOME_PATIENCE_MS;

/// The service, and the way to it.
pub(super) struct Home {
    cps: CpsUri,
    route: Arc<Route>,
    base: Arc<str>,
    counts: Mutex<HomeCounts>,
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
    }
}

impl Home {
    pub(super) fn new(cps: CpsUri, https: Option<&HttpsRoutes>) -> Result<Self, EngineError> {
        let (route, base) = match &cps {
            CpsUri::Unix(path) => {
                // A service that is an engine speaks HTTP/2, which carries many exchanges on one connection.
                let route = Route::unix(&**path).protocol(Protocol::Http2);
                (Arc::new(route), cps::UNIX_BASE.into())
            }
            CpsUri::Https(url) => {
                let none = || wrong("service is asked over HTTPS: set cps_authorities too");
                (https.ok_or_else(none)?.named.clone(), url.clone())
            }
            CpsUri::Local => return Err(wrong("service is local: name one elsewhere, or leave it out")),
        };
        Ok(Self { cps, route, base, counts: Mutex::default() })
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
        let HomeCounts { answered, refused, timed_out, unreachable, busy } =
            *self.common.home.as_ref()?.counts.lock();
        Some(vec![
            ("answered", answered),
            ("refused", refused),
            ("timed_out", timed_out),
            ("unreachable", unreachable),
            ("busy", busy),
        ])
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
        let none = || EngineError::new(EngineErrorKind::State, "no service stands in this engine's place");
        let home = self.common.home.as_ref().ok_or_else(none)?;
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
fn wrong(why: &str) -> EngineError {
    EngineError::new(EngineErrorKind::Argument, why)
}
