//! The search for one number's services: apex after apex, and through non-terminal records (RFC 6116 §3 and §5.2). It
//! says which name to ask for next and is told what came; when and whom to ask it does not know.

use std::collections::VecDeque;

use herald_core::TelephoneNumber;
use hickory_proto::rr::Name;

use crate::cache::Finding;
use crate::limits::{CACHE_UNAUTHENTIC_S_MAX, CHAIN_MAX, URIS_MAX, WALK_QUERIES_MAX};
use crate::naptr::{Judgement, Rule, in_order};
use crate::settings::{Apex, Config};
use crate::wire::{Content, Reply};

/// What to do next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// Ask for the NAPTR records of this name.
    Ask(Name),
    /// It is over.
    Done(Outcome),
}

/// How a search ends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// With services, or with none because there are none.
    Known(Finding),
    /// Without services, and some servers did not say: why.
    Unknown(&'static str),
}

/// Whether a number is one of those the tree of ENUM holds (RFC 6116 §3.7): digits only. rfc6116:2-1.
pub fn is_e164(number: TelephoneNumber) -> bool {
    number.signs().all(|sign| sign.is_ascii_digit())
}

/// A search under way.
#[derive(Debug)]
pub struct Walk {
    /// `+` and digits: the Application Unique String.
    number: String,
    /// The one that is searched, in [`Config::apexes`].
    apex_index: usize,
    /// The record sets from the apex to here, each with the rules that are yet to be looked at.
    chain: Vec<RuleSet>,
    /// The name whose records are searched next; it may be an alias of what is asked for.
    key: Name,
    queries: usize,
    uris: Vec<String>,
    fresh_s: u32,
    /// For how many seconds there is nothing in the apexes so far.
    negative_s: u32,
    note: String,
    trouble: Option<&'static str>,
    was_unauthentic: bool,
}

#[derive(Debug)]
struct RuleSet {
    name: Name,
    rules: VecDeque<Rule>,
    /// For how many seconds this set and those that lead here hold.
    fresh_s: u32,
}

impl Walk {
    /// A search for `number`, and the first name to ask for.
    pub fn new(number: TelephoneNumber, config: &Config) -> (Self, Name) {
        let aus = format!("+{number}");
        let key = name_below(&aus, &config.apexes[0]);
        let first = key.clone();
        let walk = Self {
            number: aus,
            apex_index: 0,
            chain: Vec::new(),
            key,
            queries: 1,
            uris: Vec::new(),
            fresh_s: u32::MAX,
            negative_s: u32::MAX,
            note: String::new(),
            trouble: None,
            was_unauthentic: false,
        };
        (walk, first)
    }

    /// Takes the reply to what was asked last; `Err` says why there is none.
    pub fn take(&mut self, reply: Result<Reply, &'static str>, config: &Config) -> Step {
        let path_s = self.chain.last().map_or(u32::MAX, |set| set.fresh_s);
        match reply {
            Err(why) => self.trouble = Some(why),
            Ok(reply) if config.is_authentic_only && !reply.is_authentic => {
                self.was_unauthentic = true;
                self.negative_s = self.negative_s.min(CACHE_UNAUTHENTIC_S_MAX);
            }
            Ok(reply) => match reply.content {
                Content::Rules(rules, fresh_s) => self.enter(rules, fresh_s.min(path_s), reply.is_authentic),
                Content::Nothing(fresh_s) => self.negative_s = self.negative_s.min(fresh_s).min(path_s),
                Content::Alias(name, fresh_s) => {
                    self.negative_s = self.negative_s.min(fresh_s);
                    if self.has_query_left() {
                        return Step::Ask(name);
                    }
                }
                Content::Truncated | Content::FormatError | Content::Failed => {
                    self.trouble = Some("the servers cannot say");
                }
            },
        }
        self.go_on(config)
    }

    /// Ends it with what is there.
    pub fn give_up(mut self, why: &'static str, config: &Config) -> Outcome {
        self.trouble = Some(why);
        self.outcome(config)
    }

    fn enter(&mut self, rules: Vec<Rule>, fresh_s: u32, is_authentic: bool) {
        // Should none of them be of use.
        self.negative_s = self.negative_s.min(fresh_s);
        self.note = if is_authentic { "verified" } else { "not verified" }.to_owned();
        self.chain.push(RuleSet { name: self.key.clone(), rules: in_order(rules).into(), fresh_s });
    }

