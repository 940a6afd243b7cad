//! The sources that services of a number are looked up in (RFC 8816 §10), in the order in which they are asked, and
//! what is believed when they say different things. It asks nobody: a [`Finding`](super::Finding) does, for one number.

use core::fmt;
use core::str::FromStr;
use std::sync::Arc;

use super::discovery::CpsDiscovery;
use crate::limits::{CPS_SOURCES_MAX, DISCOVERY_DEADLINE_DEFAULT_MS};

/// The sources of one service, and the policy.
#[derive(Clone)]
pub struct CpsSources {
    sources: Vec<CpsSource>,
    policy: CpsPolicy,
    deadline_ms: u64,
}

/// Where services are looked up.
#[derive(Clone)]
pub struct CpsSource {
    pub(super) name: Arc<str>,
    /// `None` if the driver asks it, by its name.
    pub(super) here: Option<Arc<dyn CpsDiscovery>>,
}

impl CpsSource {
    /// One that is looked up here. What it finds counts as proven: it is the operator's own, or verifies what it takes in.
    pub fn here(name: &str, by: Arc<dyn CpsDiscovery>) -> Self {
        Self { name: name.into(), here: Some(by) }
    }

    /// One that the driver knows by this name ([`Asked::Discover`](super::Asked::Discover)).
    pub fn elsewhere(name: &str) -> Self {
        Self { name: name.into(), here: None }
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }
}

/// Which finding is believed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum CpsPolicy {
    /// That of the first source, in order, that finds something. One that fails or takes too long is passed over.
    #[default]
    First,
    /// A proven one, whatever others say. One that is not proven makes all the other sources be asked, and is believed
    /// only if each of them answers and none proves another: whoever can forge an answer of the one and silence the
    /// others gains nothing.
    Proven,
    /// What all sources that find something have in common. All are asked at once. One that finds nothing, fails or takes
    /// too long does not count.
    Agree,
}

impl CpsPolicy {
    /// Its name in settings.
    pub const fn name(self) -> &'static str {
        match self {
            Self::First => "first",
            Self::Proven => "proven",
            Self::Agree => "agree",
        }
    }
}

impl FromStr for CpsPolicy {
    type Err = CpsPolicyError;

    fn from_str(name: &str) -> Result<Self, CpsPolicyError> {
        let all = [Self::First, Self::Proven, Self::Agree];
        all.into_iter().find(|policy| policy.name() == name).ok_or(CpsPolicyError)
    }
}

/// A text that names no policy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CpsPolicyError;

impl fmt::Display for CpsPolicyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("no policy for sources of services; choose first, proven or agree")
    }
}

impl core::error::Error for CpsPolicyError {}

impl CpsSources {
    /// `sources` in the order in which they are asked; those beyond [`CPS_SOURCES_MAX`] are left out. Finding the services
    /// of a number takes `deadline_ms` at most.
    pub fn new(mut sources: Vec<CpsSource>, policy: CpsPolicy, deadline_ms: u64) -> Self {
        sources.truncate(CPS_SOURCES_MAX);
        Self { sources, policy, deadline_ms }
    }

    /// One source alone, with the usual time.
    pub fn only(by: Arc<dyn CpsDiscovery>) -> Self {
        Self::new(vec![CpsSource::here("directory", by)], CpsPolicy::First, DISCOVERY_DEADLINE_DEFAULT_MS)
    }

    /// Which finding is believed.
    pub const fn policy(&self) -> CpsPolicy {
        self.policy
    }

    /// How long finding the services of a number may take, in milliseconds.
    pub const fn deadline_ms(&self) -> u64 {
        self.deadline_ms
    }

    /// The sources, in order.
    pub fn sources(&self) -> &[CpsSource] {
        &self.sources
    }
}

impl fmt::Debug for CpsSources {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<&str> = self.sources.iter().map(CpsSource::name).collect();
        write!(f, "CpsSources({names:?}, {}, {} ms)", self.policy.name(), self.deadline_ms)
    }
}
