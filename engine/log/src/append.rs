//! Appending: a record is written behind the last one of the open segment and linked at the head of its chain.
//!
//! Alone or in batches. The chain itself is not looked at unless its bound no longer proves that there is room, so
//! the only memory an append waits for is the word of its bucket, and a batch waits for all its words at once.

use core::sync::atomic::Ordering;

use herald_core::limits::BODY_BYTES_MAX;
use herald_core::{NewPlacement, Refusal, TelephoneNumber, Timestamp};

use crate::config::LINE_BYTES;
use crate::full::{FullNumbers, Oldest};
use crate::handle::{LogHandle, OpenSegment};
use crate::index::{Bucket, BucketIndex};
use crate::limits::{BATCH_PART, FULL_ROOM};
use crate::log::PlacementLog;
use crate::record::{HEADER_BYTES, Header, record_bytes};
use crate::sync::{link_order, publish_order};

/// At most `records_max` records of a number may be live at `now`, the new one included.
#[derive(Clone, Copy)]
pub(crate) struct Quota {
    pub(crate) records_max: u32,
    pub(crate) now: Timestamp,
}

/// Bytes of a body that lie in the line of its header.
const HEAD_BYTES: usize = LINE_BYTES - HEADER_BYTES;

impl LogHandle {
    #[inline]
    pub(crate) fn append_one(&mut self, placement: &NewPlacement<'_>, quota: Quota) -> Result<(), Refusal> {
        let length = checked_record_bytes(placement);
        self.make_room(length, quota.now, placement.expires_at.millis_since(quota.now))?;
        self.publish(placement, Some(quota))
    }

