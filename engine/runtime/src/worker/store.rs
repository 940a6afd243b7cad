//! Stores at services elsewhere, with tokens where a service wants them.

use std::sync::Arc;

use herald_core::{PlacementClass, TelephoneNumber};
use herald_net::header::WWW_AUTHENTICATE;
use herald_net::{Answered, Bytes};
use herald_stir::services::{Answer, CpsUri, IoFault, Ticket};

use super::CallId;
use super::call::Step;
use super::lane::{Lane, Message, Purpose, Running, stored};
use crate::cps;
use crate::limits::FULL_SESSIONS_MAX;
use crate::wallet::{Paid, Payment, Session, Settled, Store, Wallet};

/// A store at a service elsewhere, until it is answered.
pub(super) struct Storing {
    cps: CpsUri,
    number: TelephoneNumber,
    body: Bytes,
    payment: Option<Payment>,
    /// Sessions that have stored enough under the number.
    full: Vec<Arc<Session>>,
    sent: Sent,
}

/// How often a store was sent before.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Sent {
    Never,
    /// Without a token, and the service wanted one.
    Free,
    /// With one, and the service wanted another.
    Refused,
}

impl Storing {
    pub(super) fn new(cps: CpsUri, number: TelephoneNumber, body: Vec<u8>) -> Box<Self> {
        Box::new(Self { cps, number, body: body.into(), payment: None, full: Vec::new(), sent: Sent::Never })
    }
}

impl Lane {
    /// Sends a store, or has it wait for a token. `Some` if there is an answer already.
    pub(super) fn store_elsewhere(
        &mut self,
        id: CallId,
        running: &mut Running,
        ticket: Ticket,
        mut storing: Box<Storing>,
    ) -> Option<Answer> {
        match self.pay(id, running, ticket, &storing) {
            Paid::Free => {}
            Paid::With(payment) => storing.payment = Some(payment),
            Paid::Later => {
                self.parked.insert((id, ticket), storing);
                return None;
            }
            Paid::Not(why) => return Some(Answer::Failed(no_token(&why))),
        }
        let (cps, number, body) = (storing.cps.clone(), storing.number, storing.body.clone());
        let authorization = storing.payment.as_ref().map(|payment| payment.header().to_owned());
        let request = |base: &str| {
            cps::store_request(base, PlacementClass::Call, number, body, authorization.as_deref())
        };
        self.ask_elsewhere(running, &cps, request, Purpose::Store(id, ticket, storing))
            .err()
            .map(Answer::Failed)
    }

    fn pay(&self, id: CallId, running: &mut Running, ticket: Ticket, storing: &Storing) -> Paid {
        let (Some(wallet), CpsUri::Https(service)) = (self.wallet(), &storing.cps) else { return Paid::Free };
        let inbox = self.inbox();
        let waiter = Box::new(move || {
            // A lane that has closed has ended its calls.
            let _ = inbox.push(Message::StoreNow(id, ticket));
        });
        let store = Store { number: storing.number, body: &storing.body, full: &storing.full };
        wallet.pay(service, &mut running.sessions, store, waiter)
    }

    /// Sends a store that waited for a token.
    pub(super) fn store_now(&mut self, id: CallId, ticket: Ticket) {
        if let Some(storing) = self.parked.remove(&(id, ticket)) {
            self.store_again(id, ticket, storing);
        }
    }

    fn store_again(&mut self, id: CallId, ticket: Ticket, storing: Box<Storing>) {
        // A call that is over has no stores to send.
        let Some(mut running) = self.take_running(id) else { return };
        let answer = self.store_elsewhere(id, &mut running, ticket, storing);
        self.put_running(id, running);
        if let Some(answer) = answer {
            self.advance(id, Step::Answer(ticket, answer));
        }
    }

    /// Takes in what a service answered to a store: the machine's answer, unless it is worth sending again.
    pub(super) fn take_stored(
        &mut self,
        id: CallId,
        ticket: Ticket,
        mut storing: Box<Storing>,
        answered: Answered,
    ) -> Option<Answer> {
        let settled = storing.payment.take().map(|payment| payment.settle(&answered));
        let challenged = self.take_challenge(id, &storing.cps, &answered);
        let is_refused = challenged.is_some() || !matches!(settled, None | Some(Settled::Done));
        storing.sent = match (storing.sent, settled) {
            _ if !is_refused => return Some(stored(answered)),
            (sent, Some(Settled::FullOfToken(session))) if storing.full.len() < FULL_SESSIONS_MAX => {
                storing.full.push(session);
                sent
            }
            (Sent::Never, None) => Sent::Free,
            (Sent::Never | Sent::Free, Some(_)) => Sent::Refused,
            (Sent::Free, None) | (Sent::Refused, _) => return Some(stored(answered)),
        };
        if let Some(Err(why)) = challenged {
            return Some(Answer::Failed(no_token(&why)));
        }
        self.store_again(id, ticket, storing);
        None
    }

    /// Shows the wallet what a service wants. `None` if that is nothing.
    fn take_challenge(&self, id: CallId, cps: &CpsUri, answered: &Answered) -> Option<Result<(), String>> {
        let (wallet, CpsUri::Https(service), Ok(response)) = (self.wallet()?, cps, answered) else {
            return None;
        };
        if response.status().as_u16() != 401 {
            return None;
        }
        let challenge = response.headers().get(WWW_AUTHENTICATE)?.to_str().ok()?;
        Some(wallet.challenged(service, self.is_named(id, cps), challenge))
    }

    fn wallet(&self) -> Option<&Arc<Wallet>> {
        self.common().host.as_ref()?.wallet.as_ref()
    }
}

#[cold]
fn no_token(why: &str) -> IoFault {
    IoFault::NotAllowed(format!("the service wants a token, and there is none: {why}"))
}
