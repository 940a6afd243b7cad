//! The three services of RFC 8816 §8 as machines: they ask for I/O and are given answers and time.
//!
//! A [`Machine`] does one thing for one call (place it, check it, take it through a gateway). It owns no socket,
//! thread or clock; what it cannot compute it asks for, as an [`Ask`] with a [`Ticket`], and it goes on when the
//! [`Answer`] comes. So a reactor, a worker in process and a test run the same code, and nobody ever waits in it.
//!
//! # How a driver runs a machine
//! 1. It calls [`begin`](Machine::begin) once and carries out the asks it is handed, in any order or all at once.
//! 2. When one is done, or has failed, it calls [`answer`](Machine::answer) with its ticket, once; more asks may
//!    come. An answer the machine no longer waits for is ignored.
//! 3. At [`wake_at`](Machine::wake_at) at the latest it calls [`wake`](Machine::wake). That is how deadlines
//!    pass, so a driver needs none of its own for a machine, only for the work it does.
//! 4. After each of these calls it looks at [`outcome`](Machine::outcome). Once there is one the machine is done:
//!    the driver gives up the asks still under way and drops it.
//! 5. [`cancel`](Machine::cancel) ends it early; its outcome then says so.
//!
//! What several machines do is a part they share, which asks through them: [`Finding`] finds the services of a number,
//! [`Collection`] fetches what waits for a number, [`Gathering`] fetches certificates, [`Delivery`] brings PASSporTs to the called side.
//!
//! A call takes as long as its cryptography (some 50 µs a key, 100 µs a signature) and never blocks.

pub mod authentication;
pub mod collection;
pub mod cover;
pub mod delivery;
pub mod discovery;
pub mod finding;
pub mod gateway;
pub mod gathering;
pub mod io;
pub mod lookup;
pub mod renewal;
pub mod sources;
pub mod verification;

pub use authentication::{
    AuthenticationService, Credential, PlaceCall, PlaceFailure, PlaceFault, PlaceRequest, Placed, new_origid,
};
pub use collection::{Collection, CollectionFault};
pub use cover::{CoverPlan, CoverReport, CoverStorer};
pub use delivery::{Delivery, DeliveryFault, Discoveries, PlacedCopy};
pub use discovery::{
    CpsDiscovery, Destination, Directory, DirectoryError, KeyDiscovery, Lookup, Selector, Side,
};
pub use finding::{Finding, FindingFault, Said, SourceReport, Undecided};
pub use gateway::{
    FetchedValues, GatewayCall, GatewayFailure, GatewayFault, GatewayFetch, GatewayFetchRequest,
    GatewayPlaced, GatewayService, GatewayStore, GatewayStoreRequest, Judging,
};
pub use gathering::{Gathered, Gathering};
pub use io::{
    Answer, Ask, Asked, CpsUri, CpsUriError, Discovered, Fetched, IoFault, Machine, Moment, Ticket, Tickets,
    Turn,
};
pub use lookup::{LookedUp, LookupCall, LookupRequest};
pub use renewal::Renewal;
pub use sources::{CpsPolicy, CpsPolicyError, CpsSource, CpsSources};
pub use verification::{
    CheckCall, CheckRequest, Checked, LookupFault, Step, StepName, VerificationService, Witness,
};
