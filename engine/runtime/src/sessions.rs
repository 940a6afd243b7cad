//! The sessions of an engine: what a thread needs to serve, lent to it for one call.
//!
//! Each thread comes back to the place it had last, so that threads that store at the same time share no cache line
//! while there are places enough. Lending is one exchange of a pointer, giving back another.

use std::cell::Cell;
use std::ops::{Deref, DerefMut};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use crossbeam_utils::CachePadded;
use crossbeam_utils::atomic::AtomicCell;
use herald_core::{PlacementClass, PlacementStore, Problem, Service, Timestamp};
use parking_lot::Mutex;

use crate::error::{EngineError, EngineErrorKind};
use crate::limits::SESSIONS_MAX;
use crate::watch::WatchedLog;

/// What one thread needs to serve: its own service and its own handles on the logs.
pub(crate) struct Session {
    pub(crate) service: Service,
    pub(crate) log: WatchedLog,
}

impl Session {
    /// What stores placements of a class.
    ///
    /// # Errors
    /// [`Problem::ClassNotKept`].
    #[inline]
    pub(crate) fn of_class(
        &mut self,
        class: PlacementClass,
    ) -> Result<(&mut Service, &mut dyn PlacementStore), Problem> {
        self.service.of_class(&mut self.log, class)
    }

    /// Forgets what is over: whoever works with the session does, this is for one that nobody works with.
    pub(crate) fn forget(&mut self, now: Timestamp) {
        self.service.forget(now);
        self.log.forget(now);
    }
}

/// Up to [`SESSIONS_MAX`] sessions, made when they are first needed.
pub(crate) struct Sessions {
    places: Box<[CachePadded<Place>]>,
    made: Mutex<Made>,
}

/// Where one session is kept.
#[derive(Default)]
struct Place {
    /// Empty if there is no session yet, and while it is lent.
    session: AtomicCell<Option<Box<Session>>>,
    /// When it was last lent, in milliseconds.
    lent_at: AtomicU64,
}

/// For which places there is a session, lent or not.
struct Made {
    is_made: [bool; SESSIONS_MAX],
    is_closed: bool,
}

/// A session on loan. Comes back when dropped, unless it is [lost](Self::lose) before.
pub(crate) struct Lent<'a> {
    sessions: &'a Sessions,
    place: usize,
    session: Option<Box<Session>>,
}

impl Sessions {
    pub(crate) fn new() -> Self {
        Self {
            places: (0..SESSIONS_MAX).map(|_| CachePadded::default()).collect(),
            made: Mutex::new(Made { is_made: [false; SESSIONS_MAX], is_closed: false }),
        }
    }

    /// Lends a session that nobody has, or one that `make` makes while there are fewer than [`SESSIONS_MAX`].
    #[inline]
    pub(crate) fn lend(
        &self,
        now: Timestamp,
        make: impl FnOnce() -> Result<Session, EngineError>,
    ) -> Result<Lent<'_>, EngineError> {
        let place = usual_place();
        let lent = match self.places[place].session.take() {
            Some(session) => self.lent(place, session),
            None => self.lend_elsewhere(place, make)?,
        };
        // Relaxed: a hint for `for_each_idle`.
        self.places[lent.place].lent_at.store(now.as_millis(), Ordering::Relaxed);
        Ok(lent)
    }

    #[cold]
    fn lend_elsewhere(
        &self,
        usual: usize,
        make: impl FnOnce() -> Result<Session, EngineError>,
    ) -> Result<Lent<'_>, EngineError> {
        let mut made = self.made.lock();
        if made.is_closed {
            return Err(EngineError::new(EngineErrorKind::State, "the engine was stopped; open another"));
        }
        let in_turn = || (usual..SESSIONS_MAX).chain(0..usual);
        // A thread gets a place of its own while there is one, even if another's session is idle.
        if let Some(place) = in_turn().find(|&place| !made.is_made[place]) {
            let session = make()?;
            made.is_made[place] = true;
            PLACE.set(place);
            return Ok(self.lent(place, Box::new(session)));
        }
        drop(made);
        let idle = |place: usize| {
            let session = self.places[place].session.take()?;
            PLACE.set(place);
            Some(self.lent(place, session))
        };
        in_turn().find_map(idle).ok_or_else(|| {
            EngineError::new(
                EngineErrorKind::Busy,
                format!("{SESSIONS_MAX} threads are inside the engine already; try again"),
            )
        })
    }

    const fn lent(&self, place: usize, session: Box<Session>) -> Lent<'_> {
        Lent { sessions: self, place, session: Some(session) }
    }

    /// Makes none from now on, and takes those there are as they come back; those idle now at once. Gives up on the
    /// others after `patience`: they may be lent again, so whoever borrows must then see that the engine has stopped.
    pub(crate) fn close(&self, patience: Duration) {
        let deadline = Instant::now() + patience;
        self.made.lock().is_closed = true;
        for (place, cell) in self.places.iter().enumerate() {
            // Sessions are lent for microseconds, so this loop all but never turns. One that a panic loses
            // meanwhile is no longer waited for.
            while self.made.lock().is_made[place] {
                if cell.session.take().is_some() {
                    self.made.lock().is_made[place] = false;
                } else if Instant::now() < deadline {
                    std::thread::sleep(Duration::from_millis(1));
                } else {
                    break;
                }
            }
        }
    }
}

impl Sessions {
    /// Does `work` with each session that nobody has had since `since`. Others are left alone, or a thread that needs
    /// its own would find it gone for a moment and make another.
    pub(crate) fn for_each_idle(&self, since: Timestamp, mut work: impl FnMut(&mut Session)) {
        for (index, place) in self.places.iter().enumerate() {
            // Relaxed: a hint.
            if place.lent_at.load(Ordering::Relaxed) > since.as_millis() {
                continue;
            }
            if let Some(session) = place.session.take() {
                work(&mut self.lent(index, session));
            }
        }
    }
}

impl Deref for Lent<'_> {
    type Target = Session;

    #[inline]
    fn deref(&self) -> &Session {
        self.session.as_ref().expect("there until it is lost")
    }
}

impl DerefMut for Lent<'_> {
    #[inline]
    fn deref_mut(&mut self) -> &mut Session {
        self.session.as_mut().expect("there until it is lost")
    }
}

impl Lent<'_> {
    /// Drops the session and makes room for another.
    #[cold]
    pub(crate) fn lose(&mut self) {
        self.session = None;
        self.sessions.made.lock().is_made[self.place] = false;
    }
}

impl Drop for Lent<'_> {
    #[inline]
    fn drop(&mut self) {
        if let Some(session) = self.session.take() {
            // Nobody else puts anything here, so nothing is dropped by this. An exchange, as `close` makes: whoever lends it
            // again after `close` gave up on it sees what came before that.
            drop(self.sessions.places[self.place].session.swap(Some(session)));
        }
    }
}

std::thread_local! {
    /// Where this thread looks first.
    static PLACE: Cell<usize> = const { Cell::new(usize::MAX) };
}

/// Where the calling thread looks first: the place it had last. New threads are dealt out over the places in turn.
#[inline]
fn usual_place() -> usize {
    static NEXT: AtomicUsize = AtomicUsize::new(0);
    if PLACE.get() == usize::MAX {
        // Relaxed: only the value counts.
        PLACE.set(NEXT.fetch_add(1, Ordering::Relaxed) % SESSIONS_MAX);
    }
    PLACE.get()
}

const _: () = assert!(AtomicCell::<Option<Box<Session>>>::is_lock_free());
