//! Lookups under way: what is sent to which server, when it is sent again, and who waits for what. It has no sockets, no
//! clock and no cache: what happened and when is told, and what is to be done comes out as [`Effect`]s, in order.

use core::net::SocketAddr;
use std::collections::{BTreeSet, HashMap, VecDeque};
use std::sync::Arc;

use herald_core::{Random, TelephoneNumber};
use herald_plugin_sdk::{Level, Ticket};
use hickory_proto::rr::Name;

use crate::limits::{
    DEADLINE_MARGIN_MS, FORGERIES_MAX, LOOKUP_MS_MAX, LOOKUPS_MAX, QUERIES_MAX, QUESTIONS_MAX, REFRESHES_MAX,
    RETRY_MS_RANGE,
};
use crate::servers::{ServerList, Tried};
use crate::settings::Config;
use crate::walk::{Outcome, Step, Walk};
use crate::wire::{Asked, Content, NoReply, Reply};

/// Names a question to a server, and its socket; never used again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct QueryKey(pub usize);

/// Over what a question goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transport {
    /// A datagram, from a socket and a port of its own.
    Udp,
    /// A connection, with the length before the message.
    Tcp,
}

/// Something to do.
#[derive(Debug)]
pub enum Effect {
    /// Send `message` to `server` from a new socket. What comes back goes to [`Resolver::received`].
    Open {
        /// Names the socket.
        key: QueryKey,
        /// Whom to send it to.
        server: SocketAddr,
        /// Over what.
        transport: Transport,
        /// The question.
        message: Vec<u8>,
    },
    /// Close the socket.
    Close(QueryKey),
    /// Answer a call.
    Answer(Ticket, Outcome),
    /// A lookup has ended: remember what it has found.
    Learn(TelephoneNumber, Outcome),
    /// Tell the operator.
    Say(Level, String),
}

/// Looks numbers up.
pub struct Resolver {
    config: Arc<Config>,
    random: Box<dyn Random>,
    servers: ServerList,
    lookups: HashMap<TelephoneNumber, Lookup>,
    refresh_count: usize,
    questions: HashMap<Ticket, Question>,
    queries: HashMap<QueryKey, Query>,
    last_key: usize,
    /// Lookups that wait for a free socket.
    waiting: VecDeque<TelephoneNumber>,
    timers: BTreeSet<(u64, Timer)>,
    effects: VecDeque<Effect>,
}

#[derive(Debug)]
struct Lookup {
    walk: Walk,
    /// What is to be asked as soon as a socket is free.
    wanted: Option<Name>,
    query: Option<QueryKey>,
    questions: Vec<Ticket>,
    ends_ms: u64,
    is_refresh: bool,
}

#[derive(Debug)]
struct Question {
    number: TelephoneNumber,
    ends_ms: u64,
}

#[derive(Debug)]
struct Query {
    number: TelephoneNumber,
    asked: Asked,
    transport: Transport,
    server: usize,
    tries: Tries,
    forgeries: u32,
    ends_ms: u64,
}

/// What was tried for one name.
#[derive(Clone, Copy, Debug, Default)]
struct Tries {
    servers: Tried,
    /// Servers that did not answer in time.
    silences: u32,
    /// Servers that could not say.
    refusals: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Timer {
    Question(Ticket),
    Lookup(TelephoneNumber),
    Query(QueryKey),
}

impl Resolver {
    /// One that asks `servers`, of which there is at least one.
    pub fn new(config: Arc<Config>, servers: Vec<SocketAddr>, random: Box<dyn Random>) -> Self {
        Self {
            config,
            random,
            servers: ServerList::new(servers),
            lookups: HashMap::new(),
            refresh_count: 0,
            questions: HashMap::new(),
            queries: HashMap::new(),
            last_key: 0,
            waiting: VecDeque::new(),
            timers: BTreeSet::new(),
            effects: VecDeque::new(),
        }
    }

