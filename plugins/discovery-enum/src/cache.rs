//! What is known of numbers, for as long as the DNS said, and when it is to be looked up again.
//!
//! A number is looked up again before it is forgotten if somebody has asked for it meanwhile, or if it is to be looked up
//! ahead of calls in any case. So a DNS question rarely coincides with a call, from which the operator of the tree could
//! learn of it.

use std::collections::{BTreeSet, HashMap};

use herald_core::TelephoneNumber;

/// What a lookup has found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// https URIs, the preferred one first; none if there is nothing.
    pub uris: Vec<String>,
    /// For how many seconds that is so.
    pub fresh_s: u32,
    /// How it was found, without the number.
    pub note: String,
}

/// Numbers and what is known of them.
#[derive(Debug, Default)]
pub struct Cache {
    slots: HashMap<TelephoneNumber, Slot>,
    /// When something is to be done about numbers that calls have asked for: to look them up again, or to forget them.
    due: BTreeSet<(u64, TelephoneNumber)>,
    /// When the numbers that are kept fresh are to be looked up again.
    due_ahead: BTreeSet<(u64, TelephoneNumber)>,
    numbers_max: usize,
}

#[derive(Debug)]
struct Slot {
    known: Option<Finding>,
    until_ms: u64,
    due_ms: u64,
    was_asked: bool,
    is_ahead: bool,
}

impl Cache {
    /// An empty one that holds `numbers_max` numbers.
    pub fn new(numbers_max: usize) -> Self {
        Self { numbers_max, ..Self::default() }
    }

    /// How many numbers it holds, those that are yet to be looked up ahead too.
    pub fn number_count(&self) -> usize {
        self.slots.len()
    }

    /// What is known of `number`, with the seconds that are left.
    pub fn find(&mut self, number: TelephoneNumber, now_ms: u64) -> Option<Finding> {
        let slot = self.slots.get_mut(&number)?;
        slot.was_asked = true;
        let left_ms = slot.until_ms.checked_sub(now_ms).filter(|left_ms| *left_ms > 0)?;
        let known = slot.known.as_ref()?;
        let fresh_s = u32::try_from(left_ms / 1000).unwrap_or(u32::MAX);
        Some(Finding { fresh_s, ..known.clone() })
    }

    /// Has `number` looked up at `due_ms` for the first time, and kept fresh from then on.
    pub fn look_ahead(&mut self, number: TelephoneNumber, due_ms: u64) {
        self.put(number, Slot { known: None, until_ms: 0, due_ms, was_asked: false, is_ahead: true });
    }

    /// Remembers `finding` until its time is over. It is due again after `refresh_permille` thousandths of that.
    pub fn learn(&mut self, number: TelephoneNumber, finding: Finding, now_ms: u64, refresh_permille: u64) {
        let fresh_ms = u64::from(finding.fresh_s) * 1000;
        let is_ahead = self.slots.get(&number).is_some_and(|slot| slot.is_ahead);
        if fresh_ms == 0 && !is_ahead {
            return self.forget(number);
        }
        let due_ms = now_ms + (fresh_ms * refresh_permille / 1000).max(REFRESH_MS_MIN);
        let until_ms = now_ms + fresh_ms;
        self.put(number, Slot { known: Some(finding), until_ms, due_ms, was_asked: false, is_ahead });
    }

    /// A number whose time to be looked up again has come, if there is one. Numbers that nobody has asked for are
    /// forgotten on the way. It is then to be [learnt](Self::learn) or [postponed](Self::postpone).
    pub fn take_due(&mut self, now_ms: u64) -> Option<TelephoneNumber> {
        loop {
            let (due_ms, number) = self.first_due()?;
            if due_ms > now_ms {
                return None;
            }
            let slot = self.slots.get(&number)?;
            let (until_ms, is_over) = (slot.until_ms, slot.until_ms <= now_ms);
            if slot.is_ahead || slot.was_asked && !is_over {
                // Should it never be learnt: it goes when its time is over, or is tried again.
                self.postpone(number, until_ms.max(now_ms + REFRESH_MS_MIN));
                return Some(number);
            }
            match is_over {
                true => self.forget(number),
                false => self.postpone(number, until_ms),
            }
        }
    }

    /// Has a number that could not be looked up tried again at `due_ms`.
    pub fn postpone(&mut self, number: TelephoneNumber, due_ms: u64) {
        if let Some(mut slot) = self.take(number) {
            slot.due_ms = due_ms;
            self.insert(number, slot);
        }
    }

    /// When something is due next.
    pub fn next_due_ms(&self) -> Option<u64> {
        self.first_due().map(|(due_ms, _)| due_ms)
    }

    fn first_due(&self) -> Option<(u64, TelephoneNumber)> {
        self.due.first().into_iter().chain(self.due_ahead.first()).min().copied()
    }

    fn put(&mut self, number: TelephoneNumber, slot: Slot) {
        self.forget(number);
        while self.slots.len() >= self.numbers_max {
            // Those that are kept fresh are at most half.
            let Some(&(_, oldest)) = self.due.first() else { return };
            self.forget(oldest);
        }
        self.insert(number, slot);
    }

    fn forget(&mut self, number: TelephoneNumber) {
        self.take(number);
    }

    fn take(&mut self, number: TelephoneNumber) -> Option<Slot> {
        let slot = self.slots.remove(&number)?;
        self.due_of(&slot).remove(&(slot.due_ms, number));
        Some(slot)
    }

    fn insert(&mut self, number: TelephoneNumber, slot: Slot) {
        self.due_of(&slot).insert((slot.due_ms, number));
        self.slots.insert(number, slot);
    }

    fn due_of(&mut self, slot: &Slot) -> &mut BTreeSet<(u64, TelephoneNumber)> {
        if slot.is_ahead { &mut self.due_ahead } else { &mut self.due }
    }
}

/// Milliseconds before a number is looked up again, however short its TTL is.
const REFRESH_MS_MIN: u64 = 1000;
