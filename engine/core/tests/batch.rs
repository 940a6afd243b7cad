//! Batches: what came of each record is what a single request would have said, however the bytes arrive.

mod common;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use common::{House, Rng, number};
use herald_core::batch::{self, Outcome, Retrieved, Stored};
use herald_core::limits::{
    BATCH_NUMBERS_PER_STEP, BATCH_RECORD_BYTES_MAX, BATCH_STEP_BYTES, BODY_BUCKETS_BYTES, BODY_BYTES_MAX,
    RECORDS_PER_NUMBER_LEAST, RECORDS_PER_NUMBER_MAX,
};
use herald_core::{BatchExchange, Effect, PlacementId, Problem, Request, Storing};
use serde_json::Value;

/// A record as a client may write it, right or wrong.
#[derive(Clone, Debug)]
struct Record {
    signs: Vec<u8>,
    body: Vec<u8>,
}

impl Record {
    fn random(rng: &mut Rng) -> Self {
        let signs = match rng.below(12) {
            0 => Vec::new(),
            1 => b"+12225552222".to_vec(),
            2 => b"1222555222222222".to_vec(),
            3 => vec![b'7'; 255],
            4 => b"*#21#".to_vec(),
            _ => format!("1222555{:02}", rng.below(20)).into_bytes(),
        };
        let bytes = match rng.below(8) {
            0 => [0, 1, 639, 641, 8193, 65_535][rng.index_below(6)],
            _ => BODY_BUCKETS_BYTES[rng.index_below(BODY_BUCKETS_BYTES.len())],
        };
        let mut body = vec![0; bytes];
        rng.fill(&mut body);
        Self { signs, body }
    }

    fn stored(body: Vec<u8>) -> Self {
        Self { signs: b"12225552222".to_vec(), body }
    }

    fn write_placement(&self, out: &mut Vec<u8>) {
        out.extend(u16::try_from(self.body.len()).expect("a length").to_be_bytes());
        self.write_number(out);
        out.extend(&self.body);
    }

    fn write_number(&self, out: &mut Vec<u8>) {
        out.push(u8::try_from(self.signs.len()).expect("a length"));
        out.extend(&self.signs);
    }

    /// What a single request says, as a batch would.
    fn stored_singly(&self, house: &mut House) -> Stored {
        if self.signs.len() <= 15 && self.body.len() > BODY_BYTES_MAX {
            // Refused by its lengths; a number that is wrong in its signs is not looked at any more.
            return Stored::Refused(Outcome::BodySize);
        }
        let is_canonical = self.signs.iter().all(|sign| b"0123456789*#".contains(sign));
        if !is_canonical {
            return Stored::Refused(Outcome::Number);
        }
        let signs = String::from_utf8(self.signs.clone()).expect("ASCII").replace('#', "%23");
        let target = format!("/cps/{signs}/ppts");
        let content_type = Some("application/passport");
        let request =
            Request { method: "POST", target: &target, content_type, body: &self.body, ..Request::default() };
        let response = house.ask(&request).response;
        match response.status {
            201 => Stored::Done(id_in(response.header("location").expect("a location"))),
            400 => Stored::Refused(Outcome::Number),
            413 | 422 => Stored::Refused(Outcome::BodySize),
            503 if house.store.full => Stored::Refused(Outcome::StoreFull),
            503 => Stored::Refused(Outcome::NumberFull),
            status => panic!("{status} for a store"),
        }
    }
}

fn id_in(path: &str) -> PlacementId {
    path.rsplit('/').next().and_then(|id| id.parse().ok()).expect("a path ends in an id")
}

fn request<'a>(target: &'a str, body: &'a [u8]) -> Request<'a> {
    let content_type = Some(batch::MEDIA_TYPE);
    Request { method: "POST", target, content_type, body, ..Request::default() }
}

fn request_body(records: &[Record], write: fn(&Record, &mut Vec<u8>)) -> Vec<u8> {
    let mut body = batch::begin();
    records.iter().for_each(|record| write(record, &mut body));
    body
}

