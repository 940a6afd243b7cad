//! The plugin's own thread: sockets, clock and cache around a [`Resolver`].

use core::net::SocketAddr;
use core::sync::atomic::{AtomicBool, Ordering};
use core::time::Duration;
use std::collections::VecDeque;
use std::io::{self, ErrorKind};
use std::sync::Arc;

use herald_core::{Random, TelephoneNumber};
use herald_plugin_sdk::{Answer, Host, Level, Ticket};
use mio::{Events, Poll, Token, Waker};
use parking_lot::Mutex;

use crate::cache::{Cache, Finding};
use crate::limits::{COMMANDS_MAX, EVENTS_MAX, REFRESH_AGAIN_MS, REFRESHES_MAX, SLEEP_MS_MAX};
use crate::resolver::{Effect, QueryKey, Resolver};
use crate::settings::Config;
use crate::sockets::Sockets;
use crate::walk::Outcome;

/// What the thread and those who ask have in common.
pub(crate) struct Shared {
    pub(crate) cache: Mutex<Cache>,
    commands: Mutex<VecDeque<Command>>,
    waker: Waker,
    is_over: AtomicBool,
}

/// Something for the thread to do.
pub(crate) enum Command {
    Ask { ticket: Ticket, number: TelephoneNumber, deadline_ms: u64 },
    Cancel(Ticket),
    SetServers(Vec<SocketAddr>),
}

impl Shared {
    /// Hands `command` to the thread; `false` if it has ended or too many wait.
    pub(crate) fn send(&self, command: Command) -> bool {
        if self.is_over() {
            return false;
        }
        let mut commands = self.commands.lock();
        if commands.len() >= COMMANDS_MAX {
            return false;
        }
        commands.push_back(command);
        let is_first = commands.len() == 1;
        drop(commands);
        // The thread takes all of them when it wakes.
        !is_first || self.waker.wake().is_ok()
    }

    /// Whether the thread has ended or is to end.
    pub(crate) fn is_over(&self) -> bool {
        self.is_over.load(Ordering::Acquire)
    }

    /// Ends the thread.
    pub(crate) fn stop(&self) {
        // Release: pairs with the Acquire of is_over.
        self.is_over.store(true, Ordering::Release);
        // It looks at least once in SLEEP_MS_MAX.
        let _ = self.waker.wake();
    }
}

/// Everything that belongs to the thread.
pub(crate) struct Worker {
    host: Host,
    shared: Arc<Shared>,
    poll: Poll,
    sockets: Sockets,
    resolver: Resolver,
    pace: Pace,
}

const WAKER: Token = Token(0);

impl Worker {
    /// A worker for the caller to run, and what it shares. Numbers to be looked up ahead are due at once.
    pub(crate) fn new(
        host: Host,
        config: Config,
        servers: Vec<SocketAddr>,
    ) -> io::Result<(Self, Arc<Shared>)> {
        let poll = Poll::new()?;
        let waker = Waker::new(poll.registry(), WAKER)?;
        let sockets = Sockets::new(poll.registry().try_clone()?);
        let now_ms = host.steady_ms();
        let mut cache = Cache::new(config.cache_numbers);
        for number in config.ahead.iter().flat_map(|block| block.numbers()) {
            cache.look_ahead(number, now_ms);
        }
        let shared = Arc::new(Shared {
            cache: Mutex::new(cache),
            commands: Mutex::default(),
            waker,
            is_over: AtomicBool::new(false),
        });
        let pace = Pace { per_s: config.refreshes_per_s, credit: 0, counted_ms: now_ms };
        let resolver = Resolver::new(Arc::new(config), servers, Box::new(HostRandom(host)));
        Ok((Self { host, shared: Arc::clone(&shared), poll, sockets, resolver, pace }, shared))
    }

    /// Works until it is stopped.
    pub(crate) fn run(mut self) {
        // However it ends, nobody is to wait for it.
        let shared = Arc::clone(&self.shared);
        let _stop = StopWhenDropped(shared);
        let mut events = Events::with_capacity(EVENTS_MAX);
        while !self.shared.is_over() {
            let sleep = Duration::from_millis(self.sleep_ms());
            match self.poll.poll(&mut events, Some(sleep)) {
                Ok(()) => {}
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                Err(error) => {
                    self.host.log(Level::Error, &format!("cannot wait for the network: {error}"));
                    return;
                }
            }
            for event in events.iter().filter(|event| event.token() != WAKER) {
                self.receive(QueryKey(event.token().0));
            }
            self.take_commands();
            let now_ms = self.host.steady_ms();
            self.resolver.tick(now_ms);
            self.refresh(now_ms);
            self.do_effects();
        }
    }

