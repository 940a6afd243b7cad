//! What a flood of junk tokens takes from honest stores. Whether a token of the VOPRF is junk is only known once it is
//! redeemed, so a flood asks for all the redemption there is.
//!
//! One thread receives, judges and stores; redemption has a thread of its own, paced, with a bounded queue that sources
//! take turns in, as in the engine. Both work here in turn on one thread, each step at its processor time on a common
//! time line: what comes out does not depend on what else the machine does. The control redeems each token as it comes,
//! without a pace.

use std::fmt::Write as _;

use herald_admission::limits::REDEMPTION_SHARE_PERMILLE;
use herald_admission::{Credential, Outcome, Pacer, RedemptionQueue, Suite};
use herald_plugin_sdk::Token;

use crate::client::{Holder, bodies, number_of};
use crate::clock::{busy_us, median};
use crate::limits::{BATCH, FLOOD_TIMES, IDLE_STEP_US, JUNK_TOKENS, OPEN_TOKENS, PAIRS, REDEEMED_TOGETHER};
use crate::results;
use crate::rig::{Rig, Waiting};
use crate::scheme::{AnyError, Scheme};

const STORES: u32 = 256;
const HONEST: u64 = 1;
const FLOODER: u64 = 2;

#[derive(Clone, Copy, PartialEq, Eq)]
enum Redeeming {
    /// On a thread of its own, at its pace.
    Paced,
    /// By who receives, as it comes.
    AtOnce,
}

/// Honest stores and the time they took.
#[derive(Clone, Copy, Default)]
struct Taken {
    stores: usize,
    /// On the time line of the thread that stores, in microseconds.
    passed_us: f64,
    /// What redemption kept another core busy for, in microseconds.
    redeeming_us: f64,
    junk: usize,
}

impl Taken {
    fn per_us(&self) -> f64 {
        self.stores as f64 / self.passed_us
    }

    fn per_us_of_all(&self) -> f64 {
        self.stores as f64 / (self.passed_us + self.redeeming_us)
    }
}

