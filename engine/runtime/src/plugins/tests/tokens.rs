//! Rate control as the engine calls it, with the stand-in of `plugins/example-c`: keys live through replacements.

use herald_plugin_abi as abi;

use super::foreign::{LONG_MS, Workshop, altered, stage};
use super::*;

/// Waits for a call.
fn wait<T: Send + 'static>(call: impl FnOnce(u64, Done<T>)) -> Result<T, NotDone> {
    let (sender, receiver) = mpsc::channel();
    let by_ms = crate::clock::wall_clock().as_millis() + LONG_MS;
    call(by_ms, Box::new(move |came| sender.send(came).expect("it is awaited")));
    receiver.recv_timeout(Duration::from_secs(20)).expect("every call ends")
}

/// The tokens of one request under a key.
fn tokens(
    plugin: &RateControlPlugin,
    key: u64,
    public_key: &[u8],
    count: u32,
) -> Result<Vec<Token>, NotDone> {
    let want = Want {
        mode: abi::MODE_BEARER,
        count,
        public_key: public_key.to_vec(),
        agreement_key: Vec::new(),
        challenge_digest: [7; 32],
    };
    let (request, state) = wait(|by, done| plugin.request(want, by, done))?;
    let counted = request.clone();
    assert_eq!(wait(|by, done| plugin.request_count(counted, by, done)), Ok(count));
    let response = wait(|by, done| plugin.issue(key, request, by, done))?;
    wait(|by, done| plugin.finish(state, response, 16, by, done))
}

fn redeemed(plugin: &RateControlPlugin, key: u64, tokens: &[Token]) -> Vec<bool> {
    let shown = tokens.iter().map(|token| Redemption {
        key,
        mode: abi::MODE_BEARER,
        token_input: token.token_input,
        authenticator: token.authenticator.clone(),
        proof: token.proof.clone(),
    });
    let shown = shown.collect();
    let judged = wait(|by, done| plugin.redeem(shown, by, done)).expect("they are judged");
    judged.into_iter().map(|one| one.is_ok()).collect()
}

#[test]
fn tokens_of_a_key_are_redeemed_until_it_is_dropped_also_by_what_replaces_the_plugin() {
    let workshop = Workshop::new();
    let object = workshop.make("tokens.so", "plugins/example-c/tokens.c", &[]);
    let stage = stage(core::slice::from_ref(&object));
    let plugin = stage.set.rate_control("example-tokens").expect("it is there");
    assert_eq!((plugin.scheme().token_type, plugin.scheme().count_max), (0xda7a, 16));
    assert!(stage.set.rate_control("bad-in-c").is_none());

    let keys: Vec<_> = (1..=3)
        .map(|handle| {
            let key = wait(|by, done| plugin.key_make(by, done)).expect("a key");
            wait(|by, done| plugin.key_add(handle, &key.secret, by, done)).expect("it is taken");
            (handle, key)
        })
        .collect();
    let issued: Vec<_> = keys
        .iter()
        .map(|(handle, key)| tokens(&plugin, *handle, &key.public_key, 4).expect("tokens"))
        .collect();
    plugin.key_drop(2);
    assert_eq!(wait(|by, done| plugin.key_add(9, &Secret::new(vec![1]), by, done)), Err(NotDone::Refused));

    for round in 0..3 {
        assert_eq!(redeemed(&plugin, 1, &issued[0]), [true; 4], "round {round}");
        assert_eq!(redeemed(&plugin, 1, &issued[2]), [false; 4], "of another key, round {round}");
        assert_eq!(redeemed(&plugin, 2, &issued[1]), [false; 4], "of a key that was dropped, round {round}");
        assert_eq!(redeemed(&plugin, 3, &issued[2]), [true; 4], "round {round}");
        stage.set.replace("example-tokens", &altered(&object, round)).expect("it is replaced");
    }
    let other = workshop.make("bad.so", "tests/plugins/bad.c", &["-DNAME=\"example-tokens\""]);
    let error = stage.set.replace("example-tokens", &other).unwrap_err().to_string();
    assert!(error.contains("it does something else than what it is to replace"), "{error}");
    assert_eq!(stage.status("example-tokens").failures, 0, "{:?}", stage.heard());
}

#[test]
fn a_key_that_is_added_while_the_plugin_is_replaced_is_added_once() {
    let workshop = Workshop::new();
    let object = workshop.make("tokens.so", "plugins/example-c/tokens.c", &[]);
    let stage = Arc::new(stage(core::slice::from_ref(&object)));
    let plugin = stage.set.rate_control("example-tokens").expect("it is there");
    let key = wait(|by, done| plugin.key_make(by, done)).expect("a key");
    let secret = key.secret.clone();

    let (replaced, is_replaced) = mpsc::channel();
    let (replaces, newer) = (stage.clone(), altered(&object, 1));
    let keep = move |keys: &mut plugin::Keys| {
        keys.insert(5, secret);
        std::thread::spawn(move || replaced.send(replaces.set.replace("example-tokens", &newer)));
        let early = is_replaced.recv_timeout(Duration::from_millis(500));
        assert!(early.is_err(), "the other takes over when the key was handed out");
    };
    let own = stage.set.named("example-tokens").expect("it is there");
    let added = wait(|by, done| {
        let add = rate_control::key_add(5, key.secret.clone(), done);
        own.change_keys(keep, add, by);
    });
    assert_eq!(added, Ok(()));
    let began = Instant::now();
    while stage.status("example-tokens").generation < 2 {
        assert!(began.elapsed() < Duration::from_secs(20), "it is replaced");
        std::thread::sleep(Duration::from_millis(2));
    }
    let issued = tokens(&plugin, 5, &key.public_key, 4).expect("tokens");
    assert_eq!(redeemed(&plugin, 5, &issued), [true; 4]);
    // The example takes a key twice where it is added twice, and drops it once.
    plugin.key_drop(5);
    assert_eq!(redeemed(&plugin, 5, &issued), [false; 4]);
}

