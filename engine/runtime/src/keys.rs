//! The key bundles that an engine serves to callers (RFC 8816 §11): taken in from their owners, kept in memory and
//! in a folder, shown under `/.well-known/stir-cps-keys/`.
//!
//! What is shown depends on what was published and on nothing else, so it says nothing about calls. A number that
//! nobody published keys for is answered like any other, with an empty list.

mod folder;
mod turns;

use std::hash::{BuildHasher, RandomState};
use std::path::Path;
use std::sync::Arc;

use herald_core::limits::TARGET_BYTES_MAX;
use herald_core::{KeyProblem, Problem, Request, Response, Timestamp};
use herald_stir::bundle::{
    Area, BundleTable, Inserted, Listing, MEDIA_TYPE, PUBLISH_PATH, Refused, SignedBundle, TableBounds,
    VerifiedBundle, WELL_KNOWN_PATH,
};
use herald_stir::limits::KEY_BUNDLES_PER_ANSWER_MAX;
use herald_stir::{Suite, TrustStore};
use parking_lot::{Mutex, RwLock};

use crate::config::Config;
use crate::engine::{Level, Report};
use crate::error::EngineError;
use crate::files::read_pem;
use crate::limits::KEYS_FRESH_S;
use folder::Folder;
pub(crate) use turns::Source;
use turns::Turns;

/// The key bundles of one engine. Any thread.
pub(crate) struct KeyShelf {
    /// Whose bundles are taken; nobody's if there is none.
    trust: RwLock<Option<Arc<TrustStore>>>,
    suite: Suite,
    table: RwLock<BundleTable>,
    turns: Mutex<Turns>,
    folder: Option<Folder>,
    /// For entity tags: other ones after a restart, which costs each client one answer.
    tags: RandomState,
}

impl KeyShelf {
    /// The shelf that `config` describes, for bundles under `trust`, with what its folder holds at `now` on the wall clock.
    pub(crate) fn open(
        config: &Config,
        trust: Option<TrustStore>,
        report: &Report,
        now: Timestamp,
    ) -> Result<Self, EngineError> {
        let shelf = Self {
            trust: RwLock::new(trust.map(Arc::new)),
            suite: config.suite,
            table: RwLock::new(BundleTable::new(TableBounds::default())),
            turns: Mutex::default(),
            folder: config.key_bundles.as_deref().map(|path| Folder::open(path, report)).transpose()?,
            tags: RandomState::new(),
        };
        shelf.load(report, now)?;
        Ok(shelf)
    }

    /// Whose bundles are taken by `config`.
    ///
    /// # Errors
    /// [`EngineErrorKind::Argument`](crate::EngineErrorKind::Argument) if the file is not what it should be.
    pub(crate) fn read_trust(config: &Config) -> Result<Option<TrustStore>, EngineError> {
        config.key_roots.as_deref().map(trust).transpose()
    }

    /// Takes bundles of other owners from now on; those that are published stay.
    pub(crate) fn set_trust(&self, trust: Option<TrustStore>) {
        *self.trust.write() = trust.map(Arc::new);
    }

    fn trust(&self) -> Option<Arc<TrustStore>> {
        self.trust.read().clone()
    }

    /// Starts the thread that writes to the folder, if there is one and bundles are taken. A second call does nothing.
    ///
    /// # Errors
    /// [`EngineErrorKind::Limit`](crate::EngineErrorKind::Limit) if the system refuses a thread.
    pub(crate) fn start(&self) -> Result<(), EngineError> {
        match (&self.folder, self.trust()) {
            (Some(folder), Some(_)) => folder.start(),
            _ => Ok(()),
        }
    }

    /// Ends the thread that writes to the folder, once it has written what waits.
    pub(crate) fn close(&self) {
        if let Some(folder) = &self.folder {
            folder.close();
        }
    }

    /// Answers a request for a path that [`is_ours`].
    pub(crate) fn answer(
        &self,
        source: Source,
        request: &Request<'_>,
        if_none_match: Option<&str>,
        now: Timestamp,
    ) -> Response {
        self.dispatch(source, request, if_none_match, now).unwrap_or_else(|problem| problem.response())
    }

    /// Takes in a bundle: verified, and replacing what its owner said before about the same numbers. What can be told
    /// without a signature is looked at before `source` spends one of its turns.
    ///
    /// # Errors
    /// [`Problem::Keys`].
    pub(crate) fn publish(&self, source: Source, token: &[u8], now: Timestamp) -> Result<(), Problem> {
        let trust = self.trust().ok_or(Problem::Keys(KeyProblem::NotTaken))?;
        let signed = SignedBundle::parse(token).map_err(refused)?;
        let chain = signed.check_inline(self.suite, now).map_err(refused)?;
        if self.table.read().holds(&signed) {
            return Ok(());
        }
        if !self.turns.lock().take(source, now) {
            return Err(Problem::Keys(KeyProblem::TooOften));
        }
        let bundle = signed.verify(&chain, &trust, self.suite, now).map_err(refused)?;
        self.turns.lock().remember(source, now);
        self.insert(bundle, now).map_err(|refused| {
            Problem::Keys(match refused {
                Refused::Older => KeyProblem::Older,
                Refused::Full => KeyProblem::Full,
            })
        })
    }

    /// What is published about an area at `now` on the wall clock.
    pub(crate) fn listing(&self, area: &Area, now: Timestamp) -> Listing {
        let (bundles, is_whole) = self.find(area, now);
        let tokens = bundles.iter().map(|bundle| bundle.token().to_owned()).collect();
        Listing { tokens, is_truncated: !is_whole }
    }

