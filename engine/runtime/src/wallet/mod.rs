//! Tokens for stores at services elsewhere that want them (RFC 8816 §7.5, the calling side): got, kept and spent without
//! the host's doing.
//!
//! Lanes ask the [`Wallet`] with what a store is authorised, and never wait in it. A thread of its own, the clerk, asks
//! issuers: ahead and at random moments, over connections that no store uses. What is held of a service is its purse.
//! It knows neither calls nor what is stored.

mod chance;
mod clerk;
mod purse;
mod session;

use std::collections::HashMap;
use std::sync::Arc;

use herald_admission::Challenge;
use herald_core::{Clock, Random, Timestamp};
use herald_stir::{CertificateReference, SigningKey};
use parking_lot::Mutex;

use crate::error::EngineError;
use crate::limits::{TOKENS_KEPT_DEFAULT, TOKENS_KEPT_MAX, WALLET_PURSES_MAX};
use crate::plugins::PluginSet;
use crate::worker::HttpsRoutes;
use chance::Chance;
use clerk::Clerk;
use purse::{Now, Purse};
use session::Drawn;
pub(crate) use session::Session;

pub(crate) use session::{Payment, Settled, Store, Waiter};

/// Which tokens are asked for, and how many are kept ahead.
#[derive(Clone, Copy, Debug)]
pub(crate) struct WalletSettings {
    pub(crate) class: TokenClass,
    /// For each service. 0: no tokens are asked for.
    pub(crate) kept: u32,
}

impl Default for WalletSettings {
    fn default() -> Self {
        Self { class: TokenClass::Handset, kept: TOKENS_KEPT_DEFAULT }
    }
}

impl WalletSettings {
    pub(crate) fn set_class(&mut self, value: &str) -> Result<(), &'static str> {
        self.class = match value {
            "handset" => TokenClass::Handset,
            "gateway" => TokenClass::Gateway,
            _ => return Err("handset or gateway"),
        };
        Ok(())
    }

    pub(crate) fn set_kept(&mut self, value: &str) -> Result<(), &'static str> {
        let count = value.parse().ok().filter(|count| *count <= TOKENS_KEPT_MAX);
        self.kept = count.ok_or("a count from 0 to 1024")?;
        Ok(())
    }
}

/// How tokens are spent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum TokenClass {
    /// One for each call.
    Handset,
    /// Many sessions are open, and one is picked at random for each store.
    Gateway,
}

impl TokenClass {
    /// What issuer directories call it.
    const fn name(self) -> &'static str {
        match self {
            Self::Handset => "handset",
            Self::Gateway => "gateway",
        }
    }
}

/// What a wallet works with.
pub(crate) struct Surroundings {
    pub(crate) settings: WalletSettings,
    /// Who asks for tokens: the chain stands inline.
    pub(crate) asker: Mutex<(SigningKey, CertificateReference)>,
    pub(crate) plugins: Arc<PluginSet>,
    /// Ways that no store takes.
    pub(crate) routes: HttpsRoutes,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) wall: fn() -> Timestamp,
    pub(crate) random: Arc<dyn Random>,
    pub(crate) network: herald_net::Surroundings,
}

/// The purses. Any thread.
pub(crate) struct Wallet {
    core: Arc<Core>,
    clerk: Clerk,
}

/// What lanes and the clerk share.
struct Core {
    around: Surroundings,
    chance: Chance,
    /// By the URL of the service.
    purses: Mutex<HashMap<Arc<str>, Purse>>,
}

/// The sessions of one call, each with its service.
pub(crate) type Held = Vec<(Arc<str>, Arc<Session>)>;

/// What a wallet holds.
#[derive(Clone, Copy, Default)]
pub(crate) struct Holdings {
    /// Services that wanted tokens lately.
    pub(crate) services: usize,
    /// Of these, services whose issuer failed.
    pub(crate) failing: usize,
    pub(crate) tokens: usize,
    pub(crate) sessions: usize,
}

/// With what a store is sent.
pub(crate) enum Paid {
    /// The service has not asked for tokens.
    Free,
    With(Payment),
    /// Not yet: the waiter is told.
    Later,
    /// No token is to be had: why.
    Not(String),
}

impl Wallet {
    /// # Errors
    /// [`EngineErrorKind::Limit`](crate::EngineErrorKind::Limit) and
    /// [`Network`](crate::EngineErrorKind::Network) if the system refuses a thread or descriptors.
    pub(crate) fn start(around: Surroundings) -> Result<Self, EngineError> {
        let chance = Chance(around.random.clone());
        let core = Arc::new(Core { around, chance, purses: Mutex::default() });
        let clerk = Clerk::start(core.clone())?;
        Ok(Self { core, clerk })
    }

    /// With what a store at `service` is sent. `held` are the sessions of its call; those that have stored enough under its
    /// number are passed over. `waiter` is told when it is worth to ask again.
    pub(crate) fn pay(&self, service: &Arc<str>, held: &mut Held, store: Store<'_>, waiter: Waiter) -> Paid {
        let paid = self.core.pay(service, held, store, waiter);
        if matches!(paid, Paid::Later) {
            self.clerk.nudge();
        }
        paid
    }

    /// Takes in that a service wants tokens: the value of its `WWW-Authenticate`.
    ///
    /// # Errors
    /// Why it will have none.
    pub(crate) fn challenged(
        &self,
        service: &Arc<str>,
        is_named: bool,
        challenge: &str,
    ) -> Result<(), String> {
        self.core.challenged(service, is_named, challenge)
    }

