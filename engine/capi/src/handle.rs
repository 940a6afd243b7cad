//! Handles: numbers that look like pointers, and the tables that say what they stand for.
//!
//! C sees a pointer to a type without members. It is never followed: it holds the kind of the thing, the generation of the
//! process that got it, its place in the table of that kind, and the serial number of its stay there. So a handle that
//! was closed, invented, mixed up or inherited over a fork is recognised for as long as the process lives, and what it
//! stood for is freed all the same.
//!
//! Each generation has tables of its own, locks and all: a lock that another thread held at the fork stays locked.

use std::cell::Cell;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use herald_runtime::net::sync::{Mutex, RwLock};

use crate::boundary::{self, GENERATIONS};
use crate::failure::Failure;
use crate::status::Status;

const INDEX_BITS: u32 = 16;
const SERIAL_BITS: u32 = 41;
const GENERATION_BITS: u32 = 3;
const KIND_SHIFT: u32 = INDEX_BITS + SERIAL_BITS + GENERATION_BITS;
const SERIAL_MAX: u64 = (1 << SERIAL_BITS) - 1;

/// What is handed out under handles of one kind.
///
/// What every call of every thread takes a reference to must not be where threads meet: with several `COPIES` each thread
/// has one of its own, with locks and counts of references of its own, and who changes something changes all.
pub(crate) struct Table<T, const COPIES: usize = 1> {
    /// 1 to 7: the top bits of a handle, which make it no address of a program.
    kind: u64,
    /// What C calls one of them.
    noun: &'static str,
    len_max: usize,
    generations: [Slots<T, COPIES>; GENERATIONS],
}

/// The table of one generation of processes.
struct Slots<T, const COPIES: usize> {
    free: Mutex<Vec<usize>>,
    copies: [TableCopy<T>; COPIES],
}

/// The slots, on cache lines that no other copy touches.
#[repr(align(128))]
struct TableCopy<T>(RwLock<Vec<Slot<T>>>);

struct Slot<T> {
    /// Of the present or last stay.
    serial: u64,
    value: Option<Shared<T>>,
}

/// What a handle stands for. The outer count of references is of one copy of the table, the inner one of all.
pub(crate) type Shared<T> = Arc<Arc<T>>;

impl<T, const COPIES: usize> Table<T, COPIES> {
    /// An empty table. `len_max` is at most 65,536.
    pub(crate) const fn new(kind: u64, noun: &'static str, len_max: usize) -> Self {
        assert!(kind > 0 && kind < 8 && len_max <= 1 << INDEX_BITS, "the handle has no room for it");
        let generations = [const {
            let copies = [const { TableCopy(RwLock::new(Vec::new())) }; COPIES];
            Slots { free: Mutex::new(Vec::new()), copies }
        }; GENERATIONS];
        Self { kind, noun, len_max, generations }
    }

    /// The table of this process. Every call has been let in before.
    fn own(&self) -> &Slots<T, COPIES> {
        &self.generations[boundary::generation()]
    }

    /// Keeps `value` and gives its handle.
    pub(crate) fn insert<H>(&self, value: T) -> Result<*mut H, Failure> {
        // Held to the end, so that changes come one after the other in all copies.
        let Slots { free, copies } = self.own();
        let mut free = free.lock();
        let count = copies[0].0.read().len();
        let index = match free.pop() {
            Some(index) => index,
            None if count < self.len_max => count,
            None => return Err(self.full()),
        };
        let value = Arc::new(value);
        let mut serial = 0;
        for copy in copies {
            let mut slots = copy.0.write();
            if index == slots.len() {
                slots.push(Slot { serial: 0, value: None });
            }
            let slot = &mut slots[index];
            slot.serial = if slot.serial == SERIAL_MAX { 1 } else { slot.serial + 1 };
            slot.value = Some(Arc::new(value.clone()));
            serial = slot.serial;
        }
        Ok(self.handle(serial, index))
    }

    /// Refuses if there is no room for one more at this moment.
    pub(crate) fn require_room(&self) -> Result<(), Failure> {
        let Slots { free, copies } = self.own();
        let free = free.lock();
        let has_room = !free.is_empty() || copies[0].0.read().len() < self.len_max;
        if has_room { Ok(()) } else { Err(self.full()) }
    }

    /// What the handle stands for.
    pub(crate) fn get<H>(&self, handle: *const H) -> Result<Shared<T>, Failure> {
        let (serial, index) = self.place(handle)?;
        let slots = self.own().copies[thread_ordinal() % COPIES].0.read();
        let slot = slots.get(index).ok_or_else(|| self.bad())?;
        match &slot.value {
            Some(value) if slot.serial == serial => Ok(value.clone()),
            _ => Err(self.gone(slot, serial)),
        }
    }

    /// Takes away what the handle stands for.
    pub(crate) fn remove<H>(&self, handle: *const H) -> Result<Shared<T>, Failure> {
        let (serial, index) = self.place(handle)?;
        let Slots { free, copies } = self.own();
        let mut free = free.lock();
        let mut removed = None;
        for copy in copies {
            let mut slots = copy.0.write();
            let slot = slots.get_mut(index).ok_or_else(|| self.bad())?;
            if slot.serial != serial {
                return Err(self.gone(slot, serial));
            }
            removed = Some(slot.value.take().ok_or_else(|| self.closed())?);
        }
        free.push(index);
        removed.ok_or_else(|| self.closed())
    }

    /// Everything there is, unless somebody is just changing it.
    pub(crate) fn try_all(&self) -> Vec<Shared<T>> {
        let Some(slots) = self.own().copies[0].0.try_read() else { return Vec::new() };
        slots.iter().filter_map(|slot| slot.value.clone()).collect()
    }

