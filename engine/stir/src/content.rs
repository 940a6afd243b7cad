//! Digests in a PASSporT over what came beside it: `msgi` over a message (RFC 9475 §3.2), `rcdi` over rich call
//! data (RFC 9795 §6). It does not fetch: the host gives the content it has.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::alphabet::STANDARD;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use ring::digest::{Algorithm, SHA256, SHA384, SHA512, digest};

use crate::context::{CallContext, LinkedContent};
use crate::error::Fault;
use crate::json::Json;
use crate::limits::CONTENT_DIGESTS_MAX;
use crate::passport::{Claims, PassportType};

/// What the digests of `rcdi` are asked for. A digest that does not fit is always a fault.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ContentPolicy {
    /// Digests are compared where the content is at hand; other content is for who fetches and shows it.
    #[default]
    Given,
    /// Besides, all content that `rcd` refers to by URL must have a digest.
    Digested,
    /// Besides, all content that has a digest must be at hand.
    Compared,
}

/// Compares the digests of `claims` with what the host has.
pub(crate) fn check(claims: &Claims, policy: ContentPolicy, context: &CallContext<'_>) -> Result<(), Fault> {
    if matches!(claims.kind, PassportType::Msg) {
        check_message(claims.extra.get("msgi"), context.message)?;
    }
    let Some(rcd) = claims.extra.get("rcd") else { return Ok(()) };
    let rich = RichData { rcd, linked: context.linked, policy };
    match claims.extra.get("rcdi") {
        None => rich.check(&BTreeMap::new()),
        Some(Json::Object(digests)) if digests.len() <= CONTENT_DIGESTS_MAX => rich.check(digests),
        Some(_) => Err(Fault::Claim("rcdi")),
    }
}

/// The digest covers the whole body, `message`. Without a digest nothing is said about the body, and without a
/// body nothing can be compared.
fn check_message(digest: Option<&Json>, message: Option<&[u8]>) -> Result<(), Fault> {
    const FAULT: Fault = Fault::Claim("msgi");
    let Some(text) = digest else { return Ok(()) };
    let expected = ContentDigest::parse(text.as_text().ok_or(FAULT)?).ok_or(FAULT)?;
    match message {
        Some(body) if !expected.is_of(body) => Err(Fault::Digest("msgi")),
        _ => Ok(()),
    }
}

/// The claim `rcd` with what is needed to check it.
struct RichData<'a> {
    rcd: &'a Json,
    linked: &'a LinkedContent<'a>,
    policy: ContentPolicy,
}

impl RichData<'_> {
    fn check(&self, digests: &BTreeMap<String, Json>) -> Result<(), Fault> {
        const FAULT: Fault = Fault::Claim("rcd");
        let members = self.rcd.as_object().ok_or(FAULT)?;
        let is_named = members.get("nam").and_then(Json::as_text).is_some();
        if !is_named || members.contains_key("jcd") && members.contains_key("jcl") {
            return Err(FAULT);
        }
        let undigested = |name| members.contains_key(name) && !digests.contains_key(&format!("/{name}"));
        if self.policy != ContentPolicy::Given && LINKS.into_iter().any(undigested) {
            return Err(Fault::NoDigest);
        }
        digests.iter().try_for_each(|(pointer, digest)| self.check_one(pointer, digest))
    }

    fn check_one(&self, pointer: &str, digest: &Json) -> Result<(), Fault> {
        const FAULT: Fault = Fault::Claim("rcdi");
        let expected = ContentDigest::parse(digest.as_text().ok_or(FAULT)?).ok_or(FAULT)?;
        let content = match pointer.strip_prefix("/jcl/") {
            Some(inner) => self.within_linked_card(inner)?,
            None => {
                let (value, is_link) = find(self.rcd, pointer).ok_or(FAULT)?;
                self.content(value, is_link || LINKS.iter().any(|name| pointer == format!("/{name}")))
            }
        };
        match content {
            Some(bytes) if !expected.is_of(&bytes) => Err(Fault::Digest("rcdi")),
            None if self.policy == ContentPolicy::Compared => Err(Fault::NoContent),
            _ => Ok(()),
        }
    }

    /// What stands at `pointer` in the card that `jcl` links to: the one level of links there is.
    fn within_linked_card(&self, pointer: &str) -> Result<Option<Vec<u8>>, Fault> {
        const FAULT: Fault = Fault::Claim("rcdi");
        let link = self.rcd.as_object().and_then(|members| members.get("jcl")).ok_or(FAULT)?;
        let Some(card) = self.content(link, true) else { return Ok(None) };
        let card = Json::parse(&card).map_err(|_| Fault::Digest("rcdi"))?;
        let (value, is_link) = find(&card, &format!("/{pointer}")).ok_or(Fault::Digest("rcdi"))?;
        Ok(self.content(value, is_link))
    }

    /// What a digest of `value` covers: what it links to, if the host has it, or else itself in the form of RFC
    /// 8225 §9, quotes included.
    fn content(&self, value: &Json, is_link: bool) -> Option<Vec<u8>> {
        match value.as_text().filter(|_| is_link) {
            Some(url) => (self.linked)(url),
            None => value.to_text().map(String::into_bytes),
        }
    }
}

/// Members of `rcd` that are URLs of content.
const LINKS: [&str; 2] = ["icn", "jcl"];

/// The value at `pointer` (RFC 6901), and whether it is the value of a property of type `uri` in a jCard (RFC
/// 7095 §3.3: name, parameters, type, values).
fn find<'a>(root: &'a Json, pointer: &str) -> Option<(&'a Json, bool)> {
    let mut value = root;
    let mut is_link = false;
    for step in pointer.strip_prefix('/')?.split('/') {
        let step = step.replace("~1", "/").replace("~0", "~");
        value = match value {
            Json::Object(members) => members.get(&step)?,
            Json::Array(items) => {
                is_link = matches!(items.get(2), Some(Json::Text(kind)) if kind == "uri");
                items.get(step.parse::<usize>().ok()?)?
            }
            _ => return None,
        };
    }
    Some((value, is_link && value.as_text().is_some()))
}

/// `sha256-`, `sha384-` or `sha512-` and the digest in base64 (RFC 9795 §6.1, RFC 9475 §3.2).
struct ContentDigest {
    algorithm: &'static Algorithm,
    value: Vec<u8>,
}

impl ContentDigest {
    fn parse(text: &str) -> Option<Self> {
        let (name, value) = text.split_once('-')?;
        let algorithm = match name {
            "sha256" => &SHA256,
            "sha384" => &SHA384,
            "sha512" => &SHA512,
            _ => return None,
        };
        let value = DIGEST.decode(value).ok()?;
        (value.len() == algorithm.output_len()).then_some(Self { algorithm, value })
    }

    fn is_of(&self, content: &[u8]) -> bool {
        digest(self.algorithm, content).as_ref() == self.value
    }
}

/// Base64 with or without padding: RFC 9795 prints its digests without, other signers pad them.
const DIGEST: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// The digest of `content` as `rcdi` and `msgi` hold it, by SHA-256.
pub fn content_digest(content: &[u8]) -> String {
    format!("sha256-{}", STANDARD_NO_PAD.encode(digest(&SHA256, content)))
}
