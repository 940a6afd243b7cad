//! What one certificate names, and many of them as a table.

use herald_stir::table::{BuildFault, Service, Table, TableBuilder};
use herald_stir::{CertificateChain, CpsUriExtension, Fault, TnEntry};

/// The services of some entries.
#[derive(Clone, Debug)]
pub(crate) struct Named {
    pub(crate) entries: Vec<TnEntry>,
    pub(crate) service: Service,
}

impl Named {
    /// What the signer's certificate of `chain` names for the entries that `stands_for` is true of; `None` if it names
    /// no service.
    pub(crate) fn read(
        chain: &CertificateChain,
        extension: &CpsUriExtension,
        origin: &str,
        mut stands_for: impl FnMut(&TnEntry) -> Result<bool, Fault>,
    ) -> Result<Option<Self>, Fault> {
        let uris = chain.cps_uris(extension)?;
        if uris.is_empty() {
            return Ok(None);
        }
        let mut entries = Vec::new();
        for entry in chain.signer_numbers()?.entries() {
            if stands_for(entry)? {
                entries.push(entry.clone());
            }
        }
        let service = Service {
            uris,
            is_proven: true,
            since_s: chain.valid_from().as_millis() / 1000,
            until_s: Some(chain.valid_until().as_millis() / 1000),
            origin: origin.to_owned(),
        };
        Ok(Some(Self { entries, service }))
    }
}

impl Named {
    /// Whether it still holds.
    pub(crate) fn holds(&self, now_s: u64) -> bool {
        self.service.until_s.is_none_or(|until_s| now_s <= until_s)
    }
}

/// All of them to be looked up.
pub(crate) fn table<'a>(all: impl IntoIterator<Item = &'a Named>) -> Result<Table<Vec<u8>>, BuildFault> {
    let mut builder = TableBuilder::new();
    for named in all {
        for entry in &named.entries {
            builder.add_entry(entry, &named.service)?;
        }
    }
    let bytes = builder.finish(0)?;
    Ok(Table::open(bytes).expect("what was compiled is a table"))
}
