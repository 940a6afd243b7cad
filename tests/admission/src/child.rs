//! One life of the process: threads that all want the same tokens.

use core::ops::Range;
use std::path::Path;
use std::sync::Barrier;
use std::thread;

use herald_admission::{Judge, Judgement, Refusal, Settled, Verdict};

use crate::ledger::{How, Ledger};
use crate::limits::{THREADS, TOGETHER, WINDOW_TOKENS, WINDOWS_AGAIN};
use crate::scheme::Kind;
use crate::service::{Service, opening, time_of};
use crate::{AnyError, Journal};

/// Races the tokens from somewhat before `first` on.
pub(crate) fn race(
    folder: &Path,
    life: u32,
    first: u32,
    tokens: u32,
    of: (Kind, Journal),
) -> Result<(), AnyError> {
    let first_window = (first / WINDOW_TOKENS).saturating_sub(WINDOWS_AGAIN);
    let (service, _store) = Service::open(folder, of, time_of(first_window * WINDOW_TOKENS))?;
    let barrier = Barrier::new(THREADS as usize);
    thread::scope(|scope| {
        let racers: Vec<_> = (0..THREADS)
            .map(|thread| {
                let mut ledger = Ledger::open(folder, thread);
                let (service, barrier) = (&service, &barrier);
                scope.spawn(move || {
                    let raced = ledger.as_mut().map_err(|error| error.to_string()).and_then(|ledger| {
                        let judge = Judge::new(service.admission.clone());
                        let racer = Racer { service, judge, ledger, thread };
                        racer.run_all(first_window..tokens / WINDOW_TOKENS, life, barrier)
                    });
                    if let Err(words) = raced {
                        // The others would wait for this thread for ever.
                        println!("FAIL: {words}");
                        std::process::abort();
                    }
                })
            })
            .collect();
        racers.into_iter().try_for_each(|racer| racer.join().map_err(|_| "a thread panicked".into()))
    })
}

struct Racer<'a> {
    service: &'a Service,
    judge: Judge,
    ledger: &'a mut Ledger,
    thread: u32,
}

impl Racer<'_> {
    /// All windows, together with the other threads.
    fn run_all(mut self, windows: Range<u32>, life: u32, barrier: &Barrier) -> Result<(), String> {
        for window in windows {
            if barrier.wait().is_leader() {
                self.service.keep_keys(time_of(window * WINDOW_TOKENS)).map_err(|error| error.to_string())?;
            }
            barrier.wait();
            self.run(window, life).map_err(|error| error.to_string())?;
        }
        Ok(())
    }

    /// All tokens of a window, each thread and life from another one on.
    fn run(&mut self, window: u32, life: u32) -> Result<(), AnyError> {
        let begin = (self.thread * 131 + life * 37) % WINDOW_TOKENS;
        let mut wanted: Vec<_> = (0..WINDOW_TOKENS)
            .map(|step| window * WINDOW_TOKENS + (begin + step * (2 * self.thread + 1)) % WINDOW_TOKENS)
            .collect();
        // What another thread is redeeming is asked for again, until it is known to be spent: others may fail.
        while !wanted.is_empty() {
            let mut busy = Vec::new();
            for part in wanted.chunks(TOGETHER) {
                self.present(part, &mut busy)?;
            }
            wanted = busy;
            thread::yield_now();
        }
        Ok(())
    }

    /// Presents tokens, makes those that were redeemed durable together, and says whose they are.
    fn present(&mut self, tokens: &[u32], busy: &mut Vec<u32>) -> Result<(), AnyError> {
        let mut settled = Vec::new();
        for &token in tokens {
            match self.redeem(token) {
                Ok(redeemed) => settled.push((token, redeemed)),
                Err(Some(Refusal::Redeeming | Refusal::SessionsFull { .. })) => busy.push(token),
                Err(_) => {}
            }
        }
        let records: Vec<_> = settled.iter().filter_map(|(_, settled)| settled.record()).collect();
        if !records.is_empty() {
            self.service.spend(&records)?;
        }
        for (token, settled) in settled {
            let how = if settled.record().is_some() { How::Redeemed } else { How::Again };
            if let Verdict::Accept(_) = self.service.admission.commit(settled) {
                self.ledger.write(token, how)?;
            }
        }
        Ok(())
    }

    fn redeem(&mut self, token: u32) -> Result<Settled, Option<Refusal>> {
        let (admission, now) = (&self.service.admission, time_of(token));
        let (credential, number, body) = opening(self.service, token, self.thread);
        let redemption = match self.judge.judge(credential, Some(number), &body, now) {
            Judgement::Redeem(redemption) => redemption,
            Judgement::Verdict(Verdict::Refuse(refusal)) => return Err(Some(refusal)),
            // Its session is open: another's store was first, or this one's in this life.
            Judgement::Verdict(_) => return Err(None),
        };
        admission.reserve(&redemption, now).map_err(Some)?;
        let Some(secret) = self.service.scheme.redeem(&redemption) else {
            admission.release(*redemption);
            return Err(Some(Refusal::Proof));
        };
        admission.settle(*redemption, &secret, Some(number), &body, now).map_err(Some)
    }
}
