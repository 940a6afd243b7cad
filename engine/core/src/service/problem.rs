//! Every refusal of the service, worded for the person who reads it, as `application/problem+json` (RFC 9457).

use core::fmt;

use serde_json::{Map, Value, json};

use super::message::Response;
use crate::batch;
use crate::class::PlacementClass;
use crate::limits::{BLOCK_NUMBERS_MAX, BODY_BUCKETS_BYTES, BODY_BYTES_MAX, RETRY_AFTER_S, TARGET_BYTES_MAX};
use crate::number::{BlockError, NumberError};
use crate::placement::{IdError, Refusal};

/// Why a request is not done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Problem {
    /// The number in the path is none.
    Number(NumberError),
    /// The block in the path is none.
    Block(BlockError),
    /// The block holds more numbers than one answer may cover.
    BlockTooLarge(u64),
    /// A block was asked for with bodies.
    BlockListOnly,
    /// The item id in the path is none.
    Id(IdError),
    /// The query is none the resource knows.
    Query,
    /// No such resource.
    NotFound,
    /// No live item of that id: it has expired or never was.
    NoSuchItem,
    /// The resource does not take this method; the methods it takes.
    Method(&'static str),
    /// The client takes none of the media types there are; those types.
    NotAcceptable(&'static str),
    /// The body is not said to be a PASSporT.
    MediaType,
    /// The body is said to be of a class that does not exist, or of two.
    UnknownClass,
    /// This class of placements is not kept here.
    ClassNotKept(PlacementClass),
    /// This class of placements is not taken from strangers while their stores need tokens.
    ClassNotGated(PlacementClass),
    /// The body is not said to be a batch.
    BatchMediaType,
    /// The body is empty or begins with another version than this, which is taken here.
    BatchVersion(u8),
    /// Path and query are too long.
    TargetTooLong,
    /// The body has none of the sizes a sealed PASSporT may have; its size in bytes.
    BodySize(usize),
    /// The body is larger than any sealed PASSporT.
    BodyTooLarge,
    /// The request did not arrive in time.
    Timeout,
    /// The request is no HTTP the service reads; why.
    Malformed(&'static str),
    /// The store keeps nothing more for now.
    Full(Refusal),
    /// The store cannot be reached or written; nothing is acknowledged meanwhile.
    Unavailable,
    /// A request about key bundles.
    Keys(KeyProblem),
}

/// Why a request about key bundles is not done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KeyProblem {
    /// The path names no number, prefix of some length or service provider code.
    Area,
    /// This service takes no bundles.
    NotTaken,
    /// The body is not said to be a bundle.
    MediaType,
    /// The bundle is not to be believed; why.
    Bundle(String),
    /// One of the same issuer and entries is there that was made no earlier.
    Older,
    /// There is no room for another one.
    Full,
    /// More were published in this second than are looked at.
    TooOften,
}

impl Problem {
    /// The HTTP status that says it.
    pub const fn status(&self) -> u16 {
        match self {
            Self::Number(_)
            | Self::Block(_)
            | Self::BlockTooLarge(_)
            | Self::BlockListOnly
            | Self::Id(_)
            | Self::Query
            | Self::BatchVersion(_)
            | Self::Malformed(_)
            | Self::Keys(KeyProblem::Area) => 400,
            Self::ClassNotGated(_) | Self::Keys(KeyProblem::NotTaken) => 403,
            Self::NotFound | Self::NoSuchItem => 404,
            Self::Method(_) => 405,
            Self::NotAcceptable(_) => 406,
            Self::Timeout => 408,
            Self::Keys(KeyProblem::Older) => 409,
            Self::BodyTooLarge => 413,
            Self::TargetTooLong => 414,
            Self::MediaType
            | Self::UnknownClass
            | Self::ClassNotKept(_)
            | Self::BatchMediaType
            | Self::Keys(KeyProblem::MediaType) => 415,
            Self::BodySize(_) | Self::Keys(KeyProblem::Bundle(_)) => 422,
            Self::Keys(KeyProblem::TooOften) => 429,
            Self::Full(_) | Self::Unavailable | Self::Keys(KeyProblem::Full) => 503,
        }
    }

    /// The answer that says it.
    #[cold]
    pub fn response(&self) -> Response {
        let mut members = Map::new();
        members.insert("type".into(), json!(format!("urn:herald:problem:{}", self.kind())));
        members.insert("title".into(), json!(self.title()));
        members.insert("status".into(), json!(self.status()));
        members.insert("detail".into(), json!(self.to_string()));
        self.add_members(&mut members);
        let body = Value::Object(members).to_string().into_bytes();
        let response = Response::new(self.status(), "application/problem+json", body);
        match self {
            Self::Method(allowed) => response.with("allow", *allowed),
            Self::Full(_) | Self::Unavailable | Self::Keys(KeyProblem::Full) => {
                response.with("retry-after", RETRY_AFTER_S.to_string())
            }
            Self::Keys(KeyProblem::TooOften) => response.with("retry-after", "1"),
            _ => response,
        }
    }

    const fn kind(&self) -> &'static str {
        match self {
            Self::Number(_) => "number",
            Self::Block(_) | Self::BlockTooLarge(_) | Self::BlockListOnly => "block",
            Self::Id(_) => "id",
            Self::Query => "query",
            Self::NotFound => "resource",
            Self::NoSuchItem => "item",
            Self::Method(_) => "method",
            Self::NotAcceptable(_) => "accept",
            Self::MediaType | Self::BatchMediaType => "media-type",
            Self::UnknownClass | Self::ClassNotKept(_) | Self::ClassNotGated(_) => "class",
            Self::BatchVersion(_) => "batch",
            Self::TargetTooLong => "target",
            Self::BodySize(_) | Self::BodyTooLarge => "body-size",
            Self::Timeout => "timeout",
            Self::Malformed(_) => "malformed",
            Self::Full(_) | Self::Keys(KeyProblem::Full) => "full",
            Self::Unavailable => "unavailable",
            Self::Keys(KeyProblem::MediaType) => "media-type",
            Self::Keys(KeyProblem::TooOften) => "too-often",
            Self::Keys(_) => "keys",
        }
    }

    const fn title(&self) -> &'static str {
        match self {
            Self::Number(_) => "Not a telephone number",
            Self::Block(_) => "Not a block of telephone numbers",
            Self::BlockTooLarge(_) => "Block too large",
            Self::BlockListOnly => "A block can only be listed",
            Self::Id(_) => "Not an item id",
            Self::Query => "Unknown query",
            Self::NotFound => "No such resource",
            Self::NoSuchItem => "No such item",
            Self::Method(_) => "Method not allowed",
            Self::NotAcceptable(_) => "Not acceptable",
            Self::MediaType => "Not a PASSporT",
            Self::UnknownClass => "Not a class of placements",
            Self::ClassNotKept(_) => "This class of placements is not kept",
            Self::ClassNotGated(_) => "This class of placements is not taken over the network",
            Self::BatchMediaType | Self::BatchVersion(_) => "Not a batch",
            Self::TargetTooLong => "Request target too long",
            Self::BodySize(_) => "Not the size of a sealed PASSporT",
            Self::BodyTooLarge => "Body too large",
            Self::Timeout => "Request timed out",
            Self::Malformed(_) => "Malformed request",
            Self::Full(_) => "The store is full",
            Self::Unavailable => "The store is unavailable",
            Self::Keys(problem) => problem.title(),
        }
    }

    fn add_members(&self, members: &mut Map<String, Value>) {
        match self {
            Self::Number(error) => {
                members.insert("position".into(), json!(error.position()));
            }
            Self::BodySize(_) | Self::BodyTooLarge => {
                members.insert("allowed_bytes".into(), json!(BODY_BUCKETS_BYTES));
            }
            Self::BlockTooLarge(_) => {
                members.insert("numbers_max".into(), json!(BLOCK_NUMBERS_MAX));
            }
            _ => {}
        }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Number(error) => error.fmt(f),
            Self::Block(error) => error.fmt(f),
            Self::BlockTooLarge(count) => {
                write!(f, "a block of {count} numbers was asked for; {BLOCK_NUMBERS_MAX} are allowed at once")
            }
            Self::BlockListOnly => f.write_str("bodies come with the list of a single number; list blocks without inline"),
            Self::Id(error) => error.fmt(f),
            Self::Query => f.write_str("the list of a number takes inline=1 and nothing else; other resources take no query"),
            Self::NotFound => f.write_str(
                "resources are /cps/{number}/ppts, /cps/{number}/ppts/{id}, /cps/{first}-{count}/ppts, /cps/batch, \
                 /cps/batch/retrieve, /.well-known/stir-cps-keys/{number} and /health",
            ),
            Self::NoSuchItem => f.write_str("no item of this id is live; items expire, so list the number again"),
            Self::Method(allowed) => write!(f, "this resource takes {allowed}"),
            Self::NotAcceptable(types) => write!(f, "this resource is offered as {types}"),
            Self::MediaType => f.write_str("send the sealed PASSporT with Content-Type: application/passport"),
            Self::UnknownClass => f.write_str(
                "the parameter class of Content-Type is call, which is meant without it, or message, and given once",
            ),
            Self::ClassNotKept(class) => write!(
                f,
                "this service keeps no placements of class {}; its operator would set {}_retention",
                class.name(),
                class.name()
            ),
            Self::ClassNotGated(class) => write!(
                f,
                "placements of class {} are stored from this service's own host only while stores need tokens: no token \
                 keeps one holder from the room of others for as long as they live",
                class.name()
            ),
            Self::BatchMediaType => write!(f, "send the batch with Content-Type: {}", batch::MEDIA_TYPE),
            Self::BatchVersion(batch::GATED_VERSION) => write!(
                f,
                "a batch of placements begins with the byte {}, its version: each placement needs a credential here",
                batch::GATED_VERSION
            ),
            Self::BatchVersion(version) => {
                write!(f, "a batch begins with the byte {version}, its version")
            }
            Self::TargetTooLong => write!(f, "path and query may have {TARGET_BYTES_MAX} bytes together"),
            Self::BodySize(bytes) => write!(
                f,
                "the body has {bytes} bytes; a sealed PASSporT is padded to one of {BODY_BUCKETS_BYTES:?} bytes, \
                 so that its size tells nothing"
            ),
            Self::BodyTooLarge => write!(
                f,
                "a body may have {BODY_BYTES_MAX} bytes at most; sizes taken are {BODY_BUCKETS_BYTES:?}"
            ),
            Self::Timeout => f.write_str("the request did not arrive in time; send it again"),
            Self::Malformed(why) => f.write_str(why),
            Self::Full(Refusal::NumberFull) => {
                f.write_str("too many placements wait under this number; try again later")
            }
            Self::Full(Refusal::StoreFull) => {
                f.write_str("the memory for placements is full of live ones; try again later")
            }
            Self::Unavailable => f.write_str(
                "placements cannot be written to disk at the moment, so none is acknowledged; try again later",
            ),
            Self::Keys(problem) => problem.fmt(f),
        }
    }
}

