//! Who may store: what the service is told of each store where tokens are needed, and what it asks where a number is
//! crowded. It knows no tokens.

use super::message::{Answer, Effect, Request, Response};
use super::problem::Problem;
use super::route::{self, PASSPORT_TYPE, Route};
use super::tally::NotStored;
use super::{Service, Storing, item_path};
use crate::batch::{CREDENTIAL_BYTES, Outcome};
use crate::class::PlacementClass;
use crate::limits::{BODY_BUCKETS_BYTES, BODY_BYTES_MAX, RECORDS_PER_NUMBER_MAX};
use crate::number::TelephoneNumber;
use crate::placement::{NewPlacement, PlacementId, PlacementStore, Refusal};
use crate::time::Timestamp;

/// Decides which placements of batches may be stored.
pub trait Gate {
    /// Judges each of `stores`, as if one came after the other. A passage for each goes into `passages`, which is empty.
    fn judge(&mut self, stores: &[GatedStore<'_>], now: Timestamp, passages: &mut Vec<Passage>);

    /// One that was let in under this id could not be kept.
    fn give_back(&mut self, id: PlacementId, number: TelephoneNumber);

    /// How many placements a number may hold before [`room`](Self::room) is asked for each that is let in.
    fn uncontested(&self) -> u32 {
        u32::MAX
    }

    /// Whether one that was let in under this id finds room under its number, which has room for `room` and holds what `live`
    /// gives. The gate need not ask for it.
    fn room(
        &self,
        _store: (PlacementId, TelephoneNumber),
        _live: &mut dyn FnMut() -> Vec<PlacementId>,
        _room: u32,
        _now: Timestamp,
    ) -> Room {
        Room::Free
    }
}

/// Whether a store finds room under its number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Room {
    /// It does.
    Free,
    /// It does in what others leave to those like it, for which the number has room up to
    /// [`RECORDS_PER_NUMBER_MAX`] however low its own bound is now.
    Left,
    /// Its token has stored enough there.
    UsedByToken,
    /// All that may be there of those like it is there.
    UsedByOthers,
}

/// A store to be judged.
#[derive(Clone, Copy, Debug)]
pub struct GatedStore<'a> {
    /// By what right.
    pub credential: &'a [u8; CREDENTIAL_BYTES],
    /// The called number.
    pub number: TelephoneNumber,
    /// The sealed PASSporT.
    pub body: &'a [u8],
}

/// What is to become of a store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Passage {
    /// It is kept under this id, or under a new one.
    In(Option<PlacementId>),
    /// It is kept under this id if the gate finds [`Gate::room`] for it.
    InIfRoom(PlacementId),
    /// It was let in before, under this id: it is there, or it is refused as [`Outcome::Used`].
    Again(PlacementId),
    /// It is refused.
    Out(Outcome),
}

impl Request<'_> {
    /// The number under which the request asks for a placement to be stored, if that is what it asks for and nothing but a
    /// token is missing to try. `None` for any other request.
    ///
    /// # Errors
    /// Those with which [`Service::handle`] refuses a store whatever is stored already, and [`Problem::ClassNotGated`].
    pub fn asks_to_store(&self, storing: Storing) -> Result<Option<TelephoneNumber>, Problem> {
        let Ok(Route::Store(number)) = Route::of(self) else { return Ok(None) };
        if !route::is_of_type(self.content_type, PASSPORT_TYPE) {
            return Err(Problem::MediaType);
        }
        let class = self.class()?;
        storing.check(class)?;
        check_gated(class)?;
        check_body(self.body).map(|()| Some(number))
    }

    /// The item that the request reports as bogus (RFC 8816 §7.5); `None` for any other request.
    ///
    /// # Errors
    /// A report that is none of an item.
    pub fn asks_to_report(&self) -> Result<Option<(TelephoneNumber, PlacementId)>, Problem> {
        route::report(self)
    }
}

/// Whether placements of `class` are let in with a token at all.
///
/// Gates count what lives under a number and give tokens out anew each epoch, so that no holder takes the room of others:
/// that is so where placements live for less than an epoch. Those of messages live for many, and a gate knows rooms by
/// number alone, not by class, so none comes through it.
pub(super) const fn check_gated(class: PlacementClass) -> Result<(), Problem> {
    match class {
        PlacementClass::Call => Ok(()),
        PlacementClass::Message => Err(Problem::ClassNotGated(class)),
    }
}

/// Whether a placement may have this body.
pub(super) fn check_body(body: &[u8]) -> Result<(), Problem> {
    if body.len() > BODY_BYTES_MAX {
        return Err(Problem::BodyTooLarge);
    }
    if BODY_BUCKETS_BYTES.contains(&body.len()) { Ok(()) } else { Err(Problem::BodySize(body.len())) }
}

impl Service {
    /// Keeps a placement that `gate` has let in, as [`store`](Self::store), under its id if there is one. The id is unique.
    ///
    /// # Errors
    /// As [`store`](Self::store).
    pub fn store_as(
        &mut self,
        store: &mut dyn PlacementStore,
        gate: &dyn Gate,
        (number, body): (TelephoneNumber, &[u8]),
        id: Option<PlacementId>,
        now: Timestamp,
    ) -> Result<PlacementId, Problem> {
        let mut result = Vec::with_capacity(1);
        self.store_each(store, Some(gate), core::iter::once((number, body, id)), now, &mut result);
        result.pop().expect("one result for one placement")
    }