/// What answers a whole request, as the door of the engine does it.
fn ask(house: &mut House, request: &Request<'_>) -> Result<(Vec<u8>, Effect), Problem> {
    let mut exchange = BatchExchange::open(request, house.storing)?.expect("a batch");
    let (mut input, mut out, mut effect) = (request.body, Vec::new(), Effect::None);
    while !input.is_empty() {
        if step(house, &mut exchange, &mut input, &mut out)? == Effect::MakeDurable {
            effect = Effect::MakeDurable;
        }
    }
    exchange.end(None, &mut out)?;
    Ok((out, effect))
}

fn step(
    house: &mut House,
    exchange: &mut BatchExchange,
    input: &mut &[u8],
    out: &mut Vec<u8>,
) -> Result<Effect, Problem> {
    house.service.step_batch(&mut house.store, exchange, input, out, house.storing, house.now)
}

/// Sends `body` in pieces that `next_bytes` measures, and gives the whole answer.
fn sent(house: &mut House, target: &str, body: &[u8], mut next_bytes: impl FnMut() -> usize) -> Vec<u8> {
    let head = request(target, &[]);
    let mut exchange = BatchExchange::open(&head, house.storing).expect("well asked").expect("a batch");
    let (mut rest, mut out) = (body, Vec::new());
    while !rest.is_empty() {
        let (mut piece, after) = rest.split_at(next_bytes().clamp(1, rest.len()));
        rest = after;
        while !piece.is_empty() {
            step(house, &mut exchange, &mut piece, &mut out).expect("a batch");
        }
    }
    exchange.end(None, &mut out).expect("a batch");
    out
}

fn stored(mut answer: &[u8]) -> Vec<Stored> {
    batch::take_version(&mut answer).expect("a version");
    let results = core::iter::from_fn(|| batch::take_stored(&mut answer).expect("results")).collect();
    assert!(answer.is_empty(), "{} bytes are no result", answer.len());
    results
}

fn retrieved(mut answer: &[u8]) -> Vec<Retrieved<'_>> {
    batch::take_version(&mut answer).expect("a version");
    let results = core::iter::from_fn(|| batch::take_retrieved(&mut answer).expect("results")).collect();
    assert!(answer.is_empty(), "{} bytes are no result", answer.len());
    results
}

#[test]
fn each_store_is_answered_as_a_single_one_in_pieces_of_any_size() {
    for seed in 0..60 {
        let mut rng = Rng::new(seed);
        let records: Vec<_> = (0..rng.below(80)).map(|_| Record::random(&mut rng)).collect();
        let body = request_body(&records, Record::write_placement);
        let (mut single, mut batched) = (House::new(seed), House::new(seed));
        for house in [&mut single, &mut batched] {
            house.store.full = seed % 10 == 9;
        }
        let expected: Vec<_> = records.iter().map(|record| record.stored_singly(&mut single)).collect();
        let piece_bytes_max = [1, 3, 700, 16_384, u64::MAX][rng.index_below(5)];
        let pieces = || usize::try_from(rng.below(piece_bytes_max)).expect("64 bits");
        let answer = sent(&mut batched, batch::STORE_PATH, &body, pieces);
        assert_eq!(stored(&answer), expected, "seed {seed}");
        let whole = ask(&mut House::new(seed), &request(batch::STORE_PATH, &body)).expect("a batch");
        if seed % 10 != 9 {
            assert_eq!(whole.0, answer, "seed {seed}: as a whole");
        }
    }
}

#[test]
fn a_full_number_refuses_its_own_records_only() {
    let mut house = House::new(1);
    let mut records =
        vec![Record::stored(vec![7; 640]); usize::try_from(RECORDS_PER_NUMBER_MAX).unwrap() + 1];
    records.push(Record { signs: b"911".to_vec(), body: vec![7; 640] });
    let body = request_body(&records, Record::write_placement);
    let (answer, _) = ask(&mut house, &request(batch::STORE_PATH, &body)).expect("a batch");
    let results = stored(&answer);
    let full =
        results.iter().position(|result| *result == Stored::Refused(Outcome::NumberFull)).expect("full");
    assert!(full > 190, "after {full}");
    assert!(matches!(results.last(), Some(Stored::Done(_))));
}

