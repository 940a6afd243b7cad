//! A service that wants tokens, a holder of numbers who may have some, and the storers it gives them to.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use herald_admission::directory::{self, Directory, OfferedKey};
use herald_admission::wire::{CONTINUED_BYTES, TAG_BYTES};
use herald_admission::{Continued, Credential, MacKey, Mode, Presented, Seal, StoreInput, Suite, TokenInput};
use herald_plugin_sdk::harness::RateControl;
use herald_plugin_sdk::{Mode as PluginMode, Token, Want, abi, rate_control_entry};
use herald_rate_blind_signature::BlindSignature;
use herald_rate_voprf::{RateVoprf, RateVoprfP384};
use herald_runtime::core::{Clock, TelephoneNumber, Timestamp};
use herald_runtime::net::{Address, Bytes, Client, Request, Response};
use herald_runtime::stir::issue::{DevelopmentAuthority, Issued, Validity};
use herald_runtime::stir::{AccessToken, CertificateReference, TnAuthList, TnEntry};
use herald_runtime::{Config, Engine, Environment, SystemRandom, wall_clock};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ClientConfig, RootCertStore};
use tempfile::TempDir;

pub(crate) const NAME: &str = "localhost";
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

pub(crate) fn number(text: &str) -> TelephoneNumber {
    text.parse().expect("a number")
}

pub(crate) fn body(fill: u8) -> Vec<u8> {
    vec![fill; 640]
}

/// Whose tokens a service takes: a plugin.
#[derive(Clone, Copy)]
pub(crate) struct Maker {
    pub(crate) name: &'static str,
    pub(crate) entry: extern "C-unwind" fn() -> *const abi::Plugin,
}

pub(crate) const VOPRF: Maker = Maker { name: "rate-voprf", entry: rate_control_entry::<RateVoprf> };
pub(crate) const VOPRF_P384: Maker =
    Maker { name: "rate-voprf-p384", entry: rate_control_entry::<RateVoprfP384> };
pub(crate) const BLIND: Maker =
    Maker { name: "rate-blind-signature", entry: rate_control_entry::<BlindSignature> };

