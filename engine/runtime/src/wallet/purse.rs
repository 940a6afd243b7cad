//! What is held of one service: its issuer directory, tokens of its keys, and the sessions that were opened with them.
//! Time comes in; it asks nobody.

use std::sync::Arc;

use herald_admission::directory::{Directory, OfferedKey};
use herald_admission::{Challenge, Mode};
use herald_core::Timestamp;

use super::chance::Chance;
use super::session::{Session, Store, Waiter};
use crate::limits::{GATEWAY_SESSIONS, ISSUER_GAP_MS, WALLET_IDLE_MS, WALLET_LOOK_MS, WALLET_WAITERS_MAX};
use crate::plugins::Token;

/// One moment, on both clocks.
#[derive(Clone, Copy)]
pub(super) struct Now {
    pub(super) steady: Timestamp,
    /// Seconds since the Unix epoch.
    pub(super) wall_s: u64,
}

pub(super) struct Purse {
    pub(super) challenge: Challenge,
    /// Whether the operator has named the service.
    pub(super) is_named: bool,
    /// Somebody asks its issuer now.
    pub(super) is_busy: bool,
    /// What it is asked for is of keys that are forgotten: the answer is of no use.
    is_outdated: bool,
    /// When it is to be seen to.
    pub(super) look_at: Timestamp,
    directory: Option<Directory>,
    directory_at: Option<Timestamp>,
    stock: Vec<Stock>,
    sessions: Vec<Arc<Session>>,
    waiters: Vec<Waiter>,
    failure: Option<(String, Timestamp)>,
    /// A public key of which no more tokens may be asked for than this.
    quota: Option<(Vec<u8>, u32)>,
    used_at: Timestamp,
}

/// Tokens of one key.
struct Stock {
    key: OfferedKey,
    tokens: Vec<(Token, Mode)>,
}

/// What is to be done for a purse.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Plan {
    /// Nothing now.
    Rest,
    /// Forget it: nobody has used it for long.
    Drop,
    /// Fetch its directory.
    Directory,
    /// Ask for so many tokens of this key.
    Tokens(OfferedKey, u32),
}

impl Purse {
    pub(super) const fn new(challenge: Challenge, is_named: bool, now: Timestamp) -> Self {
        Self {
            challenge,
            is_named,
            is_busy: false,
            is_outdated: false,
            look_at: now,
            directory: None,
            directory_at: None,
            stock: Vec::new(),
            sessions: Vec::new(),
            waiters: Vec::new(),
            failure: None,
            quota: None,
            used_at: now,
        }
    }

    pub(super) const fn used_at(&self) -> Timestamp {
        self.used_at
    }

    /// How many tokens and sessions are held, and whether the issuer failed.
    pub(super) fn holdings(&self) -> (usize, usize, bool) {
        let tokens = self.stock.iter().map(|stock| stock.tokens.len()).sum();
        (tokens, self.sessions.len(), self.failure.is_some())
    }

    /// Takes in that the service wants tokens, of the key `public_key` among others.
    pub(super) fn challenged(&mut self, challenge: Challenge, public_key: &[u8], is_named: bool) {
        let knows = |directory: &Directory| directory.keys.iter().any(|key| key.public_key == public_key);
        self.is_named = is_named;
        if self.challenge != challenge || !self.directory.as_ref().is_some_and(knows) {
            // Its keys are other ones, and what was had of the old ones is worth nothing.
            self.challenge = challenge;
            self.directory = None;
            self.stock.clear();
            self.sessions.clear();
            self.failure = None;
            self.is_outdated = self.is_busy;
        }
    }

    /// Takes note that its issuer has answered, or will not. False if that is of no use and it is to be asked again.
    pub(super) fn end(&mut self, now: Timestamp) -> bool {
        self.is_busy = false;
        let is_of_use = !core::mem::take(&mut self.is_outdated);
        if !is_of_use {
            self.look_at = now;
        }
        is_of_use
    }

