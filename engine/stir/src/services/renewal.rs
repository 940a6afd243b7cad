//! Fetching certificates and lists again before their time is over, beside the calls that use them.
//!
//! A call takes what the cache has and never waits for what is merely due; this machine, one for each cache, sees to it
//! that what calls use is replaced in time. It verifies nothing.

use std::collections::BTreeMap;
use std::sync::Arc;

use herald_core::Timestamp;

use super::gathering::keep;
use super::io::{Answer, Ask, Asked, Fetched, Machine, Moment, Ticket, Tickets, Turn};
use crate::certificate::ChainCache;
use crate::limits::{RENEWAL_PERIOD_MS, RENEWAL_RETRY_MS, RENEWALS_MAX};

/// Keeps what a [`ChainCache`] holds, and calls use, fresh until it is cancelled.
pub struct Renewal {
    chains: Arc<ChainCache>,
    tickets: Tickets,
    under_way: BTreeMap<Ticket, (String, Fetched)>,
    next_at: Timestamp,
    outcome: Option<()>,
    is_done: bool,
}

impl Renewal {
    /// The machine for `chains`.
    pub fn of(chains: Arc<ChainCache>) -> Self {
        let (tickets, under_way) = (Tickets::default(), BTreeMap::new());
        Self { chains, tickets, under_way, next_at: Timestamp::default(), outcome: None, is_done: false }
    }
}

impl Machine for Renewal {
    type Outcome = ();

    fn begin(&mut self, now: Moment, _asks: &mut Vec<Ask>) {
        self.next_at = now.steady.plus_millis(RENEWAL_PERIOD_MS);
    }

    fn answer(&mut self, ticket: Ticket, answer: Answer, now: Moment, _asks: &mut Vec<Ask>) {
        let Some((url, kind)) = self.under_way.remove(&ticket) else { return };
        if let Answer::Fetched { body, fresh_s } = answer {
            // What cannot be read replaces nothing.
            let _ = keep(&self.chains, &url, kind, &body, fresh_s, now.wall);
        }
    }

    fn wake_at(&self) -> Option<Timestamp> {
        (!self.is_done).then_some(self.next_at)
    }

    fn wake(&mut self, now: Moment, asks: &mut Vec<Ask>) {
        if self.is_done || now.steady < self.next_at {
            return;
        }
        self.next_at = now.steady.plus_millis(RENEWAL_PERIOD_MS);
        // Each of the two lists within half of the bound.
        let room = RENEWALS_MAX.saturating_sub(self.under_way.len()) / 2;
        let (chains, lists) = self.chains.take_due(room, RENEWAL_RETRY_MS, now.wall);
        let chains = chains.into_iter().map(|url| (url, Fetched::Certificate));
        let lists = lists.into_iter().map(|url| (url, Fetched::NumberList));
        let turn = &mut Turn::new(now, &mut self.tickets, asks);
        for (url, kind) in chains.chain(lists) {
            let ticket = turn.ask(Asked::GetAnew { url: url.clone(), kind });
            self.under_way.insert(ticket, (url, kind));
        }
    }

    fn cancel(&mut self) {
        if !self.is_done {
            (self.is_done, self.outcome) = (true, Some(()));
        }
    }

    fn outcome(&mut self) -> Option<()> {
        self.outcome.take()
    }
}
