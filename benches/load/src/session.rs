//! Sessions at a service that wants tokens, with the stores they are good for: MACs are made before the clock starts, since
//! a generator that made them on the way would measure itself.

use std::collections::VecDeque;

use herald_admission::wire::TokenId;
use herald_admission::{Continued, Credential, MacKey, StoreInput, Suite, TokenInput};
use herald_core::TelephoneNumber;

use crate::error::LoadError;
use crate::workload::telephone_number;

/// An open session, and what seals its stores.
pub(crate) struct Session {
    pub(crate) input: TokenInput,
    pub(crate) key: MacKey,
    pub(crate) suite: Suite,
    /// Stores it is good for, the first of which has opened it.
    pub(crate) stores: u32,
}

impl Session {
    /// The MAC of a store, or of the request that opens the session.
    pub(crate) fn tag(&self, counter: u32, number: Option<TelephoneNumber>, body: &[u8]) -> [u8; 16] {
        let (key_id, token_id) = (self.input.key_id(), self.input.id());
        self.key.tag(self.suite, &StoreInput { key_id, token_id, counter, number, body })
    }
}

/// One session's stores, made ahead, in the order of their counters. 20 bytes each.
struct Sealed {
    token_id: TokenId,
    stores: Vec<(u32, [u8; 16])>,
    next: usize,
}

/// The stores of one thread, made ahead. Each connection has a session of its own, and then another: within a session
/// stores arrive in the order of their counters, as services want them.
pub(crate) struct Purse {
    unused: VecDeque<Sealed>,
    in_use: Vec<Option<Sealed>>,
}

impl Purse {
    /// All stores of `sessions`, each of `body` under the number whose place `draw` gives.
    pub(crate) fn new(sessions: Vec<Session>, body: &[u8], mut draw: impl FnMut() -> u32) -> Self {
        let sealed = |session: Session| {
            let store = |counter| {
                let place = draw();
                (place, session.tag(counter, Some(telephone_number(place)), body))
            };
            let stores = (1..session.stores).map(store).collect();
            Sealed { token_id: session.input.id(), stores, next: 0 }
        };
        Self { unused: sessions.into_iter().map(sealed).collect(), in_use: Vec::new() }
    }

    /// The next store of a connection: the place of its number, and the value of `Authorization`.
    ///
    /// # Errors
    /// [`LoadError::Option`] if all were sent.
    pub(crate) fn take(&mut self, connection: usize) -> Result<(u32, String), LoadError> {
        if self.in_use.len() <= connection {
            self.in_use.resize_with(connection + 1, || None);
        }
        let slot = &mut self.in_use[connection];
        if slot.as_ref().is_none_or(|sealed| sealed.next == sealed.stores.len()) {
            *slot = Some(self.unused.pop_front().ok_or_else(used_up)?);
        }
        let Some(Sealed { token_id, stores, next }) = slot else { return Err(used_up()) };
        let &(place, tag) = stores.get(*next).ok_or_else(used_up)?;
        *next += 1;
        let counter = u32::try_from(*next).map_err(|_| used_up())?;
        let continued = Continued { token_id: *token_id, counter, tag };
        Ok((place, Credential::Continued(continued).to_header()))
    }
}

#[cold]
fn used_up() -> LoadError {
    LoadError::Option(
        "all stores that were made ahead are sent: raise prepared, or run for less long".to_owned(),
    )
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use super::*;

    const BODY: &[u8] = &[7; 640];

    fn session(fill: u8, stores: u32) -> Session {
        let input = TokenInput([fill; 98]);
        Session { input, key: MacKey::derive(&[fill; 32], &input), suite: Suite::default(), stores }
    }

    fn continued(header: &str) -> Continued {
        match Credential::from_header(header).expect("it is read") {
            Credential::Continued(continued) => continued,
            Credential::Presented(_) => panic!("a token"),
        }
    }

    #[test]
    fn each_connection_has_sessions_of_its_own_and_their_stores_in_order_until_all_are_sent() {
        let mut places = 0..;
        let sessions = (0..5).map(|fill| session(fill, 4)).collect();
        let mut purse = Purse::new(sessions, BODY, || places.next().expect("as many as there are"));
        let mut of_connection: HashMap<TokenId, usize> = HashMap::new();
        let mut counters: HashMap<TokenId, u32> = HashMap::new();
        // Five sessions of three stores each: two connections can have two and the beginning of a third.
        for turn in 0..12 {
            let (place, header) = purse.take(turn % 2).expect("there are more");
            let Continued { token_id, counter, tag } = continued(&header);
            let of_it = (0..5).map(|fill| session(fill, 4)).find(|session| session.input.id() == token_id);
            let of_it = of_it.expect("one of them");
            assert_eq!(tag, of_it.tag(counter, Some(telephone_number(place)), BODY));
            assert_ne!(tag, of_it.tag(counter, Some(telephone_number(place + 1)), BODY));
            assert_eq!(*of_connection.entry(token_id).or_insert(turn % 2), turn % 2);
            let last = counters.insert(token_id, counter).unwrap_or_default();
            assert_eq!(counter, last + 1);
        }
        assert!((0..3).all(|_| purse.take(0).is_ok()));
        assert!(matches!(purse.take(0), Err(LoadError::Option(_))));
        assert!(matches!(purse.take(1), Err(LoadError::Option(_))));
    }
}
