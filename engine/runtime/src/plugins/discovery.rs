//! Discovery plugins as the engine asks them (RFC 8816 §10).

use std::sync::Arc;

use herald_core::TelephoneNumber;
use herald_plugin_abi as abi;
use herald_stir::services::Side;

use crate::limits::{PLUGIN_CHORE_MS, PLUGIN_URIS_MAX};
use crate::plugin_loader::{Asked, empty_answer, plain};
use crate::plugins::book::{Done, NotDone, Promise};
use crate::plugins::generation::{Came, work};
use crate::plugins::plugin::Plugin;

/// A discovery plugin. What it is loaded from may be replaced at any time; a question does not notice.
#[derive(Clone)]
pub(crate) struct DiscoveryPlugin(Arc<Plugin>);

/// What is asked.
#[derive(Clone)]
pub(crate) struct Question {
    pub(crate) number: TelephoneNumber,
    pub(crate) side: Side,
    /// The service provider code of the number, where it is known.
    pub(crate) spc: Option<String>,
    /// On the engine's clock; afterwards the outcome is [`Outcome::TimedOut`].
    pub(crate) deadline_ms: u64,
}

/// What a plugin knows of a number.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Found {
    /// As the plugin writes them, the preferred one first. None: there is nothing.
    pub(crate) uris: Vec<String>,
    /// Whether the plugin has verified that somebody with authority over the number signed it.
    pub(crate) is_proven: bool,
    /// For how long it may be remembered, also that there is nothing.
    pub(crate) fresh_s: u32,
    /// How it was found.
    pub(crate) note: String,
}

/// What came of a question.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    Found(Found),
    /// It knows of nothing; for how long that holds, and a note.
    Nothing {
        fresh_s: u32,
        note: String,
    },
    /// It failed: the operator has been told.
    Failed(String),
    /// It did not answer by the deadline.
    TimedOut,
    /// Too many questions wait for it.
    Busy,
    /// It is disabled, not started, or stopped: why.
    Disabled(String),
}

impl DiscoveryPlugin {
    pub(super) const fn of(plugin: Arc<Plugin>) -> Self {
        Self(plugin)
    }

    /// Its name.
    pub(crate) fn name(&self) -> &str {
        self.0.name()
    }

    /// Asks, and returns at once. `done` is told once, on any thread, by the deadline at the latest; it must be short.
    pub(crate) fn ask(&self, question: Question, done: impl FnOnce(Outcome) + Send + 'static) {
        let promise = Promise::new(Box::new(move |came| done(outcome(came))));
        let deadline_ms = question.deadline_ms;
        let find = work("find", promise, move |instance, ticket| {
            let number = question.number.to_string();
            let asked = Asked {
                ticket,
                deadline_ms: question.deadline_ms,
                side: match question.side {
                    Side::Calling => abi::SIDE_CALLING,
                    Side::Called => abi::SIDE_CALLED,
                },
                number: &number,
                spc: question.spc.as_deref(),
            };
            let mut answer = empty_answer();
            match instance.find(&asked, &mut answer) {
                Ok(abi::PENDING) => Came::Pending,
                Ok(result) => match answered(result, Some(&answer)) {
                    Ok(found) => Came::To(found),
                    Err(why) => Came::ToNothing(NotDone::Failed(why)),
                },
                Err(why) => Came::ToNothing(NotDone::Failed(why)),
            }
        });
        self.0.submit(find, deadline_ms);
    }

    /// Shows it a signer's certificate, DER, whose chain was verified. Returns at once.
    pub(crate) fn observe_certificate(&self, der: &[u8]) {
        self.observe(der, self.0.now_ms() + PLUGIN_CHORE_MS, Box::new(|_| {}));
    }

    /// Shows it a certificate, and tells when it has seen it.
    pub(super) fn observe(&self, der: &[u8], deadline_ms: u64, done: Done<()>) {
        let (promise, der) = (Promise::new(done), der.to_vec());
        let observe = work("observe", promise, move |instance, _| {
            match instance.observe(abi::OBSERVED_CERTIFICATE, &der) {
                Ok(_) => Came::To(()),
                Err(why) => Came::ToNothing(NotDone::Failed(why)),
            }
        });
        self.0.submit(observe, deadline_ms);
    }
}

fn outcome(came: Result<Found, NotDone>) -> Outcome {
    match came {
        Ok(found) if found.uris.is_empty() => Outcome::Nothing { fresh_s: found.fresh_s, note: found.note },
        Ok(found) => Outcome::Found(found),
        Err(NotDone::Failed(why)) => Outcome::Failed(why),
        Err(NotDone::TimedOut) => Outcome::TimedOut,
        Err(NotDone::Busy) => Outcome::Busy,
        Err(NotDone::Disabled(why)) => Outcome::Disabled(why),
        Err(NotDone::Stopped) => Outcome::Disabled("the engine does not run".to_owned()),
        Err(NotDone::Refused | NotDone::Unsupported) => Outcome::Failed("it does not answer".to_owned()),
    }
}

/// What a plugin answers, checked; or what it did wrong.
pub(super) fn answered(result: i32, answer: Option<&abi::Answer>) -> Result<Found, String> {
    let is_found = match result {
        abi::OK => true,
        abi::NOT_FOUND => false,
        other => return Err(format!("returned {other}")),
    };
    let Some(answer) = answer else {
        return if is_found { Err("returned OK without an answer".to_owned()) } else { Ok(Found::default()) };
    };
    let text = |what: &str, bytes: &[u8], len: u32| {
        let part = usize::try_from(len).ok().and_then(|len| bytes.get(..len));
        let part = part.ok_or_else(|| format!("says {len} bytes of {what} where {} fit", bytes.len()))?;
        core::str::from_utf8(part)
            .map(str::to_owned)
            .map_err(|_| format!("answered {what} that is not UTF-8"))
    };
    let uris = text("URIs", &answer.uris, answer.uris_len)?;
    let uris: Vec<_> =
        uris.lines().filter(|uri| !uri.is_empty()).take(PLUGIN_URIS_MAX).map(str::to_owned).collect();
    if is_found && uris.is_empty() {
        return Err("returned OK without a URI".to_owned());
    }
    Ok(Found {
        uris: if is_found { uris } else { Vec::new() },
        is_proven: answer.flags & abi::ANSWER_PROVEN != 0,
        fresh_s: answer.fresh_s,
        note: plain(text("a note", &answer.note, answer.note_len)?.as_bytes()),
    })
}
