//! The parts of an engine that its host and the listener of metrics look at.

use std::sync::{Arc, OnceLock};

use herald_core::Health;
use herald_net::{Address, ReactorHandle, ReactorState};

use crate::admission::Admitting;
use crate::discovery::{Discoverer, SourceCounters};
use crate::fetch::Fetcher;
use crate::plugins::PluginSet;
use crate::services::{Calls, Services};
use crate::shared::{Shared, Stage};

/// Empty places are filled at the start, once.
pub(crate) struct Parts {
    pub(super) shared: Arc<Shared>,
    pub(super) plugins: Arc<PluginSet>,
    pub(super) fetcher: Option<Arc<Fetcher>>,
    pub(super) reactors: OnceLock<Vec<ReactorHandle>>,
    /// If stores need tokens.
    pub(super) admitting: OnceLock<Arc<Admitting>>,
    /// If services are configured.
    pub(super) calls: OnceLock<Calls>,
    /// Where metrics are served, if they are.
    pub(super) monitor: OnceLock<Address>,
}

impl Parts {
    pub(super) fn new(shared: &Arc<Shared>, plugins: &Arc<PluginSet>, services: Option<&Services>) -> Self {
        Self {
            shared: shared.clone(),
            plugins: plugins.clone(),
            fetcher: services.map(|services| services.fetcher().clone()),
            reactors: OnceLock::new(),
            admitting: OnceLock::new(),
            calls: OnceLock::new(),
            monitor: OnceLock::new(),
        }
    }

    /// Why storing or retrieving would fail now; of a client: why the last one did, if there was one.
    pub(crate) fn health(&self) -> Health<'static> {
        let home = self.calls.get().and_then(|calls| calls.worker.home_fault());
        let health = match home {
            // A client's own memory and disk have no part in it.
            Some(fault) if self.shared.stage() == Stage::Running => Health { fault, of_messages: None },
            _ => self.shared.health_here(),
        };
        Health { fault: health.fault.or_else(|| self.network_fault()), ..health }
    }

    /// Why somebody on the network would not be served though the engine runs.
    fn network_fault(&self) -> Option<&'static str> {
        let states = self.reactors.get().into_iter().flatten().map(ReactorHandle::state);
        states.into_iter().find_map(|state| match state {
            ReactorState::Serving => None,
            ReactorState::Draining => Some("the listeners are closed for good; calls in process go on"),
            ReactorState::EndedEarly => {
                Some("a thread that serves the network has ended; its operator starts the service anew")
            }
        })
    }

    pub(super) fn discoverer(&self) -> Option<&Arc<Discoverer>> {
        self.calls.get()?.discoverer.as_ref()
    }

    pub(super) fn source_counters(&self) -> Vec<(String, SourceCounters)> {
        self.discoverer().map_or_else(Vec::new, |discoverer| discoverer.counters())
    }
}
