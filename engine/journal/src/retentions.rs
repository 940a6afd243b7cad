//! For how long what lies in a folder was stored, life for life: a shorter retention shortens what is there, at each
//! opening by as much, and a longer one gives nothing back.

use herald_core::{Retention, Timestamp};

use crate::limits::{RETENTIONS_MAX, generation_ms};

/// The retentions that a folder was opened with, since which life each, the last one now.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Retentions(Vec<Since>);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Since {
    /// The first life, by when it was opened, as in [`BlockKey::run`](crate::BlockKey::run).
    run: u64,
    retention_ms: u64,
}

impl Retentions {
    /// Those that were stored as `bytes`; `None` if they are damaged.
    pub(crate) fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (entries, []) = bytes.as_chunks::<16>() else { return None };
        let word = |bytes: &[u8]| Some(u64::from_le_bytes(bytes.try_into().ok()?));
        let entry =
            |bytes: &[u8; 16]| Some(Since { run: word(&bytes[..8])?, retention_ms: word(&bytes[8..])? });
        entries.iter().map(entry).collect::<Option<_>>().map(Self)
    }

    /// As stored: of each life and retention 8 bytes, little endian.
    pub(crate) fn to_bytes(&self) -> Vec<u8> {
        self.0.iter().flat_map(|since| [since.run, since.retention_ms]).flat_map(u64::to_le_bytes).collect()
    }

    /// A life of `retention` begins at `now`, which is later than all before.
    pub(crate) fn begin(&mut self, retention: Retention, now: Timestamp) {
        let (run, retention_ms) = (now.as_millis(), retention.as_millis());
        if self.last_ms() != Some(retention_ms) {
            self.0.push(Since { run, retention_ms });
        }
        // What was stored before the second life, and so for the first one's retention, is over and dropped.
        let is_over =
            |two: &[Since]| two[1].run + two[0].retention_ms + generation_ms(two[0].retention_ms) <= run;
        let over_count = self.0.windows(2).take_while(|two| is_over(two)).count();
        let too_many = self.0.len().saturating_sub(RETENTIONS_MAX);
        self.0.drain(..over_count.max(too_many));
    }

    /// The retention of the last life that began, in milliseconds, if it is known.
    pub(crate) fn last_ms(&self) -> Option<u64> {
        self.0.last().map(|last| last.retention_ms)
    }

    /// By how many milliseconds what the life `run` stored lives less than it was to: since its retention was the shortest
    /// that there was from then on.
    pub(crate) fn shortened_ms(&self, run: u64) -> u64 {
        // Of a life before all that are known as much is known as of the first.
        let at = self.0.partition_point(|since| since.run <= run).saturating_sub(1);
        let since = self.0.get(at..).unwrap_or_default();
        let shortest = since.iter().map(|since| since.retention_ms).min();
        since.first().zip(shortest).map_or(0, |(first, shortest)| first.retention_ms - shortest)
    }

    /// Whether anything lives less than it was to, so that generations do not end in the order of what is in them.
    pub(crate) fn shorten(&self) -> bool {
        !self.0.is_sorted_by_key(|since| since.retention_ms)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY_MS: u64 = 86_400_000;

    fn after(lives: &[(u64, u64)]) -> Retentions {
        let mut retentions = Retentions::default();
        for &(begun_day, days) in lives {
            let retention = Retention::of(herald_core::PlacementClass::Message, days * DAY_MS).expect("days");
            retentions.begin(retention, Timestamp::from_millis(begun_day * DAY_MS));
        }
        retentions
    }

    #[test]
    fn what_is_there_lives_as_long_as_the_shortest_retention_since() {
        let shortened = |lives: &[(u64, u64)], run_day: u64| {
            let retentions = after(lives);
            assert_eq!(Retentions::from_bytes(&retentions.to_bytes()), Some(retentions.clone()));
            retentions.shortened_ms(run_day * DAY_MS) / DAY_MS
        };
        for (lives, run_day, days) in [
            (&[][..], 5, 0),
            (&[(5, 7)], 5, 0),
            (&[(5, 7), (6, 1)], 5, 6),
            (&[(5, 7), (6, 1), (7, 1), (8, 1)], 5, 6),
            (&[(5, 7), (6, 1)], 3, 6),
            (&[(5, 7), (6, 1)], 6, 0),
            // Nothing comes back.
            (&[(5, 7), (6, 1), (7, 3)], 5, 6),
            (&[(5, 7), (6, 1), (7, 3)], 6, 0),
            (&[(5, 7), (6, 3), (7, 1)], 6, 2),
            (&[(5, 1), (6, 7)], 5, 0),
        ] {
            assert_eq!(shortened(lives, run_day), days, "{lives:?} of {run_day}");
        }
        assert!(after(&[(5, 7), (6, 1)]).shorten() && !after(&[(5, 1), (6, 7)]).shorten());
        assert_eq!(Retentions::from_bytes(&[0; 15]), None);
    }

    #[test]
    fn what_is_over_is_forgotten_and_never_are_there_more_than_the_bound() {
        let seven_and_a_sixth_later = 6 + 9;
        assert_eq!(after(&[(5, 7), (6, 1), (seven_and_a_sixth_later - 1, 1)]).0.len(), 2);
        assert_eq!(after(&[(5, 7), (6, 1), (seven_and_a_sixth_later, 1)]), after(&[(6, 1)]));
        let often: Vec<_> = (0..200).map(|index| (5, 1 + index % 7)).collect();
        assert_eq!(after(&often).0.len(), RETENTIONS_MAX);
    }
}
