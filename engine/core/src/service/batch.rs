//! Batches: records are answered in steps while the request arrives, each with the rules of a single request.

use super::gate::{Gate, GatedStore, check_gated};
use super::message::{Effect, Request, Response};
use super::problem::Problem;
use super::route::{self, BatchKind};
use super::tally::{NotFound, NotStored};
use super::{Service, Storing, retrieved};
use crate::batch::{self, CREDENTIAL_BYTES, Front, Outcome};
use crate::class::PlacementClass;
use crate::limits::{BATCH_NUMBERS_PER_STEP, BATCH_STEP_BYTES, STORES_TOGETHER};
use crate::number::TelephoneNumber;
use crate::placement::{PlacementId, PlacementStore};
use crate::time::Timestamp;

/// A batch in the middle of its request: what has been read and not yet answered, which is less than one record.
///
/// The bytes of the request go through [`Service::step_batch`], in pieces of any size. Then [`end`](Self::end) has
/// the last word.
#[derive(Clone)]
pub struct BatchExchange {
    kind: BatchKind,
    /// Of what is stored.
    class: PlacementClass,
    /// Whether each placement comes with a credential.
    is_gated: bool,
    has_begun: bool,
    /// The front of a record that has not arrived whole.
    kept: Vec<u8>,
    /// Bytes of a refused record that are still to come.
    to_pass_over: usize,
}

impl BatchExchange {
    /// Begins to answer a request of which the body is still to come; `None` if it asks for no batch. `storing` is of the
    /// request's [class](Request::class).
    ///
    /// # Errors
    /// The refusal of the whole request.
    pub fn open(request: &Request<'_>, storing: Storing) -> Result<Option<Self>, Problem> {
        let Some(kind) = route::batch_kind(request)? else { return Ok(None) };
        if !route::is_of_type(request.content_type, batch::MEDIA_TYPE) {
            return Err(Problem::BatchMediaType);
        }
        route::accepts(request.accept, batch::MEDIA_TYPE)?;
        let mut class = PlacementClass::Call;
        if kind == BatchKind::Stores {
            class = request.class()?;
            storing.check(class)?;
        }
        Ok(Some(Self { kind, class, is_gated: false, has_begun: false, kept: Vec::new(), to_pass_over: 0 }))
    }

    /// The same where stores need tokens: placements come with credentials, of version [`batch::GATED_VERSION`], and are
    /// stepped through by [`Service::step_gated`].
    ///
    /// # Errors
    /// [`Problem::ClassNotGated`], the refusal of the whole request.
    pub fn gated(self) -> Result<Self, Problem> {
        check_gated(self.class)?;
        Ok(Self { is_gated: self.kind == BatchKind::Stores, ..self })
    }

    /// The class of all its placements, if it brings some.
    pub fn class(&self) -> PlacementClass {
        self.class
    }

    /// Whether placements come with credentials.
    pub fn is_gated(&self) -> bool {
        self.is_gated
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
            return Err(Problem::BatchVersion(self.version()));
        }
        let is_inside_a_record = !self.kept.is_empty() || self.to_pass_over > 0;
        let last = cut_off.or(is_inside_a_record.then_some(Outcome::Broken));
        out.extend(last.map(Outcome::code));
        Ok(())
    }

    fn begin(&mut self, input: &mut &[u8], out: &mut Vec<u8>) -> Result<(), Problem> {
        let (version, rest) = input.split_first().ok_or(Problem::BatchVersion(self.version()))?;
        if *version != self.version() {
            return Err(Problem::BatchVersion(self.version()));
        }
        *input = rest;
        self.has_begun = true;
        out.push(batch::VERSION);
        Ok(())
    }

    fn version(&self) -> u8 {
        if self.is_gated { batch::GATED_VERSION } else { batch::VERSION }
    }

    fn front<'a>(&self, input: &'a [u8]) -> Front<'a> {
        match self.kind {
            BatchKind::Stores if self.is_gated => batch::front_gated(input),
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

/// Placements that stand one behind the other in a request, with their credentials where they need some.
#[derive(Default)]
struct Run<'a> {
    free: Vec<(TelephoneNumber, &'a [u8])>,
    gated: Vec<GatedStore<'a>>,
}

/// Where one step of a batch stores and what it writes.
struct Step<'a> {
    service: &'a mut Service,
    store: &'a mut dyn PlacementStore,
    gate: Option<&'a mut dyn Gate>,
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
    /// `storing` and the effect are of the batch's [class](BatchExchange::class). The effect is for the results appended here. If it fails, send [`batch::withdraw`] of them instead.
    ///
    /// # Errors
    /// [`Problem::BatchVersion`], [`Problem::ClassNotKept`], before anything was answered.
    pub fn step_batch(
        &mut self,
        store: &mut dyn PlacementStore,
        batch: &mut BatchExchange,
        input: &mut &[u8],
        out: &mut Vec<u8>,
        storing: Storing,
        now: Timestamp,
    ) -> Result<Effect, Problem> {
        let (service, store) = self.of_class(store, batch.class)?;
        Step::new(service, store, None, storing, now, out).run(batch, input)
    }

    /// [`step_batch`](Self::step_batch) where stores need tokens: `gate` lets them in.
    ///
    /// # Errors
    /// As [`step_batch`](Self::step_batch).
    #[expect(clippy::too_many_arguments, reason = "those of step_batch and one more")]
    pub fn step_gated(
        &mut self,
        store: &mut dyn PlacementStore,
        gate: &mut dyn Gate,
        batch: &mut BatchExchange,
        input: &mut &[u8],
        out: &mut Vec<u8>,
        storing: Storing,
        now: Timestamp,
    ) -> Result<Effect, Problem> {
        let (service, store) = self.of_class(store, batch.class)?;
        Step::new(service, store, Some(gate), storing, now, out).run(batch, input)
    }
}

