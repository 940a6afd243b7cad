//! What is asked of a server of key bundles and the form of its answers, for both sides.

use core::fmt::Write as _;

use herald_core::TelephoneNumber;

use crate::json::Json;
use crate::limits::{
    KEY_ANSWER_BYTES_MAX, KEY_BUNDLE_BYTES_MAX, KEY_BUNDLES_PER_ANSWER_MAX, KEY_PREFIX_SIGNS_MIN,
    SPC_BYTES_MAX,
};

/// Where bundles are published, at each Call Placement Service that takes them: by POST.
pub const PUBLISH_PATH: &str = "/.well-known/stir-cps-keys";
/// What the paths of areas begin with.
pub const WELL_KNOWN_PATH: &str = "/.well-known/stir-cps-keys/";

/// Which bundles are wanted.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Area {
    /// Those about one number. Who asks so tells the server which number is about to be called.
    Number(TelephoneNumber),
    /// Those about any number that begins so.
    Prefix(TelephoneNumber),
    /// Those about a service provider code.
    Code(String),
}

impl Area {
    /// The path at the server: under [`WELL_KNOWN_PATH`] a number, `prefix/` and a prefix, or `spc/` and a code.
    pub fn path(&self) -> String {
        let (kind, name) = match self {
            Self::Number(number) => ("", number.to_string()),
            Self::Prefix(prefix) => ("prefix/", prefix.to_string()),
            Self::Code(code) => ("spc/", code.clone()),
        };
        let mut path = format!("{WELL_KNOWN_PATH}{kind}");
        for byte in name.bytes() {
            match byte {
                byte if byte.is_ascii_alphanumeric() || b"*-._~".contains(&byte) => {
                    path.push(char::from(byte))
                }
                // Writing to a string cannot fail.
                byte => drop(write!(path, "%{byte:02X}")),
            }
        }
        path
    }

    /// The area of a path; `None` if it is none, or the prefix is too short.
    pub fn of_path(path: &str) -> Option<Self> {
        let rest = path.strip_prefix(WELL_KNOWN_PATH)?;
        let number =
            |text: &str| TelephoneNumber::parse(text.as_bytes()).ok().filter(|_| !text.contains('/'));
        if let Some(prefix) = rest.strip_prefix("prefix/") {
            return number(prefix)
                .filter(|prefix| prefix.sign_count() >= KEY_PREFIX_SIGNS_MIN)
                .map(Self::Prefix);
        }
        if let Some(code) = rest.strip_prefix("spc/") {
            return is_plain(code).then(|| Self::Code(code.to_owned()));
        }
        number(rest).map(Self::Number)
    }
}

/// Shows the last two signs of a number.
impl core::fmt::Debug for Area {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Self::Number(number) => write!(f, "Number({number:?})"),
            Self::Prefix(prefix) => write!(f, "Prefix({prefix:?})"),
            Self::Code(code) => write!(f, "Code({code})"),
        }
    }
}

/// Whether a service provider code can stand in a path as it is. No other one is found over the wire.
fn is_plain(code: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._".contains(&byte);
    (1..=SPC_BYTES_MAX).contains(&code.len()) && code.bytes().all(plain)
}

/// An answer: bundles as they were signed, in `{"bundles":["..."],"truncated":true}`, the last member only if more
/// of them there are.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Listing {
    /// The bundles.
    pub tokens: Vec<String>,
    /// Whether there are more, to be asked for with a longer prefix.
    pub is_truncated: bool,
}

impl Listing {
    /// Reads an answer. O(bytes).
    ///
    /// `None` if it is none, or larger than a server may make it.
    pub fn parse(body: &[u8]) -> Option<Self> {
        if body.len() > KEY_ANSWER_BYTES_MAX + 2 * KEY_BUNDLE_BYTES_MAX {
            return None;
        }
        let Json::Object(mut members) = Json::parse(body).ok()? else { return None };
        let Some(Json::Array(items)) = members.remove("bundles") else { return None };
        if items.len() > KEY_BUNDLES_PER_ANSWER_MAX {
            return None;
        }
        let text = |item| if let Json::Text(token) = item { Some(token) } else { None };
        let tokens = items.into_iter().map(text).collect::<Option<_>>()?;
        Some(Self { tokens, is_truncated: members.get("truncated") == Some(&Json::Bool(true)) })
    }

    /// Writes an answer with as many of `tokens` as it may hold. Bundles are base64url and dots, which JSON takes as
    /// they are.
    pub fn write<'a>(tokens: impl IntoIterator<Item = &'a str>, is_truncated: bool) -> Vec<u8> {
        let mut body = b"{\"bundles\":[".to_vec();
        let mut is_truncated = is_truncated;
        for (index, token) in tokens.into_iter().enumerate() {
            if index == KEY_BUNDLES_PER_ANSWER_MAX || body.len() >= KEY_ANSWER_BYTES_MAX {
                is_truncated = true;
                break;
            }
            body.extend_from_slice(if index == 0 { b"\"" } else { b",\"" });
            body.extend_from_slice(token.as_bytes());
            body.push(b'"');
        }
        body.extend_from_slice(if is_truncated { b"],\"truncated\":true}" } else { b"]}" });
        body
    }
}