    fn dispatch(
        &self,
        source: Source,
        request: &Request<'_>,
        if_none_match: Option<&str>,
        now: Timestamp,
    ) -> Result<Response, Problem> {
        if request.target.len() > TARGET_BYTES_MAX {
            return Err(Problem::TargetTooLong);
        }
        let (path, query) = request.target.split_once('?').unwrap_or((request.target, ""));
        if path == PUBLISH_PATH {
            return self.published(source, request, query, now);
        }
        if !matches!(request.method, "GET" | "HEAD") {
            return Err(Problem::Method("GET, HEAD"));
        }
        if !query.is_empty() {
            return Err(Problem::Query);
        }
        let area = Area::of_path(path).ok_or(Problem::Keys(KeyProblem::Area))?;
        Ok(self.shown(&area, if_none_match, now))
    }

    fn published(
        &self,
        source: Source,
        request: &Request<'_>,
        query: &str,
        now: Timestamp,
    ) -> Result<Response, Problem> {
        if request.method != "POST" {
            return Err(Problem::Method("POST"));
        }
        if !query.is_empty() {
            return Err(Problem::Query);
        }
        let media_type = request.content_type.unwrap_or("").split(';').next().unwrap_or("").trim();
        if !media_type.eq_ignore_ascii_case(MEDIA_TYPE) {
            return Err(Problem::Keys(KeyProblem::MediaType));
        }
        self.publish(source, request.body, now)?;
        Ok(Response { status: 204, headers: Vec::new(), body: Vec::new() })
    }

    fn shown(&self, area: &Area, if_none_match: Option<&str>, now: Timestamp) -> Response {
        let (bundles, is_whole) = self.find(area, now);
        let body = Listing::write(bundles.iter().map(|bundle| bundle.token()), !is_whole);
        let left_s =
            |bundle: &Arc<VerifiedBundle>| bundle.bundle().exp_s.saturating_sub(now.as_millis() / 1000);
        let fresh_s = bundles.iter().map(left_s).min().unwrap_or(KEYS_FRESH_S).min(KEYS_FRESH_S);
        let tag = format!("\"{:016x}\"", self.tags.hash_one(&body));
        let mut response = Response {
            status: 200,
            headers: vec![("etag", tag.clone()), ("cache-control", format!("public, max-age={fresh_s}"))],
            body,
        };
        if if_none_match.is_some_and(|known| names_tag(known, &tag)) {
            response.status = 304;
            response.body.clear();
        } else {
            response.headers.insert(0, ("content-type", "application/json".to_owned()));
        }
        response
    }

    fn find(&self, area: &Area, now: Timestamp) -> (Vec<Arc<VerifiedBundle>>, bool) {
        let table = self.table.read();
        match area {
            Area::Number(number) => (table.for_number(*number, now), true),
            Area::Prefix(prefix) => table.for_prefix(*prefix, KEY_BUNDLES_PER_ANSWER_MAX, now),
            Area::Code(code) => (table.for_code(code, now), true),
        }
    }

    fn insert(&self, bundle: VerifiedBundle, now: Timestamp) -> Result<(), Refused> {
        let token = bundle.token().to_owned();
        let (gone, inserted) = {
            let mut table = self.table.write();
            (table.expire(now), table.insert(bundle)?)
        };
        let Some(folder) = &self.folder else { return Ok(()) };
        gone.iter().for_each(|bundle| folder.remove(bundle.token()));
        match inserted {
            Inserted::Same => return Ok(()),
            Inserted::Replaced(bundle) => folder.remove(bundle.token()),
            Inserted::New => {}
        }
        folder.save(&token);
        Ok(())
    }

    /// Takes in what the folder holds. What has expired or was replaced is removed from it; what is not to be believed
    /// is left there and reported.
    fn load(&self, report: &Report, now: Timestamp) -> Result<(), EngineError> {
        let (Some(folder), Some(trust)) = (&self.folder, self.trust()) else { return Ok(()) };
        let mut refused_count = 0;
        for token in folder.tokens()? {
            let verified = SignedBundle::parse(token.as_bytes())
                .and_then(|signed| signed.verify_inline(&trust, self.suite, now));
            match verified.map(|bundle| self.table.write().insert(bundle)) {
                Ok(Ok(Inserted::Replaced(older))) => folder.remove_now(older.token()),
                Ok(Ok(_)) => {}
                Ok(Err(Refused::Older)) | Err(herald_stir::bundle::BundleFault::Expired) => {
                    folder.remove_now(&token)
                }
                Ok(Err(Refused::Full)) | Err(_) => refused_count += 1,
            }
        }
        let count = self.table.read().len();
        report(Level::Info, &format!("{count} key bundles are published"));
        if refused_count > 0 {
            report(
                Level::Warning,
                &format!("{refused_count} files of the folder of key bundles hold none to be believed"),
            );
        }
        Ok(())
    }
}

/// Whether a request is answered here and not by the service of placements.
pub(crate) fn is_ours(path: &str) -> bool {
    path == PUBLISH_PATH || path.starts_with(WELL_KNOWN_PATH)
}

fn trust(path: &Path) -> Result<TrustStore, EngineError> {
    TrustStore::from_pem(&read_pem(path)?).map_err(|error| {
        EngineError::new(crate::EngineErrorKind::Argument, format!("{}: {error}", path.display()))
    })
}

fn refused(fault: herald_stir::bundle::BundleFault) -> Problem {
    Problem::Keys(KeyProblem::Bundle(fault.to_string()))
}

/// Whether an If-None-Match names the tag (RFC 9110 §13.1.2).
fn names_tag(if_none_match: &str, tag: &str) -> bool {
    if_none_match
        .split(',')
        .map(str::trim)
        .any(|one| one == "*" || one.strip_prefix("W/").unwrap_or(one) == tag)
}
