//! A plugin tried out: loaded, opened, asked, closed, by the same ways an engine takes.

use std::path::Path;
use std::sync::{Arc, mpsc};
use std::time::{Duration, Instant};

use herald_core::{Clock, TelephoneNumber, Timestamp};
use herald_plugin_abi as abi;
use herald_stir::SystemRandom;
use herald_stir::services::Side;

use super::{
    DiscoveryPlugin, Done, NotDone, Outcome, PluginSet, PluginStatus, Question, RateControlPlugin,
    Redemption, Token, Want, wrong,
};
use crate::Report;
use crate::clock::SystemClock;
use crate::config::Config;
use crate::discovery::https_services;
use crate::error::EngineError;
use crate::limits::PLUGIN_CHECK_MS;
use crate::plugin_loader::{Kind, plain};
use crate::plugins::plugin::Code;

/// What was tried, and what came of it.
#[derive(Clone, Debug)]
pub struct PluginTrial {
    /// What was tried.
    pub what: String,
    /// How long it took.
    pub took: Duration,
    /// What came of it; `Err` if a plugin must not do so.
    pub outcome: Result<String, String>,
}

/// A plugin that was checked.
#[derive(Clone, Debug)]
pub struct CheckedPlugin {
    /// What it is, and how it fared.
    pub status: PluginStatus,
    /// What was tried, in order.
    pub trials: Vec<PluginTrial>,
}

/// Loads the shared object `path` (absolute), opens it with `settings`, tries each of its functions, and closes it. A
/// discovery plugin is asked for `numbers` too. Blocks for as long as that takes; a call that hangs is given up after
/// five seconds.
///
/// # Errors
/// [`EngineErrorKind::Argument`](crate::EngineErrorKind::Argument) if it cannot be loaded or opened: why.
pub fn check_plugin(
    path: &Path,
    settings: &[(String, String)],
    numbers: &[TelephoneNumber],
    report: Report,
) -> Result<CheckedPlugin, EngineError> {
    let clock = Arc::new(SystemClock::starting_at(Timestamp::default()));
    let mut set = PluginSet::load(&[], None, clock.clone(), Arc::new(SystemRandom), report)?;
    let named = |why: String| wrong(format!("{}: {why}", path.display()));
    let code = Code::load(path).map_err(named)?;
    let (name, kind) = (code.name().to_owned(), code.kind().clone());
    set.settings.insert(name.clone(), settings.to_vec());
    set.add(code).map_err(named)?;
    set.start()?;
    let mut trials = Trials { clock, done: Vec::new() };
    match kind {
        Kind::Discovery => {
            let plugin = set.discovery(&name).expect("it was loaded just now");
            trials.discovery(&plugin, numbers);
        }
        Kind::RateControl(_) => {
            let plugin = set.rate_control(&name).expect("it was loaded just now");
            trials.rate_control(&plugin);
        }
    }
    let plugin = set.named(&name).expect("it was loaded just now");
    trials.add("reload", Instant::now(), plugin.reload().map(|()| "done".to_owned()));
    let status = set.list().remove(0);
    let began = Instant::now();
    let is_closed = plugin.stop();
    let closed = if is_closed { Ok("done".to_owned()) } else { Err("it does not end".to_owned()) };
    trials.add("close", began, closed);
    set.stop();
    Ok(CheckedPlugin { status, trials: trials.done })
}

/// The plugins that a configuration names: loaded, and not opened.
///
/// # Errors
/// [`EngineErrorKind::Argument`](crate::EngineErrorKind::Argument) if one of them cannot be loaded: why.
pub fn list_plugins(config: &Config) -> Result<Vec<PluginStatus>, EngineError> {
    let clock = Arc::new(SystemClock::starting_at(Timestamp::default()));
    let set = PluginSet::load(&config.plugins, None, clock, Arc::new(SystemRandom), Arc::new(|_, _| {}))?;
    Ok(set.list())
}

struct Trials {
    clock: Arc<dyn Clock>,
    done: Vec<PluginTrial>,
}

/// A handle that no other key of the trial has.
const KEY: u64 = 1;
const CHALLENGE_DIGEST: [u8; 32] = [7; 32];
const NONCE_BYTES: usize = 32;
/// What no plugin takes for a certificate, a request or a token.
const JUNK: [u8; 300] = [0xa5; 300];

impl Trials {
    fn add(&mut self, what: impl Into<String>, began: Instant, outcome: Result<String, String>) {
        self.done.push(PluginTrial { what: what.into(), took: began.elapsed(), outcome });
    }