#[test]
fn each_number_brings_what_its_inline_list_brings() {
    let mut house = House::new(2);
    for fill in 0..3 {
        house
            .service
            .store(&mut house.store, number("12225552222"), &[fill; 640], house.now)
            .expect("stored");
    }
    let signs: [&[u8]; 5] = [b"12225552222", b"911", b"+1", b"*#21#", &[b'1'; 200]];
    let records: Vec<_> =
        signs.iter().map(|signs| Record { signs: signs.to_vec(), body: Vec::new() }).collect();
    let body = request_body(&records, Record::write_number);
    let (answer, effect) = ask(&mut house, &request(batch::RETRIEVE_PATH, &body)).expect("a batch");
    assert_eq!(effect, Effect::None);
    let results = retrieved(&answer);
    assert_eq!(results.len(), signs.len());
    for (signs, result) in signs.iter().zip(&results) {
        if !signs.iter().all(|sign| b"0123456789*#".contains(sign)) || signs.len() > 15 {
            assert_eq!(*result, Retrieved::Refused(Outcome::Number));
            continue;
        }
        let signs = String::from_utf8(signs.to_vec()).expect("ASCII").replace('#', "%23");
        let target = format!("/cps/{signs}/ppts?inline=1");
        let list = house.ask(&Request { method: "GET", target: &target, ..Request::default() });
        let list: Value = serde_json::from_slice(&list.response.body).expect("JSON");
        let Retrieved::Done(items) = result else { panic!("{result:?} for {target}") };
        let items: Vec<_> =
            items.iter().map(|(id, body)| (id.to_string(), URL_SAFE_NO_PAD.encode(body))).collect();
        let expected: Vec<_> = list["ppts"].as_array().expect("an array").iter().map(inline_item).collect();
        assert_eq!(items, expected, "{target}");
    }
    for piece_bytes in [1, 5, 64] {
        assert_eq!(sent(&mut house, batch::RETRIEVE_PATH, &body, || piece_bytes), answer);
    }
}

#[test]
fn a_step_ends_behind_the_number_whose_items_reach_its_bound() {
    let mut house = House::new(8);
    let numbers: Vec<_> =
        (0..BATCH_NUMBERS_PER_STEP).map(|index| number(&format!("1222555000{index}"))).collect();
    let mut body = batch::begin();
    for &number in &numbers {
        for _ in 0..RECORDS_PER_NUMBER_LEAST {
            house
                .service
                .store(&mut house.store, number, &[7; BODY_BYTES_MAX], house.now)
                .expect("below its bound");
        }
        batch::put_number(&mut body, number);
    }
    let head = request(batch::RETRIEVE_PATH, &[]);
    let mut exchange = BatchExchange::open(&head, house.storing).expect("well asked").expect("a batch");
    let (mut input, mut answer) = (&body[..], Vec::new());
    // A number is full at RECORDS_PER_NUMBER_MAX, and a few items are cover.
    let number_bytes_max =
        (usize::try_from(RECORDS_PER_NUMBER_MAX).expect("a count") + 32) * (16 + 2 + BODY_BYTES_MAX);
    while !input.is_empty() {
        let before = answer.len();
        step(&mut house, &mut exchange, &mut input, &mut answer).expect("a batch");
        let step_bytes = answer.len() - before;
        assert!(step_bytes < BATCH_STEP_BYTES + number_bytes_max, "{step_bytes} bytes in one step");
    }
    let results = retrieved(&answer);
    assert_eq!(results.len(), numbers.len());
    for (&number, result) in numbers.iter().zip(results) {
        let items = house.service.retrieve(&mut house.store, number, house.now);
        let items = items.iter().map(|item| (item.id, &item.body[..])).collect();
        assert_eq!(result, Retrieved::Done(items));
    }
}

