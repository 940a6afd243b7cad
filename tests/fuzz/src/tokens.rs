//! Requests and responses of rate-voprf: whatever is made of an honest one, a request is answered only if a plain reader
//! says how many tokens it is for and its elements are in the one form they have, and no other response is taken.
//!
//! An input is an edit: the first byte says which plugin and which message, two more where, one how much is taken out
//! there, and the rest is put in.

use std::sync::LazyLock;

use herald_plugin_sdk::harness::{RateControl, Stage};
use herald_plugin_sdk::{KeyHandle, Mode, RateControl as _, Want, rate_control_entry};
use herald_rate_voprf::{P384, Ristretto255, Suite, Voprf};
use voprf_ng::BlindedElement;

const KEY: KeyHandle = KeyHandle(1);
/// Tokens in the honest request of a batch.
const BATCH_COUNT: u32 = 3;

/// Edits an honest message by `data`, and sends it.
///
/// # Panics
/// If a malformed message is taken, or one is counted otherwise than a plain reader does.
pub fn check(data: &[u8]) {
    static BATCH: LazyLock<Honest> = LazyLock::new(Honest::of::<Ristretto255>);
    static SINGLE: LazyLock<Honest> = LazyLock::new(Honest::of::<P384>);
    let [mode, edit @ ..] = data else { return };
    match mode & 3 {
        0 => BATCH.check_request::<Ristretto255>(edit),
        1 => BATCH.check_response(edit),
        2 => SINGLE.check_request::<P384>(edit),
        _ => SINGLE.check_response(edit),
    }
}

/// A plugin with a key, and an exchange that holds.
struct Honest {
    plugin: RateControl,
    request: Vec<u8>,
    state: Vec<u8>,
    response: Vec<u8>,
}

impl Honest {
    fn of<S: Suite>() -> Self {
        let mut last = 0_u8;
        // Below the order of both groups, in either byte order.
        let stage = Stage::with_random(move |out| {
            last = last.wrapping_add(1);
            out.fill(last & 7 | 1);
        });
        let plugin = RateControl::open_on(stage, rate_control_entry::<Voprf<S>>, &[]).expect("it opens");
        let key = plugin.key_make().expect("a key is made");
        plugin.key_add(KEY, &key.secret).expect("the key is good");
        let wanted = Want {
            mode: Mode::Bearer,
            count: Voprf::<S>::COUNT_MAX.min(BATCH_COUNT) as usize,
            public_key: &key.public_key,
            agreement_key: &[],
            challenge_digest: &[7; 32],
        };
        let (request, state) = plugin.request(&wanted).expect("the key is good");
        let response = plugin.issue(KEY, &request).expect("the request is good");
        plugin.finish(&state, &response).expect("the response is good");
        Self { plugin, request, state: state.to_vec(), response }
    }

    fn check_request<S: Suite>(&self, edit: &[u8]) {
        let request = edited(&self.request, edit);
        let elements = elements::<S>(&request);
        let count = elements.map_or(0, |elements| elements.len() / S::ELEMENT_BYTES);
        assert_eq!(
            self.plugin.request_count(&request) as usize,
            count,
            "counted otherwise by a plain reader"
        );
        let Ok(response) = self.plugin.issue(KEY, &request) else {
            return assert_ne!(request, self.request, "an honest request is refused");
        };
        assert_eq!(request[2], self.request[2], "a request for another key is answered");
        let elements = elements.expect("what is answered was counted");
        for element in elements.chunks(S::ELEMENT_BYTES) {
            let read = BlindedElement::<S>::deserialize(element).expect("what is answered is an element");
            assert_eq!(read.serialize()[..], *element, "an element in a second form is answered");
        }
        let head_bytes = request.len() - 3 - elements.len();
        assert_eq!(response.len(), head_bytes + elements.len() + 2 * S::SCALAR_BYTES);
    }

    fn check_response(&self, edit: &[u8]) {
        let response = edited(&self.response, edit);
        let is_taken = self.plugin.finish(&self.state, &response).is_ok();
        assert_eq!(is_taken, response == self.response, "only the honest response is to be taken");
    }
}

fn edited(honest: &[u8], edit: &[u8]) -> Vec<u8> {
    let [high, low, removed, inserted @ ..] = edit else { return honest.to_vec() };
    let at = usize::from(u16::from_be_bytes([*high, *low])).min(honest.len());
    let rest = (at + usize::from(*removed)).min(honest.len());
    [&honest[..at], inserted, &honest[rest..]].concat()
}

/// The plain reader: the elements of a request, from the words of RFC 9578 §5.1 and of the draft on batches.
fn elements<S: Suite>(request: &[u8]) -> Option<&[u8]> {
    let list = request.strip_prefix(&S::TOKEN_TYPE.to_be_bytes())?.get(1..)?;
    let elements = match (Voprf::<S>::COUNT_MAX, list.first()?) {
        (1, _) => return Some(list).filter(|list| list.len() == S::ELEMENT_BYTES),
        (_, ..0x40) => &list[1..],
        (_, 0x40..0x80) => list.get(2..)?,
        _ => return None,
    };
    let said = match list.len() - elements.len() {
        1 => usize::from(list[0]),
        _ => usize::from(list[0] & 0x3f) * 256 + usize::from(list[1]),
    };
    let is_shortest = said > 0x3f || list.len() - elements.len() == 1;
    let count = elements.len() / S::ELEMENT_BYTES;
    let is_list = said == elements.len() && said % S::ELEMENT_BYTES == 0 && is_shortest;
    (is_list && (1..=Voprf::<S>::COUNT_MAX as usize).contains(&count)).then_some(elements)
}
