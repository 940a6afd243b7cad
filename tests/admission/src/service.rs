//! The service that tokens are presented to.

use std::path::Path;
use std::sync::Arc;

use herald_admission::{
    Admission, Challenge, Class, Credential, MacKey, Mode, Presented, Seal, Settings, SpentRecord, StoreInput,
};
use herald_core::{Random, TelephoneNumber, Timestamp};
use herald_journal::{RocksStore, SpentMark, Vault};

use crate::limits::{JOURNAL_BYTES, WINDOW_MS, WINDOW_TOKENS, WINDOWS_OF_AN_EPOCH};
use crate::scheme::{Kind, Scheme, type_of};
use crate::{AnyError, Journal};

const NAME: &str = "cps.example";
const EPOCH_MS: u64 = WINDOWS_OF_AN_EPOCH * WINDOW_MS;
pub(crate) const FIRST_EPOCH: u64 = 1_000;
pub(crate) const CLASS: Class = Class(0);

/// The books and where they are kept.
pub(crate) struct Service {
    pub(crate) admission: Arc<Admission>,
    pub(crate) scheme: Scheme,
    vault: Vault,
    journal: Journal,
}

impl Service {
    /// Opens the journal and takes up what it has, at `now`. The service is good for as long as the store is there.
    pub(crate) fn open(
        folder: &Path,
        (kind, journal): (Kind, Journal),
        now: Timestamp,
    ) -> Result<(Self, RocksStore), AnyError> {
        let store = RocksStore::open(&folder.join("journal"), JOURNAL_BYTES)?;
        let vault = store.vault()?;
        let settings = Settings {
            epoch_ms: EPOCH_MS,
            epochs_ahead: 1,
            session_life_ms: 8 * WINDOW_MS,
            ..Settings::new(NAME, type_of(kind)?, Mode::Withheld.code())
        };
        let admission = Arc::new(Admission::new(settings, &Fixed)?);
        let scheme = Scheme::open(kind, folder)?;
        let service = Self { admission, scheme, vault, journal };
        service.keep_keys(now)?;
        for epoch in service.vault.epochs() {
            service.vault.for_each_spent(epoch, &mut |mark| {
                let SpentMark { epoch, token, digest } = *mark;
                let record =
                    SpentRecord { epoch, token_id: herald_admission::TokenId(token), first_store: digest };
                service.admission.restore(&record, now);
            })?;
        }
        Ok((service, store))
    }

    /// Forgets what is over and adds the keys that are missing.
    pub(crate) fn keep_keys(&self, now: Timestamp) -> Result<(), AnyError> {
        self.admission.advance(now);
        let current = self.admission.epoch_at(now);
        self.vault.drop_before(current - 1)?;
        while let Some((epoch, class)) = self.admission.wanted_key(now) {
            self.admission.add_key(self.scheme.key(epoch, class), now)?;
        }
        Ok(())
    }

    /// Makes tokens spent on the disk.
    pub(crate) fn spend(&self, records: &[SpentRecord]) -> Result<(), AnyError> {
        if self.journal == Journal::Left {
            return Ok(());
        }
        let mark = |record: &SpentRecord| SpentMark {
            epoch: record.epoch,
            token: record.token_id.0,
            digest: record.first_store,
        };
        Ok(self.vault.spend(&records.iter().map(mark).collect::<Vec<_>>())?)
    }
}

/// When a token's window is.
pub(crate) fn time_of(token: u32) -> Timestamp {
    let window = u64::from(token / WINDOW_TOKENS);
    Timestamp::from_millis(FIRST_EPOCH * EPOCH_MS + window * WINDOW_MS)
}

/// What tokens must answer.
pub(crate) fn challenge_digest(kind: Kind) -> Result<[u8; 32], AnyError> {
    Ok(Challenge::new(type_of(kind)?, NAME)?.digest())
}

/// A token of the epoch of its window, as one of those who have it presents it: each with a store of its own.
pub(crate) fn opening(service: &Service, token: u32, thread: u32) -> (Credential, TelephoneNumber, Vec<u8>) {
    let admission = &service.admission;
    let epoch = admission.epoch_at(time_of(token));
    let (input, secret) = service.scheme.token(token, epoch, admission.challenge_digest());
    let number: TelephoneNumber = format!("1222555{thread:04}").parse().expect("eleven digits");
    let body = vec![u8::try_from(thread).unwrap_or(0); 640];
    let store = StoreInput {
        key_id: input.key_id(),
        token_id: input.id(),
        counter: 0,
        number: Some(number),
        body: &body,
    };
    let tag = MacKey::derive(&secret, &input).tag(admission.settings().suite, &store);
    let (authenticator, proof, seal) = (Vec::new(), Vec::new(), Seal::Mac(Mode::Withheld, tag));
    let presented = Presented { input, authenticator, proof, counter: 0, seal };
    (Credential::Presented(Box::new(presented)), number, body)
}

/// The same in every life; nothing here is secret.
struct Fixed;

impl Random for Fixed {
    fn fill(&self, out: &mut [u8]) {
        (1..).zip(out).for_each(|(value, byte): (u8, _)| *byte = value);
    }
}
