//! Who waits to be redeemed, and whose turn it is.
//!
//! Bounded, and taken in turn from each source. A source with credit from good tokens ([`crate::limits::CREDIT_OF_TOKEN`]) is
//! taken whenever redemption may work. All others, of which nothing is known or whose tokens were junk, only while junk has
//! not used up its part of the share ([`Pacer`]). New ones go before junk, but for one turn in [`JUNK_TURNS`]: who shares a
//! source with junk is slowed and not shut out. So a flood costs that part, open sessions never wait, and many sources have no
//! more together than one.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use crate::limits::{JUNK_TURNS, REDEMPTIONS_WAITING_MAX};
use crate::pacing::{Pacer, junk_permille};
use crate::refusal::Refusal;
use crate::standing::{Lane, Standings};

/// What a token was worth.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It is good, and so is its first store.
    Good,
    /// It was never issued, or its store is not of who has it.
    Junk,
    /// It was not found out.
    Unknown,
}

/// What waits to be redeemed. When it is full, the source with most in it gives way, first among those whose tokens were
/// junk. Times in microseconds on the clock of the [`Pacer`].
#[derive(Debug)]
pub struct RedemptionQueue<T> {
    by_source: BTreeMap<u64, Line<T>>,
    /// The sources of each lane in the order in which they are served.
    turns: [BTreeMap<u64, u64>; Lane::COUNT],
    /// All sources, the one that gives way first at the end.
    lengths: BTreeSet<(Lane, usize, u64)>,
    next_turn: u64,
    /// Turns of sources without credit.
    turns_without_credit: u32,
    standings: Standings,
    counts: [usize; Lane::COUNT],
    count_max: usize,
}

/// What waits of a source.
#[derive(Debug)]
struct Line<T> {
    lane: Lane,
    turn: u64,
    waiting: VecDeque<T>,
}

impl<T> Default for RedemptionQueue<T> {
    fn default() -> Self {
        Self::new(REDEMPTIONS_WAITING_MAX)
    }
}

impl<T> RedemptionQueue<T> {
    /// A queue of up to `count_max`, at least one.
    pub fn new(count_max: usize) -> Self {
        Self {
            by_source: BTreeMap::new(),
            turns: Default::default(),
            lengths: BTreeSet::new(),
            next_turn: 0,
            turns_without_credit: 0,
            standings: Standings::default(),
            counts: [0; Lane::COUNT],
            count_max: count_max.max(1),
        }
    }

    /// How many wait.
    pub fn len(&self) -> usize {
        self.counts.iter().sum()
    }

    /// Whether nobody waits.
    pub fn is_empty(&self) -> bool {
        self.by_source.is_empty()
    }

    /// Adds `item`, which came from `source`: a network, or whatever tells those apart who flood.
    ///
    /// When the queue is full, the latest of a source in a worse lane gives way, or of one in the same lane that has two
    /// more waiting than this one, and is returned, to be refused.
    ///
    /// # Errors
    /// `item` itself, to be refused, if nobody gives way.
    pub fn push(&mut self, source: u64, item: T, now_us: u64) -> Result<Option<T>, T> {
        let mut gave_way = None;
        if self.len() >= self.count_max {
            let Some(other) = self.who_gives_way_to(source, now_us) else { return Err(item) };
            gave_way = self.change(other, |line| line.waiting.pop_back());
        }
        if !self.by_source.contains_key(&source) {
            let (lane, turn) = (self.standings.lane(source, now_us), self.next_turn());
            self.by_source.insert(source, Line { lane, turn, waiting: VecDeque::new() });
        }
        self.change(source, |line| line.waiting.push_back(item));
        Ok(gave_way)
    }

    /// Whether [`push`](Self::push) would take an item of `source` now: cheap, to refuse before anything is done for it.
    pub fn takes(&self, source: u64, now_us: u64) -> bool {
        self.len() < self.count_max || self.who_gives_way_to(source, now_us).is_some()
    }

    /// How long to wait before the next may be redeemed; 0 if it may be now. `None` if nobody waits.
    pub fn wait_us(&self, pacer: &mut Pacer, now_us: u64) -> Option<u64> {
        if !self.turns[Lane::Good as usize].is_empty() {
            return Some(pacer.wait_us(now_us));
        }
        (!self.is_empty()).then(|| pacer.wait_without_credit_us(now_us))
    }

    /// The next one and its source. Of a batch that has begun, whatever the batch takes so far; sources without credit wait
    /// while junk has used up its part.
    pub fn pop(&mut self, pacer: &mut Pacer, now_us: u64) -> Option<(u64, T)> {
        let may_be_junk = pacer.wait_junk_us(now_us) == 0;
        let without_credit = if may_be_junk { self.next_without_credit() } else { None };
        let next = [self.first(Lane::Good), without_credit].into_iter().flatten().min()?;
        let source = next.1;
        let turn = self.next_turn();
        let (item, lane) = self.change(source, |line| {
            line.turn = turn;
            (line.waiting.pop_front(), line.lane)
        });
        match lane {
            Lane::Good => self.standings.spend(source, now_us),
            _ => self.turns_without_credit = self.turns_without_credit.wrapping_add(1),
        }
        self.sort(source, now_us);
        Some((source, item?))
    }

