//! A request that is answered while it arrives: carries pieces from hyper to the service's dialogue and back, one
//! for one, so that a peer that does not read cannot make us write, nor one that does not write make us wait.
//!
//! Knows hyper's bodies, the account and the deadline; nothing of what is said.

use core::cell::Cell;
use core::future::Future;
use core::pin::Pin;
use core::task::{Context, Poll, ready};
use core::time::Duration;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Instant;

use hyper::Response;
use hyper::body::{Body, Bytes, Incoming};

use crate::account::{Account, UnderWay};
use crate::counters::Counters;
use crate::exchange::Shared;
use crate::service::{Dialogue, InputEnd};
use crate::timers::{Sleep, Timers};

/// Both bodies of one exchange and who talks.
pub(crate) struct Conversation {
    dialogue: Box<dyn Dialogue>,
    input: Incoming,
    is_input_over: bool,
    /// The first piece of the answer, which was waited for before its head was sent.
    first: Option<Bytes>,
    /// It has just said something and lets others speak.
    rests: bool,
    pause: Pause,
    counters: Arc<Counters>,
    under_way: UnderWay,
}

/// The deadline of a peer whose next piece we wait for.
struct Pause {
    limit: Duration,
    now: Rc<Cell<Instant>>,
    timers: Timers,
    /// Since when we wait; `None` while we don't.
    since: Option<Instant>,
    sleep: Option<Sleep>,
}

impl Conversation {
    pub(crate) fn new<S>(
        shared: &Shared<S>,
        under_way: UnderWay,
        dialogue: Box<dyn Dialogue>,
        input: Incoming,
    ) -> Box<Self> {
        let limit = shared.limits.body_timeout;
        let (now, timers) = (shared.now.clone(), shared.timers.clone());
        Box::new(Self {
            dialogue,
            input,
            is_input_over: false,
            first: None,
            rests: false,
            pause: Pause { limit, now, timers, since: None, sleep: None },
            counters: shared.counters.clone(),
            under_way,
        })
    }

    pub(crate) fn account(&self) -> &Rc<Account> {
        self.under_way.account()
    }

    /// Waits until the answer begins. The error is what to answer instead.
    pub(crate) fn poll_first(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Response<Bytes>>> {
        self.first = ready!(self.poll_dialogue(cx))?;
        Poll::Ready(Ok(()))
    }

    /// The next piece of the answer.
    pub(crate) fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Option<Bytes>> {
        if let Some(first) = self.first.take() {
            return Poll::Ready(Some(first));
        }
        ready!(self.account().poll_room(cx));
        // Only before its first piece may a dialogue be refused as a whole; afterwards this ends it.
        self.poll_dialogue(cx).map(|answer| answer.ok().flatten())
    }

    /// What is left of an exchange that is not to be: the request under way and the rest of its body.
    pub(crate) fn into_rest(self: Box<Self>) -> (UnderWay, Incoming) {
        (self.under_way, self.input)
    }

    fn poll_dialogue(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<Bytes>, Response<Bytes>>> {
        if core::mem::take(&mut self.rests) {
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        loop {
            if let Poll::Ready(answer) = self.dialogue.poll_answer(cx) {
                self.rests = true;
                return Poll::Ready(answer);
            }
            if self.is_input_over || !self.dialogue.has_room() {
                self.pause.end();
                return Poll::Pending;
            }
            let end = match Pin::new(&mut self.input).poll_frame(cx) {
                Poll::Ready(Some(Ok(frame))) => {
                    self.pause.end();
                    if let Ok(piece) = frame.into_data() {
                        self.dialogue.take(piece);
                    }
                    continue;
                }
                Poll::Ready(Some(Err(_))) => InputEnd::Broken,
                Poll::Ready(None) => InputEnd::Complete,
                Poll::Pending => {
                    ready!(self.pause.poll_over(cx));
                    self.counters.body_timeout();
                    InputEnd::Timeout
                }
            };
            self.is_input_over = true;
            self.dialogue.end(end);
        }
    }
}

impl Pause {
    fn end(&mut self) {
        self.since = None;
    }

    /// Ready once we have waited for too long. The timer is left where it is while pieces come: moving it with
    /// each would cost more than waking once for nothing.
    fn poll_over(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let until = *self.since.get_or_insert(self.now.get()) + self.limit;
        loop {
            let sleep = self.sleep.get_or_insert_with(|| self.timers.sleep(until));
            ready!(Pin::new(sleep).poll(cx));
            self.sleep = None;
            if self.timers.now() >= until {
                return Poll::Ready(());
            }
        }
    }
}