fn inline_item(item: &Value) -> (String, String) {
    let href = item["href"].as_str().expect("a path");
    (id_in(href).to_string(), item["passport"].as_str().expect("a body").to_owned())
}

#[test]
fn a_request_that_ends_inside_a_record_says_so_behind_what_it_did() {
    let whole = request_body(&vec![Record::stored(vec![1; 640]); 2], Record::write_placement);
    for cut in 1..whole.len() {
        let mut house = House::new(3);
        let (answer, effect) = ask(&mut house, &request(batch::STORE_PATH, &whole[..cut])).expect("a batch");
        let results = stored(&answer);
        let record_bytes = (whole.len() - 1) / 2;
        let (done, part) = ((cut - 1) / record_bytes, (cut - 1) % record_bytes);
        assert_eq!(results.len(), done + usize::from(part > 0), "cut at {cut}");
        assert_eq!(results.last() == Some(&Stored::Refused(Outcome::Broken)), part > 0, "cut at {cut}");
        assert_eq!(effect == Effect::MakeDurable, done > 0, "cut at {cut}");
    }
}

#[test]
fn a_record_that_is_too_long_is_answered_before_it_arrives_and_passed_over() {
    let mut house = House::new(4);
    let head = request(batch::STORE_PATH, &[]);
    let mut exchange = BatchExchange::open(&head, Storing::Possible).expect("well asked").expect("a batch");
    let mut out = Vec::new();
    let mut step = |mut input: &[u8]| {
        while !input.is_empty() {
            let (storing, now) = (Storing::Possible, house.now);
            house
                .service
                .step_batch(&mut house.store, &mut exchange, &mut input, &mut out, storing, now)
                .expect("a batch");
        }
        out.clone()
    };
    assert_eq!(step(&[batch::VERSION, 0xff, 0xff, 3]), [batch::VERSION, Outcome::BodySize.code()]);
    assert_eq!(step(b"911").len(), 2);
    for _ in 0..u16::MAX {
        step(&[0]);
    }
    let record = request_body(&[Record::stored(vec![1; 640])], Record::write_placement);
    assert_eq!(stored(&step(&record[1..])).len(), 2);
}

#[test]
fn a_whole_request_that_is_none_gets_one_answer() {
    let mut house = House::new(5);
    let good = request_body(&[Record::stored(vec![1; 640])], Record::write_placement);
    let asked = request(batch::STORE_PATH, &good);
    let refused = |house: &mut House, request: Request<'_>, problem: Problem| {
        assert_eq!(ask(house, &request), Err(problem));
    };
    refused(&mut house, Request { method: "GET", ..asked }, Problem::Method("POST"));
    refused(&mut house, Request { target: "/cps/batch?x", ..asked }, Problem::Query);
    refused(
        &mut house,
        Request { content_type: Some("application/passport"), ..asked },
        Problem::BatchMediaType,
    );
    let unacceptable = Problem::NotAcceptable(batch::MEDIA_TYPE);
    refused(&mut house, Request { accept: Some("application/json"), ..asked }, unacceptable);
    for body in [&b""[..], b"\x00", b"\x02\x00\x00\x01\x31"] {
        refused(&mut house, Request { body, ..asked }, Problem::BatchVersion(batch::VERSION));
    }
    house.storing = Storing::Impossible;
    refused(&mut house, asked, Problem::Unavailable);
    assert!(ask(&mut house, &request(batch::RETRIEVE_PATH, b"\x01\x03911")).is_ok());
}

