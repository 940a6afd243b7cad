//! One instance of a plugin at work: its queue, its threads, and what becomes of both when the plugin does what it must
//! not. Replacing a plugin makes another generation; this one does what it was asked, closes, and ends.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, OnceLock, Weak, mpsc};
use std::thread;
use std::time::Duration;

use herald_core::{Clock, Random};
use herald_plugin_abi as abi;
use parking_lot::{Condvar, Mutex};

use crate::Level;
use crate::clock::wall_clock;
use crate::limits::{
    PLUGIN_CALLS_MAX, PLUGIN_CHORE_MS, PLUGIN_CLOSE_MS, PLUGIN_FAILURES_MAX, PLUGIN_LOST_THREADS_MAX,
    PLUGIN_OPEN_MS, PLUGIN_WATCH_MS,
};
use crate::plugin_loader::{HostServices, Instance, Table};
use crate::plugins::book::{Awaited, Book, NotDone, Promise, Stage};
use crate::plugins::discovery::{Found, answered};
use crate::plugins::identity::{Identity, count};
use crate::plugins::watch::Watch;

/// What a generation takes from the engine.
#[derive(Clone)]
pub(crate) struct Surroundings {
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) random: Arc<dyn Random>,
    pub(crate) watch: Arc<Watch>,
}

pub(crate) struct Generation {
    identity: Arc<Identity>,
    instance: Instance,
    may_share: bool,
    book: Book,
    watch: Arc<Watch>,
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    jobs: VecDeque<Job>,
    /// Nothing comes in any more; threads end when they have done what waits.
    is_retired: bool,
    /// Nobody waits for what is pending any more.
    is_abandoned: bool,
    /// The instance is closed, or left behind for good.
    is_over: bool,
    disabled: Option<String>,
    failures_in_a_row: u32,
    threads_started: usize,
    /// Threads that take jobs, or would if they came back.
    threads_count: usize,
    /// The tickets that threads are in the plugin with.
    inside: HashMap<usize, u64>,
    /// Threads stuck in the plugin, and whether another has taken the place.
    lost: HashMap<usize, bool>,
}

/// Work in the plugin that waits for a thread.
pub(crate) struct Job {
    ticket: u64,
    work: Box<dyn Work>,
}

/// Work that a generation does not take. Whoever has it tells.
pub(crate) struct NotTaken {
    work: Box<dyn Work>,
    /// [`NotDone::Stopped`]: this generation takes nothing any more.
    why: NotDone,
}

impl NotTaken {
    pub(crate) fn tell(self) {
        self.work.awaited().lose(self.why);
    }

    /// The work, if another generation may take it.
    pub(crate) fn for_another(self) -> Result<Box<dyn Work>, Self> {
        if self.why == NotDone::Stopped { Ok(self.work) } else { Err(self) }
    }

    pub(crate) const fn stopped(work: Box<dyn Work>) -> Self {
        Self { work, why: NotDone::Stopped }
    }
}

/// What a call into a plugin came to.
pub(crate) enum Came<T> {
    To(T),
    /// A result, and a failure nevertheless.
    ToThough(T, String),
    /// The plugin will answer.
    Pending,
    ToNothing(NotDone),
}

/// How a call went, for the books.
pub(crate) enum Verdict {
    Good,
    Pending,
    Failed(String),
}

/// One call into the plugin, and who is told.
pub(crate) trait Work: Send {
    fn name(&self) -> &'static str;
    fn awaited(&self) -> Arc<dyn Awaited>;
    fn call(&mut self, instance: &Instance, ticket: u64) -> Verdict;
    fn tell(self: Box<Self>);
}

struct Call<T, W> {
    name: &'static str,
    work: Option<W>,
    came: Option<Result<T, NotDone>>,
    promise: Arc<Promise<T>>,
}

/// A call of the function `name`: `work` does it, and `promise` is told.
pub(crate) fn work<T: Send + 'static>(
    name: &'static str,
    promise: Arc<Promise<T>>,
    work: impl FnOnce(&Instance, u64) -> Came<T> + Send + 'static,
) -> Box<dyn Work> {
    Box::new(Call { name, work: Some(work), came: None, promise })
}