    fn sleep_ms(&self) -> u64 {
        let now_ms = self.host.steady_ms();
        let refresh_ms = self.shared.cache.lock().next_due_ms().map(|due_ms| self.pace.next_ms(due_ms));
        let due_ms = self.resolver.next_due_ms().into_iter().chain(refresh_ms).min();
        due_ms.map_or(SLEEP_MS_MAX, |due_ms| due_ms.saturating_sub(now_ms).min(SLEEP_MS_MAX))
    }

    fn receive(&mut self, key: QueryKey) {
        let now_ms = self.host.steady_ms();
        let resolver = &mut self.resolver;
        let received = self.sockets.receive(key, |bytes| resolver.received(key, bytes, now_ms));
        if received.is_err() {
            self.resolver.broke(key, now_ms);
        }
        self.do_effects();
    }

    fn take_commands(&mut self) {
        let commands = core::mem::take(&mut *self.shared.commands.lock());
        let now_ms = self.host.steady_ms();
        for command in commands {
            match command {
                Command::Ask { ticket, number, deadline_ms } => {
                    self.resolver.ask(ticket, number, deadline_ms, now_ms);
                }
                Command::Cancel(ticket) => self.resolver.cancel(ticket),
                Command::SetServers(servers) => self.resolver.set_servers(servers),
            }
        }
    }

    /// Looks up what is due again.
    fn refresh(&mut self, now_ms: u64) {
        self.pace.count(now_ms);
        while self.pace.credit >= Pace::ONE {
            let Some(number) = self.shared.cache.lock().take_due(now_ms) else { return };
            self.pace.credit -= Pace::ONE;
            if !self.resolver.refresh(number, now_ms) {
                self.shared.cache.lock().postpone(number, now_ms + BUSY_MS);
                return;
            }
        }
    }

    fn do_effects(&mut self) {
        while let Some(effect) = self.resolver.next_effect() {
            match effect {
                Effect::Open { key, server, transport, message } => {
                    if self.sockets.open(key, server, transport, &message).is_err() {
                        self.resolver.broke(key, self.host.steady_ms());
                    }
                }
                Effect::Close(key) => self.sockets.close(key),
                // A call that is over has counted itself.
                Effect::Answer(ticket, outcome) => {
                    let _ = self.host.answer(ticket, Some(&answer(outcome)));
                }
                Effect::Learn(number, outcome) => self.learn(number, outcome),
                Effect::Say(level, words) => self.host.log(level, &words),
            }
        }
    }

    fn learn(&mut self, number: TelephoneNumber, outcome: Outcome) {
        let now_ms = self.host.steady_ms();
        let mut cache = self.shared.cache.lock();
        match outcome {
            Outcome::Known(finding) => {
                // At different times for what was learnt at the same one.
                let mut coin = [0; 1];
                self.host.random(&mut coin);
                cache.learn(number, finding, now_ms, 700 + u64::from(coin[0]));
            }
            Outcome::Unknown(_) => cache.postpone(number, now_ms + REFRESH_AGAIN_MS),
        }
    }
}

/// The answer to a call. That servers are down is no fault of the plugin: it knows of nothing, and not for how long.
pub(crate) fn answer(outcome: Outcome) -> Answer {
    match outcome {
        Outcome::Known(Finding { uris, fresh_s, note }) => {
            // With 0, that there is nothing would be no knowledge.
            let fresh_s = fresh_s.max(u32::from(uris.is_empty()));
            Answer { uris, fresh_s, note, is_proven: false }
        }
        Outcome::Unknown(why) => Answer { note: why.to_owned(), ..Answer::default() },
    }
}

/// How many refreshes may begin.
struct Pace {
    per_s: u64,
    /// In thousandths.
    credit: u64,
    counted_ms: u64,
}

impl Pace {
    const ONE: u64 = 1000;

    fn count(&mut self, now_ms: u64) {
        let earned = now_ms.saturating_sub(self.counted_ms).saturating_mul(self.per_s);
        self.counted_ms = now_ms;
        self.credit = (self.credit + earned).min(Self::ONE * REFRESHES_MAX as u64);
    }

    /// When something that is due at `due_ms` may begin.
    fn next_ms(&self, due_ms: u64) -> u64 {
        let missing = Self::ONE.saturating_sub(self.credit);
        due_ms.max(self.counted_ms + missing.div_ceil(self.per_s))
    }
}

/// Milliseconds after which a refresh is tried again for which there was no room.
const BUSY_MS: u64 = 100;

struct StopWhenDropped(Arc<Shared>);

impl Drop for StopWhenDropped {
    fn drop(&mut self) {
        self.0.is_over.store(true, Ordering::Release);
    }
}

struct HostRandom(Host);

impl Random for HostRandom {
    fn fill(&self, out: &mut [u8]) {
        self.0.random(out);
    }
}
