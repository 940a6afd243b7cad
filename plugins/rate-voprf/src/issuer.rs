//! The service's side: keys, issue, and the value that a token must show.

use herald_plugin_sdk::{Fault, NewKey, Secret};
use rand_core::CryptoRng;
use voprf_ng::{Group, VoprfServer};
use zeroize::{Zeroize, Zeroizing};

use crate::suite::Suite;
use crate::wire::Framing;
use crate::{TokenInput, key_id, truncated};

/// What keys are derived for (RFC 9578 §5.5).
const KEY_INFO: &[u8] = b"PrivacyPass";

/// A key of the service. Wiped once it is dropped; copies that the arithmetic leaves on the stack are not.
pub struct Key<S: Suite> {
    server: VoprfServer<S>,
    id: [u8; 32],
}

impl<S: Suite> Key<S> {
    /// A fresh key, as the host keeps it.
    pub fn make(random: &mut impl CryptoRng) -> Result<NewKey, Fault> {
        let mut seed = Zeroizing::new(vec![0; S::SCALAR_BYTES]);
        random.fill_bytes(&mut seed);
        let server = VoprfServer::<S>::new_from_seed(&seed, KEY_INFO);
        let server = server.map_err(|error| Fault::Failed(format!("a key cannot be derived: {error}")))?;
        let mut pair = server.serialize();
        let secret = Zeroizing::new(pair[..S::SCALAR_BYTES].to_vec());
        pair.zeroize();
        let key = Self::of(server);
        Ok(NewKey { id: key.id, public_key: key.public_key(), agreement_key: Vec::new(), secret })
    }

    /// The key of `secret`: a scalar as RFC 9497 serializes it, canonical and not zero.
    pub fn from_secret(secret: &[u8]) -> Option<Self> {
        // The decoder of P-384 would take a shorter one too.
        if secret.len() != S::SCALAR_BYTES {
            return None;
        }
        VoprfServer::new_with_key(secret).ok().map(Self::of)
    }

    fn of(server: VoprfServer<S>) -> Self {
        let id = key_id(&S::Group::serialize_elem(server.get_public_key()));
        Self { server, id }
    }

    /// SHA-256 of the public key.
    pub fn id(&self) -> &[u8; 32] {
        &self.id
    }

    /// An element as RFC 9497 serializes it, as the issuer directory has it (RFC 9578 §4).
    pub fn public_key(&self) -> Vec<u8> {
        S::Group::serialize_elem(self.server.get_public_key()).to_vec()
    }

    /// Answers `request`, whose tokens share one proof that this key was used.
    ///
    /// # Errors
    /// [`Fault::Refused`] for a request that is malformed, is for another key, or holds what is no element: the
    /// identity, a point off the curve, another encoding.
    pub fn issue(
        &self,
        framing: Framing,
        request: &[u8],
        random: &mut impl CryptoRng,
    ) -> Result<Vec<u8>, Fault> {
        let (key, blinded) = framing.read_request::<S>(request).ok_or(Fault::Refused)?;
        if key != truncated(&self.id) {
            return Err(Fault::Refused);
        }
        let answer = self.server.batch_blind_evaluate(random, &blinded);
        let answer = answer.map_err(|error| Fault::Failed(format!("a request is not answered: {error}")))?;
        let mut elements = Vec::with_capacity(answer.messages.len() * S::ELEMENT_BYTES);
        for element in &answer.messages {
            elements.extend_from_slice(&element.serialize());
        }
        Ok(framing.write_response(&elements, &answer.proof.serialize()))
    }

    /// The authenticator of the token that begins with `input`.
    ///
    /// # Errors
    /// [`Fault::Refused`] for a token of another type or key.
    pub fn authenticator(&self, input: &TokenInput) -> Result<Secret, Fault> {
        if input[..2] != S::TOKEN_TYPE.to_be_bytes() || input[66..] != self.id {
            return Err(Fault::Refused);
        }
        let mut output = self.server.evaluate(input).map_err(|_| Fault::Refused)?;
        let authenticator = Zeroizing::new(output.to_vec());
        output.zeroize();
        Ok(authenticator)
    }
}