    fn discovery(&mut self, plugin: &DiscoveryPlugin, numbers: &[TelephoneNumber]) {
        self.wait("observe a certificate that is none", |by, done| plugin.observe(&JUNK, by, done));
        for &number in numbers {
            for side in [Side::Calling, Side::Called] {
                let (began, (sender, receiver)) = (Instant::now(), mpsc::channel());
                let question = Question { number, side, spc: None, deadline_ms: self.deadline_ms() };
                plugin.ask(question, move |outcome| {
                    // The other end waits.
                    let _ = sender.send(outcome);
                });
                let outcome = receiver.recv().unwrap_or(Outcome::TimedOut);
                let what = format!(
                    "find {number:?}, {} side",
                    if side == Side::Calling { "calling" } else { "called" }
                );
                self.add(what, began, shown(outcome));
            }
        }
    }

    fn rate_control(&mut self, plugin: &RateControlPlugin) {
        let scheme = plugin.scheme().clone();
        let Some(key) = self.wait("key_make", |by, done| plugin.key_make(by, done)) else { return };
        let Some(()) = self.wait("key_add", |by, done| plugin.key_add(KEY, &key.secret, by, done)) else {
            return;
        };
        self.refused("request_count of junk", Some(0), |by, done| {
            plugin.request_count(JUNK.to_vec(), by, done)
        });
        self.refused("issue on junk", None, |by, done| plugin.issue(KEY, JUNK.to_vec(), by, done));
        for mode in (0..u32::BITS).map(|bit| 1 << bit).filter(|mode| scheme.modes & mode != 0) {
            let count = scheme.count_max.min(3);
            let want = Want {
                mode,
                count,
                public_key: key.public_key.clone(),
                agreement_key: key.agreement_key.clone(),
                challenge_digest: CHALLENGE_DIGEST,
            };
            let in_mode = |what: &str| format!("{what} {}", mode_name(mode));
            let Some((request, state)) =
                self.wait(in_mode("request"), |by, done| plugin.request(want, by, done))
            else {
                continue;
            };
            let body = request.clone();
            self.wait_for(
                in_mode("request_count"),
                |by, done| plugin.request_count(body, by, done),
                |counted| {
                    if *counted == count {
                        Ok(())
                    } else {
                        Err(format!("{counted} where {count} were asked for"))
                    }
                },
            );
            let Some(response) = self.wait(in_mode("issue"), |by, done| plugin.issue(KEY, request, by, done))
            else {
                continue;
            };
            let count_max = usize::try_from(scheme.count_max).unwrap_or(1);
            let finish = |by, done: Done<Vec<Token>>| plugin.finish(state, response, count_max, by, done);
            let head = head(scheme.token_type, &key.id);
            let is_good = |tokens: &Vec<Token>| match tokens.iter().all(|token| is_headed(token, &head)) {
                true => Ok(()),
                false => {
                    Err("a token has another type, challenge or key id than what was asked for".to_owned())
                }
            };
            let Some(tokens) = self.wait_for(in_mode("finish"), finish, is_good) else { continue };
            self.redeem(plugin, &in_mode("redeem"), mode, &tokens);
        }
        self.wait("key_drop", |by, done| plugin.drop_key(KEY, by, done));
    }

    /// Redeems the tokens, and one that is spoilt beside them.
    fn redeem(&mut self, plugin: &RateControlPlugin, what: &str, mode: u32, tokens: &[Token]) {
        let presented = |token: &Token| Redemption {
            key: KEY,
            mode,
            token_input: token.token_input,
            authenticator: match mode {
                abi::MODE_WITHHELD => zeroize::Zeroizing::new(Vec::new()),
                _ => token.authenticator.clone(),
            },
            proof: token.proof.clone(),
        };
        let mut shown: Vec<_> = tokens.iter().map(presented).collect();
        if let Some(token) = tokens.first().filter(|_| mode != abi::MODE_WITHHELD) {
            let mut spoilt = presented(token);
            spoilt.token_input[50] ^= 1;
            shown.push(spoilt);
        }
        let secrets: Vec<_> = tokens.iter().map(|token| token.secret.clone()).collect();
        let redeem = |by, done: Done<Vec<_>>| plugin.redeem(shown, by, done);
        self.wait_for(what, redeem, |judged: &Vec<Result<super::Secret, NotDone>>| {
            let is_agreed = mode == abi::MODE_SIGNED
                || mode == abi::MODE_BEARER
                || secrets.iter().zip(judged).all(|(ours, theirs)| theirs.as_ref() == Ok(ours));
            let is_taken = judged.iter().take(secrets.len()).all(Result::is_ok);
            let is_refused = judged.get(secrets.len()).is_none_or(|spoilt| *spoilt == Err(NotDone::Refused));
            match (is_taken, is_agreed, is_refused) {
                (true, true, true) => Ok(()),
                (false, ..) => Err("its own tokens are refused".to_owned()),
                (_, false, _) => Err("both sides derive different secrets".to_owned()),
                (.., false) => Err("a spoilt token is taken".to_owned()),
            }
        });
    }

