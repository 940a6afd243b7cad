//! The plugin's settings.

use core::net::{IpAddr, SocketAddr};
use core::str::FromStr;
use std::fs::File;
use std::io::Read;

use herald_core::NumberBlock;
use herald_plugin_sdk::Settings;
use hickory_proto::rr::Name;

use crate::limits::{
    AHEAD_NUMBERS_MAX, APEXES_MAX, ATTEMPTS_DEFAULT, ATTEMPTS_RANGE, CACHE_NEGATIVE_S_DEFAULT,
    CACHE_NUMBERS_DEFAULT, CACHE_NUMBERS_RANGE, CACHE_S_DEFAULT, CACHE_S_RANGE, ENUMSERVICES_MAX,
    REFRESHES_PER_S_DEFAULT, REFRESHES_PER_S_RANGE, RESOLV_CONF_BYTES_MAX, RETRY_MS_DEFAULT, RETRY_MS_RANGE,
    SERVERS_MAX,
};
use crate::naptr::{Enumservice, Enumservices};

/// All that is configured.
#[derive(Clone, Debug)]
pub struct Config {
    /// Where numbers are looked up, in this order.
    pub apexes: Vec<Apex>,
    /// The resolvers that are asked.
    pub servers: Servers,
    /// The enumservices whose records count.
    pub enumservices: Enumservices,
    /// Whether only what the resolver has verified with DNSSEC counts.
    pub is_authentic_only: bool,
    /// Whether names are asked in mixed case, which a forger has to guess too.
    pub is_case_mixed: bool,
    /// Milliseconds until a question is asked again, doubled each time.
    pub retry_ms: u64,
    /// How often it is asked.
    pub attempts: u32,
    /// Numbers that are remembered.
    pub cache_numbers: usize,
    /// Seconds for which services are remembered at most.
    pub cache_s_max: u32,
    /// Seconds for which it is remembered at most that there are none.
    pub cache_negative_s_max: u32,
    /// Numbers that are looked up ahead of calls.
    pub ahead: Vec<NumberBlock>,
    /// Lookups ahead of calls a second.
    pub refreshes_per_s: u64,
}

/// A domain below which numbers are found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Apex {
    /// Its name.
    pub name: Name,
    /// Whether it is one of a private network, where records for private networks count.
    pub is_private: bool,
}

/// Which servers are asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Servers {
    /// These.
    Listed(Vec<SocketAddr>),
    /// Those of a resolv.conf, at this path.
    OfSystem(String),
}

const NAMES: [&str; 14] = [
    "apex",
    "private_apex",
    "servers",
    "resolv_conf",
    "enumservices",
    "dnssec",
    "case",
    "retry_ms",
    "attempts",
    "cache_numbers",
    "cache_s_max",
    "cache_negative_s_max",
    "ahead",
    "refreshes_per_s",
];

impl Config {
    /// Reads them.
    ///
    /// # Errors
    /// Words for the operator.
    pub fn read(settings: &Settings<'_>) -> Result<Self, String> {
        settings.only(&NAMES)?;
        let number = |name, default, range| read_number(settings, name, default, range);
        let seconds = |name, default| read_number(settings, name, default, CACHE_S_RANGE);
        let config = Self {
            apexes: read_apexes(settings)?,
            servers: read_servers(settings)?,
            enumservices: read_enumservices(settings)?,
            is_authentic_only: read_choice(settings, "dnssec", ["ignore", "require"])?,
            is_case_mixed: read_choice(settings, "case", ["plain", "mixed"])?,
            retry_ms: number("retry_ms", RETRY_MS_DEFAULT, RETRY_MS_RANGE)?,
            attempts: narrow(number("attempts", ATTEMPTS_DEFAULT, ATTEMPTS_RANGE)?),
            cache_numbers: usize::try_from(number(
                "cache_numbers",
                CACHE_NUMBERS_DEFAULT,
                CACHE_NUMBERS_RANGE,
            )?)
            .expect("in its range"),
            cache_s_max: narrow(seconds("cache_s_max", CACHE_S_DEFAULT)?),
            cache_negative_s_max: narrow(seconds("cache_negative_s_max", CACHE_NEGATIVE_S_DEFAULT)?),
            ahead: read_list(settings, "ahead")
                .map(|text| NumberBlock::parse(text.as_bytes()).map_err(|error| format!("ahead: {error}")))
                .collect::<Result<_, _>>()?,
            refreshes_per_s: number("refreshes_per_s", REFRESHES_PER_S_DEFAULT, REFRESHES_PER_S_RANGE)?,
        };
        let ahead = config.ahead.iter().map(NumberBlock::count).fold(0, u64::saturating_add);
        if ahead > AHEAD_NUMBERS_MAX || ahead * 2 > config.cache_numbers as u64 {
            return Err(format!(
                "ahead: {ahead} numbers; at most {AHEAD_NUMBERS_MAX}, and half of cache_numbers, which is {}",
                config.cache_numbers
            ));
        }
        Ok(config)
    }

    /// The servers to ask.
    ///
    /// # Errors
    /// Words for the operator if the system's cannot be read or are none.
    pub fn server_addresses(&self) -> Result<Vec<SocketAddr>, String> {
        match &self.servers {
            Servers::Listed(addresses) => Ok(addresses.clone()),
            Servers::OfSystem(path) => read_resolv_conf(path),
        }
    }
}

fn narrow(number: u64) -> u32 {
    u32::try_from(number).expect("in its range")
}