    /// A session for a call of its own: one token serves all its copies.
    pub(super) fn take(&mut self, now: Now) -> Option<Arc<Session>> {
        self.used_at = now.steady;
        let is_good = |stock: &&mut Stock| {
            (stock.key.not_before_s..stock.key.not_after_s).contains(&now.wall_s) && !stock.tokens.is_empty()
        };
        let stock = self.stock.iter_mut().find(is_good)?;
        let (token, mode) = stock.tokens.pop()?;
        Some(Session::new(token, mode, &stock.key))
    }

    /// A session for one store: one of many at random, so that two stores are seldom of one session, and none that has stored
    /// enough under its number.
    pub(super) fn pick(&mut self, now: Now, store: Store<'_>, chance: &Chance) -> Option<Arc<Session>> {
        self.used_at = now.steady;
        self.sessions.retain(|session| session.is_good(now.wall_s));
        if self.sessions.len() < GATEWAY_SESSIONS
            && let Some(fresh) = self.take(now)
        {
            self.sessions.push(fresh.clone());
            return Some(fresh);
        }
        let may_store: Vec<_> = self.sessions.iter().filter(|session| !store.is_full(session)).collect();
        let ready: Vec<_> = may_store.iter().copied().filter(|session| !session.is_opening()).collect();
        let from = if ready.is_empty() { may_store } else { ready };
        from.get(chance.below(from.len())).map(|session| (*session).clone())
    }

    /// Has `waiter` told when tokens came, or why none did.
    ///
    /// # Errors
    /// Why there is none.
    pub(super) fn wait(&mut self, waiter: Waiter, now: Timestamp) -> Result<(), String> {
        if let Some((why, until)) = &self.failure
            && now < *until
        {
            return Err(why.clone());
        }
        if self.waiters.len() >= WALLET_WAITERS_MAX {
            return Err("too many calls wait for tokens".to_owned());
        }
        self.waiters.push(waiter);
        self.look_at = now;
        Ok(())
    }

    /// What to do now. Sets when to look again if that is nothing.
    pub(super) fn plan(&mut self, now: Now, class: &str, kept: u32, chance: &Chance) -> Plan {
        if self.waiters.is_empty() && now.steady.millis_since(self.used_at) > WALLET_IDLE_MS {
            return Plan::Drop;
        }
        self.stock.retain(|stock| now.wall_s < stock.key.not_after_s);
        self.sessions.retain(|session| session.is_good(now.wall_s));
        let Some(key) = self.key(class, now.wall_s) else { return self.plan_directory(now.steady) };
        let have = self.have(&key);
        // Who waits for a token has it asked for, whatever the quota was.
        let least = u32::from(have == 0 && !self.waiters.is_empty());
        let count = (kept - have.min(kept)).min(self.may_ask(&key)).max(least);
        if count > 0 && (have == 0 || have < kept / 2) {
            return Plan::Tokens(key, count);
        }
        let epoch_s = key.not_after_s.saturating_sub(key.not_before_s);
        if key.not_after_s.saturating_sub(now.wall_s) <= epoch_s / 2
            && let Some(next) = self.key(class, key.not_after_s)
            && self.have(&next) == 0
        {
            let count = kept.min(self.may_ask(&next));
            if count > 0 {
                return Plan::Tokens(next, count);
            }
        }
        let span_ms = WALLET_LOOK_MS.min(epoch_s.saturating_mul(1000) / 8).max(100);
        self.look_at = now.steady.plus_millis(span_ms / 2 + chance.below_ms(span_ms));
        Plan::Rest
    }

    fn plan_directory(&mut self, now: Timestamp) -> Plan {
        let again_at = self.directory_at.map(|at| at.plus_millis(ISSUER_GAP_MS));
        match again_at.filter(|at| now < *at) {
            Some(at) => {
                self.look_at = at;
                Plan::Rest
            }
            None => Plan::Directory,
        }
    }

