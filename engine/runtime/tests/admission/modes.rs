//! Every way in which a token may be presented, over HTTPS and with the real plugins: what stores, and all that is almost
//! a token and must not.

use herald_admission::directory::OfferedKey;
use herald_admission::wire::{SIGNATURE_BYTES, TAG_BYTES};
use herald_admission::{Continued, Credential, MacKey, Mode, Presented, Seal, StoreInput, Suite, TokenInput};
use herald_plugin_sdk::harness::{RateControl, Stage};
use herald_plugin_sdk::{Mode as PluginMode, Token};
use ring::digest::{SHA256, digest};
use ring::rand::{SecureRandom, SystemRandom};
use ring::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair};

use crate::scene::{
    BLIND, Holder, Maker, Moved, NAME, Purse, Said, Scene, Service, VOPRF, VOPRF_P384, body, number,
};

const CALLED: &str = "12225550100";
const HOLDER: &str = "13035550123";
const EPOCH_MS: u64 = 600_000;
/// Stores of a token of the class `handset`.
const HANDSET_STORES: u32 = 4;

const MODES: [(Maker, &[Mode]); 3] = [
    (VOPRF, &[Mode::Withheld, Mode::Bearer]),
    (VOPRF_P384, &[Mode::Withheld, Mode::Bearer]),
    (BLIND, &[Mode::Committed, Mode::Agreed, Mode::Signed, Mode::Bearer]),
];

fn plugin_mode(mode: Mode) -> PluginMode {
    match mode {
        Mode::Bearer => PluginMode::Bearer,
        Mode::Withheld => PluginMode::Withheld,
        Mode::Committed => PluginMode::Committed,
        Mode::Agreed => PluginMode::Agreed,
        Mode::Signed => PluginMode::Signed,
    }
}

/// A token with what its owner knows, as it is shown; to be changed.
#[derive(Clone)]
struct Shown {
    mode: Mode,
    input: TokenInput,
    authenticator: Vec<u8>,
    proof: Vec<u8>,
    /// Of MACs; in [`Mode::Signed`] the private key.
    secret: Vec<u8>,
    /// The public key that goes with it.
    signer: Vec<u8>,
}

impl Shown {
    fn new(mode: Mode, token: &Token) -> Self {
        let authenticator = if mode == Mode::Withheld { Vec::new() } else { token.authenticator.to_vec() };
        let (proof, secret) = (token.proof.to_vec(), token.secret.to_vec());
        Self {
            mode,
            input: TokenInput(token.token_input),
            authenticator,
            signer: proof.clone(),
            proof,
            secret,
        }
    }

    fn but(&self, change: impl FnOnce(&mut Self)) -> Self {
        let mut changed = self.clone();
        change(&mut changed);
        changed
    }

    fn tag(&self, store: &StoreInput<'_>) -> [u8; TAG_BYTES] {
        MacKey::derive(&self.secret, &self.input).tag(Suite::HmacSha256, store)
    }

    fn signature(&self, store: &StoreInput<'_>) -> [u8; SIGNATURE_BYTES] {
        let (algorithm, random) = (&ECDSA_P256_SHA256_FIXED_SIGNING, SystemRandom::new());
        let pair =
            EcdsaKeyPair::from_private_key_and_public_key(algorithm, &self.secret, &self.signer, &random);
        let signed = pair.expect("a key").sign(&random, &store.to_bytes()).expect("a signature");
        signed.as_ref().try_into().expect("the bytes of ES256")
    }

    /// The header with which the token itself is shown.
    fn present(&self, counter: u32, body: &[u8]) -> String {
        let number = Some(number(CALLED));
        let store =
            StoreInput { key_id: self.input.key_id(), token_id: self.input.id(), counter, number, body };
        let seal = match self.mode {
            Mode::Bearer => Seal::Bearer,
            Mode::Signed => Seal::Signature(self.signature(&store)),
            mode => Seal::Mac(mode, self.tag(&store)),
        };
        let (authenticator, proof) = (self.authenticator.clone(), self.proof.clone());
        let presented = Presented { input: self.input, authenticator, proof, counter, seal };
        Credential::Presented(Box::new(presented)).to_header()
    }

