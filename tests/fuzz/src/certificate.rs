//! Certificates and the lists of numbers in them (RFC 8226 §9), as they come with a call.
//!
//! An input is read as both. One that begins with `S` is a script for a list (see [`write_list`]), so that lengths that
//! hang together are changed together.

use herald_stir::{CertificateChain, Coverage, TnAuthList, TnEntry};

const SEQUENCE: u8 = 0x30;
const IA5_STRING: u8 = 0x16;
const INTEGER: u8 = 0x02;
/// The bit of a tag that says that there are values within.
const CONSTRUCTED: u8 = 0x20;
/// Values within values above the fields of a range: list, entry, range.
const FIELDS_DEPTH: usize = 3;

/// Reads `data` as a TNAuthList and as a certificate.
///
/// # Panics
/// If a list is taken that is not DER, or is not the same after it was written and read again.
pub fn check(data: &[u8]) {
    if let Some((b'S', script)) = data.split_first() {
        check_numbers(&write_list(script));
        return;
    }
    check_numbers(data);
    check_certificate(data);
}

/// A list as `script` says: for each entry a byte for its kind, one for the forms of its lengths, one for how many bytes
/// of content follow, and these. In a range a `,` stands between start and count.
fn write_list(mut script: &[u8]) -> Vec<u8> {
    let mut entries = Vec::new();
    while let Some((&[kind, form, length], rest)) = script.split_first_chunk() {
        let (content, rest) = rest.split_at(usize::from(length).min(rest.len()));
        let tag = 0xa0 | (kind & 3);
        let inner = match (kind & 3, split_at_comma(content)) {
            (1, Some((start, count))) => {
                let fields = [value(IA5_STRING, form >> 6, start), value(INTEGER, form >> 4, count)].concat();
                value(SEQUENCE, form >> 2, &fields)
            }
            _ => value(IA5_STRING, form >> 2, content),
        };
        entries.extend(value(tag, form, &inner));
        script = rest;
    }
    value(SEQUENCE, 0, &entries)
}

/// A value with its length in the shortest form (0), in one, two or three bytes behind a count.
fn value(tag: u8, form: u8, content: &[u8]) -> Vec<u8> {
    let length = u32::try_from(content.len()).expect("an input is small").to_be_bytes();
    let needed = length.iter().skip_while(|&&byte| byte == 0).count();
    let used = match form & 3 {
        0 if content.len() < 0x80 => return [&[tag, length[3]], content].concat(),
        0 => needed,
        form => usize::from(form).max(needed),
    };
    let count = u8::try_from(used).expect("four bytes at most");
    [&[tag, 0x80 | count], &length[4 - used..], content].concat()
}

fn split_at_comma(content: &[u8]) -> Option<(&[u8], &[u8])> {
    let comma = content.iter().position(|&byte| byte == b',')?;
    Some((&content[..comma], &content[comma + 1..]))
}

/// DER has one form, but a range may be followed by what later standards add, which is dropped.
fn check_numbers(der: &[u8]) {
    let Ok(list) = TnAuthList::from_der(der) else { return };
    let written = list.to_der();
    assert_eq!(TnAuthList::from_der(&written), Ok(list.clone()));
    let has_range = list.entries().iter().any(|entry| matches!(entry, TnEntry::Range(_)));
    assert!(written == der || has_range && written.len() < der.len(), "another list of the same bytes");
    assert!(is_shortest(der, 0), "what was taken is BER, not DER");
    for entry in list.entries() {
        match entry {
            TnEntry::Spc(spc) => assert!(list.spcs().any(|listed| listed == spc)),
            TnEntry::Range(range) => {
                assert!(range.count() > 0 && range.contains(range.start()));
                assert_eq!(list.coverage(range.start()), Coverage::Covered);
            }
            TnEntry::One(number) => assert_eq!(list.coverage(*number), Coverage::Covered),
        }
    }
}

/// Whether every length in `der` has its shortest form (X.690 §10.1), down to start and count of a range, and the count
/// too (§8.3.2). What stands behind those is not looked into.
fn is_shortest(mut der: &[u8], depth: usize) -> bool {
    let mut index = 0;
    while let [tag, first, rest @ ..] = der {
        let count = if *first < 0x80 { 0 } else { usize::from(first & 0x7f) };
        let Some((bytes, rest)) = rest.split_at_checked(count) else { return false };
        let length = bytes.iter().fold(0, |length, &byte| length << 8 | usize::from(byte));
        let length = if count == 0 { usize::from(*first) } else { length };
        let short = count == 0 || length >= 0x80 && bytes[0] != 0;
        let Some((content, rest)) = rest.split_at_checked(length) else { return false };
        let whole = match *tag {
            tag if tag & CONSTRUCTED != 0 && depth < FIELDS_DEPTH => is_shortest(content, depth + 1),
            INTEGER if depth == FIELDS_DEPTH && index == 1 => {
                !matches!(content, [] | [0, 0..=0x7f, ..] | [0xff, 0x80..=0xff, ..])
            }
            _ => true,
        };
        if !(short && whole) {
            return false;
        }
        der = rest;
        index += 1;
    }
    der.is_empty()
}

fn check_certificate(data: &[u8]) {
    let der = [data.to_vec()];
    for chain in [CertificateChain::from_der(&der), CertificateChain::from_pem(data)] {
        match chain {
            Ok(chain) => {
                // Each is an answer or a fault; neither may depend on the order they are asked in.
                let (key, numbers) = (chain.signer_key().is_ok(), chain.signer_numbers().is_ok());
                assert_eq!((chain.signer_key().is_ok(), chain.signer_numbers().is_ok()), (key, numbers));
            }
            Err(fault) => assert!(!fault.to_string().is_empty()),
        }
    }
}
