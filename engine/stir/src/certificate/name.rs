//! Distinguished names made comparable (RFC 5280 §7.1): the same name may be written with other string types,
//! case and white space. A revocation must not be missed for that.

use super::tlv::{self, tag};

/// A form of a DER Name that is equal for equal names. `None` if it is not a Name.
pub(super) fn comparable(name: &[u8]) -> Option<Vec<u8>> {
    let mut out = Vec::new();
    let mut parts = tlv::only(name, tag::SEQUENCE)?;
    while !parts.is_empty() {
        let mut set = tlv::expect(&mut parts, tag::SET)?;
        let mut attributes = Vec::new();
        while !set.is_empty() {
            let mut attribute = tlv::expect(&mut set, tag::SEQUENCE)?;
            let kind = tlv::expect(&mut attribute, tag::OID)?;
            let (value_tag, value) = tlv::take(&mut attribute)?;
            let mut comparable = Vec::new();
            tlv::put(&mut comparable, tag::OID, kind);
            match value_tag {
                tag::UTF8_STRING | tag::PRINTABLE_STRING | tag::TELETEX_STRING | tag::IA5_STRING => {
                    tlv::put(&mut comparable, tag::UTF8_STRING, &folded(value));
                }
                other => tlv::put(&mut comparable, other, value),
            }
            attributes.push(comparable);
        }
        attributes.sort();
        tlv::put(&mut out, tag::SET, &attributes.concat());
    }
    Some(out)
}

/// Lower case, one space between words, none at the ends.
fn folded(text: &[u8]) -> Vec<u8> {
    let words = text.split(|byte| *byte == b' ').filter(|word| !word.is_empty());
    words.map(<[u8]>::to_ascii_lowercase).collect::<Vec<_>>().join(&b' ')
}
