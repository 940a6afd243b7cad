//! What clients send: tokens with their first stores, and the stores after them. Made before anything is measured.

use herald_admission::{
    Continued, ContinuedStore, Credential, MacKey, Mode, Presented, Seal, StoreInput, Suite, TokenId,
    TokenInput,
};
use herald_core::TelephoneNumber;
use herald_plugin_sdk::Token;

use crate::limits::{BODIES, BODY_BYTES, NUMBERS};

/// A store and by what right.
pub(crate) struct Opening {
    pub(crate) credential: Credential,
    pub(crate) number: TelephoneNumber,
    pub(crate) body: usize,
}

/// Who has a token.
pub(crate) struct Holder {
    input: TokenInput,
    id: TokenId,
    authenticator: Vec<u8>,
    proof: Vec<u8>,
    key: MacKey,
    mode: Mode,
    suite: Suite,
}

impl Holder {
    pub(crate) fn new(token: &Token, mode: Mode, suite: Suite) -> Self {
        let input = TokenInput(token.token_input);
        let authenticator = if mode == Mode::Withheld { Vec::new() } else { token.authenticator.to_vec() };
        Self {
            id: input.id(),
            key: MacKey::derive(&token.secret, &input),
            authenticator,
            proof: token.proof.to_vec(),
            input,
            mode,
            suite,
        }
    }

    fn tag(&self, counter: u32, number: TelephoneNumber, body: &[u8]) -> [u8; 16] {
        let input = StoreInput {
            key_id: self.input.key_id(),
            token_id: self.id,
            counter,
            number: Some(number),
            body,
        };
        self.key.tag(self.suite, &input)
    }

    /// Its first store.
    pub(crate) fn opening(&self, call: usize, bodies: &[Vec<u8>]) -> Opening {
        let (number, body) = (number_of(call), call % BODIES);
        let presented = Presented {
            input: self.input,
            authenticator: self.authenticator.clone(),
            proof: self.proof.clone(),
            counter: 0,
            seal: Seal::Mac(self.mode, self.tag(0, number, &bodies[body])),
        };
        Opening { credential: Credential::Presented(Box::new(presented)), number, body }
    }

    /// Another one.
    pub(crate) fn store<'a>(&self, counter: u32, call: usize, bodies: &'a [Vec<u8>]) -> ContinuedStore<'a> {
        let (number, body) = (number_of(call), &bodies[call % BODIES]);
        let continued = Continued { token_id: self.id, counter, tag: self.tag(counter, number, body) };
        ContinuedStore { continued, number: Some(number), body }
    }

    /// The header of a token that looks like this one and was never issued: only redeeming it tells.
    pub(crate) fn junk(&self, nonce: u64) -> String {
        let mut input = self.input;
        input.0[2..10].copy_from_slice(&nonce.to_be_bytes());
        let tag = core::array::from_fn(|index| nonce.to_be_bytes()[index % 8]);
        let presented = Presented {
            input,
            authenticator: self.authenticator.clone(),
            proof: self.proof.clone(),
            counter: 0,
            seal: Seal::Mac(self.mode, tag),
        };
        Credential::Presented(Box::new(presented)).to_header()
    }
}

/// The number of a call, far from those of the calls around it.
pub(crate) fn number_of(call: usize) -> TelephoneNumber {
    // A prime step visits every number once.
    let index = (call as u64).wrapping_mul(7_919) % NUMBERS;
    format!("{}", 12_225_000_000 + index).parse().expect("eleven digits")
}

pub(crate) fn bodies() -> Vec<Vec<u8>> {
    (0..BODIES).map(|fill| vec![u8::try_from(fill).unwrap_or(0); BODY_BYTES]).collect()
}
