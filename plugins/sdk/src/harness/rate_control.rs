//! A rate control plugin, driven through its table.

use zeroize::Zeroizing;

use crate::abi;
use crate::harness::stage::{Entry, Opened, Stage, table_text};
use crate::rate_control::{Fault, KeyHandle, NewKey, Redeemed, Redemption, Secret, Token, Want};

/// Bytes that any answer fits.
const ANSWER_BYTES: usize = 64 * 1024;

/// An instance of a rate control plugin.
pub struct RateControl(Opened);

impl RateControl {
    /// Opens one on a stage of its own.
    ///
    /// # Errors
    /// The reason that the plugin gives.
    pub fn open(entry: Entry, settings: &[(&str, &str)]) -> Result<Self, String> {
        Self::open_on(Stage::new(), entry, settings)
    }

    /// Opens one on `stage`.
    ///
    /// # Errors
    /// The reason that the plugin gives.
    pub fn open_on(stage: &'static Stage, entry: Entry, settings: &[(&str, &str)]) -> Result<Self, String> {
        Opened::open(entry, abi::RATE_CONTROL, stage, settings).map(Self)
    }

    /// Where it is.
    pub fn stage(&self) -> &'static Stage {
        self.0.stage
    }

    /// The token type of its table.
    pub fn token_type(&self) -> u32 {
        self.table().token_type
    }

    /// Tokens in one request.
    pub fn count_max(&self) -> u32 {
        self.table().count_max
    }

    /// The media types of requests and responses.
    pub fn media_types(&self) -> (&'static str, &'static str) {
        // SAFETY: the SDK's tables have NUL-terminated texts that are never freed.
        let request = unsafe { table_text(self.table().request_type) };
        // SAFETY: as above.
        (request, unsafe { table_text(self.table().response_type) })
    }

    /// Makes a key.
    ///
    /// # Errors
    /// As the plugin; words of a failure are in [`Stage::heard`].
    pub fn key_make(&self) -> Result<NewKey, Fault> {
        let [mut public_key, mut agreement_key, mut secret] = [(); 3].map(room);
        let mut key = abi::TokenKey {
            struct_size: size_of::<abi::TokenKey>(),
            id: [0; abi::KEY_ID_BYTES],
            public_key: bytes(&mut public_key),
            agreement_key: bytes(&mut agreement_key),
            secret: bytes(&mut secret),
        };
        let key_make = self.table().key_make.expect("the SDK's tables are whole");
        // SAFETY: the header's contract for key_make.
        done(unsafe { key_make(self.0.instance, &raw mut key) })?;
        public_key.truncate(key.public_key.len);
        agreement_key.truncate(key.agreement_key.len);
        secret.truncate(key.secret.len);
        Ok(NewKey { id: key.id, public_key, agreement_key, secret: Zeroizing::new(secret) })
    }

    /// Takes a key into use.
    ///
    /// # Errors
    /// As the plugin.
    pub fn key_add(&self, key: KeyHandle, secret: &[u8]) -> Result<(), Fault> {
        let key_add = self.table().key_add.expect("the SDK's tables are whole");
        // SAFETY: the header's contract for key_add.
        done(unsafe { key_add(self.0.instance, key.0, secret.as_ptr(), secret.len()) })
    }

    /// Forgets it.
    pub fn key_drop(&self, key: KeyHandle) {
        let key_drop = self.table().key_drop.expect("the SDK's tables are whole");
        // SAFETY: the header's contract for key_drop.
        unsafe { key_drop(self.0.instance, key.0) };
    }

    /// How many tokens a request asks for.
    pub fn request_count(&self, request: &[u8]) -> u32 {
        let request_count = self.table().request_count.expect("the SDK's tables are whole");
        // SAFETY: the header's contract for request_count.
        unsafe { request_count(self.0.instance, request.as_ptr(), request.len()) }
    }

    /// Answers a request.
    ///
    /// # Errors
    /// As the plugin.
    pub fn issue(&self, key: KeyHandle, request: &[u8]) -> Result<Vec<u8>, Fault> {
        let mut answer = room(());
        let mut response = bytes(&mut answer);
        let issue = self.table().issue.expect("the SDK's tables are whole");
        // SAFETY: the header's contract for issue.
        done(unsafe { issue(self.0.instance, key.0, request.as_ptr(), request.len(), &raw mut response) })?;
        answer.truncate(response.len);
        Ok(answer)
    }

    /// Judges tokens.
    pub fn redeem(&self, tokens: &[Redemption<'_>]) -> Vec<Result<Redeemed, Fault>> {
        let shown: Vec<_> = tokens.iter().map(redemption).collect();
        let mut answers: Vec<_> = tokens
            .iter()
            .map(|_| abi::Redeemed {
                struct_size: size_of::<abi::Redeemed>(),
                result: abi::FAILED,
                secret_len: 0,
                secret: [0; abi::SECRET_BYTES_MAX],
            })
            .collect();
        let redeem = self.table().redeem.expect("the SDK's tables are whole");
        // SAFETY: the header's contract for redeem.
        let result = unsafe { redeem(self.0.instance, shown.as_ptr(), shown.len(), answers.as_mut_ptr()) };
        let judged = |answer: &abi::Redeemed| {
            done(result)?;
            done(answer.result)?;
            Ok(Zeroizing::new(answer.secret[..answer.secret_len as usize].to_vec()))
        };
        answers.iter().map(judged).collect()
    }

    /// Asks for tokens: the request, and what [`finish`](Self::finish) takes.
    ///
    /// # Errors
    /// As the plugin.
    pub fn request(&self, want: &Want<'_>) -> Result<(Vec<u8>, Secret), Fault> {
        let [mut body, mut kept] = [(); 2].map(room);
        let (mut request, mut state) = (bytes(&mut body), bytes(&mut kept));
        let want = abi::Want {
            struct_size: size_of::<abi::Want>(),
            mode: want.mode.code(),
            count: u32::try_from(want.count).unwrap_or(u32::MAX),
            public_key: want.public_key.as_ptr(),
            public_key_len: want.public_key.len(),
            agreement_key: want.agreement_key.as_ptr(),
            agreement_key_len: want.agreement_key.len(),
            challenge_digest: want.challenge_digest.as_ptr(),
        };
        let ask = self.table().request.expect("the SDK's tables are whole");
        // SAFETY: the header's contract for request.
        done(unsafe { ask(self.0.instance, &raw const want, &raw mut request, &raw mut state) })?;
        body.truncate(request.len);
        kept.truncate(state.len);
        Ok((body, Zeroizing::new(kept)))
    }

    /// Makes the tokens of a response.
    ///
    /// # Errors
    /// As the plugin.
    pub fn finish(&self, state: &[u8], response: &[u8]) -> Result<Vec<Token>, Fault> {
        let mut count = usize::try_from(self.count_max()).unwrap_or(1);
        let mut tokens: Vec<_> = (0..count).map(|_| empty_token()).collect();
        let finish = self.table().finish.expect("the SDK's tables are whole");
        // SAFETY: the header's contract for finish.
        done(unsafe {
            finish(
                self.0.instance,
                state.as_ptr(),
                state.len(),
                response.as_ptr(),
                response.len(),
                tokens.as_mut_ptr(),
                &raw mut count,
            )
        })?;
        Ok(tokens[..count].iter().map(token).collect())
    }

    /// Has it read its files again.
    ///
    /// # Errors
    /// The reason that the plugin gives.
    pub fn reload(&self) -> Result<(), String> {
        self.0.reload()
    }

    fn table(&self) -> &'static abi::RateControl {
        // SAFETY: the kind was checked, and the SDK's table of that kind is whole.
        unsafe { &*core::ptr::from_ref(self.0.plugin).cast() }
    }
}

