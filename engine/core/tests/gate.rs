//! Batches where stores need tokens: each record is asked of the gate once, in order, however the bytes arrive, and what
//! cannot be kept is given back.

mod common;

use common::{House, number};
use herald_core::batch::{self, CREDENTIAL_BYTES, Outcome, Stored};
use herald_core::{
    BatchExchange, Effect, Gate, GatedStore, Passage, PlacementId, Problem, Request, Room, Storing,
    TelephoneNumber, Timestamp,
};

/// Lets in by the first byte of the credential, and writes down what it is asked.
#[derive(Default)]
struct Doorkeeper {
    asked: Vec<(u8, TelephoneNumber, usize)>,
    given_back: Vec<PlacementId>,
}

const IN_AS: u8 = 0;
const IN_ANEW: u8 = 1;
const AGAIN: u8 = 2;
const IF_ROOM: u8 = 3;

fn id_of(credential: &[u8; CREDENTIAL_BYTES]) -> PlacementId {
    PlacementId::from_bytes([credential[1]; 16])
}

impl Gate for Doorkeeper {
    fn judge(&mut self, stores: &[GatedStore<'_>], _: Timestamp, passages: &mut Vec<Passage>) {
        for store in stores {
            self.asked.push((store.credential[1], store.number, store.body.len()));
            passages.push(match store.credential[0] {
                IN_AS => Passage::In(Some(id_of(store.credential))),
                IN_ANEW => Passage::In(None),
                AGAIN => Passage::Again(id_of(store.credential)),
                IF_ROOM => Passage::InIfRoom(id_of(store.credential)),
                _ => Passage::Out(Outcome::Proof),
            });
        }
    }

    fn give_back(&mut self, id: PlacementId, _: TelephoneNumber) {
        self.given_back.push(id);
    }

    /// A token may have one under a number.
    fn room(
        &self,
        _: (PlacementId, TelephoneNumber),
        live: &mut dyn FnMut() -> Vec<PlacementId>,
        _: u32,
        _: Timestamp,
    ) -> Room {
        if live().is_empty() { Room::Free } else { Room::UsedByToken }
    }
}

fn credential(kind: u8, mark: u8) -> [u8; CREDENTIAL_BYTES] {
    let mut credential = [0xee; CREDENTIAL_BYTES];
    (credential[0], credential[1]) = (kind, mark);
    credential
}

fn answer(
    house: &mut House,
    gate: &mut Doorkeeper,
    body: &[u8],
    piece_bytes: usize,
) -> Result<Vec<u8>, Problem> {
    let content_type = Some(batch::MEDIA_TYPE);
    let head = Request { method: "POST", target: batch::STORE_PATH, content_type, ..Request::default() };
    let mut exchange = BatchExchange::open(&head, house.storing)?.expect("a batch").gated()?;
    let (mut out, mut effect) = (Vec::new(), Effect::None);
    for mut piece in body.chunks(piece_bytes) {
        while !piece.is_empty() {
            let (service, store) = (&mut house.service, &mut house.store);
            let (storing, now) = (house.storing, house.now);
            let stepped =
                service.step_gated(store, gate, &mut exchange, &mut piece, &mut out, storing, now)?;
            effect = if stepped == Effect::MakeDurable { stepped } else { effect };
        }
    }
    exchange.end(None, &mut out)?;
    let is_any_kept = out.contains(&Outcome::Done.code());
    assert_eq!(effect == Effect::MakeDurable, is_any_kept);
    Ok(out)
}

fn results(mut answer: &[u8]) -> Vec<Stored> {
    batch::take_version(&mut answer).expect("a version");
    core::iter::from_fn(|| batch::take_stored(&mut answer).expect("results")).collect()
}

#[test]
fn each_placement_is_asked_once_and_kept_as_the_gate_says_in_pieces_of_any_size() {
    let mut body = batch::begin_gated();
    let kinds = [IN_AS, IN_ANEW, 9, AGAIN, IN_AS];
    let called = number("12225552222");
    for (mark, kind) in kinds.into_iter().enumerate() {
        let mark = u8::try_from(mark).expect("few");
        // The last one says that it was stored before under the id of the first.
        let mark = if kind == AGAIN { 0 } else { mark };
        batch::put_gated(&mut body, &credential(kind, mark), called, &[7; 640]).expect("a size");
    }
    for piece_bytes in [1, 37, 700, body.len()] {
        let (mut house, mut gate) = (House::new(1), Doorkeeper::default());
        let results = results(&answer(&mut house, &mut gate, &body, piece_bytes).expect("a batch"));
        let marks: Vec<_> = gate.asked.iter().map(|(mark, ..)| *mark).collect();
        assert_eq!(marks, [0, 1, 2, 0, 4], "in pieces of {piece_bytes}");
        assert!(gate.asked.iter().all(|(_, number, bytes)| (*number, *bytes) == (called, 640)));
        let done = |mark: u8| Stored::Done(PlacementId::from_bytes([mark; 16]));
        assert_eq!((results[0], results[4]), (done(0), done(4)));
        assert!(matches!(results[1], Stored::Done(id) if id != PlacementId::from_bytes([1; 16])));
        assert_eq!((results[2], results[3]), (Stored::Refused(Outcome::Proof), done(0)));
        assert!(gate.given_back.is_empty());
    }
}

#[test]
fn what_was_let_in_and_cannot_be_kept_is_given_back_and_what_is_gone_is_not_there_again() {
    let (mut house, mut gate) = (House::new(1), Doorkeeper::default());
    let mut body = batch::begin_gated();
    let called = number("12225552222");
    batch::put_gated(&mut body, &credential(IN_AS, 1), called, &[7; 641]).expect("a size below the largest");
    batch::put_gated(&mut body, &credential(AGAIN, 2), called, &[7; 640]).expect("a size");
    let told = results(&answer(&mut house, &mut gate, &body, body.len()).expect("a batch"));
    assert_eq!(told, [Stored::Refused(Outcome::BodySize), Stored::Refused(Outcome::Used)]);
    assert_eq!(gate.given_back, [PlacementId::from_bytes([1; 16])]);
    house.storing = Storing::Impossible;
    answer(&mut house, &mut gate, &body, body.len()).expect_err("the disk is away");
    assert_eq!(gate.asked.len(), 2, "nobody is asked while nothing can be kept");
}

#[test]
fn room_is_looked_for_behind_what_was_kept_of_a_batch_and_not_behind_what_was_not() {
    let (mut house, mut gate) = (House::new(1), Doorkeeper::default());
    let mut body = batch::begin_gated();
    let called = number("12225552222");
    for (mark, bytes) in [(1, 641), (2, 640), (3, 640)] {
        let credential = credential(IF_ROOM, mark);
        batch::put_gated(&mut body, &credential, called, &vec![7; bytes]).expect("below the largest");
    }
    let told = results(&answer(&mut house, &mut gate, &body, body.len()).expect("a batch"));
    let id = |mark: u8| PlacementId::from_bytes([mark; 16]);
    let refused = Stored::Refused;
    assert_eq!(told, [refused(Outcome::BodySize), Stored::Done(id(2)), refused(Outcome::NumberUsed)]);
    assert_eq!(gate.given_back, [id(1)]);
}

#[test]
fn a_batch_without_credentials_is_refused_where_they_are_needed_and_the_other_way_round() {
    let (mut house, mut gate) = (House::new(1), Doorkeeper::default());
    let mut plain = batch::begin();
    batch::put_placement(&mut plain, number("12225552222"), &[7; 640]).expect("a size");
    let refused = answer(&mut house, &mut gate, &plain, plain.len());
    assert_eq!(refused, Err(Problem::BatchVersion(batch::GATED_VERSION)));
    assert!(gate.asked.is_empty());
}

#[test]
fn a_request_says_whether_it_stores_before_anything_is_spent_on_it() {
    let store = Request {
        method: "POST",
        target: "/cps/12225552222/ppts",
        content_type: Some("application/passport"),
        body: &[7; 640],
        ..Request::default()
    };
    assert_eq!(store.asks_to_store(Storing::Possible), Ok(Some(number("12225552222"))));
    let asked = |request: Request<'_>| request.asks_to_store(Storing::Possible);
    assert_eq!(asked(Request { method: "GET", ..store }), Ok(None));
    assert_eq!(asked(Request { target: "/cps/12225552222/ppts?inline=1", ..store }), Ok(None));
    assert_eq!(asked(Request { content_type: None, ..store }), Err(Problem::MediaType));
    assert_eq!(asked(Request { body: &[7; 641], ..store }), Err(Problem::BodySize(641)));
    assert_eq!(store.asks_to_store(Storing::Impossible), Err(Problem::Unavailable));
    let id = "00112233445566778899aabbccddeeff";
    let target = format!("/cps/1.222.555.2222/ppts/{id}/report");
    let report = Request { method: "POST", target: &target, ..Request::default() };
    let item = (number("12225552222"), id.parse().expect("an id"));
    assert_eq!(report.asks_to_report(), Ok(Some(item)));
    assert_eq!(Request { method: "GET", ..report }.asks_to_report(), Err(Problem::Method("POST")));
    assert_eq!(store.asks_to_report(), Ok(None));
}
