//! Batches: records are answered in steps while the request arrives, each with the rules of a single request.

use super::message::{Effect, Request, Response};
use super::problem::Problem;
use super::route::{self, BatchKind};
use super::{Service, Storing, retrieved};
use crate::batch::{self, Front, Outcome};
use crate::limits::{BATCH_NUMBERS_PER_STEP, BATCH_STEP_BYTES, STORES_TOGETHER};
use crate::number::TelephoneNumber;
use crate::placement::PlacementStore;
use crate::time::Timestamp;

/// A batch in the middle of its request: what has been read and not yet answered, which is less than one record.
///
/// The bytes of the request go through [`Service::step_batch`], in pieces of any size. Then [`end`](Self::end) has
/// the last word.
#[derive(Clone)]
pub struct BatchExchange {
    kind: BatchKind,
    has_begun: bool,
    /// The front of a record that has not arrived whole.
    kept: Vec<u8>,
    /// Bytes of a refused record that are still to come.
    to_pass_over: usize,
}

impl BatchExchange {
    /// Begins to answer a request of which the body is still to come; `None` if it asks for no batch.
    ///
    /// # Errors
    /// The refusal of the whole request.
    pub fn open(request: &Request<'_>, storing: Storing) -> Result<Option<Self>, Problem> {
        let Some(kind) = route::batch_kind(request)? else { return Ok(None) };
        if !route::is_of_type(request.content_type, batch::MEDIA_TYPE) {
            return Err(Problem::BatchMediaType);
        }
        route::accepts(request.accept, batch::MEDIA_TYPE)?;
        if kind == BatchKind::Stores && storing == Storing::Impossible {
            return Err(Problem::Unavailable);
        }
        Ok(Some(Self { kind, has_begun: false, kept: Vec::new(), to_pass_over: 0 }))
    }

    /// Whether the answer shows the bodies of placements, if there are any. Depends on the request alone.
    pub fn asks_for_bodies(&self) -> bool {
        self.kind == BatchKind::Numbers
    }

    /// Status and header fields of the answer.
    pub fn head(&self) -> Response {
        retrieved(batch::MEDIA_TYPE, Vec::new())
    }

    /// The request has ended, of itself or as `cut_off` says: appends what is left to say.
    ///
    /// # Errors
    /// [`Problem::BatchVersion`] if it was empty; nothing was answered.
    pub fn end(&mut self, cut_off: Option<Outcome>, out: &mut Vec<u8>) -> Result<(), Problem> {
        if !self.has_begun {
            return Err(Problem::BatchVersion);
        }
        let is_inside_a_record = !self.kept.is_empty() || self.to_pass_over > 0;
        let last = cut_off.or(is_inside_a_record.then_some(Outcome::Broken));
        out.extend(last.map(Outcome::code));
        Ok(())
    }

    fn begin(&mut self, input: &mut &[u8], out: &mut Vec<u8>) -> Result<(), Problem> {
        batch::take_version(input).map_err(|_| Problem::BatchVersion)?;
        self.has_begun = true;
        out.push(batch::VERSION);
        Ok(())
    }

    fn front<'a>(&self, input: &'a [u8]) -> Front<'a> {
        match self.kind {
            BatchKind::Stores => batch::front_placement(input),
            BatchKind::Numbers => batch::front_number(input),
        }
    }

    /// Moves bytes from `input` to what is kept until that is a whole record or one that is refused. False if
    /// more must come first.
    fn complete(&mut self, input: &mut &[u8]) -> bool {
        while let Front::Partial { missing_bytes } = self.front(&self.kept) {
            if input.is_empty() {
                return false;
            }
            self.kept.extend_from_slice(take(input, missing_bytes));
        }
        true
    }

    fn pass_over(&mut self, input: &mut &[u8]) {
        self.to_pass_over -= take(input, self.to_pass_over).len();
    }
}

/// Takes up to `bytes` bytes off the front of `input`.
fn take<'a>(input: &mut &'a [u8], bytes: usize) -> &'a [u8] {
    let (taken, rest) = input.split_at(bytes.min(input.len()));
    *input = rest;
    taken
}

