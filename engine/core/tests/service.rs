//! The HTTP interface of RFC 8816 §9 as the service answers it, exchange by exchange.

mod common;

use std::collections::BTreeSet;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use common::{House, Rng, number};
use herald_core::limits::{
    BLOCK_ANSWER_BYTES_MAX, BODY_BUCKETS_BYTES, BODY_BYTES_MAX, RECORDS_PER_NUMBER_BLUR,
    RECORDS_PER_NUMBER_MAX, RETENTION_DEFAULT_MS, RETRY_AFTER_S, TARGET_BYTES_MAX,
};
use herald_core::{Answer, Effect, Problem, Request, Response, Storing};
use serde_json::Value;

const COLLECTION: &str = "/cps/22225552222/ppts";

/// The encrypted PASSporT as RFC 8816 §9 prints it.
const RFC_8816_SECTION_9_BODY: &str = "\
    rlWuoTpvBvWSHmV1AvVfVaE5pPV6VaOup3Ajo3W0VvjvrQI1VwbvnUE0pUZ6Yl9w\
    MKW0YzI4LJ1joTHho3WaY3Oup3Ajo3W0YzAypvW9rlWxMKA0Vwc7VaIlnFV6JlWm\
    nKN6LJkcL2INMKuuoKOfMF5wo20vKK0fVzyuqPV6VwR0AQZlZQtmAQHvYPWipzyaV\
    wc7VaEhVwbvZGVkAGH1AGRlZGVvsK0ed3cwG1ubEjnxRTwUPaJFjHafuq0-mW6S1\
    IBtSJFwUOe8Dwcwyx-pcSLcSLfbwAPcGmB3DsCBypxTnF6uRpx7j";

/// The RFC's example, padded as a sealing client pads: to the smallest size taken.
fn rfc_body() -> Vec<u8> {
    let mut body = RFC_8816_SECTION_9_BODY.as_bytes().to_vec();
    body.resize(BODY_BUCKETS_BYTES[0], b'=');
    body
}

fn sealed(seed: u64, bytes: usize) -> Vec<u8> {
    let mut body = vec![0; bytes];
    Rng::new(seed).fill(&mut body);
    body
}

fn get(target: &str) -> Request<'_> {
    Request { method: "GET", target, authority: Some("cps.example.com"), ..Request::default() }
}

fn post<'a>(target: &'a str, body: &'a [u8]) -> Request<'a> {
    Request { method: "POST", content_type: Some("application/passport"), body, ..get(target) }
}

/// Stores `body` and gives the path of the new item.
fn stored(house: &mut House, target: &str, body: &[u8]) -> String {
    let answer = house.ask(&post(target, body));
    assert_eq!((answer.response.status, answer.effect), (201, Effect::MakeDurable), "{target}");
    answer.response.header("location").expect("a location").to_owned()
}

fn fetched(house: &mut House, target: &str) -> Response {
    let answer = house.ask(&get(target));
    assert_eq!((answer.response.status, answer.effect), (200, Effect::None), "{target}");
    answer.response
}

fn json(response: &Response) -> Value {
    serde_json::from_slice(&response.body).expect("the body is JSON")
}

fn listed(house: &mut House, target: &str) -> Vec<String> {
    let response = fetched(house, target);
    assert_eq!(response.header("content-type"), Some("application/json"));
    let list = json(&response);
    assert_eq!(list.get("truncated"), None, "of {target}");
    let paths = list["ppts"].as_array().expect("an array");
    paths.iter().map(|path| path.as_str().expect("a path").to_owned()).collect()
}

/// Asserts that the answer is a well-formed refusal with `status`, and gives its members.
fn refusal(answer: &Answer, status: u16, about: &str) -> Value {
    let response = &answer.response;
    assert_eq!((response.status, answer.effect), (status, Effect::None), "{about}");
    assert_eq!(response.header("content-type"), Some("application/problem+json"), "{about}");
    let problem = json(response);
    assert_eq!(problem["status"], status, "{about}");
    assert!(problem["type"].as_str().expect("a type").starts_with("urn:herald:problem:"), "{about}");
    for member in ["title", "detail"] {
        assert!(!problem[member].as_str().expect("a text").is_empty(), "{about}: {member}");
    }
    problem
}

