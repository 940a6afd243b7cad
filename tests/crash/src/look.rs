//! Looking for what was promised: every acknowledged placement by its Location, and some numbers as a whole.

use std::collections::{HashMap, HashSet};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use herald_runtime::CpsClient;
use herald_runtime::core::TelephoneNumber;

use crate::error::CrashError;
use crate::http::Http;
use crate::ledger::{Acknowledged, Fate, Ledger, Placement, called_number, quiet_number, random_below};
use crate::limits::{
    CHECKERS, COVER_MAX, EXPIRED_AFTER, EXPIRY_MARGIN, NUMBERS, NUMBERS_LISTED, QUIET_NUMBERS, RETENTION,
};
use crate::service::Address;

/// What one look at everything found.
pub(crate) struct Look {
    /// Placements that were there, whole.
    pub(crate) present_count: usize,
    /// Placements that were missing before their time.
    pub(crate) lost: Vec<Lost>,
    /// Placements that were gone, their time being over.
    pub(crate) over_count: usize,
    /// When the last store that was acknowledged had been sent.
    pub(crate) last_sent_at: Instant,
    pub(crate) faults: Vec<String>,
}

/// A placement that was missing before its time.
pub(crate) struct Lost {
    pub(crate) sent_at: Instant,
    pub(crate) acknowledged_at: Instant,
}

/// What is to be thought of one answer.
enum Verdict {
    Present,
    Lost(Lost),
    Over,
    /// It was there with another body.
    Damaged,
    /// It was there after its time.
    TooLong,
}

/// Asks for every acknowledged placement whose time is not over, the youngest first.
pub(crate) fn look(address: &Address, ledger: &Ledger) -> Result<Look, CrashError> {
    let mut placements = ledger.lock();
    let wanted: Vec<_> = placements
        .iter()
        .enumerate()
        .rev()
        .filter(|(_, placement)| matches!(placement.fate, Fate::Unseen | Fate::Seen))
        .filter_map(|(index, placement)| Some((index, placement, placement.acknowledged.as_ref()?)))
        .collect();
    let verdicts = verdicts(address, &wanted)?;
    let acknowledged = placements.iter().filter(|placement| placement.acknowledged.is_some());
    let last_sent_at = acknowledged.map(|placement| placement.sent_at).max().unwrap_or_else(Instant::now);
    let mut look =
        Look { present_count: 0, lost: Vec::new(), over_count: 0, last_sent_at, faults: Vec::new() };
    for (index, verdict) in verdicts {
        look.take(&mut placements[index], verdict);
    }
    Ok(look)
}

impl Look {
    fn take(&mut self, placement: &mut Placement, verdict: Verdict) {
        if placement.fate == Fate::Unseen && matches!(verdict, Verdict::Over) {
            self.faults.push("a placement was looked for too late to know whether it was lost".into());
        }
        placement.fate = match verdict {
            Verdict::Present => {
                self.present_count += 1;
                Fate::Seen
            }
            Verdict::Lost(lost) => {
                self.lost.push(lost);
                Fate::Lost
            }
            Verdict::Over => {
                self.over_count += 1;
                Fate::Over
            }
            Verdict::Damaged => {
                self.faults.push("a placement came back with another body".into());
                Fate::Over
            }
            Verdict::TooLong => {
                self.faults.push("a placement can be retrieved after its time".into());
                Fate::Over
            }
        };
    }
}

type Wanted<'a> = (usize, &'a Placement, &'a Acknowledged);

fn verdicts(address: &Address, wanted: &[Wanted<'_>]) -> Result<Vec<(usize, Verdict)>, CrashError> {
    let next = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        let next = &next;
        let checkers: Vec<_> = (0..CHECKERS)
            .map(|thread| {
                scope.spawn(move || {
                    let http = Http::new(address, thread)?;
                    let mut verdicts = Vec::new();
                    // Relaxed: hands out indices, nothing is published through it.
                    while let Some((index, placement, acknowledged)) =
                        wanted.get(next.fetch_add(1, Ordering::Relaxed))
                    {
                        verdicts.push((*index, verdict(&http, placement, acknowledged)?));
                    }
                    Ok::<_, CrashError>(verdicts)
                })
            })
            .collect();
        let mut all = Vec::with_capacity(wanted.len());
        for checker in checkers {
            all.extend(checker.join().expect("a checker does not panic")?);
        }
        Ok(all)
    })
}

