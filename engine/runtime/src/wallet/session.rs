//! A token as it is spent: what each of its stores is authorised with. It knows neither services nor connections.

use std::sync::Arc;

use herald_admission::directory::OfferedKey;
use herald_admission::wire::TAG_BYTES;
use herald_admission::{Continued, Credential, MacKey, Mode, Presented, Seal, StoreInput, Suite, TokenInput};
use herald_core::TelephoneNumber;
use herald_net::header::RETRY_AFTER;
use herald_net::{Answered, StatusCode};
use parking_lot::Mutex;

use crate::cps;
use crate::limits::WALLET_WAITERS_MAX;
use crate::plugins::Token;

/// Is told once when it is worth asking again, on any thread. It must be short.
pub(crate) type Waiter = Box<dyn FnOnce() + Send>;

/// A token, and the session that it opens with its first store.
pub(crate) struct Session {
    input: TokenInput,
    token: Token,
    mode: Mode,
    key: MacKey,
    suite: Suite,
    stores: u32,
    until_s: u64,
    state: Mutex<State>,
}

struct State {
    /// No counter is used twice, whatever becomes of its store.
    next_counter: u32,
    standing: Standing,
    waiters: Vec<Waiter>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Standing {
    Fresh,
    /// Its first store is under way. Others wait: a token is redeemed for one.
    Opening,
    Open,
    Over,
}

/// What a store is to be authorised with.
pub(crate) enum Drawn {
    With(Payment),
    /// Not yet: the waiter is told.
    Later,
    /// This session is of no more use. The waiter comes back.
    Over(Waiter),
}

/// A store, as it is authorised.
#[derive(Clone, Copy)]
pub(crate) struct Store<'a> {
    pub(crate) number: TelephoneNumber,
    pub(crate) body: &'a [u8],
    /// Sessions that have stored enough under the number, as the service said of this store.
    pub(crate) full: &'a [Arc<Session>],
}

impl Store<'_> {
    pub(super) fn is_full(&self, session: &Arc<Session>) -> bool {
        self.full.iter().any(|full| Arc::ptr_eq(full, session))
    }
}

impl Session {
    /// Of a token of `key` that was obtained for `mode`.
    pub(super) fn new(token: Token, mode: Mode, key: &OfferedKey) -> Arc<Self> {
        let input = TokenInput(token.token_input);
        Arc::new(Self {
            key: MacKey::derive(&token.secret, &input),
            input,
            token,
            mode,
            suite: key.suite.unwrap_or_default(),
            stores: if mode == Mode::Bearer { 1 } else { key.stores },
            until_s: key.not_after_s,
            state: Mutex::new(State { next_counter: 0, standing: Standing::Fresh, waiters: Vec::new() }),
        })
    }

    /// Whether it may be good for another store.
    pub(super) fn is_good(&self, now_s: u64) -> bool {
        self.state.lock().standing != Standing::Over && self.has_more(now_s)
    }

    pub(super) fn is_opening(&self) -> bool {
        self.state.lock().standing == Standing::Opening
    }

    fn has_more(&self, now_s: u64) -> bool {
        now_s < self.until_s
    }

    /// Authorises a store, and counts it.
    pub(super) fn draw(self: &Arc<Self>, store: Store<'_>, now_s: u64, waiter: Waiter) -> Drawn {
        let (counter, is_first) = {
            let mut state = self.state.lock();
            let is_used_up = state.next_counter >= self.stores && state.standing != Standing::Opening;
            if state.standing == Standing::Over || is_used_up || !self.has_more(now_s) {
                state.standing = Standing::Over;
                return Drawn::Over(waiter);
            }
            if state.standing == Standing::Opening {
                if state.waiters.len() >= WALLET_WAITERS_MAX || self.mode == Mode::Bearer {
                    return Drawn::Over(waiter);
                }
                state.waiters.push(waiter);
                return Drawn::Later;
            }
            let is_first = state.standing == Standing::Fresh;
            if is_first {
                state.standing = Standing::Opening;
            }
            let counter = state.next_counter;
            state.next_counter += 1;
            (counter, is_first)
        };
        let header = self.credential(store, counter, is_first).to_header();
        Drawn::With(Payment { session: self.clone(), header, is_first, is_settled: false })
    }

    fn credential(&self, store: Store<'_>, counter: u32, is_first: bool) -> Credential {
        if !is_first {
            let (token_id, tag) = (self.input.id(), self.tag(store, counter));
            return Credential::Continued(Continued { token_id, counter, tag });
        }
        let (seal, authenticator) = match self.mode {
            Mode::Bearer => (Seal::Bearer, self.token.authenticator.to_vec()),
            Mode::Withheld => (Seal::Mac(self.mode, self.tag(store, counter)), Vec::new()),
            _ => (Seal::Mac(self.mode, self.tag(store, counter)), self.token.authenticator.to_vec()),
        };
        let proof = if self.mode == Mode::Bearer { Vec::new() } else { self.token.proof.to_vec() };
        Credential::Presented(Box::new(Presented { input: self.input, authenticator, proof, counter, seal }))
    }