    /// The header of a later store.
    fn go_on(&self, counter: u32, body: &[u8]) -> String {
        if self.mode == Mode::Signed {
            return self.present(counter, body);
        }
        let (key_id, token_id) = (self.input.key_id(), self.input.id());
        let tag = self.tag(&StoreInput { key_id, token_id, counter, number: Some(number(CALLED)), body });
        Credential::Continued(Continued { token_id, counter, tag }).to_header()
    }
}

/// A service, and somebody who has tokens of it.
struct Market {
    scene: Scene,
    service: Service,
    holder: Holder,
    maker: Maker,
}

impl Market {
    fn of(maker: Maker, clock: Option<std::sync::Arc<Moved>>) -> Self {
        let scene =
            Scene::of(maker, &[("token_epoch", "10m"), ("token_classes", "handset=4:64,gateway=256:64")]);
        let service = match clock {
            Some(clock) => scene.open_at(clock),
            None => scene.open(),
        };
        let holder = scene.provider(HOLDER);
        Self { scene, service, holder, maker }
    }

    fn purse(&self) -> Purse {
        Purse::of(RateControl::open(self.maker.entry, &[]).expect("a plugin"), NAME)
    }

    fn token(&self, mode: Mode) -> Shown {
        self.token_of(&self.purse(), mode, &self.service.key("handset"))
    }

    fn token_of(&self, purse: &Purse, mode: Mode, key: &OfferedKey) -> Shown {
        let wanted = purse.want_of(plugin_mode(mode), key, 1);
        let said = purse.send(&self.service, &self.holder, &wanted);
        assert_eq!(said.status, 200, "{}: {}", self.maker.name, said.kind());
        Shown::new(mode, &purse.tokens(&wanted, said.response.body())[0])
    }

    /// A token that is presented in `mode` and commits to a proof of any bytes: the issuer sees no nonce. BEARER draws it.
    fn token_with(&self, mode: Mode, nonce: Vec<u8>, proof: &[u8], secret: &[u8]) -> Shown {
        let mut nonce = Some(nonce);
        let system = SystemRandom::new();
        let stage = Stage::with_random(move |out| match nonce.take() {
            Some(nonce) => out.copy_from_slice(&nonce),
            None => system.fill(out).expect("the system has randomness"),
        });
        let plugin = RateControl::open_on(stage, self.maker.entry, &[]).expect("a plugin");
        let key = self.service.key("handset");
        self.token_of(&Purse::of(plugin, NAME), Mode::Bearer, &key).but(|token| {
            (token.mode, token.proof, token.secret) = (mode, proof.to_vec(), secret.to_vec());
        })
    }

    fn store(&self, body: &[u8], authorization: &str) -> Said {
        self.service.store(CALLED, body.to_vec(), Some(authorization))
    }
}

/// What is wrong with a token, and how it is refused.
type Wrong = (&'static str, Shown, (u16, &'static str));