/// The table, and the row that is judged.
pub(crate) fn measure(rounds: usize) -> Result<String, AnyError> {
    let scheme = Scheme::voprf()?;
    let tokens = scheme.tokens(rounds * OPEN_TOKENS)?;
    let redeem_us = redeem_us(&scheme, &tokens)?;
    let capacity_per_us = f64::from(REDEMPTION_SHARE_PERMILLE) / 1000.0 / redeem_us;
    let junk_per_us = FLOOD_TIMES * capacity_per_us;
    let (mut kept, mut kept_of_all, mut control, mut rates) =
        (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for _ in 0..PAIRS {
        let calm = run(&scheme, &tokens, 0.0, Redeeming::Paced)?;
        let flooded = run(&scheme, &tokens, junk_per_us, Redeeming::Paced)?;
        assert!(flooded.junk > 0, "nothing came");
        kept.push(flooded.per_us() / calm.per_us());
        kept_of_all.push(flooded.per_us_of_all() / calm.per_us_of_all());
        rates.push(flooded.junk as f64 / flooded.passed_us * 1e3);
        let calm = run(&scheme, &tokens, 0.0, Redeeming::AtOnce)?;
        let unpaced = run(&scheme, &tokens, junk_per_us, Redeeming::AtOnce)?;
        control.push(unpaced.per_us() / calm.per_us());
    }
    let spread = |values: &[f64]| {
        let (least, most) = values
            .iter()
            .fold((f64::MAX, 0.0_f64), |(least, most), &value| (least.min(value), most.max(value)));
        (median(values.to_vec()), least, most)
    };
    let (honest, least, most) = spread(&kept);
    results::record("admission_junk_kept", honest, "x", least, most)?;
    let control = median(control);
    if control > 0.9 {
        return Err("the control, redemption without a pace, lost nothing: the flood is none".into());
    }
    let mut text = String::from("### Honest stores under junk tokens\n\n");
    writeln!(
        text,
        "Tokens of the VOPRF that were never issued, at {FLOOD_TIMES} times what redemption may take ({redeem_us:.1} µs each, \
         a quarter of a core): {:.0} k/s came. Honest stores, HMAC, N = {STORES}, their own tokens redeemed in the same \
         queue.\n",
        median(rates)
    )?;
    writeln!(text, "| | honest stores kept (least to most) |\n|---|--:|")?;
    writeln!(text, "| redemption at its pace, on another core | {honest:.3} ({least:.3} to {most:.3}) |")?;
    let (all, least, most) = spread(&kept_of_all);
    writeln!(text, "| the same, redemption's own core counted in | {all:.3} ({least:.3} to {most:.3}) |")?;
    writeln!(text, "| control: redeemed as they come | {control:.3} |")?;
    Ok(text)
}

fn redeem_us(scheme: &Scheme, tokens: &[Token]) -> Result<f64, AnyError> {
    let bodies = bodies();
    let mut rig = Rig::new(scheme, Suite::HmacSha256, STORES)?;
    let mut waiting = Vec::new();
    for (call, token) in tokens.iter().enumerate() {
        let opening = Holder::new(token, scheme.mode, Suite::HmacSha256).opening(call, &bodies);
        waiting.extend(rig.present(opening.credential, opening.number, opening.body, &bodies, true));
    }
    let (us, waiting) = busy_us(|| rig.redeem_alone(waiting));
    let each_us = us / waiting.len() as f64;
    waiting.into_iter().for_each(|waiting| rig.turn_away(waiting));
    Ok(each_us)
}

/// A service under load, on its time line.
struct Course<'a> {
    rig: Rig<'a>,
    bodies: &'a [Vec<u8>],
    redeeming: Redeeming,
    queue: RedemptionQueue<Waiting>,
    pacer: Pacer,
    redeemer_at_us: f64,
    junk: &'a [String],
    junk_per_us: f64,
    junk_due: f64,
    calls: usize,
    honest_opened: usize,
    taken: Taken,
}

fn run(scheme: &Scheme, tokens: &[Token], junk_per_us: f64, redeeming: Redeeming) -> Result<Taken, AnyError> {
    let (bodies, suite) = (bodies(), Suite::HmacSha256);
    let holders: Vec<_> = tokens.iter().map(|token| Holder::new(token, scheme.mode, suite)).collect();
    let junk: Vec<_> = (0..JUNK_TOKENS as u64).map(|nonce| holders[0].junk(nonce)).collect();
    let mut course = Course {
        rig: Rig::new(scheme, suite, STORES)?,
        bodies: &bodies,
        redeeming,
        queue: RedemptionQueue::default(),
        pacer: Pacer::of_redemption(0),
        redeemer_at_us: 0.0,
        junk: &junk,
        junk_per_us,
        junk_due: 0.0,
        calls: 0,
        honest_opened: 0,
        taken: Taken::default(),
    };
    let generations: Vec<_> = holders.chunks_exact(OPEN_TOKENS).collect();
    course.open(generations[0]);
    course.await_opened(OPEN_TOKENS);
    // Before this nothing was to be stored.
    course.taken = Taken { passed_us: 0.0, ..Taken::default() };
    (course.redeemer_at_us, course.pacer) = (0.0, Pacer::of_redemption(0));
    for (index, generation) in generations.iter().enumerate() {
        if let Some(next) = generations.get(index + 1) {
            course.open(next);
        }
        course.store_all(generation);
        if index + 1 < generations.len() {
            course.await_opened((index + 2) * OPEN_TOKENS);
        }
    }
    Ok(course.taken)
}