#[test]
fn the_example_of_rfc_8816_section_9_plays_as_printed() {
    let mut house = House::new(1);
    let body = rfc_body();
    let location = stored(&mut house, "/cps/2.222.555.2222/ppts", &body);
    assert!(location.starts_with("/cps/22225552222/ppts/"), "{location}");

    let list = listed(&mut house, "/cps/2.222.555.2222/ppts");
    assert!(list.contains(&location));
    assert!(list.len() > 1, "cover is listed too");

    let item = fetched(&mut house, &format!("{location}/"));
    assert_eq!(item.header("content-type"), Some("application/passport"));
    assert_eq!(
        item.header("link"),
        Some("<https://cps.example.com/cps/22225552222/ppts>; rel=\"collection\"")
    );
    assert_eq!(item.body, body);
    assert_eq!(fetched(&mut house, &location), item, "with and without the last slash");
    let dotted = location.replace("22225552222", "2.222.555.2222");
    assert_eq!(fetched(&mut house, &dotted), item, "with dots as with the canonical number");
}

#[test]
fn the_example_body_as_printed_has_a_size_that_tells_and_is_refused() {
    let mut house = House::new(1);
    let answer = house.ask(&post("/cps/2.222.555.2222/ppts", RFC_8816_SECTION_9_BODY.as_bytes()));
    refusal(&answer, 422, "329 bytes are no bucket");
}

#[test]
fn every_way_to_write_a_number_reaches_the_same_placements() {
    let mut house = House::new(2);
    let location = stored(&mut house, "/cps/+1%20(222)%20555.2222/ppts", &rfc_body());
    for written in ["12225552222", "+12225552222", "%2B1.222.555.2222", "1.222.555.2222"] {
        assert!(listed(&mut house, &format!("/cps/{written}/ppts")).contains(&location), "{written}");
        assert!(listed(&mut house, &format!("/cps/{written}/ppts/")).contains(&location), "{written}");
    }
    assert!(!listed(&mut house, "/cps/12225552223/ppts").contains(&location));
}

#[test]
fn numbers_with_a_hash_sign_come_back_as_links_that_work() {
    let mut house = House::new(3);
    let location = stored(&mut house, "/cps/%2331%23/ppts", &rfc_body());
    assert!(location.starts_with("/cps/%2331%23/ppts/"), "{location}");
    let item = fetched(&mut house, &location);
    assert_eq!(item.body, rfc_body());
    assert_eq!(item.header("link"), Some("<https://cps.example.com/cps/%2331%23/ppts>; rel=\"collection\""));
}

// rfc8816:7.5-1.
#[test]
fn every_listed_item_can_be_fetched_and_expires_with_its_retention() {
    let mut house = House::new(4);
    let location = stored(&mut house, COLLECTION, &rfc_body());
    for path in listed(&mut house, COLLECTION) {
        assert!(BODY_BUCKETS_BYTES.contains(&fetched(&mut house, &path).body.len()), "{path}");
    }
    house.pass_millis(RETENTION_DEFAULT_MS - 1);
    assert_eq!(fetched(&mut house, &location).body, rfc_body());
    house.pass_millis(1);
    let problem = refusal(&house.ask(&get(&location)), 404, "an expired item");
    assert_eq!(problem["type"], "urn:herald:problem:item");
    assert!(!listed(&mut house, COLLECTION).contains(&location));
}

#[test]
fn the_list_comes_in_the_form_the_client_prefers() {
    const JSON: Option<&str> = Some("application/json");
    const URIS: Option<&str> = Some("text/uri-list");
    for (accept, expected) in [
        (None, JSON),
        (Some("*/*"), JSON),
        (Some("application/json"), JSON),
        (Some("application/*"), JSON),
        (Some("APPLICATION/JSON"), JSON),
        (Some("text/uri-list"), URIS),
        (Some("text/*"), URIS),
        (Some("text/uri-list, application/json"), JSON),
        (Some("text/uri-list, application/json;q=0.9"), URIS),
        (Some("text/uri-list;q=0.001"), URIS),
        (Some("application/json;q=0, */*"), URIS),
        (Some("application/json; q=0, text/*;q=0.5"), URIS),
        (Some("*/*;q=0.1, text/uri-list;q=0.2"), URIS),
        (Some("text/*;q=0, text/uri-list"), URIS),
        (Some("text/html, */*;q=0.1"), JSON),
        (Some("text/html"), None),
        (Some("application/passport"), None),
        (Some("application/json;q=0"), None),
        (Some("*/*;q=0"), None),
        (Some("application/json;q=0.0, text/uri-list;Q=0"), None),
        (Some("application/json;q=high"), None),
    ] {
        let mut house = House::new(5);
        let answer = house.ask(&Request { accept, ..get(COLLECTION) });
        match expected {
            Some(_) => assert_eq!(answer.response.header("content-type"), expected, "{accept:?}"),
            None => {
                let problem = refusal(&answer, 406, accept.unwrap_or(""));
                assert_eq!(problem["detail"], "this resource is offered as application/json, text/uri-list");
            }
        }
    }
}