    fn key(&self, class: &str, at_s: u64) -> Option<OfferedKey> {
        let directory = self.directory.as_ref()?;
        let token_type = self.challenge.token_type();
        // An issuer of the RFC alone has no classes.
        let found = directory.key_for(token_type, class, at_s);
        found.or_else(|| directory.key_for(token_type, "", at_s)).cloned()
    }

    /// Notes how many tokens of a key the issuer would give, and looks again at once.
    pub(super) fn ask_at_most(&mut self, key: &OfferedKey, count: u32, now: Timestamp) {
        self.quota = Some((key.public_key.clone(), count));
        self.look_at = now;
    }

    fn may_ask(&self, key: &OfferedKey) -> u32 {
        let quota = self.quota.as_ref().filter(|(public_key, _)| *public_key == key.public_key);
        quota.map_or(u32::MAX, |(_, count)| *count)
    }

    fn have(&self, key: &OfferedKey) -> u32 {
        let stock = self.stock.iter().find(|stock| stock.key.public_key == key.public_key);
        stock.map_or(0, |stock| u32::try_from(stock.tokens.len()).unwrap_or(u32::MAX))
    }

    /// Takes a directory in. False if it has no key to ask for.
    pub(super) fn put_directory(&mut self, directory: Directory, class: &str, now: Now) -> bool {
        self.directory = Some(directory);
        self.directory_at = Some(now.steady);
        self.look_at = now.steady;
        self.key(class, now.wall_s).is_some()
    }

    /// Where tokens are asked for, as its directory says.
    pub(super) fn request_uri(&self) -> Option<&str> {
        self.directory.as_ref().map(|directory| directory.request_uri.as_str())
    }

    /// Takes tokens in. Those who wait come back, to be told with nothing locked.
    #[must_use]
    pub(super) fn put_tokens(
        &mut self,
        key: OfferedKey,
        mode: Mode,
        tokens: Vec<Token>,
        now: Timestamp,
    ) -> Vec<Waiter> {
        let is_known =
            |directory: &Directory| directory.keys.iter().any(|other| other.public_key == key.public_key);
        self.failure = None;
        self.look_at = now;
        if self.directory.as_ref().is_some_and(is_known) {
            let tokens = tokens.into_iter().map(|token| (token, mode));
            match self.stock.iter_mut().find(|stock| stock.key.public_key == key.public_key) {
                Some(stock) => stock.tokens.extend(tokens),
                None => self.stock.push(Stock { key, tokens: tokens.collect() }),
            }
        }
        core::mem::take(&mut self.waiters)
    }

    /// Notes that no tokens are to be had until then, and why. Those who wait come back; if nobody does, it was asked ahead,
    /// and the next who needs a token may try.
    #[must_use]
    pub(super) fn fail(&mut self, why: String, until: Timestamp, forgets_keys: bool) -> Vec<Waiter> {
        if forgets_keys {
            self.directory = None;
        }
        self.look_at = until;
        if !self.waiters.is_empty() {
            self.failure = Some((why, until));
        }
        core::mem::take(&mut self.waiters)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::super::session::tests::{key, token};
    use super::*;
    use herald_stir::SystemRandom;

    const CLASS: &str = "gateway";

    fn at(steady_ms: u64, wall_s: u64) -> Now {
        Now { steady: Timestamp::from_millis(steady_ms), wall_s }
    }

    fn to_bob(full: &[Arc<Session>]) -> Store<'_> {
        Store { number: "12225550100".parse().expect("a number"), body: b"sealed", full }
    }

    fn purse() -> (Purse, Chance) {
        let challenge = Challenge::new(5, "cps.example").expect("a name");
        (Purse::new(challenge, true, Timestamp::from_millis(0)), Chance(Arc::new(SystemRandom)))
    }

    fn directory(epochs: &[u64]) -> Directory {
        let keys = epochs.iter().map(|epoch| key(*epoch, CLASS)).collect();
        Directory { request_uri: "/token-request".to_owned(), keys }
    }