impl<T, W> Work for Call<T, W>
where
    T: Send + 'static,
    W: FnOnce(&Instance, u64) -> Came<T> + Send,
{
    fn name(&self) -> &'static str {
        self.name
    }

    fn awaited(&self) -> Arc<dyn Awaited> {
        self.promise.clone()
    }

    fn call(&mut self, instance: &Instance, ticket: u64) -> Verdict {
        let Some(work) = self.work.take() else { return Verdict::Good };
        let (came, verdict) = match work(instance, ticket) {
            Came::To(value) => (Ok(value), Verdict::Good),
            Came::ToThough(value, why) => (Ok(value), Verdict::Failed(format!("{} {why}", self.name))),
            Came::Pending => return Verdict::Pending,
            Came::ToNothing(NotDone::Failed(why)) => {
                let why = format!("{} {why}", self.name);
                (Err(NotDone::Failed(why.clone())), Verdict::Failed(why))
            }
            Came::ToNothing(why) => (Err(why), Verdict::Good),
        };
        self.came = Some(came);
        verdict
    }

    fn tell(self: Box<Self>) {
        if let Some(came) = self.came {
            self.promise.tell(came);
        }
    }
}

/// The engine as the plugin calls it.
struct Side {
    identity: Arc<Identity>,
    surroundings: Surroundings,
    generation: OnceLock<Weak<Generation>>,
}

impl HostServices for Side {
    fn log(&self, level: u32, words: &str) {
        let level = match level {
            abi::LOG_ERROR => Level::Error,
            abi::LOG_INFO => Level::Info,
            _ => Level::Warning,
        };
        self.identity.say(level, words);
    }

    fn random(&self, out: &mut [u8]) {
        self.surroundings.random.fill(out);
    }

    fn wall_ms(&self) -> u64 {
        wall_clock().as_millis()
    }

    fn steady_ms(&self) -> u64 {
        self.surroundings.clock.now().as_millis()
    }

    fn answer(&self, ticket: u64, result: i32, answer: Option<&abi::Answer>) -> bool {
        let generation = self.generation.get().and_then(Weak::upgrade);
        let is_wanted = generation.is_some_and(|generation| generation.answer(ticket, result, answer));
        if !is_wanted {
            self.identity.late("answered a question that is over");
        }
        is_wanted
    }
}

impl Generation {
    /// Opens an instance of `table` on a thread of its own, and has `threads_count` threads serve it.
    pub(crate) fn open(
        identity: &Arc<Identity>,
        table: &Table,
        settings: &[(String, String)],
        surroundings: &Surroundings,
        threads_count: usize,
    ) -> Result<Arc<Self>, String> {
        let side = Arc::new(Side {
            identity: identity.clone(),
            surroundings: surroundings.clone(),
            generation: OnceLock::new(),
        });
        let instance = open_within(table.clone(), side.clone(), settings.to_vec())?;
        let generation = Arc::new(Self {
            identity: identity.clone(),
            instance,
            may_share: table.may_share,
            book: Book::default(),
            watch: surroundings.watch.clone(),
            state: Mutex::default(),
            changed: Condvar::new(),
        });
        // It was made just now.
        let _ = side.generation.set(Arc::downgrade(&generation));
        let is_watched = surroundings.watch.over(&generation);
        if !is_watched {
            generation.abandon();
        }
        for _ in 0..if table.may_share { threads_count } else { 1 } {
            generation.start_thread()?;
        }
        if is_watched { Ok(generation) } else { Err("the engine was stopped meanwhile".to_owned()) }
    }

    /// Has a thread do `work` by `deadline_ms`, or gives it back, and nobody has been told yet. Never waits.
    pub(crate) fn submit(&self, work: Box<dyn Work>, deadline_ms: u64) -> Result<(), NotTaken> {
        let refused = {
            let mut state = self.state.lock();
            if state.is_retired {
                return Err(NotTaken { work, why: NotDone::Stopped });
            }
            count(&self.identity.tally.calls);
            match &state.disabled {
                Some(why) => NotDone::Disabled(why.clone()),
                None => match self.book.open(work.name(), deadline_ms, work.awaited(), PLUGIN_CALLS_MAX) {
                    None => NotDone::Busy,
                    Some(ticket) => {
                        state.jobs.push_back(Job { ticket, work });
                        drop(state);
                        self.changed.notify_one();
                        self.watch.expect_by(deadline_ms);
                        return Ok(());
                    }
                },
            }
        };
        if refused == NotDone::Busy {
            count(&self.identity.tally.busy);
        }
        Err(NotTaken { work, why: refused })
    }

    /// Why it serves nobody, if it does not.
    pub(crate) fn disabled(&self) -> Option<String> {
        self.state.lock().disabled.clone()
    }

    /// How many of its threads are stuck in the plugin.
    pub(crate) fn lost_count(&self) -> usize {
        self.state.lock().lost.len()
    }