#[test]
fn items_and_inline_lists_mind_accept_too() {
    let mut house = House::new(5);
    let location = stored(&mut house, COLLECTION, &rfc_body());
    let inline = format!("{COLLECTION}?inline=1");
    for (target, accept, status) in [
        (location.as_str(), "application/passport", 200),
        (location.as_str(), "application/*;q=0.1", 200),
        (location.as_str(), "application/json", 406),
        (location.as_str(), "*/*, application/passport;q=0", 406),
        (inline.as_str(), "application/json", 200),
        (inline.as_str(), "text/uri-list", 406),
    ] {
        let answer = house.ask(&Request { accept: Some(accept), ..get(target) });
        assert_eq!(answer.response.status, status, "{target} as {accept}");
        if status == 406 {
            refusal(&answer, 406, accept);
        }
    }
}

#[test]
fn the_uri_list_holds_absolute_links_to_the_same_items() {
    let mut house = House::new(6);
    stored(&mut house, COLLECTION, &rfc_body());
    let paths = listed(&mut house, COLLECTION);
    for (authority, prefix) in [(Some("cps.example.com:8443"), "https://cps.example.com:8443"), (None, "")] {
        let request = Request { accept: Some("text/uri-list"), authority, ..get(COLLECTION) };
        let text = String::from_utf8(house.ask(&request).response.body).expect("text");
        let expected: String = paths.iter().map(|path| format!("{prefix}{path}\r\n")).collect();
        assert_eq!(text, expected);
    }
}

#[test]
fn the_inline_list_is_the_list_and_its_items_in_one() {
    let mut house = House::new(7);
    for (seed, bytes) in (0..).zip(BODY_BUCKETS_BYTES) {
        stored(&mut house, COLLECTION, &sealed(seed, bytes));
    }
    let inline = json(&fetched(&mut house, &format!("{COLLECTION}?inline=1")));
    let inline: Vec<(String, Vec<u8>)> = inline["ppts"]
        .as_array()
        .expect("an array")
        .iter()
        .map(|item| {
            let text = |member: &str| item[member].as_str().expect("a text").to_owned();
            (text("href"), URL_SAFE_NO_PAD.decode(text("passport")).expect("base64url"))
        })
        .collect();
    let separately: Vec<_> = listed(&mut house, COLLECTION)
        .into_iter()
        .map(|path| {
            let body = fetched(&mut house, &path).body;
            (path, body)
        })
        .collect();
    assert!(separately.len() > BODY_BUCKETS_BYTES.len());
    assert_eq!(inline, separately);
}

#[test]
fn head_answers_what_get_would() {
    let mut house = House::new(8);
    let location = stored(&mut house, COLLECTION, &rfc_body());
    for target in [COLLECTION, &format!("{COLLECTION}?inline=1"), &location, "/health", "/cps/1/ppts/0"] {
        let got = house.ask(&get(target));
        assert_eq!(house.ask(&Request { method: "HEAD", ..get(target) }), got, "{target}");
    }
}

#[test]
fn other_methods_are_answered_with_those_that_work() {
    let mut house = House::new(9);
    let location = stored(&mut house, COLLECTION, &rfc_body());
    for (target, allowed) in [
        (COLLECTION, "GET, HEAD, POST"),
        ("/cps/12225550100-10/ppts", "GET, HEAD"),
        ("/cps/122255501xx/ppts", "GET, HEAD"),
        (&location, "GET, HEAD"),
        ("/health", "GET, HEAD"),
    ] {
        for method in ["PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "CONNECT", "get", "", "POST"] {
            if method == "POST" && allowed.contains("POST") {
                continue;
            }
            let answer = house.ask(&Request { method, ..post(target, &rfc_body()) });
            refusal(&answer, 405, method);
            assert_eq!(answer.response.header("allow"), Some(allowed), "{method} {target}");
        }
    }
}

