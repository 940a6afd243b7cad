//! Threads that store as fast as they are answered, while something else happens.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use crate::error::CrashError;
use crate::http::{Http, Stored};
use crate::ledger::{Acknowledged, Ledger, Placement};
use crate::limits::STORERS;
use crate::service::Address;

/// What the storing threads met.
#[derive(Default)]
pub(crate) struct Load {
    /// Stores refused as they should be while the disk fails.
    pub(crate) refused_count: usize,
    /// When and how connections ended.
    pub(crate) broken: Vec<(Instant, String)>,
    /// Answers the interface does not allow.
    pub(crate) faults: Vec<String>,
}

impl Load {
    /// Its faults, where connections may only break from `gone_at` on.
    pub(crate) fn faults_before(self, gone_at: Instant) -> impl Iterator<Item = String> {
        let early = self.broken.into_iter().filter(move |(at, _)| *at < gone_at);
        let early = early.map(|(_, why)| format!("a connection broke before the service was stopped: {why}"));
        self.faults.into_iter().chain(early)
    }
}

/// Stores to the service at `address` from several threads, each resting for `pace` between two stores, until
/// `during` returns or the service is gone.
pub(crate) fn under_load<T>(
    address: &Address,
    ledger: &Ledger,
    pace: Duration,
    during: impl FnOnce() -> T,
) -> (T, Load) {
    let enough = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let enough = &enough;
        let storers: Vec<_> = (0..STORERS)
            .map(|thread| scope.spawn(move || store_until(address, thread, ledger, pace, enough)))
            .collect();
        let result = during();
        // Relaxed: only asks to stop; joining orders the rest.
        enough.store(true, Ordering::Relaxed);
        let mut load = Load::default();
        for storer in storers {
            let one = storer.join().expect("a storer does not panic");
            load.refused_count += one.refused_count;
            load.broken.extend(one.broken);
            load.faults.extend(one.faults);
        }
        (result, load)
    })
}

fn store_until(address: &Address, thread: u32, ledger: &Ledger, pace: Duration, enough: &AtomicBool) -> Load {
    let mut load = Load::default();
    let http = match Http::new(address, thread) {
        Ok(http) => http,
        Err(error) => {
            load.faults.push(error.to_string());
            return load;
        }
    };
    while !enough.load(Ordering::Relaxed) {
        let mut placement = Placement::random();
        let stored = http.store(placement.number, &placement.body);
        let at = Instant::now();
        if let Ok(Stored::Acknowledged(location)) = &stored {
            placement.acknowledged = Some(Acknowledged { location: location.clone(), at });
        }
        ledger.push(placement);
        match stored {
            Ok(Stored::Acknowledged(_)) => {}
            Ok(Stored::Refused) => load.refused_count += 1,
            Err(CrashError::Gone(why)) => {
                load.broken.push((at, why));
                break;
            }
            Err(error) => load.faults.push(error.to_string()),
        }
        if !pace.is_zero() {
            std::thread::sleep(pace);
        }
    }
    load
}
