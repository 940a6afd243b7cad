//! Whom the fetcher may ask: hosts by name, their ports, and addresses that are not public. Text in, verdict out; it
//! knows no network.

use core::fmt;
use core::net::IpAddr;
use core::str::FromStr;
use std::sync::Arc;

use herald_net::{AddressBlock, AddressRule, Route, Uri};

use crate::limits::FETCH_URL_BYTES_MAX;

/// Ports of a host whose entry names none: those of ATIS-1000074's `x5u`.
const USUAL_PORTS: [u16; 2] = [443, 8443];

/// One entry of the fetcher's allow-list.
///
/// Written `certificates.example.com` or `*.example.com` (every name below, not the name itself) or `*` (every name);
/// with `:PORT` for that port alone instead of 443 and 8443; with `=BLOCK` or `=BLOCK+BLOCK` if the host may have
/// addresses that are not public, as in `lab.example:8443=10.0.0.0/8`. An address for a host must be written out:
/// `[2001:db8::1]=2001:db8::1`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AllowedHost {
    name: Name,
    port: Option<u16>,
    blocks: Vec<AddressBlock>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Name {
    Every,
    Below(String),
    Exactly(String),
    Address(IpAddr),
}

impl AllowedHost {
    /// Which addresses it may have.
    pub(super) fn rule(&self) -> AddressRule {
        AddressRule::PublicAnd(self.blocks.clone())
    }

    fn admits(&self, host: &Host<'_>, port: u16) -> bool {
        let is_port = self.port.map_or_else(|| USUAL_PORTS.contains(&port), |own| own == port);
        is_port
            && match (&self.name, host) {
                (Name::Every, Host::Name(_)) => true,
                (Name::Exactly(own), Host::Name(name)) => own.eq_ignore_ascii_case(name),
                (Name::Below(suffix), Host::Name(name)) => is_below(name, suffix),
                (Name::Address(own), Host::Address(address)) => own == address,
                _ => false,
            }
    }
}

fn is_below(name: &str, suffix: &str) -> bool {
    name.len() > suffix.len() + 1
        && name.is_char_boundary(name.len() - suffix.len())
        && name[name.len() - suffix.len()..].eq_ignore_ascii_case(suffix)
        && name.as_bytes()[name.len() - suffix.len() - 1] == b'.'
}

impl FromStr for AllowedHost {
    type Err = BadAllowedHost;

    fn from_str(text: &str) -> Result<Self, BadAllowedHost> {
        let (host, blocks) = text.split_once('=').map_or((text, None), |(host, blocks)| (host, Some(blocks)));
        let blocks = blocks.map_or(Ok(Vec::new()), |blocks| blocks.split('+').map(str::parse).collect());
        let blocks = blocks.map_err(|_| BadAllowedHost)?;
        let (host, port) = match host.rsplit_once(':') {
            Some((host, port)) if !port.ends_with(']') => {
                (host, Some(port.parse().ok().filter(|&port| port != 0).ok_or(BadAllowedHost)?))
            }
            _ => (host, None),
        };
        Ok(Self { name: host.parse()?, port, blocks })
    }
}

impl FromStr for Name {
    type Err = BadAllowedHost;

    fn from_str(text: &str) -> Result<Self, BadAllowedHost> {
        if text == "*" {
            return Ok(Self::Every);
        }
        let bare = text.strip_prefix('[').and_then(|text| text.strip_suffix(']')).unwrap_or(text);
        if let Ok(address) = bare.parse() {
            return Ok(Self::Address(address));
        }
        let (name, is_suffix) = text.strip_prefix("*.").map_or((text, false), |name| (name, true));
        let is_label = |label: &str| {
            !label.is_empty()
                && label.bytes().all(|sign| sign.is_ascii_alphanumeric() || sign == b'-' || sign == b'_')
        };
        if !name.split('.').all(is_label) {
            return Err(BadAllowedHost);
        }
        let name = name.to_ascii_lowercase();
        Ok(if is_suffix { Self::Below(name) } else { Self::Exactly(name) })
    }
}

/// A text that is no entry of an allow-list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BadAllowedHost;

impl fmt::Display for BadAllowedHost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(
            "no host; write one as certificates.example.com, *.example.com:8443 or lab.example=10.0.0.0/8",
        )
    }
}

impl core::error::Error for BadAllowedHost {}

enum Host<'a> {
    Name(&'a str),
    Address(IpAddr),
}

/// An allow-list with the way to each of its hosts.
#[derive(Default)]
pub(super) struct AllowList(Vec<(AllowedHost, Arc<Route>)>);

impl AllowList {
    /// The hosts are reached as `base` says, by the addresses each may have.
    pub(super) fn new(hosts: &[AllowedHost], base: &Route) -> Self {
        let way = |host: &AllowedHost| (host.clone(), Arc::new(base.clone().addresses(host.rule())));
        Self(hosts.iter().map(way).collect())
    }

    /// The URL as it can be asked for, and the way there.
    ///
    /// # Errors
    /// Why it is not asked for.
    pub(super) fn admit(&self, url: &str) -> Result<(Uri, Arc<Route>), &'static str> {
        let uri = parse(url)?;
        let host = uri.host().ok_or("the URL names no host")?;
        let bare = host.trim_start_matches('[').trim_end_matches(']');
        let host = bare.parse().map_or(Host::Name(host), Host::Address);
        let port = uri.port_u16().unwrap_or(443);
        let mut named = false;
        for (entry, route) in &self.0 {
            if entry.admits(&host, port) {
                let route = route.clone();
                return Ok((uri, route));
            }
            named |= entry.admits(&host, entry.port.unwrap_or(443));
        }
        Err(if named {
            "the URL's port is not allowed for its host"
        } else {
            "the URL's host is not on the allow-list"
        })
    }
}