    fn handle<H>(&self, serial: u64, index: usize) -> *mut H {
        let index = u64::try_from(index).expect("an index fits 64 bits");
        let generation = u64::try_from(boundary::generation()).expect("a generation fits 64 bits");
        let bits =
            self.kind << KIND_SHIFT | generation << (INDEX_BITS + SERIAL_BITS) | serial << INDEX_BITS | index;
        core::ptr::without_provenance_mut(usize::try_from(bits).expect("a pointer has 64 bits"))
    }

    fn place<H>(&self, handle: *const H) -> Result<(u64, usize), Failure> {
        if handle.is_null() {
            return Err(Failure::new(Status::NullArgument, format!("the {} is NULL", self.noun)));
        }
        let bits = u64::try_from(handle.addr()).expect("a pointer has 64 bits");
        if bits >> KIND_SHIFT != self.kind {
            return Err(self.bad());
        }
        let generation = bits >> (INDEX_BITS + SERIAL_BITS) & ((1 << GENERATION_BITS) - 1);
        match usize::try_from(generation).expect("3 bits fit a usize").cmp(&boundary::generation()) {
            std::cmp::Ordering::Less => return Err(self.inherited()),
            std::cmp::Ordering::Equal => {}
            std::cmp::Ordering::Greater => return Err(self.bad()),
        }
        let index = bits & ((1 << INDEX_BITS) - 1);
        Ok((bits >> INDEX_BITS & SERIAL_MAX, usize::try_from(index).expect("16 bits fit a usize")))
    }

    #[cold]
    fn gone(&self, slot: &Slot<T>, serial: u64) -> Failure {
        if (1..=slot.serial).contains(&serial) { self.closed() } else { self.bad() }
    }

    #[cold]
    fn full(&self) -> Failure {
        Failure::new(Status::Limit, format!("{} {}s are open; close some", self.len_max, self.noun))
    }

    #[cold]
    fn bad(&self) -> Failure {
        Failure::new(Status::BadHandle, format!("not a handle of an {} of this process", self.noun))
    }

    #[cold]
    fn inherited(&self) -> Failure {
        let message =
            format!("the {} is of the process that this one was forked from; open one here", self.noun);
        Failure::new(Status::Forked, message)
    }

    #[cold]
    fn closed(&self) -> Failure {
        Failure::new(Status::Closed, format!("the {} was closed or freed before", self.noun))
    }
}

/// The how manieth thread this is of those that came here: it tells which copy of a table it reads.
fn thread_ordinal() -> usize {
    static NEXT: AtomicUsize = AtomicUsize::new(0);
    thread_local! {
        static ORDINAL: Cell<usize> = const { Cell::new(usize::MAX) };
    }
    if ORDINAL.get() == usize::MAX {
        // Relaxed: only the value counts.
        ORDINAL.set(NEXT.fetch_add(1, Ordering::Relaxed));
    }
    ORDINAL.get()
}

const _: () = assert!(GENERATIONS == 1 << GENERATION_BITS, "each generation has its number");

#[cfg(not(target_pointer_width = "64"))]
compile_error!("handles of the C interface need pointers of 64 bits");

#[cfg(test)]
mod tests {
    use super::*;

    fn status<T>(result: Result<T, Failure>) -> Status {
        result.map(|_| ()).map_or_else(|failure| failure.status, |()| Status::Ok)
    }

    #[test]
    fn a_handle_that_was_freed_is_known_as_such_also_when_its_place_is_taken_again() {
        let table = Table::<_, 3>::new(1, "thing", 4);
        let first: *mut u8 = table.insert("first").expect("room");
        assert_eq!(**table.remove(first).expect("there"), "first");
        let second: *mut u8 = table.insert("second").expect("room");
        assert_ne!(first, second);
        assert_eq!(status(table.get(first)), Status::Closed);
        assert_eq!(status(table.remove(first)), Status::Closed);
        assert_eq!(**table.get(second).expect("there"), "second");
        assert_eq!(status(table.remove(second)), Status::Ok);
        assert_eq!(status(table.remove(second)), Status::Closed);
    }

    #[test]
    fn handles_that_were_never_given_out_are_refused() {
        let table = Table::<_>::new(1, "thing", 4);
        let other = Table::<_>::new(2, "other", 4);
        let given: *mut u8 = table.insert(1).expect("room");
        let foreign: *mut u8 = other.insert(1).expect("room");
        let future = core::ptr::without_provenance::<u8>(given.addr() + (1 << INDEX_BITS));
        let beyond = core::ptr::without_provenance::<u8>(given.addr() + 1);
        let zero_serial = core::ptr::without_provenance::<u8>(given.addr() - (1 << INDEX_BITS));
        for wrong in [foreign.cast_const(), future, beyond, zero_serial, &raw const table as *const u8] {
            assert_eq!(status(table.get(wrong)), Status::BadHandle, "{wrong:?}");
        }
        assert_eq!(status(table.get(core::ptr::null::<u8>())), Status::NullArgument);
    }

    #[test]
    fn a_full_table_refuses_and_takes_again_once_something_is_freed() {
        let table = Table::<_>::new(1, "thing", 2);
        let first: *mut u8 = table.insert(1).expect("room");
        let _second: *mut u8 = table.insert(2).expect("room");
        assert_eq!(status(table.insert::<u8>(3)), Status::Limit);
        table.remove(first).expect("there");
        assert_eq!(status(table.insert::<u8>(3)), Status::Ok);
    }
}
