//! What the commands about one case take.

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use herald_runtime::core::TelephoneNumber;
use herald_runtime::stir::{Attestation, Fault, Identity};

use crate::args::{attestation, setting};

#[derive(Args)]
pub(crate) struct Verify {
    /// A token, the value of an Identity header field (or the whole field, several too), or a SIP request; told
    /// apart by content. - reads standard input.
    #[arg(value_name = "FILE")]
    pub file: PathBuf,
    /// The authorities that signers' certificates should chain to, PEM.
    #[arg(long, value_name = "FILE")]
    pub roots: PathBuf,
    /// A folder that answers for every host: https://HOST/.../NAME.pem is its NAME.chain.pem, else its NAME.pem.
    /// Nothing is fetched. Its *.crl.pem are the revocation lists, unless --crl names others.
    #[arg(long, value_name = "DIR")]
    pub certificates: Option<PathBuf>,
    /// A chain, PEM, that answers for every URL; goes before --certificates.
    #[arg(long, value_name = "FILE")]
    pub certificate: Option<PathBuf>,
    /// A certificate revocation list, PEM; may be given again.
    #[arg(long, value_name = "FILE")]
    pub crl: Vec<PathBuf>,
    /// Certificates of those who may sign revocation lists about certificates of others (indirect lists), PEM. The
    /// roots may without being named.
    #[arg(long, value_name = "FILE")]
    pub crl_signers: Option<PathBuf>,
    /// An OCSP answer that came with a chain, DER; may be given again. It counts, unless --policy ocsp_staples=off.
    #[arg(long, value_name = "FILE")]
    pub staple: Vec<PathBuf>,
    /// When to judge it, in seconds since the Unix epoch; now if not given.
    #[arg(long, value_name = "UNIX_SECONDS")]
    pub at: Option<u64>,
    /// The caller, as signalled: a number in any visual form or a URI. Not compared if not given, or "-". A SIP
    /// request says itself who calls whom, and this is not asked for.
    #[arg(long, value_name = "NUMBER", value_parser = signalled)]
    pub orig: Option<Signalled>,
    /// The called party, likewise: where the call goes now.
    #[arg(long, value_name = "NUMBER", value_parser = signalled)]
    pub dest: Option<Signalled>,
    /// The party that was called at first, likewise, if that is another one.
    #[arg(long, value_name = "NUMBER", value_parser = signalled)]
    pub to: Option<Signalled>,
    /// The Date of the signalling, in seconds since the Unix epoch, which a compact form needs. Without it a
    /// header field alone is tried with every second it may have.
    #[arg(long, value_name = "UNIX_SECONDS")]
    pub date: Option<i64>,
    /// A setting of docs/POLICY.md; may be given again.
    #[arg(long, value_name = "NAME=VALUE", value_parser = setting)]
    pub policy: Vec<(String, String)>,
    /// The body of the message, to be compared with msgi.
    #[arg(long, value_name = "FILE")]
    pub message: Option<PathBuf>,
    /// Content that rcd refers to, to be compared with rcdi; may be given again.
    #[arg(long, value_name = "URL=FILE", value_parser = setting)]
    pub content: Vec<(String, String)>,
}

/// The types of PASSporT that can be signed.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Type {
    /// No extension (RFC 8225).
    Base,
    /// RFC 8588: --attest, --origid.
    Shaken,
    /// RFC 8946: --div.
    Div,
    /// RFC 8946: --div, --opt.
    DivO,
    /// RFC 8443: --rph.
    Rph,
    /// RFC 9795: --claims with rcd, or --name.
    Rcd,
    /// RFC 9475: --message.
    Msg,
    /// RFC 9970.
    Rsp,
}

impl Type {
    pub(crate) const fn ppt(self) -> Option<&'static str> {
        match self {
            Self::Base => None,
            Self::Shaken => Some("shaken"),
            Self::Div => Some("div"),
            Self::DivO => Some("div-o"),
            Self::Rph => Some("rph"),
            Self::Rcd => Some("rcd"),
            Self::Msg => Some("msg"),
            Self::Rsp => Some("rsp"),
        }
    }
}

