//! The structs of `include/herald_plugin.h` have in Rust the layout that a C compiler gives them: each field by its offset
//! and size, and none is missing on either side.

use std::fmt::Write as _;
use std::path::Path;
use std::process::Command;

use herald_plugin_abi as abi;

/// A struct with its fields: name, size, and each field's offset and size.
struct Layout {
    name: &'static str,
    size: usize,
    fields: Vec<(&'static str, usize, usize)>,
}

const fn size_of_field<T, F>(_: fn(&T) -> &F) -> usize {
    size_of::<F>()
}

macro_rules! layout {
    ($name:literal, $of:ident: $($field:ident)*) => {{
        // Names every field, so that one that is missing below does not compile.
        let _ = |value: &abi::$of| { let abi::$of { $($field: _),* } = value; };
        Layout {
            name: $name,
            size: size_of::<abi::$of>(),
            fields: vec![$((
                stringify!($field),
                core::mem::offset_of!(abi::$of, $field),
                size_of_field(|value: &abi::$of| &value.$field),
            )),*],
        }
    }};
}

fn layouts() -> Vec<Layout> {
    vec![
        layout!("herald_reason", Reason: struct_size len text),
        layout!("herald_bytes", Bytes: struct_size data capacity len),
        layout!("herald_setting", Setting: name value),
        layout!("herald_host", Host: abi_major abi_minor struct_size kind reserved context log random wall_ms steady_ms answer),
        layout!("herald_plugin", Plugin: abi_major abi_minor struct_size kind flags name version summary open close reload),
        layout!("herald_question", Question: struct_size ticket deadline_ms side reserved number number_len spc spc_len),
        layout!("herald_answer", Answer: struct_size flags fresh_s note_len uris_len note uris),
        layout!("herald_discovery", Discovery: plugin find cancel observe),
        layout!("herald_token_key", TokenKey: struct_size id public_key agreement_key secret),
        layout!("herald_redemption", Redemption: struct_size key mode reserved token_input authenticator authenticator_len proof proof_len),
        layout!("herald_redeemed", Redeemed: struct_size result secret_len secret),
        layout!("herald_want", Want: struct_size mode count public_key public_key_len agreement_key agreement_key_len challenge_digest),
        layout!("herald_token", Token: struct_size authenticator_len proof_len secret_len reserved token_input authenticator proof secret),
        layout!("herald_rate_control", RateControl: plugin token_type modes count_max key_cost_ms request_type response_type key_make key_add key_drop request_count issue redeem request finish),
    ]
}

/// A C program of assertions about these layouts, and constants; compiling it checks them.
fn assertions(layouts: &[Layout]) -> String {
    let mut text = String::from("#include <herald_plugin.h>\n");
    for Layout { name, size, fields } in layouts {
        writeln!(text, "_Static_assert(sizeof({name}) == {size}, \"{name}\");").expect("a string takes all");
        for (field, offset, size) in fields {
            let is_so =
                format!("offsetof({name}, {field}) == {offset} && sizeof((({name} *)0)->{field}) == {size}");
            writeln!(text, "_Static_assert({is_so}, \"{name}.{field}\");").expect("a string takes all");
        }
    }
    for (constant, value) in [
        ("HERALD_PLUGIN_ABI_MAJOR", i64::from(abi::ABI_MAJOR)),
        ("HERALD_PLUGIN_ABI_MINOR", i64::from(abi::ABI_MINOR)),
        ("HERALD_PLUGIN_DISCOVERY", i64::from(abi::DISCOVERY)),
        ("HERALD_PLUGIN_RATE_CONTROL", i64::from(abi::RATE_CONTROL)),
        ("HERALD_PLUGIN_THREADS", i64::from(abi::THREADS)),
        ("HERALD_RESULT_OK", i64::from(abi::OK)),
        ("HERALD_RESULT_PENDING", i64::from(abi::PENDING)),
        ("HERALD_RESULT_NOT_FOUND", i64::from(abi::NOT_FOUND)),
        ("HERALD_RESULT_REFUSED", i64::from(abi::REFUSED)),
        ("HERALD_RESULT_SMALL", i64::from(abi::SMALL)),
        ("HERALD_RESULT_UNSUPPORTED", i64::from(abi::UNSUPPORTED)),
        ("HERALD_RESULT_FAILED", i64::from(abi::FAILED)),
        ("HERALD_LOG_ERROR", i64::from(abi::LOG_ERROR)),
        ("HERALD_LOG_WARNING", i64::from(abi::LOG_WARNING)),
        ("HERALD_LOG_INFO", i64::from(abi::LOG_INFO)),
        ("HERALD_SIDE_CALLING", i64::from(abi::SIDE_CALLING)),
        ("HERALD_SIDE_CALLED", i64::from(abi::SIDE_CALLED)),
        ("HERALD_ANSWER_PROVEN", i64::from(abi::ANSWER_PROVEN)),
        ("HERALD_OBSERVED_CERTIFICATE", i64::from(abi::OBSERVED_CERTIFICATE)),
        ("HERALD_TOKEN_BEARER", i64::from(abi::MODE_BEARER)),
        ("HERALD_TOKEN_WITHHELD", i64::from(abi::MODE_WITHHELD)),
        ("HERALD_TOKEN_COMMITTED", i64::from(abi::MODE_COMMITTED)),
        ("HERALD_TOKEN_AGREED", i64::from(abi::MODE_AGREED)),
        ("HERALD_TOKEN_SIGNED", i64::from(abi::MODE_SIGNED)),
    ] {
        writeln!(text, "_Static_assert({constant} == {value}, \"{constant}\");").expect("a string takes all");
    }
    text
}

/// What the compiler says of `text`; empty if nothing is wrong.
fn compiled(text: &str) -> String {
    let include = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../include");
    let file = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("layout-{}.c", text.len()));
    std::fs::write(&file, text).expect("it is written");
    let done = Command::new("cc")
        .args(["-std=c11", "-Wall", "-Wextra", "-Wpedantic", "-Werror", "-fsyntax-only", "-I"])
        .args([&include, &file])
        .output()
        .expect("a C compiler");
    String::from_utf8_lossy(&done.stderr).into_owned()
}