    /// Takes nothing any more, does what it was asked, and closes.
    pub(crate) fn retire(&self) {
        self.state.lock().is_retired = true;
        self.changed.notify_all();
    }

    /// Takes nothing any more and gives up what waits.
    pub(crate) fn abandon(&self) {
        self.state.lock().is_abandoned = true;
        self.retire();
        self.give_up_all(&NotDone::Stopped);
    }

    /// Abandons it, and gives up also the calls that are in the plugin: nobody watches over their deadlines any more.
    pub(crate) fn leave_behind(&self) {
        self.abandon();
        for call in self.book.clear() {
            call.awaited.lose(NotDone::Stopped);
        }
    }

    /// Waits until the instance is closed, `patience` at most. Whether it is.
    pub(crate) fn wait_until_over(&self, patience: Duration) -> bool {
        let mut state = self.state.lock();
        self.changed.wait_while_for(&mut state, |state| !state.is_over, patience);
        state.is_over
    }

    pub(crate) fn first_deadline_ms(&self) -> Option<u64> {
        self.book.first_deadline_ms()
    }

    /// Gives up the calls whose deadline is over.
    pub(crate) fn give_up_overdue(self: &Arc<Self>, now_ms: u64) {
        for (ticket, call) in self.book.overdue(now_ms) {
            count(&self.identity.tally.timed_out);
            let name = call.name;
            match call.stage {
                Stage::Waiting if self.lost_count() > 0 => {
                    self.settle(Err(format!("{name} waits behind a call that does not return")));
                }
                // Too much was asked of it at once; that is not its fault.
                Stage::Waiting => {}
                Stage::Inside(thread) | Stage::Answered(thread) => {
                    self.lose_thread(thread, ticket);
                    self.settle(Err(format!("{name} has not returned by its deadline")));
                }
                Stage::Pending => {
                    self.settle(Err(format!("{name} was not answered by its deadline")));
                    self.cancel(ticket);
                }
            }
            call.awaited.lose(NotDone::TimedOut);
        }
    }

    /// The plugin answers a question. Whether anybody wants to know.
    fn answer(&self, ticket: u64, result: i32, answer: Option<&abi::Answer>) -> bool {
        let Some(promise) = self.book.answer::<Found>(ticket) else { return false };
        let came = match answered(result, answer) {
            Ok(found) => {
                self.settle(Ok(()));
                Ok(found)
            }
            Err(why) => {
                let why = format!("answered and {why}");
                self.settle(Err(why.clone()));
                Err(NotDone::Failed(why))
            }
        };
        promise.tell(came);
        true
    }

    /// Tells the plugin that a question is over.
    fn cancel(&self, ticket: u64) {
        let promise = Promise::<()>::new(Box::new(|_| {}));
        let work = work("cancel", promise, move |instance, _| match instance.cancel(ticket) {
            Ok(_) => Came::To(()),
            Err(why) => Came::ToNothing(NotDone::Failed(why)),
        });
        // Nobody waits for it, and a plugin that is being closed need not know.
        let _ = self.submit(work, self.watch.now_ms() + PLUGIN_CHORE_MS);
    }

    /// Books a success or a failure; too many failures in a row disable the plugin.
    fn settle(&self, outcome: Result<(), String>) {
        let mut state = self.state.lock();
        let Err(deed) = outcome else {
            state.failures_in_a_row = 0;
            return;
        };
        state.failures_in_a_row += 1;
        let is_the_last = state.failures_in_a_row == PLUGIN_FAILURES_MAX;
        let why = format!("it failed {PLUGIN_FAILURES_MAX} times in a row, the last time: {deed}");
        if is_the_last {
            state.disabled = Some(why.clone());
        }
        drop(state);
        self.identity.failed(&deed);
        if is_the_last {
            self.identity.say(Level::Error, &format!("disabled until it is replaced: {why}"));
            self.give_up_all(&NotDone::Disabled(why));
        }
    }

    fn give_up_all(&self, why: &NotDone) {
        let jobs = core::mem::take(&mut self.state.lock().jobs);
        let given_up = self.book.give_up();
        drop(jobs);
        for call in given_up {
            call.awaited.lose(why.clone());
        }
    }

