//! The caller's side: asking for tokens and finishing them.

use herald_plugin_sdk::{Fault, Mode, Secret, Token, Want};
use rand_core::CryptoRng;
use voprf_ng::{Group, VoprfClient};
use zeroize::{Zeroize, Zeroizing};

use crate::suite::Suite;
use crate::wire::Framing;
use crate::{TokenInput, key_id, token_input, truncated};

/// Bytes of a nonce and of a challenge digest.
const DIGEST_BYTES: usize = 32;

/// Asks for tokens: the request, and the state that [`finish`] takes. Of `random` it takes for each token its nonce and
/// then its blind.
///
/// The state is `mode(4) | public key | challenge digest(32)` and for each token `nonce(32) | blind | blinded element`.
///
/// # Errors
/// [`Fault::Refused`] for a public key that is none, or a count that does not fit into a request;
/// [`Fault::Unsupported`] for a mode.
pub fn request<S: Suite>(
    framing: Framing,
    want: &Want<'_>,
    random: &mut impl CryptoRng,
) -> Result<(Vec<u8>, Secret), Fault> {
    if !matches!(want.mode, Mode::Bearer | Mode::Withheld) {
        return Err(Fault::Unsupported);
    }
    if want.count == 0 || want.count > framing.count_max() {
        return Err(Fault::Refused);
    }
    public_key::<S>(want.public_key)?;
    let id = key_id(want.public_key);
    let mut elements = Vec::with_capacity(want.count * S::ELEMENT_BYTES);
    // Reserved whole: a vector that grows leaves unwiped copies behind.
    let mut state = Secret::new(Vec::with_capacity(head_bytes::<S>() + want.count * token_bytes::<S>()));
    state.extend_from_slice(&want.mode.code().to_be_bytes());
    state.extend_from_slice(want.public_key);
    state.extend_from_slice(want.challenge_digest);
    for _ in 0..want.count {
        let mut nonce = [0; DIGEST_BYTES];
        random.fill_bytes(&mut nonce);
        let input = token_input::<S>(&nonce, want.challenge_digest, &id);
        let blinded = VoprfClient::<S>::blind(&input, random)
            .map_err(|error| Fault::Failed(format!("a token is not blinded: {error}")))?;
        elements.extend_from_slice(&blinded.message.serialize());
        state.extend_from_slice(&nonce);
        let mut kept = blinded.state.serialize();
        state.extend_from_slice(&kept);
        kept.zeroize();
    }
    Ok((framing.write_request::<S>(truncated(&id), &elements), state))
}

/// Makes the tokens of `response`, once its proof shows that the key which was asked for has been used.
///
/// # Errors
/// [`Fault::Refused`] for a response that is malformed, has another number of tokens, or whose proof fails;
/// [`Fault::Failed`] for a state that [`request`] did not make.
pub fn finish<S: Suite>(framing: Framing, state: &[u8], response: &[u8]) -> Result<Vec<Token>, Fault> {
    let asked =
        Asked::<S>::read(state).ok_or_else(|| Fault::Failed("this is no state of a request".into()))?;
    let (elements, proof) = framing.read_response::<S>(response).ok_or(Fault::Refused)?;
    if elements.len() != asked.clients.len() {
        return Err(Fault::Refused);
    }
    let outputs = VoprfClient::batch_finalize(
        &asked.inputs,
        &asked.clients,
        &elements,
        &proof,
        public_key::<S>(asked.public_key)?,
    );
    let outputs = outputs.map_err(|_| Fault::Refused)?;
    let mut tokens = Vec::with_capacity(asked.inputs.len());
    for (input, output) in asked.inputs.iter().zip(outputs) {
        let mut output = output.map_err(|_| Fault::Refused)?;
        tokens.push(token(asked.mode, *input, Zeroizing::new(output.to_vec())));
        output.zeroize();
    }
    Ok(tokens)
}

/// A bearer token shows `output`; one that is withheld keeps it as what its MAC key is derived from.
fn token(mode: Mode, token_input: TokenInput, output: Secret) -> Token {
    let (authenticator, secret) = match mode {
        Mode::Withheld => (Secret::default(), output),
        _ => (output, Secret::default()),
    };
    Token { token_input, authenticator, proof: Secret::default(), secret }
}

/// The element of a public key as it is published.
fn public_key<S: Suite>(bytes: &[u8]) -> Result<<S::Group as Group>::Elem, Fault> {
    if bytes.len() != S::ELEMENT_BYTES || !S::is_in_form(bytes) {
        return Err(Fault::Refused);
    }
    S::Group::deserialize_elem(bytes).map_err(|_| Fault::Refused)
}

const fn head_bytes<S: Suite>() -> usize {
    4 + S::ELEMENT_BYTES + DIGEST_BYTES
}

const fn token_bytes<S: Suite>() -> usize {
    DIGEST_BYTES + S::SCALAR_BYTES + S::ELEMENT_BYTES
}

/// A state, read.
struct Asked<'a, S: Suite> {
    mode: Mode,
    public_key: &'a [u8],
    inputs: Vec<TokenInput>,
    clients: Vec<VoprfClient<S>>,
}

impl<'a, S: Suite> Asked<'a, S> {
    fn read(state: &'a [u8]) -> Option<Self> {
        let (head, tokens) = state.split_at_checked(head_bytes::<S>())?;
        let (&mode, head) = head.split_first_chunk()?;
        let (public_key, challenge_digest) = head.split_at_checked(S::ELEMENT_BYTES)?;
        let challenge_digest = challenge_digest.try_into().ok()?;
        let id = key_id(public_key);
        let (mut inputs, mut clients) = (Vec::new(), Vec::new());
        if tokens.is_empty() || tokens.len() % token_bytes::<S>() != 0 {
            return None;
        }
        for token in tokens.chunks_exact(token_bytes::<S>()) {
            let (nonce, client) = token.split_first_chunk()?;
            inputs.push(token_input::<S>(nonce, challenge_digest, &id));
            clients.push(VoprfClient::deserialize(client).ok()?);
        }
        Some(Self { mode: Mode::from_code(u32::from_be_bytes(mode))?, public_key, inputs, clients })
    }
}
