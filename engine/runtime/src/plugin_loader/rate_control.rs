//! The calls of rate control, with memory for their answers.

use herald_plugin_abi as abi;
use zeroize::Zeroizing;

use super::Functions;
use super::instance::Instance;
use crate::limits::PLUGIN_ANSWER_BYTES_MAX;

/// A key as a plugin made it.
pub(crate) struct MadeKey {
    pub(crate) id: [u8; abi::KEY_ID_BYTES],
    pub(crate) public_key: Vec<u8>,
    pub(crate) agreement_key: Vec<u8>,
    pub(crate) secret: Zeroizing<Vec<u8>>,
}

/// A token that is presented.
pub(crate) struct Presented {
    pub(crate) key: u64,
    pub(crate) mode: u32,
    pub(crate) token_input: [u8; abi::TOKEN_INPUT_BYTES],
    pub(crate) authenticator: Zeroizing<Vec<u8>>,
    pub(crate) proof: Zeroizing<Vec<u8>>,
}

/// Tokens that are wanted.
pub(crate) struct Wanted {
    pub(crate) mode: u32,
    pub(crate) count: u32,
    pub(crate) public_key: Vec<u8>,
    pub(crate) agreement_key: Vec<u8>,
    pub(crate) challenge_digest: [u8; 32],
}

/// A token that was obtained.
pub(crate) struct Obtained {
    pub(crate) token_input: [u8; abi::TOKEN_INPUT_BYTES],
    pub(crate) authenticator: Zeroizing<Vec<u8>>,
    pub(crate) proof: Zeroizing<Vec<u8>>,
    pub(crate) secret: Zeroizing<Vec<u8>>,
}

/// A call that succeeded, or the code it returned. The outer error is what the plugin did against the rules.
pub(crate) type Judged<T> = Result<Result<T, i32>, String>;

impl Instance {
    /// Makes a key.
    pub(crate) fn key_make(&self) -> Judged<MadeKey> {
        let key_make = self.rate_control()?.key_make.expect("the table was checked");
        let [mut public_key, mut agreement_key, mut secret] = [(); 3].map(|()| Room::new());
        let mut key = abi::TokenKey {
            struct_size: size_of::<abi::TokenKey>(),
            id: [0; abi::KEY_ID_BYTES],
            public_key: public_key.place(),
            agreement_key: agreement_key.place(),
            secret: secret.place(),
        };
        // SAFETY: the header's contract for key_make.
        let code = self.inside(|instance| unsafe { key_make(instance, &raw mut key) })?;
        judged(code, || {
            Ok(MadeKey {
                id: key.id,
                public_key: public_key.taken(key.public_key.len)?.to_vec(),
                agreement_key: agreement_key.taken(key.agreement_key.len)?.to_vec(),
                secret: secret.taken(key.secret.len)?,
            })
        })
    }

    /// Takes a key into use.
    pub(crate) fn key_add(&self, key: u64, secret: &[u8]) -> Judged<()> {
        let key_add = self.rate_control()?.key_add.expect("the table was checked");
        // SAFETY: the header's contract for key_add.
        let code =
            self.inside(|instance| unsafe { key_add(instance, key, secret.as_ptr(), secret.len()) })?;
        judged(code, || Ok(()))
    }

    /// Forgets it.
    pub(crate) fn key_drop(&self, key: u64) -> Judged<()> {
        let key_drop = self.rate_control()?.key_drop.expect("the table was checked");
        let code = self.inside(|instance| {
            // SAFETY: the header's contract for key_drop.
            unsafe { key_drop(instance, key) };
            abi::OK
        })?;
        judged(code, || Ok(()))
    }

    /// How many tokens a request asks for.
    pub(crate) fn request_count(&self, request: &[u8]) -> Judged<u32> {
        let request_count = self.rate_control()?.request_count.expect("the table was checked");
        let mut count = 0;
        let code = self.inside(|instance| {
            // SAFETY: the header's contract for request_count.
            count = unsafe { request_count(instance, request.as_ptr(), request.len()) };
            abi::OK
        })?;
        judged(code, || Ok(count))
    }

    /// Answers a request.
    pub(crate) fn issue(&self, key: u64, request: &[u8]) -> Judged<Vec<u8>> {
        let issue = self.rate_control()?.issue.expect("the table was checked");
        let mut answer = Room::new();
        let mut response = answer.place();
        let code = self.inside(|instance| {
            // SAFETY: the header's contract for issue.
            unsafe { issue(instance, key, request.as_ptr(), request.len(), &raw mut response) }
        })?;
        judged(code, || Ok(answer.taken(response.len)?.to_vec()))
    }

    /// Judges tokens, each in its place: the secret of one that is valid, or the code.
    pub(crate) fn redeem(&self, tokens: &[Presented]) -> Judged<Vec<Result<Zeroizing<Vec<u8>>, i32>>> {
        let redeem = self.rate_control()?.redeem.expect("the table was checked");
        let shown: Vec<_> = tokens.iter().map(redemption).collect();
        let mut answers: Vec<_> = tokens.iter().map(|_| empty_redeemed()).collect();
        let code = self.inside(|instance| {
            // SAFETY: the header's contract for redeem.
            unsafe { redeem(instance, shown.as_ptr(), shown.len(), answers.as_mut_ptr()) }
        })?;
        let secrets = answers.iter_mut().map(|answer| {
            let secret = part(&answer.secret, answer.secret_len, "a secret").map(Zeroizing::new);
            zeroize::Zeroize::zeroize(&mut answer.secret);
            Ok(if answer.result == abi::OK { Ok(secret?) } else { Err(answer.result) })
        });
        let secrets = secrets.collect::<Result<_, String>>();
        judged(code, || secrets)
    }