/// A plain https URL: what else the syntax of URLs has is refused before anything reads it in its own way.
fn parse(url: &str) -> Result<Uri, &'static str> {
    if url.len() > FETCH_URL_BYTES_MAX {
        return Err("the URL is too long");
    }
    if !url.bytes().all(|sign| sign.is_ascii_graphic())
        || url.contains(['\\', '#', '"', '<', '>', '^', '`', '{', '}'])
    {
        return Err("the URL has signs that a URL to fetch does not have");
    }
    let rest = url.strip_prefix("https://").ok_or("the URL does not begin with https://")?;
    let authority = rest.split(['/', '?']).next().unwrap_or_default();
    if authority.contains('@') {
        return Err("the URL names a user");
    }
    if authority.ends_with(':') {
        return Err("the URL's port is empty");
    }
    let uri: Uri = url.parse().map_err(|_| "the URL is malformed")?;
    // A port that is no number from 1 to 65535 would be taken for none.
    let has_port = authority.rsplit_once(':').is_some_and(|(_, port)| !port.ends_with(']'));
    if has_port && uri.port_u16().is_none_or(|port| port == 0) {
        return Err("the URL's port is no port");
    }
    Ok(uri)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list(entries: &[&str]) -> AllowList {
        let hosts: Vec<AllowedHost> = entries.iter().map(|entry| entry.parse().unwrap()).collect();
        AllowList::new(&hosts, &Route::plain())
    }

    #[track_caller]
    fn check(list: &AllowList, cases: &[(&str, Option<&str>)]) {
        for (url, expected) in cases {
            let why = list.admit(url).err();
            match expected {
                None => assert_eq!(why, None, "{url}"),
                Some(word) => assert!(why.is_some_and(|why| why.contains(word)), "{url}: {why:?}"),
            }
        }
    }

    #[test]
    fn only_listed_hosts_on_their_ports_are_asked() {
        let list = list(&[
            "certs.example.com",
            "*.repo.example",
            "lab.example:9443=10.0.0.0/8",
            "192.0.2.7",
            "[2001:db8::7]:1",
        ]);
        let cases = [
            ("https://certs.example.com/a.pem", None),
            ("https://CERTS.Example.Com:443/a.pem?x=1", None),
            ("https://certs.example.com:8443/a.pem", None),
            ("https://a.repo.example/", None),
            ("https://b.a.repo.example/", None),
            ("https://lab.example:9443/", None),
            ("https://192.0.2.7/", None),
            ("https://[2001:db8:0::7]:1/", None),
            ("https://certs.example.com:80/", Some("port is not allowed")),
            ("https://lab.example/", Some("port is not allowed")),
            ("https://repo.example/", Some("not on the allow-list")),
            ("https://evilrepo.example/", Some("not on the allow-list")),
            ("https://certs.example.com.evil.example/", Some("not on the allow-list")),
            ("https://certs.example.com./", Some("not on the allow-list")),
            ("https://evil.example/certs.example.com", Some("not on the allow-list")),
            ("https://192.0.2.8/", Some("not on the allow-list")),
            ("https://[::ffff:192.0.2.7]/", Some("not on the allow-list")),
            ("https://3221225991/", Some("not on the allow-list")),
            ("http://certs.example.com/", Some("https://")),
            ("HTTPS://certs.example.com/", Some("https://")),
            ("file:///etc/passwd", Some("https://")),
            ("//certs.example.com/", Some("https://")),
            ("", Some("https://")),
            ("https:///", Some("malformed")),
            ("https://certs.example.com@evil.example/", Some("names a user")),
            ("https://evil.example:80@certs.example.com/", Some("names a user")),
            ("https://certs.example.com:/", Some("port is empty")),
            ("https://certs.example.com:0/", Some("port is no port")),
            ("https://certs.example.com:65536/", Some("")),
            ("https://certs.example.com:443:80/", Some("")),
            ("https://certs.example.com#@evil.example/", Some("signs")),
            ("https://certs.example.com\\@evil.example/", Some("signs")),
            ("https://certs.example.com /", Some("signs")),
            ("https://certs.example.com\u{ff0f}evil/", Some("signs")),
            ("https://certs.example.com\r\nHost: evil/", Some("signs")),
        ];
        check(&list, &cases);
        check(
            &list,
            &[(&format!("https://certs.example.com/{}", "a".repeat(FETCH_URL_BYTES_MAX)), Some("too long"))],
        );
    }

    #[test]
    fn a_star_is_every_name_and_no_address() {
        let cases = [
            ("https://any.example/", None),
            ("https://192.0.2.7/", Some("allow-list")),
            ("https://[::1]/", Some("allow-list")),
        ];
        check(&list(&["*"]), &cases);
        check(&list(&[]), &[("https://any.example/", Some("allow-list"))]);
    }

    #[test]
    fn an_entry_of_another_form_is_refused() {
        for text in [
            "",
            "a..b",
            "*.",
            "*a.example",
            "a.example:",
            "a.example:0",
            "a.example:x",
            "a.example=",
            "a.example=10.0.0.0/40",
            "a b",
            "https://a",
        ] {
            assert_eq!(text.parse::<AllowedHost>(), Err(BadAllowedHost), "{text:?}");
        }
    }
}
