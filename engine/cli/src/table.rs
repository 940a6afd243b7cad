//! `herald table`: tables of Call Placement Services compiled, looked up and shown.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Args, Subcommand, ValueEnum};
use herald_runtime::Level;
use herald_runtime::core::TelephoneNumber;
use herald_runtime::stir::advert::{SignedAdvert, VerifiedAdvert, parse_unsigned};
use herald_runtime::stir::limits::{ADVERT_BYTES_MAX, TABLE_BYTES_MAX, TABLE_LINE_BYTES_MAX};
use herald_runtime::stir::services::Side;
use herald_runtime::stir::table::{By, Found, Table, TableBuilder};
use herald_runtime::stir::{CertificateReference, CertificateSource, TnEntry, TrustStore};
use herald_runtime::wall_clock;
use serde_json::{Value, json};

use crate::calls::{named, read};
use crate::case::Certificates;
use crate::output::{EXIT_NOT_GOOD, Failure, Output};

#[derive(Subcommand)]
pub(crate) enum TableCommand {
    /// Compile a table from text or CSV lines and advertisements (RFC 9888, section 4). docs/DISCOVERY.md has the
    /// grammar.
    Build(Build),
    /// Look a number up in a table. Ends with 1 if there is nothing.
    Look(Look),
    /// Say what a table holds.
    Show(Show),
}

#[derive(Args)]
pub(crate) struct Build {
    /// Lines of NUMBERS [SIDE] URI..., an advertisement in JSON, or a signed one; - reads standard input.
    #[arg(value_name = "SOURCE", required = true)]
    pub sources: Vec<PathBuf>,
    /// The file to write. What is there is replaced in one step.
    #[arg(short, long, value_name = "FILE")]
    pub out: PathBuf,
    /// The authorities that signers of advertisements should chain to, PEM.
    #[arg(long, value_name = "FILE")]
    pub roots: Option<PathBuf>,
    /// Revocation lists, PEM; may be given again.
    #[arg(long, value_name = "FILE", requires = "roots")]
    pub crl: Vec<PathBuf>,
    /// A folder of chains, for signed advertisements that name a URL of theirs (x5u): the URL's last part is the file.
    #[arg(long, value_name = "DIR")]
    pub certificates: Option<PathBuf>,
    /// Leave out sources that cannot be used, and say so, instead of making no table.
    #[arg(long)]
    pub keep_going: bool,
}

#[derive(Args)]
pub(crate) struct Look {
    /// The table.
    #[arg(value_name = "FILE")]
    pub file: PathBuf,
    /// The called number.
    #[arg(value_name = "NUMBER")]
    pub number: TelephoneNumber,
    /// Its service provider code.
    #[arg(long, value_name = "CODE")]
    pub spc: Option<String>,
    /// Which side of the call asks.
    #[arg(long, value_enum, default_value = "calling")]
    pub side: SideName,
}

/// A side of a call, as it is written.
#[derive(Clone, Copy, ValueEnum)]
pub(crate) enum SideName {
    /// To store.
    Calling,
    /// To retrieve.
    Called,
}

#[derive(Args)]
pub(crate) struct Show {
    /// The table.
    #[arg(value_name = "FILE")]
    pub file: PathBuf,
}

pub(crate) fn run(command: &TableCommand, output: &Output) -> Result<ExitCode, Failure> {
    match command {
        TableCommand::Build(build) => make(build, output),
        TableCommand::Look(look) => self::look(look, output),
        TableCommand::Show(show) => self::show(show, output),
    }
}

