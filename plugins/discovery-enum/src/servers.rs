//! The resolvers that are asked: which one is next, and which ones are silent.

use core::net::SocketAddr;

use crate::limits::SERVER_REST_MS;

/// The servers, in the order of the configuration.
#[derive(Debug)]
pub(crate) struct ServerList(Vec<Server>);

#[derive(Debug)]
struct Server {
    address: SocketAddr,
    /// Until then others are asked first.
    rests_until_ms: u64,
    is_silent: bool,
}

/// The servers that one question was sent to.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Tried(u8);

impl ServerList {
    pub(crate) fn new(addresses: Vec<SocketAddr>) -> Self {
        let server = |address| Server { address, rests_until_ms: 0, is_silent: false };
        Self(addresses.into_iter().map(server).collect())
    }

    pub(crate) fn count(&self) -> usize {
        self.0.len()
    }

    /// The address of a server that [`next`](Self::next) gave, unless the list has changed since.
    pub(crate) fn address(&self, index: usize) -> Option<SocketAddr> {
        self.0.get(index).map(|server| server.address)
    }

    /// The server to ask next: one that was not tried, rather one that does not rest; when all were, it begins anew.
    pub(crate) fn next(&self, tried: &mut Tried, now_ms: u64) -> usize {
        let fresh = |tried: Tried, index: &usize| tried.0 & (1 << index) == 0;
        if (0..self.0.len()).all(|index| !fresh(*tried, &index)) {
            *tried = Tried::default();
        }
        let candidates = (0..self.0.len()).filter(|index| fresh(*tried, index));
        let chosen = candidates.min_by_key(|index| self.0[*index].rests_until_ms > now_ms);
        let chosen = chosen.expect("there is a server, and not all were tried");
        tried.0 |= 1 << chosen;
        chosen
    }

    /// A server did not answer. Gives its address if that is news.
    pub(crate) fn was_silent(&mut self, index: usize, now_ms: u64) -> Option<SocketAddr> {
        let server = self.0.get_mut(index)?;
        server.rests_until_ms = now_ms + SERVER_REST_MS;
        let is_news = !core::mem::replace(&mut server.is_silent, true);
        is_news.then_some(server.address)
    }

    /// A server answered. Gives its address if that is news.
    pub(crate) fn has_answered(&mut self, index: usize) -> Option<SocketAddr> {
        let server = self.0.get_mut(index)?;
        server.rests_until_ms = 0;
        let is_news = core::mem::replace(&mut server.is_silent, false);
        is_news.then_some(server.address)
    }
}
