//! SIP requests, as they come from anybody.

use herald_stir::{Fault, Identity, Originator, SipPolicy, SipRequest};

/// Reads `data` as a request under several policies.
///
/// # Panics
/// If lenient reading refuses what strict reading takes or reads another call in it, if a canonical party is not
/// canonical, or if a request is not the same after it was written in plain form.
pub fn check(data: &[u8]) {
    let strict = SipRequest::parse(data, &SipPolicy::STRICT);
    let lenient = SipRequest::parse(data, &SipPolicy { comma_joined: false, ..SipPolicy::LENIENT });
    for fault in [&strict, &lenient].into_iter().filter_map(|result| result.as_ref().err()) {
        check_fault(fault);
    }
    if let Ok(request) = &strict {
        let lenient = lenient.as_ref().expect("lenient reading takes what strict reading takes");
        assert_eq!(reading(request), reading(lenient));
    }
    let Ok(request) = lenient else { return };
    assert!(SipRequest::is_message(data), "a request is not taken for a message");
    for party in [request.caller(), request.to(), request.target()] {
        match party {
            Ok(party) => check_party(&party),
            Err(fault) => check_fault(&fault),
        }
    }
    check_written(&request);
    check_policies(data);
}

fn check_fault(fault: &Fault) {
    assert!(matches!(fault, Fault::Sip(_) | Fault::Anonymous), "{fault:?} is not about SIP");
    assert!(!fault.to_string().is_empty());
}

type Reading = ([Result<Identity, Fault>; 3], Option<i64>, Vec<Vec<u8>>);

fn reading(request: &SipRequest<'_>) -> Reading {
    let values = request.identity_values().iter().map(|value| value.to_vec()).collect();
    ([request.caller(), request.to(), request.target()], request.date_s(), values)
}

/// A canonical party is read as itself, and Debug does not show it.
fn check_party(party: &Identity) {
    let address = match party {
        Identity::Tn(number) => format!("tel:{number}"),
        Identity::Uri(uri) => uri.clone(),
    };
    let text = format!("OPTIONS sip:a SIP/2.0\r\nTo: <{address}>\r\n\r\n");
    let again = SipRequest::parse(text.as_bytes(), &SipPolicy::STRICT).expect("one To is a request");
    assert_eq!(again.to().as_ref(), Ok(party));
    let shown = format!("{party:?}");
    assert!(
        party.number().is_none_or(|number| number.sign_count() < 4 || !shown.contains(&number.to_string()))
    );
}

/// Written without folds, abbreviations and other fields, it says the same.
fn check_written(request: &SipRequest<'_>) {
    let mut text = format!("{} sip:a SIP/2.0\r\n", request.method()).into_bytes();
    for value in request.identity_values() {
        text.extend_from_slice(b"Identity: ");
        text.extend_from_slice(value);
        text.extend_from_slice(b"\r\n");
    }
    text.extend_from_slice(b"\r\n");
    let again = SipRequest::parse(&text, &SipPolicy::STRICT).expect("what was read can be written");
    assert_eq!(again.identity_values(), request.identity_values());
}

/// Other policies change who calls and how many values there are, and nothing else.
fn check_policies(data: &[u8]) {
    let asserted = SipPolicy { originator: Originator::Asserted, ..SipPolicy::LENIENT };
    let Ok(request) = SipRequest::parse(data, &asserted) else { return };
    assert!(!format!("{request:?}").contains("sip:"), "Debug shows an address");
    if let Ok(call) = request.call_facts() {
        check_party(&call.orig);
        check_party(&call.dest);
        assert!(call.to.as_ref() != Some(&call.dest), "a call goes elsewhere and does not");
    }
}