impl core::error::Error for Problem {}

impl KeyProblem {
    const fn title(&self) -> &'static str {
        match self {
            Self::Area => "Not a number, prefix or code",
            Self::NotTaken => "No key bundles are taken",
            Self::MediaType | Self::Bundle(_) => "Not a key bundle",
            Self::Older => "Key bundle is not newer",
            Self::Full => "The store of key bundles is full",
            Self::TooOften => "Too many key bundles",
        }
    }
}

impl fmt::Display for KeyProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Area => f.write_str(
                "ask for /.well-known/stir-cps-keys/ and a number, prefix/ and 3 or more first digits, or spc/ and a \
                 service provider code",
            ),
            Self::NotTaken => f.write_str("this service takes no key bundles; its operator would set key_roots"),
            Self::MediaType => f.write_str("send the key bundle with Content-Type: application/jose"),
            Self::Bundle(why) => f.write_str(why),
            Self::Older => f.write_str(
                "a bundle of the same issuer and entries is there that was made in the same second or later; sign a \
                 new one",
            ),
            Self::Full => f.write_str("there is no room for another key bundle; try again when others have expired"),
            Self::TooOften => f.write_str("too many key bundles come in at once; send it again in a second"),
        }
    }
}

impl core::error::Error for KeyProblem {}
