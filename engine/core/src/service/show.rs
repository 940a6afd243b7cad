//! What a retriever sees under a number: the placements and the cover of all classes, as one list.

use super::{Item, Service};
use crate::limits::{BODY_BUCKETS_BYTES, EQUALISED_BODIES_MAX};
use crate::number::TelephoneNumber;
use crate::placement::{PlacementId, PlacementStore};
use crate::time::Timestamp;

impl Service {
    /// Everything under the called number at `now`, placements and cover, in the order of ids. At least one item.
    ///
    /// The time it takes depends on how many items there are, not on which of them are real.
    pub fn retrieve(
        &mut self,
        store: &mut dyn PlacementStore,
        number: TelephoneNumber,
        now: Timestamp,
    ) -> Vec<Item> {
        self.tally.retrieved();
        let mut items = self.own_items(store, number, now);
        if let Some((messages, store)) = self.beside(store) {
            items.append(&mut messages.own_items(store, number, now));
        }
        in_order(items)
    }

    /// What [`retrieve`](Self::retrieve) gives for each of `numbers`, in their order; what is stored under them is
    /// fetched from memory together.
    pub fn retrieve_batch(
        &mut self,
        store: &mut dyn PlacementStore,
        numbers: &[TelephoneNumber],
        now: Timestamp,
    ) -> Vec<Vec<Item>> {
        numbers.iter().for_each(|_| self.tally.retrieved());
        let mut lists = self.own_items_batch(store, numbers, now);
        if let Some((messages, store)) = self.beside(store) {
            let more = messages.own_items_batch(store, numbers, now);
            lists.iter_mut().zip(more).for_each(|(list, mut more)| list.append(&mut more));
        }
        lists.into_iter().map(in_order).collect()
    }

    /// The item `id` of a number, if it is live at `now`.
    pub fn item(
        &mut self,
        store: &mut dyn PlacementStore,
        number: TelephoneNumber,
        id: PlacementId,
        now: Timestamp,
    ) -> Option<Item> {
        let call = self.own_item(store, number, id, now);
        // Looked for whatever was found, so that the time of an answer does not tell the class.
        let message =
            self.beside(store).and_then(|(messages, store)| messages.own_item(store, number, id, now));
        call.or(message)
    }

    /// The ids under the called number at `now`, in order. At least one.
    pub fn list(
        &mut self,
        store: &mut dyn PlacementStore,
        number: TelephoneNumber,
        now: Timestamp,
    ) -> Vec<PlacementId> {
        self.tally.listed();
        let mut ids = self.own_ids(store, number, now);
        if let Some((messages, store)) = self.beside(store) {
            ids.append(&mut messages.own_ids(store, number, now));
        }
        ids.sort_unstable();
        ids
    }

    /// Everything of this class under a number, in no order.
    fn own_items(
        &mut self,
        store: &mut dyn PlacementStore,
        number: TelephoneNumber,
        now: Timestamp,
    ) -> Vec<Item> {
        let mut items = Vec::new();
        store.for_each_live(number, now, &mut |real| {
            items.push(Item { id: real.id, expires_at: real.expires_at, body: real.body.to_vec() });
        });
        self.covered(number, items, now)
    }

    fn own_items_batch(
        &mut self,
        store: &mut dyn PlacementStore,
        numbers: &[TelephoneNumber],
        now: Timestamp,
    ) -> Vec<Vec<Item>> {
        let mut lists = vec![Vec::new(); numbers.len()];
        store.for_each_live_batch(numbers, now, &mut |index, real| {
            lists[index].push(Item { id: real.id, expires_at: real.expires_at, body: real.body.to_vec() });
        });
        numbers.iter().zip(lists).map(|(number, items)| self.covered(*number, items, now)).collect()
    }

    /// The placements of a number and their cover.
    // rfc8816:6.2-1.
    fn covered(&mut self, number: TelephoneNumber, mut items: Vec<Item>, now: Timestamp) -> Vec<Item> {
        self.cover.advance(now);
        for real in items.iter().take(EQUALISED_BODIES_MAX) {
            self.cover.spend_a_body(&real.id, real.body.len(), &mut self.scratch);
        }
        for dummy in self.cover.live(number, now) {
            let mut body = Vec::with_capacity(dummy.body_bytes);
            self.cover.write_body(&dummy, &mut body);
            items.push(Item { id: dummy.id, expires_at: dummy.expires_at, body });
        }
        items
    }

    fn own_item(
        &mut self,
        store: &mut dyn PlacementStore,
        number: TelephoneNumber,
        id: PlacementId,
        now: Timestamp,
    ) -> Option<Item> {
        self.cover.advance(now);
        let mut found = None;
        store.find_live(number, id, now, &mut |real| {
            found = Some(Item { id, expires_at: real.expires_at, body: real.body.to_vec() });
        });
        let dummy = self.cover.live(number, now).into_iter().find(|dummy| dummy.id == id);
        match (&found, dummy) {
            (None, Some(dummy)) => {
                let mut body = Vec::with_capacity(dummy.body_bytes);
                self.cover.write_body(&dummy, &mut body);
                found = Some(Item { id, expires_at: dummy.expires_at, body });
            }
            (found, _) => {
                let body_bytes = found.as_ref().map_or(BODY_BUCKETS_BYTES[0], |real| real.body.len());
                self.cover.spend_a_body(&id, body_bytes, &mut self.scratch);
            }
        }
        found
    }

    /// The ids of this class, in no order.
    fn own_ids(
        &mut self,
        store: &mut dyn PlacementStore,
        number: TelephoneNumber,
        now: Timestamp,
    ) -> Vec<PlacementId> {
        self.cover.advance(now);
        let mut ids: Vec<_> = self.cover.live(number, now).iter().map(|dummy| dummy.id).collect();
        store.for_each_live_id(number, now, &mut |id| ids.push(id));
        ids
    }
}

/// Items in the order of their ids, which tells nothing.
fn in_order(mut items: Vec<Item>) -> Vec<Item> {
    items.sort_unstable_by_key(|item| item.id);
    items
}
