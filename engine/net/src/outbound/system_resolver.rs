//! The system's resolver, which blocks, on threads of its own.

use core::net::IpAddr;
use std::collections::{HashMap, VecDeque};
use std::io::{self, ErrorKind};
use std::net::ToSocketAddrs;
use std::sync::Arc;
use std::thread;
use std::time::Instant;

use super::resolve::{Resolver, ResolverReply};
use crate::clock::{Clock, SystemClock};
use crate::limits::{
    RESOLVER_FAILED, RESOLVER_FAILURES_MAX, RESOLVER_IDLE, RESOLVER_QUEUE_MAX,
    RESOLVER_STRANGERS_THREADS_MAX, RESOLVER_THREADS_MAX,
};
use crate::sync::{Condvar, Mutex};

/// The system's resolver (`getaddrinfo`), which blocks: asked on up to [`RESOLVER_THREADS_MAX`] threads that start when
/// they are needed and end when they are not. A lookup that hangs outlives this object, and its answer is dropped.
///
/// A host is looked up once for all who ask meanwhile. That it failed is remembered for [`RESOLVER_FAILED`]. Hosts that
/// strangers name have a line and a few of the threads of their own.
#[derive(Clone)]
pub struct SystemResolver {
    desk: Arc<Desk>,
}

/// What blocks.
type LookUp = dyn Fn(&str) -> io::Result<Vec<IpAddr>> + Send + Sync;

struct Desk {
    look_up: Box<LookUp>,
    clock: Arc<dyn Clock>,
    state: Mutex<DeskState>,
    changed: Condvar,
}

#[derive(Default)]
struct DeskState {
    /// Who waits for which host, from the first question to the answer.
    asked: HashMap<String, Vec<ResolverReply>>,
    /// Hosts that wait for a thread.
    waiting: VecDeque<String>,
    /// Those that nobody but strangers named.
    strangers_waiting: VecDeque<String>,
    /// Hosts of strangers that threads are busy with.
    strangers_count: usize,
    threads_count: usize,
    idle_count: usize,
    failures: HashMap<String, Failure>,
}

struct Failure {
    until: Instant,
    kind: ErrorKind,
    why: String,
}

/// One host that a thread looks up.
struct Task {
    host: String,
    is_for_strangers: bool,
}

impl Default for SystemResolver {
    fn default() -> Self {
        let look_up = |host: &str| {
            // The port is not looked up, only carried along.
            Ok((host, 0).to_socket_addrs()?.map(|address| address.ip()).collect())
        };
        Self::with(Box::new(look_up), Arc::new(SystemClock))
    }
}

/// Who is to be told at once that there will be no answer.
type Refused = (Vec<ResolverReply>, io::Error);

impl Resolver for SystemResolver {
    fn resolve(&self, host: &str, reply: ResolverReply) {
        let refused = self.admit(&mut self.desk.state.lock(), host.to_ascii_lowercase(), reply).err();
        if let Some((replies, error)) = refused {
            answer(replies, &Err(error));
        }
    }
}

impl SystemResolver {
    fn with(look_up: Box<LookUp>, clock: Arc<dyn Clock>) -> Self {
        let (state, changed) = Default::default();
        Self { desk: Arc::new(Desk { look_up, clock, state, changed }) }
    }

    fn admit(&self, state: &mut DeskState, host: String, reply: ResolverReply) -> Result<(), Refused> {
        if let Some(error) = state.failure(&host, self.desk.clock.now()) {
            return Err((vec![reply], error));
        }
        state.put(host.clone(), reply)?;
        self.engage(state).map_err(|error| (state.withdraw(&host), error))
    }

    /// Sees to it that somebody will look up what waits.
    fn engage(&self, state: &mut DeskState) -> io::Result<()> {
        self.desk.changed.notify_one();
        if state.idle_count >= state.ready_count() || state.threads_count == RESOLVER_THREADS_MAX {
            return Ok(());
        }
        let desk = self.desk.clone();
        let started = thread::Builder::new().name("herald-resolve".to_owned()).spawn(move || desk.work());
        match started {
            Ok(_) => state.threads_count += 1,
            // Those that run will come to it.
            Err(_) if state.threads_count > 0 => {}
            Err(error) => return Err(error),
        }
        Ok(())
    }
}

impl Desk {
    /// What a thread does: lookups, until there have been none for a while.
    fn work(&self) {
        while let Some(task) = self.next() {
            let found = (self.look_up)(&task.host);
            let replies = self.state.lock().finish(&task, &found, self.clock.now());
            answer(replies, &found);
        }
    }

    fn next(&self) -> Option<Task> {
        let mut state = self.state.lock();
        loop {
            if let Some(task) = state.take() {
                return Some(task);
            }
            state.idle_count += 1;
            let is_over;
            (state, is_over) = self.changed.wait_for(state, RESOLVER_IDLE);
            state.idle_count -= 1;
            if is_over && state.ready_count() == 0 {
                state.threads_count -= 1;
                return None;
            }
        }
    }
}