#[test]
fn only_a_passport_of_an_allowed_size_is_stored() {
    let mut house = House::new(10);
    let body = rfc_body();
    for content_type in
        ["application/passport", "Application/PASSporT", "application/passport; charset=binary"]
    {
        let request = Request { content_type: Some(content_type), ..post(COLLECTION, &body) };
        assert_eq!(house.ask(&request).response.status, 201, "{content_type}");
    }
    for content_type in [None, Some(""), Some("application/json"), Some("application/passports")] {
        let request = Request { content_type, ..post(COLLECTION, &body) };
        refusal(&house.ask(&request), 415, content_type.unwrap_or("none"));
    }
    for bytes in BODY_BUCKETS_BYTES {
        stored(&mut house, COLLECTION, &sealed(1, bytes));
        for (wrong, status) in
            [(bytes - 1, 422), (bytes + 1, if bytes == BODY_BYTES_MAX { 413 } else { 422 })]
        {
            let problem = refusal(&house.ask(&post(COLLECTION, &sealed(1, wrong))), status, "a body");
            assert_eq!(problem["allowed_bytes"], serde_json::json!(BODY_BUCKETS_BYTES), "{wrong} bytes");
        }
    }
    refusal(&house.ask(&post(COLLECTION, b"")), 422, "no body");
}

#[test]
fn a_faulty_number_is_answered_with_its_position() {
    let mut house = House::new(11);
    for (segment, position) in [("", 0), ("12a", 2), ("1234567890123456", 15), ("12%zz", 2), ("2,2", 1)] {
        for target in
            [format!("/cps/{segment}/ppts"), format!("/cps/{segment}/ppts/00000000000000000000000000000000")]
        {
            let problem = refusal(&house.ask(&get(&target)), 400, &target);
            assert_eq!(problem["position"], position, "{target}");
            assert_eq!(problem["type"], "urn:herald:problem:number");
        }
        let target = format!("/cps/{segment}/ppts");
        assert_eq!(refusal(&house.ask(&post(&target, &rfc_body())), 400, &target)["position"], position);
    }
}

#[test]
fn unknown_places_ids_and_queries_are_told_apart() {
    let mut house = House::new(12);
    let missing = format!("{COLLECTION}/{}", "0".repeat(32));
    for (target, status, kind) in [
        ("/", 404, "resource"),
        ("", 404, "resource"),
        ("*", 404, "resource"),
        ("/cps", 404, "resource"),
        ("/cps/12225552222", 404, "resource"),
        ("/cps/12225552222/", 404, "resource"),
        ("/cps/12225552222/pptsx", 404, "resource"),
        ("/CPS/12225552222/ppts", 404, "resource"),
        ("/cps/12225552222/ppts/0/1", 404, "resource"),
        ("/health/", 404, "resource"),
        ("/healthy", 404, "resource"),
        (&missing, 404, "item"),
        (&format!("{missing}/"), 404, "item"),
        ("/cps/12225552222/ppts/ppt1", 400, "id"),
        (&missing[..missing.len() - 1], 400, "id"),
        (&format!("{missing}0"), 400, "id"),
        (&format!("{COLLECTION}/{}", "A".repeat(32)), 400, "id"),
        ("/cps/12225552222/ppts//", 400, "id"),
        (&format!("{COLLECTION}?inline=0"), 400, "query"),
        (&format!("{COLLECTION}?inline=1&inline=1"), 400, "query"),
        (&format!("{COLLECTION}?limit=5"), 400, "query"),
        (&format!("{missing}?inline=1"), 400, "query"),
        ("/health?verbose", 400, "query"),
    ] {
        let problem = refusal(&house.ask(&get(target)), status, target);
        assert_eq!(problem["type"], format!("urn:herald:problem:{kind}"), "{target}");
    }
    let target = format!("{COLLECTION}?inline=1");
    refusal(&house.ask(&post(&target, &rfc_body())), 400, "a store takes no query");
    fetched(&mut house, &format!("{COLLECTION}?"));
}

