//! The calling side: a request for a token, and the token of its response (RFC 9578 §6.1 and §6.3).

use herald_plugin_sdk::{Fault, Mode, Secret, Token, Want};
use zeroize::Zeroizing;

use crate::blinding::Modulus;
use crate::limits::{MODULUS_BYTES, REQUEST_TOKENS};
use crate::proof;
use crate::pss::{self, SALT_BYTES};
use crate::public_key::PublicKey;
use crate::wire::{self, TokenInput};

/// What is kept between a request and its response.
struct State {
    input: TokenInput,
    modulus: [u8; MODULUS_BYTES],
    inverse: Zeroizing<[u8; MODULUS_BYTES]>,
    proof: Secret,
    secret: Secret,
}

/// The body of a request, and the state that [`finish`] takes.
///
/// # Errors
/// [`Fault::Refused`] for keys that are none, [`Fault::Unsupported`] for [`Mode::Withheld`] and for several tokens.
pub(crate) fn request(
    want: &Want<'_>,
    random: &mut dyn FnMut(&mut [u8]),
) -> Result<(Vec<u8>, Secret), Fault> {
    if want.mode == Mode::Withheld || want.count != REQUEST_TOKENS as usize {
        return Err(Fault::Unsupported);
    }
    let key = PublicKey::from_published(want.public_key).ok_or(Fault::Refused)?;
    let modulus = Modulus::new(key.modulus()).ok_or(Fault::Refused)?;
    let seed = proof::draw(want.mode, random).ok_or_else(broken)?;
    let proof = proof::of_seed(want.mode, &seed).ok_or_else(broken)?;
    let secret = proof::secret_of_seed(want.mode, &seed, want.agreement_key).ok_or(Fault::Refused)?;
    let nonce = proof::nonce(want.mode, &proof).unwrap_or_else(|| {
        let mut nonce = [0; 32];
        random(&mut nonce);
        nonce
    });
    let input = wire::token_input(&nonce, want.challenge_digest, key.id());
    // rfc9474:7.4-1, rfc9474:7.4-2.
    let mut salt = [0; SALT_BYTES];
    random(&mut salt);
    let (blind, inverse) = modulus.draw(random).ok_or_else(broken)?;
    let blinded = blinded(&modulus, &input, &salt, &blind).ok_or_else(broken)?;
    let state = State {
        input,
        modulus: key.modulus().try_into().map_err(|_| Fault::Refused)?,
        inverse: Zeroizing::new(inverse.as_slice().try_into().map_err(|_| broken())?),
        proof,
        secret,
    };
    Ok((wire::request(key.id(), &blinded), state.to_bytes()))
}

/// The encoded token input, blinded (RFC 9474 §4.2). That it has a factor with the modulus in common, which the text
/// has one look for, would be a factorisation by chance.
pub(crate) fn blinded(modulus: &Modulus, input: &[u8], salt: &[u8], blind: &[u8]) -> Option<Vec<u8>> {
    modulus.blind(&pss::encode(input, salt, blind.len())?, blind)
}

/// The token of a response.
///
/// # Errors
/// [`Fault::Refused`] for a response that is not valid, or was made with another key.
pub(crate) fn finish(state: &[u8], response: &[u8]) -> Result<Token, Fault> {
    let state = State::from_bytes(state).ok_or(Fault::Refused)?;
    let key = PublicKey::new(&state.modulus).ok_or(Fault::Refused)?;
    let modulus = Modulus::new(&state.modulus).ok_or(Fault::Refused)?;
    let authenticator = modulus.unblind(response, &*state.inverse).ok_or(Fault::Refused)?;
    if !key.verifies(&state.input, &authenticator) {
        return Err(Fault::Refused);
    }
    let State { input: token_input, proof, secret, .. } = state;
    Ok(Token { token_input, authenticator: Secret::new(authenticator), proof, secret })
}

fn broken() -> Fault {
    Fault::Failed("no number in range in many draws: the host's randomness does not work".to_owned())
}

impl State {
    fn to_bytes(&self) -> Secret {
        // As long as it gets, so that no copy is left behind where it grew.
        let mut bytes = Secret::new(Vec::with_capacity(1024));
        bytes.extend_from_slice(&self.input);
        bytes.extend_from_slice(&self.modulus);
        bytes.extend_from_slice(&*self.inverse);
        bytes.push(u8::try_from(self.proof.len()).unwrap_or(u8::MAX));
        bytes.extend_from_slice(&self.proof);
        bytes.extend_from_slice(&self.secret);
        bytes
    }

    fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (input, rest) = bytes.split_first_chunk()?;
        let (modulus, rest) = rest.split_first_chunk()?;
        let (inverse, rest) = rest.split_first_chunk()?;
        let (proof_len, rest) = rest.split_first()?;
        let (proof, secret) = rest.split_at_checked(usize::from(*proof_len))?;
        Some(Self {
            input: *input,
            modulus: *modulus,
            inverse: Zeroizing::new(*inverse),
            proof: Zeroizing::new(proof.to_vec()),
            secret: Zeroizing::new(secret.to_vec()),
        })
    }
}
