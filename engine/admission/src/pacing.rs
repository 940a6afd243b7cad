//! How much of a processor redemption may take, and who waits for it.
//!
//! Junk looks like a token until public-key work was done on it. So that work is paced to a share of one core, and what
//! waits for it is bounded and taken in turn from each source: junk costs that share and no more, open sessions never wait
//! for it, and one source that floods only delays itself.

use std::collections::{BTreeMap, VecDeque};

use crate::limits::{PACE_BURST_US, REDEMPTION_SHARE_PERMILLE, REDEMPTIONS_WAITING_MAX};
use crate::refusal::Refusal;

/// Paces work to a share of one core: a bucket that fills with time and is emptied by work. All times in microseconds on
/// a clock that never steps back.
#[derive(Clone, Copy, Debug)]
pub struct Pacer {
    share_permille: u64,
    /// What may be worked, in thousandths of a microsecond. Below zero after work that took longer.
    credit: i64,
    filled_us: u64,
}

impl Pacer {
    /// A full bucket at `now_us`, for a share of 1 to 1000 thousandths. [`REDEMPTION_SHARE_PERMILLE`] is the default.
    pub fn new(share_permille: u32, now_us: u64) -> Self {
        let share_permille = u64::from(share_permille.clamp(1, 1000));
        Self { share_permille, credit: credit_max(), filled_us: now_us }
    }

    /// With the default share.
    pub fn of_redemption(now_us: u64) -> Self {
        Self::new(REDEMPTION_SHARE_PERMILLE, now_us)
    }

    /// How long to wait before the next batch; 0 if it may begin.
    pub fn wait_us(&mut self, now_us: u64) -> u64 {
        self.fill(now_us);
        u64::try_from(-self.credit).map_or(0, |debt| debt.div_ceil(self.share_permille))
    }

    /// Notes that a batch has kept a core busy.
    pub fn worked(&mut self, busy_us: u64, now_us: u64) {
        self.fill(now_us);
        self.credit = self.credit.saturating_sub_unsigned(busy_us.saturating_mul(1000));
    }

    fn fill(&mut self, now_us: u64) {
        let passed_us = now_us.saturating_sub(self.filled_us);
        self.filled_us = now_us.max(self.filled_us);
        let filled = self.credit.saturating_add_unsigned(passed_us.saturating_mul(self.share_permille));
        self.credit = filled.min(credit_max());
    }
}

fn credit_max() -> i64 {
    i64::try_from(PACE_BURST_US * 1000).unwrap_or(i64::MAX)
}

/// What waits to be redeemed. Bounded; when it is full, the source with most in it gives way.
#[derive(Debug)]
pub struct RedemptionQueue<T> {
    by_source: BTreeMap<u64, VecDeque<T>>,
    /// The sources in the order in which they are served.
    turns: VecDeque<u64>,
    count: usize,
    count_max: usize,
}

impl<T> Default for RedemptionQueue<T> {
    fn default() -> Self {
        Self::new(REDEMPTIONS_WAITING_MAX)
    }
}

impl<T> RedemptionQueue<T> {
    /// A queue of up to `count_max`, at least one.
    pub fn new(count_max: usize) -> Self {
        Self { by_source: BTreeMap::new(), turns: VecDeque::new(), count: 0, count_max: count_max.max(1) }
    }

    /// How many wait.
    pub fn len(&self) -> usize {
        self.count
    }

    /// Whether nobody waits.
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// Adds `item`, which came from `source`: a connection, or whatever tells those apart who flood.
    ///
    /// When the queue is full and another source has two more waiting than this one, the latest of that gives way and is
    /// returned, to be refused.
    ///
    /// # Errors
    /// `item` itself, to be refused, if nobody gives way.
    pub fn push(&mut self, source: u64, item: T) -> Result<Option<T>, T> {
        let mut gave_way = None;
        if self.count >= self.count_max {
            let ours = self.by_source.get(&source).map_or(0, VecDeque::len);
            let Some(longest) = self.longest().filter(|(_, waiting)| *waiting > ours + 1) else {
                return Err(item);
            };
            gave_way = self.by_source.get_mut(&longest.0).and_then(VecDeque::pop_back);
            self.count -= usize::from(gave_way.is_some());
        }
        let waiting = self.by_source.entry(source).or_default();
        if waiting.is_empty() {
            self.turns.push_back(source);
        }
        waiting.push_back(item);
        self.count += 1;
        Ok(gave_way)
    }