    pub(crate) fn append_many(
        &mut self,
        placements: &[NewPlacement<'_>],
        quota: Quota,
        results: &mut [Result<(), Refusal>],
    ) {
        assert_eq!(placements.len(), results.len(), "a result for each placement");
        let mut parts = placements.chunks(BATCH_PART);
        let mut part = parts.next().map(|placements| (placements, self.fetch_buckets(placements)));
        let mut results = results.chunks_mut(BATCH_PART);
        while let (Some((placements, buckets)), Some(results)) = (part, results.next()) {
            // Fetched while this part is written.
            part = parts.next().map(|placements| (placements, self.fetch_buckets(placements)));
            self.append_part(placements, &buckets[..placements.len()], quota, results);
        }
    }

    /// The buckets of a part of a batch, which are being fetched.
    fn fetch_buckets(&self, placements: &[NewPlacement<'_>]) -> [BucketIndex; BATCH_PART] {
        let mut buckets = [BucketIndex::default(); BATCH_PART];
        for (bucket, placement) in buckets.iter_mut().zip(placements) {
            *bucket = self.log.index.of(placement.number);
            self.log.index.prefetch(*bucket);
        }
        buckets
    }

    fn append_part(
        &mut self,
        mut placements: &[NewPlacement<'_>],
        mut buckets: &[BucketIndex],
        quota: Quota,
        mut results: &mut [Result<(), Refusal>],
    ) {
        while let Some(first) = placements.first() {
            let together = self.fitting(placements, quota.now).min(self.roomy(placements, buckets, quota));
            let done = if together > 1 {
                self.publish_together(&placements[..together], buckets, quota, &mut results[..together]);
                together
            } else {
                results[0] = self.append_one(first, quota);
                1
            };
            (placements, buckets, results) = (&placements[done..], &buckets[done..], &mut results[done..]);
        }
    }

    /// How many of `placements` the open segment has room for, one behind the other. A new segment is opened if
    /// it has none for the first; if there is none to be had, the answer is 0.
    fn fitting(&mut self, placements: &[NewPlacement<'_>], now: Timestamp) -> usize {
        let Some(first) = placements.first() else { return 0 };
        let retention_ms = first.expires_at.millis_since(now);
        if self.make_room(checked_record_bytes(first), now, retention_ms).is_err() {
            return 0;
        }
        let mut room = self.open.as_ref().map_or(0, |open| open.room(&self.log));
        let fits = |placement: &&NewPlacement<'_>| {
            let left = room.checked_sub(checked_record_bytes(placement));
            room = left.unwrap_or(0);
            left.is_some()
        };
        placements.iter().take_while(fits).count()
    }

    /// How many of the first `buckets` surely have room, even if all the records go to one of them: then none
    /// of their chains need be looked at while the records are linked.
    fn roomy(&self, placements: &[NewPlacement<'_>], buckets: &[BucketIndex], quota: Quota) -> usize {
        let coming = u32::try_from(buckets.len()).expect("a part of a batch");
        let has_room = |bucket: Bucket| bucket.live_max() + coming <= quota.proven_max();
        let roomy = placements.iter().zip(buckets).take_while(|(placement, index)| {
            // Relaxed: a guess, made good when the record is linked.
            let bits = self.log.index.word(**index).load(Ordering::Relaxed);
            // What is remembered as full or nearly so is appended alone, which needs no count.
            let is_known = || self.full.live_min(placement.number, **index, quota.now).is_some();
            has_room(Bucket::from_bits(bits)) || !is_known() && has_room(self.recounted(**index, quota.now))
        });
        roomy.count()
    }

    /// What the bucket says once its bound is the number of records that live in it. O(its live records).
    #[cold]
    fn recounted(&self, index: BucketIndex, now: Timestamp) -> Bucket {
        let word = self.log.index.word(index);
        // Acquire: pairs with the Release of the compare-and-swap that published the newest record.
        let bits = word.load(Ordering::Acquire);
        let newest = Bucket::from_bits(bits).newest();
        let pin = self.log.pins.pin(self.pin_slot);
        let live = self.log.chain(&pin, newest, now).count();
        let counted = Bucket::new(newest, u32::try_from(live).unwrap_or(Bucket::LIVE_UNKNOWN));
        // Release: hands on what was acquired with the word. Relaxed on failure: the newer word is only looked at.
        let swap = word.compare_exchange(bits, counted.to_bits(), Ordering::Release, Ordering::Relaxed);
        swap.map_or_else(Bucket::from_bits, |_| counted)
    }

    /// Writes the record into the open segment, which has room for it, and links it.
    #[inline]
    pub(crate) fn publish(
        &mut self,
        placement: &NewPlacement<'_>,
        quota: Option<Quota>,
    ) -> Result<(), Refusal> {
        let (log, open) = (&*self.log, self.open.as_mut().expect("the caller has made room"));
        let bucket = log.index.of(placement.number);
        log.index.prefetch(bucket);
        let length = record_bytes(placement.body.len());
        // For the next one: to publish is to wait until all lines of the record may be written.
        open.prefetch(log, length);
        open.write(log, HEADER_BYTES, placement.body, length - HEADER_BYTES);
        let mut linking = Linking { log, pin_slot: self.pin_slot, quota, full: &mut self.full };
        let expires_at = linking.link(open, 0, placement, bucket)?;
        open.advance(log, length, expires_at);
        Ok(())
    }

    /// Writes the records into the open segment, which has room for them, and links them, one after the other.
    fn publish_together(
        &mut self,
        placements: &[NewPlacement<'_>],
        buckets: &[BucketIndex],
        quota: Quota,
        results: &mut [Result<(), Refusal>],
    ) {
        let (log, open) = (&*self.log, self.open.as_mut().expect("the caller has made room"));
        let mut end = 0;
        for placement in placements {
            open.stream_body(log, end, placement.body);
            end += record_bytes(placement.body.len());
        }
        log.arena.settle();
        let mut linking = Linking { log, pin_slot: self.pin_slot, quota: Some(quota), full: &mut self.full };
        let (mut offset, mut expires_max) = (0, Timestamp::default());
        for ((placement, bucket), result) in placements.iter().zip(buckets).zip(results) {
            let linked = linking.link(open, offset, placement, *bucket);
            match linked {
                Ok(expires_at) => expires_max = expires_max.max(expires_at),
                // Others have filled the number meanwhile. Its place is taken, so that it must not be a gap.
                Err(_) => open.write(log, offset, &Header::void(placement).to_bytes(), HEADER_BYTES),
            }
            *result = linked.map(drop);
            offset += record_bytes(placement.body.len());
        }
        open.advance(log, end, expires_max);
    }
}

/// What linking a record needs besides the record.
struct Linking<'a> {
    log: &'a PlacementLog,
    pin_slot: usize,
    quota: Option<Quota>,
    full: &'a mut FullNumbers,
}

impl Linking<'_> {
    /// Links the record `offset` bytes from the end of what is used of `open`, whose body has been written, at the
    /// head of its chain. Returns its expiry.
    #[inline]
    fn link(
        &mut self,
        open: &mut OpenSegment,
        offset: usize,
        placement: &NewPlacement<'_>,
        bucket: BucketIndex,
    ) -> Result<Timestamp, Refusal> {
        let (mut header, address) = (Header::of(placement), open.address(self.log, offset));
        let word = self.log.index.word(bucket);
        // Acquire: pairs with the Release of the compare-and-swap below, in whichever thread.
        let mut bits = word.load(link_order());
        loop {
            let head = Bucket::from_bits(bits);
            let live_max = self.live_with_one_more(placement.number, bucket, head)?;
            header.previous = head.newest();
            header.expires_at = self.log.expiry(placement.expires_at);
            open.write(self.log, offset, &header.to_bytes(), HEADER_BYTES);
            let ours = Bucket::new(address, live_max.records);
            // Release: pairs with every Acquire load of the bucket; who finds the address finds the record, and
            // through it all that this thread acquired with `head`. Acquire on failure: as the load above.
            match word.compare_exchange(bits, ours.to_bits(), publish_order(), link_order()) {
                Ok(_) => {
                    if live_max.is_followed {
                        self.full.linked(placement.number, bucket, head, ours);
                    }
                    open.mark_linked(offset + record_bytes(placement.body.len()));
                    return Ok(header.expires_at);
                }
                Err(newer) => bits = newer,
            }
        }
    }

    /// How many records of the bucket live at most once there is one more, if the quota allows one of `number`.
    #[inline]
    fn live_with_one_more(
        &mut self,
        number: TelephoneNumber,
        bucket: BucketIndex,
        head: Bucket,
    ) -> Result<LiveMax, Refusal> {
        match self.quota {
            Some(quota) if head.live_max() >= quota.proven_max() => self.look(number, bucket, head, quota),
            _ => Ok(LiveMax { records: head.live_max() + 1, is_followed: false }),
        }
    }

    /// Looks whether what is remembered of the number decides, and counts if not.
    #[cold]
    fn look(
        &mut self,
        number: TelephoneNumber,
        bucket: BucketIndex,
        head: Bucket,
        quota: Quota,
    ) -> Result<LiveMax, Refusal> {
        if self.full.live_min(number, bucket, quota.now).is_some_and(|live| live >= quota.records_max) {
            return Err(Refusal::NumberFull);
        }
        match self.full.live(number, bucket, head, quota.now) {
            // Not lowered, so that the next append looks here again and what is remembered stays in step.
            Some(_) => Ok(LiveMax { records: head.live_max() + 1, is_followed: true }),
            None => self.count(number, bucket, head, quota),
        }
    }

    /// Counts what lives in the bucket. O(its live records).
    fn count(
        &mut self,
        number: TelephoneNumber,
        bucket: BucketIndex,
        head: Bucket,
        quota: Quota,
    ) -> Result<LiveMax, Refusal> {
        let pin = self.log.pins.pin(self.pin_slot);
        let (mut live, mut of_number, mut oldest) = (0, 0, Oldest::at(quota.now));
        for record in self.log.chain(&pin, head.newest(), quota.now) {
            let is_of_number = record.header.number_bits == number.to_bits();
            live += 1;
            of_number += u32::from(is_of_number);
            oldest.push(record.header.expires_at, is_of_number);
        }
        let is_nearly_full = of_number.saturating_add(FULL_ROOM) >= quota.records_max;
        let found = (of_number, of_number >= quota.records_max);
        let is_followed = is_nearly_full && self.full.insert(number, bucket, head, found, oldest);
        if of_number >= quota.records_max {
            return Err(Refusal::NumberFull);
        }
        let least = if is_followed { quota.proven_max() } else { 0 };
        Ok(LiveMax { records: least.max(live + 1), is_followed })
    }
}

/// How many records of a bucket live at most, and whether the handle looks at what it remembers at each append.
#[derive(Clone, Copy)]
struct LiveMax {
    records: u32,
    is_followed: bool,
}

impl Quota {
    /// Below this a bucket's bound proves that there is room.
    #[inline]
    fn proven_max(self) -> u32 {
        self.records_max.min(Bucket::LIVE_UNKNOWN)
    }
}

impl OpenSegment {
    /// Writes the body of a record that begins `offset` bytes from the end of what is used, past the caches but for
    /// the line that its header will be in.
    #[inline]
    fn stream_body(&mut self, log: &PlacementLog, offset: usize, body: &[u8]) {
        let (head, rest) = body.split_at(body.len().min(HEAD_BYTES));
        self.write(log, offset + HEADER_BYTES, head, HEAD_BYTES);
        let length = record_bytes(body.len()) - LINE_BYTES;
        self.stream(log, offset + LINE_BYTES, rest, length);
    }
}

/// The bytes of the record of a placement.
#[inline]
pub(crate) fn checked_record_bytes(placement: &NewPlacement<'_>) -> usize {
    let body_bytes = placement.body.len();
    assert!(
        (1..=BODY_BYTES_MAX).contains(&body_bytes),
        "a placement of {body_bytes} bytes; the service lets pass 1 to {BODY_BYTES_MAX}"
    );
    record_bytes(body_bytes)
}
