//! The service's side: a key, what it signs blindly, and what a token of it is worth.
//!
//! It knows nothing of epochs, quotas and spent tokens: those are the host's.

use aws_lc_rs::agreement::PrivateKey as PrivateAgreementKey;
use aws_lc_rs::encoding::{AsDer, Pkcs8V1Der};
use aws_lc_rs::rsa::{KeyPair, KeySize};
use aws_lc_rs::signature::KeyPair as _;
use herald_plugin_sdk::{Fault, NewKey, Redeemed, Redemption, Secret};
use zeroize::Zeroizing;

use crate::limits::MODULUS_BYTES;
use crate::private_key::PrivateKey;
use crate::proof::{self, SEED_BYTES, Seed};
use crate::public_key::PublicKey;
use crate::wire;

/// The first byte of a secret: version of what follows, the X25519 key and the RSA key in PKCS#8.
const SECRET_VERSION: u8 = 1;

/// A key of the service.
pub(crate) struct Key {
    private: PrivateKey,
    pub(crate) public: PublicKey,
    agreement: PrivateAgreementKey,
}

impl Key {
    // rfc9474:6.2-1.
    /// Makes a key, of use for nothing else (RFC 9578 §6.5). AWS-LC draws the primes from its own generator.
    ///
    /// # Errors
    /// [`Fault::Failed`].
    pub(crate) fn make(random: &mut dyn FnMut(&mut [u8])) -> Result<NewKey, Fault> {
        let failed = || Fault::Failed("AWS-LC could not make a key".to_owned());
        let rsa = KeyPair::generate(KeySize::Rsa2048).map_err(|_| failed())?;
        let pkcs8 = AsDer::<Pkcs8V1Der<'_>>::as_der(&rsa).map_err(|_| failed())?;
        let mut agreement = Seed::default();
        random(&mut *agreement);
        let mut secret = Secret::new(Vec::with_capacity(1 + SEED_BYTES + pkcs8.as_ref().len()));
        secret.push(SECRET_VERSION);
        secret.extend_from_slice(&*agreement);
        secret.extend_from_slice(pkcs8.as_ref());
        let key = Self::from_secret(&secret).ok_or_else(failed)?;
        Ok(NewKey {
            id: *key.public.id(),
            public_key: key.public.published().to_vec(),
            agreement_key: key.agreement.compute_public_key().map_err(|_| failed())?.as_ref().to_vec(),
            secret,
        })
    }

    /// The key of a secret that [`make`](Self::make) made.
    pub(crate) fn from_secret(secret: &[u8]) -> Option<Self> {
        let (agreement, pkcs8) = secret.strip_prefix(&[SECRET_VERSION])?.split_first_chunk()?;
        let public = PublicKey::from_rsa(KeyPair::from_pkcs8(pkcs8).ok()?.public_key().as_ref())?;
        let private = PrivateKey::from_pkcs8(pkcs8)?;
        let agreement = proof::agreement_private_key(&Zeroizing::new(*agreement))?;
        Some(Self { private, public, agreement })
    }

    /// The TokenResponse of a TokenRequest (RFC 9578 §6.2).
    ///
    /// # Errors
    /// [`Fault::Refused`] for a request that is malformed, or for another key.
    pub(crate) fn issue(&self, request: &[u8]) -> Result<Vec<u8>, Fault> {
        let (key_id, blinded) = wire::parse_request(request).ok_or(Fault::Refused)?;
        if key_id != self.public.id()[31] || !is_signable(blinded, self.public.modulus()) {
            return Err(Fault::Refused);
        }
        self.private.power(blinded).ok_or_else(|| Fault::Failed("AWS-LC could not sign".to_owned()))
    }

    /// What a token of this key is worth (RFC 9578 §6.4).
    ///
    /// # Errors
    /// [`Fault::Refused`].
    pub(crate) fn redeem(&self, token: &Redemption<'_>) -> Result<Redeemed, Fault> {
        // What costs a hash comes before what costs 20 µs.
        let nonce = wire::nonce_of(token.token_input, self.public.id()).ok_or(Fault::Refused)?;
        let is_genuine = proof::fits(token.mode, nonce, token.proof)
            && token.authenticator.len() == MODULUS_BYTES
            && self.public.verifies(token.token_input, token.authenticator);
        if !is_genuine {
            return Err(Fault::Refused);
        }
        proof::secret_of_proof(token.mode, token.proof, &self.agreement).ok_or(Fault::Refused)
    }
}

/// Whether `message` is a number from 2 to `modulus` less 2. The others are their own signatures, up to sign.
fn is_signable(message: &[u8], modulus: &[u8]) -> bool {
    let (Some((last, rest)), Some((modulus_last, modulus_rest))) =
        (message.split_last(), modulus.split_last())
    else {
        return false;
    };
    let is_above_one = *last > 1 || rest.iter().any(|byte| *byte != 0);
    // The modulus is odd, so that taking one away leaves its other bytes.
    is_above_one && message.len() == modulus.len() && (rest, *last) < (modulus_rest, modulus_last - 1)
}
