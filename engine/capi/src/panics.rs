//! A panic behind every export: it ends at the function, as a code, and what it may have broken is never used again.

use core::ffi::c_char;
use core::ptr::{self, null, null_mut};

use crate::boundary::Engine;
use crate::call::on_purpose::{Place, panic_next};
use crate::*;

/// No handle of this process: it gets past the check for NULL.
fn wrong<T>() -> *mut T {
    ptr::without_provenance_mut(1)
}

/// Functions without anything in them that could fail.
const WITHOUT_BARRIER: [&str; 3] = ["herald_abi_version", "herald_property_count", "herald_version"];

type Export = (&'static str, fn() -> Status);

/// Every other export, called with as little as it takes to get to the work.
const EXPORTS: &[Export] = &[
    ("herald_call_cancel", || herald_call_cancel(wrong(), null_mut())),
    ("herald_call_free", || herald_call_free(wrong())),
    ("herald_certificate_keep", || herald_certificate_keep(wrong(), null(), 0, null(), 0, 0, null_mut())),
    ("herald_certificate_supplier_set", || {
        herald_certificate_supplier_set(wrong(), None, null_mut(), None, null_mut())
    }),
    ("herald_check", || herald_check(wrong(), null(), null_mut(), null_mut())),
    ("herald_client_open", || herald_client_open(null(), 0, null(), null_mut(), null_mut())),
    ("herald_discover", || herald_discover(wrong(), null(), null_mut(), null_mut())),
    ("herald_engine_address", || herald_engine_address(wrong(), 0, null_mut(), 0, null_mut(), null_mut())),
    ("herald_engine_close", || herald_engine_close(wrong())),
    ("herald_engine_descriptor", || herald_engine_descriptor(wrong(), null_mut(), null_mut())),
    ("herald_engine_drain", || herald_engine_drain(wrong(), 0, null_mut())),
    ("herald_engine_drain_begin", || herald_engine_drain_begin(wrong(), 0, null_mut())),
    ("herald_engine_open", || herald_engine_open(null(), null_mut(), null_mut())),
    ("herald_engine_reload", || herald_engine_reload(wrong(), null_mut())),
    ("herald_engine_start", || herald_engine_start(wrong(), null_mut())),
    ("herald_engine_start_hosted", || herald_engine_start_hosted(wrong(), null_mut())),
    ("herald_engine_stats", || herald_engine_stats(wrong(), null_mut(), null_mut())),
    ("herald_engine_stop", || herald_engine_stop(wrong(), null_mut())),
    ("herald_engine_turn", || herald_engine_turn(wrong(), 0, null_mut())),
    ("herald_error_free", || herald_error_free(wrong())),
    ("herald_error_message", || herald_error_message(null(), null_mut(), 0, null_mut())),
    ("herald_error_status", || herald_error_status(null())),
    ("herald_gateway_fetch", || herald_gateway_fetch(wrong(), null(), null_mut(), null_mut())),
    ("herald_gateway_store", || herald_gateway_store(wrong(), null(), null_mut(), null_mut())),
    ("herald_items_body", || herald_items_body(null(), 0, null_mut(), 0, null_mut(), null_mut())),
    ("herald_items_count", || herald_items_count(null(), null_mut(), null_mut())),
    ("herald_items_free", || herald_items_free(wrong())),
    ("herald_items_id", || herald_items_id(null(), 0, null_mut(), 0, null_mut(), null_mut())),
    ("herald_key_generate", || herald_key_generate(null_mut(), 0, null_mut(), null_mut())),
    ("herald_key_public", || herald_key_public(null(), 0, null_mut(), 0, null_mut(), null_mut())),
    ("herald_open", || herald_open(null(), 0, null(), 0, null(), 0, null_mut(), 0, null_mut(), null_mut())),
    ("herald_place", || herald_place(wrong(), null(), null_mut(), null_mut())),
    ("herald_plugin_register", || herald_plugin_register(wrong(), None, null_mut())),
    ("herald_plugin_replace", || herald_plugin_replace(wrong(), null(), 0, null(), 0, null_mut())),
    ("herald_property_text", || herald_property_text(0, 0, null_mut(), 0, null_mut())),
    ("herald_retrieve", || herald_retrieve(wrong(), null(), 0, null_mut(), null_mut())),
    ("herald_retrieve_batch", || herald_retrieve_batch(wrong(), null(), 0, null_mut(), null_mut())),
    ("herald_seal", || herald_seal(null(), 0, null(), 0, null(), 0, null_mut(), 0, null_mut(), null_mut())),
    ("herald_stats_count", || herald_stats_count(null(), null_mut(), null_mut())),
    ("herald_stats_find", || herald_stats_find(null(), null(), 0, null_mut(), null_mut())),
    ("herald_stats_free", || herald_stats_free(wrong())),
    ("herald_stats_name", || herald_stats_name(null(), 0, null_mut(), 0, null_mut(), null_mut())),
    ("herald_stats_text", || herald_stats_text(null(), null_mut(), 0, null_mut(), null_mut())),
    ("herald_stats_value", || herald_stats_value(null(), 0, null_mut(), null_mut())),
    ("herald_status_name", || herald_status_name(0, null_mut(), 0, null_mut())),
    ("herald_store", || herald_store(wrong(), null(), 0, null(), 0, null_mut(), 0, null_mut())),
    ("herald_store_batch", || herald_store_batch(wrong(), null(), 0, null_mut(), null_mut())),
    ("herald_store_messages", || herald_store_messages(wrong(), null(), 0, null_mut(), null_mut())),
    ("herald_subscribe", || herald_subscribe(wrong(), null(), null_mut(), null_mut())),
    ("herald_subscription_close", || herald_subscription_close(wrong())),
    ("herald_subscription_left_out", || herald_subscription_left_out(null(), null_mut(), null_mut())),
];

#[test]
fn a_panic_behind_any_export_comes_out_as_its_status_and_the_next_call_works() {
    for (name, export) in EXPORTS {
        panic_next(Place::Call);
        assert_eq!(export(), Status::Panic, "{name}");
        assert_ne!(export(), Status::Panic, "{name}, the next time");
    }
}

#[test]
fn no_export_is_forgotten() {
    let symbols = concat!(env!("CARGO_MANIFEST_DIR"), "/../../include/symbols.txt");
    let symbols = std::fs::read_to_string(symbols).expect("include/symbols.txt is there");
    let mut called: Vec<_> = EXPORTS.iter().map(|export| export.0).chain(WITHOUT_BARRIER).collect();
    called.sort_unstable();
    let listed =
        symbols.lines().filter_map(|line| line.split_once(' ')?.0.starts_with("herald_").then_some(line));
    let listed: Vec<_> = listed.filter_map(|line| Some(line.split_once(' ')?.0)).collect();
    assert_eq!(called, listed);
}

type Use = (&'static str, fn(*mut Engine) -> Status);

const NUMBER: &str = "12025550123";

fn text() -> (*const c_char, usize) {
    (NUMBER.as_ptr().cast(), NUMBER.len())
}

/// Functions that work with an engine, called so that they do.
const USES: &[Use] = &[
    ("herald_engine_start", |engine| herald_engine_start(engine, null_mut())),
    ("herald_engine_start_hosted", |engine| herald_engine_start_hosted(engine, null_mut())),
    ("herald_engine_descriptor", |engine| {
        let mut descriptor = 0;
        herald_engine_descriptor(engine, &raw mut descriptor, null_mut())
    }),
    ("herald_engine_turn", |engine| herald_engine_turn(engine, 0, null_mut())),
    ("herald_engine_address", |engine| {
        herald_engine_address(engine, 0, null_mut(), 0, null_mut(), null_mut())
    }),
    ("herald_engine_drain", |engine| herald_engine_drain(engine, 0, null_mut())),
    ("herald_engine_drain_begin", |engine| herald_engine_drain_begin(engine, 0, null_mut())),
    ("herald_engine_stop", |engine| herald_engine_stop(engine, null_mut())),
    ("herald_engine_reload", |engine| herald_engine_reload(engine, null_mut())),
    ("herald_engine_stats", |engine| {
        let mut stats = null_mut();
        herald_engine_stats(engine, &raw mut stats, null_mut())
    }),
    ("herald_store", |engine| {
        let ((number, len), body) = (text(), [0; 640]);
        herald_store(engine, number, len, body.as_ptr(), 640, null_mut(), 0, null_mut())
    }),
    ("herald_retrieve", |engine| {
        let ((number, len), mut items) = (text(), null_mut());
        herald_retrieve(engine, number, len, &raw mut items, null_mut())
    }),
    ("herald_store_batch", |engine| herald_store_batch(engine, null(), 0, null_mut(), null_mut())),
    ("herald_store_messages", |engine| herald_store_messages(engine, null(), 0, null_mut(), null_mut())),
    ("herald_retrieve_batch", |engine| herald_retrieve_batch(engine, null(), 0, null_mut(), null_mut())),
    ("herald_plugin_replace", |engine| {
        let (name, len) = text();
        herald_plugin_replace(engine, name, len, name, len, null_mut())
    }),
    ("herald_certificate_keep", |engine| {
        let (url, len) = text();
        herald_certificate_keep(engine, url, len, url.cast(), len, 0, null_mut())
    }),
];

#[test]
fn a_panic_at_work_with_an_engine_leaves_it_to_be_closed_and_nothing_else() {
    for (name, with_engine) in USES {
        let engine = engine::tests::started();
        panic_next(Place::Engine);
        assert_eq!(with_engine(engine), Status::Panic, "{name}");
        for (again, with_engine) in USES {
            assert_eq!(with_engine(engine), Status::Failed, "{again} after {name}");
        }
        assert_eq!(herald_engine_close(engine), Status::Ok, "after {name}");
        assert_eq!(with_engine(engine), Status::Closed, "{name}");
    }
}