    /// Asks for tokens as somebody else from now on.
    pub(crate) fn ask_as(&self, asker: (SigningKey, CertificateReference)) {
        *self.core.around.asker.lock() = asker;
    }

    /// Services that wanted tokens, and tokens and open sessions that are held of them.
    pub(crate) fn holdings(&self) -> Holdings {
        let purses = self.core.purses.lock();
        let mut sum = Holdings { services: purses.len(), ..Holdings::default() };
        for purse in purses.values() {
            let (tokens, sessions, is_failing) = purse.holdings();
            sum.tokens += tokens;
            sum.sessions += sessions;
            sum.failing += usize::from(is_failing);
        }
        sum
    }

    /// Ends the clerk. Nobody who waits is told any more.
    pub(crate) fn stop(&self) {
        self.clerk.stop();
    }
}

impl Core {
    fn now(&self) -> Now {
        let wall_s = (self.around.wall)().as_millis() / 1000;
        Now { steady: self.around.clock.now(), wall_s }
    }

    fn pay(&self, service: &Arc<str>, held: &mut Held, store: Store<'_>, mut waiter: Waiter) -> Paid {
        let now = self.now();
        if let Some(at) = held.iter().position(|(of, _)| of == service) {
            if !store.is_full(&held[at].1) {
                match held[at].1.draw(store, now.wall_s, waiter) {
                    Drawn::With(payment) => return Paid::With(payment),
                    Drawn::Later => return Paid::Later,
                    Drawn::Over(back) => waiter = back,
                }
            }
            held.swap_remove(at);
        }
        let session = {
            let mut purses = self.purses.lock();
            let Some(purse) = purses.get_mut(service) else { return Paid::Free };
            let session = match self.around.settings.class {
                TokenClass::Handset => purse.take(now),
                TokenClass::Gateway => purse.pick(now, store, &self.chance),
            };
            match session {
                Some(session) => session,
                None => return purse.wait(waiter, now.steady).map_or_else(Paid::Not, |()| Paid::Later),
            }
        };
        if self.around.settings.class == TokenClass::Handset {
            held.push((service.clone(), session.clone()));
        }
        match session.draw(store, now.wall_s, waiter) {
            Drawn::With(payment) => Paid::With(payment),
            Drawn::Later => Paid::Later,
            // Its end came between two looks, or too many wait for it.
            Drawn::Over(waiter) => {
                let mut purses = self.purses.lock();
                let waits = purses.get_mut(service).map(|purse| purse.wait(waiter, now.steady));
                waits.map_or(Paid::Free, |waits| waits.map_or_else(Paid::Not, |()| Paid::Later))
            }
        }
    }

    fn challenged(&self, service: &Arc<str>, is_named: bool, challenge: &str) -> Result<(), String> {
        let (challenge, public_key) = Challenge::from_header(challenge)
            .map_err(|error| format!("its challenge is not one that tokens are fetched for: {error}"))?;
        // A token for another service's name, and the proof of who asks for it, are not this one's to have.
        if !is_name_of(challenge.name(), service) {
            return Err("it asks for tokens of another service".to_owned());
        }
        let token_type = challenge.token_type();
        if self.around.plugins.rate_control_of_type(token_type).is_none() {
            return Err(format!(
                "it wants tokens of type {token_type}, which no plugin that is loaded makes; set plugins"
            ));
        }
        let now = self.now().steady;
        let mut purses = self.purses.lock();
        if purses.len() >= WALLET_PURSES_MAX && !purses.contains_key(service) {
            make_room(&mut purses);
        }
        let new = || Purse::new(challenge.clone(), is_named, now);
        let purse = purses.entry(service.clone()).or_insert_with(new);
        purse.challenged(challenge, &public_key, is_named);
        Ok(())
    }
}

/// Whether a service that is asked at `url` may have this name: its host, with or without the port.
fn is_name_of(name: &str, url: &str) -> bool {
    let authority = url.strip_prefix("https://").unwrap_or_default().split('/').next().unwrap_or_default();
    let host = match authority.rsplit_once(':') {
        Some((host, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => host,
        _ => authority,
    };
    !host.is_empty() && (name.eq_ignore_ascii_case(authority) || name.eq_ignore_ascii_case(host))
}

/// Forgets what was used longest ago, if nobody asks its issuer: such a service asks again for tokens.
fn make_room(purses: &mut HashMap<Arc<str>, Purse>) {
    let idle = purses.iter().filter(|(_, purse)| !purse.is_busy);
    let oldest = idle.min_by_key(|(_, purse)| purse.used_at()).map(|(service, _)| service.clone());
    if let Some(service) = oldest {
        purses.remove(&service);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_service_has_the_name_of_its_host_and_no_other() {
        for (name, url, is_its) in [
            ("cps.example", "https://cps.example", true),
            ("CPS.example", "https://cps.example:8443/", true),
            ("cps.example:8443", "https://cps.example:8443", true),
            ("cps.example:443", "https://cps.example:8443", false),
            ("other.example", "https://cps.example", false),
            ("example", "https://cps.example", false),
            ("[::1]", "https://[::1]:8443", true),
            ("", "https://", false),
            ("cps.example", "http://cps.example", false),
        ] {
            assert_eq!(is_name_of(name, url), is_its, "{name} at {url}");
        }
    }
}
