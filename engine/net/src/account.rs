//! What one connection owes and is owed: requests under way, answers the peer has not yet taken, and whether there
//! is room for more of them.
//!
//! Knows nothing of HTTP.

use core::cell::{Cell, RefCell};
use core::task::{Context, Poll, Waker};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Instant;

use crate::stream::IoState;

/// The account of one connection: requests under way and answers not yet taken.
pub(crate) struct Account {
    io: Arc<IoState>,
    now: Rc<Cell<Instant>>,
    output_bytes_max: usize,
    under_way: Cell<usize>,
    requests: Cell<u64>,
    idle_since: Cell<Instant>,
    output_bytes: Cell<usize>,
    answers_taken: Cell<u64>,
    requests_left: Cell<u32>,
    waiting_for_room: RefCell<Vec<Waker>>,
}

impl Account {
    pub(crate) fn new(io: Arc<IoState>, now: Rc<Cell<Instant>>, output_bytes_max: usize) -> Self {
        let opened_at = now.get();
        Self {
            io,
            now,
            output_bytes_max,
            under_way: Cell::new(0),
            requests: Cell::new(0),
            idle_since: Cell::new(opened_at),
            output_bytes: Cell::new(0),
            answers_taken: Cell::new(0),
            requests_left: Cell::new(0),
            waiting_for_room: RefCell::default(),
        }
    }

    /// Requests whose answer the peer has not yet taken in full.
    pub(crate) fn under_way(&self) -> usize {
        self.under_way.get()
    }

    /// Requests since the connection opened.
    pub(crate) fn requests(&self) -> u64 {
        self.requests.get()
    }

    /// When the last request ended, or the connection opened.
    pub(crate) fn idle_since(&self) -> Instant {
        self.idle_since.get()
    }

    /// Whether answers wait inside HTTP for the peer to take them.
    pub(crate) fn has_output(&self) -> bool {
        self.output_bytes.get() > 0
    }

    /// Answers and pieces of answers taken in full, the measure of a peer's progress.
    pub(crate) fn answers_taken(&self) -> u64 {
        self.answers_taken.get()
    }

    /// Starts a wake of an HTTP/1.1 connection.
    pub(crate) fn allow_requests(&self, count: u32) {
        self.requests_left.set(count);
    }

    /// Wakes the requests that wait for room, if there is room again.
    pub(crate) fn announce_room(&self) {
        if self.has_room() {
            let waiting = self.waiting_for_room.take();
            waiting.into_iter().for_each(Waker::wake);
        }
    }

    /// Pending once the connection has had its share of this wake.
    pub(crate) fn poll_share(&self, cx: &mut Context<'_>) -> Poll<()> {
        let left = self.requests_left.get();
        if left == 0 {
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        self.requests_left.set(left - 1);
        Poll::Ready(())
    }

    /// Takes in an answer's bytes that hyper is about to be given.
    pub(crate) fn charge(&self, bytes: usize) {
        self.output_bytes.set(self.output_bytes.get() + bytes);
    }

    /// The peer has taken as many bytes, the whole of one piece.
    pub(crate) fn discharge(&self, bytes: usize) {
        self.output_bytes.set(self.output_bytes.get() - bytes);
        self.answers_taken.set(self.answers_taken.get().wrapping_add(1));
        self.announce_room();
    }

    fn has_room(&self) -> bool {
        self.output_bytes.get() < self.output_bytes_max && !self.io.is_write_blocked()
    }

    /// Pending while the peer leaves earlier answers lying.
    pub(crate) fn poll_room(&self, cx: &mut Context<'_>) -> Poll<()> {
        if self.has_room() {
            return Poll::Ready(());
        }
        let mut waiting = self.waiting_for_room.borrow_mut();
        if !waiting.iter().any(|waker| waker.will_wake(cx.waker())) {
            waiting.push(cx.waker().clone());
        }
        Poll::Pending
    }
}

/// Counts a request from its head to the moment its answer is gone.
pub(crate) struct UnderWay {
    account: Rc<Account>,
}

impl UnderWay {
    pub(crate) fn begin(account: Rc<Account>) -> Self {
        account.under_way.set(account.under_way.get() + 1);
        account.requests.set(account.requests.get() + 1);
        Self { account }
    }

    pub(crate) fn account(&self) -> &Rc<Account> {
        &self.account
    }
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        let account = &self.account;
        account.under_way.set(account.under_way.get() - 1);
        account.idle_since.set(account.now.get());
    }
}