#[test]
fn stores_of_a_batch_are_refused_from_the_moment_the_disk_fails() {
    let mut house = House::new(6);
    let body = request_body(&[Record::stored(vec![1; 640])], Record::write_placement);
    let mut exchange = BatchExchange::open(&request(batch::STORE_PATH, &[]), Storing::Possible)
        .expect("well asked")
        .expect("a batch");
    let mut out = Vec::new();
    let steps = [
        (&body[..], Storing::Possible, Effect::None),
        (&body[1..], Storing::Possible, Effect::MakeDurable),
        (&body[1..], Storing::Impossible, Effect::None),
    ];
    for (mut input, storing, expected) in steps {
        let effect = house.service.step_batch(
            &mut house.store,
            &mut exchange,
            &mut input,
            &mut out,
            storing,
            house.now,
        );
        assert_eq!(effect, Ok(expected));
    }
    let results = stored(&out);
    assert!(matches!(results[..], [Stored::Done(_), Stored::Refused(Outcome::Unavailable)]), "{results:?}");
    let withdrawn = [Outcome::Unavailable.code(); 2];
    assert_eq!(batch::withdraw(&out[1..]), withdrawn);
}

#[test]
fn bytes_that_are_no_answer_are_told_from_an_answer_that_has_not_arrived() {
    assert_eq!(batch::take_version(&mut &b"\x02"[..]), Err(batch::NotABatch));
    assert_eq!(batch::take_stored(&mut &b"\x0c"[..]), Err(batch::NotABatch));
    assert_eq!(batch::take_retrieved(&mut &b"\xff"[..]), Err(batch::NotABatch));
    let mut whole = vec![0, 0, 2];
    let bodies = [&[1; 640][..], &[2; 8192]];
    bodies.iter().for_each(|body| put_item(&mut whole, body.len(), body));
    for cut in 0..whole.len() {
        assert_eq!(batch::take_retrieved(&mut &whole[..cut]), Ok(None), "cut at {cut}");
    }
    let id = PlacementId::from_bytes([9; 16]);
    let expected = Retrieved::Done(bodies.map(|body| (id, body)).to_vec());
    assert_eq!(batch::take_retrieved(&mut &whole[..]), Ok(Some(expected)));
}

/// An item that says it has a body of `bytes`.
fn put_item(answer: &mut Vec<u8>, bytes: usize, body: &[u8]) {
    answer.extend([9; 16]);
    answer.extend(u16::try_from(bytes).expect("a length").to_be_bytes());
    answer.extend(body);
}

#[test]
fn a_hostile_answer_is_refused_as_soon_as_it_announces_what_no_service_has() {
    for (items, is_announced) in [(0, true), (257, true), (1024, true), (1025, false), (65_535, false)] {
        let mut head = vec![0];
        head.extend(u16::try_from(items).unwrap().to_be_bytes());
        let taken = batch::take_retrieved(&mut &head[..]);
        assert_eq!(taken.is_ok(), is_announced, "{items} items");
        // What is announced is not there yet, but for nothing at all.
        assert!(items == 0 || taken.is_err() || taken == Ok(None), "{items} items");
    }
    for bytes in 0..=u16::MAX.into() {
        let mut answer = vec![0, 0, 1];
        put_item(&mut answer, bytes, b"");
        let taken = batch::take_retrieved(&mut &answer[..]);
        let expected = if BODY_BUCKETS_BYTES.contains(&bytes) { Ok(None) } else { Err(batch::NotABatch) };
        assert_eq!(taken, expected, "a body of {bytes} bytes");
    }
}

#[test]
fn whatever_is_changed_in_an_answer_what_is_taken_of_it_is_within_the_bounds() {
    let mut rng = Rng::new(6);
    let mut whole = vec![0, 0, 3];
    for bytes in [640, 1024, 640] {
        put_item(&mut whole, bytes, &vec![0; bytes]);
    }
    let mut taken_count = 0;
    for _ in 0..20_000 {
        let mut answer = whole.clone();
        for _ in 0..=rng.below(3) {
            // Mostly where lengths and counts are.
            let head = [0, 1, 2, 19, 20, 677, 678, 1719, 1720];
            let at = if rng.below(2) == 0 {
                head[rng.index_below(head.len())]
            } else {
                rng.index_below(answer.len())
            };
            answer[at] = [0, 2, 3, 4, 8, 128, 255][rng.index_below(7)];
        }
        let mut rest = &answer[..];
        if let Ok(Some(Retrieved::Done(items))) = batch::take_retrieved(&mut rest) {
            let bytes: usize = items.iter().map(|(_, body)| 18 + body.len()).sum();
            assert!(items.iter().all(|(_, body)| BODY_BUCKETS_BYTES.contains(&body.len())));
            assert_eq!(answer.len() - rest.len(), 3 + bytes, "it took what it gave");
            taken_count += 1;
        }
    }
    assert!((1000..19_000).contains(&taken_count), "{taken_count} of 20000 were answers still");
}