impl Course<'_> {
    /// Tokens come, each with its first store.
    fn open(&mut self, holders: &[Holder]) {
        for holder in holders {
            self.calls += 1;
            let opening = holder.opening(self.calls, self.bodies);
            let (us, ()) = busy_us(|| {
                let is_room = self.queue.takes(HONEST, self.now_us());
                let (number, body) = (opening.number, opening.body);
                let waiting = self.rig.present(opening.credential, number, body, self.bodies, is_room);
                self.wait(HONEST, waiting);
            });
            self.pass(us);
        }
    }

    /// All other stores of tokens that are open.
    fn store_all(&mut self, holders: &[Holder]) {
        for counter in 1..STORES {
            let mut stores = Vec::with_capacity(OPEN_TOKENS);
            for holder in holders {
                self.calls += 1;
                stores.push(holder.store(counter, self.calls, self.bodies));
            }
            for batch in stores.chunks(BATCH) {
                let (us, kept) = busy_us(|| {
                    self.rig.judge(batch);
                    self.rig.keep_judged(batch)
                });
                assert_eq!(kept, batch.len(), "honest stores of open sessions are kept");
                self.taken.stores += kept;
                self.pass(us);
            }
        }
    }

    /// Nothing else is to be done until so many honest tokens are open.
    fn await_opened(&mut self, count: usize) {
        while self.honest_opened < count {
            self.pass(IDLE_STEP_US);
        }
    }

    /// Time has passed: junk came meanwhile, and redemption went on.
    fn pass(&mut self, us: f64) {
        self.taken.passed_us += us;
        self.junk_due += us * self.junk_per_us;
        // What is more than a turn of the sockets waits in them, and in the end is not sent.
        let count = (self.junk_due as usize).min(BATCH);
        self.junk_due = (self.junk_due - count as f64).min(BATCH as f64);
        let (us, ()) = busy_us(|| (0..count).for_each(|_| self.receive_junk()));
        self.taken.passed_us += us;
        self.junk_due += us * self.junk_per_us;
        self.redeem_due();
    }

    fn receive_junk(&mut self) {
        let header = &self.junk[self.taken.junk % self.junk.len()];
        self.taken.junk += 1;
        let credential = Credential::from_header(header).expect("it looks like a token");
        let is_room = self.queue.takes(FLOODER, self.now_us());
        let waiting = self.rig.present(credential, number_of(self.taken.junk), 0, self.bodies, is_room);
        self.wait(FLOODER, waiting);
    }

    fn wait(&mut self, source: u64, waiting: Option<Waiting>) {
        let Some(waiting) = waiting else { return };
        if self.redeeming == Redeeming::AtOnce {
            self.honest_opened +=
                self.rig.redeem(vec![waiting], self.bodies).iter().filter(|good| **good).count();
            return;
        }
        match self.queue.push(source, waiting, self.now_us()) {
            Ok(None) => {}
            Ok(Some(refused)) | Err(refused) => self.rig.turn_away(refused),
        }
    }

    /// What the other thread did until now.
    fn redeem_due(&mut self) {
        loop {
            let begin_us = self.redeemer_at_us;
            let wait_us = self.queue.wait_us(&mut self.pacer, begin_us as u64);
            let begin_us = begin_us + wait_us.map_or(f64::INFINITY, |wait_us| wait_us as f64);
            if begin_us > self.taken.passed_us {
                // Idle until now, whoever comes next.
                self.redeemer_at_us = self.redeemer_at_us.max(self.taken.passed_us);
                return;
            }
            let popped = core::iter::from_fn(|| self.queue.pop(&mut self.pacer, begin_us as u64));
            let (sources, batch): (Vec<_>, Vec<_>) = popped.take(REDEEMED_TOGETHER).unzip();
            let (us, good) = busy_us(|| self.rig.redeem(batch, self.bodies));
            self.honest_opened += good.iter().filter(|good| **good).count();
            self.taken.redeeming_us += us;
            self.redeemer_at_us = begin_us + us;
            let outcome = |good| if good { Outcome::Good } else { Outcome::Junk };
            let outcomes: Vec<_> = sources.into_iter().zip(good.into_iter().map(outcome)).collect();
            self.queue.worked(&mut self.pacer, &outcomes, us as u64, self.redeemer_at_us as u64);
        }
    }

    fn now_us(&self) -> u64 {
        self.taken.passed_us as u64
    }
}