/// Placements that stand one behind the other in a request.
type Run<'a> = Vec<(TelephoneNumber, &'a [u8])>;

/// Where one step of a batch stores and what it writes.
struct Step<'a> {
    service: &'a mut Service,
    store: &'a mut dyn PlacementStore,
    storing: Storing,
    now: Timestamp,
    out: &'a mut Vec<u8>,
    /// How long `out` was before the step.
    out_begin: usize,
    effect: Effect,
}

impl Service {
    /// Answers some of the records in `input`: takes them off its front and appends their results to `out`. What is
    /// done at once is bounded, in records and by [`BATCH_STEP_BYTES`]; repeat it until `input` is empty. The first
    /// step answers with the version alone.
    ///
    /// The effect is for the results appended here. If it fails, send [`batch::withdraw`] of them instead.
    ///
    /// # Errors
    /// [`Problem::BatchVersion`], before anything was answered.
    pub fn step_batch(
        &mut self,
        store: &mut dyn PlacementStore,
        batch: &mut BatchExchange,
        input: &mut &[u8],
        out: &mut Vec<u8>,
        storing: Storing,
        now: Timestamp,
    ) -> Result<Effect, Problem> {
        if !batch.has_begun {
            return batch.begin(input, out).map(|()| Effect::None);
        }
        let out_begin = out.len();
        let mut step = Step { service: self, store, storing, now, out, out_begin, effect: Effect::None };
        step.take(batch, input);
        Ok(step.effect)
    }
}

impl Step<'_> {
    fn take(&mut self, batch: &mut BatchExchange, input: &mut &[u8]) {
        batch.pass_over(input);
        if !batch.kept.is_empty() {
            if !batch.complete(input) {
                return;
            }
            let kept = core::mem::take(&mut batch.kept);
            batch.to_pass_over += self.answer(batch, &mut kept.as_slice());
            batch.kept = kept;
            batch.kept.clear();
        }
        batch.pass_over(input);
        batch.to_pass_over += self.answer(batch, input);
        batch.pass_over(input);
        if let Front::Partial { .. } = batch.front(input) {
            batch.kept.extend_from_slice(take(input, input.len()));
        }
    }

    /// Answers whole records at the front of `input`, as many as one step may. Gives the bytes of a refused one
    /// that have not arrived.
    fn answer(&mut self, batch: &BatchExchange, input: &mut &[u8]) -> usize {
        let records_max = match batch.kind {
            BatchKind::Stores => STORES_TOGETHER,
            BatchKind::Numbers => BATCH_NUMBERS_PER_STEP,
        };
        let mut run = Run::new();
        let mut absent_bytes = 0;
        for _ in 0..records_max {
            if self.out.len() - self.out_begin >= BATCH_STEP_BYTES {
                break;
            }
            match batch.front(input) {
                Front::Partial { .. } => break,
                Front::Record { number, body, bytes } => {
                    take(input, bytes);
                    match batch.kind {
                        BatchKind::Stores => run.push((number, body)),
                        BatchKind::Numbers => self.retrieve(number),
                    }
                }
                Front::Refused { outcome, bytes } => {
                    self.store(&mut run);
                    self.out.push(outcome.code());
                    absent_bytes = bytes - take(input, bytes).len();
                }
            }
        }
        self.store(&mut run);
        absent_bytes
    }

    fn store(&mut self, run: &mut Run<'_>) {
        let mut results = Vec::with_capacity(run.len());
        match self.storing {
            Storing::Possible => self.service.store_batch(self.store, run, self.now, &mut results),
            Storing::Impossible => results.resize(run.len(), Err(Problem::Unavailable)),
        }
        run.clear();
        for result in results {
            match result {
                Ok(id) => {
                    batch::put_stored(self.out, id);
                    self.effect = Effect::MakeDurable;
                }
                Err(problem) => self.out.push(Outcome::of_problem(&problem).code()),
            }
        }
    }

    fn retrieve(&mut self, number: TelephoneNumber) {
        let items = self.service.retrieve(self.store, number, self.now);
        batch::put_retrieved(self.out, &items);
    }
}