fn make(build: &Build, output: &Output) -> Result<ExitCode, Failure> {
    let trust = build.roots.as_deref().map(|roots| trust(roots, &build.crl)).transpose()?;
    let certificates = Certificates::from_files(build.certificates.as_deref(), None)?;
    let mut maker = Maker {
        builder: TableBuilder::new(),
        trust,
        certificates,
        refused_count: 0,
        is_json: output.is_json(),
    };
    let mut left_out = 0;
    let mut builder = TableBuilder::new();
    for source in &build.sources {
        match maker.add_source(source) {
            Err(failure) if build.keep_going => {
                output.failure(&failure);
                maker.builder = TableBuilder::new();
                left_out += 1;
            }
            done => done?,
        }
        builder.append(std::mem::take(&mut maker.builder)).map_err(|fault| named(source, fault))?;
    }
    let (entries, refused) = (builder.len(), maker.refused_count);
    let bytes = builder.finish(wall_clock().as_millis() / 1000).map_err(Failure::usage)?;
    write_whole(&build.out, &bytes).map_err(|error| named(&build.out, error))?;
    let path = build.out.display();
    output.answer(
        format!(
            "{path}: {entries} entries, {} bytes; {refused} refused, {left_out} sources left out",
            bytes.len()
        ),
        &json!({
            "out": path.to_string(), "entries": entries, "bytes": bytes.len(),
            "refused": refused, "left_out": left_out,
        }),
    );
    Ok(ExitCode::SUCCESS)
}

fn trust(roots: &Path, crls: &[PathBuf]) -> Result<TrustStore, Failure> {
    let mut trust = TrustStore::from_pem(&read(roots)?).map_err(|error| named(roots, error))?;
    for path in crls {
        trust = trust.with_crls_pem(&read(path)?).map_err(|error| named(path, error))?;
    }
    Ok(trust)
}

/// Collects sources.
struct Maker {
    /// Those of one source.
    builder: TableBuilder,
    trust: Option<TrustStore>,
    certificates: Certificates,
    /// Entries of signed advertisements that their signers do not stand for.
    refused_count: usize,
    is_json: bool,
}

impl Maker {
    fn add_source(&mut self, path: &Path) -> Result<(), Failure> {
        let source: Box<dyn Read> = match path == Path::new("-") {
            true => Box::new(io::stdin()),
            false => Box::new(File::open(path).map_err(|error| named(path, error))?),
        };
        let origin = path.file_name().map_or_else(|| "-".into(), |name| name.to_string_lossy());
        let mut source = BufReader::new(source);
        let begins = source.fill_buf().map_err(|error| named(path, error))?.trim_ascii_start();
        match begins {
            [b'{', ..] => self.add_unsigned(path, &read_advert(path, source)?, &origin),
            // What a JSON object begins with, in base64url.
            [b'e', b'y', b'J', ..] => self.add_signed(path, &read_advert(path, source)?, &origin),
            _ => self.add_lines(path, source, &origin),
        }
    }

    fn add_lines(&mut self, path: &Path, mut source: impl BufRead, origin: &str) -> Result<(), Failure> {
        let mut line = Vec::new();
        for line_index in 1.. {
            let at = |fault: &dyn std::fmt::Display| named(path, format!("line {line_index}: {fault}"));
            line.clear();
            let bounded = (&mut source).take(TABLE_LINE_BYTES_MAX as u64 + 2);
            let bytes = { bounded }.read_until(b'\n', &mut line).map_err(|error| at(&error))?;
            if bytes == 0 {
                break;
            }
            let text = std::str::from_utf8(line.trim_ascii_end()).map_err(|_| at(&"not a text"))?;
            self.builder.add_line(text, origin).map_err(|fault| at(&fault))?;
        }
        Ok(())
    }

    fn add_unsigned(&mut self, path: &Path, json: &[u8], origin: &str) -> Result<(), Failure> {
        let pairs = parse_unsigned(json).map_err(|fault| named(path, fault))?;
        self.builder.add_unsigned_advert(&pairs, origin).map_err(|fault| named(path, fault))
    }

    fn add_signed(&mut self, path: &Path, token: &[u8], origin: &str) -> Result<(), Failure> {
        let verified = self.verify(path, token)?;
        for entry in &verified.refused {
            let kind = match entry {
                TnEntry::Spc(code) => format!("the code {code}"),
                TnEntry::Range(range) => format!("a range of {} numbers", range.count()),
                TnEntry::One(_) => "a number".to_owned(),
            };
            let words = format!("{}: refused {kind}: its signer does not stand for it", path.display());
            Output::report(self.is_json, Level::Warning, &words);
        }
        self.refused_count += verified.refused.len();
        self.builder.add_advert(&verified, origin).map_err(|fault| named(path, fault))
    }