/// Files of one service, which outlive its engines.
pub(crate) struct Scene {
    pub(crate) maker: Maker,
    folder: TempDir,
    pub(crate) tls_pem: String,
    authority: DevelopmentAuthority,
    validity: Validity,
    properties: Vec<(&'static str, String)>,
}

/// A running engine.
pub(crate) struct Service {
    pub(crate) engine: Engine,
    pub(crate) client: Client,
    pub(crate) port: u16,
}

impl Scene {
    /// With the tokens that the engine has by default.
    pub(crate) fn new(properties: &[(&'static str, &str)]) -> Self {
        Self::of(VOPRF, properties)
    }

    pub(crate) fn of(maker: Maker, properties: &[(&'static str, &str)]) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let now_s = wall_clock().as_millis() / 1000;
        let validity = Validity { from_s: now_s - 3600, to_s: now_s + 86_400 };
        let authority = DevelopmentAuthority::new("Test", validity, &SystemRandom).expect("an authority");
        let tls = rcgen::generate_simple_self_signed([NAME.to_owned()]).expect("a certificate");
        let write = |name: &str, text: &str| std::fs::write(folder.path().join(name), text).expect("a file");
        write("tls.pem", &tls.cert.pem());
        write("tls.key", &tls.signing_key.serialize_pem());
        write("roots.pem", authority.root_pem());
        let path = |name: &str| path(folder.path(), name);
        let mut all = vec![
            ("memory", "64MiB".to_owned()),
            ("listen", "127.0.0.1:0".to_owned()),
            ("reactors", "1".to_owned()),
            ("durability", "memory".to_owned()),
            ("data", path("data")),
            ("tls_certificate", path("tls.pem")),
            ("tls_key", path("tls.key")),
            ("admission", maker.name.to_owned()),
            ("token_name", NAME.to_owned()),
            ("token_roots", path("roots.pem")),
            ("token_epochs_ahead", "2".to_owned()),
            // More than by default, so that one holder has enough for a test.
            ("token_classes", "handset=4:64,gateway=256:10000".to_owned()),
            ("unix_socket", path("socket")),
        ];
        all.extend(properties.iter().map(|(name, value)| (*name, (*value).to_owned())));
        Self { maker, tls_pem: tls.cert.pem(), folder, authority, validity, properties: all }
    }

    pub(crate) fn open(&self) -> Service {
        self.open_in(Environment::system(|_, _| {}))
    }

    pub(crate) fn open_at(&self, clock: Arc<dyn Clock>) -> Service {
        let environment = Environment::system(|_, _| {});
        self.open_in(Environment { clock: Box::new(move |_| clock), ..environment })
    }

    pub(crate) fn open_in(&self, environment: Environment) -> Service {
        self.open_with(environment, 0)
    }

    /// On a port that was free a moment ago, or any with 0.
    pub(crate) fn open_with(&self, environment: Environment, port: u16) -> Service {
        let mut config = Config::default();
        for (name, value) in &self.properties {
            config.set(name, value).expect("a property");
        }
        config.set("listen", &format!("127.0.0.1:{port}")).expect("a property");
        let engine = Engine::open(config, environment).expect("an engine");
        engine.register_plugin(self.maker.entry).expect("a plugin");
        engine.start().expect("a start");
        let tcp = engine.addresses().iter().find_map(|address| match address {
            Address::Tcp(address) => Some(address.port()),
            Address::Unix(_) => None,
        });
        let client = Client::https(self.tls_pem.as_bytes()).expect("a client");
        Service { engine, client, port: tcp.expect("an address") }
    }

    /// A client that shows the certificate of `holder` in TLS.
    pub(crate) fn client_of(&self, holder: &Holder) -> Client {
        let certificates = |pem: &str| {
            CertificateDer::pem_slice_iter(pem.as_bytes()).map(|one| one.expect("PEM")).collect::<Vec<_>>()
        };
        let mut roots = RootCertStore::empty();
        roots.add_parsable_certificates(certificates(&self.tls_pem));
        let key = PrivateKeyDer::from_pem_slice(holder.0.key.to_pkcs8_pem().as_bytes()).expect("a key");
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .expect("versions")
            .with_root_certificates(roots)
            .with_client_auth_cert(certificates(&holder.0.chain_pem), key);
        Client::https_with(config.expect("a key of the certificate"))
    }

    /// Where a file of it is.
    pub(crate) fn path(&self, name: &str) -> String {
        path(self.folder.path(), name)
    }

    /// The folder of the journal, while one is written.
    pub(crate) fn journal(&self) -> PathBuf {
        self.folder.path().join("data/journal")
    }

    /// A client at the Unix socket.
    pub(crate) fn client_here(&self) -> Client {
        Client::unix(self.folder.path().join("socket"))
    }

    /// Who has a number.
    pub(crate) fn holder(&self, text: &str) -> Holder {
        self.holder_of(vec![TnEntry::One(number(text))])
    }

    /// A provider that has the number.
    pub(crate) fn provider(&self, text: &str) -> Holder {
        self.holder_of(vec![TnEntry::Spc("1234".to_owned()), TnEntry::One(number(text))])
    }

    fn holder_of(&self, entries: Vec<TnEntry>) -> Holder {
        let list = TnAuthList::new(entries).expect("a list");
        let issued = self.authority.issue("Holder", &list, self.validity, &SystemRandom);
        Holder(issued.expect("a certificate"))
    }
}

/// Somebody with a certificate.
pub(crate) struct Holder(pub(crate) Issued);

impl Holder {
    pub(crate) fn access(&self, path: &str) -> String {
        let chain = CertificateReference::inline_from_pem(self.0.chain_pem.as_bytes()).expect("a chain");
        let audience = format!("https://{NAME}{path}");
        let token = AccessToken::sign(&audience, wall_clock(), &chain, &self.0.key, &SystemRandom);
        format!("Bearer {}", token.expect("a token"))
    }
}

fn path(folder: &Path, name: &str) -> String {
    folder.join(name).to_str().expect("a plain path").to_owned()
}

/// What a service said.
pub(crate) struct Said {
    pub(crate) status: u16,
    pub(crate) response: Response<Bytes>,
}

impl Said {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.response.headers().get(name).and_then(|value| value.to_str().ok())
    }

    /// The kind of a problem.
    pub(crate) fn kind(&self) -> String {
        let problem: serde_json::Value = serde_json::from_slice(self.response.body()).unwrap_or_default();
        problem["type"].as_str().and_then(|kind| kind.rsplit(':').next()).unwrap_or_default().to_owned()
    }

    pub(crate) fn brief(&self) -> (u16, String) {
        (self.status, self.kind())
    }
}

impl Service {
    pub(crate) fn ask(&self, method: &str, path: &str, headers: &[(&str, &str)], body: Vec<u8>) -> Said {
        let mut request =
            Request::builder().method(method).uri(format!("https://localhost:{}{path}", self.port));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let request = request.body(Bytes::from(body)).expect("a request");
        let response = self.client.request(request, PATIENCE).expect("an answer");
        Said { status: response.status().as_u16(), response }
    }

    pub(crate) fn store(&self, number: &str, body: Vec<u8>, authorization: Option<&str>) -> Said {
        let mut headers = vec![("content-type", "application/passport")];
        headers.extend(authorization.map(|value| ("authorization", value)));
        self.ask("POST", &format!("/cps/{number}/ppts"), &headers, body)
    }

    pub(crate) fn directory(&self) -> Vec<u8> {
        let said = self.ask("GET", directory::PATH, &[], Vec::new());
        assert_eq!((said.status, said.header("content-type")), (200, Some(directory::MEDIA_TYPE)));
        said.response.into_body().to_vec()
    }
}

impl Service {
    /// The key of a class in this epoch.
    pub(crate) fn key(&self, class: &str) -> OfferedKey {
        let directory = Directory::read(&self.directory()).expect("a directory");
        let mut keys = directory.keys.into_iter().filter(|key| key.class == class);
        // Those of later epochs come first, and the last is that of this one.
        keys.next_back().expect("a key of the class")
    }

    /// The directory once keys are made for this epoch and the two ahead, by a thread of its own, in both classes.
    pub(crate) fn whole_directory(&self) -> Vec<u8> {
        let began = Instant::now();
        loop {
            let text = self.directory();
            if Directory::read(&text).expect("a directory").keys.len() == 6 {
                return text;
            }
            assert!(began.elapsed() < PATIENCE, "keys are not made ahead");
            std::thread::yield_now();
        }
    }
}

/// A storer's purse.
pub(crate) struct Purse {
    plugin: RateControl,
    challenge_digest: [u8; 32],
}

/// Tokens on their way: what is asked for, and what it takes to finish.
pub(crate) struct Wanted {
    pub(crate) request: Vec<u8>,
    state: Vec<u8>,
}

impl Purse {
    pub(crate) fn new() -> Self {
        Self::of_service(NAME)
    }

    /// Tokens for the service of another name.
    pub(crate) fn of_service(name: &str) -> Self {
        Self::of(RateControl::open(VOPRF.entry, &[]).expect("a plugin"), name)
    }

    pub(crate) fn of(plugin: RateControl, name: &str) -> Self {
        let token_type = u16::try_from(plugin.token_type()).expect("a type");
        let challenge = herald_admission::Challenge::new(token_type, name).expect("a name");
        Self { challenge_digest: challenge.digest(), plugin }
    }

    pub(crate) fn want(&self, service: &Service, class: &str, count: usize) -> Wanted {
        self.want_of(PluginMode::Withheld, &service.key(class), count)
    }

    pub(crate) fn want_of(&self, mode: PluginMode, key: &OfferedKey, count: usize) -> Wanted {
        let want = Want {
            mode,
            count,
            public_key: &key.public_key,
            agreement_key: &key.agreement_key,
            challenge_digest: &self.challenge_digest,
        };
        let (request, state) = self.plugin.request(&want).expect("a request");
        Wanted { request, state: state.to_vec() }
    }

    pub(crate) fn request_type(&self) -> &str {
        self.plugin.media_types().0
    }

    pub(crate) fn finish(&self, wanted: &Wanted, response: &[u8]) -> Vec<Stock> {
        self.tokens(wanted, response).into_iter().map(Stock::new).collect()
    }

    pub(crate) fn tokens(&self, wanted: &Wanted, response: &[u8]) -> Vec<Token> {
        self.plugin.finish(&wanted.state, response).expect("tokens")
    }

    /// Sends a request for tokens.
    pub(crate) fn send(&self, service: &Service, holder: &Holder, wanted: &Wanted) -> Said {
        let access = holder.access(directory::REQUEST_PATH);
        let headers = [("content-type", self.request_type()), ("authorization", access.as_str())];
        service.ask("POST", directory::REQUEST_PATH, &headers, wanted.request.clone())
    }

    pub(crate) fn get(&self, service: &Service, holder: &Holder, class: &str, count: usize) -> Vec<Stock> {
        let wanted = self.want(service, class, count);
        let said = self.send(service, holder, &wanted);
        assert_eq!(said.status, 200, "{}", said.kind());
        self.finish(&wanted, said.response.body())
    }
}

/// A token.
#[derive(Clone)]
pub(crate) struct Stock {
    pub(crate) input: TokenInput,
    authenticator: Vec<u8>,
    key: MacKey,
}

impl Stock {
    fn new(token: Token) -> Self {
        let input = TokenInput(token.token_input);
        let key = MacKey::derive(&token.secret, &input);
        // The authenticator is the secret itself where it is withheld.
        Self { input, authenticator: token.secret.to_vec(), key }
    }

    fn tag(&self, number: Option<&str>, counter: u32, body: &[u8]) -> [u8; TAG_BYTES] {
        let number = number.map(self::number);
        let store =
            StoreInput { key_id: self.input.key_id(), token_id: self.input.id(), counter, number, body };
        self.key.tag(Suite::HmacSha256, &store)
    }

    /// Of a store that opens the token's session.
    pub(crate) fn opening(&self, number: Option<&str>, counter: u32, body: &[u8]) -> Credential {
        let seal = Seal::Mac(Mode::Withheld, self.tag(number, counter, body));
        let (authenticator, proof) = (Vec::new(), Vec::new());
        Credential::Presented(Box::new(Presented { input: self.input, authenticator, proof, counter, seal }))
    }

    pub(crate) fn open(&self, number: &str, counter: u32, body: &[u8]) -> String {
        self.opening(Some(number), counter, body).to_header()
    }

    pub(crate) fn continued(&self, number: &str, counter: u32, body: &[u8]) -> Continued {
        Continued { token_id: self.input.id(), counter, tag: self.tag(Some(number), counter, body) }
    }

    pub(crate) fn go_on(&self, number: &str, counter: u32, body: &[u8]) -> String {
        Credential::Continued(self.continued(number, counter, body)).to_header()
    }

    pub(crate) fn record(&self, number: &str, counter: u32, body: &[u8]) -> [u8; CONTINUED_BYTES] {
        self.continued(number, counter, body).to_bytes()
    }

    /// As RFC 9577 shows it.
    pub(crate) fn bearer(&self) -> String {
        let (input, authenticator) = (self.input, self.authenticator.clone());
        let presented = Presented { input, authenticator, proof: Vec::new(), counter: 0, seal: Seal::Bearer };
        Credential::Presented(Box::new(presented)).to_header()
    }
}

/// A clock that a test moves.
#[derive(Default)]
pub(crate) struct Moved(std::sync::atomic::AtomicU64);

impl Moved {
    pub(crate) fn at(millis: u64) -> Arc<Self> {
        Arc::new(Self(millis.into()))
    }

    pub(crate) fn go(&self, millis: u64) {
        self.0.fetch_add(millis, std::sync::atomic::Ordering::SeqCst);
    }
}

impl Clock for Moved {
    fn now(&self) -> Timestamp {
        Timestamp::from_millis(self.0.load(std::sync::atomic::Ordering::SeqCst))
    }
}
