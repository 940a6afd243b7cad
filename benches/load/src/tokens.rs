//! Tokens for the stores of a run (RFC 8816 §7.5), had from the service's own issuer as any holder of numbers has them, and
//! the sessions they open. All of it happens before the clock starts.

use core::fmt;
use core::time::Duration;
use std::thread;
use std::time::{SystemTime, UNIX_EPOCH};

use herald_admission::directory::{self, Directory, OfferedKey};
use herald_admission::{Challenge, Credential, MacKey, Mode, Presented, Seal, TokenInput, wire};
use herald_core::Timestamp;
use herald_net::{Bytes, Client, Request};
use herald_plugin_sdk::harness::RateControl;
use herald_plugin_sdk::{Fault, Mode as PluginMode, Token, Want, rate_control_entry};
use herald_rate_voprf::RateVoprf;
use herald_stir::{AccessToken, CertificateReference, SigningKey, SystemRandom};

use crate::error::LoadError;
use crate::limits::{OPENERS, TOKEN_REQUEST_TIMEOUT};
use crate::session::Session;

/// The class of which tokens are had: each is good for many stores.
const CLASS: &str = "gateway";

/// Who asks for tokens, and of which service.
#[derive(Clone)]
pub struct TokenSource {
    /// The certificate of who asks, with its chain, PEM.
    pub chain_pem: String,
    /// Its key, PEM.
    pub key_pem: String,
    /// The authorities that the service's certificate must chain to, PEM.
    pub roots_pem: Vec<u8>,
    /// What the service calls itself (`token_name`).
    pub name: String,
    /// Stores that are made ahead, for the whole run.
    pub prepared: usize,
}

impl fmt::Debug for TokenSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TokenSource({}, {} stores)", self.name, self.prepared)
    }
}

/// Opens as many sessions at `host` as the source's stores need. Blocks.
///
/// # Errors
/// [`LoadError::Tokens`]: what the service, or the plugin, did not do.
pub(crate) fn open_sessions(source: &TokenSource, host: &str) -> Result<Vec<Session>, LoadError> {
    let desk = Desk::new(source, host)?;
    let key = desk.key()?;
    let sessions = desk.sessions(&key)?;
    let share = sessions.len().div_ceil(OPENERS).max(1);
    thread::scope(|scope| {
        let openers: Vec<_> = sessions
            .chunks(share)
            .map(|part| scope.spawn(|| part.iter().try_for_each(|session| desk.open(session))))
            .collect();
        openers.into_iter().try_for_each(|opener| opener.join().expect("an opener returns its errors"))
    })?;
    Ok(sessions)
}

/// Where tokens are had.
struct Desk<'a> {
    source: &'a TokenSource,
    base: String,
    http: Client,
    plugin: RateControl,
    challenge_digest: [u8; 32],
    signer: (SigningKey, CertificateReference),
}

impl<'a> Desk<'a> {
    fn new(source: &'a TokenSource, host: &str) -> Result<Self, LoadError> {
        let plugin = RateControl::open(rate_control_entry::<RateVoprf>, &[]).map_err(wrong)?;
        let challenge = Challenge::new(type_of(&plugin), &source.name).map_err(wrong)?;
        let key = SigningKey::from_pem(&source.key_pem).map_err(wrong)?;
        let chain = CertificateReference::inline_from_pem(source.chain_pem.as_bytes());
        let chain = chain.map_err(|fault| wrong(format!("the signer's chain: {fault:?}")))?;
        Ok(Self {
            source,
            base: format!("https://{host}"),
            http: Client::https(&source.roots_pem).map_err(wrong)?,
            challenge_digest: challenge.digest(),
            plugin,
            signer: (key, chain),
        })
    }

