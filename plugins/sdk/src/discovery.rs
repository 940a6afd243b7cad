//! Discovery: where the Call Placement Services of a number are (RFC 8816 §10).

use core::ffi::{CStr, c_void};
use core::marker::PhantomData;

use crate::abi;
use crate::barrier::guarded;
use crate::host::{Host, Level};
use crate::instance::{self, Instance, Kind};
use crate::memory;
use crate::settings::Settings;

/// Names a question; never used again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Ticket(pub u64);

/// Which side of a call asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Side {
    /// The calling side, to store.
    Calling,
    /// The called side, to retrieve.
    Called,
}

/// What is asked.
#[derive(Clone, Copy, Debug)]
pub struct Question<'a> {
    /// Names it.
    pub ticket: Ticket,
    /// Afterwards the host goes on without an answer. On the host's steady clock.
    pub deadline_ms: u64,
    /// Who asks.
    pub side: Side,
    /// The called number, canonical: digits, `#` and `*`, without `+`.
    pub number: &'a str,
    /// Its service provider code, where the host knows it.
    pub spc: Option<&'a str>,
}

/// What is known of a number.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Answer {
    /// https URIs of its services, the preferred one first. None: there is nothing.
    pub uris: Vec<String>,
    /// Whether somebody with authority over the number has signed that, and the plugin has verified it.
    pub is_proven: bool,
    /// For how long it may be remembered, in seconds, also that there is nothing. 0 without a URI: it could not be found out.
    pub fresh_s: u32,
    /// How it was found, for `herald discover --explain`. Up to 256 bytes are shown.
    pub note: String,
}

/// How a question is answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Find {
    /// At once.
    Answer(Answer),
    /// Later, with [`Host::answer`].
    Pending,
    /// Not at all: why, for the operator.
    Failed(String),
}

/// Finds the services of numbers.
pub trait Discovery: Send + Sync + Sized + 'static {
    /// Lower-case letters, digits and hyphens, up to 32.
    const NAME: &'static CStr;
    /// Its version.
    const VERSION: &'static CStr;
    /// One line about it.
    const SUMMARY: &'static CStr;

    /// Makes an instance.
    ///
    /// # Errors
    /// Words for the operator: what is wrong and what to do.
    fn open(host: Host, settings: &Settings<'_>) -> Result<Self, String>;

    /// Answers a question, without waiting for anything. Several threads may ask at once.
    fn find(&self, question: &Question<'_>) -> Find;

    /// A question that is pending is over.
    fn cancel(&self, _ticket: Ticket) {}

    /// A signer's certificate, DER, after its chain was verified.
    fn observe_certificate(&self, _der: &[u8]) {}

    /// Reads its files again.
    ///
    /// # Errors
    /// Words for the operator; what was there before stays.
    fn reload(&self) -> Result<(), String> {
        Ok(())
    }
}

/// The entry function of a discovery plugin, to export or to register.
pub extern "C-unwind" fn discovery_entry<P: Discovery>() -> *const abi::Plugin {
    (&raw const Table::<P>::TABLE.plugin).cast()
}

struct Table<P>(PhantomData<P>);

impl<P: Discovery> Kind<P> for Table<P> {
    fn open(host: Host, settings: &Settings<'_>) -> Result<P, String> {
        P::open(host, settings)
    }

    fn reload(plugin: &P) -> Result<(), String> {
        plugin.reload()
    }
}

impl<P: Discovery> Table<P> {
    const TABLE: &'static abi::Discovery = &abi::Discovery {
        plugin: instance::head::<Self, P>(
            abi::DISCOVERY,
            size_of::<abi::Discovery>(),
            [P::NAME, P::VERSION, P::SUMMARY],
        ),
        find: Some(find::<P>),
        cancel: Some(cancel::<P>),
        observe: Some(observe::<P>),
    };
}

unsafe extern "C-unwind" fn find<P: Discovery>(
    instance: *mut c_void,
    question: *const abi::Question,
    answer: *mut abi::Answer,
) -> i32 {
    // SAFETY: made by open and not yet closed.
    let instance = unsafe { Instance::<P>::at(instance) };
    let host = instance.host;
    guarded(&|words| host.log(Level::Error, words), abi::FAILED, || {
        // SAFETY: the header's contract for find.
        let asked = unsafe { &*question };
        let side = match asked.side {
            abi::SIDE_CALLING => Side::Calling,
            abi::SIDE_CALLED => Side::Called,
            _ => return abi::FAILED,
        };
        // SAFETY: the header's contract for find.
        let number = unsafe { memory::text(asked.number, asked.number_len) };
        // SAFETY: the header's contract for find.
        let spc = unsafe { memory::text(asked.spc, asked.spc_len) };
        let question = Question {
            ticket: Ticket(asked.ticket),
            deadline_ms: asked.deadline_ms,
            side,
            number,
            spc: Some(spc).filter(|spc| !spc.is_empty()),
        };
        match instance.plugin.find(&question) {
            Find::Answer(found) => {
                // SAFETY: the header's contract for find: the host's memory, which nobody else uses meanwhile.
                write_answer(unsafe { &mut *answer }, &found)
            }
            Find::Pending => abi::PENDING,
            Find::Failed(words) => {
                host.log(Level::Warning, &words);
                abi::FAILED
            }
        }
    })
}

unsafe extern "C-unwind" fn cancel<P: Discovery>(instance: *mut c_void, ticket: u64) {
    // SAFETY: made by open and not yet closed.
    let instance = unsafe { Instance::<P>::at(instance) };
    let host = instance.host;
    guarded(&|words| host.log(Level::Error, words), (), || instance.plugin.cancel(Ticket(ticket)));
}

unsafe extern "C-unwind" fn observe<P: Discovery>(
    instance: *mut c_void,
    what: u32,
    data: *const u8,
    len: usize,
) {
    // SAFETY: made by open and not yet closed.
    let instance = unsafe { Instance::<P>::at(instance) };
    let host = instance.host;
    guarded(&|words| host.log(Level::Error, words), (), || {
        if what == abi::OBSERVED_CERTIFICATE {
            // SAFETY: the header's contract for observe.
            instance.plugin.observe_certificate(unsafe { memory::values(data, len) });
        }
    });
}

/// Writes an answer into the host's memory. URIs that no longer fit are left out.
pub(crate) fn write_answer(place: &mut abi::Answer, answer: &Answer) -> i32 {
    place.flags = if answer.is_proven { abi::ANSWER_PROVEN } else { 0 };
    place.fresh_s = answer.fresh_s;
    let note = memory::copy_text(&mut place.note, &answer.note);
    place.note_len = u32::try_from(note).expect("a note is short");
    let mut len = 0;
    for uri in &answer.uris {
        let separator = usize::from(len > 0);
        if len + separator + uri.len() > place.uris.len() {
            break;
        }
        place.uris[len..len + separator].fill(b'\n');
        len += separator;
        place.uris[len..len + uri.len()].copy_from_slice(uri.as_bytes());
        len += uri.len();
    }
    place.uris_len = u32::try_from(len).expect("bounded by the place");
    if answer.uris.is_empty() { abi::NOT_FOUND } else { abi::OK }
}