    fn tag(&self, store: Store<'_>, counter: u32) -> [u8; TAG_BYTES] {
        let Store { number, body, .. } = store;
        let input = StoreInput {
            key_id: self.input.key_id(),
            token_id: self.input.id(),
            counter,
            number: Some(number),
            body,
        };
        self.key.tag(self.suite, &input)
    }

    fn settle(&self, standing: Standing) {
        let waiters = {
            let mut state = self.state.lock();
            // What is over stays so.
            if state.standing != Standing::Over {
                state.standing = standing;
            }
            core::mem::take(&mut state.waiters)
        };
        waiters.into_iter().for_each(|waiter| waiter());
    }
}

/// What a service's answer makes of a store.
pub(crate) enum Settled {
    /// It is what it is.
    Done,
    /// The store is worth sending again, with another token.
    WantsAnother,
    /// As well, and this session has stored enough under the number.
    FullOfToken(Arc<Session>),
}

/// One store's share of a token. Dropped without an answer, a token whose first store this was is given up: whether it was
/// spent is not known.
pub(crate) struct Payment {
    session: Arc<Session>,
    header: String,
    is_first: bool,
    is_settled: bool,
}

impl Payment {
    /// The value of `Authorization`.
    pub(crate) fn header(&self) -> &str {
        &self.header
    }

    /// Takes in what the service answered.
    pub(crate) fn settle(mut self, answered: &Answered) -> Settled {
        let Ok(response) = answered else { return Settled::Done };
        let status = response.status();
        if !self.is_first && cps::is_full_of_token(response) {
            // For other numbers it is as good as before.
            return Settled::FullOfToken(self.session.clone());
        }
        let wants_another = status == StatusCode::UNAUTHORIZED
            || (status == StatusCode::TOO_MANY_REQUESTS
                && response.headers().get(RETRY_AFTER).is_some_and(|value| value == "0"));
        let is_unspent = status == StatusCode::TOO_MANY_REQUESTS || status == StatusCode::SERVICE_UNAVAILABLE;
        let standing = match self.is_first {
            _ if wants_another => Some(Standing::Over),
            true if status.is_success() => Some(Standing::Open),
            true if is_unspent && self.session.mode != Mode::Bearer => Some(Standing::Fresh),
            true => Some(Standing::Over),
            false => None,
        };
        self.is_settled = true;
        if let Some(standing) = standing {
            self.session.settle(standing);
        }
        if wants_another { Settled::WantsAnother } else { Settled::Done }
    }
}

impl Drop for Payment {
    fn drop(&mut self) {
        if self.is_first && !self.is_settled {
            self.session.settle(Standing::Over);
        }
    }
}

#[cfg(test)]
pub(super) mod tests {
    use core::sync::atomic::{AtomicU32, Ordering};

    use herald_admission::wire::TokenId;
    use herald_net::{ClientError, Response};
    use zeroize::Zeroizing;

    use super::*;

    pub(in super::super) fn key(epoch: u64, class: &str) -> OfferedKey {
        OfferedKey {
            token_type: 5,
            public_key: vec![epoch as u8],
            not_before_s: epoch * 600,
            not_after_s: (epoch + 1) * 600,
            class: class.to_owned(),
            stores: 3,
            agreement_key: Vec::new(),
            suite: Some(Suite::HmacSha256),
        }
    }

    pub(in super::super) fn token(nonce: u8) -> Token {
        let mut token_input = [nonce; 98];
        token_input[..2].copy_from_slice(&5u16.to_be_bytes());
        let bytes = |fill: u8, count| Zeroizing::new(vec![fill; count]);
        Token { token_input, authenticator: bytes(1, 64), proof: bytes(0, 0), secret: bytes(2, 64) }
    }

    fn answer(status: u16, retry_after: &str) -> Answered {
        let mut response = Response::builder().status(status);
        if !retry_after.is_empty() {
            response = response.header(RETRY_AFTER, retry_after);
        }
        Ok(response.body(Default::default()).expect("a response"))
    }

    fn draw(session: &Arc<Session>, told: &Arc<AtomicU32>) -> Drawn {
        let number = "12225550100".parse().expect("a number");
        let told = told.clone();
        let waiter = Box::new(move || {
            told.fetch_add(1, Ordering::Relaxed);
        });
        session.draw(Store { number, body: b"sealed", full: &[] }, 6_000, waiter)
    }