    /// Asks these servers from now on.
    pub fn set_servers(&mut self, servers: Vec<SocketAddr>) {
        self.servers = ServerList::new(servers);
    }

    /// The next thing to do.
    pub fn next_effect(&mut self) -> Option<Effect> {
        self.effects.pop_front()
    }

    /// When [`tick`](Self::tick) is due.
    pub fn next_due_ms(&self) -> Option<u64> {
        self.timers.first().map(|(due_ms, _)| *due_ms)
    }

    /// A call asks for `number` and has to have an answer by `deadline_ms`.
    pub fn ask(&mut self, ticket: Ticket, number: TelephoneNumber, deadline_ms: u64, now_ms: u64) {
        let is_full = self.questions.len() >= QUESTIONS_MAX
            || self.lookups.len() >= LOOKUPS_MAX && !self.lookups.contains_key(&number);
        if is_full {
            return self.effects.push_back(Effect::Answer(ticket, Outcome::Unknown("too many lookups")));
        }
        let ends_ms = deadline_ms.saturating_sub(DEADLINE_MARGIN_MS);
        self.questions.insert(ticket, Question { number, ends_ms });
        self.timers.insert((ends_ms, Timer::Question(ticket)));
        self.look_up(number, false, now_ms).questions.push(ticket);
        self.start_waiting(now_ms);
    }

    /// The call has gone.
    pub fn cancel(&mut self, ticket: Ticket) {
        let Some(question) = self.questions.remove(&ticket) else { return };
        self.timers.remove(&(question.ends_ms, Timer::Question(ticket)));
        if let Some(lookup) = self.lookups.get_mut(&question.number) {
            lookup.questions.retain(|other| *other != ticket);
        }
    }

    /// Looks `number` up although no call asks. Not if too many are under way.
    pub fn refresh(&mut self, number: TelephoneNumber, now_ms: u64) -> bool {
        if self.refresh_count >= REFRESHES_MAX || self.lookups.len() >= LOOKUPS_MAX {
            return false;
        }
        self.look_up(number, true, now_ms);
        self.start_waiting(now_ms);
        true
    }

    /// `bytes` came on the socket `key`. Whether more may come there.
    pub fn received(&mut self, key: QueryKey, bytes: &[u8], now_ms: u64) -> bool {
        let Some(query) = self.queries.get_mut(&key) else { return false };
        let reply = query.asked.decode(bytes);
        let is_udp = query.transport == Transport::Udp;
        match reply {
            Err(NoReply::Foreign) if is_udp && query.forgeries < FORGERIES_MAX => query.forgeries += 1,
            Err(NoReply::Foreign) if is_udp => self.again(key, Transport::Tcp, true, now_ms),
            Err(_) => self.refused(key, now_ms),
            Ok(Reply { content: Content::Truncated, .. }) if is_udp => {
                let has_edns = query.asked.has_edns;
                self.again(key, Transport::Tcp, has_edns, now_ms);
            }
            Ok(Reply { content: Content::FormatError, .. }) if query.asked.has_edns => {
                let transport = query.transport;
                self.again(key, transport, false, now_ms);
            }
            Ok(Reply { content: Content::Truncated | Content::FormatError | Content::Failed, .. }) => {
                self.refused(key, now_ms);
            }
            Ok(reply) => self.answered(key, reply, now_ms),
        }
        self.queries.contains_key(&key)
    }

    /// The socket `key` does not work: nobody listens there, or the connection broke. Some servers speak TCP alone.
    pub fn broke(&mut self, key: QueryKey, now_ms: u64) {
        let Some(query) = self.queries.get(&key) else { return };
        let (server, has_edns) = (query.server, query.asked.has_edns);
        if query.transport == Transport::Udp {
            return self.again(key, Transport::Tcp, has_edns, now_ms);
        }
        self.note_silence(server, now_ms);
        self.refused(key, now_ms);
    }