    /// The key that tokens are issued with now.
    fn key(&self) -> Result<OfferedKey, LoadError> {
        let text = self.ask("GET", directory::PATH, &[], Vec::new())?;
        let directory = Directory::read(&text).map_err(wrong)?;
        let key = directory.key_for(type_of(&self.plugin), CLASS, now().as_millis() / 1000);
        let is_of_use = |key: &&OfferedKey| key.stores > 1;
        key.filter(is_of_use)
            .cloned()
            .ok_or_else(|| wrong(format!("no key of the class {CLASS} for two stores or more")))
    }

    /// Sessions that are not open yet.
    fn sessions(&self, key: &OfferedKey) -> Result<Vec<Session>, LoadError> {
        let each = usize::try_from(key.stores - 1).map_err(wrong)?;
        let count = self.source.prepared.div_ceil(each);
        let together = usize::try_from(self.plugin.count_max()).map_err(wrong)?;
        let mut sessions = Vec::with_capacity(count);
        while sessions.len() < count {
            let tokens = self.tokens(key, together.min(count - sessions.len()))?;
            sessions.extend(tokens.iter().map(|token| session(token, key)));
        }
        Ok(sessions)
    }

    fn tokens(&self, key: &OfferedKey, count: usize) -> Result<Vec<Token>, LoadError> {
        let want = Want {
            mode: PluginMode::Withheld,
            count,
            public_key: &key.public_key,
            agreement_key: &key.agreement_key,
            challenge_digest: &self.challenge_digest,
        };
        let (request, state) = self.plugin.request(&want).map_err(of_plugin)?;
        let audience = format!("https://{}{}", self.source.name, directory::REQUEST_PATH);
        let (signing_key, chain) = &self.signer;
        let access = AccessToken::sign(&audience, now(), chain, signing_key, &SystemRandom).map_err(wrong)?;
        let authorization = format!("Bearer {access}");
        let fields = [("content-type", self.plugin.media_types().0), ("authorization", &authorization)];
        let response = self.ask("POST", directory::REQUEST_PATH, &fields, request)?;
        self.plugin.finish(&state, &response).map_err(of_plugin)
    }

    fn open(&self, session: &Session) -> Result<(), LoadError> {
        let seal = Seal::Mac(Mode::Withheld, session.tag(0, None, &[]));
        let (authenticator, proof) = (Vec::new(), Vec::new());
        let presented = Presented { input: session.input, authenticator, proof, counter: 0, seal };
        let body = Credential::Presented(Box::new(presented)).to_bytes();
        self.ask("POST", wire::OPEN_PATH, &[("content-type", wire::MEDIA_TYPE)], body).map(drop)
    }

    fn ask(
        &self,
        method: &str,
        path: &str,
        fields: &[(&str, &str)],
        body: Vec<u8>,
    ) -> Result<Bytes, LoadError> {
        let mut request = Request::builder().method(method).uri(format!("{}{path}", self.base));
        for (name, value) in fields {
            request = request.header(*name, *value);
        }
        let request = request.body(Bytes::from(body)).map_err(wrong)?;
        let response = self.http.request(request, TOKEN_REQUEST_TIMEOUT).map_err(wrong)?;
        if !response.status().is_success() {
            let why = String::from_utf8_lossy(response.body());
            return Err(wrong(format!("{method} {path}: {} {why}", response.status())));
        }
        Ok(response.into_body())
    }
}

fn session(token: &Token, key: &OfferedKey) -> Session {
    let input = TokenInput(token.token_input);
    Session {
        key: MacKey::derive(&token.secret, &input),
        input,
        suite: key.suite.unwrap_or_default(),
        stores: key.stores,
    }
}

fn type_of(plugin: &RateControl) -> u16 {
    u16::try_from(plugin.token_type()).expect("types of tokens have 16 bits")
}

fn now() -> Timestamp {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO);
    Timestamp::from_millis(u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
}

#[cold]
fn wrong(why: impl fmt::Display) -> LoadError {
    LoadError::Tokens(why.to_string())
}

#[cold]
fn of_plugin(fault: Fault) -> LoadError {
    wrong(format!("the plugin failed: {fault:?}"))
}