    fn put(purse: &mut Purse, epoch: u64, count: u8, now: Now) -> usize {
        let tokens = (0..count).map(token).collect();
        purse.put_tokens(key(epoch, CLASS), Mode::Withheld, tokens, now.steady).len()
    }

    #[test]
    fn tokens_are_had_ahead_of_need_and_of_their_epoch_and_go_with_it() {
        let (mut purse, chance) = purse();
        let plan = |purse: &mut Purse, now| purse.plan(now, CLASS, 8, &chance);
        let now = at(0, 6_000);
        assert_eq!(plan(&mut purse, now), Plan::Directory);
        assert!(!purse.put_directory(directory(&[8]), CLASS, now), "no key is in force");
        assert_eq!(plan(&mut purse, now), Plan::Rest);
        assert_eq!(plan(&mut purse, at(1_000, 6_001)), Plan::Directory, "not more often than each second");
        assert!(purse.put_directory(directory(&[11, 10]), CLASS, now));
        assert_eq!(plan(&mut purse, now), Plan::Tokens(key(10, CLASS), 8));
        put(&mut purse, 10, 8, now);
        assert_eq!(plan(&mut purse, now), Plan::Rest);
        assert!((15_000..=45_000).contains(&purse.look_at.as_millis()), "{:?}", purse.look_at);
        for _ in 0..5 {
            assert!(purse.take(now).is_some());
        }
        assert_eq!(plan(&mut purse, now), Plan::Tokens(key(10, CLASS), 5));
        put(&mut purse, 10, 5, now);
        let later = at(400_000, 6_400);
        assert_eq!(plan(&mut purse, later), Plan::Tokens(key(11, CLASS), 8));
        put(&mut purse, 11, 1, later);
        assert_eq!(plan(&mut purse, later), Plan::Rest);
        assert_eq!(purse.stock.len(), 2);
        let next = at(600_000, 6_600);
        assert!(purse.take(next).is_some());
        assert_eq!(plan(&mut purse, next), Plan::Tokens(key(11, CLASS), 8));
        assert_eq!(purse.stock.len(), 1, "the tokens of the old key are gone");
        assert!(purse.take(next).is_none());
        assert_eq!(plan(&mut purse, at(600_001 + WALLET_IDLE_MS, 6_600)), Plan::Drop);
    }

    #[test]
    fn what_the_issuer_gives_is_asked_for_and_no_more() {
        let ((mut purse, chance), now) = (purse(), at(0, 6_000));
        let plan = |purse: &mut Purse, now| purse.plan(now, CLASS, 8, &chance);
        assert!(purse.put_directory(directory(&[11, 10]), CLASS, now));
        assert_eq!(plan(&mut purse, now), Plan::Tokens(key(10, CLASS), 8));
        purse.ask_at_most(&key(10, CLASS), 3, now.steady);
        assert_eq!(plan(&mut purse, now), Plan::Tokens(key(10, CLASS), 3));
        put(&mut purse, 10, 3, now);
        assert_eq!(plan(&mut purse, now), Plan::Tokens(key(10, CLASS), 3), "three are fewer than half");
        purse.ask_at_most(&key(10, CLASS), 0, now.steady);
        assert_eq!(plan(&mut purse, now), Plan::Rest);
        while purse.take(now).is_some() {}
        assert_eq!(plan(&mut purse, now), Plan::Rest);
        purse.wait(Box::new(|| {}), now.steady).expect("it may wait");
        assert_eq!(plan(&mut purse, now), Plan::Tokens(key(10, CLASS), 1), "for who waits");
        assert_eq!(purse.fail("no more".to_owned(), now.steady, false).len(), 1);
        assert_eq!(
            plan(&mut purse, at(400_000, 6_400)),
            Plan::Tokens(key(11, CLASS), 8),
            "of the next epoch"
        );
    }

