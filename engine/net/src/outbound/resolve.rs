//! From a host to its addresses, without making the asking thread wait.

use core::future::Future;
use core::net::IpAddr;
use core::pin::Pin;
use core::task::{Context, Poll, Waker};
use std::collections::VecDeque;
use std::io::{self, ErrorKind};
use std::net::ToSocketAddrs;
use std::sync::Arc;
use std::thread;

use parking_lot::{Condvar, Mutex};

use crate::limits::{RESOLVER_IDLE, RESOLVER_QUEUE_MAX, RESOLVER_THREADS_MAX};

/// Finds the addresses of hosts.
pub trait Resolver: Send + Sync {
    /// Looks up `host`, a name, and hands what it found to `reply`: now or later, on any thread. Must not block.
    fn resolve(&self, host: &str, reply: ResolverReply);
}

/// Where a resolver's answer goes. Dropped unused it is an answer too: that there is none.
pub struct ResolverReply(Arc<Mutex<Lookup>>);

#[derive(Default)]
struct Lookup {
    found: Option<io::Result<Vec<IpAddr>>>,
    waker: Option<Waker>,
}

impl ResolverReply {
    /// Answers. Any thread.
    pub fn send(self, found: io::Result<Vec<IpAddr>>) {
        self.finish(found);
    }

    /// Whether somebody still waits for the answer. A resolver may spare a lookup that nobody waits for.
    pub fn is_wanted(&self) -> bool {
        Arc::strong_count(&self.0) > 1
    }

    fn finish(&self, found: io::Result<Vec<IpAddr>>) {
        let waker = {
            let mut lookup = self.0.lock();
            lookup.found.get_or_insert(found);
            lookup.waker.take()
        };
        if let Some(waker) = waker {
            waker.wake();
        }
    }
}

impl Drop for ResolverReply {
    fn drop(&mut self) {
        self.finish(Err(io::Error::other("the resolver gave no answer")));
    }
}

/// Asks `resolver`.
pub(crate) fn resolve(resolver: &dyn Resolver, host: &str) -> impl Future<Output = io::Result<Vec<IpAddr>>> {
    let lookup = Arc::<Mutex<Lookup>>::default();
    resolver.resolve(host, ResolverReply(lookup.clone()));
    Resolving(lookup)
}

struct Resolving(Arc<Mutex<Lookup>>);

impl Future for Resolving {
    type Output = io::Result<Vec<IpAddr>>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut lookup = self.0.lock();
        match lookup.found.take() {
            Some(found) => Poll::Ready(found),
            None => {
                lookup.waker = Some(cx.waker().clone());
                Poll::Pending
            }
        }
    }
}

/// The system's resolver (`getaddrinfo`), which blocks: asked on up to [`RESOLVER_THREADS_MAX`] threads that start when
/// they are needed and end when they are not. A lookup that hangs outlives this object, and its answer is dropped.
#[derive(Clone, Default)]
pub struct SystemResolver {
    desk: Arc<Desk>,
}

#[derive(Default)]
struct Desk {
    state: Mutex<DeskState>,
    changed: Condvar,
}

#[derive(Default)]
struct DeskState {
    waiting: VecDeque<(String, ResolverReply)>,
    threads_count: usize,
    idle_count: usize,
}

impl Resolver for SystemResolver {
    fn resolve(&self, host: &str, reply: ResolverReply) {
        let refused = {
            let mut state = self.desk.state.lock();
            match self.engage(&mut state) {
                Ok(()) => {
                    state.waiting.push_back((host.to_owned(), reply));
                    self.desk.changed.notify_one();
                    None
                }
                Err(error) => Some((reply, error)),
            }
        };
        if let Some((reply, error)) = refused {
            reply.send(Err(error));
        }
    }
}

impl SystemResolver {
    /// Sees to it that somebody will do one more lookup.
    fn engage(&self, state: &mut DeskState) -> io::Result<()> {
        if state.waiting.len() >= RESOLVER_QUEUE_MAX {
            let why = format!("{RESOLVER_QUEUE_MAX} lookups are waiting already; is the name server up?");
            return Err(io::Error::new(ErrorKind::WouldBlock, why));
        }
        if state.idle_count > state.waiting.len() || state.threads_count == RESOLVER_THREADS_MAX {
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
        while let Some((host, reply)) = self.next() {
            // The port is not looked up, only carried along.
            let found = (host.as_str(), 0).to_socket_addrs();
            reply.send(found.map(|found| found.map(|address| address.ip()).collect()));
        }
    }

    fn next(&self) -> Option<(String, ResolverReply)> {
        let mut state = self.state.lock();
        loop {
            while let Some((host, reply)) = state.waiting.pop_front() {
                if reply.is_wanted() {
                    return Some((host, reply));
                }
            }
            state.idle_count += 1;
            let is_over = self.changed.wait_for(&mut state, RESOLVER_IDLE).timed_out();
            state.idle_count -= 1;
            if is_over && state.waiting.is_empty() {
                state.threads_count -= 1;
                return None;
            }
        }
    }
}

/// Whether `host` is a name that may be looked up: letters, digits, hyphens and underscores between dots, and no number
/// at the end. Resolvers take `2130706433`, `0x7f.1` and `0177.0.0.1` for addresses in disguise.
pub(crate) fn is_name(host: &str) -> bool {
    let host = host.strip_suffix('.').unwrap_or(host);
    let is_label = |label: &str| {
        (1..=63).contains(&label.len())
            && label.bytes().all(|sign| sign.is_ascii_alphanumeric() || sign == b'-' || sign == b'_')
    };
    let last = host.rsplit('.').next().unwrap_or_default();
    let is_number = last.bytes().all(|sign| sign.is_ascii_digit())
        || last
            .strip_prefix("0x")
            .or(last.strip_prefix("0X"))
            .is_some_and(|digits| digits.bytes().all(|sign| sign.is_ascii_hexdigit()));
    host.len() <= 253 && host.split('.').all(is_label) && !is_number
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lookup_is_wanted_until_whoever_asked_has_gone() {
        struct Keeps(Mutex<Vec<ResolverReply>>);
        impl Resolver for Keeps {
            fn resolve(&self, _: &str, reply: ResolverReply) {
                self.0.lock().push(reply);
            }
        }
        let keeps = Keeps(Mutex::default());
        let asking = resolve(&keeps, "example.com");
        assert!(keeps.0.lock()[0].is_wanted());
        drop(asking);
        assert!(!keeps.0.lock()[0].is_wanted());
    }

    #[test]
    fn a_number_in_disguise_is_no_name() {
        for name in
            ["localhost", "certs.example.com", "a_b.example.", "1.example", "xn--bcher-kva.example", "0x.de"]
        {
            assert!(is_name(name), "{name}");
        }
        let numbers =
            ["2130706433", "0x7f000001", "0x7f.1", "127.1", "0177.0.0.1", "127.0.0.1.", "0x", "a.0X7F"];
        let others = ["", ".", "a..b", "a b", "a\u{3002}b", "[::1]", "a/b", "a@b", "a%00b"];
        for name in numbers.into_iter().chain(others) {
            assert!(!is_name(name), "{name}");
        }
    }
}
