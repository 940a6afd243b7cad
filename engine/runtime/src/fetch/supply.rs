//! Documents that the host program supplies: at once when it is asked, or later.

use std::collections::HashMap;

use herald_core::Timestamp;
use herald_stir::services::{Answer, Fetched, IoFault};

use super::{AnswerWaiter, Key};
use crate::limits::{SUPPLIES_AWAITED_MAX, SUPPLY_DEADLINE_MS};

/// What a host program says when a document is wanted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Supply {
    /// This is it, to be kept for so many seconds, within the fetcher's bounds.
    Document {
        /// The document.
        body: Vec<u8>,
        /// How long it holds, in seconds.
        fresh_s: u64,
    },
    /// It is to be fetched, if its host is allowed.
    Fetch,
    /// There is none, and nobody is to be asked.
    Absent,
    /// It comes later, through [`Fetcher::insert`](super::Fetcher::insert) from any thread. Until then, or for
    /// [`SUPPLY_DEADLINE_MS`], the host program is not asked again; whoever wants it waits within a deadline of their own.
    Later,
}

/// Asked for a document before its host is: the host program's own store. Called on a worker's thread and must not
/// block; if it panics it says
/// [`Supply::Fetch`].
pub type Supplier = dyn Fn(&str, Fetched) -> Supply + Send + Sync;

/// Who waits for documents that the host program brings later.
#[derive(Default)]
pub(super) struct Awaited {
    waits: HashMap<Key, Wait>,
}

struct Wait {
    until: Timestamp,
    waiters: Vec<Box<dyn AnswerWaiter>>,
}

impl Awaited {
    /// The place of one more waiter for a document that others wait for.
    pub(super) fn waiters(&mut self, key: &Key, now: Timestamp) -> Option<&mut Vec<Box<dyn AnswerWaiter>>> {
        self.waits.get_mut(key).filter(|wait| now < wait.until).map(|wait| &mut wait.waiters)
    }

    /// `waiter` waits from now on. Those who waited in vain for the same document are told so. `false` if too many
    /// documents are awaited. O(1), but O(documents) at the bound.
    pub(super) fn begin(&mut self, key: &Key, waiter: Box<dyn AnswerWaiter>, now: Timestamp) -> bool {
        self.take(key).iter().for_each(|waiter| waiter.tell(Answer::Failed(IoFault::TimedOut)));
        if self.waits.len() >= SUPPLIES_AWAITED_MAX {
            self.waits.retain(|_, wait| now < wait.until);
        }
        let has_room = self.waits.len() < SUPPLIES_AWAITED_MAX;
        if has_room {
            let until = now.plus_millis(SUPPLY_DEADLINE_MS);
            self.waits.insert(key.clone(), Wait { until, waiters: vec![waiter] });
        }
        has_room
    }

    /// Who waited for a document that has come.
    pub(super) fn take(&mut self, key: &Key) -> Vec<Box<dyn AnswerWaiter>> {
        self.waits.remove(key).map_or_else(Vec::new, |wait| wait.waiters)
    }
}
