//! A Call Placement Service elsewhere, asked by a thread that waits.

use std::time::Duration;

use herald_core::batch::Outcome;
use herald_core::{PlacementClass, TelephoneNumber};
use herald_net::{Bytes, Client, Request, Response};
use herald_stir::bundle::{Area, Listing};

use crate::cps::{self, CpsError, RetrievedItem};
use crate::limits::{CLIENT_ANSWER_BYTES_MAX, CLIENT_DEADLINE_S};

/// A service elsewhere. Calls block the calling thread, up to
/// [`CLIENT_DEADLINE_S`] seconds each. Any thread.
pub struct CpsClient {
    http: Client,
    base: String,
}

impl CpsClient {
    /// The service at `url`: `https://host[:port]`, whose certificate chains to `roots_pem`, or `unix:PATH`.
    ///
    /// # Errors
    /// [`CpsError::Url`] if it is neither, [`CpsError::Roots`] if the roots hold no certificate.
    pub fn open(url: &str, roots_pem: &[u8]) -> Result<Self, CpsError> {
        let url = url.trim_end_matches('/');
        let (http, base) = if let Some(path) = url.strip_prefix("unix:") {
            (Client::unix(path), cps::UNIX_BASE)
        } else if url.starts_with("https://") {
            (Client::https(roots_pem).map_err(|error| CpsError::Roots(error.to_string()))?, url)
        } else {
            return Err(CpsError::Url(url.to_owned()));
        };
        Ok(Self { http: http.answer_bytes_max(CLIENT_ANSWER_BYTES_MAX), base: base.to_owned() })
    }

    /// Stores the sealed PASSporT of a call under the called number. Returns the item's path.
    ///
    /// # Errors
    /// [`CpsError`]; after [`CpsError::Unreachable`] it may have been stored.
    pub fn store(&self, number: TelephoneNumber, sealed: &[u8]) -> Result<String, CpsError> {
        self.store_of(PlacementClass::Call, number, sealed)
    }

    /// As [`store`](Self::store), of a sealed PASSporT of this class.
    ///
    /// # Errors
    /// As [`store`](Self::store); [`CpsError::Refused`] with status 415 if the service does not keep this class.
    pub fn store_of(
        &self,
        class: PlacementClass,
        number: TelephoneNumber,
        sealed: &[u8],
    ) -> Result<String, CpsError> {
        let sealed = Bytes::copy_from_slice(sealed);
        cps::stored(&self.exchange(cps::store_request(&self.base, class, number, sealed, None)?)?)
    }

    /// Everything under the called number, in one round trip.
    ///
    /// # Errors
    /// [`CpsError`].
    pub fn retrieve(&self, number: TelephoneNumber) -> Result<Vec<RetrievedItem>, CpsError> {
        cps::retrieved(&self.exchange(cps::retrieve_request(&self.base, number)?)?)
    }

    /// Publishes a signed key bundle.
    ///
    /// # Errors
    /// [`CpsError`].
    pub fn publish_keys(&self, token: &str) -> Result<(), CpsError> {
        cps::published(&self.exchange(cps::publish_request(&self.base, token)?)?)
    }

    /// The key bundles published about an area, none of them verified.
    ///
    /// # Errors
    /// [`CpsError`].
    pub fn key_bundles(&self, area: &Area) -> Result<Listing, CpsError> {
        cps::key_bundles(&self.exchange(cps::keys_request(&self.base, area)?)?)
    }

    /// Stores each of `placements`, a called number and the sealed PASSporT of a call, in one request of
    /// [`batch::MEDIA_TYPE`](herald_core::batch::MEDIA_TYPE). Returns for each its path, or why it was not stored.
    /// Request and answer are held in memory.
    ///
    /// # Errors
    /// [`CpsError`]; after [`CpsError::Unreachable`] and [`CpsError::Answer`] any of them may have been stored.
    pub fn store_batch(
        &self,
        placements: &[(TelephoneNumber, &[u8])],
    ) -> Result<Vec<Result<String, Outcome>>, CpsError> {
        self.store_batch_of(PlacementClass::Call, placements)
    }

    /// As [`store_batch`](Self::store_batch), of sealed PASSporTs that are all of this class.
    ///
    /// # Errors
    /// As [`store_batch`](Self::store_batch) and [`store_of`](Self::store_of).
    pub fn store_batch_of(
        &self,
        class: PlacementClass,
        placements: &[(TelephoneNumber, &[u8])],
    ) -> Result<Vec<Result<String, Outcome>>, CpsError> {
        let (request, sent) = cps::store_batch_request(&self.base, class, placements)?;
        let results = cps::stored_batch(&self.exchange(request)?, &sent)?;
        let path = |(result, &(number, _)): (Result<_, _>, &(TelephoneNumber, &[u8]))| {
            result.map(|id| cps::item_path(number, id))
        };
        Ok(results.into_iter().zip(placements).map(path).collect())
    }

    fn exchange(&self, request: Request<Bytes>) -> Result<Response<Bytes>, CpsError> {
        Ok(self.http.request(request, Duration::from_secs(CLIENT_DEADLINE_S))?)
    }
}