    /// Asks for tokens: the request, and what [`finish`](Self::finish) takes.
    pub(crate) fn request(&self, wanted: &Wanted) -> Judged<(Vec<u8>, Zeroizing<Vec<u8>>)> {
        let request = self.rate_control()?.request.expect("the table was checked");
        let [mut body, mut kept] = [(); 2].map(|()| Room::new());
        let (mut body_place, mut kept_place) = (body.place(), kept.place());
        let want = abi::Want {
            struct_size: size_of::<abi::Want>(),
            mode: wanted.mode,
            count: wanted.count,
            public_key: wanted.public_key.as_ptr(),
            public_key_len: wanted.public_key.len(),
            agreement_key: wanted.agreement_key.as_ptr(),
            agreement_key_len: wanted.agreement_key.len(),
            challenge_digest: wanted.challenge_digest.as_ptr(),
        };
        let code = self.inside(|instance| {
            // SAFETY: the header's contract for request.
            unsafe { request(instance, &raw const want, &raw mut body_place, &raw mut kept_place) }
        })?;
        judged(code, || Ok((body.taken(body_place.len)?.to_vec(), kept.taken(kept_place.len)?)))
    }

    /// Makes the tokens of a response: `count_max` at most.
    pub(crate) fn finish(&self, state: &[u8], response: &[u8], count_max: usize) -> Judged<Vec<Obtained>> {
        let finish = self.rate_control()?.finish.expect("the table was checked");
        let mut tokens: Vec<_> = (0..count_max).map(|_| empty_token()).collect();
        let mut count = count_max;
        let code = self.inside(|instance| {
            let places = tokens.as_mut_ptr();
            let (state_len, response_len) = (state.len(), response.len());
            // SAFETY: the header's contract for finish.
            unsafe {
                finish(
                    instance,
                    state.as_ptr(),
                    state_len,
                    response.as_ptr(),
                    response_len,
                    places,
                    &raw mut count,
                )
            }
        })?;
        let obtained = match tokens.get(..count) {
            Some(made) => made.iter().map(obtained).collect(),
            None => Err(format!("says that it made {count} tokens where {count_max} were wanted")),
        };
        for token in &mut tokens {
            zeroize::Zeroize::zeroize(&mut token.secret);
        }
        judged(code, || obtained)
    }

    fn rate_control(&self) -> Result<&abi::RateControl, String> {
        match &self.functions {
            Functions::RateControl(table) => Ok(table),
            Functions::Discovery(_) => Err("is no rate control plugin".to_owned()),
        }
    }
}

fn judged<T>(code: i32, value: impl FnOnce() -> Result<T, String>) -> Judged<T> {
    if code == abi::OK { value().map(Ok) } else { Ok(Err(code)) }
}

/// Memory for an answer of unknown length; wiped when dropped.
struct Room(Zeroizing<Vec<u8>>);

impl Room {
    fn new() -> Self {
        Self(Zeroizing::new(vec![0; PLUGIN_ANSWER_BYTES_MAX]))
    }

    fn place(&mut self) -> abi::Bytes {
        abi::Bytes {
            struct_size: size_of::<abi::Bytes>(),
            data: self.0.as_mut_ptr(),
            capacity: self.0.len(),
            len: 0,
        }
    }

    fn taken(self, len: usize) -> Result<Zeroizing<Vec<u8>>, String> {
        let value = self
            .0
            .get(..len)
            .ok_or_else(|| format!("says that it answers {len} bytes where {PLUGIN_ANSWER_BYTES_MAX} fit"))?;
        Ok(Zeroizing::new(value.to_vec()))
    }
}

fn part(place: &[u8], len: u32, what: &str) -> Result<Vec<u8>, String> {
    let part = usize::try_from(len).ok().and_then(|len| place.get(..len));
    let part = part.ok_or_else(|| format!("says that {what} has {len} bytes where {} fit", place.len()))?;
    Ok(part.to_vec())
}

fn redemption(token: &Presented) -> abi::Redemption {
    abi::Redemption {
        struct_size: size_of::<abi::Redemption>(),
        key: token.key,
        mode: token.mode,
        reserved: 0,
        token_input: token.token_input.as_ptr(),
        authenticator: token.authenticator.as_ptr(),
        authenticator_len: token.authenticator.len(),
        proof: token.proof.as_ptr(),
        proof_len: token.proof.len(),
    }
}

fn empty_redeemed() -> abi::Redeemed {
    abi::Redeemed {
        struct_size: size_of::<abi::Redeemed>(),
        result: abi::FAILED,
        secret_len: 0,
        secret: [0; abi::SECRET_BYTES_MAX],
    }
}

fn empty_token() -> abi::Token {
    abi::Token {
        struct_size: size_of::<abi::Token>(),
        authenticator_len: 0,
        proof_len: 0,
        secret_len: 0,
        reserved: 0,
        token_input: [0; abi::TOKEN_INPUT_BYTES],
        authenticator: [0; abi::AUTHENTICATOR_BYTES_MAX],
        proof: [0; abi::PROOF_BYTES_MAX],
        secret: [0; abi::SECRET_BYTES_MAX],
    }
}

fn obtained(token: &abi::Token) -> Result<Obtained, String> {
    Ok(Obtained {
        token_input: token.token_input,
        authenticator: Zeroizing::new(part(
            &token.authenticator,
            token.authenticator_len,
            "an authenticator",
        )?),
        proof: Zeroizing::new(part(&token.proof, token.proof_len, "a proof")?),
        secret: Zeroizing::new(part(&token.secret, token.secret_len, "a secret")?),
    })
}
