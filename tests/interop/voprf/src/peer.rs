//! The other party: client and issuer of Privacy Pass on the crate `voprf` 0.5, its framing written from the documents
//! and not from ours.

use rand::RngCore;
use rand::rngs::OsRng;
use sha2::{Digest, Sha256};
use voprf::{BlindedElement, EvaluationElement, Group, Proof, VoprfClient, VoprfServer};

/// Type, nonce, challenge digest and key id.
const INPUT_BYTES: usize = 98;

/// One token type, at both ends.
pub(crate) trait Peer {
    const NAME: &'static str;
    const TOKEN_TYPE: u16;

    /// A fresh secret key, and its public key.
    fn key() -> Result<(Vec<u8>, Vec<u8>), String>;
    /// The public key of a secret one.
    fn public_key(secret: &[u8]) -> Result<Vec<u8>, String>;
    /// A request for tokens, and a state.
    fn request(
        public_key: &[u8],
        challenge_digest: &[u8],
        count: usize,
    ) -> Result<(Vec<u8>, Vec<u8>), String>;
    /// The tokens of a response, whole.
    fn finish(public_key: &[u8], state: &[u8], response: &[u8]) -> Result<Vec<Vec<u8>>, String>;
    /// A response to a request.
    fn issue(secret: &[u8], request: &[u8]) -> Result<Vec<u8>, String>;
    /// The authenticator of a token that begins with `input`.
    fn authenticator(secret: &[u8], input: &[u8]) -> Result<Vec<u8>, String>;
}

pub(crate) struct Ristretto255;
pub(crate) struct P384;

/// The bounds of the crate's types are too long to repeat, so each suite gets its own copy of the code.
macro_rules! peer {
    (
        $peer:ident, $suite:ty, $name:literal, $token_type:literal,
        element $element:literal, scalar $scalar:literal, batch $is_batch:literal
    ) => {
        impl Peer for $peer {
            const NAME: &'static str = $name;
            const TOKEN_TYPE: u16 = $token_type;

            fn key() -> Result<(Vec<u8>, Vec<u8>), String> {
                let server = VoprfServer::<$suite>::new(&mut OsRng).map_err(words)?;
                let secret = server.serialize()[..$scalar].to_vec();
                let public_key = Self::public_key(&secret)?;
                Ok((secret, public_key))
            }

            fn public_key(secret: &[u8]) -> Result<Vec<u8>, String> {
                let server = VoprfServer::<$suite>::new_with_key(secret).map_err(words)?;
                Ok(<$suite>::serialize_elem(server.get_public_key()).to_vec())
            }

            fn request(
                public_key: &[u8],
                challenge_digest: &[u8],
                count: usize,
            ) -> Result<(Vec<u8>, Vec<u8>), String> {
                let key_id = Sha256::digest(public_key);
                let (mut elements, mut state) = (Vec::new(), Vec::new());
                for _ in 0..count {
                    let mut nonce = [0; 32];
                    OsRng.fill_bytes(&mut nonce);
                    let token_type = Self::TOKEN_TYPE.to_be_bytes();
                    let input = [&token_type, nonce.as_slice(), challenge_digest, &key_id].concat();
                    let blinded = VoprfClient::<$suite>::blind(&input, &mut OsRng).map_err(words)?;
                    elements.extend_from_slice(&blinded.message.serialize());
                    state.extend_from_slice(&input);
                    state.extend_from_slice(&blinded.state.serialize());
                }
                let mut request = Self::TOKEN_TYPE.to_be_bytes().to_vec();
                request.push(key_id[31]);
                request.extend_from_slice(&list(&elements, $is_batch));
                Ok((request, state))
            }

            fn finish(public_key: &[u8], state: &[u8], response: &[u8]) -> Result<Vec<Vec<u8>>, String> {
                let (mut inputs, mut clients) = (Vec::new(), Vec::new());
                for token in state.chunks(INPUT_BYTES + $scalar + $element) {
                    let (input, client) = token.split_at(INPUT_BYTES);
                    inputs.push(input);
                    clients.push(VoprfClient::<$suite>::deserialize(client).map_err(words)?);
                }
                let (elements, proof) = unlist(response, $element, $is_batch)?;
                let elements = elements.chunks($element).map(EvaluationElement::deserialize);
                let elements = elements.collect::<Result<Vec<_>, _>>().map_err(words)?;
                let proof = Proof::deserialize(proof).map_err(words)?;
                let public_key = <$suite>::deserialize_elem(public_key).map_err(words)?;
                let outputs = VoprfClient::batch_finalize(&inputs, &clients, &elements, &proof, public_key);
                let mut tokens = Vec::new();
                for (input, output) in inputs.iter().zip(outputs.map_err(words)?) {
                    let output = output.map_err(words)?;
                    tokens.push([*input, &output[..]].concat());
                }
                Ok(tokens)
            }

            fn issue(secret: &[u8], request: &[u8]) -> Result<Vec<u8>, String> {
                let server = VoprfServer::<$suite>::new_with_key(secret).map_err(words)?;
                let key_id = Sha256::digest(Self::public_key(secret)?);
                let (head, rest) = request.split_at(3);
                if head[..2] != Self::TOKEN_TYPE.to_be_bytes() || head[2] != key_id[31] {
                    return Err("the request is for another key".to_owned());
                }
                let (elements, _) = unlist(rest, $element, $is_batch)?;
                let elements = elements.chunks($element).map(BlindedElement::deserialize);
                let elements = elements.collect::<Result<Vec<_>, _>>().map_err(words)?;
                let answer = server.batch_blind_evaluate(&mut OsRng, &elements).map_err(words)?;
                let evaluated: Vec<u8> =
                    answer.messages.iter().flat_map(|element| element.serialize().to_vec()).collect();
                let mut response = list(&evaluated, $is_batch);
                response.extend_from_slice(&answer.proof.serialize());
                Ok(response)
            }

            fn authenticator(secret: &[u8], input: &[u8]) -> Result<Vec<u8>, String> {
                let server = VoprfServer::<$suite>::new_with_key(secret).map_err(words)?;
                Ok(server.evaluate(input).map_err(words)?.to_vec())
            }
        }
    };
}

peer!(Ristretto255, voprf::Ristretto255, "ristretto255", 5, element 32, scalar 32, batch true);
peer!(P384, p384::NistP384, "p384", 1, element 49, scalar 48, batch false);

fn words(error: voprf::Error) -> String {
    format!("{error:?}")
}

/// Elements with their length before them, or one of them alone.
fn list(elements: &[u8], is_batch: bool) -> Vec<u8> {
    let len = u16::try_from(elements.len()).expect("few elements");
    let head = match (is_batch, len) {
        (false, _) => Vec::new(),
        (true, ..64) => vec![len as u8],
        (true, _) => (len | 0x4000).to_be_bytes().to_vec(),
    };
    [head.as_slice(), elements].concat()
}

/// The elements, and what follows them.
fn unlist(bytes: &[u8], element_bytes: usize, is_batch: bool) -> Result<(&[u8], &[u8]), String> {
    let (len, rest) = match (is_batch, bytes) {
        (false, rest) => (element_bytes, rest),
        (true, [len @ ..0x40, rest @ ..]) => (usize::from(*len), rest),
        (true, [high @ 0x40..0x80, low, rest @ ..]) => {
            (usize::from(u16::from_be_bytes([high & 0x3f, *low])), rest)
        }
        (true, _) => return Err("there is no list".to_owned()),
    };
    rest.split_at_checked(len).ok_or_else(|| "the list is cut short".to_owned())
}