/// Everything that is almost `good`. All but what says otherwise has a MAC or signature that fits it.
fn almost(good: &Shown, other: &Shown, other_class: &OfferedKey) -> Vec<Wrong> {
    let proof = (401, "token-proof");
    let malformed = (400, "credential");
    let mut wrong: Vec<Wrong> = vec![
        ("a nonce that nobody signed", good.but(|token| token.input.0[5] ^= 1), proof),
        ("of another service", good.but(|token| token.input.0[40] ^= 1), (401, "token-service")),
        ("of no key", good.but(|token| token.input.0[97] ^= 1), (401, "token-key")),
        ("of no type", good.but(|token| token.input.0[0] ^= 1), (401, "token-type")),
        (
            "of the key of another class",
            good.but(|token| {
                token.input.0[66..].copy_from_slice(digest(&SHA256, &other_class.public_key).as_ref());
            }),
            proof,
        ),
    ];
    if good.mode != Mode::Withheld {
        wrong.extend([
            ("a flipped authenticator", good.but(|token| token.authenticator[20] ^= 1), proof),
            (
                "another's authenticator",
                good.but(|token| token.authenticator.clone_from(&other.authenticator)),
                proof,
            ),
            ("a short authenticator", good.but(|token| token.authenticator.truncate(47)), malformed),
        ]);
    }
    if good.mode != Mode::Bearer {
        let secret = other.secret.clone();
        let signer = other.signer.clone();
        wrong.push((
            "a seal of another's",
            good.but(|token| (token.secret, token.signer) = (secret, signer)),
            proof,
        ));
    }
    if !good.proof.is_empty() {
        let proof_of_other = other.proof.clone();
        wrong.extend([
            ("another's proof", good.but(|token| token.proof = proof_of_other), proof),
            ("a proof that goes on", good.but(|token| token.proof.push(0)), proof),
            ("a proof that breaks off", good.but(|token| token.proof.truncate(31)), proof),
            ("no proof", good.but(|token| token.proof.clear()), malformed),
        ]);
    }
    wrong
}

/// `good` in the modes that it was not made for. A bearer token is any token.
fn in_other_modes(good: &Shown, modes: &[Mode]) -> Vec<Wrong> {
    let others =
        [Mode::Withheld, Mode::Committed, Mode::Agreed].into_iter().filter(|mode| *mode != good.mode);
    let others = others.map(|mode| {
        let shown = good.but(|token| {
            token.mode = mode;
            token.secret = if token.proof.is_empty() { vec![1; 32] } else { token.proof.clone() };
            if mode == Mode::Withheld {
                token.authenticator.clear();
                token.proof.clear();
            } else {
                token.authenticator.resize(authenticator_bytes(&token.input), 1);
                token.proof.resize(32, 1);
            }
        });
        let kind = if modes.contains(&mode) { "token-proof" } else { "token-type" };
        ("another mode", shown, (401, kind))
    });
    others.collect()
}

fn authenticator_bytes(input: &TokenInput) -> usize {
    match input.token_type() {
        1 => 48,
        2 => 256,
        _ => 64,
    }
}

#[test]
fn tokens_of_every_mode_store_and_what_is_almost_one_does_not() {
    for (maker, modes) in MODES {
        let market = Market::of(maker, None);
        let gateway = market.service.key("gateway");
        for &mode in modes {
            let context = format!("{} {mode:?}", maker.name);
            let (good, other) = (market.token(mode), market.token(mode));
            let wrong = almost(&good, &other, &gateway).into_iter().chain(in_other_modes(&good, modes));
            for (what, shown, (status, kind)) in wrong {
                let said = market.store(&body(1), &shown.present(0, &body(1)));
                assert_eq!(said.brief(), (status, kind.to_owned()), "{context}: {what}");
            }
            // None of it has used anything up.
            if mode == Mode::Bearer {
                stores_once(&market, &good, &context);
            } else {
                stores_its_quota(&market, &good, &context);
            }
        }
    }
}

fn stores_once(market: &Market, token: &Shown, context: &str) {
    let said = market.store(&body(1), &token.present(0, &body(1)));
    assert_eq!(said.status, 201, "{context}: {}", said.kind());
    let spent = market.store(&body(2), &token.present(0, &body(2)));
    assert_eq!(spent.brief(), (401, "token-spent".to_owned()), "{context}");
}

