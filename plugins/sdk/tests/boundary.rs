//! A plugin made with the SDK, seen through its table: answers cross it whole, and panics end there.

use core::ffi::CStr;
use std::thread;

use herald_plugin_sdk::harness::{self, Reply, Stage};
use herald_plugin_sdk::{
    Answer, Discovery, Fault, Find, Host, KeyHandle, Mode, Modes, NewKey, Question, RateControl, Redeemed,
    Redemption, Secret, Settings, Side, Token, Want, discovery_entry, rate_control_entry,
};

/// Does what the number says.
struct Obedient {
    host: Host,
    uri: String,
}

fn found(uri: &str) -> Answer {
    Answer { uris: vec![uri.to_owned()], is_proven: true, fresh_s: 60, note: "by the book".to_owned() }
}

impl Discovery for Obedient {
    const NAME: &'static CStr = c"obedient";
    const VERSION: &'static CStr = c"1.0";
    const SUMMARY: &'static CStr = c"does what the number says";

    fn open(host: Host, settings: &Settings<'_>) -> Result<Self, String> {
        settings.only(&["uri"])?;
        match settings.require("uri")? {
            "panic" => panic!("on purpose"),
            uri => Ok(Self { host, uri: uri.to_owned() }),
        }
    }

    fn find(&self, question: &Question<'_>) -> Find {
        match question.number {
            "1" => Find::Answer(found(&self.uri)),
            "2" => Find::Answer(Answer { fresh_s: 5, ..Answer::default() }),
            "3" => {
                let (host, uri, ticket) = (self.host, self.uri.clone(), question.ticket);
                thread::spawn(move || {
                    assert_eq!(host.answer(ticket, Some(&found(&uri))), Ok(()));
                    assert!(host.answer(ticket, None).is_err(), "it was answered");
                });
                Find::Pending
            }
            "4" => Find::Failed("in words".to_owned()),
            _ => panic!("on purpose"),
        }
    }
}

#[test]
fn answers_of_every_sort_cross_the_boundary() {
    let plugin = harness::Discovery::open(discovery_entry::<Obedient>, &[("uri", "https://a.example")]);
    let plugin = plugin.expect("it opens");
    let nothing = Answer { fresh_s: 5, ..Answer::default() };
    assert_eq!(plugin.find("1", Side::Calling), Reply::Found(found("https://a.example")));
    assert_eq!(plugin.find("2", Side::Called), Reply::Nothing(nothing));
    assert_eq!(plugin.find("3", Side::Called), Reply::Found(found("https://a.example")));
    assert_eq!(plugin.find("4", Side::Called), Reply::Failed);
    assert_eq!(plugin.find("5", Side::Called), Reply::Failed);
    let heard = plugin.stage().heard();
    assert_eq!(heard, ["2 in words", "1 panicked: on purpose"]);
}

#[test]
fn an_instance_that_does_not_open_says_why() {
    let open = |settings: &[(&str, &str)]| {
        harness::Discovery::open(discovery_entry::<Obedient>, settings).err().expect("it does not open")
    };
    assert_eq!(open(&[]), "set uri");
    assert_eq!(open(&[("url", "x")]), "there is no setting \"url\"; there are uri");
    assert_eq!(open(&[("uri", "panic")]), "panicked: on purpose");
}

/// Tokens that anybody can make.
struct Worthless(Host);

impl RateControl for Worthless {
    const NAME: &'static CStr = c"worthless";
    const VERSION: &'static CStr = c"1.0";
    const SUMMARY: &'static CStr = c"tokens that anybody can make";
    const TOKEN_TYPE: u16 = 0xda7a;
    const MODES: Modes = Modes::of(&[Mode::Bearer, Mode::Withheld]);
    const COUNT_MAX: u32 = 4;
    const KEY_COST_MS: u32 = 1;
    const REQUEST_TYPE: &'static CStr = c"application/x-request";
    const RESPONSE_TYPE: &'static CStr = c"application/x-response";

    fn open(host: Host, _settings: &Settings<'_>) -> Result<Self, String> {
        Ok(Self(host))
    }