    fn verify(&self, path: &Path, token: &[u8]) -> Result<VerifiedAdvert, Failure> {
        let trust = self.trust.as_ref();
        let trust = trust.ok_or_else(|| named(path, "it is signed: give --roots FILE to check it"))?;
        let signed = SignedAdvert::parse(token).map_err(|fault| named(path, fault))?;
        let now = wall_clock();
        let chain = match signed.certificate() {
            CertificateReference::Inline(chain) => self.certificates.carried_chain(chain, now),
            CertificateReference::Url(url) => self.certificates.chain(url, now),
        };
        let chain = chain.map_err(|fault| named(path, fault))?;
        signed.verify(&chain, trust, now).map_err(|fault| named(path, fault))
    }
}

fn read_advert(path: &Path, source: impl Read) -> Result<Vec<u8>, Failure> {
    let mut bytes = Vec::new();
    // One byte more than allowed shows that there are too many; so does white space around it.
    let done = source.take(ADVERT_BYTES_MAX as u64 + 1).read_to_end(&mut bytes);
    done.map_err(|error| named(path, error))?;
    Ok(bytes.trim_ascii().to_vec())
}

/// Writes a file that is there whole or not at all.
fn write_whole(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    let mut draft = tempfile::Builder::new()
        .permissions(std::os::unix::fs::PermissionsExt::from_mode(0o644))
        .tempfile_in(folder.unwrap_or(Path::new(".")))?;
    draft.write_all(bytes)?;
    draft.as_file().sync_all()?;
    draft.persist(path)?;
    Ok(())
}

fn open(path: &Path) -> Result<Table<Vec<u8>>, Failure> {
    let mut bytes = Vec::new();
    let file = File::open(path).map_err(|error| named(path, error))?;
    file.take(TABLE_BYTES_MAX as u64 + 1).read_to_end(&mut bytes).map_err(|error| named(path, error))?;
    Table::open(bytes).map_err(|fault| named(path, fault))
}

fn look(look: &Look, output: &Output) -> Result<ExitCode, Failure> {
    let table = open(&look.file)?;
    let side = match look.side {
        SideName::Calling => Side::Calling,
        SideName::Called => Side::Called,
    };
    let Some(found) = table.look(look.number, look.spc.as_deref(), side) else {
        output.answer("nothing", &json!({ "uris": [] }));
        return Ok(ExitCode::from(EXIT_NOT_GOOD));
    };
    let (text, value) = found_words(&found, wall_clock().as_millis() / 1000);
    output.answer(text, &value);
    Ok(ExitCode::SUCCESS)
}

fn found_words(found: &Found<'_>, now_s: u64) -> (String, Value) {
    let service = &found.service;
    let uris: Vec<_> = service.uris().collect();
    let by = match found.by {
        By::Numbers { free_signs: 0 } => "its number".to_owned(),
        By::Numbers { free_signs } => format!("a set of numbers with {free_signs} free digits"),
        By::Code => "its service provider code".to_owned(),
        By::Everybody => "the entry for everybody".to_owned(),
    };
    let has_run_out = service.until_s.is_some_and(|until_s| until_s < now_s);
    let mut text = format!("{}\n  by {by}, from {}", uris.join("\n"), service.origin);
    if service.is_proven {
        text += &format!(", signed at {} s", service.since_s);
    }
    if let Some(until_s) = service.until_s {
        text += &format!(", good until {until_s} s");
    }
    if has_run_out {
        text += ": HAS RUN OUT";
    }
    let value = json!({
        "uris": uris, "by": by, "origin": service.origin, "proven": service.is_proven,
        "since": service.since_s, "until": service.until_s, "has_run_out": has_run_out,
    });
    (text, value)
}

fn show(show: &Show, output: &Output) -> Result<ExitCode, Failure> {
    let about = open(&show.file)?.about();
    let everybody = if about.has_everybody { ", an entry for everybody" } else { "" };
    output.answer(
        format!(
            "{} entries, {} different lists of services, {} service provider codes{everybody}\nmade at {} s, {} bytes",
            about.entries_count, about.services_count, about.codes_count, about.made_s, about.bytes_count
        ),
        &json!({
            "entries": about.entries_count, "services": about.services_count, "codes": about.codes_count,
            "everybody": about.has_everybody, "made": about.made_s, "bytes": about.bytes_count,
        }),
    );
    Ok(ExitCode::SUCCESS)
}