#[derive(Args)]
pub(crate) struct Sign {
    /// The signer's private key, PEM.
    #[arg(long, value_name = "FILE")]
    pub key: PathBuf,
    /// An https URL that serves the signer's certificate chain.
    #[arg(long, value_name = "URL", required_unless_present = "certificate")]
    pub x5u: Option<String>,
    /// The chain itself, PEM; it goes into the PASSporT (x5c).
    #[arg(long, value_name = "FILE", conflicts_with = "x5u")]
    pub certificate: Option<PathBuf>,
    /// The type of PASSporT.
    #[arg(long = "type", value_enum, default_value = "shaken")]
    pub kind: Type,
    /// A JSON object of claims; options go before what is in it.
    #[arg(long, value_name = "FILE")]
    pub claims: Option<PathBuf>,
    /// The caller: a number in any visual form or a URI.
    #[arg(long, value_name = "NUMBER", value_parser = party)]
    pub orig: Option<Identity>,
    /// A called party, likewise; may be given again.
    #[arg(long, value_name = "NUMBER", value_parser = party)]
    pub dest: Vec<Identity>,
    /// When it is signed, in seconds since the Unix epoch; now if not given.
    #[arg(long, value_name = "UNIX_SECONDS")]
    pub at: Option<i64>,
    /// How well the caller is known: A fully, B partially, C gateway (shaken; A if nothing is said).
    #[arg(long, value_name = "A|B|C", value_parser = attestation)]
    pub attest: Option<Attestation>,
    /// Where the call came from, a UUID (shaken; a new one if nothing is said).
    #[arg(long, value_name = "UUID")]
    pub origid: Option<String>,
    /// Who diverted the call (div, div-o): a number in any visual form or a URI.
    #[arg(long, value_name = "NUMBER", value_parser = party)]
    pub div: Option<Identity>,
    /// The PASSporT before the diversion, a token in full form (div-o).
    #[arg(long, value_name = "FILE")]
    pub opt: Option<PathBuf>,
    /// A priority such as ets.0 (rph); may be given again.
    #[arg(long, value_name = "VALUE")]
    pub rph: Vec<String>,
    /// The caller's name, as rcd.nam (any type).
    #[arg(long, value_name = "TEXT")]
    pub name: Option<String>,
    /// The body of the message whose digest is msgi (msg).
    #[arg(long, value_name = "FILE")]
    pub message: Option<PathBuf>,
    /// Print the value of the Identity header field that carries it, not the token alone.
    #[arg(long)]
    pub header: bool,
    /// The same in compact form.
    #[arg(long)]
    pub compact: bool,
}

#[derive(Args)]
pub(crate) struct Seal {
    /// The PASSporT, a token in full form; - reads standard input.
    #[arg(value_name = "FILE")]
    pub file: PathBuf,
    /// The called number it is placed under.
    #[arg(long, value_name = "NUMBER")]
    pub number: TelephoneNumber,
    /// The called side's public sealing key, JWK.
    #[arg(long, value_name = "FILE")]
    pub recipient: PathBuf,
    /// Write the sealed bytes here; without it they are printed in base64.
    #[arg(long, value_name = "FILE")]
    pub out: Option<PathBuf>,
}

#[derive(Args)]
pub(crate) struct Open {
    /// A sealed placement, as bytes or in base64; - reads standard input.
    #[arg(value_name = "FILE")]
    pub file: PathBuf,
    /// The called number it was placed under.
    #[arg(long, value_name = "NUMBER")]
    pub number: TelephoneNumber,
    /// A private sealing key, JWK; may be given again.
    #[arg(long, value_name = "FILE", required = true)]
    pub sealing_key: Vec<PathBuf>,
}

/// A party as the signalling names it.
#[derive(Clone)]
pub(crate) enum Signalled {
    /// This one.
    Named(Identity),
    /// One that hides.
    Anonymous,
    /// Nobody.
    Unsaid,
}

impl Signalled {
    pub(crate) const fn identity(&self) -> Option<&Identity> {
        match self {
            Self::Named(identity) => Some(identity),
            Self::Anonymous | Self::Unsaid => None,
        }
    }
}

fn signalled(text: &str) -> Result<Signalled, String> {
    match text.parse::<Identity>() {
        _ if matches!(text, "" | "-") => Ok(Signalled::Unsaid),
        Err(Fault::Anonymous) => Ok(Signalled::Anonymous),
        _ => party(text).map(Signalled::Named),
    }
}

fn party(text: &str) -> Result<Identity, String> {
    text.parse().map_err(|_| "a party is a telephone number or a URI".to_owned())
}
