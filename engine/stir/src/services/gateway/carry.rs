//! PASSporTs on their way between a SIP request and a Call Placement Service: along to a new target (RFC 8946),
//! and into Identity header fields in order. It does not judge them.

use herald_core::TelephoneNumber;

use crate::error::StirError;
use crate::identity_header::IdentityHeader;
use crate::passport::{Claims, Identity, Passport, PassportType};

/// The tokens that take the call of `passports` from `from` to `to`, signed by `sign`.
///
/// Each PASSporT for `from` goes into a `div-o` of its own (RFC 8946 §5.1). A call that was diverted in band has
/// `div`s, whose originals stand beside them and not within, so there the tokens stay as they are and one more
/// `div` leads on (§4.1). `iat` is that of what is diverted (§3). PASSporTs for others than `from` are left out
/// unless a `div` leads on from them.
///
/// # Errors
/// Those of `sign`.
// rfc8816:6.2-3, rfc8946:3-3, rfc8946:3-7, rfc8946:3-8, rfc8946:4.1-3, rfc8946:4.1-6, rfc8946:4.1-8,
// rfc8946:5-1, rfc8946:5.1-1, rfc8946:5.1-2, rfc8946:6-1.
pub(super) fn divert(
    passports: &[&Passport],
    from: TelephoneNumber,
    to: TelephoneNumber,
    sign: &dyn Fn(&Claims) -> Result<String, StirError>,
) -> Result<Vec<String>, StirError> {
    let from = Identity::Tn(from);
    let is_div = |passport: &&&Passport| matches!(passport.claims().kind, PassportType::Div { .. });
    let for_it = passports.iter().filter(|passport| passport.claims().dest.contains(&from));
    let signed = |passport: &Passport, kind| {
        let (orig, iat_s) = (passport.claims().orig.clone(), passport.claims().iat_s);
        sign(&Claims { kind, ..Claims::base(orig, to.into(), iat_s) })
    };
    if let Some(last) = for_it.clone().find(is_div) {
        let mut tokens: Vec<String> = passports.iter().map(|passport| passport.to_token()).collect();
        tokens.push(signed(last, PassportType::Div { from })?);
        return Ok(tokens);
    }
    for_it
        .map(|passport| signed(passport, PassportType::DivO { from: from.clone(), opt: passport.to_token() }))
        .collect()
}

/// The values of the Identity header fields that `passports` need in a request that carries `present` already:
/// those that are no `div` first, then each `div` behind what it diverted (RFC 8946 §4.2: order must not matter,
/// and yet a log is read from above). The same statement is never written twice, whatever its signature. Also returns how many no field can carry.
pub(super) fn header_values(passports: &[&Passport], present: &[&Passport]) -> (Vec<String>, usize) {
    let mut ordered: Vec<&Passport> = Vec::new();
    let mut rest: Vec<&Passport> = Vec::new();
    for (index, passport) in passports.iter().enumerate() {
        let says_the_same = |other: &&&Passport| other.signing_input() == passport.signing_input();
        if present.iter().chain(&passports[..index]).any(|other| says_the_same(&other)) {
            continue;
        }
        let is_div = matches!(passport.claims().kind, PassportType::Div { .. });
        if is_div { rest.push(passport) } else { ordered.push(passport) }
    }
    while !rest.is_empty() {
        let leads_on = |div: &&Passport| {
            let from = div.claims().kind.diverter();
            let known = ordered.iter().chain(present);
            from.is_some_and(|from| known.clone().any(|earlier| earlier.claims().dest.contains(from)))
        };
        // A div whose chain is not there comes last, in the order in which it was found.
        let next = rest.iter().position(leads_on).unwrap_or(0);
        ordered.push(rest.remove(next));
    }
    let count = ordered.len();
    let values: Vec<_> = ordered.into_iter().filter_map(IdentityHeader::write).collect();
    let left_out_count = count - values.len();
    (values, left_out_count)
}