    /// A thread is stuck in the plugin with this ticket, if it has not come back just now; another takes its place if the
    /// plugin lets several in.
    fn lose_thread(self: &Arc<Self>, thread: usize, ticket: u64) {
        let mut state = self.state.lock();
        if state.inside.get(&thread) != Some(&ticket) {
            return;
        }
        let replaced_count = state.lost.values().filter(|&&is_replaced| is_replaced).count();
        let is_replaced = self.may_share && replaced_count < PLUGIN_LOST_THREADS_MAX;
        state.lost.insert(thread, is_replaced);
        if is_replaced {
            state.threads_count -= 1;
            drop(state);
            if let Err(why) = self.start_thread() {
                self.identity.say(Level::Error, &why);
            }
        }
    }

    fn start_thread(self: &Arc<Self>) -> Result<(), String> {
        let thread = {
            let mut state = self.state.lock();
            state.threads_started += 1;
            state.threads_count += 1;
            state.threads_started
        };
        let generation = self.clone();
        let started =
            thread::Builder::new().name("herald-plugin".into()).spawn(move || generation.serve(thread));
        started.map(|_| ()).map_err(|error| {
            self.state.lock().threads_count -= 1;
            format!("the system refuses a thread: {error}")
        })
    }

    fn serve(&self, thread: usize) {
        while let Some(mut job) = self.next() {
            self.state.lock().inside.insert(thread, job.ticket);
            if self.book.begin(job.ticket, thread) {
                let verdict = job.work.call(&self.instance, job.ticket);
                self.conclude(job, verdict);
            }
            if self.came_out(thread) {
                return;
            }
        }
        let is_last = {
            let mut state = self.state.lock();
            state.threads_count -= 1;
            state.threads_count == 0
        };
        if is_last {
            self.close();
        }
    }

    /// A thread is in the plugin no more. Whether another has taken its place.
    fn came_out(&self, thread: usize) -> bool {
        let mut state = self.state.lock();
        state.inside.remove(&thread);
        state.lost.remove(&thread) == Some(true)
    }

    /// The next job; `None` when there is nothing more to do for ever.
    fn next(&self) -> Option<Job> {
        let mut state = self.state.lock();
        loop {
            if let Some(job) = state.jobs.pop_front() {
                return Some(job);
            }
            if state.is_retired {
                return None;
            }
            self.changed.wait(&mut state);
        }
    }

    fn conclude(&self, job: Job, verdict: Verdict) {
        let ticket = job.ticket;
        let outcome = match verdict {
            Verdict::Pending => {
                if self.book.pend(ticket).is_none() {
                    self.cancel(ticket);
                }
                if self.state.lock().is_abandoned {
                    self.give_up_all(&NotDone::Stopped);
                }
                return;
            }
            Verdict::Good => Ok(()),
            Verdict::Failed(why) => Err(why),
        };
        let name = job.work.name();
        match self.book.end(ticket) {
            None => self.identity.late(&format!("{name} returned after its deadline")),
            Some(call) if matches!(call.stage, Stage::Answered(_)) => {
                self.identity.late(&format!("{name} answered twice"));
            }
            Some(_) => {
                self.settle(outcome);
                job.work.tell();
            }
        }
    }

    /// The last thread ends the instance, once the questions that are pending are over.
    fn close(&self) {
        self.book.wait_until_empty(Duration::from_millis(PLUGIN_WATCH_MS));
        match self.instance.close() {
            Ok(true) => {}
            Ok(false) => self.identity.say(Level::Warning, "is not closed: a thread is stuck in it"),
            Err(why) => self.identity.failed(&format!("close {why}")),
        }
        self.state.lock().is_over = true;
        self.changed.notify_all();
    }
}

/// How long an engine waits for a plugin that is stopped.
pub(crate) const fn close_patience() -> Duration {
    Duration::from_millis(PLUGIN_CLOSE_MS)
}

/// Opens an instance on a thread of its own. One that comes too late is closed again.
fn open_within(table: Table, side: Arc<Side>, settings: Vec<(String, String)>) -> Result<Instance, String> {
    let (sender, receiver) = mpsc::sync_channel(0);
    let open = move || {
        let opened = Instance::open(&table, side, &settings);
        if let Err(mpsc::SendError(Ok(late))) = sender.send(opened) {
            // Nobody hears of it any more.
            let _ = late.close();
        }
    };
    let thread = thread::Builder::new().name("herald-plugin".into()).spawn(open);
    thread.map_err(|error| format!("the system refuses a thread: {error}"))?;
    let opened = receiver.recv_timeout(Duration::from_millis(PLUGIN_OPEN_MS));
    opened.unwrap_or_else(|_| Err(format!("open has not returned within {} s", PLUGIN_OPEN_MS / 1000)))
}
