//! The thread between stores and the rate control plugin: tokens wait in a bounded queue, go to the plugin in batches at a
//! bounded share of a core, and what they were spent on is on the disk before anybody is told.
//!
//! A store of an open session never comes here, so tokens that are worth nothing delay new tokens only.

use std::collections::VecDeque;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use herald_admission::{Granted, Outcome, Pacer, Redemption, RedemptionQueue, Refusal, Settled, Verdict};
use herald_core::{TelephoneNumber, Timestamp};
use herald_journal::SpentMark;
use herald_net::Bytes;
use parking_lot::{Condvar, Mutex};
use zeroize::Zeroizing;

use super::{Books, spawn};
use crate::engine::Level;
use crate::error::EngineError;
use crate::limits::{REDEMPTION_DEADLINE_MS, REDEMPTIONS_IN_FLIGHT_MAX, REDEMPTIONS_TOGETHER};
use crate::plugins::{NotDone, Redemption as Presented, Secret};
use crate::readers::{Giver, Reading, reading};

/// The running thread.
pub(super) struct Redeemer {
    books: Arc<Books>,
    inbox: Arc<Inbox>,
    /// Where the time of the queue begins.
    began: Instant,
    share_percent: u32,
    thread: Mutex<Option<JoinHandle<()>>>,
}

#[derive(Default)]
struct Inbox {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    waiting: RedemptionQueue<Waiting>,
    judged: VecDeque<Judged>,
    /// Batches that are with the plugin.
    in_flight: usize,
    is_closed: bool,
    /// How long a token took lately, in µs.
    each_us: u64,
}

/// A token with the store it came with.
pub(super) struct Token {
    pub(super) redemption: Redemption,
    pub(super) number: Option<TelephoneNumber>,
    pub(super) body: Bytes,
}

/// A token, and who waits for the verdict.
struct Waiting {
    token: Token,
    source: u64,
    giver: Giver<Granted>,
}

/// A token whose first store is genuine, and who waits for the verdict.
struct Genuine {
    settled: Settled,
    number: Option<TelephoneNumber>,
    giver: Giver<Granted>,
}

/// What the plugin says of a batch.
struct Judged {
    batch: Vec<Waiting>,
    came: Result<Vec<Result<Secret, NotDone>>, NotDone>,
    /// How long it took.
    took: Duration,
}

/// What the thread does next.
enum Next {
    Judged(Judged),
    Batch(Vec<Waiting>),
    Stop,
}

impl Redeemer {
    /// Starts the thread. The plugin is to take `share_percent` of a core for redeeming at most.
    pub(super) fn start(books: Arc<Books>, share_percent: u32) -> Result<Self, EngineError> {
        let (inbox, began) = (Arc::<Inbox>::default(), Instant::now());
        let work = Work {
            books: books.clone(),
            inbox: inbox.clone(),
            began,
            share_permille: 10 * share_percent,
            pacer: Pacer::new(10 * share_percent, 0),
            is_failing: false,
        };
        let thread = spawn("herald-redeemer", move || work.run())?;
        Ok(Self { books, inbox, began, share_percent, thread: Mutex::new(Some(thread)) })
    }

    /// Reserves the token and lets it wait for its turn.
    pub(super) fn submit(
        &self,
        token: Token,
        source: u64,
        now: Timestamp,
    ) -> Result<Reading<Granted>, Refusal> {
        let (giver, reading) = reading();
        let now_us = micros(self.began.elapsed());
        let mut state = self.inbox.state.lock();
        if state.is_closed {
            return Err(Refusal::Unavailable);
        }
        if !state.waiting.takes(source, now_us) {
            return Err(state.waiting.refusal(state.each_us, 10 * self.share_percent));
        }
        self.books.admission.reserve(&token.redemption, now)?;
        let pushed = state.waiting.push(source, Waiting { token, source, giver }, now_us);
        let full = state.waiting.refusal(state.each_us, 10 * self.share_percent);
        drop(state);
        self.inbox.changed.notify_one();
        match pushed {
            Ok(gave_way) => refuse(&self.books, gave_way, full),
            Err(waiting) => {
                self.books.admission.release(waiting.token.redemption);
                return Err(full);
            }
        }
        Ok(reading)
    }

    /// Tokens that wait.
    pub(super) fn waiting_count(&self) -> usize {
        self.inbox.state.lock().waiting.len()
    }

