//! Cutting sets that lie within and across one another into segments that do not.

use core::cmp::Reverse;
use std::collections::{BTreeSet, BinaryHeap};

use super::build::Set;
use super::layout::{SECTION_SHIFT, Value, free_signs};

/// Gives `emit` the first key of each segment and its value: what the smallest set there says, for each side. A
/// segment goes on until the next; before the first and behind the last there is nothing. `sets` are in the order of
/// their first keys, the larger first where those are the same. Of sets of one size the one that begins first says it.
/// O(n log n).
pub(super) fn sweep(sets: &[Set], mut emit: impl FnMut(u64, Value)) {
    let mut state = Sweep { sets, ends: BinaryHeap::new(), here: Default::default() };
    let mut pending: Option<(u64, Value)> = None;
    let mut before = Value::default();
    let mut change = |at: u64, value: Value| {
        match pending {
            Some((pending_at, _)) if pending_at == at => {}
            Some((pending_at, pending_value)) if pending_value != before => {
                emit(pending_at, pending_value);
                before = pending_value;
            }
            _ => {}
        }
        pending = Some((at, value));
    };
    for (index, set) in sets.iter().enumerate() {
        state.end_before(set.first, &mut change);
        state.begin(index, set);
        change(set.first, state.value());
    }
    state.end_before(u64::MAX, &mut change);
    // Brings out what is still pending: at the end there is nothing.
    change(u64::MAX, Value::default());
}

/// The sets that hold the key where the sweep is.
struct Sweep<'a> {
    sets: &'a [Set],
    /// Their last keys.
    ends: BinaryHeap<Reverse<(u64, usize)>>,
    /// Those that say something for a side, the smallest first: how many keys they have, less one.
    here: [BTreeSet<(u64, usize)>; 2],
}

impl Sweep<'_> {
    fn begin(&mut self, index: usize, set: &Set) {
        self.ends.push(Reverse((set.last, index)));
        for (here, service) in self.here.iter_mut().zip(set.services) {
            if service != 0 {
                here.insert((set.last - set.first, index));
            }
        }
    }

    /// Ends the sets whose last key is before `key`.
    fn end_before(&mut self, key: u64, change: &mut impl FnMut(u64, Value)) {
        while let Some(&Reverse((last, index))) = self.ends.peek()
            && last < key
        {
            self.ends.pop();
            let width = last - self.sets[index].first;
            for here in &mut self.here {
                here.remove(&(width, index));
            }
            change(last + 1, self.value());
        }
    }

    fn value(&self) -> Value {
        let mut value = Value::default();
        for (side, here) in self.here.iter().enumerate() {
            if let Some(&(width, index)) = here.first() {
                let set = &self.sets[index];
                value.services[side] = set.services[side];
                value.breadths[side] = free_signs(set.first >> SECTION_SHIFT, width + 1);
            }
        }
        value
    }
}