impl<'a> Step<'a> {
    fn new(
        service: &'a mut Service,
        store: &'a mut dyn PlacementStore,
        gate: Option<&'a mut dyn Gate>,
        storing: Storing,
        now: Timestamp,
        out: &'a mut Vec<u8>,
    ) -> Self {
        let out_begin = out.len();
        Self { service, store, gate, storing, now, out, out_begin, effect: Effect::None }
    }

    fn run(mut self, batch: &mut BatchExchange, input: &mut &[u8]) -> Result<Effect, Problem> {
        if !batch.has_begun {
            return batch.begin(input, self.out).map(|()| Effect::None);
        }
        self.take(batch, input);
        Ok(self.effect)
    }

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
        let mut run = Run::default();
        let mut absent_bytes = 0;
        for _ in 0..records_max {
            if self.out.len() - self.out_begin >= BATCH_STEP_BYTES {
                break;
            }
            match batch.front(input) {
                Front::Partial { .. } => break,
                Front::Record { number, body, bytes } => {
                    let record = take(input, bytes);
                    match batch.kind {
                        BatchKind::Stores if batch.is_gated => {
                            let credential: &[u8; CREDENTIAL_BYTES] =
                                record.first_chunk().expect("a record that is gated begins with one");
                            run.gated.push(GatedStore { credential, number, body });
                        }
                        BatchKind::Stores => run.free.push((number, body)),
                        BatchKind::Numbers => self.retrieve(number),
                    }
                }
                Front::Refused { outcome, bytes } => {
                    self.store(&mut run);
                    self.out.push(outcome.code());
                    self.turn_away(batch.kind, outcome);
                    absent_bytes = bytes - take(input, bytes).len();
                }
            }
        }
        self.store(&mut run);
        absent_bytes
    }

    #[cold]
    fn turn_away(&self, kind: BatchKind, outcome: Outcome) {
        match kind {
            BatchKind::Stores => self.service.tally().not_stored(NotStored::of_outcome(outcome)),
            BatchKind::Numbers => self.service.tally().not_found(NotFound::Number),
        }
    }

    fn store(&mut self, run: &mut Run<'_>) {
        if self.storing != Storing::Possible {
            let count = run.free.len() + run.gated.len();
            let refused = u64::try_from(count).unwrap_or(u64::MAX);
            self.service.tally().not_stored_times(NotStored::Journal, refused);
            self.out.extend(core::iter::repeat_n(Outcome::Unavailable.code(), count));
        } else if let Some(gate) = &mut self.gate {
            let mut results = Vec::with_capacity(run.gated.len());
            self.service.store_gated(self.store, &mut **gate, &run.gated, self.now, &mut results);
            results.into_iter().for_each(|result| self.put_stored(result));
        } else {
            let mut results = Vec::with_capacity(run.free.len());
            self.service.store_batch(self.store, &run.free, self.now, &mut results);
            for result in results {
                self.put_stored(result.map_err(|problem| Outcome::of_problem(&problem)));
            }
        }
        run.free.clear();
        run.gated.clear();
    }

    fn put_stored(&mut self, result: Result<PlacementId, Outcome>) {
        match result {
            Ok(id) => {
                batch::put_stored(self.out, id);
                self.effect = Effect::MakeDurable;
            }
            Err(outcome) => self.out.push(outcome.code()),
        }
    }

    fn retrieve(&mut self, number: TelephoneNumber) {
        let items = self.service.retrieve(self.store, number, self.now);
        batch::put_retrieved(self.out, &items);
    }
}
