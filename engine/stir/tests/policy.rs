//! The table of settings: each does something, is documented, and refuses what it does not know.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use common::read;
use herald_stir::{SETTINGS, SettingError, TrustStore, VerificationPolicy};

fn strict() -> VerificationPolicy {
    VerificationPolicy::new(TrustStore::from_pem(&read("fixtures/pki/root.pem")).unwrap())
}

/// A value other than the default.
fn other_value(form: &str, default: &str) -> String {
    match form {
        "off|ATTEST,ORIGID" => "B,some-origid".into(),
        _ if form.contains('|') => form.split('|').find(|value| *value != default).unwrap().into(),
        _ => "7".into(),
    }
}

#[test]
fn each_setting_changes_the_policy_and_its_default_does_not() {
    for setting in SETTINGS {
        let mut policy = strict();
        policy.set(setting.name, setting.default).unwrap();
        assert_eq!(format!("{policy:?}"), format!("{:?}", strict()), "{} by default", setting.name);
        policy.set(setting.name, &other_value(setting.form, setting.default)).unwrap();
        assert_ne!(format!("{policy:?}"), format!("{:?}", strict()), "{} changed", setting.name);
        policy.set(setting.name, setting.default).unwrap();
        assert_eq!(format!("{policy:?}"), format!("{:?}", strict()), "{} set back", setting.name);
    }
}

#[test]
fn an_unknown_name_is_answered_with_the_nearest_and_a_wrong_value_with_the_form() {
    let mut policy = strict();
    let unknown = SettingError::Unknown { name: "freshnes".into(), nearest: "freshness_s" };
    assert_eq!(policy.set("freshnes", "1"), Err(unknown));
    for setting in SETTINGS {
        for value in ["", "maybe", "-1", "1e9"] {
            let wrong = SettingError::Value { name: setting.name, form: setting.form };
            assert_eq!(policy.set(setting.name, value), Err(wrong), "{} = {value:?}", setting.name);
        }
    }
    assert_eq!(format!("{policy:?}"), format!("{:?}", strict()));
}

#[test]
fn the_documentation_is_the_table() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/POLICY.md");
    let page = std::fs::read_to_string(path).unwrap();
    let rows: String = SETTINGS
        .iter()
        .map(|setting| {
            let form = setting.form.replace('|', "\\|");
            format!("| `{}` | {form} | {} | {} |\n", setting.name, setting.default, setting.meaning)
        })
        .collect();
    assert!(
        page.contains(&rows),
        "docs/POLICY.md should hold these rows, and no others between them:\n{rows}"
    );
}