    /// Does what is due.
    pub fn tick(&mut self, now_ms: u64) {
        while let Some(&(due_ms, timer)) = self.timers.first() {
            if due_ms > now_ms {
                break;
            }
            self.timers.pop_first();
            match timer {
                Timer::Question(ticket) => {
                    self.cancel(ticket);
                    self.effects.push_back(Effect::Answer(ticket, Outcome::Unknown(IN_TIME)));
                }
                Timer::Lookup(number) => self.end(number, Err(IN_TIME)),
                Timer::Query(key) => self.timed_out(key, now_ms),
            }
        }
        self.start_waiting(now_ms);
    }

    fn look_up(&mut self, number: TelephoneNumber, is_refresh: bool, now_ms: u64) -> &mut Lookup {
        let Self { lookups, config, waiting, timers, refresh_count, .. } = self;
        lookups.entry(number).or_insert_with(|| {
            let (walk, first) = Walk::new(number, config);
            let ends_ms = now_ms + LOOKUP_MS_MAX;
            timers.insert((ends_ms, Timer::Lookup(number)));
            *refresh_count += usize::from(is_refresh);
            // Calls wait, refreshes do not.
            if is_refresh {
                waiting.push_back(number)
            } else {
                waiting.push_front(number)
            }
            Lookup { walk, wanted: Some(first), query: None, questions: Vec::new(), ends_ms, is_refresh }
        })
    }

    fn start_waiting(&mut self, now_ms: u64) {
        while self.queries.len() < QUERIES_MAX {
            let Some(number) = self.waiting.pop_front() else { return };
            let wanted = self.lookups.get_mut(&number).and_then(|lookup| lookup.wanted.take());
            if let Some(name) = wanted {
                self.open(number, name, Tries::default(), now_ms);
            }
        }
    }

    /// Sends a question for `name` to the next server.
    fn open(&mut self, number: TelephoneNumber, name: Name, mut tries: Tries, now_ms: u64) {
        let server = self.servers.next(&mut tries.servers, now_ms);
        let asked = self.asked(name, true);
        self.send(Query {
            number,
            asked,
            transport: Transport::Udp,
            server,
            tries,
            forgeries: 0,
            ends_ms: now_ms + self.patience_ms(tries),
        });
    }

    /// Asks the same server the same thing in another way.
    fn again(&mut self, key: QueryKey, transport: Transport, has_edns: bool, now_ms: u64) {
        let Some(query) = self.close(key) else { return };
        let asked = self.asked(query.asked.name, has_edns);
        let ends_ms = now_ms + self.patience_ms(query.tries);
        self.send(Query { asked, transport, forgeries: 0, ends_ms, ..query });
    }

    fn send(&mut self, query: Query) {
        self.last_key += 1;
        let key = QueryKey(self.last_key);
        if let Some(lookup) = self.lookups.get_mut(&query.number) {
            lookup.query = Some(key);
        }
        self.timers.insert((query.ends_ms, Timer::Query(key)));
        if let Some(server) = self.servers.address(query.server) {
            let (transport, message) = (query.transport, query.asked.encode());
            self.effects.push_back(Effect::Open { key, server, transport, message });
        }
        self.queries.insert(key, query);
    }

    fn asked(&self, name: Name, has_edns: bool) -> Asked {
        let mut id = [0; 2];
        self.random.fill(&mut id);
        let is_case_kept = self.config.is_case_mixed;
        let name = if is_case_kept { mix_case(&name, &*self.random) } else { name };
        Asked { id: u16::from_be_bytes(id), name, is_case_kept, has_edns }
    }

    fn patience_ms(&self, tries: Tries) -> u64 {
        (self.config.retry_ms << tries.silences.min(10)).min(RETRY_MS_RANGE.1)
    }