#[test]
fn a_target_is_read_up_to_its_bound_and_no_further() {
    let mut house = House::new(13);
    let target = format!("/{}", "1".repeat(TARGET_BYTES_MAX));
    refusal(&house.ask(&get(&target)), 414, "one byte too many");
    refusal(&house.ask(&get(&target[..TARGET_BYTES_MAX])), 404, "just short enough");
}

#[test]
fn a_block_lists_what_its_numbers_list() {
    let mut house = House::new(14);
    for suffix in [0, 3, 3, 7, 10] {
        stored(&mut house, &format!("/cps/{}/ppts", 12_225_550_100u64 + suffix), &rfc_body());
    }
    let singly: Vec<String> = (12_225_550_100u64..12_225_550_110)
        .flat_map(|number| listed(&mut house, &format!("/cps/{number}/ppts")))
        .collect();
    assert!(singly.len() >= 14);
    for block in ["12225550100-10", "1222555010x", "1.222.555.010X"] {
        assert_eq!(listed(&mut house, &format!("/cps/{block}/ppts")), singly, "{block}");
    }
}

#[test]
fn a_number_that_could_be_a_block_is_refused_and_not_guessed() {
    let mut house = House::new(14);
    for segment in ["+1%20(222)%20555-2222", "555-2222"] {
        let target = format!("/cps/{segment}/ppts");
        assert_eq!(refusal(&house.ask(&get(&target)), 400, segment)["type"], "urn:herald:problem:block");
        refusal(&house.ask(&post(&target, &rfc_body())), 405, segment);
    }
    let location = stored(&mut house, "/cps/1-222-555-2222/ppts", &rfc_body());
    assert!(listed(&mut house, "/cps/1-2225552222/ppts").contains(&location));
}

#[test]
fn blocks_are_bounded_and_only_listed() {
    let mut house = House::new(15);
    for (block, status) in [
        ("12225550100-100", 200),
        ("12225550100-101", 400),
        ("12225550xxx", 400),
        ("99-2", 400),
        ("1-0", 400),
    ] {
        let answer = house.ask(&get(&format!("/cps/{block}/ppts")));
        assert_eq!(answer.response.status, status, "{block}");
        if status == 400 {
            assert_eq!(refusal(&answer, 400, block)["type"], "urn:herald:problem:block");
        }
    }
    let problem = refusal(&house.ask(&get("/cps/1222555xxxx/ppts")), 400, "10000 numbers");
    assert_eq!(problem["numbers_max"], 100);
    refusal(&house.ask(&get("/cps/12225550100-10/ppts?inline=1")), 400, "bodies of a block");
    let answer = house.ask(&post("/cps/12225550100-10/ppts", &rfc_body()));
    refusal(&answer, 405, "a store under a block");
}

#[test]
fn a_block_of_quiet_numbers_fits_one_answer() {
    let mut house = House::new(16);
    let paths = listed(&mut house, "/cps/122255501xx/ppts");
    let numbers: BTreeSet<_> = paths.iter().map(|path| path.split('/').nth(2)).collect();
    assert_eq!(numbers.len(), 100);
}

#[test]
fn a_busy_block_is_cut_at_its_bound_and_says_so() {
    let longest = "a".repeat(253) + ":65535";
    for (accept, mark) in [("application/json", "\"truncated\":true"), ("text/uri-list", "# truncated\r\n")] {
        for authority in [None, Some("cps.example.com"), Some(longest.as_str())] {
            let mut house = House::new(17);
            for number in 12_225_550_100u64..12_225_550_120 {
                for _ in 0..RECORDS_PER_NUMBER_MAX - RECORDS_PER_NUMBER_MAX / RECORDS_PER_NUMBER_BLUR {
                    let number = common::number(&number.to_string());
                    let kept = house.service.store(&mut house.store, number, &rfc_body(), house.now);
                    kept.expect("room for it");
                }
            }
            let request = Request { accept: Some(accept), authority, ..get("/cps/12225550100-20/ppts") };
            let response = house.ask(&request).response;
            let text = String::from_utf8(response.body).expect("text");
            assert_eq!(response.status, 200);
            assert!(text.contains(mark), "{accept} {authority:?}");
            assert!(text.len() <= BLOCK_ANSWER_BYTES_MAX, "{} bytes of {accept} {authority:?}", text.len());
            assert!(
                text.len() > BLOCK_ANSWER_BYTES_MAX - 512,
                "{} bytes of {accept} {authority:?}",
                text.len()
            );
        }
    }
}

