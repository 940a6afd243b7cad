//! TLS for trials: an authority and a certificate for this machine, made once and kept.

use std::io::Write;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, KeyUsagePurpose, SanType};

/// Where the files are.
pub(crate) struct TlsFiles {
    pub ca: PathBuf,
    pub certificate: PathBuf,
    pub key: PathBuf,
}

/// The files under `data`, made if they are not all there.
pub(crate) fn tls_files(data: &Path) -> Result<TlsFiles, String> {
    let files =
        TlsFiles { ca: data.join("ca.pem"), certificate: data.join("tls.pem"), key: data.join("tls.key") };
    if files.ca.exists() && files.certificate.exists() && files.key.exists() {
        return Ok(files);
    }
    std::fs::create_dir_all(data).map_err(|error| format!("{}: {error}", data.display()))?;
    for path in [&files.ca, &files.certificate, &files.key] {
        // They belong together; what is left of an attempt that was cut short does not.
        let _ = std::fs::remove_file(path);
    }
    let made = make().map_err(|error| format!("the certificate for trials cannot be made: {error}"))?;
    place(&files.ca, &made.ca_pem, false)?;
    place(&files.certificate, &made.certificate_pem, false)?;
    place(&files.key, &made.key_pem, true)?;
    Ok(files)
}

/// Writes a file that is there whole or not at all, whatever is cut short: the next start takes what is there.
fn place(path: &Path, text: &str, secret: bool) -> Result<(), String> {
    let draft = path.with_extension("draft");
    // What is left of an attempt that was cut short.
    let _ = std::fs::remove_file(&draft);
    write(&draft, text, secret)?;
    std::fs::rename(&draft, path).map_err(|error| format!("{}: {error}", path.display()))
}

struct Made {
    ca_pem: String,
    certificate_pem: String,
    key_pem: String,
}

fn make() -> Result<Made, rcgen::Error> {
    let mut ca = CertificateParams::default();
    ca.distinguished_name.push(DnType::CommonName, "herald development authority");
    ca.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    ca.key_usages = vec![KeyUsagePurpose::KeyCertSign];
    let ca_key = KeyPair::generate()?;
    let ca_pem = ca.self_signed(&ca_key)?.pem();
    let issuer = Issuer::new(ca, ca_key);

    let mut own = CertificateParams::new(["localhost".to_owned()])?;
    own.distinguished_name.push(DnType::CommonName, "herald development service");
    for address in [IpAddr::V4(Ipv4Addr::LOCALHOST), IpAddr::V6(Ipv6Addr::LOCALHOST)] {
        own.subject_alt_names.push(SanType::IpAddress(address));
    }
    let key = KeyPair::generate()?;
    let certificate_pem = own.signed_by(&key, &issuer)?.pem();
    Ok(Made { ca_pem, certificate_pem, key_pem: key.serialize_pem() })
}

/// Writes a new file to the disk; a secret one for its owner's eyes only. One that exists is not touched.
pub(crate) fn write(path: &Path, text: &str, secret: bool) -> Result<(), String> {
    let mode = if secret { 0o600 } else { 0o644 };
    let file = std::fs::OpenOptions::new().create_new(true).write(true).mode(mode).open(path);
    file.and_then(|mut file| file.write_all(text.as_bytes()).and_then(|()| file.sync_all()))
        .map_err(|error| format!("{}: {error}", path.display()))
}