fn stores_its_quota(market: &Market, token: &Shown, context: &str) {
    let location = |said: &Said| {
        assert_eq!(said.status, 201, "{context}: {}", said.kind());
        said.header("location").expect("a location").to_owned()
    };
    let opening = token.present(0, &body(1));
    let first = location(&market.store(&body(1), &opening));
    assert_eq!(location(&market.store(&body(1), &opening)), first, "{context}: byte for byte again");
    for counter in 1..HANDSET_STORES {
        let content = body(10 + counter as u8);
        let unlike = market.store(&body(9), &token.go_on(counter, &content));
        assert_eq!(unlike.brief(), (401, "token-proof".to_owned()), "{context}: another body");
        location(&market.store(&content, &token.go_on(counter, &content)));
    }
    let brief = |counter: u32| market.store(&body(3), &token.go_on(counter, &body(3))).brief();
    assert_eq!(brief(1), (429, "counter-repeated".to_owned()), "{context}");
    assert_eq!(brief(HANDSET_STORES), (429, "token-used".to_owned()), "{context}");
    if !token.authenticator.is_empty() {
        let shown = token.but(|token| {
            token.mode = Mode::Bearer;
            token.proof.clear();
        });
        let spent = market.store(&body(3), &shown.present(0, &body(3)));
        assert_eq!(spent.brief(), (401, "token-spent".to_owned()), "{context}: shown besides");
    }
}

#[test]
fn keys_that_a_token_commits_to_are_refused_where_they_are_none_or_have_a_second_form() {
    let market = Market::of(BLIND, None);
    let hash = |bytes: &[u8]| digest(&SHA256, bytes).as_ref().to_vec();
    // The secret that a service would agree on which does not look: with a key of low order that is zero, and with the
    // base point its own public key, whatever the form.
    let low = [0; 32].to_vec();
    let base = market.service.key("handset").agreement_key;
    let share = |first: u8, last: u8, fill: u8| {
        let mut share = [fill; 32];
        (share[0], share[31]) = (first, last);
        share.to_vec()
    };
    for (what, share, secret, is_taken) in [
        ("the base point", share(9, 0, 0), &base, true),
        ("the base point with the bit that is not used", share(9, 0x80, 0), &base, false),
        ("the base point beyond the prime", share(0xf6, 0x7f, 0xff), &base, false),
        ("zero", share(0, 0, 0), &low, false),
        ("one", share(1, 0, 0), &low, false),
        ("minus one", share(0xec, 0x7f, 0xff), &low, false),
        ("the prime", share(0xed, 0x7f, 0xff), &low, false),
        ("of order eight", low_order_eight(), &low, false),
    ] {
        let token = market.token_with(Mode::Agreed, hash(&share), &share, secret);
        check_taken(&market, what, &token, is_taken);
    }

    let random = SystemRandom::new();
    let pkcs8 = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &random).expect("a key");
    // RFC 5915 inside RFC 5208, as ring writes it: the private key at 36, the public one at the end.
    let (secret, public) = (&pkcs8.as_ref()[36..68], &pkcs8.as_ref()[73..]);
    let first = |byte: u8| [&[byte], &public[1..]].concat();
    for (what, proof, is_taken) in [
        ("a key", public.to_vec(), true),
        ("hybrid", first(6 | public[64] & 1), false),
        ("compressed", first(2 | public[64] & 1)[..33].to_vec(), false),
        ("the identity", vec![0], false),
        ("zeros", [&[4][..], &[0; 64]].concat(), false),
        ("not on the curve", [&public[..64], &[public[64] ^ 1]].concat(), false),
    ] {
        let token = market.token_with(Mode::Signed, hash(&proof), &proof, secret);
        check_taken(&market, what, &token.but(|token| token.signer = public.to_vec()), is_taken);
    }

    let key = [7; 32];
    for (what, label, is_taken) in
        [("a MAC key", &b"cps-mac"[..], true), ("a MAC key under no label", &b""[..], false)]
    {
        let token = market.token_with(Mode::Committed, hash(&[label, &key].concat()), &key, &key);
        check_taken(&market, what, &token, is_taken);
    }
}

fn low_order_eight() -> Vec<u8> {
    let hex = "e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800";
    (0..32).map(|at| u8::from_str_radix(&hex[2 * at..2 * at + 2], 16).expect("digits")).collect()
}

fn check_taken(market: &Market, what: &str, token: &Shown, is_taken: bool) {
    let said = market.store(&body(1), &token.present(0, &body(1)));
    let expected = if is_taken { (201, String::new()) } else { (401, "token-proof".to_owned()) };
    assert_eq!(said.brief(), expected, "{what}");
}

