//! A discovery plugin, driven through its table.

use crate::abi;
use crate::discovery::{Answer, Side};
use crate::harness::stage::{Entry, Opened, Stage, WAIT_MS};

/// What came of a question.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reply {
    /// It was found.
    Found(Answer),
    /// There is nothing; the answer says for how long.
    Nothing(Answer),
    /// The plugin failed: it was reported to [`Stage::heard`].
    Failed,
    /// The plugin did not answer within [`WAIT_MS`], and was told that it is too late.
    TimedOut,
}

/// An instance of a discovery plugin.
pub struct Discovery(Opened);

impl Discovery {
    /// Opens one on a stage of its own.
    ///
    /// # Errors
    /// The reason that the plugin gives.
    pub fn open(entry: Entry, settings: &[(&str, &str)]) -> Result<Self, String> {
        Self::open_on(Stage::new(), entry, settings)
    }

    /// Opens one on `stage`.
    ///
    /// # Errors
    /// The reason that the plugin gives.
    pub fn open_on(stage: &'static Stage, entry: Entry, settings: &[(&str, &str)]) -> Result<Self, String> {
        Opened::open(entry, abi::DISCOVERY, stage, settings).map(Self)
    }

    /// Where it is.
    pub fn stage(&self) -> &'static Stage {
        self.0.stage
    }

    /// Asks for a number, canonical, and waits for the answer.
    pub fn find(&self, number: &str, side: Side) -> Reply {
        self.find_with(number, None, side)
    }

    /// As [`find`](Self::find), with the number's service provider code.
    pub fn find_with(&self, number: &str, spc: Option<&str>, side: Side) -> Reply {
        let ticket = self.0.stage.ask();
        let question = abi::Question {
            struct_size: size_of::<abi::Question>(),
            ticket,
            deadline_ms: self.0.stage.steady_ms() + WAIT_MS,
            side: match side {
                Side::Calling => abi::SIDE_CALLING,
                Side::Called => abi::SIDE_CALLED,
            },
            reserved: 0,
            number: number.as_ptr().cast(),
            number_len: number.len(),
            spc: spc.map_or(core::ptr::null(), |spc| spc.as_ptr().cast()),
            spc_len: spc.map_or(0, str::len),
        };
        let mut answer = empty();
        let find = self.table().find.expect("the SDK's tables are whole");
        // SAFETY: the header's contract for find.
        let result = unsafe { find(self.0.instance, &raw const question, &raw mut *answer) };
        if result != abi::PENDING {
            self.0.stage.close(ticket);
            return reply(result, &answer);
        }
        match self.0.stage.answered(ticket) {
            Some((result, answer)) => reply(result, &answer),
            None => {
                self.cancel(ticket);
                Reply::TimedOut
            }
        }
    }

    /// Shows it a certificate, DER.
    pub fn observe_certificate(&self, der: &[u8]) {
        let observe = self.table().observe.expect("the SDK's tables are whole");
        // SAFETY: the header's contract for observe.
        unsafe { observe(self.0.instance, abi::OBSERVED_CERTIFICATE, der.as_ptr(), der.len()) };
    }

    /// Has it read its files again.
    ///
    /// # Errors
    /// The reason that the plugin gives.
    pub fn reload(&self) -> Result<(), String> {
        self.0.reload()
    }

    fn cancel(&self, ticket: u64) {
        let cancel = self.table().cancel.expect("the SDK's tables are whole");
        // SAFETY: the header's contract for cancel.
        unsafe { cancel(self.0.instance, ticket) };
    }

    fn table(&self) -> &'static abi::Discovery {
        // SAFETY: the kind was checked, and the SDK's table of that kind is whole.
        unsafe { &*core::ptr::from_ref(self.0.plugin).cast() }
    }
}

/// A place for an answer.
pub(super) fn empty() -> Box<abi::Answer> {
    Box::new(abi::Answer {
        struct_size: size_of::<abi::Answer>(),
        flags: 0,
        fresh_s: 0,
        note_len: 0,
        uris_len: 0,
        note: [0; abi::ANSWER_NOTE_BYTES],
        uris: [0; abi::ANSWER_URIS_BYTES],
    })
}

pub(super) fn copy(answer: &abi::Answer) -> Box<abi::Answer> {
    Box::new(abi::Answer { ..*answer })
}

fn reply(result: i32, answer: &abi::Answer) -> Reply {
    let text = |bytes: &[u8], len: u32| {
        let len = usize::try_from(len).unwrap_or(usize::MAX).min(bytes.len());
        String::from_utf8_lossy(&bytes[..len]).into_owned()
    };
    let found = Answer {
        uris: text(&answer.uris, answer.uris_len).lines().map(str::to_owned).collect(),
        is_proven: answer.flags & abi::ANSWER_PROVEN != 0,
        fresh_s: answer.fresh_s,
        note: text(&answer.note, answer.note_len),
    };
    match result {
        abi::OK => Reply::Found(found),
        abi::NOT_FOUND => Reply::Nothing(found),
        _ => Reply::Failed,
    }
}