    /// Whether [`push`](Self::push) would take an item of `source` now: cheap, to refuse before anything is done for it.
    pub fn takes(&self, source: u64) -> bool {
        let ours = || self.by_source.get(&source).map_or(0, VecDeque::len);
        self.count < self.count_max || self.longest().is_some_and(|(_, waiting)| waiting > ours() + 1)
    }

    /// The next one: sources take turns.
    pub fn pop(&mut self) -> Option<T> {
        let source = self.turns.pop_front()?;
        let waiting = self.by_source.get_mut(&source)?;
        let item = waiting.pop_front()?;
        if waiting.is_empty() {
            self.by_source.remove(&source);
        } else {
            self.turns.push_back(source);
        }
        self.count -= 1;
        Some(item)
    }

    /// What to say to who is refused here: when what waits now will be gone, at `each_us` for one and the pace of
    /// `share_permille`.
    pub fn refusal(&self, each_us: u64, share_permille: u32) -> Refusal {
        let wait_us = (self.count as u64).saturating_mul(each_us).saturating_mul(1000);
        let wait_s = wait_us.div_ceil(u64::from(share_permille.max(1))).div_ceil(1_000_000);
        Refusal::Queue { retry_after_s: u32::try_from(wait_s.max(1)).unwrap_or(u32::MAX) }
    }

    /// The source with most waiting. Two or more wait there if it gives way, so it keeps its turn.
    fn longest(&self) -> Option<(u64, usize)> {
        self.by_source
            .iter()
            .map(|(source, waiting)| (*source, waiting.len()))
            .max_by_key(|(_, waiting)| *waiting)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn work_that_is_always_there_gets_its_share_of_a_core_and_no_more() {
        for (share_permille, batch_us) in [(250, 1_000), (250, 40_000), (100, 500), (1000, 1_000)] {
            let mut now_us = 5_000_000;
            let (begin_us, mut pacer) = (now_us, Pacer::new(share_permille, now_us));
            let mut busy_us = 0;
            while now_us < begin_us + 60_000_000 {
                now_us += pacer.wait_us(now_us);
                assert_eq!(pacer.wait_us(now_us), 0, "as long as it said");
                now_us += batch_us;
                busy_us += batch_us;
                pacer.worked(batch_us, now_us);
            }
            let share = busy_us * 1000 / (now_us - begin_us);
            let wanted = u64::from(share_permille);
            assert!(
                (wanted - 5..=wanted + 5).contains(&share),
                "{share} of {wanted}, batches of {batch_us} us"
            );
        }
    }

    #[test]
    fn who_was_idle_may_work_a_burst_and_then_at_the_pace() {
        let mut pacer = Pacer::new(250, 0);
        pacer.worked(PACE_BURST_US, 1_000_000_000);
        assert_eq!(pacer.wait_us(1_000_000_000), 0);
        pacer.worked(1_000, 1_000_000_000);
        assert_eq!(pacer.wait_us(1_000_000_000), 4_000);
    }

    #[test]
    fn a_source_that_floods_delays_itself() {
        let mut queue = RedemptionQueue::new(100);
        for index in 0..100 {
            assert_eq!(queue.push(1, (1, index)), Ok(None));
        }
        assert!(!queue.takes(1) && queue.takes(2));
        assert_eq!(queue.push(1, (1, 100)), Err((1, 100)), "full of its own");
        assert_eq!(queue.push(2, (2, 0)), Ok(Some((1, 99))), "the flood gives way");
        assert_eq!((queue.pop(), queue.pop(), queue.pop()), (Some((1, 0)), Some((2, 0)), Some((1, 1))));
        assert_eq!(queue.len(), 97);
        let popped = std::iter::from_fn(|| queue.pop()).count();
        assert_eq!((popped, queue.len(), queue.turns.len(), queue.by_source.len()), (97, 0, 0, 0));
    }

    #[test]
    fn a_thousand_sources_with_one_each_give_way_to_nobody() {
        let mut queue = RedemptionQueue::new(1000);
        for source in 0..1000 {
            assert!(queue.push(source, source).is_ok());
        }
        assert_eq!(queue.push(1000, 1000), Err(1000));
        assert_eq!(queue.refusal(42, 250), Refusal::Queue { retry_after_s: 1 });
        assert_eq!(queue.refusal(42_000, 250), Refusal::Queue { retry_after_s: 168 });
    }
}