    #[test]
    fn a_gateway_spreads_its_stores_over_many_sessions() {
        let ((mut purse, chance), now) = (purse(), at(0, 6_000));
        purse.put_directory(directory(&[10]), CLASS, now);
        put(&mut purse, 10, 40, now);
        let mut picked = HashSet::new();
        for _ in 0..2_000 {
            picked.insert(Arc::as_ptr(&purse.pick(now, to_bob(&[]), &chance).expect("a session")));
        }
        assert_eq!((picked.len(), purse.stock[0].tokens.len()), (GATEWAY_SESSIONS, 40 - GATEWAY_SESSIONS));
        assert!(purse.pick(at(0, 6_600), to_bob(&[]), &chance).is_none(), "they end with their epoch");
    }

    #[test]
    fn a_session_that_has_stored_enough_under_a_number_is_passed_over_for_it_and_kept_for_others() {
        let ((mut purse, chance), now) = (purse(), at(0, 6_000));
        purse.put_directory(directory(&[10]), CLASS, now);
        put(&mut purse, 10, 3, now);
        let full: Vec<_> = (0..2).filter_map(|_| purse.pick(now, to_bob(&[]), &chance)).collect();
        let is_full = |session: &Arc<Session>| full.iter().any(|full| Arc::ptr_eq(full, session));
        let mut draw = |of: &[Arc<Session>]| purse.pick(now, to_bob(of), &chance);
        assert!((0..100).all(|_| draw(&full).is_some_and(|session| !is_full(&session))));
        assert!((0..1000).any(|_| draw(&[]).is_some_and(|session| is_full(&session))), "for other stores");
        let all: Vec<_> = full.iter().cloned().chain(draw(&full)).collect();
        assert!(draw(&all).is_none(), "another token is waited for");
        assert_eq!(purse.holdings().1, 3);
    }

    #[test]
    fn who_waits_is_told_of_tokens_and_of_failures_and_new_keys_end_the_old() {
        let ((mut purse, chance), now) = (purse(), at(0, 6_000));
        let waiter = || -> Waiter { Box::new(|| {}) };
        purse.put_directory(directory(&[10]), CLASS, now);
        purse.wait(waiter(), now.steady).expect("it may wait");
        assert_eq!(put(&mut purse, 10, 3, now), 1);
        purse.wait(waiter(), now.steady).expect("it may wait");
        assert_eq!(purse.fail("full".to_owned(), Timestamp::from_millis(500), false).len(), 1);
        assert_eq!(purse.wait(waiter(), Timestamp::from_millis(499)), Err("full".to_owned()));
        assert_eq!(purse.wait(waiter(), Timestamp::from_millis(500)), Ok(()));
        assert_eq!(purse.fail("full".to_owned(), Timestamp::from_millis(900), false).len(), 1);
        assert_eq!(put(&mut purse, 10, 3, now), 0);
        assert!(purse.fail("asked ahead".to_owned(), Timestamp::from_millis(900), false).is_empty());
        purse.wait(waiter(), Timestamp::from_millis(501)).expect("it may try");
        let challenge = purse.challenge.clone();
        purse.is_busy = true;
        purse.challenged(challenge.clone(), &[10], true);
        assert!(purse.pick(now, to_bob(&[]), &chance).is_some(), "a key that is known changes nothing");
        assert!(purse.end(now.steady));
        purse.is_busy = true;
        purse.challenged(challenge, &[99], true);
        assert!(!purse.end(now.steady) && !purse.is_busy, "what was asked of the old keys is of no use");
        assert!(purse.pick(now, to_bob(&[]), &chance).is_none());
        assert_eq!(put(&mut purse, 10, 3, now), 1, "tokens of old keys that come late are not kept");
        assert!(purse.take(now).is_none());
        assert_eq!(purse.plan(at(2_000, 6_002), CLASS, 8, &chance), Plan::Directory);
    }
}