fn done(result: i32) -> Result<(), Fault> {
    match result {
        abi::OK => Ok(()),
        abi::REFUSED => Err(Fault::Refused),
        abi::UNSUPPORTED => Err(Fault::Unsupported),
        other => Err(Fault::Failed(format!("it answered {other}"))),
    }
}

fn room((): ()) -> Vec<u8> {
    vec![0; ANSWER_BYTES]
}

fn bytes(place: &mut Vec<u8>) -> abi::Bytes {
    abi::Bytes {
        struct_size: size_of::<abi::Bytes>(),
        data: place.as_mut_ptr(),
        capacity: place.len(),
        len: 0,
    }
}

fn redemption(token: &Redemption<'_>) -> abi::Redemption {
    abi::Redemption {
        struct_size: size_of::<abi::Redemption>(),
        key: token.key.0,
        mode: token.mode.code(),
        reserved: 0,
        token_input: token.token_input.as_ptr(),
        authenticator: token.authenticator.as_ptr(),
        authenticator_len: token.authenticator.len(),
        proof: token.proof.as_ptr(),
        proof_len: token.proof.len(),
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

fn token(token: &abi::Token) -> Token {
    let secret = |bytes: &[u8], len: u32| Zeroizing::new(bytes[..len as usize].to_vec());
    Token {
        token_input: token.token_input,
        authenticator: secret(&token.authenticator, token.authenticator_len),
        proof: secret(&token.proof, token.proof_len),
        secret: secret(&token.secret, token.secret_len),
    }
}