    /// Waits for a call that must succeed.
    fn wait<T: Send + 'static>(
        &mut self,
        what: impl Into<String>,
        call: impl FnOnce(u64, Done<T>),
    ) -> Option<T> {
        self.wait_for(what, call, |_| Ok(()))
    }

    /// Waits for a call that must succeed, and whose result must be so.
    fn wait_for<T: Send + 'static>(
        &mut self,
        what: impl Into<String>,
        call: impl FnOnce(u64, Done<T>),
        is_good: impl FnOnce(&T) -> Result<(), String>,
    ) -> Option<T> {
        let (began, came) = (Instant::now(), self.came(call));
        let (outcome, value) = match came {
            Ok(value) => (is_good(&value), Some(value)),
            Err(why) => (Err(format!("{why:?}")), None),
        };
        self.add(what, began, outcome.map(|()| "done".to_owned()));
        value
    }

    /// Waits for a call that must be refused, or give `nothing`.
    fn refused<T: Send + PartialEq + 'static>(
        &mut self,
        what: &str,
        nothing: Option<T>,
        call: impl FnOnce(u64, Done<T>),
    ) {
        let (began, came) = (Instant::now(), self.came(call));
        let outcome = match came {
            Err(NotDone::Refused) => Ok("refused".to_owned()),
            Ok(value) if Some(&value) == nothing.as_ref() => Ok("nothing".to_owned()),
            Ok(_) => Err("it takes it".to_owned()),
            Err(why) => Err(format!("{why:?}")),
        };
        self.add(what, began, outcome);
    }

    fn came<T: Send + 'static>(&self, call: impl FnOnce(u64, Done<T>)) -> Result<T, NotDone> {
        let (sender, receiver) = mpsc::channel();
        let done = move |came| {
            // The other end waits.
            let _ = sender.send(came);
        };
        call(self.deadline_ms(), Box::new(done));
        receiver.recv().unwrap_or(Err(NotDone::Stopped))
    }

    fn deadline_ms(&self) -> u64 {
        self.clock.now().as_millis() + PLUGIN_CHECK_MS
    }
}

fn shown(outcome: Outcome) -> Result<String, String> {
    match outcome {
        Outcome::Found(found) => {
            let uris = plain(found.uris.join(" ").as_bytes());
            let left_out = match (https_services(&found.uris).len(), found.uris.len()) {
                (0, _) => {
                    return Err(format!("an engine takes none of these, as they are no https URIs: {uris}"));
                }
                (taken, all) if taken < all => format!("an engine takes {taken} of {all}; "),
                _ => String::new(),
            };
            let proven = if found.is_proven { "proven, " } else { "" };
            Ok(format!("{uris} ({left_out}{proven}fresh for {} s; {})", found.fresh_s, found.note))
        }
        Outcome::Nothing { fresh_s, note } => Ok(format!("nothing (for {fresh_s} s; {note})")),
        Outcome::Failed(why) | Outcome::Disabled(why) => Err(why),
        Outcome::TimedOut => Err("no answer by the deadline".to_owned()),
        Outcome::Busy => Err("too many questions wait".to_owned()),
    }
}

/// What a token of this type and key has around its nonce (RFC 9577).
fn head(token_type: u16, key_id: &[u8]) -> ([u8; 2], Vec<u8>) {
    (token_type.to_be_bytes(), [&CHALLENGE_DIGEST, key_id].concat())
}

fn is_headed(token: &Token, (token_type, rest): &([u8; 2], Vec<u8>)) -> bool {
    token.token_input[..2] == *token_type && token.token_input[2 + NONCE_BYTES..] == **rest
}

const fn mode_name(mode: u32) -> &'static str {
    match mode {
        abi::MODE_BEARER => "bearer",
        abi::MODE_WITHHELD => "withheld",
        abi::MODE_COMMITTED => "committed",
        abi::MODE_AGREED => "agreed",
        abi::MODE_SIGNED => "signed",
        _ => "in a mode that is not known",
    }
}
