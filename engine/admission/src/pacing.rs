//! How much of a processor redemption may take, and how much of that junk.
//!
//! Junk looks like a token until public-key work was done on it. So that work is paced to a share of one core, and what of it
//! turned out to be for junk to a small part of that share. Who has shown good tokens lately has the share; all others wait
//! when junk has used its part up, which good tokens take nothing from ([`crate::RedemptionQueue`]).

use crate::limits::{
    JUNK_BURST_US, JUNK_OF_REDEMPTION_PERMILLE, JUNK_WAIT_MAX_US, PACE_BURST_US, REDEMPTION_SHARE_PERMILLE,
};

/// Paces redemption. All times in microseconds on a clock that never steps back.
#[derive(Clone, Copy, Debug)]
pub struct Pacer {
    work: Bucket,
    junk: Bucket,
}

impl Pacer {
    /// Rested at `now_us`, for a share of 1 to 1000 thousandths of a core. [`REDEMPTION_SHARE_PERMILLE`] is the default.
    pub fn new(share_permille: u32, now_us: u64) -> Self {
        let share_permille = share_permille.clamp(1, 1000);
        Self {
            work: Bucket::new(share_permille, PACE_BURST_US, u64::MAX, now_us),
            junk: Bucket::new(junk_permille(share_permille), JUNK_BURST_US, JUNK_WAIT_MAX_US, now_us),
        }
    }

    /// With the default share.
    pub fn of_redemption(now_us: u64) -> Self {
        Self::new(REDEMPTION_SHARE_PERMILLE, now_us)
    }

    /// How long to wait before the next batch for who has credit; 0 if it may begin.
    pub fn wait_us(&mut self, now_us: u64) -> u64 {
        self.work.wait_us(now_us)
    }

    /// How long to wait before the next batch for anybody else.
    pub fn wait_without_credit_us(&mut self, now_us: u64) -> u64 {
        self.wait_us(now_us).max(self.wait_junk_us(now_us))
    }

    /// How long until junk may take some more.
    pub(crate) fn wait_junk_us(&mut self, now_us: u64) -> u64 {
        self.junk.wait_us(now_us)
    }

    /// Notes that a batch has kept a core busy, of whose tokens so many were junk.
    pub fn worked(&mut self, busy_us: u64, (junk, tokens): (usize, usize), now_us: u64) {
        self.work.take(busy_us, now_us);
        let junk_us = busy_us.saturating_mul(junk as u64).div_ceil((tokens as u64).max(1));
        self.junk.take(junk_us, now_us);
    }
}

/// What junk may take, in thousandths of a core.
pub(crate) fn junk_permille(share_permille: u32) -> u32 {
    (share_permille * JUNK_OF_REDEMPTION_PERMILLE / 1000).max(1)
}

/// Fills with time and is emptied by work.
#[derive(Clone, Copy, Debug)]
struct Bucket {
    share_permille: u64,
    /// What may be worked, in thousandths of a microsecond. Below zero after work that took longer.
    credit: i64,
    credit_max: i64,
    wait_max_us: u64,
    filled_us: u64,
}

impl Bucket {
    fn new(share_permille: u32, burst_us: u64, wait_max_us: u64, now_us: u64) -> Self {
        let credit_max = i64::try_from(burst_us * 1000).unwrap_or(i64::MAX);
        let share_permille = share_permille.into();
        Self { share_permille, credit: credit_max, credit_max, wait_max_us, filled_us: now_us }
    }

    fn wait_us(&mut self, now_us: u64) -> u64 {
        self.fill(now_us);
        u64::try_from(-self.credit).map_or(0, |debt| debt.div_ceil(self.share_permille))
    }

    fn take(&mut self, busy_us: u64, now_us: u64) {
        self.fill(now_us);
        let debt_max = self.wait_max_us.saturating_mul(self.share_permille);
        let credit_min = 0i64.saturating_sub_unsigned(debt_max);
        self.credit = self.credit.saturating_sub_unsigned(busy_us.saturating_mul(1000)).max(credit_min);
    }

    fn fill(&mut self, now_us: u64) {
        let passed_us = now_us.saturating_sub(self.filled_us);
        self.filled_us = now_us.max(self.filled_us);
        let filled = self.credit.saturating_add_unsigned(passed_us.saturating_mul(self.share_permille));
        self.credit = filled.min(self.credit_max);
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
                pacer.worked(batch_us, (0, 16), now_us);
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
        pacer.worked(PACE_BURST_US, (0, 1), 1_000_000_000);
        assert_eq!(pacer.wait_us(1_000_000_000), 0);
        pacer.worked(1_000, (0, 1), 1_000_000_000);
        assert_eq!(pacer.wait_us(1_000_000_000), 4_000);
    }

    #[test]
    fn junk_is_waited_for_at_its_part_of_the_share_and_good_tokens_take_none_of_that() {
        for (junk, wanted) in [(16, 30), (8, 60), (0, 250)] {
            let mut now_us = 5_000_000;
            let (begin_us, mut pacer) = (now_us, Pacer::new(250, now_us));
            let mut busy_us = 0;
            while now_us < begin_us + 60_000_000 {
                now_us += pacer.wait_without_credit_us(now_us) + 700;
                busy_us += 700;
                pacer.worked(700, (junk, 16), now_us);
            }
            let share = busy_us * 1000 / (now_us - begin_us);
            assert!((wanted - 1..=wanted + 1).contains(&share), "{share} with {junk} of 16");
        }
    }

    #[test]
    fn junk_of_a_plugin_that_took_long_holds_nobody_up_for_longer_than_its_bound() {
        let mut pacer = Pacer::new(250, 0);
        pacer.worked(5_000_000, (1, 1), 0);
        assert_eq!((pacer.wait_junk_us(0), pacer.wait_us(0)), (JUNK_WAIT_MAX_US, 19_920_000));
    }
}
