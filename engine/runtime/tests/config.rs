//! The property table: every way of setting a property, and what is said of a wrong one.

use herald_runtime::{Config, PROPERTIES, parse_duration, property};

fn error_of(text: &str) -> String {
    Config::default().set_all(text).map(|()| "accepted".to_owned()).unwrap_or_else(|error| error.to_string())
}

#[test]
fn a_whole_file_is_taken() {
    let text = r#"
        listen = ["127.0.0.1:8443", "[::1]:8443"]
        unix_socket = "herald.sock"
        unix_socket_mode = 600
        service = "unix:other.sock"
        service_deadline = "300ms"
        tls_certificate = "tls.pem"
        tls_key = "tls.key"
        data = "data"
        durability = "buffered"
        retention = "15s"
        memory = "64MiB"
        beyond_memory = "1GiB"
        journal_memory = "128MiB"
        message_retention = "72h"
        message_memory = "2GiB"
        message_beyond_memory = "20GiB"
        message_journal_memory = "32MiB"
        suite = "p256"
        key_roots = "roots.pem"
        key_bundles = "bundles"
        admission = "rate-voprf"
        token_name = "cps.example.com"
        token_roots = "sti-roots.pem"
        token_epoch = "10m"
        token_epochs_ahead = 6
        token_classes = ["handset=4:20", "gateway=256"]
        token_mac = "aes-128-gmac"
        token_sessions = 1000
        token_spent = 5000000
        redemption_share = 50
        reactors = 2
        drain_grace = "500ms"
        metrics_listen = "127.0.0.1:9464"
        log_format = "json"
        signing_key = "alice.key"
        signing_certificate = "alice.pem"
        x5u = "https://certs.example.net/alice.pem"
        sealing_keys = ["bob.jwk", "bob-old.jwk"]
        roots = "roots.pem"
        crls = "revoked.pem"
        crl_signers = "signers.pem"
        policy = ["freshness_s=30", "form=lenient"]
        directory = "directory.toml"
        discovery = ["discovery-static", "directory"]
        discovery_policy = "proven"
        discovery_deadline = "800ms"
        discovery_own = "discovery-static"
        key_server = "https://keys.example.net"
        key_prefetch = ["1202555", "44203"]
        plugins = "/usr/lib/herald"
        plugin_settings = "plugins.toml"
        place_deadline = "2s"
        check_deadline = "900ms"
        cover_per_hour = 120
        cover_numbers = ["12225550100-100", "1222555xxxx"]
        cps_authorities = "cps-roots.pem"
        token_class = "gateway"
        tokens_kept = 64
        fetch_hosts = ["*.example.com", "lab.example:8443=10.0.0.0/8"]
        fetch_authorities = "fetch-roots.pem"
        worker_threads = 2
    "#;
    let mut config = Config::default();
    assert_eq!(config.set_all(text), Ok(()));
    assert!(config.has_listeners());
    assert_eq!(config.drain_grace().as_millis(), 500);
    let set: Vec<_> = text.lines().filter_map(|line| Some(line.split_once(" = ")?.0.trim())).collect();
    let known: Vec<_> = PROPERTIES.iter().map(|property| property.name).collect();
    assert_eq!(set, known, "this test sets every property");
}

#[test]
fn a_wrong_file_is_told_with_the_line_the_value_and_what_is_wanted() {
    let cases = [
        (
            "listen = \"127.0.0.1:0\"\nretenton = \"60s\"",
            "line 2: there is no property \"retenton\"; the nearest is \"retention\"",
        ),
        ("retention = \"61s\"", "line 1: retention does not take \"61s\"; it takes 1s to 60s"),
        (
            "\nretention = \"soon\"",
            "line 2: retention does not take \"soon\"; it takes a duration as in 60s or 1500ms",
        ),
        (
            "message_retention = \"8d\"",
            "line 1: message_retention does not take \"8d\"; it takes 1s to 7d as in 72h, or none",
        ),
        (
            "durability = \"maybe\"",
            "line 1: durability does not take \"maybe\"; it takes memory, buffered or synced",
        ),
        (
            "memory = \"1MiB\"",
            "line 1: memory does not take \"1MiB\"; it takes a size as in 256MiB or 4GiB, at least 16MiB",
        ),
        (
            "memory = \"99999999999GiB\"",
            "line 1: memory does not take \"99999999999GiB\"; it takes a size as in 256MiB or 4GiB, at least 16MiB",
        ),
        ("reactors = 0", "line 1: reactors does not take \"0\"; it takes a count from 1 to 256"),
        (
            "listen = \"localhost\"",
            "line 1: listen does not take \"localhost\"; it takes addresses as in 127.0.0.1:8443 or [::]:8443",
        ),
        (
            "cover_per_hour = 36001",
            "line 1: cover_per_hour does not take \"36001\"; it takes a count from 0 to 36000",
        ),
        ("data = \"\"", "line 1: data does not take \"\"; it takes a path"),
        (
            "data = true",
            "line 1: data does not take \"this value\"; it takes a string, a whole number or a list of strings",
        ),
    ];
    for (text, wanted) in cases {
        assert_eq!(error_of(text), wanted, "of {text:?}");
    }
    assert!(error_of("retention = ").starts_with("line 1: "), "{}", error_of("retention = "));
    assert!(error_of("data = \"a\"\ndata = \"b\"").starts_with("line 2: "));
}

#[test]
fn a_name_is_found_with_dashes_and_each_property_says_what_it_means() {
    for known in PROPERTIES {
        assert_eq!(property(known.option).map(|found| found.name), Some(known.name));
        assert!(
            !known.form.is_empty() && !known.default.is_empty() && known.meaning.len() > 10,
            "{}",
            known.name
        );
    }
    assert!(property("retentions").is_none());
}

#[test]
fn durations_have_units() {
    let millis = |text| parse_duration(text).map(|duration| duration.as_millis());
    assert_eq!(millis("60s"), Some(60_000));
    assert_eq!(millis("1500ms"), Some(1_500));
    assert_eq!(millis("2m"), Some(120_000));
    assert_eq!(millis("72h"), Some(259_200_000));
    assert_eq!(millis("7d"), Some(604_800_000));
    for wrong in ["", "60", "s", "-1s", "1.5s", "1w", "99999999999999999999s", "18446744073709551615m"] {
        assert_eq!(millis(wrong), None, "of {wrong:?}");
    }
}
