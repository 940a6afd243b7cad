//! The gateway placement service (RFC 8816 §8.3, §5.3, §5.4): takes PASSporTs out of SIP requests and stores them for
//! the called side before the call leaves SIP, and takes them back into the request of a call that comes from outside
//! SIP. It signs nothing of its own but diversions.
//!
//! # From SIP to the called side
//! 1. The PASSporTs of the request are read; compact ones are completed from the signalling, since only the full form
//!    is stored.
//! 2. They are judged as a verification service judges them, unless the gateway leaves that to the called side
//!    ([`Judging`]). What does not hold is not placed, and a call whose PASSporTs are refused is not placed at all.
//! 3. If the gateway has a key that opens what waits for the number, it looks first: a PASSporT that is there word for
//!    word is not placed again (§5.4). Another one of the same caller does not count: anybody can seal one for a number,
//!    to keep the true one away. Without a key nothing can be told from cover, so nothing is asked; a second copy does
//!    no harm.
//! 4. If the gateway sends the call to another number ([`GatewayStoreRequest::divert_to`]), it says so in a `div-o`
//!    around each PASSporT (RFC 8946 §5), signed with its credential for the number that was called.
//! 5. A copy is sealed for each key of the number the call goes to, and stored.
//!
//! A Request-URI that differs from what the PASSporTs say is no reason to sign a diversion: then whoever captured a
//! PASSporT would have it signed over to a victim. The host says when the gateway diverts.
//!
//! # From the called side to SIP
//! What waits for the number is retrieved, opened, and judged for this call; what holds becomes Identity header field
//! values in full form (§5.3), without those that the request carries already. Nothing is inserted unjudged, for
//! anybody can seal something for a number. Replay is the business of the verification service behind the gateway.

mod carry;
mod fetch;
mod store;

pub use fetch::{FetchedValues, GatewayFetch};
pub use store::{GatewayFailure, GatewayFault, GatewayPlaced, GatewayStore};

use std::sync::Arc;

use super::authentication::AuthenticationService;
use super::verification::{CheckRequest, VerificationService};
use crate::context::CallFacts;
use crate::error::Fault;
use crate::limits::{CHECK_DEADLINE_DEFAULT_MS, PLACE_DEADLINE_DEFAULT_MS};
use crate::sip::{SipPolicy, SipRequest};

/// Whether PASSporTs are judged before they are placed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Judging {
    /// Here (RFC 8946 §4.1 recommends it).
    #[default]
    Here,
    /// By the called side alone: for volumes at which certificates cannot be fetched here.
    CalledSide,
}

/// What all calls of one gateway have in common.
pub struct GatewayService {
    /// Judges PASSporTs and opens what is placed already. Without sealing keys no service is asked before a store.
    pub verification: Arc<VerificationService>,
    /// Finds services and keys of called numbers; its credentials sign diversions.
    pub authentication: Arc<AuthenticationService>,
    /// Who judges before a store.
    pub judging: Judging,
}

/// A SIP request as far as a gateway needs it.
#[derive(Clone, Debug)]
pub struct GatewayCall {
    /// Who calls whom.
    pub call: CallFacts,
    /// The values of its Identity header fields, unfolded.
    pub identity_values: Vec<Vec<u8>>,
    /// Its Date, in seconds since the Unix epoch; compact PASSporTs need it.
    pub date_s: Option<i64>,
}

impl GatewayCall {
    /// Reads the request `bytes`.
    ///
    /// # Errors
    /// Those of [`SipRequest::parse`] and [`SipRequest::call_facts`].
    pub fn from_sip(bytes: &[u8], policy: &SipPolicy) -> Result<Self, Fault> {
        let request = SipRequest::parse(bytes, policy)?;
        Ok(Self {
            call: request.call_facts()?,
            identity_values: request.identity_values().iter().map(|value| value.to_vec()).collect(),
            date_s: request.date_s(),
        })
    }

    fn check(&self, call: CallFacts, deadline_ms: u64) -> CheckRequest {
        CheckRequest {
            in_band: self.identity_values.clone(),
            date_s: self.date_s,
            deadline_ms,
            ..CheckRequest::new(call)
        }
    }
}

/// A call that leaves SIP.
#[derive(Clone, Debug)]
pub struct GatewayStoreRequest {
    /// The request.
    pub call: GatewayCall,
    /// The number the gateway sends the call to in place of the one that was called: a diversion, for which it
    /// must have a credential of the latter. It may stand in the Request-URI already.
    pub divert_to: Option<herald_core::TelephoneNumber>,
    /// How long it may take from its begin, in milliseconds.
    pub deadline_ms: u64,
}

impl GatewayStoreRequest {
    /// A call that goes where its Request-URI says.
    pub const fn new(call: GatewayCall) -> Self {
        Self { call, divert_to: None, deadline_ms: PLACE_DEADLINE_DEFAULT_MS }
    }
}

/// A call that comes into SIP.
#[derive(Clone, Debug)]
pub struct GatewayFetchRequest {
    /// The request that goes on, or what is known of it.
    pub call: GatewayCall,
    /// How long it may take from its begin, in milliseconds.
    pub deadline_ms: u64,
}

impl GatewayFetchRequest {
    /// A call with the usual time.
    pub const fn new(call: GatewayCall) -> Self {
        Self { call, deadline_ms: CHECK_DEADLINE_DEFAULT_MS }
    }

    /// The machine that finds the Identity header field values, by the keys and the policy of `verification`.
    pub fn machine(self, verification: Arc<VerificationService>) -> GatewayFetch {
        GatewayFetch::new(verification, self)
    }
}

impl GatewayService {
    /// The machine that places the PASSporTs of `request`.
    pub fn store(self: Arc<Self>, request: GatewayStoreRequest) -> GatewayStore {
        GatewayStore::new(self, request)
    }

    /// The machine that finds the Identity header field values for `request`.
    pub fn fetch(&self, request: GatewayFetchRequest) -> GatewayFetch {
        request.machine(self.verification.clone())
    }
}