    fn key_make(&self) -> Result<NewKey, Fault> {
        let mut secret = vec![0; 32];
        self.0.random(&mut secret);
        let public_key = secret.iter().map(|byte| !byte).collect();
        Ok(NewKey { id: [7; 32], public_key, agreement_key: vec![], secret: Secret::new(secret) })
    }

    fn key_add(&self, _key: KeyHandle, secret: &[u8]) -> Result<(), Fault> {
        if secret.len() == 32 { Ok(()) } else { Err(Fault::Refused) }
    }

    fn key_drop(&self, _key: KeyHandle) {
        panic!("on purpose");
    }

    fn request_count(&self, request: &[u8]) -> u32 {
        request.first().copied().map_or(0, u32::from)
    }

    fn issue(&self, _key: KeyHandle, request: &[u8]) -> Result<Vec<u8>, Fault> {
        Ok(request.iter().rev().copied().collect())
    }

    fn redeem(&self, token: &Redemption<'_>) -> Result<Redeemed, Fault> {
        match token.token_input[0] {
            0 => Ok(Secret::new(token.proof.to_vec())),
            1 => Err(Fault::Refused),
            _ => panic!("on purpose"),
        }
    }

    fn request(&self, want: &Want<'_>) -> Result<(Vec<u8>, Secret), Fault> {
        let count = u8::try_from(want.count).map_err(|_| Fault::Refused)?;
        Ok((vec![count; 3], Secret::new(want.challenge_digest.to_vec())))
    }

    fn finish(&self, state: &[u8], response: &[u8]) -> Result<Vec<Token>, Fault> {
        let token = |fill: &u8| Token {
            token_input: [*fill; 98],
            authenticator: Secret::new(state.to_vec()),
            proof: Secret::new(vec![]),
            secret: Secret::new(vec![1]),
        };
        Ok(response.iter().map(token).collect())
    }
}

#[test]
fn the_calls_of_rate_control_cross_the_boundary_and_its_panics_do_not() {
    let stage = Stage::with_random(|out| out.fill(3));
    let plugin =
        harness::RateControl::open_on(stage, rate_control_entry::<Worthless>, &[]).expect("it opens");
    let key = plugin.key_make().expect("a key");
    assert_eq!((key.public_key.as_slice(), key.secret.as_slice()), ([!3; 32].as_slice(), [3; 32].as_slice()));
    let handle = KeyHandle(1);
    assert_eq!(plugin.key_add(handle, &[1]), Err(Fault::Refused));
    assert_eq!(plugin.key_add(handle, &key.secret), Ok(()));
    assert_eq!((plugin.request_count(&[3, 0]), plugin.request_count(&[])), (3, 0));
    assert_eq!(plugin.issue(handle, &[1, 2]), Ok(vec![2, 1]));

    let want = Want {
        mode: Mode::Withheld,
        count: 3,
        public_key: &key.public_key,
        agreement_key: &[],
        challenge_digest: &[5; 32],
    };
    let (request, state) = plugin.request(&want).expect("a request");
    assert_eq!(request, [3; 3]);
    let tokens = plugin.finish(&state, &[0, 1, 2]).expect("tokens");
    assert_eq!(tokens[2].token_input, [2; 98]);
    assert_eq!(tokens[0].authenticator.as_slice(), [5; 32]);
    assert!(plugin.finish(&state, &[0; 5]).is_err(), "more tokens than were asked for");

    let shown = |token_input| Redemption {
        key: handle,
        mode: Mode::Withheld,
        token_input,
        authenticator: &[],
        proof: &[9; 40],
    };
    let inputs: Vec<_> = tokens.iter().map(|token| shown(&token.token_input)).collect();
    let judged = plugin.redeem(&inputs);
    assert_eq!(judged[0].as_deref().map(Vec::as_slice), Ok([9; 40].as_slice()));
    assert_eq!(judged[1], Err(Fault::Refused));
    assert!(matches!(judged[2], Err(Fault::Failed(_))));
    plugin.key_drop(handle);
    assert_eq!(stage.heard().len(), 2, "both panics were heard");
}