    /// Looks at rules until a name has to be asked for or the search is over. ORDER is that of one set: those of others
    /// come before or after as a whole. rfc6116:3.4.2-2, rfc6116:5.2-1, rfc6116:5.2-4, rfc6116:5.2-6, rfc6116:5.2.1-2.
    fn go_on(&mut self, config: &Config) -> Step {
        loop {
            while let Some(set) = self.chain.last_mut() {
                let Some(rule) = set.rules.pop_front() else {
                    if !self.uris.is_empty() {
                        return Step::Done(self.outcome(config));
                    }
                    self.chain.pop();
                    continue;
                };
                let is_private = is_private(&set.name, config);
                match rule.judge(&self.number, &config.enumservices, is_private) {
                    Judgement::Service(uri, place) => self.accept(uri, &rule, place, config),
                    Judgement::Refers(name) if self.uris.is_empty() && self.may_enter(&name) => {
                        if let Some(step) = self.ask(name) {
                            return step;
                        }
                    }
                    Judgement::Refers(_) | Judgement::Discarded => {}
                }
            }
            self.apex_index += 1;
            let Some(apex) = config.apexes.get(self.apex_index) else {
                return Step::Done(self.outcome(config));
            };
            let name = name_below(&self.number, apex);
            if let Some(step) = self.ask(name) {
                return step;
            }
        }
    }

    fn accept(&mut self, uri: String, rule: &Rule, place: usize, config: &Config) {
        let set = self.chain.last().expect("the rule is of the last set");
        if self.uris.is_empty() {
            self.fresh_s = set.fresh_s;
            let apex = &config.apexes[self.apex_index].name;
            let (order, preference) = (rule.order, rule.preference);
            let (service, hops, how) = (config.enumservices.name(place), self.chain.len() - 1, &self.note);
            self.note = format!(
                "NAPTR {order} {preference} {service} below {apex}, {hops} references, {how} with DNSSEC"
            );
        }
        if self.uris.len() < URIS_MAX && !self.uris.contains(&uri) {
            self.uris.push(uri);
        }
    }

    /// Whether the records of `name` may be looked at: no loop, and not too deep. rfc6116:5.2.1-3.
    fn may_enter(&self, name: &Name) -> bool {
        self.chain.len() <= CHAIN_MAX && self.chain.iter().all(|set| set.name != *name)
    }

    fn ask(&mut self, name: Name) -> Option<Step> {
        self.has_query_left().then(|| {
            self.key = name.clone();
            Step::Ask(name)
        })
    }

    fn has_query_left(&mut self) -> bool {
        if self.queries == WALK_QUERIES_MAX {
            self.trouble = Some("the records refer to too many others");
            return false;
        }
        self.queries += 1;
        true
    }

    fn outcome(&mut self, config: &Config) -> Outcome {
        if !self.uris.is_empty() {
            let uris = core::mem::take(&mut self.uris);
            let fresh_s = self.fresh_s.min(config.cache_s_max);
            return Outcome::Known(Finding { uris, fresh_s, note: core::mem::take(&mut self.note) });
        }
        if let Some(why) = self.trouble {
            return Outcome::Unknown(why);
        }
        let note = match self.was_unauthentic {
            true => "records that the resolver has not verified with DNSSEC, which is required",
            false => "no records for it",
        };
        let fresh_s = self.negative_s.min(config.cache_negative_s_max);
        Outcome::Known(Finding { uris: Vec::new(), fresh_s, note: note.to_owned() })
    }
}

/// The first well known rule (RFC 6116 §3.2): the digits in reverse order, a label each.
fn name_below(number: &str, apex: &Apex) -> Name {
    let digits = number.strip_prefix('+').unwrap_or(number);
    digits.as_bytes().chunks(1).fold(apex.name.clone(), |name, digit| {
        name.prepend_label(digit).expect("the settings leave room for the longest number")
    })
}

/// Whether records for private networks count at `name`. rfc6116:3.4.3.1-1.
fn is_private(name: &Name, config: &Config) -> bool {
    config.apexes.iter().any(|apex| apex.is_private && apex.name.zone_of(name))
}
