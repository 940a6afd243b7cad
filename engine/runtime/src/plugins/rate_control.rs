//! Rate control plugins as the engine calls them: the public-key work of one token scheme, each call with a deadline on
//! the engine's clock, and its end told once, on any thread, by then at the latest. Nothing here waits.

use std::sync::Arc;

use herald_plugin_abi as abi;
use zeroize::Zeroizing;

use crate::limits::{PLUGIN_CHORE_MS, PLUGIN_REDEMPTIONS_MAX};
use crate::plugin_loader::{Instance, Judged, Kind, Scheme};
use crate::plugins::book::{Done, NotDone, Promise};
use crate::plugins::generation::{Came, Work, work};
use crate::plugins::plugin::{Keys, Plugin};

pub(crate) use crate::plugin_loader::{
    MadeKey as NewKey, Obtained as Token, Presented as Redemption, Wanted as Want,
};

/// A secret, wiped when dropped.
pub(crate) type Secret = Zeroizing<Vec<u8>>;

/// A rate control plugin. What it is loaded from may be replaced at any time; keys in use go on being in use.
#[derive(Clone)]
pub(crate) struct RateControlPlugin(Arc<Plugin>);

impl RateControlPlugin {
    pub(super) const fn of(plugin: Arc<Plugin>) -> Self {
        Self(plugin)
    }

    /// Its token scheme.
    pub(crate) fn scheme(&self) -> &Scheme {
        match self.0.kind() {
            Kind::RateControl(scheme) => scheme,
            Kind::Discovery => unreachable!("made from rate control plugins alone"),
        }
    }

    /// Makes a key.
    pub(crate) fn key_make(&self, deadline_ms: u64, done: Done<NewKey>) {
        self.call("key_make", deadline_ms, done, |instance| came(instance.key_make()));
    }

    /// Takes a key into use under a handle that is never used again, until it is dropped. On an error it is in use nowhere,
    /// also not where another generation has taken over meanwhile.
    pub(crate) fn key_add(&self, key: u64, secret: &Secret, deadline_ms: u64, done: Done<()>) {
        let (plugin, kept) = (self.clone(), secret.clone());
        let done: Done<()> = Box::new(move |came| {
            if came.is_err() {
                plugin.key_drop(key);
            }
            done(came);
        });
        let keep = |keys: &mut Keys| {
            keys.insert(key, kept);
        };
        self.0.change_keys(keep, key_add(key, secret.clone(), done), deadline_ms);
    }

    /// Forgets a key.
    pub(crate) fn key_drop(&self, key: u64) {
        self.drop_key(key, self.0.now_ms() + PLUGIN_CHORE_MS, Box::new(|_| {}));
    }

    /// Forgets a key, and tells when the plugin has.
    pub(super) fn drop_key(&self, key: u64, deadline_ms: u64, done: Done<()>) {
        let forget = |keys: &mut Keys| {
            keys.remove(&key);
        };
        self.0.change_keys(forget, key_drop(key, done), deadline_ms);
    }

    /// How many tokens a request asks for; 0 if it is malformed.
    pub(crate) fn request_count(&self, request: Vec<u8>, deadline_ms: u64, done: Done<u32>) {
        self.call("request_count", deadline_ms, done, move |instance| came(instance.request_count(&request)));
    }

    /// Answers a request whole.
    pub(crate) fn issue(&self, key: u64, request: Vec<u8>, deadline_ms: u64, done: Done<Vec<u8>>) {
        self.call("issue", deadline_ms, done, move |instance| came(instance.issue(key, &request)));
    }

    /// Judges tokens, each in its place: the secret of one that is valid, [`NotDone::Refused`] for one that is not. More
    /// than [`PLUGIN_REDEMPTIONS_MAX`] are [`NotDone::Busy`].
    pub(crate) fn redeem(
        &self,
        tokens: Vec<Redemption>,
        deadline_ms: u64,
        done: Done<Vec<Result<Secret, NotDone>>>,
    ) {
        if tokens.len() > PLUGIN_REDEMPTIONS_MAX {
            return done(Err(NotDone::Busy));
        }
        self.call("redeem", deadline_ms, done, move |instance| {
            let answers = match instance.redeem(&tokens) {
                Ok(Ok(answers)) => answers,
                Ok(Err(code)) => return Came::ToNothing(not_done(code)),
                Err(why) => return Came::ToNothing(NotDone::Failed(why)),
            };
            let answers: Vec<_> = answers.into_iter().map(|answer| answer.map_err(not_done)).collect();
            let failure = answers.iter().find_map(|answer| match answer {
                Err(NotDone::Failed(why)) => Some(format!("of one token {why}")),
                _ => None,
            });
            match failure {
                None => Came::To(answers),
                Some(why) => Came::ToThough(answers, why),
            }
        });
    }

    /// At the calling side: asks for tokens. The request, and what [`finish`](Self::finish) takes.
    pub(crate) fn request(&self, want: Want, deadline_ms: u64, done: Done<(Vec<u8>, Secret)>) {
        self.call("request", deadline_ms, done, move |instance| came(instance.request(&want)));
    }

    /// At the calling side: makes the tokens of a response, `count_max` at most.
    pub(crate) fn finish(
        &self,
        state: Secret,
        response: Vec<u8>,
        count_max: usize,
        deadline_ms: u64,
        done: Done<Vec<Token>>,
    ) {
        self.call("finish", deadline_ms, done, move |instance| {
            came(instance.finish(&state, &response, count_max))
        });
    }

    fn call<T: Send + 'static>(
        &self,
        name: &'static str,
        deadline_ms: u64,
        done: Done<T>,
        call: impl FnOnce(&Instance) -> Came<T> + Send + 'static,
    ) {
        self.0.submit(work(name, Promise::new(done), move |instance, _| call(instance)), deadline_ms);
    }
}

/// Has an instance take a key into use.
pub(super) fn key_add(key: u64, secret: Secret, done: Done<()>) -> Box<dyn Work> {
    let promise = Promise::new(done);
    let awaited = promise.clone();
    work("key_add", promise, move |instance, _| {
        let added = instance.key_add(key, &secret);
        if awaited.is_told() {
            // Given up meanwhile, so perhaps dropped before it was added.
            drop(instance.key_drop(key));
        }
        came(added)
    })
}

/// Has an instance forget a key.
pub(super) fn key_drop(key: u64, done: Done<()>) -> Box<dyn Work> {
    work("key_drop", Promise::new(done), move |instance, _| came(instance.key_drop(key)))
}

fn came<T>(judged: Judged<T>) -> Came<T> {
    match judged {
        Ok(Ok(value)) => Came::To(value),
        Ok(Err(code)) => Came::ToNothing(not_done(code)),
        Err(why) => Came::ToNothing(NotDone::Failed(why)),
    }
}

fn not_done(code: i32) -> NotDone {
    match code {
        abi::REFUSED => NotDone::Refused,
        abi::UNSUPPORTED => NotDone::Unsupported,
        abi::SMALL => NotDone::Failed("wants more memory for its answer than there is".to_owned()),
        other => NotDone::Failed(format!("returned {other}")),
    }
}
