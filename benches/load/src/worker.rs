//! A run: its threads, each with its share of connections and of the schedule.

use core::time::Duration;
use std::collections::VecDeque;
use std::io::{self, ErrorKind};
use std::thread;
use std::time::Instant;

use mio::{Events, Poll, Token};

use crate::connection::Connection;
use crate::error::LoadError;
use crate::limits::{EVENTS_MAX, LAST_ANSWERS_TIMEOUT};
use crate::plan::Plan;
use crate::report::Report;
use crate::schedule::Schedule;
use crate::tokens::open_sessions;
use crate::workload::Workload;

/// Runs `plan` and blocks until its last answer has arrived or is given up.
///
/// # Errors
/// See [`LoadError`]; a run that loses a connection has no figures.
pub fn run(plan: &Plan) -> Result<Report, LoadError> {
    prepare(plan)?.run()
}

/// A run that has all it needs and is not connected.
pub struct Ready<'a> {
    plan: &'a Plan,
    workloads: Vec<Workload>,
}

/// Does what a run needs before it connects: where stores need tokens, it gets them, opens sessions and makes MACs, which takes
/// seconds.
///
/// # Errors
/// See [`LoadError`].
pub fn prepare(plan: &Plan) -> Result<Ready<'_>, LoadError> {
    plan.check()?;
    Ok(Ready { plan, workloads: workloads(plan)? })
}

impl Ready<'_> {
    /// Connects, asks, and blocks until the last answer has arrived or is given up.
    ///
    /// # Errors
    /// See [`LoadError`]; a run that loses a connection has no figures.
    pub fn run(self) -> Result<Report, LoadError> {
        let Self { plan, workloads } = self;
        let mut shares: Vec<Vec<Connection>> = (0..plan.threads).map(|_| Vec::new()).collect();
        for index in 0..plan.connections {
            shares[index % plan.threads].push(Connection::open(plan)?);
        }
        let start = Instant::now();
        let mut workers = Vec::new();
        for (thread, (connections, workload)) in shares.into_iter().zip(workloads).enumerate() {
            workers.push(Worker::new(plan, thread, connections, workload, start).map_err(LoadError::System)?);
        }
        let mut report = Report::new(plan);
        thread::scope(|scope| {
            let threads: Vec<_> = workers.into_iter().map(|worker| scope.spawn(|| worker.run())).collect();
            for thread in threads {
                report.add(&thread.join().expect("a worker returns its errors")?);
            }
            Ok(report)
        })
    }
}

/// The requests of each thread.
fn workloads(plan: &Plan) -> Result<Vec<Workload>, LoadError> {
    let mut sessions = plan.tokens.as_ref().map(|source| open_sessions(source, &plan.host)).transpose()?;
    let workload = |thread: usize| {
        let seed = plan.seed.wrapping_add(u64::try_from(thread).expect("a usize fits 64 bits") << 32);
        let share =
            sessions.as_mut().map(|left| left.split_off(left.len() - left.len() / (plan.threads - thread)));
        Workload::new(plan, seed, share)
    };
    Ok((0..plan.threads).map(workload).collect())
}

/// One thread of a run.
struct Worker {
    poll: Poll,
    connections: Vec<Connection>,
    /// Connections with room, each as often as it has room for a request; the longest unused goes first.
    room: VecDeque<usize>,
    /// How much room there is when nothing is under way.
    room_max: usize,
    schedule: Schedule,
    workload: Workload,
    /// Requests due earlier are warm-up.
    counts_from: Instant,
    counts_until: Instant,
    report: Report,
}

impl Worker {
    fn new(
        plan: &Plan,
        thread: usize,
        mut connections: Vec<Connection>,
        workload: Workload,
        start: Instant,
    ) -> io::Result<Self> {
        let poll = Poll::new()?;
        for (index, connection) in connections.iter_mut().enumerate() {
            connection.register(poll.registry(), Token(index))?;
        }
        let room: VecDeque<usize> = (0..plan.depth).flat_map(|_| 0..connections.len()).collect();
        let length = plan.warmup + plan.duration;
        Ok(Self {
            poll,
            connections,
            room_max: room.len(),
            room,
            schedule: Schedule::new(start, length, plan.pace, (thread, plan.threads)),
            workload,
            counts_from: start + plan.warmup,
            counts_until: start + length,
            report: Report::new(plan),
        })
    }

    fn run(mut self) -> Result<Report, LoadError> {
        let mut events = Events::with_capacity(EVENTS_MAX);
        let mut looked_at = Instant::now();
        loop {
            let now = Instant::now();
            if looked_at >= self.counts_from && looked_at < self.counts_until {
                self.report.absence_max = self.report.absence_max.max(now - looked_at);
            }
            looked_at = now;
            self.send_due(now)?;
            let is_over = self.schedule.is_over(now) && self.room.len() == self.room_max;
            if is_over || now >= self.counts_until + LAST_ANSWERS_TIMEOUT {
                return Ok(self.finish(now));
            }
            match self.poll.poll(&mut events, Some(Duration::ZERO)) {
                Err(error) if error.kind() != ErrorKind::Interrupted => return Err(LoadError::System(error)),
                _ => {}
            }
            for event in &events {
                self.receive(event.token().0)?;
            }
        }
    }

    /// Sends what is due, as long as there is room for it.
    fn send_due(&mut self, now: Instant) -> Result<(), LoadError> {
        let mut asked = Vec::new();
        while let Some(due) = self.schedule.due(now) {
            let Some(index) = self.room.pop_front() else { break };
            self.schedule.advance();
            self.workload.advance(index)?;
            self.connections[index].ask(&self.workload, due);
            if asked.last() != Some(&index) {
                asked.push(index);
            }
        }
        asked.into_iter().try_for_each(|index| self.connections[index].flush())
    }

    fn receive(&mut self, index: usize) -> Result<(), LoadError> {
        let Self { connections, room, report, counts_from, counts_until, .. } = self;
        connections[index].receive(|due, status| {
            room.push_back(index);
            // Read for each answer: whoever asked has it once it is read, decrypted and parsed.
            let now = Instant::now();
            if now >= *counts_from && now < *counts_until {
                report.arrived(status);
            }
            if due >= *counts_from {
                report.record(now - due);
                *report.statuses.entry(status).or_default() += 1;
            }
        })
    }

    /// Counts what is still unanswered, and what has not even left.
    fn finish(mut self, now: Instant) -> Report {
        let under_way: Vec<Instant> = self.connections.iter().flat_map(Connection::under_way).collect();
        for due in under_way.into_iter().chain(self.schedule.rest()).filter(|due| *due >= self.counts_from) {
            self.report.record(now - due);
            self.report.unanswered += 1;
        }
        self.report
    }
}