#[test]
fn requests_with_what_is_no_element_are_refused_and_cost_no_quota() {
    let zeros = |bytes: usize| vec![0; bytes];
    let prime_25519 = [&[0xed][..], &[0xff; 30], &[0x7f]].concat();
    let number = |last: u8| [vec![0; 255], vec![last]].concat();
    for (maker, wrong) in [
        (VOPRF, vec![zeros(32), prime_25519, [&[1][..], &[0; 31]].concat(), vec![0xff; 32]]),
        (VOPRF_P384, vec![zeros(49), [&[2][..], &[0xff; 48]].concat(), [&[4][..], &[1; 48]].concat()]),
        (BLIND, vec![number(0), number(1), vec![0xff; 256]]),
    ] {
        let market = Market::of(maker, None);
        let purse = market.purse();
        let key = market.service.key("gateway");
        let mut wanted = purse.want_of(PluginMode::Bearer, &key, 1);
        let honest = wanted.request.clone();
        for element in wrong {
            let head = honest.len() - element.len();
            wanted.request = [&honest[..head], &element].concat();
            let said = purse.send(&market.service, &market.holder, &wanted);
            assert_eq!(said.brief(), (422, "token-request".to_owned()), "{}: {element:02x?}", maker.name);
        }
        for cut in [&honest[..2], &honest[..honest.len() - 1], &[]] {
            wanted.request = cut.to_vec();
            let said = purse.send(&market.service, &market.holder, &wanted);
            assert_eq!(said.brief(), (422, "token-request".to_owned()), "{}: cut", maker.name);
        }
        wanted.request = honest;
        assert_eq!(purse.send(&market.service, &market.holder, &wanted).status, 200, "{}", maker.name);
    }
    // All of it again as many times as the quota has tokens, of which none is gone afterwards.
    let market = Market::of(VOPRF, None);
    let (purse, stranger) = (market.purse(), market.scene.holder(CALLED));
    let mut wanted = purse.want(&market.service, "handset", 64);
    let honest = wanted.request.clone();
    let last = wanted.request.len() - 32;
    wanted.request[last..].fill(0);
    for _ in 0..2 {
        assert_eq!(purse.send(&market.service, &stranger, &wanted).status, 422);
    }
    wanted.request = honest;
    assert_eq!(purse.send(&market.service, &stranger, &wanted).status, 200);
}

#[test]
fn tokens_are_taken_in_their_own_epoch_and_two_minutes_around_it_alone() {
    for (maker, modes) in MODES {
        let clock = Moved::at(1_795_300_000_000 / EPOCH_MS * EPOCH_MS + EPOCH_MS - 60_000);
        let market = Market::of(maker, Some(clock.clone()));
        let text = market.service.whole_directory();
        let keys = herald_admission::directory::Directory::read(&text).expect("a directory").keys;
        let keys: Vec<_> = keys.into_iter().filter(|key| key.class == "handset").collect();
        let purse = market.purse();
        // For each epoch from now, one of the third, of the next and of this one.
        let tokens = |mode: &Mode| [(); 3].map(|()| of_each(&market, &purse, *mode, &keys));
        let tokens: Vec<_> = modes.iter().map(tokens).collect();
        for (step, taken) in
            [[false, true, true], [false, true, true], [false, true, false]].into_iter().enumerate()
        {
            for (token, is_taken) in tokens.iter().flat_map(|of_mode| of_mode[step].iter().zip(taken)) {
                let said = market.store(&body(1), &token.present(0, &body(1)));
                let expected = if is_taken { (201, String::new()) } else { (401, "token-key".to_owned()) };
                assert_eq!(
                    said.brief(),
                    expected,
                    "{} {:?}, {step} times two minutes later",
                    maker.name,
                    token.mode
                );
            }
            clock.go(120_000);
        }
    }
}

fn of_each(market: &Market, purse: &Purse, mode: Mode, keys: &[OfferedKey]) -> Vec<Shown> {
    keys.iter().map(|key| market.token_of(purse, mode, key)).collect()
}
