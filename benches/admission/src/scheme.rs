//! A rate control plugin behind its table, a key of it, and tokens that it issued.

use std::error::Error;

use herald_admission::{
    Admission, Challenge, Class, ClassPolicy, IssuerKey, Mode, Redemption, Settings, Suite,
};
use herald_core::{Random, Timestamp};
use herald_plugin_sdk::harness::RateControl;
use herald_plugin_sdk::{self as sdk, Fault, KeyHandle, NewKey, Secret, Token, Want, rate_control_entry};
use herald_rate_blind_signature::BlindSignature;
use herald_rate_voprf::RateVoprf;

const KEY: KeyHandle = KeyHandle(1);
const NAME: &str = "cps.example";
pub(crate) const NOW: Timestamp = Timestamp::from_millis(1_700_000_000_000);

/// Why there are no figures.
pub(crate) type AnyError = Box<dyn Error>;

/// A plugin with a key.
pub(crate) struct Scheme {
    pub(crate) name: &'static str,
    pub(crate) mode: Mode,
    plugin: RateControl,
    key: NewKey,
}

impl Scheme {
    /// The VOPRF over ristretto255, whose value is never sent.
    pub(crate) fn voprf() -> Result<Self, AnyError> {
        let plugin = RateControl::open(rate_control_entry::<RateVoprf>, &[])?;
        Self::new("VOPRF(ristretto255)", Mode::Withheld, plugin)
    }

    /// Blind RSA with a MAC key that the token commits to.
    pub(crate) fn blind_rsa() -> Result<Self, AnyError> {
        let plugin = RateControl::open(rate_control_entry::<BlindSignature>, &[])?;
        Self::new("blind RSA-2048, committed key", Mode::Committed, plugin)
    }

    fn new(name: &'static str, mode: Mode, plugin: RateControl) -> Result<Self, AnyError> {
        let key = plugin.key_make().map_err(in_words)?;
        plugin.key_add(KEY, &key.secret).map_err(in_words)?;
        Ok(Self { name, mode, plugin, key })
    }

    fn token_type(&self) -> u16 {
        u16::try_from(self.plugin.token_type()).unwrap_or(0)
    }

    /// Tokens as a client gets them.
    pub(crate) fn tokens(&self, count: usize) -> Result<Vec<Token>, AnyError> {
        let mode = sdk::Mode::from_code(u32::from(self.mode.code())).ok_or("a mode without a code")?;
        let challenge_digest = Challenge::new(self.token_type(), NAME)?.digest();
        let together = usize::try_from(self.plugin.count_max())?;
        let mut tokens = Vec::with_capacity(count + together);
        while tokens.len() < count {
            let want = Want {
                mode,
                count: together,
                public_key: &self.key.public_key,
                agreement_key: &self.key.agreement_key,
                challenge_digest: &challenge_digest,
            };
            let (request, state) = self.plugin.request(&want).map_err(in_words)?;
            let response = self.plugin.issue(KEY, &request).map_err(in_words)?;
            tokens.extend(self.plugin.finish(&state, &response).map_err(in_words)?);
        }
        tokens.truncate(count);
        Ok(tokens)
    }

    /// The books of a service that takes its tokens, each for `stores` stores.
    pub(crate) fn books(&self, suite: Suite, stores: u32) -> Result<Admission, AnyError> {
        let class = ClassPolicy { stores, ..ClassPolicy::gateway() };
        let settings = Settings {
            suite,
            classes: vec![class],
            ..Settings::new(NAME, self.token_type(), self.mode.code())
        };
        let admission = Admission::new(settings, &Repeated)?;
        let (public_key, agreement_key) = (self.key.public_key.clone(), self.key.agreement_key.clone());
        let epoch = admission.epoch_at(NOW);
        let (id, handle) = (self.key.id, KEY.0);
        let key = IssuerKey { epoch, class: Class(0), id, handle, public_key, agreement_key };
        admission.add_key(key, NOW)?;
        Ok(admission)
    }

    /// Has the plugin judge tokens: the secret of each that is valid.
    pub(crate) fn redeem(&self, redemptions: &[&Redemption]) -> Vec<Option<Secret>> {
        let shown: Vec<_> = redemptions
            .iter()
            .map(|redemption| {
                let token = redemption.token();
                sdk::Redemption {
                    key: KeyHandle(redemption.key_handle()),
                    mode: sdk::Mode::from_code(u32::from(token.mode().code())).expect("modes have codes"),
                    token_input: &token.input.0,
                    authenticator: &token.authenticator,
                    proof: &token.proof,
                }
            })
            .collect();
        self.plugin.redeem(&shown).into_iter().map(Result::ok).collect()
    }
}

fn in_words(fault: Fault) -> String {
    format!("a plugin failed: {fault:?}")
}

/// The same in every run; nothing here is secret.
pub(crate) struct Repeated;

impl Random for Repeated {
    fn fill(&self, out: &mut [u8]) {
        (1..).zip(out).for_each(|(value, byte): (u8, _)| *byte = value);
    }
}
