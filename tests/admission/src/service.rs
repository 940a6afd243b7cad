//! The service that tokens are presented to, and the toy that they are of.

use std::path::Path;
use std::sync::Arc;

use herald_admission::{
    Admission, Class, Credential, IssuerKey, MacKey, Mode, Presented, Seal, Settings, SpentRecord,
    StoreInput, TokenInput,
};
use herald_core::{Random, TelephoneNumber, Timestamp};
use herald_journal::{RocksStore, SpentMark, Vault};
use ring::digest::{SHA256, digest};

use crate::limits::{JOURNAL_BYTES, WINDOW_MS, WINDOW_TOKENS, WINDOWS_OF_AN_EPOCH};
use crate::{AnyError, Journal};

const NAME: &str = "cps.example";
const TYPE: u16 = 5;
const EPOCH_MS: u64 = WINDOWS_OF_AN_EPOCH * WINDOW_MS;
const FIRST_EPOCH: u64 = 1_000;
const CLASS: Class = Class(0);

/// The books and where they are kept.
pub(crate) struct Service {
    pub(crate) admission: Arc<Admission>,
    vault: Vault,
    journal: Journal,
}

impl Service {
    /// Opens the journal and takes up what it has, at `now`. The service is good for as long as the store is there.
    pub(crate) fn open(
        folder: &Path,
        journal: Journal,
        now: Timestamp,
    ) -> Result<(Self, RocksStore), AnyError> {
        let store = RocksStore::open(&folder.join("journal"), JOURNAL_BYTES)?;
        let vault = store.vault()?;
        let settings = Settings {
            epoch_ms: EPOCH_MS,
            epochs_ahead: 1,
            session_life_ms: 8 * WINDOW_MS,
            ..Settings::new(NAME, TYPE, Mode::Withheld.code())
        };
        let admission = Arc::new(Admission::new(settings, &Fixed)?);
        let service = Self { admission, vault, journal };
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
            self.admission.add_key(key(epoch, class), now)?;
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

/// A token of the epoch of its window, as one of those who have it presents it: each with a store of its own.
pub(crate) fn opening(
    admission: &Admission,
    token: u32,
    thread: u32,
) -> (Credential, TelephoneNumber, Vec<u8>) {
    let mut input = [0; 98];
    input[..2].copy_from_slice(&TYPE.to_be_bytes());
    input[2..34].copy_from_slice(digest(&SHA256, &token.to_be_bytes()).as_ref());
    input[34..66].copy_from_slice(admission.challenge_digest());
    input[66..].copy_from_slice(&key(admission.epoch_at(time_of(token)), CLASS).id);
    let input = TokenInput(input);
    let number: TelephoneNumber = format!("1222555{thread:04}").parse().expect("eleven digits");
    let body = vec![u8::try_from(thread).unwrap_or(0); 640];
    let store = StoreInput {
        key_id: input.key_id(),
        token_id: input.id(),
        counter: 0,
        number: Some(number),
        body: &body,
    };
    let tag = MacKey::derive(&secret_of(&input), &input).tag(admission.settings().suite, &store);
    let (authenticator, proof, seal) = (Vec::new(), Vec::new(), Seal::Mac(Mode::Withheld, tag));
    let presented = Presented { input, authenticator, proof, counter: 0, seal };
    (Credential::Presented(Box::new(presented)), number, body)
}

/// What a plugin would give for it.
pub(crate) fn secret_of(input: &TokenInput) -> Vec<u8> {
    digest(&SHA256, &input.0).as_ref().to_vec()
}

fn key(epoch: u64, class: Class) -> IssuerKey {
    let public_key = [&epoch.to_be_bytes()[..], &[class.0]].concat();
    let mut id = [0; 32];
    id.copy_from_slice(digest(&SHA256, &public_key).as_ref());
    // Truncated ids differ.
    id[31] = u8::try_from(epoch % 64 * 3).unwrap_or(0) + class.0;
    IssuerKey { epoch, class, id, handle: epoch, public_key, agreement_key: Vec::new() }
}

/// The same in every life; nothing here is secret.
struct Fixed;

impl Random for Fixed {
    fn fill(&self, out: &mut [u8]) {
        (1..).zip(out).for_each(|(value, byte): (u8, _)| *byte = value);
    }
}