    /// Notes what tokens were worth that were popped, and that they have kept a core busy.
    pub fn worked(&mut self, pacer: &mut Pacer, outcomes: &[(u64, Outcome)], busy_us: u64, now_us: u64) {
        let junk = outcomes.iter().filter(|(_, outcome)| *outcome == Outcome::Junk).count();
        pacer.worked(busy_us, (junk, outcomes.len()), now_us);
        for &(source, outcome) in outcomes {
            match outcome {
                Outcome::Good => self.standings.praise(source, now_us),
                Outcome::Junk => self.standings.blame(source, now_us),
                Outcome::Unknown => continue,
            }
            self.sort(source, now_us);
        }
    }

    /// Takes out all that waits, whoever's turn it is.
    pub fn drain(&mut self) -> impl Iterator<Item = T> + use<T> {
        self.turns = Default::default();
        self.lengths.clear();
        self.counts = [0; Lane::COUNT];
        core::mem::take(&mut self.by_source).into_values().flat_map(|line| line.waiting)
    }

    /// What to say to who is refused here: when what waits now will be gone, at `each_us` for one and the pace of
    /// `share_permille`, if all without credit is junk.
    pub fn refusal(&self, each_us: u64, share_permille: u32) -> Refusal {
        let good = self.counts[Lane::Good as usize];
        let wait_us = |count: usize, permille: u32| {
            (count as u64).saturating_mul(each_us).saturating_mul(1000) / u64::from(permille.max(1))
        };
        let wait_us =
            wait_us(good, share_permille) + wait_us(self.len() - good, junk_permille(share_permille));
        let wait_s = wait_us.div_ceil(1_000_000);
        Refusal::Queue { retry_after_s: u32::try_from(wait_s.max(1)).unwrap_or(u32::MAX) }
    }

    fn next_turn(&mut self) -> u64 {
        self.next_turn += 1;
        self.next_turn
    }

    fn first(&self, lane: Lane) -> Option<(u64, u64)> {
        self.turns[lane as usize].first_key_value().map(|(turn, source)| (*turn, *source))
    }

    fn next_without_credit(&self) -> Option<(u64, u64)> {
        let is_for_junk = self.turns_without_credit % JUNK_TURNS == JUNK_TURNS - 1;
        let [first, second] = if is_for_junk { [Lane::Junk, Lane::New] } else { [Lane::New, Lane::Junk] };
        self.first(first).or_else(|| self.first(second))
    }

    /// The source that gives way to one more of `source` when the queue is full.
    fn who_gives_way_to(&self, source: u64, now_us: u64) -> Option<u64> {
        let (lane, ours) = match self.by_source.get(&source) {
            Some(line) => (line.lane, line.waiting.len()),
            None => (self.standings.lane(source, now_us), 0),
        };
        let &(its_lane, waiting, other) = self.lengths.last()?;
        let gives_way = its_lane > lane || its_lane == lane && waiting > ours + 1;
        gives_way.then_some(other)
    }

    /// Puts a source that waits into the lane where it belongs now.
    fn sort(&mut self, source: u64, now_us: u64) {
        let lane = self.standings.lane(source, now_us);
        if self.by_source.get(&source).is_some_and(|line| line.lane != lane) {
            self.change(source, |line| line.lane = lane);
        }
    }

