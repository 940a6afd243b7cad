//! Hearing of placements as they come, and taking in no more of them over the network.

use std::time::Duration;

use super::Engine;
use crate::error::{EngineError, EngineErrorKind};
use crate::watch::{Arrival, Subscription, Watched};

impl Engine {
    /// Has `hear` told of each placement that comes under the numbers `watched` from now on, with how many were left out
    /// before: of those that wait to be told, `queue_len`, the oldest makes room. Until [`Subscription::end`] or the stop,
    /// which tells what waits.
    ///
    /// A placement is told once retrievals can find it, which with `synced` is before it is acknowledged. `hear` runs on
    /// a thread of the engine, or where a host serves it, within its turns; and within the stop. It must not wait for
    /// either.
    ///
    /// # Errors
    /// [`EngineErrorKind::Argument`] for a client, and for a length of no or more than
    /// [`SUBSCRIPTION_QUEUE_LEN_MAX`](crate::limits::SUBSCRIPTION_QUEUE_LEN_MAX) placements,
    /// [`EngineErrorKind::Limit`] beyond
    /// [`SUBSCRIPTIONS_MAX`](crate::limits::SUBSCRIPTIONS_MAX) or if the system refuses a thread,
    /// [`EngineErrorKind::State`] after the stop.
    pub fn subscribe(
        &self,
        watched: Watched,
        queue_len: usize,
        hear: impl Fn(&Arrival, u64) + Send + Sync + 'static,
    ) -> Result<Subscription, EngineError> {
        if self.config.is_client() {
            let why =
                "placements are at the service, which tells a client of none; subscribe where its engine is";
            return Err(EngineError::new(EngineErrorKind::Argument, why));
        }
        self.shared.watches.add(watched, queue_len, Box::new(hear))
    }

    /// Ends the listeners: no new connections, up to `grace` for requests under way. Calls in process go on. Blocks for at
    /// most `grace` and a turn. Listeners served by the host are the host's to [drain](super::Hosted::drain). A second
    /// drain that comes meanwhile returns at once.
    ///
    /// # Errors
    /// If a reactor had failed before; the listeners are gone nevertheless.
    pub fn drain(&self, grace: Duration) -> Result<(), EngineError> {
        let server = self.life.lock().server.take();
        server.map_or(Ok(()), |server| Ok(server.shutdown(grace)?))
    }
}
