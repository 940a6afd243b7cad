//! Fetches key bundles ahead of calls and again before they expire, so that no call waits for them.

use std::collections::BTreeMap;
use std::sync::Arc;

use herald_core::Timestamp;

use super::{Area, BundleDiscovery};
use crate::limits::{KEY_FETCHES_UNDER_WAY_MAX, KEY_LOOK_MS};
use crate::services::{Answer, Ask, Asked, Fetched, KeyDiscovery, Machine, Moment, Ticket, Tickets, Turn};

/// Keeps the areas it is given, and those that calls use, fetched until it is cancelled.
#[derive(Debug)]
pub struct BundleKeeper {
    bundles: Arc<BundleDiscovery>,
    areas: Vec<Area>,
    tickets: Tickets,
    /// The URLs that were asked for.
    under_way: BTreeMap<Ticket, String>,
    look_at: Option<Timestamp>,
    is_cancelled: bool,
}

impl BundleKeeper {
    /// Keeps `areas` from the beginning on, and what calls look up in `bundles` besides.
    pub fn new(bundles: Arc<BundleDiscovery>, areas: Vec<Area>) -> Self {
        let (tickets, under_way) = Default::default();
        Self { bundles, areas, tickets, under_way, look_at: None, is_cancelled: false }
    }

    /// Asks for what is due.
    fn look(&mut self, now: Moment, asks: &mut Vec<Ask>) {
        self.look_at = Some(now.steady.plus_millis(KEY_LOOK_MS));
        while self.under_way.len() < KEY_FETCHES_UNDER_WAY_MAX {
            let Some(url) = self.bundles.due(now.wall) else { return };
            let what = Asked::Get { url: url.clone(), kind: Fetched::KeyBundle };
            let ticket = Turn::new(now, &mut self.tickets, asks).ask(what);
            self.under_way.insert(ticket, url);
        }
    }
}

impl Machine for BundleKeeper {
    type Outcome = ();

    fn begin(&mut self, now: Moment, asks: &mut Vec<Ask>) {
        for area in self.areas.drain(..) {
            self.bundles.keep(area, now.wall);
        }
        self.look(now, asks);
    }

    fn answer(&mut self, ticket: Ticket, answer: Answer, now: Moment, asks: &mut Vec<Ask>) {
        let Some(url) = self.under_way.remove(&ticket) else { return };
        match answer {
            Answer::Fetched { body, fresh_s } => {
                KeyDiscovery::learn(&*self.bundles, &url, &body, fresh_s, now.wall)
            }
            _ => self.bundles.failed(&url, now.wall),
        }
        self.look(now, asks);
    }

    fn wake_at(&self) -> Option<Timestamp> {
        self.look_at
    }

    fn wake(&mut self, now: Moment, asks: &mut Vec<Ask>) {
        self.look(now, asks);
    }

    fn cancel(&mut self) {
        self.is_cancelled = true;
    }

    fn outcome(&mut self) -> Option<()> {
        core::mem::take(&mut self.is_cancelled).then_some(())
    }
}