    fn with(drawn: Drawn) -> Payment {
        match drawn {
            Drawn::With(payment) => payment,
            Drawn::Later | Drawn::Over(_) => panic!("a payment"),
        }
    }

    /// Form and counter of what a store carries.
    fn said(payment: &Payment) -> (bool, u32) {
        match Credential::from_header(payment.header()).expect("it is read") {
            Credential::Continued(continued) => (false, continued.counter),
            Credential::Presented(token) => (true, token.counter),
        }
    }

    #[test]
    fn a_session_is_opened_by_one_store_for_which_others_wait_and_no_counter_is_used_twice() {
        let (session, told) = (Session::new(token(7), Mode::Withheld, &key(10, "handset")), Arc::default());
        let first = with(draw(&session, &told));
        assert_eq!(said(&first), (true, 0));
        assert!(matches!(draw(&session, &told), Drawn::Later) && session.is_opening());
        // Too many are redeemed: the token is free, its counter used.
        assert!(matches!(first.settle(&answer(429, "3")), Settled::Done));
        assert_eq!(told.load(Ordering::Relaxed), 1);
        let second = with(draw(&session, &told));
        assert_eq!(said(&second), (true, 1));
        assert!(matches!(second.settle(&answer(201, "")), Settled::Done));
        let third = with(draw(&session, &told));
        assert_eq!(said(&third), (false, 2));
        assert!(matches!(draw(&session, &told), Drawn::Over(_)), "three stores are all");
        assert!(!session.is_good(6_000));
    }

    #[test]
    fn what_an_answer_makes_of_a_session() {
        let lost: Answered = Err(ClientError::Abandoned);
        for (is_first, answered, is_sent_again, is_good_after) in [
            (true, answer(201, ""), false, true),
            (true, answer(401, ""), true, false),
            (true, answer(429, "0"), true, false),
            (true, answer(429, "1"), false, true),
            (true, answer(503, "5"), false, true),
            (true, answer(404, ""), false, false),
            (true, lost, false, false),
            (false, answer(201, ""), false, true),
            (false, answer(401, ""), true, false),
            (false, answer(429, "0"), true, false),
            (false, answer(503, "5"), false, true),
            (false, Err(ClientError::Abandoned), false, true),
        ] {
            let (session, told) = (Session::new(token(7), Mode::Withheld, &key(10, "")), Arc::default());
            if !is_first {
                with(draw(&session, &told)).settle(&answer(201, ""));
            }
            let payment = with(draw(&session, &told));
            assert_eq!(said(&payment).0, is_first);
            let context = format!("first: {is_first}, {answered:?}");
            let settled = payment.settle(&answered);
            assert_eq!(matches!(settled, Settled::WantsAnother), is_sent_again, "{context}");
            assert_eq!(session.is_good(6_000), is_good_after, "{context}");
            assert!(!session.is_good(6_600), "its epoch is over");
        }
    }

    #[test]
    fn a_session_that_has_stored_enough_under_one_number_stays_good_for_others() {
        for (kind, is_full, is_good_after) in [("token-number", true, true), ("token-used", false, false)] {
            let (session, told) = (Session::new(token(7), Mode::Withheld, &key(10, "")), Arc::default());
            with(draw(&session, &told)).settle(&answer(201, ""));
            let body = format!(r#"{{"type":"urn:herald:problem:{kind}","detail":"why"}}"#);
            let refused = answer(429, "0").map(|response| response.map(|_| body.into()));
            let settled = with(draw(&session, &told)).settle(&refused);
            let named = matches!(&settled, Settled::FullOfToken(full) if Arc::ptr_eq(full, &session));
            assert_eq!((named, session.is_good(6_000)), (is_full, is_good_after), "{kind}");
        }
    }

    #[test]
    fn a_bearer_token_is_one_store_and_the_others_say_what_their_mode_does() {
        for (mode, authenticator, proof) in
            [(Mode::Bearer, 64, 0), (Mode::Withheld, 0, 0), (Mode::Committed, 64, 32)]
        {
            let mut bytes = token(9);
            bytes.proof = Zeroizing::new(vec![3; if mode == Mode::Committed { 32 } else { 0 }]);
            let (session, told) = (Session::new(bytes, mode, &key(10, "")), Arc::default());
            let payment = with(draw(&session, &told));
            let Ok(Credential::Presented(shown)) = Credential::from_header(payment.header()) else {
                panic!("a token")
            };
            assert_eq!(
                (shown.mode(), shown.authenticator.len(), shown.proof.len()),
                (mode, authenticator, proof)
            );
            assert_ne!(shown.input.id(), TokenId([0; 16]));
            payment.settle(&answer(201, ""));
            assert_eq!(matches!(draw(&session, &told), Drawn::Over(_)), mode == Mode::Bearer);
        }
    }
}