/// Asks for one placement. Loss is only called so while it should surely be there, and expiry only when it
/// should surely be over.
fn verdict(http: &Http, placement: &Placement, acknowledged: &Acknowledged) -> Result<Verdict, CrashError> {
    let asked_at = Instant::now();
    let found = http.item(&acknowledged.location)?;
    let surely_live = is_live(placement, Instant::now());
    let surely_over = asked_at > acknowledged.at + RETENTION + EXPIRED_AFTER;
    Ok(match found {
        Some(body) if body != placement.body => Verdict::Damaged,
        Some(_) if surely_over => Verdict::TooLong,
        Some(_) => Verdict::Present,
        None if surely_live => {
            Verdict::Lost(Lost { sent_at: placement.sent_at, acknowledged_at: acknowledged.at })
        }
        None => Verdict::Over,
    })
}

fn is_live(placement: &Placement, now: Instant) -> bool {
    now < placement.sent_at + RETENTION - EXPIRY_MARGIN
}

/// Retrieves some numbers as a whole: what waits there was sent, or is cover of a plausible amount; what was
/// promised is among it, once. Returns faults.
pub(crate) fn list(address: &Address, ledger: &Ledger) -> Result<Vec<String>, CrashError> {
    let client = CpsClient::open(&address.url, &address.roots)?;
    let placements = ledger.lock();
    let mut by_number: HashMap<TelephoneNumber, Vec<&Placement>> = HashMap::new();
    for placement in &*placements {
        by_number.entry(placement.number).or_default().push(placement);
    }
    let mut faults = Vec::new();
    for turn in 0..NUMBERS_LISTED {
        let index = random_below(NUMBERS);
        let number = if turn % 2 == 0 { called_number(index) } else { quiet_number(index) };
        let items = client.retrieve(number)?;
        let items: Vec<_> = items.iter().map(|item| (item.href.as_str(), item.body.as_slice())).collect();
        let sent = by_number.get(&number).map_or(&[][..], Vec::as_slice);
        faults.extend(faults_of_list(&items, sent, Instant::now()).into_iter().map(str::to_owned));
    }
    Ok(faults)
}

/// The paths of all items under numbers that nobody calls: cover, all of it.
pub(crate) fn cover(address: &Address) -> Result<HashSet<String>, CrashError> {
    let client = CpsClient::open(&address.url, &address.roots)?;
    let mut paths = HashSet::new();
    for index in 0..QUIET_NUMBERS {
        paths.extend(client.retrieve(quiet_number(index))?.into_iter().map(|item| item.href));
    }
    Ok(paths)
}

fn faults_of_list(items: &[(&str, &[u8])], sent: &[&Placement], now: Instant) -> Vec<&'static str> {
    let mut faults = Vec::new();
    let bodies: HashMap<&[u8], &Placement> = sent.iter().map(|one| (one.body.as_slice(), *one)).collect();
    let promised: HashSet<&str> =
        sent.iter().filter_map(|one| Some(one.acknowledged.as_ref()?.location.as_str())).collect();
    let mut hrefs = HashSet::new();
    let mut cover_count = 0;
    for (href, body) in items {
        if !hrefs.insert(*href) {
            faults.push("a number lists an item twice");
        }
        match bodies.get(body).map(|placement| &placement.acknowledged) {
            Some(Some(acknowledged)) if acknowledged.location != *href => {
                faults.push("a placement is listed under another Location than it was acknowledged with");
            }
            Some(_) => {}
            None if promised.contains(href) => faults.push("a placement is listed with another body"),
            None => cover_count += 1,
        }
    }
    if !(1..=COVER_MAX).contains(&cover_count) {
        faults.push("a number lists more items that nobody sent than there can be cover, or none");
    }
    let missing = |one: &&&Placement| {
        let location = one.acknowledged.as_ref().map(|acknowledged| acknowledged.location.as_str());
        one.fate == Fate::Seen
            && is_live(one, now)
            && location.is_some_and(|location| !hrefs.contains(location))
    };
    if sent.iter().any(|one| missing(&one)) {
        faults.push("a placement can be retrieved by its Location but is not listed");
    }
    faults
}