    /// Keeps a placement that `gate` has let in under this id if there is room for it. `None`: its token has stored enough
    /// under the number, and nothing was kept.
    ///
    /// # Errors
    /// As [`store`](Self::store).
    pub fn store_if_room(
        &mut self,
        store: &mut dyn PlacementStore,
        gate: &dyn Gate,
        (number, body): (TelephoneNumber, &[u8]),
        id: PlacementId,
        now: Timestamp,
    ) -> Option<Result<PlacementId, Problem>> {
        let placement = match self.placement(number, body, now) {
            Ok(placement) => NewPlacement { id, ..placement },
            Err(problem) => {
                self.not_stored(&problem);
                return Some(Err(problem));
            }
        };
        let result = self.contest(store, Some(gate), &placement, now)?;
        Some(self.tallied(&placement, result))
    }

    /// What becomes of a placement for which its number has not surely room: it has while it is not full, and if the gate
    /// says so. `None`: its token has stored enough there. The number's own bound takes a hash to know.
    pub(super) fn contest(
        &self,
        store: &mut dyn PlacementStore,
        gate: Option<&dyn Gate>,
        placement: &NewPlacement<'_>,
        now: Timestamp,
    ) -> Option<Result<(), Refusal>> {
        let room = self.records_max(placement.number, now);
        let found = gate.map_or(Room::Free, |gate| {
            let mut live = || live_ids(store, placement.number, now);
            gate.room((placement.id, placement.number), &mut live, room, now)
        });
        match found {
            Room::Free => Some(store.append(placement, room, now)),
            Room::Left => Some(store.append(placement, RECORDS_PER_NUMBER_MAX, now)),
            Room::UsedByToken => None,
            Room::UsedByOthers => Some(Err(Refusal::NumberFull)),
        }
    }

    /// Whether a placement of this id is live under the number. Cover is not looked at.
    pub fn holds(
        &self,
        store: &mut dyn PlacementStore,
        number: TelephoneNumber,
        id: PlacementId,
        now: Timestamp,
    ) -> bool {
        let mut is_there = false;
        store.for_each_live_id(number, now, &mut |live| is_there |= live == id);
        is_there
    }

    /// The answer to a store that was kept.
    pub fn stored(number: TelephoneNumber, id: PlacementId) -> Answer {
        let response = Response { status: 201, headers: Vec::new(), body: Vec::new() };
        let response = response.with("location", item_path(number, id));
        Answer { response, effect: Effect::MakeDurable }
    }

    /// Keeps each of `stores` that `gate` lets in, or says at its place in `results`, which is empty, why not. Those that
    /// need room to be found come behind the others.
    pub fn store_gated(
        &mut self,
        store: &mut dyn PlacementStore,
        gate: &mut dyn Gate,
        stores: &[GatedStore<'_>],
        now: Timestamp,
        results: &mut Vec<Result<PlacementId, Outcome>>,
    ) {
        let mut passages = Vec::with_capacity(stores.len());
        gate.judge(stores, now, &mut passages);
        let let_in = stores.iter().zip(&passages).filter_map(|(one, passage)| match passage {
            Passage::In(id) => Some((one.number, one.body, *id)),
            Passage::InIfRoom(_) | Passage::Again(_) | Passage::Out(_) => None,
        });
        let mut kept = Vec::with_capacity(stores.len());
        self.store_each(store, Some(&*gate), let_in, now, &mut kept);
        let mut kept = kept.into_iter();
        for (one, passage) in stores.iter().zip(passages) {
            results.push(match passage {
                Passage::In(id) => {
                    let kept = kept.next().expect("one for each that was let in");
                    kept.map_err(|problem| given_back(gate, id, one.number, &problem))
                }
                Passage::InIfRoom(id) => {
                    match self.store_if_room(store, gate, (one.number, one.body), id, now) {
                        Some(kept) => {
                            kept.map_err(|problem| given_back(gate, Some(id), one.number, &problem))
                        }
                        None => Err(self.not_let_in(Outcome::NumberUsed)),
                    }
                }
                Passage::Again(id) if self.holds(store, one.number, id, now) => Ok(id),
                Passage::Again(_) => Err(self.not_let_in(Outcome::Used)),
                Passage::Out(outcome) => Err(self.not_let_in(outcome)),
            });
        }
    }

    #[cold]
    fn not_let_in(&self, outcome: Outcome) -> Outcome {
        self.tally.not_stored(NotStored::of_outcome(outcome));
        outcome
    }
}

/// Why one that was let in was not kept, once the gate has it back.
fn given_back(
    gate: &mut dyn Gate,
    id: Option<PlacementId>,
    number: TelephoneNumber,
    problem: &Problem,
) -> Outcome {
    if let Some(id) = id {
        gate.give_back(id, number);
    }
    Outcome::of_problem(problem)
}

fn live_ids(store: &mut dyn PlacementStore, number: TelephoneNumber, now: Timestamp) -> Vec<PlacementId> {
    let mut live = Vec::new();
    store.for_each_live_id(number, now, &mut |id| live.push(id));
    live
}
