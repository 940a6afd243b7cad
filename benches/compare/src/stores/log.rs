//! The log, and the service over it: what the engine calls for each request.

use std::hint::black_box;

use herald_core::limits::RECORDS_PER_NUMBER_MAX;
use herald_core::{
    Answer, CoverSchedule, CoverSecret, NewPlacement, PlacementId, PlacementStore, Problem, Request,
    Retention, Service, Storing as Possible, TelephoneNumber, Timestamp, X25519Suite,
};
use herald_log::LogHandle;

use super::{Placement, Retrieving, Storing, id};
use crate::failure::Failure;
use crate::limits::BLOCK_OPERATIONS;
use crate::workload::{RETENTION_MS, Repeatable};

impl Storing for LogHandle {
    #[inline]
    fn store(&mut self, placements: &[Placement<'_>], now: Timestamp) -> Result<usize, Failure> {
        let mut kept = 0;
        for placement in placements {
            kept +=
                usize::from(self.append(&new_placement(placement, now), RECORDS_PER_NUMBER_MAX, now).is_ok());
        }
        Ok(kept)
    }
}

impl Retrieving for LogHandle {
    #[inline]
    fn retrieve(
        &mut self,
        numbers: &[TelephoneNumber],
        now: Timestamp,
        show: &mut dyn FnMut(&[u8]),
    ) -> Result<usize, Failure> {
        let mut found = 0;
        for number in numbers {
            let mut has_one = false;
            self.for_each_live(*number, now, &mut |item| {
                show(item.body);
                has_one = true;
            });
            found += usize::from(has_one);
        }
        Ok(found)
    }
}

/// The log's batches: a block is one.
pub(crate) struct Batched<'a>(pub(crate) &'a mut LogHandle);

impl Storing for Batched<'_> {
    #[inline]
    fn store(&mut self, placements: &[Placement<'_>], now: Timestamp) -> Result<usize, Failure> {
        let placements: &[_; BLOCK_OPERATIONS] = placements.try_into().expect("a block");
        let placements = placements.each_ref().map(|placement| new_placement(placement, now));
        let mut results = [Ok(()); BLOCK_OPERATIONS];
        self.0.append_batch(&placements, RECORDS_PER_NUMBER_MAX, now, &mut results);
        Ok(results.iter().filter(|result| result.is_ok()).count())
    }
}

impl Retrieving for Batched<'_> {
    #[inline]
    fn retrieve(
        &mut self,
        numbers: &[TelephoneNumber],
        now: Timestamp,
        show: &mut dyn FnMut(&[u8]),
    ) -> Result<usize, Failure> {
        let mut has_one = [false; BLOCK_OPERATIONS];
        self.0.for_each_live_batch(numbers, now, &mut |index, item| {
            show(item.body);
            has_one[index] = true;
        });
        Ok(has_one.iter().filter(|&&it| it).count())
    }
}

/// What is handed to the log for a placement stored at `now`.
#[inline]
pub(crate) fn new_placement<'a>(placement: &Placement<'a>, now: Timestamp) -> NewPlacement<'a> {
    NewPlacement {
        number: placement.number,
        id: id(placement.index),
        expires_at: now.plus_millis(RETENTION_MS),
        body: placement.body,
    }
}

/// The service of one thread over its handle.
pub(crate) struct Served {
    service: Service,
    log: LogHandle,
}

impl Served {
    /// A service whose ids are drawn from `seed`; the cover is the same for all.
    pub(crate) fn new(log: LogHandle, seed: u64, begin: Timestamp) -> Self {
        let retention = Retention::from_millis(RETENTION_MS).expect("the default retention");
        let secret = CoverSecret::generate(&Repeatable(0), retention, begin);
        let cover = CoverSchedule::new(secret, retention, Box::new(X25519Suite));
        Self { service: Service::new(cover, &Repeatable(seed)), log }
    }

    /// Answers a request.
    pub(crate) fn handle(&mut self, request: &Request<'_>, now: Timestamp) -> Answer {
        self.service.handle(&mut self.log, request, Possible::Possible, now)
    }
}

impl Storing for Served {
    #[inline]
    fn store(&mut self, placements: &[Placement<'_>], now: Timestamp) -> Result<usize, Failure> {
        let mut kept = 0;
        for placement in placements {
            let id = self.service.store(&mut self.log, placement.number, placement.body, now);
            kept += usize::from(black_box(id).is_ok());
        }
        Ok(kept)
    }
}

impl Retrieving for Served {
    #[inline]
    fn retrieve(
        &mut self,
        numbers: &[TelephoneNumber],
        now: Timestamp,
        show: &mut dyn FnMut(&[u8]),
    ) -> Result<usize, Failure> {
        for number in numbers {
            self.service.retrieve(&mut self.log, *number, now).iter().for_each(|item| show(&item.body));
        }
        // There is cover under every number.
        Ok(numbers.len())
    }
}

/// The service's batches: a block is one.
pub(crate) struct ServedBatched {
    served: Served,
    results: Vec<Result<PlacementId, Problem>>,
}

impl ServedBatched {
    /// The same service.
    pub(crate) const fn new(served: Served) -> Self {
        Self { served, results: Vec::new() }
    }
}

impl Storing for ServedBatched {
    #[inline]
    fn store(&mut self, placements: &[Placement<'_>], now: Timestamp) -> Result<usize, Failure> {
        let Served { service, log } = &mut self.served;
        let placements: &[_; BLOCK_OPERATIONS] = placements.try_into().expect("a block");
        let placements = placements.each_ref().map(|placement| (placement.number, placement.body));
        service.store_batch(log, &placements, now, &mut self.results);
        Ok(self.results.iter().filter(|result| result.is_ok()).count())
    }
}