    fn answered(&mut self, key: QueryKey, reply: Reply, now_ms: u64) {
        let Some(query) = self.close(key) else { return };
        if let Some(server) = self.servers.has_answered(query.server) {
            self.effects
                .push_back(Effect::Say(Level::Info, format!("the DNS server {server} answers again")));
        }
        self.proceed(query.number, Ok(reply), now_ms);
    }

    /// The server cannot say: another one is asked at once, each of them once.
    fn refused(&mut self, key: QueryKey, now_ms: u64) {
        let Some(mut query) = self.close(key) else { return };
        query.tries.refusals += 1;
        if query.tries.refusals < self.servers.count() {
            self.open(query.number, query.asked.name, query.tries, now_ms);
        } else {
            self.proceed(query.number, Err("the DNS servers cannot say"), now_ms);
        }
    }

    fn timed_out(&mut self, key: QueryKey, now_ms: u64) {
        let Some(mut query) = self.close(key) else { return };
        self.note_silence(query.server, now_ms);
        query.tries.silences += 1;
        if query.tries.silences < self.config.attempts {
            self.open(query.number, query.asked.name, query.tries, now_ms);
        } else {
            self.proceed(query.number, Err("the DNS servers do not answer"), now_ms);
        }
    }

    fn note_silence(&mut self, server: usize, now_ms: u64) {
        if let Some(server) = self.servers.was_silent(server, now_ms) {
            self.effects
                .push_back(Effect::Say(Level::Warning, format!("the DNS server {server} does not answer")));
        }
    }

    fn proceed(&mut self, number: TelephoneNumber, reply: Result<Reply, &'static str>, now_ms: u64) {
        let Some(lookup) = self.lookups.get_mut(&number) else { return };
        match lookup.walk.take(reply, &self.config) {
            Step::Ask(name) => {
                lookup.wanted = Some(name);
                self.waiting.push_front(number);
            }
            Step::Done(outcome) => self.end(number, Ok(outcome)),
        }
        self.start_waiting(now_ms);
    }

    /// Ends a lookup; `Err` says why it is given up.
    fn end(&mut self, number: TelephoneNumber, outcome: Result<Outcome, &'static str>) {
        let Some(lookup) = self.lookups.remove(&number) else { return };
        self.refresh_count -= usize::from(lookup.is_refresh);
        self.timers.remove(&(lookup.ends_ms, Timer::Lookup(number)));
        if let Some(key) = lookup.query {
            self.close(key);
        }
        let outcome = outcome.unwrap_or_else(|why| lookup.walk.give_up(why, &self.config));
        // First, so that who is answered and asks again finds it remembered.
        self.effects.push_back(Effect::Learn(number, outcome.clone()));
        for ticket in lookup.questions {
            if let Some(question) = self.questions.remove(&ticket) {
                self.timers.remove(&(question.ends_ms, Timer::Question(ticket)));
                self.effects.push_back(Effect::Answer(ticket, outcome.clone()));
            }
        }
    }

    fn close(&mut self, key: QueryKey) -> Option<Query> {
        let query = self.queries.remove(&key)?;
        self.timers.remove(&(query.ends_ms, Timer::Query(key)));
        if let Some(lookup) = self.lookups.get_mut(&query.number) {
            lookup.query = None;
        }
        self.effects.push_back(Effect::Close(key));
        Some(query)
    }
}

/// `name` with letters in upper and lower case at random: one more thing that a forger has to guess.
fn mix_case(name: &Name, random: &dyn Random) -> Name {
    let labels = name.iter().map(|label| {
        let mut coins = vec![0; label.len()];
        random.fill(&mut coins);
        let letter = |(letter, coin): (&u8, &u8)| match coin & 1 {
            0 => letter.to_ascii_lowercase(),
            _ => letter.to_ascii_uppercase(),
        };
        label.iter().zip(&coins).map(letter).collect::<Vec<u8>>()
    });
    Name::from_labels(labels).expect("as long as a name that is one")
}

const IN_TIME: &str = "the DNS servers do not answer in time";