impl DeskState {
    /// The failure that is remembered of a host.
    fn failure(&mut self, host: &str, now: Instant) -> Option<io::Error> {
        let failure = self.failures.get(host)?;
        if failure.until > now {
            return Some(io::Error::new(failure.kind, failure.why.clone()));
        }
        self.failures.remove(host);
        None
    }

    /// Has somebody wait for a host.
    fn put(&mut self, host: String, reply: ResolverReply) -> Result<(), Refused> {
        let is_for_strangers = reply.is_for_strangers();
        if let Some(replies) = self.asked.get_mut(&host) {
            replies.retain(ResolverReply::is_wanted);
            replies.push(reply);
            if !is_for_strangers {
                self.promote(&host);
            }
            return Ok(());
        }
        if self.line(is_for_strangers).len() >= RESOLVER_QUEUE_MAX {
            self.forget_the_unwanted();
        }
        let line = self.line(is_for_strangers);
        if line.len() >= RESOLVER_QUEUE_MAX {
            let why = format!("{RESOLVER_QUEUE_MAX} lookups are waiting already; is the name server up?");
            return Err((vec![reply], io::Error::new(ErrorKind::WouldBlock, why)));
        }
        line.push_back(host.clone());
        self.asked.insert(host, vec![reply]);
        Ok(())
    }

    const fn line(&mut self, is_for_strangers: bool) -> &mut VecDeque<String> {
        if is_for_strangers { &mut self.strangers_waiting } else { &mut self.waiting }
    }

    /// A host that strangers named turns out to be one of the operator's too: it does not wait behind theirs.
    fn promote(&mut self, host: &str) {
        let place = self.strangers_waiting.iter().position(|waiting| waiting == host);
        self.waiting.extend(place.and_then(|place| self.strangers_waiting.remove(place)));
    }

    fn forget_the_unwanted(&mut self) {
        let asked = &mut self.asked;
        for line in [&mut self.waiting, &mut self.strangers_waiting] {
            line.retain(|host| {
                let is_wanted = is_wanted(asked, host);
                if !is_wanted {
                    asked.remove(host);
                }
                is_wanted
            });
        }
    }

    /// How many hosts wait for nothing but a thread.
    fn ready_count(&self) -> usize {
        let strangers_room = RESOLVER_STRANGERS_THREADS_MAX - self.strangers_count;
        self.waiting.len() + self.strangers_waiting.len().min(strangers_room)
    }

    /// The next host to look up that somebody still waits for.
    fn take(&mut self) -> Option<Task> {
        loop {
            let (host, is_for_strangers) = match self.waiting.pop_front() {
                Some(host) => (host, false),
                None if self.strangers_count < RESOLVER_STRANGERS_THREADS_MAX => {
                    (self.strangers_waiting.pop_front()?, true)
                }
                None => return None,
            };
            if is_wanted(&self.asked, &host) {
                self.strangers_count += usize::from(is_for_strangers);
                return Some(Task { host, is_for_strangers });
            }
            self.asked.remove(&host);
        }
    }

    /// A lookup has ended. Gives who is to be told.
    fn finish(&mut self, task: &Task, found: &io::Result<Vec<IpAddr>>, now: Instant) -> Vec<ResolverReply> {
        self.strangers_count -= usize::from(task.is_for_strangers);
        if let Err(error) = found {
            if self.failures.len() >= RESOLVER_FAILURES_MAX {
                self.failures.retain(|_, failure| failure.until > now);
            }
            if self.failures.len() < RESOLVER_FAILURES_MAX {
                let (until, kind, why) = (now + RESOLVER_FAILED, error.kind(), error.to_string());
                self.failures.insert(task.host.clone(), Failure { until, kind, why });
            }
        }
        self.asked.remove(&task.host).unwrap_or_default()
    }

    /// Nobody will look up a host that waits.
    fn withdraw(&mut self, host: &str) -> Vec<ResolverReply> {
        self.waiting.retain(|waiting| waiting != host);
        self.strangers_waiting.retain(|waiting| waiting != host);
        self.asked.remove(host).unwrap_or_default()
    }
}

fn is_wanted(asked: &HashMap<String, Vec<ResolverReply>>, host: &str) -> bool {
    asked.get(host).is_some_and(|replies| replies.iter().any(ResolverReply::is_wanted))
}

fn answer(replies: Vec<ResolverReply>, found: &io::Result<Vec<IpAddr>>) {
    for reply in replies {
        reply.send(match found {
            Ok(addresses) => Ok(addresses.clone()),
            Err(error) => Err(io::Error::new(error.kind(), error.to_string())),
        });
    }
}

#[cfg(test)]
mod tests {
    use core::future::Future;
    use core::pin::pin;
    use core::task::{Context, Poll, Waker};
    use core::time::Duration;
    use std::task::Wake;

    use parking_lot::{Condvar, Mutex};

