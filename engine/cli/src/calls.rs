//! `herald store` and `retrieve`: a service elsewhere, asked from the command line.

use std::io::Read;
use std::path::Path;
use std::process::ExitCode;

use herald_runtime::core::PlacementClass;
use herald_runtime::stir::CertificateReference;
use herald_runtime::{CpsClient, RetrievedItem, limits};
use serde_json::json;

use crate::args::{Retrieve, Service, Store};
use crate::output::{Failure, Output};
use crate::store_batch::store_batch;

pub(crate) fn store(store: &Store, output: &Output) -> Result<ExitCode, Failure> {
    let class = if store.message { PlacementClass::Message } else { PlacementClass::Call };
    let (number, file) = match (&store.batch, store.number, &store.file) {
        (Some(list), ..) => return store_batch(list, class, &open(&store.service)?, output),
        (None, Some(number), Some(file)) => (number, file),
        (None, ..) => return Err(Failure::usage("give --number NUMBER and FILE, or --batch LIST")),
    };
    let sealed = read(file)?;
    let location = open(&store.service)?.store_of(class, number, &sealed)?;
    output.answer(format!("stored {location}"), &json!({ "location": location }));
    Ok(ExitCode::SUCCESS)
}

pub(crate) fn retrieve(retrieve: &Retrieve, output: &Output) -> Result<ExitCode, Failure> {
    let items = open(&retrieve.service)?.retrieve(retrieve.number)?;
    for item in &items {
        if let Some(folder) = &retrieve.out {
            save(folder, item)?;
        }
        let bytes = item.body.len();
        output.answer(format!("{} {bytes} bytes", item.href), &json!({ "href": item.href, "bytes": bytes }));
    }
    Ok(ExitCode::SUCCESS)
}

pub(crate) fn open(service: &Service) -> Result<CpsClient, Failure> {
    Ok(CpsClient::open(&service.cps, &authorities(service)?)?)
}

/// The authorities of an https service; none of a Unix socket.
pub(crate) fn authorities(service: &Service) -> Result<Vec<u8>, Failure> {
    let roots = service.ca.as_deref().map(read).transpose()?;
    if roots.is_none() && service.cps.starts_with("https:") {
        return Err(Failure::usage(
            "an https service needs --ca FILE: the authorities its certificate chains to",
        ));
    }
    Ok(roots.unwrap_or_default())
}

fn save(folder: &Path, item: &RetrievedItem) -> Result<(), Failure> {
    let id = item.href.rsplit('/').next().unwrap_or_default();
    let plain = !id.is_empty() && id.bytes().all(|byte| byte.is_ascii_alphanumeric());
    if !plain {
        return Err(Failure::unavailable("the service gave an item whose id is no file name"));
    }
    std::fs::create_dir_all(folder)
        .and_then(|()| std::fs::write(folder.join(id), &item.body))
        .map_err(|error| Failure::usage(format!("{}: {error}", folder.display())))
}

/// The chain of a PEM file, to go into the PASSporT.
pub(crate) fn inline_chain(path: &Path) -> Result<CertificateReference, Failure> {
    CertificateReference::inline_from_pem(&read(path)?).map_err(|error| named(path, error))
}

pub(crate) fn named(path: &Path, error: impl std::fmt::Display) -> Failure {
    Failure::usage(format!("{}: {error}", path.display()))
}

/// The bytes of a file of bounded size; `-` is standard input.
pub(crate) fn read(path: impl AsRef<Path>) -> Result<Vec<u8>, Failure> {
    let path = path.as_ref();
    let mut bytes = Vec::new();
    let source: Result<Box<dyn Read>, _> = match path == Path::new("-") {
        true => Ok(Box::new(std::io::stdin())),
        false => std::fs::File::open(path).map(|file| Box::new(file) as Box<dyn Read>),
    };
    let result = source.and_then(|source| source.take(limits::PEM_BYTES_MAX + 1).read_to_end(&mut bytes));
    match result {
        Ok(_) if bytes.len() as u64 <= limits::PEM_BYTES_MAX => Ok(bytes),
        Ok(_) => Err(named(path, format!("larger than {} bytes", limits::PEM_BYTES_MAX))),
        Err(error) => Err(named(path, error)),
    }
}

/// The text of such a file.
pub(crate) fn read_text(path: &Path) -> Result<String, Failure> {
    String::from_utf8(read(path)?).map_err(|_| named(path, "not a text file"))
}
