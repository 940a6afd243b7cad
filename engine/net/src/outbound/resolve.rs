//! From a host to its addresses, without making the asking thread wait.

use core::future::Future;
use core::net::IpAddr;
use core::pin::Pin;
use core::task::{Context, Poll, Waker};
use std::io;
use std::sync::Arc;

use parking_lot::Mutex;

/// Finds the addresses of hosts.
pub trait Resolver: Send + Sync {
    /// Looks up `host`, a name, and hands what it found to `reply`: now or later, on any thread. Must not block.
    fn resolve(&self, host: &str, reply: ResolverReply);
}

/// Where a resolver's answer goes. Dropped unused it is an answer too: that there is none.
pub struct ResolverReply {
    lookup: Arc<Mutex<Lookup>>,
    is_for_strangers: bool,
}

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
        Arc::strong_count(&self.lookup) > 1
    }

    /// Whether strangers named the host ([`Route::for_strangers`](crate::Route::for_strangers)): a resolver that waits for
    /// name servers should keep others from waiting behind it.
    pub const fn is_for_strangers(&self) -> bool {
        self.is_for_strangers
    }

    fn finish(&self, found: io::Result<Vec<IpAddr>>) {
        let waker = {
            let mut lookup = self.lookup.lock();
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
pub(crate) fn resolve(
    resolver: &dyn Resolver,
    host: &str,
    is_for_strangers: bool,
) -> impl Future<Output = io::Result<Vec<IpAddr>>> + use<> {
    let lookup = Arc::<Mutex<Lookup>>::default();
    resolver.resolve(host, ResolverReply { lookup: lookup.clone(), is_for_strangers });
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
        let asking = resolve(&keeps, "example.com", false);
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