    /// Ends the thread; what waits is refused, and its tokens are free.
    pub(super) fn stop(&self) {
        self.inbox.state.lock().is_closed = true;
        self.inbox.changed.notify_all();
        if let Some(thread) = self.thread.lock().take() {
            // A panic was reported by the panic hook.
            let _ = thread.join();
        }
        let waiting = self.inbox.state.lock().waiting.drain();
        refuse(&self.books, waiting, Refusal::Unavailable);
    }
}

impl Drop for Redeemer {
    fn drop(&mut self) {
        self.stop();
    }
}

struct Work {
    books: Arc<Books>,
    inbox: Arc<Inbox>,
    /// Where its time begins.
    began: Instant,
    share_permille: u32,
    pacer: Pacer,
    is_failing: bool,
}

impl Work {
    fn run(mut self) {
        loop {
            match self.next() {
                Next::Judged(judged) => self.settle(judged),
                Next::Batch(batch) => self.submit(batch),
                Next::Stop => return,
            }
        }
    }

    fn now_us(&self) -> u64 {
        micros(self.began.elapsed())
    }

    fn next(&mut self) -> Next {
        let inbox = self.inbox.clone();
        let mut state = inbox.state.lock();
        loop {
            if let Some(judged) = state.judged.pop_front() {
                state.in_flight -= 1;
                return Next::Judged(judged);
            }
            if state.is_closed && state.in_flight == 0 {
                return Next::Stop;
            }
            let has_room = state.in_flight < REDEMPTIONS_IN_FLIGHT_MAX;
            let now_us = self.now_us();
            let wait_us = state.waiting.wait_us(&mut self.pacer, now_us);
            let Some(wait_us) = wait_us.filter(|_| !state.is_closed && has_room) else {
                inbox.changed.wait(&mut state);
                continue;
            };
            if wait_us > 0 {
                inbox.changed.wait_for(&mut state, Duration::from_micros(wait_us));
                continue;
            }
            state.in_flight += 1;
            let waiting = core::iter::from_fn(|| state.waiting.pop(&mut self.pacer, now_us));
            return Next::Batch(waiting.take(REDEMPTIONS_TOGETHER).map(|(_, waiting)| waiting).collect());
        }
    }

    /// Gives a batch to the plugin. Signatures of open sessions need none.
    fn submit(&self, batch: Vec<Waiting>) {
        let (batch, known): (Vec<_>, Vec<_>) =
            batch.into_iter().partition(|waiting| waiting.token.redemption.needs_plugin());
        let inbox = self.inbox.clone();
        let began = Instant::now();
        let judge = move |batch: Vec<Waiting>, came| {
            let mut state = inbox.state.lock();
            state.judged.push_back(Judged { batch, came, took: began.elapsed() });
            inbox.changed.notify_one();
        };
        if !known.is_empty() {
            let secret =
                |waiting: &Waiting| Ok(Zeroizing::new(waiting.token.redemption.token().proof.clone()));
            let secrets = known.iter().map(secret).collect();
            // Both parts come back.
            self.inbox.state.lock().in_flight += usize::from(!batch.is_empty());
            judge(known, Ok(secrets));
        }
        if batch.is_empty() {
            return;
        }
        let tokens = batch.iter().map(|waiting| presented(&waiting.token.redemption)).collect();
        let deadline_ms = self.books.now().as_millis() + REDEMPTION_DEADLINE_MS;
        self.books.plugin.redeem(tokens, deadline_ms, Box::new(move |came| judge(batch, came)));
    }

    /// Judges the first stores of tokens that the plugin has judged, writes down what is spent, and tells.
    fn settle(&mut self, judged: Judged) {
        let Judged { batch, came, took } = judged;
        let (began, count) = (Instant::now(), batch.len() as u64);
        let (genuine, outcomes) = self.genuine(batch, came);
        // With the MACs and signatures of the stores.
        let took_us = micros(took + began.elapsed());
        let now_us = self.now_us();
        let mut state = self.inbox.state.lock();
        state.waiting.worked(&mut self.pacer, &outcomes, took_us, now_us);
        state.each_us = took_us / count.max(1);
        drop(state);
        self.commit(genuine);
    }