#[test]
fn a_disk_that_cannot_be_written_stops_stores_and_nothing_else() {
    let mut house = House::new(18);
    let location = stored(&mut house, COLLECTION, &rfc_body());
    let health = json(&fetched(&mut house, "/health"));
    assert_eq!(health, serde_json::json!({ "status": 200, "message": "OK" }));
    house.storing = Storing::Impossible;
    let answer = house.ask(&post(COLLECTION, &rfc_body()));
    refusal(&answer, 503, "a store");
    assert_eq!(answer.response.header("retry-after"), Some(RETRY_AFTER_S.to_string().as_str()));
    assert_eq!(answer.response, Problem::Unavailable.response());
    let health = house.ask(&get("/health"));
    assert_eq!(health.response.status, 503);
    assert_eq!(json(&health.response)["status"], 503);
    assert_eq!(fetched(&mut house, &location).body, rfc_body());
    assert!(listed(&mut house, COLLECTION).contains(&location));
    house.storing = Storing::Possible;
    stored(&mut house, COLLECTION, &rfc_body());
}

#[test]
fn a_full_store_and_a_full_number_are_told_to_come_back() {
    let mut house = House::new(19);
    house.store.full = true;
    let answer = house.ask(&post(COLLECTION, &rfc_body()));
    refusal(&answer, 503, "a full store");
    assert_eq!(answer.response.header("retry-after"), Some("5"));
    house.store.full = false;
    let kept = (0..).take_while(|_| house.ask(&post(COLLECTION, &rfc_body())).response.status == 201).count();
    let most = usize::try_from(RECORDS_PER_NUMBER_MAX).expect("a small bound");
    assert!((most * 3 / 4..=most).contains(&kept), "{kept} placements of one number");
    let answer = house.ask(&post(COLLECTION, &rfc_body()));
    refusal(&answer, 503, "a full number");
    assert_eq!(answer.response.header("retry-after"), Some("5"));
    stored(&mut house, "/cps/12225559999/ppts", &rfc_body());
    house.pass_millis(RETENTION_DEFAULT_MS);
    stored(&mut house, COLLECTION, &rfc_body());
}

#[test]
fn a_batch_of_stores_has_the_results_of_its_stores_one_by_one() {
    let (mut together, mut alone, mut rng) = (House::new(22), House::new(22), Rng::new(22));
    let (mut kept, mut refused) = (0, 0);
    for _ in 0..30 {
        let stores: Vec<_> = (0..rng.below(200))
            .map(|_| {
                let called = number(&(100 + rng.below(2)).to_string());
                let sizes = [640, 640, 640, 1024, 639, 0, BODY_BYTES_MAX + 1];
                (called, sealed(rng.next_word(), sizes[rng.index_below(sizes.len())]))
            })
            .collect();
        let borrowed: Vec<_> = stores.iter().map(|(called, body)| (*called, body.as_slice())).collect();
        let (now, mut results) = (together.now, Vec::new());
        together.service.store_batch(&mut together.store, &borrowed, now, &mut results);
        let expected: Vec<_> = stores
            .iter()
            .map(|(called, body)| alone.service.store(&mut alone.store, *called, body, now))
            .collect();
        assert_eq!(results, expected);
        kept += results.iter().filter(|result| result.is_ok()).count();
        refused += results.iter().filter(|result| matches!(result, Err(Problem::Full(_)))).count();
        for house in [&mut together, &mut alone] {
            house.pass_millis(RETENTION_DEFAULT_MS / 12);
        }
    }
    assert!(kept > 500 && refused > 100, "{kept} kept, {refused} refused");
}