#[test]
fn what_is_kept_of_a_record_stays_below_its_bound() {
    let largest = Record { signs: vec![b'1'; 15], body: vec![0; 8192] };
    let mut bytes = Vec::new();
    largest.write_placement(&mut bytes);
    assert_eq!(bytes.len(), BATCH_RECORD_BYTES_MAX - batch::CREDENTIAL_BYTES);
    assert!(matches!(batch::front_placement(&bytes[..bytes.len() - 1]), batch::Front::Partial { .. }));
    assert_eq!(
        batch::put_placement(&mut bytes, number("911"), &[0; BODY_BYTES_MAX + 1]),
        Err(Problem::BodyTooLarge)
    );
    assert_eq!(bytes.len(), BATCH_RECORD_BYTES_MAX - batch::CREDENTIAL_BYTES, "nothing was added");
    // One sign or one byte more, and nothing of it is waited for.
    for (signs, body) in [(16, 640), (1, 8193)] {
        let mut longer = Vec::new();
        Record { signs: vec![b'1'; signs], body: vec![0; body] }.write_placement(&mut longer);
        assert!(matches!(batch::front_placement(&longer[..3]), batch::Front::Refused { .. }));
    }
}

/// The blocks of bytes in docs/PROTOCOL.md; `62 × 640` is a byte and how often it stands.
fn documented() -> Vec<Vec<u8>> {
    let text = include_str!("../../../docs/PROTOCOL.md");
    let blocks = text.split("```hex\n").skip(1).map(|rest| rest.split("```").next().expect("a block"));
    blocks.map(documented_bytes).collect()
}

fn documented_bytes(block: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut words = block.split_whitespace();
    while let Some(word) = words.next() {
        if word == "×" {
            let count: usize = words.next().and_then(|count| count.parse().ok()).expect("a count");
            let last = *bytes.last().expect("a byte before its count");
            bytes.resize(bytes.len() + count - 1, last);
        } else {
            bytes.push(u8::from_str_radix(word, 16).expect("a byte"));
        }
    }
    bytes
}

#[test]
fn the_document_shows_what_the_service_does() {
    let blocks = documented();
    let [stores, store_results, numbers, number_results] = &blocks[..] else {
        panic!("{} blocks", blocks.len())
    };
    let mut house = House::new(7);
    let (answer, _) = ask(&mut house, &request(batch::STORE_PATH, stores)).expect("a batch");
    let results = stored(&answer);
    assert!(matches!(results[..], [Stored::Done(_), Stored::Refused(Outcome::BodySize)]), "{results:?}");
    let shown = stored(store_results);
    assert!(matches!(shown[..], [Stored::Done(_), Stored::Refused(Outcome::BodySize)]), "{shown:?}");
    let (answer, _) = ask(&mut house, &request(batch::RETRIEVE_PATH, numbers)).expect("a batch");
    for answer in [&answer, number_results] {
        let results = retrieved(answer);
        let [Retrieved::Done(items), Retrieved::Refused(Outcome::Number)] = &results[..] else {
            panic!("{results:?}")
        };
        assert!(items.iter().any(|(_, body)| *body == [0x62; 640]), "the placement is among them");
        assert!(items.is_sorted_by_key(|(id, _)| *id));
    }
}
