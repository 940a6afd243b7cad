//! Reactors on threads of their own, for hosts that don't bring an event loop.
//!
//! Installs no signal handler and reads no environment.

use core::time::Duration;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::mpsc::{SyncSender, sync_channel};
use std::thread::{self, JoinHandle};

use crate::counters::CountersSnapshot;
use crate::error::NetError;
use crate::listener::{Address, ListenSpec, Listener, Listeners};
use crate::reactor::{Reactor, ReactorConfig, ReactorHandle};
use crate::service::Service;

/// What a server listens on and how its reactors run.
#[derive(Clone, Default)]
pub struct ServerConfig {
    /// What to listen on.
    pub listen: Vec<ListenSpec>,
    /// Threads, one reactor each; `None` is one for each processor the process may use.
    pub reactors: Option<usize>,
    /// Bounds and clock of each reactor.
    pub reactor: ReactorConfig,
}

/// Running reactors. Dropping it closes everything at once; [`Server::shutdown`] lets requests finish.
pub struct Server {
    addresses: Vec<Address>,
    reactors: Vec<Running>,
}

struct Running {
    handle: ReactorHandle,
    thread: Option<JoinHandle<Result<(), NetError>>>,
}

impl Server {
    /// Binds, then starts one thread for each reactor. `make_service` is called on each of them with the
    /// reactor's number, counted from 0. When this returns, every reactor accepts.
    ///
    /// The threads inherit the caller's signal mask: a host that handles signals on a thread of its own blocks
    /// them before this call.
    ///
    /// # Errors
    /// What cannot be bound, or a thread or descriptor the system refuses.
    pub fn start<S: Service>(
        config: ServerConfig,
        make_service: impl Fn(usize) -> S + Send + Sync + 'static,
    ) -> Result<Self, NetError> {
        Self::start_told(config, make_service, |_| ())
    }

    /// As [`start`](Self::start); `ended_early` is told why a reactor ended though nobody asked it to, on its thread.
    ///
    /// # Errors
    /// As [`start`](Self::start).
    pub fn start_told<S: Service>(
        config: ServerConfig,
        make_service: impl Fn(usize) -> S + Send + Sync + 'static,
        ended_early: impl Fn(&NetError) + Send + Sync + 'static,
    ) -> Result<Self, NetError> {
        let count = config.reactors.unwrap_or_else(|| thread::available_parallelism().map_or(1, usize::from));
        let listeners = Listeners::bind(&config.listen, count)?;
        let (make_service, ended_early) = (Arc::new(make_service), Arc::new(ended_early));
        let mut server = Self { addresses: listeners.addresses(), reactors: Vec::with_capacity(count) };
        for (index, share) in listeners.into_shares().into_iter().enumerate() {
            let (make_service, ended_early) = (make_service.clone(), ended_early.clone());
            let make = move || make_service(index);
            let told = move |why: &NetError| ended_early(why);
            server.reactors.push(start_reactor(index, config.reactor.clone(), share, make, told)?);
        }
        Ok(server)
    }

    /// Where the server listens, in the order of the specifications.
    pub fn addresses(&self) -> &[Address] {
        &self.addresses
    }

    /// A handle to each reactor.
    pub fn handles(&self) -> Vec<ReactorHandle> {
        self.reactors.iter().map(|running| running.handle.clone()).collect()
    }

    /// What happened so far, one snapshot for each reactor.
    pub fn counters(&self) -> Vec<CountersSnapshot> {
        self.reactors.iter().map(|running| running.handle.counters()).collect()
    }

    /// Stops accepting, lets requests under way finish for `grace`, closes what is left and ends the threads.
    /// Blocks for at most `grace` and a turn.
    ///
    /// # Errors
    /// The first failure a reactor ended with, also one from long before this call.
    pub fn shutdown(mut self, grace: Duration) -> Result<(), NetError> {
        self.stop(grace)
    }

    fn stop(&mut self, grace: Duration) -> Result<(), NetError> {
        for running in &self.reactors {
            running.handle.begin_drain(grace);
        }
        let mut outcome = Ok(());
        for (reactor, running) in self.reactors.iter_mut().enumerate() {
            let Some(thread) = running.thread.take() else { continue };
            let ended = thread.join().unwrap_or(Err(NetError::Panicked { reactor }));
            outcome = outcome.and(ended);
        }
        outcome
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // Who wants to know calls shutdown.
        let _ = self.stop(Duration::ZERO);
    }
}

type Started = Result<ReactorHandle, NetError>;

fn start_reactor<S: Service>(
    index: usize,
    config: ReactorConfig,
    listeners: Vec<Listener>,
    make_service: impl FnOnce() -> S + Send + 'static,
    ended_early: impl FnOnce(&NetError) + Send + 'static,
) -> Result<Running, NetError> {
    let (sender, receiver) = sync_channel(1);
    let work = move || {
        // What the reactor had is gone with it, so nobody sees it broken.
        let ran = catch_unwind(AssertUnwindSafe(|| run(config, listeners, make_service, &sender)));
        let outcome = ran.unwrap_or(Err(NetError::Panicked { reactor: index }));
        outcome.inspect_err(ended_early)
    };
    let thread = thread::Builder::new()
        .name(format!("herald-net-{index}"))
        .spawn(work)
        .map_err(NetError::system("start a reactor thread"))?;
    match receiver.recv() {
        Ok(Ok(handle)) => Ok(Running { handle, thread: Some(thread) }),
        Ok(Err(error)) => Err(error),
        Err(_) => Err(NetError::Panicked { reactor: index }),
    }
}

fn run<S: Service>(
    config: ReactorConfig,
    listeners: Vec<Listener>,
    make_service: impl FnOnce() -> S,
    started: &SyncSender<Started>,
) -> Result<(), NetError> {
    let mut reactor = match Reactor::new(config, listeners, make_service()) {
        Ok(reactor) => reactor,
        Err(error) => {
            // The starter waits for this message and nothing else.
            let _ = started.send(Err(error));
            return Ok(());
        }
    };
    let _ = started.send(Ok(reactor.handle()));
    while !reactor.step(None)?.is_drained {}
    Ok(())
}