#[test]
fn a_batch_of_retrievals_shows_what_each_would_show_alone() {
    let (mut house, mut rng) = (House::new(23), Rng::new(23));
    let called: Vec<_> = (100..120).map(|called| number(&called.to_string())).collect();
    for _ in 0..60 {
        let (called, body) = (called[rng.index_below(called.len())], sealed(rng.next_word(), 640));
        house.service.store(&mut house.store, called, &body, house.now).expect("room for it");
        house.pass_millis(RETENTION_DEFAULT_MS / 40);
    }
    let asked: Vec<_> = (0..50).map(|_| called[rng.index_below(called.len())]).collect();
    let together = house.service.retrieve_batch(&mut house.store, &asked, house.now);
    let alone: Vec<_> =
        asked.iter().map(|called| house.service.retrieve(&mut house.store, *called, house.now)).collect();
    assert_eq!(together, alone);
    let counts: BTreeSet<_> = together.iter().map(Vec::len).collect();
    assert!(counts.len() > 1, "numbers with more and less under them: {counts:?}");
}

#[test]
fn how_many_placements_fill_a_number_differs_from_number_to_number() {
    let mut house = House::new(20);
    let fill = |house: &mut House, called: u64| {
        let called = number(&called.to_string());
        (0..)
            .take_while(|_| house.service.store(&mut house.store, called, &rfc_body(), house.now).is_ok())
            .count()
    };
    let bounds: BTreeSet<_> = (100..120).map(|called| fill(&mut house, called)).collect();
    assert!(bounds.len() > 5, "{bounds:?}");
}

#[test]
fn real_items_and_cover_have_headers_of_one_form() {
    let mut house = House::new(21);
    let real = stored(&mut house, COLLECTION, &rfc_body());
    let shape = |response: &Response| response.headers.clone();
    let expected = shape(&fetched(&mut house, &real));
    let names: Vec<_> = expected.iter().map(|(name, _)| *name).collect();
    assert_eq!(names, ["content-type", "cache-control", "link"], "nothing that tells an age or a version");
    for path in listed(&mut house, COLLECTION) {
        assert_eq!(shape(&fetched(&mut house, &path)), expected, "{path}");
        assert_eq!(path.len(), real.len());
    }
    let quiet = fetched(&mut House::new(21), COLLECTION);
    assert_eq!(shape(&fetched(&mut house, COLLECTION)), shape(&quiet), "with and without a call");
}

#[test]
fn every_problem_answers_with_its_own_status() {
    let number_error = "x1".parse::<herald_core::TelephoneNumber>().expect_err("a letter");
    let id_error = "x".parse::<herald_core::PlacementId>().expect_err("a letter");
    for problem in [
        Problem::Number(number_error),
        Problem::Block(herald_core::BlockError::Empty),
        Problem::BlockTooLarge(1_000),
        Problem::BlockListOnly,
        Problem::Id(id_error),
        Problem::Query,
        Problem::NotFound,
        Problem::NoSuchItem,
        Problem::Method("GET, HEAD"),
        Problem::NotAcceptable("application/json"),
        Problem::MediaType,
        Problem::BatchMediaType,
        Problem::BatchVersion(1),
        Problem::TargetTooLong,
        Problem::BodySize(1),
        Problem::BodyTooLarge,
        Problem::Timeout,
        Problem::Malformed("no header field line"),
        Problem::Full(herald_core::Refusal::NumberFull),
        Problem::Full(herald_core::Refusal::StoreFull),
        Problem::Unavailable,
    ] {
        let answer = Answer { response: problem.response(), effect: Effect::None };
        refusal(&answer, problem.status(), &format!("{problem:?}"));
        assert_eq!(answer.response.header("retry-after").is_some(), problem.status() == 503, "{problem:?}");
        assert_eq!(answer.response.header("allow").is_some(), problem.status() == 405, "{problem:?}");
    }
}

#[test]
fn debug_of_an_exchange_shows_neither_the_number_nor_the_body() {
    let mut house = House::new(22);
    let body = b"0123456789abcdef".repeat(40);
    let request = post(COLLECTION, &body);
    let answer = house.ask(&request);
    let location = answer.response.header("location").expect("a location").to_owned();
    let item = house.ask(&get(&location));
    let uris = house.ask(&Request { accept: Some("text/uri-list"), ..get(COLLECTION) });
    for shown in [format!("{request:?}"), format!("{answer:?}"), format!("{item:?}"), format!("{uris:?}")] {
        assert!(!shown.contains("22225552222"), "{shown}");
        assert!(!shown.contains("48, 49, 50"), "{shown}");
    }
}