#[test]
fn every_struct_and_constant_is_the_same_in_c_and_in_rust() {
    let layouts = layouts();
    let said = compiled(&assertions(&layouts));
    assert!(said.is_empty(), "{said}");
    let fields: usize = layouts.iter().map(|layout| layout.fields.len()).sum();
    assert!(fields > 100, "the header has more fields than {fields}");
    // The control: one offset that is wrong is found.
    let mut wrong = layouts;
    wrong[6].fields[3].1 += 4;
    assert!(compiled(&assertions(&wrong)).contains("herald_answer.note_len"));
}

#[test]
fn the_header_has_no_field_that_rust_does_not() {
    let header =
        std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("../../include/herald_plugin.h"))
            .expect("the header is there");
    let mut text = header.as_str();
    let mut structs = 0;
    while let Some((_, rest)) = text.split_once("struct herald_").filter(|(_, rest)| rest.contains('{')) {
        text = rest;
        let (name, rest) =
            rest.split_at(rest.find(|sign: char| !(sign.is_ascii_lowercase() || sign == '_')).unwrap_or(0));
        let Some(body) = rest.trim_start().strip_prefix('{') else { continue };
        let body = &body[..body.find("\n}").expect("a struct ends")];
        let code: String =
            body.split("/*").map(|part| part.split_once("*/").map_or(part, |(_, code)| code)).collect();
        let layouts = layouts();
        let name = format!("herald_{name}");
        let layout = layouts
            .iter()
            .find(|layout| layout.name == name)
            .unwrap_or_else(|| panic!("{name} is not in Rust"));
        // Each field ends with a semicolon.
        assert_eq!(code.matches(';').count(), layout.fields.len(), "{name}");
        structs += 1;
    }
    assert_eq!(structs, layouts().len());
}