    /// Changes what waits of a source, and with it all that follows from it. The source is there.
    fn change<R>(&mut self, source: u64, change: impl FnOnce(&mut Line<T>) -> R) -> R {
        let line = self.by_source.get_mut(&source).expect("who is changed is there");
        let (lane, turn, length) = (line.lane, line.turn, line.waiting.len());
        let result = change(line);
        self.turns[lane as usize].remove(&turn);
        self.lengths.remove(&(lane, length, source));
        self.counts[lane as usize] -= length;
        let length = line.waiting.len();
        self.counts[line.lane as usize] += length;
        if length > 0 {
            self.turns[line.lane as usize].insert(line.turn, source);
            self.lengths.insert((line.lane, length, source));
        } else {
            self.by_source.remove(&source);
        }
        result
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What a token costs to redeem.
    const EACH_US: u64 = 45;
    /// As many as the engine has redeemed at once.
    const TOGETHER: usize = 64;
    const RELAY: u64 = 1;
    const FLOOD: u64 = 1_000;
    const NEWCOMERS: u64 = 1_000_000;

    #[derive(Clone, Copy)]
    struct Token {
        is_good: bool,
        came_ms: u64,
    }

    /// Tokens that come from each source in a second.
    #[derive(Clone, Copy)]
    struct Traffic {
        relay_good: u64,
        relay_junk: u64,
        flooders: u64,
        flood: u64,
        is_told: bool,
    }

    const FLOOD_OF_ONE: Traffic =
        Traffic { relay_good: 1_000, relay_junk: 0, flooders: 1, flood: 55_000, is_told: true };

    #[derive(Default, Debug)]
    struct Course {
        /// Thousandths of a core.
        junk_permille: u64,
        relay_came: u64,
        relay_served: u64,
        relay_waited_ms: u64,
        newcomers_served: u64,
        newcomers_waited_ms: u64,
    }

    /// Twenty seconds, the last ten of which count. Every tenth of a second somebody new comes with one good token.
    fn course(traffic: Traffic) -> Course {
        const LEARN_MS: u64 = 10_000;
        const END_MS: u64 = 20_000;
        let (mut queue, mut pacer) = (RedemptionQueue::<Token>::default(), Pacer::of_redemption(0));
        let (mut course, mut junk_us, mut sent, mut redeemer_us) = (Course::default(), 0, 0, 0);
        let due = |rate: u64, ms: u64| rate * (ms + 1) / 1_000 - rate * ms / 1_000;
        for ms in 0..END_MS {
            let (now_us, counts) = (ms * 1_000, ms >= LEARN_MS);
            let mut come = |source, is_good| {
                let _ = queue.push(source, Token { is_good, came_ms: ms }, now_us);
            };
            for _ in 0..due(traffic.flood, ms) {
                sent += 1;
                come(FLOOD + sent % traffic.flooders, false);
            }
            // Who comes first finds what became free: the good as often as its share is.
            let is_good_first = ms % (traffic.relay_junk / traffic.relay_good + 1) == 0;
            for is_good in [is_good_first, !is_good_first] {
                let rate = if is_good { traffic.relay_good } else { traffic.relay_junk };
                (0..due(rate, ms)).for_each(|_| come(RELAY, is_good));
            }
            course.relay_came += due(traffic.relay_good, ms) * u64::from(counts);
            (0..due(10, ms)).for_each(|_| come(NEWCOMERS + ms, true));
            redeemer_us = redeemer_us.max(now_us);
            while redeemer_us < now_us + 1_000 && queue.wait_us(&mut pacer, redeemer_us) == Some(0) {
                let popped = core::iter::from_fn(|| queue.pop(&mut pacer, redeemer_us));
                let batch: Vec<_> = popped.take(TOGETHER).collect();
                redeemer_us += EACH_US * batch.len() as u64;
                for (source, token) in batch.iter().filter(|_| counts) {
                    let waited_ms = ms - token.came_ms;
                    match *source {
                        _ if !token.is_good => junk_us += EACH_US,
                        RELAY => {
                            course.relay_served += 1;
                            course.relay_waited_ms = course.relay_waited_ms.max(waited_ms);
                        }
                        _ => {
                            course.newcomers_served += 1;
                            course.newcomers_waited_ms = course.newcomers_waited_ms.max(waited_ms);
                        }
                    }
                }
                let outcome = |is_good: bool| match (traffic.is_told, is_good) {
                    (false, _) => Outcome::Unknown,
                    (true, true) => Outcome::Good,
                    (true, false) => Outcome::Junk,
                };
                let outcomes: Vec<_> =
                    batch.iter().map(|(source, token)| (*source, outcome(token.is_good))).collect();
                queue.worked(&mut pacer, &outcomes, EACH_US * batch.len() as u64, redeemer_us);
            }
        }
        course.junk_permille = junk_us / (END_MS - LEARN_MS);
        course
    }

    #[test]
    fn a_flood_has_its_part_of_the_share_and_who_is_honest_waits_for_one_batch_at_most() {
        let course = course(FLOOD_OF_ONE);
        assert!((28..=32).contains(&course.junk_permille), "{course:?}");
        assert!(course.relay_served >= course.relay_came - 1 && course.relay_waited_ms <= 4, "{course:?}");
        assert!(course.newcomers_served >= 99 && course.newcomers_waited_ms <= 110, "{course:?}");
    }

    #[test]
    fn a_thousand_flooding_sources_have_no_more_together_and_delay_nobody_longer() {
        let course = course(Traffic { flooders: 1_000, ..FLOOD_OF_ONE });
        assert!((28..=32).contains(&course.junk_permille), "{course:?}");
        assert!(course.relay_served >= course.relay_came - 1 && course.relay_waited_ms <= 4, "{course:?}");
        assert!(course.newcomers_served >= 99 && course.newcomers_waited_ms <= 110, "{course:?}");
    }

    #[test]
    fn if_nobody_told_what_tokens_were_worth_junk_would_have_the_whole_share() {
        let course = course(Traffic { is_told: false, flooders: 1_000, ..FLOOD_OF_ONE });
        assert!(course.junk_permille > 200, "{course:?}");
        assert!(course.relay_served < course.relay_came / 2, "{course:?}");
    }

    #[test]
    fn who_shares_a_source_with_junk_is_served_at_the_pace_of_junk_and_not_shut_out() {
        // In credit: what is junk is outweighed.
        let few = course(Traffic { relay_junk: 500, ..FLOOD_OF_ONE });
        assert!(few.relay_served >= few.relay_came - 16 && few.relay_waited_ms <= 110, "{few:?}");
        // Mostly junk, and less than junk may have: one turn in four while others wait, all of them otherwise.
        let most = course(Traffic { relay_good: 20, relay_junk: 400, flooders: 1, flood: 0, is_told: true });
        assert!(most.relay_served >= most.relay_came - 1 && most.relay_waited_ms <= 200, "{most:?}");
        // Far more: in proportion to what junk may have.
        let flooded = course(Traffic { relay_junk: 54_000, flood: 0, ..FLOOD_OF_ONE });
        assert!(flooded.relay_served >= 50 && flooded.junk_permille <= 40, "{flooded:?}");
    }

    #[test]
    fn tokens_that_are_good_have_the_whole_share_wherever_they_come_from() {
        let (mut queue, mut pacer) = (RedemptionQueue::default(), Pacer::of_redemption(0));
        let (mut now_us, mut served) = (0, 0u64);
        while now_us < 1_000_000 {
            (0..TOGETHER).for_each(|index| {
                let _ = queue.push(now_us * 100 + index as u64, (), now_us);
            });
            now_us += queue.wait_us(&mut pacer, now_us).expect("somebody waits");
            let outcomes: Vec<_> = core::iter::from_fn(|| queue.pop(&mut pacer, now_us))
                .take(TOGETHER)
                .map(|(source, ())| (source, Outcome::Good))
                .collect();
            served += outcomes.len() as u64;
            now_us += EACH_US * outcomes.len() as u64;
            queue.worked(&mut pacer, &outcomes, EACH_US * outcomes.len() as u64, now_us);
        }
        assert!(served * EACH_US >= 245_000, "{served}");
    }

    #[test]
    fn a_source_that_floods_delays_itself() {
        let (mut queue, mut pacer) = (RedemptionQueue::new(100), Pacer::of_redemption(0));
        for index in 0..100 {
            assert_eq!(queue.push(1, (1, index), 0), Ok(None));
        }
        assert!(!queue.takes(1, 0) && queue.takes(2, 0));
        assert_eq!(queue.push(1, (1, 100), 0), Err((1, 100)), "full of its own");
        assert_eq!(queue.push(2, (2, 0), 0), Ok(Some((1, 99))), "the flood gives way");
        let mut pop = || queue.pop(&mut pacer, 0).map(|(_, item)| item);
        assert_eq!((pop(), pop(), pop()), (Some((1, 0)), Some((2, 0)), Some((1, 1))));
        assert_eq!(queue.len(), 97);
        let popped = core::iter::from_fn(|| queue.pop(&mut pacer, 0)).count();
        assert_eq!((popped, queue.len(), queue.lengths.len(), queue.by_source.len()), (97, 0, 0, 0));
        assert!(queue.turns.iter().all(BTreeMap::is_empty));
    }

    #[test]
    fn a_thousand_sources_with_one_each_give_way_to_who_has_credit_and_to_nobody_else() {
        let (mut queue, mut pacer) = (RedemptionQueue::new(1000), Pacer::of_redemption(0));
        for source in 0..1000 {
            assert!(queue.push(source, source, 0).is_ok());
        }
        assert_eq!(queue.push(1000, 1000, 0), Err(1000));
        assert_eq!(queue.refusal(42, 250), Refusal::Queue { retry_after_s: 2 });
        queue.worked(&mut pacer, &[(1001, Outcome::Good)], 45, 0);
        assert!(matches!(queue.push(1001, 1001, 0), Ok(Some(_))));
        assert_eq!(queue.pop(&mut pacer, 0).map(|(source, _)| source), Some(0), "in turn");
        // Junk beyond its part: only who has credit is served on.
        queue.worked(&mut pacer, &[(0, Outcome::Junk)], 5_000, 0);
        assert_eq!(queue.pop(&mut pacer, 0), Some((1001, 1001)));
        assert_eq!(queue.pop(&mut pacer, 0), None);
        assert_eq!(queue.wait_us(&mut pacer, 0), Some(133_334));
        assert_eq!(queue.drain().count(), 998);
        assert_eq!((queue.is_empty(), queue.len()), (true, 0));
    }
}