/// The values of a setting that may be written several times, or with commas between them.
fn read_list<'s>(settings: &'s Settings<'_>, name: &'s str) -> impl Iterator<Item = &'s str> {
    settings.values(name).flat_map(|value| value.split(',')).map(str::trim).filter(|value| !value.is_empty())
}

fn read_number(
    settings: &Settings<'_>,
    name: &str,
    default: u64,
    (least, most): (u64, u64),
) -> Result<u64, String> {
    let Some(text) = settings.value(name) else { return Ok(default) };
    let value = text.parse().ok().filter(|value| (least..=most).contains(value));
    value.ok_or_else(|| format!("{name}: {text:?}; give a number from {least} to {most}"))
}

/// Whether the second of two words is chosen; the first is the default.
fn read_choice(settings: &Settings<'_>, name: &str, words: [&str; 2]) -> Result<bool, String> {
    match settings.value(name) {
        None => Ok(false),
        Some(text) if text == words[0] => Ok(false),
        Some(text) if text == words[1] => Ok(true),
        Some(text) => Err(format!("{name}: {text:?}; give {} or {}", words[0], words[1])),
    }
}

/// Private ones first: who runs one knows its numbers best, and the public tree need not hear of their calls.
fn read_apexes(settings: &Settings<'_>) -> Result<Vec<Apex>, String> {
    let mut apexes = Vec::new();
    for (setting, is_private) in [("private_apex", true), ("apex", false)] {
        for text in read_list(settings, setting) {
            apexes.push(Apex { name: read_apex(setting, text, is_private)?, is_private });
        }
    }
    match apexes.len() {
        0 => Err("set apex, as in apex = \"e164.arpa\", or private_apex".to_owned()),
        count if count > APEXES_MAX => Err(format!("{count} apexes; at most {APEXES_MAX}")),
        _ => Ok(apexes),
    }
}

fn read_apex(setting: &str, text: &str, is_private: bool) -> Result<Name, String> {
    let mut name = Name::from_ascii(text)
        .ok()
        .filter(|name| !name.is_root())
        .ok_or_else(|| format!("{setting}: {text:?} is no domain name"))?;
    name.set_fqdn(true);
    // The digits of the longest number go before it.
    if name.len() > 255 - 2 * herald_core::limits::NUMBER_SIGNS_MAX {
        return Err(format!("{setting}: {text:?} is too long to put a number before it"));
    }
    // rfc6116:2-1.
    let public = Name::from_ascii("e164.arpa.").expect("a domain name");
    if is_private && public.zone_of(&name) {
        return Err(format!("{setting}: {text:?} is public (RFC 6116, section 2); set it as apex"));
    }
    Ok(name)
}

fn read_servers(settings: &Settings<'_>) -> Result<Servers, String> {
    let listed: Vec<&str> = read_list(settings, "servers").collect();
    match (settings.value("resolv_conf"), listed.len()) {
        (Some(_), 1..) => Err("set servers or resolv_conf, not both".to_owned()),
        (Some(path), 0) => Ok(Servers::OfSystem(path.to_owned())),
        (None, 1..=SERVERS_MAX) => {
            listed.into_iter().map(read_server).collect::<Result<_, _>>().map(Servers::Listed)
        }
        (None, 0) => Err("set servers to the resolvers to ask, as in servers = [\"127.0.0.1\"], or \
                          resolv_conf = \"/etc/resolv.conf\""
            .to_owned()),
        (None, count) => Err(format!("servers: {count} of them; at most {SERVERS_MAX}")),
    }
}

fn read_server(text: &str) -> Result<SocketAddr, String> {
    let address = text.parse().ok();
    let address = address.or_else(|| text.parse().ok().map(|ip: IpAddr| SocketAddr::new(ip, DNS_PORT)));
    address
        .filter(|address| address.port() != 0 && !address.ip().is_unspecified())
        .ok_or_else(|| format!("servers: {text:?}; give ADDRESS, ADDRESS:PORT or [ADDRESS]:PORT"))
}

fn read_enumservices(settings: &Settings<'_>) -> Result<Enumservices, String> {
    let services: Vec<Enumservice> = read_list(settings, "enumservices")
        .map(Enumservice::from_str)
        .collect::<Result<_, _>>()
        .map_err(|words| format!("enumservices: {words}"))?;
    match services.len() {
        0 => Ok(Enumservices::default()),
        1..=ENUMSERVICES_MAX => Ok(Enumservices::new(services)),
        count => Err(format!("enumservices: {count} of them; at most {ENUMSERVICES_MAX}")),
    }
}

fn read_resolv_conf(path: &str) -> Result<Vec<SocketAddr>, String> {
    let wrong = |what: &dyn core::fmt::Display| format!("resolv_conf {path}: {what}");
    let mut text = String::new();
    let file = File::open(path).map_err(|error| wrong(&error))?;
    let read = file.take(RESOLV_CONF_BYTES_MAX + 1).read_to_string(&mut text);
    read.map_err(|error| wrong(&error))?;
    if text.len() as u64 > RESOLV_CONF_BYTES_MAX {
        return Err(wrong(&"too long"));
    }
    let addresses = text.lines().filter_map(|line| {
        let mut words = line.split_whitespace();
        let address = words.next().filter(|word| *word == "nameserver").and_then(|_| words.next())?;
        address.parse().ok().map(|ip: IpAddr| SocketAddr::new(ip, DNS_PORT))
    });
    let addresses: Vec<SocketAddr> = addresses.take(SERVERS_MAX).collect();
    if addresses.is_empty() { Err(wrong(&"names no server")) } else { Ok(addresses) }
}

const DNS_PORT: u16 = 53;