    /// The tokens of a batch that are good and whose first stores are genuine. The others are refused. And what each was
    /// worth, with its source.
    fn genuine(
        &self,
        batch: Vec<Waiting>,
        came: Result<Vec<Result<Secret, NotDone>>, NotDone>,
    ) -> (Vec<Genuine>, Vec<(u64, Outcome)>) {
        let answers = match came {
            Ok(answers) if answers.len() == batch.len() => answers,
            other => {
                let refusal = match other {
                    Err(NotDone::Busy) => self.full(),
                    _ => Refusal::Unavailable,
                };
                refuse(&self.books, batch, refusal);
                return Default::default();
            }
        };
        let now = self.books.now();
        let mut genuine = Vec::with_capacity(batch.len());
        let mut outcomes = Vec::with_capacity(batch.len());
        for (waiting, answer) in batch.into_iter().zip(answers) {
            let source = waiting.source;
            let refusal = match answer {
                Ok(secret) => match settle_one(&self.books, waiting, &secret, now) {
                    Ok(one) => {
                        genuine.push(one);
                        outcomes.push((source, Outcome::Good));
                        continue;
                    }
                    Err(refusal) => refusal,
                },
                Err(not_done) => {
                    let is_refused = matches!(not_done, NotDone::Refused);
                    let refusal = if is_refused { Refusal::Proof } else { Refusal::Unavailable };
                    refuse(&self.books, [waiting], refusal);
                    refusal
                }
            };
            let is_junk = refusal == Refusal::Proof;
            outcomes.push((source, if is_junk { Outcome::Junk } else { Outcome::Unknown }));
        }
        (genuine, outcomes)
    }

    /// The refusal of a token for which there is no room.
    fn full(&self) -> Refusal {
        let state = self.inbox.state.lock();
        state.waiting.refusal(state.each_us, self.share_permille)
    }

    fn commit(&mut self, genuine: Vec<Genuine>) {
        let records = genuine.iter().filter_map(|one| one.settled.record());
        let marks: Vec<_> = records
            .map(|record| SpentMark {
                epoch: record.epoch,
                token: record.token_id.0,
                digest: record.first_store,
            })
            .collect();
        let kept = match &self.books.vault {
            Some(vault) if !marks.is_empty() => vault.spend(&marks),
            _ => Ok(()),
        };
        match &kept {
            Err(fault) if !self.is_failing => {
                self.books
                    .say(Level::Error, &format!("new tokens are refused, open sessions go on: {fault}"));
            }
            Ok(()) if self.is_failing => self.books.say(Level::Info, "new tokens are taken again"),
            _ => {}
        }
        self.is_failing = kept.is_err();
        let admission = &self.books.admission;
        for Genuine { settled, number, giver } in genuine {
            if kept.is_err() && settled.record().is_some() {
                admission.withdraw(settled);
                tell(&self.books, giver, Verdict::Refuse(Refusal::Unavailable), number);
                continue;
            }
            let verdict = admission.commit(settled);
            if matches!(verdict, Verdict::Accept(_)) {
                self.books.counters.redeem();
            }
            tell(&self.books, giver, verdict, number);
        }
    }
}

/// Gives a verdict to who waits for it. Who has gone, or goes before it is taken, stores nothing and may come again with the
/// same store.
fn tell(books: &Books, giver: Giver<Granted>, verdict: Verdict, number: Option<TelephoneNumber>) {
    giver.give(Granted::new(books.admission.clone(), verdict, number));
}

fn presented(redemption: &Redemption) -> Presented {
    let token = redemption.token();
    Presented {
        key: redemption.key_handle(),
        mode: u32::from(token.mode().code()),
        token_input: token.input.0,
        authenticator: Zeroizing::new(token.authenticator.clone()),
        proof: Zeroizing::new(token.proof.clone()),
    }
}

/// Looks at the first store of a token that is good. If it is refused, that is told.
fn settle_one(books: &Books, waiting: Waiting, secret: &[u8], now: Timestamp) -> Result<Genuine, Refusal> {
    let Waiting { token: Token { redemption, number, body }, giver, .. } = waiting;
    match books.admission.settle(redemption, secret, number, &body, now) {
        Ok(settled) => Ok(Genuine { settled, number, giver }),
        Err(refusal) => {
            tell(books, giver, Verdict::Refuse(refusal), number);
            Err(refusal)
        }
    }
}

fn micros(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}

fn refuse(books: &Books, waiting: impl IntoIterator<Item = Waiting>, refusal: Refusal) {
    for Waiting { token, giver, .. } in waiting {
        books.admission.release(token.redemption);
        tell(books, giver, Verdict::Refuse(refusal), None);
    }
}