    use super::super::resolve::resolve;
    use super::*;
    use crate::clock::ManualClock;

    /// Waits for a future on this thread, for some seconds at most.
    fn wait<T>(future: impl Future<Output = T>) -> T {
        struct Unpark(thread::Thread);
        impl Wake for Unpark {
            fn wake(self: Arc<Self>) {
                self.0.unpark();
            }
        }
        let (mut future, began) = (pin!(future), Instant::now());
        let waker = Waker::from(Arc::new(Unpark(thread::current())));
        loop {
            if let Poll::Ready(output) = future.as_mut().poll(&mut Context::from_waker(&waker)) {
                return output;
            }
            assert!(began.elapsed() < Duration::from_secs(20), "no answer");
            thread::park_timeout(Duration::from_secs(1));
        }
    }

    /// Name servers of which those for `*.dead` answer, that there is none, only once they are let go.
    #[derive(Default)]
    struct Zones {
        asked: Mutex<Vec<String>>,
        was_asked: Condvar,
        is_let_go: Mutex<bool>,
        lets_go: Condvar,
    }

    impl Zones {
        fn resolver(self: &Arc<Self>, clock: Arc<dyn Clock>) -> SystemResolver {
            let zones = self.clone();
            let look_up = move |host: &str| {
                zones.asked.lock().push(host.to_owned());
                zones.was_asked.notify_all();
                if !host.ends_with(".dead") {
                    return Ok(vec![[192, 0, 2, 1].into()]);
                }
                let mut is_let_go = zones.is_let_go.lock();
                zones.lets_go.wait_while(&mut is_let_go, |is_let_go| !*is_let_go);
                Err(io::Error::other("no server answers"))
            };
            SystemResolver::with(Box::new(look_up), clock)
        }

        fn let_go(&self) {
            *self.is_let_go.lock() = true;
            self.lets_go.notify_all();
        }

        fn wait_for(&self, count: usize) {
            let mut asked = self.asked.lock();
            self.was_asked.wait_while(&mut asked, |asked| asked.len() < count);
        }
    }

    #[test]
    fn dead_zones_that_strangers_name_keep_nobody_else_waiting() {
        let zones = Arc::new(Zones::default());
        let resolver = zones.resolver(Arc::new(SystemClock));
        let count = 3 * RESOLVER_THREADS_MAX;
        let dead: Vec<_> =
            (0..count).map(|index| resolve(&resolver, &format!("n{index}.dead"), true)).collect();
        zones.wait_for(RESOLVER_STRANGERS_THREADS_MAX);
        assert!(wait(resolve(&resolver, "cps.example", false)).is_ok());
        // What the operator names too does not wait behind them, however long it has.
        let found = resolve(&resolver, "found.example", true);
        assert!(wait(resolve(&resolver, "FOUND.example", false)).is_ok());
        assert!(wait(found).is_ok());
        assert_eq!(zones.asked.lock().len(), RESOLVER_STRANGERS_THREADS_MAX + 2);
        zones.let_go();
        assert!(dead.into_iter().all(|lookup| wait(lookup).is_err()));
        assert_eq!(zones.asked.lock().len(), count + 2, "each once");
    }

    #[test]
    fn a_host_is_looked_up_once_for_all_who_ask_and_not_again_soon_after_it_failed() {
        let (zones, clock) = (Arc::new(Zones::default()), Arc::new(ManualClock::new()));
        let resolver = zones.resolver(clock.clone());
        let all: Vec<_> = (0..100).map(|_| resolve(&resolver, "one.dead", false)).collect();
        zones.let_go();
        assert!(all.into_iter().all(|lookup| wait(lookup).is_err()));
        assert!(wait(resolve(&resolver, "one.dead", true)).is_err());
        assert_eq!(zones.asked.lock().len(), 1);
        clock.advance(RESOLVER_FAILED);
        assert!(wait(resolve(&resolver, "one.dead", true)).is_err());
        assert_eq!(zones.asked.lock().len(), 2);
    }

    #[test]
    fn what_nobody_waits_for_makes_room_in_a_full_line() {
        let zones = Arc::new(Zones::default());
        let resolver = zones.resolver(Arc::new(SystemClock));
        let ask = |index: usize| resolve(&resolver, &format!("n{index}.dead"), true);
        let held: Vec<_> = (0..RESOLVER_STRANGERS_THREADS_MAX).map(ask).collect();
        zones.wait_for(RESOLVER_STRANGERS_THREADS_MAX);
        let mut line: Vec<_> = (100..100 + RESOLVER_QUEUE_MAX).map(ask).collect();
        assert_eq!(wait(ask(1000)).map_err(|error| error.kind()), Err(ErrorKind::WouldBlock));
        line.pop();
        let next = ask(1001);
        zones.let_go();
        assert_eq!(wait(next).map_err(|error| error.kind()), Err(ErrorKind::Other));
        assert!(held.into_iter().all(|lookup| wait(lookup).is_err()));
    }
}
