//! The listeners of an engine, for a host with a loop of its own.

use std::os::fd::RawFd;
use std::sync::Arc;
use std::time::{Duration, Instant};

use herald_net::{Address, Reactor, TurnReport};

use crate::door::Door;
use crate::error::EngineError;
use crate::watch::Watches;

/// The listeners of an engine, served by its host from one thread: poll the descriptor, then turn.
///
/// It does not keep the journal: once [`Engine::stop`](crate::Engine::stop) was called its answers to stores are refusals. So a host
/// drains first, then stops the engine, and drops this whenever it likes.
pub struct Hosted {
    pub(super) reactor: Reactor<Door>,
    pub(super) watches: Arc<Watches>,
}

impl Hosted {
    /// Where it listens, with the ports that the kernel chose.
    pub fn addresses(&self) -> Vec<Address> {
        self.reactor.addresses()
    }

    /// The one descriptor to poll for reading: readable when [`turn`](Self::turn) has work.
    pub fn descriptor(&self) -> RawFd {
        self.reactor.descriptor()
    }

    /// Serves what is ready, waiting up to `patience` for it; the work of one turn is bounded.
    ///
    /// # Errors
    /// [`EngineErrorKind::Network`](crate::EngineErrorKind::Network) if polling fails; the listeners are then of no further use.
    pub fn turn(&mut self, patience: Duration) -> Result<(), EngineError> {
        self.turn_once(patience).map(drop)
    }

    fn turn_once(&mut self, patience: Duration) -> Result<TurnReport, EngineError> {
        let report = self.reactor.turn(Some(patience))?;
        self.watches.tell();
        Ok(report)
    }

    /// Stops accepting, serves requests under way for up to `grace`, then closes what is left. Blocks until that is done,
    /// for at most `grace` and a turn; subscribers are told meanwhile. Afterwards nothing listens any more, and
    /// turns are for subscribers alone.
    ///
    /// # Errors
    /// [`EngineErrorKind::Network`](crate::EngineErrorKind::Network) if polling fails.
    pub fn drain(&mut self, grace: Duration) -> Result<(), EngineError> {
        let deadline = Instant::now() + grace;
        let mut report = self.begin(grace)?;
        while !report.is_drained {
            let left = deadline.saturating_duration_since(Instant::now());
            report = self.turn_once(left.min(DRAIN_TURN))?;
        }
        Ok(())
    }

    /// Begins what [`drain`](Self::drain) waits for, within one turn that waits for nothing. Afterwards nothing listens any
    /// more; further turns serve what is left and close it when `grace` is over. It is done once `herald_connections` of
    /// [`Engine::stats`](crate::Engine::stats) is 0. Called again it sets the grace anew.
    ///
    /// # Errors
    /// As [`turn`](Self::turn).
    pub fn begin_drain(&mut self, grace: Duration) -> Result<(), EngineError> {
        self.begin(grace).map(drop)
    }

    fn begin(&mut self, grace: Duration) -> Result<TurnReport, EngineError> {
        self.reactor.handle().begin_drain(grace);
        self.turn_once(Duration::ZERO)
    }
}

/// How long a turn of a drain sleeps at most, so that the deadline is seen whatever happens.
const DRAIN_TURN: Duration = Duration::from_millis(50);
