//! Stores that are broken on purpose, each in one way.

use std::thread;

use herald_core::{
    NewPlacement, PlacementId, PlacementRef, PlacementStore, Refusal, TelephoneNumber, Timestamp,
};

/// How a [`Planted`] store is broken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bug {
    /// Every sixteenth append is acknowledged and forgotten.
    Lost,
    /// Every sixteenth append is kept twice.
    Doubled,
    /// Placements are shown for a while after they have expired.
    ShownExpired,
    /// Placements are no longer shown a while before they expire.
    HiddenEarly,
    /// The two newest placements change places in walks.
    Swapped,
    /// An append is acknowledged first and published with the handle's next call.
    PublishedLate,
    /// The bound of a number is looked at first and the append made later, without looking again.
    BoundRaced,
    /// Placements live half as long again as was asked.
    KeptLonger,
    /// A batch is appended from its end.
    BatchReversed,
}

impl Bug {
    /// All of them.
    pub const ALL: [Self; 9] = [
        Self::Lost,
        Self::Doubled,
        Self::ShownExpired,
        Self::HiddenEarly,
        Self::Swapped,
        Self::PublishedLate,
        Self::BoundRaced,
        Self::KeptLonger,
        Self::BatchReversed,
    ];
}

/// How wrong the clock of a broken store is.
const WRONG_BY_MS: u64 = 20;

/// A store with a bug, or without: what stands around it must not break it by itself.
#[derive(Debug)]
pub struct Planted<S> {
    store: S,
    bug: Option<Bug>,
    appends: u64,
    held: Vec<Item>,
}

#[derive(Debug)]
struct Item {
    number: Option<TelephoneNumber>,
    id: PlacementId,
    expires_at: Timestamp,
    body: Vec<u8>,
}

impl<S: PlacementStore> Planted<S> {
    /// Breaks `store`, if there is a bug.
    pub const fn new(store: S, bug: Option<Bug>) -> Self {
        Self { store, bug, appends: 0, held: Vec::new() }
    }

    fn publish_held(&mut self, now: Timestamp) {
        for item in self.held.drain(..) {
            let number = item.number.expect("held with its number");
            let placement =
                NewPlacement { number, id: item.id, expires_at: item.expires_at, body: &item.body };
            // A refusal makes it a lost append, which is as wrong.
            let _ = self.store.append(&placement, u32::MAX, now);
        }
    }

    fn count(&mut self, number: TelephoneNumber, now: Timestamp) -> u32 {
        let mut live = 0;
        self.store.for_each_live(number, now, &mut |_| live += 1);
        live
    }
}

impl<S: PlacementStore> PlacementStore for Planted<S> {
    fn append(
        &mut self,
        placement: &NewPlacement<'_>,
        records_max: u32,
        now: Timestamp,
    ) -> Result<(), Refusal> {
        self.publish_held(now);
        self.appends += 1;
        let is_chosen = self.appends.is_multiple_of(16);
        match self.bug {
            Some(Bug::Lost) if is_chosen => Ok(()),
            Some(Bug::Doubled) if is_chosen => {
                self.store.append(placement, records_max, now)?;
                self.store.append(placement, u32::MAX, now)
            }
            Some(Bug::PublishedLate) => {
                let &NewPlacement { number, id, expires_at, body } = placement;
                self.held.push(Item { number: Some(number), id, expires_at, body: body.to_vec() });
                Ok(())
            }
            Some(Bug::BoundRaced) => {
                if self.count(placement.number, now) >= records_max {
                    return Err(Refusal::NumberFull);
                }
                thread::yield_now();
                self.store.append(placement, u32::MAX, now)
            }
            Some(Bug::KeptLonger) => {
                let lifetime_ms = placement.expires_at.millis_since(now);
                let expires_at = placement.expires_at.plus_millis(lifetime_ms / 2);
                self.store.append(&NewPlacement { expires_at, ..*placement }, records_max, now)
            }
            _ => self.store.append(placement, records_max, now),
        }
    }

    fn for_each_live(
        &mut self,
        number: TelephoneNumber,
        now: Timestamp,
        visit: &mut dyn FnMut(PlacementRef<'_>),
    ) {
        self.publish_held(now);
        let asked = match self.bug {
            Some(Bug::ShownExpired) => Timestamp::from_millis(now.as_millis() - WRONG_BY_MS),
            Some(Bug::HiddenEarly) => now.plus_millis(WRONG_BY_MS),
            _ => now,
        };
        let mut items = Vec::new();
        self.store.for_each_live(number, asked, &mut |item| {
            let PlacementRef { id, expires_at, body } = item;
            items.push(Item { number: None, id, expires_at, body: body.to_vec() });
        });
        if self.bug == Some(Bug::Swapped) && items.len() >= 2 {
            items.swap(0, 1);
        }
        for item in &items {
            visit(PlacementRef { id: item.id, expires_at: item.expires_at, body: &item.body });
        }
    }

    fn append_batch(
        &mut self,
        placements: &[NewPlacement<'_>],
        records_max: u32,
        now: Timestamp,
        results: &mut [Result<(), Refusal>],
    ) {
        let mut each: Vec<_> = placements.iter().zip(results).collect();
        if self.bug == Some(Bug::BatchReversed) {
            each.reverse();
        }
        for (placement, result) in each {
            *result = self.append(placement, records_max, now);
        }
    }
}