/// A plugin whose key_add was held up beyond its deadline: `meanwhile` is done while it is in there, and it is let go when
/// its end was told.
fn held_up(meanwhile: impl Fn(&Stage, &Path)) {
    const HELD_MS: u64 = 1_000;
    let (workshop, files) = (Workshop::new(), tempfile::tempdir().expect("a folder"));
    let (hold, inside) = (files.path().join("hold"), files.path().join("hold.inside"));
    let flag = format!("-DHOLD=\"{}\"", hold.display());
    let object = workshop.make("held.so", "tests/plugins/held.c", &[&flag]);
    let stage = stage(core::slice::from_ref(&object));
    let plugin = stage.set.rate_control("example-tokens").expect("it is there");
    let key = wait(|by, done| plugin.key_make(by, done)).expect("a key");
    let soon_ms = || crate::clock::wall_clock().as_millis() + HELD_MS;
    // It may be given up before a thread takes it: then it is tried again.
    let handle = (5..50).find(|handle| {
        std::fs::write(&hold, "").expect("a file");
        let (sender, told) = mpsc::channel();
        plugin.key_add(
            *handle,
            &key.secret,
            soon_ms(),
            Box::new(move |came| sender.send(came).expect("wanted")),
        );
        let mut came = None;
        while came.is_none() && !inside.exists() {
            came = told.recv_timeout(Duration::from_millis(1)).ok();
        }
        if inside.exists() {
            meanwhile(&stage, &object);
        }
        let came = came.or_else(|| told.recv_timeout(Duration::from_secs(20)).ok());
        assert_eq!(came, Some(Err(NotDone::TimedOut)));
        std::fs::remove_file(&inside).is_ok()
    });
    let handle = handle.expect("a thread that comes in time");
    let began = Instant::now();
    while stage.status("example-tokens").lost_threads > 0 {
        assert!(began.elapsed() < Duration::from_secs(20), "it comes back");
        std::thread::sleep(Duration::from_millis(2));
    }
    assert_eq!(
        tokens(&plugin, handle, &key.public_key, 4).err(),
        Some(NotDone::Refused),
        "it has no such key"
    );
    wait(|by, done| plugin.key_add(60, &key.secret, by, done)).expect("it serves on");
    assert_eq!(tokens(&plugin, 60, &key.public_key, 4).expect("tokens").len(), 4);
}

#[test]
fn a_key_whose_adding_took_too_long_is_in_use_nowhere() {
    held_up(|_, _| {});
    // The one that takes over has the key before the time is up.
    held_up(|stage, object| {
        stage.set.replace("example-tokens", &altered(object, 1)).expect("it is replaced");
    });
}

#[test]
fn a_check_tries_every_function_of_the_examples_and_finds_what_is_wrong() {
    let workshop = Workshop::new();
    let report: Report = Arc::new(|_, _| {});
    let check = |object: &Path, settings: &[(&str, &str)]| {
        let own = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
        let settings: Vec<_> = settings.iter().map(own).collect();
        let number = "12025550123".parse().expect("a number");
        check_plugin(object, &settings, &[number], report.clone())
    };
    let wrong = |checked: &CheckedPlugin| {
        checked
            .trials
            .iter()
            .filter(|trial| trial.outcome.is_err())
            .map(|trial| trial.what.clone())
            .collect::<Vec<_>>()
    };
    let object = workshop.make("tokens.so", "plugins/example-c/tokens.c", &[]);
    let checked = check(&object, &[]).expect("it opens");
    assert_eq!((wrong(&checked), checked.trials.len()), (vec![], 12), "{:?}", checked.trials);

    let object = workshop.make("prefix.so", "plugins/example-c/prefix.c", &[]);
    let checked = check(&object, &[("uri", "https://a.example"), ("prefix", "1202")]).expect("it opens");
    assert_eq!(wrong(&checked), [""; 0]);
    let found = checked
        .trials
        .iter()
        .filter(|trial| trial.outcome.as_ref().is_ok_and(|text| text.contains("a.example")));
    assert_eq!(found.count(), 2, "both sides: {:?}", checked.trials);
    assert!(check(&object, &[]).unwrap_err().to_string().contains("set uri"));

    let checked = check(&object, &[("uri", "http://a.example"), ("prefix", "1202")]).expect("it opens");
    assert_eq!(wrong(&checked).len(), 2, "an engine takes no such URI: {:?}", checked.trials);

    // The control: a plugin that answers badly does not pass.
    let object = workshop.make("bad.so", "tests/plugins/bad.c", &[]);
    let number = "28".parse().expect("a number");
    let checked = check_plugin(&object, &[], &[number], report.clone()).expect("it opens");
    assert_eq!(wrong(&checked).len(), 2, "{:?}", checked.trials);
}
