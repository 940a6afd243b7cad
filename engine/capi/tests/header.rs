//! include/herald.h is what the exported functions say. `BLESS=1` writes it anew.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::path::PathBuf;

use cbindgen::{Config, DocumentationStyle, ExportConfig, FunctionConfig, Language, Layout, Style};
use herald::{ABI_VERSION, LEVELS, PROPERTY_FIELDS, STATUSES, SUPPLIES, VERDICTS, version};

/// The sources in the order in which the header tells the story.
const SOURCES: [&str; 15] = [
    "boundary/types",
    "about",
    "engine",
    "client",
    "stats",
    "subscriptions",
    "plugins",
    "services",
    "supply",
    "gateway",
    "discovery",
    "batch",
    "items",
    "error",
    "sealing",
];

const NOTICE: &str = "\
/* herald.h: the C interface of Herald, a Call Placement Service (RFC 8816) to embed.
 *
 * Generated from engine/capi; edit the documentation there.
 *
 * Every function that can fail returns a status: 0, or a negative code. Words about a failure come through the last
 * argument, if that is not NULL; it is written only on failure, and must then be freed. Other outputs are written only
 * on success, except lengths, see each function. Text is UTF-8. Handles are no addresses: a wrong one is told apart,
 * also after it was closed. A handle that a process inherited over a fork answers HERALD_FORKED. docs/CAPI.md has the
 * rest.
 */";

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// Constants that are not types: written from the tables that the library itself reads.
fn constants() -> String {
    let mut text = String::new();
    let mut row = |name: &str, value: &str, meaning: &str| {
        writeln!(text, "/** {} */\n#define {name} {value}", meaning.trim()).expect("a string takes all");
    };
    let bits = version();
    row(
        "HERALD_VERSION",
        &format!("{bits:#08x}u"),
        "The version of this header: major << 16 | minor << 8 | patch.",
    );
    row("HERALD_ABI_VERSION", &format!("{ABI_VERSION}u"), "The binary interface of this header.");
    row("HERALD_ID_CAPACITY", "33", "Bytes that take any id with its NUL.");
    row(
        "HERALD_BODY_CAPACITY",
        "8192",
        "Bytes that take any sealed body, and any PASSporT in one with its NUL.",
    );
    row(
        "HERALD_JWK_CAPACITY",
        "512",
        "Bytes that take any sealing key that this library makes, with its NUL.",
    );
    for (value, name, meaning) in LEVELS.iter().chain(PROPERTY_FIELDS).chain(VERDICTS).chain(SUPPLIES) {
        row(name, &value.to_string(), meaning);
    }
    text.push_str("/** A property whose name and value are string literals. */\n");
    text.push_str("#define HERALD_PROPERTY(name, value) \\\n    { (name), sizeof(name) - 1, (value), sizeof(value) - 1 }\n");
    text.push_str("\n/** What a call came to. -1xx: the caller's mistake; -2xx: a limit, or try again; -3xx: the peer, the network\n");
    text.push_str(" *  or what was stored; -4xx: the engine failed, only closing it is allowed. */\ntypedef int32_t herald_status;\n\nenum {\n");
    for (status, name, meaning) in STATUSES {
        writeln!(text, "  /** {} */\n  {name} = {},", meaning.trim(), *status as i32)
            .expect("a string takes all");
    }
    text.push_str("};\n");
    text
}

fn generate() -> String {
    let names = [
        ("Engine", "herald_engine"),
        ("Plugin", "herald_plugin"),
        ("PluginEntryFn", "herald_plugin_entry_fn"),
        ("Stats", "herald_stats"),
        ("Subscription", "herald_subscription"),
        ("SubscribeOptions", "herald_subscribe_options"),
        ("Arrived", "herald_arrived"),
        ("ArrivedFn", "herald_arrived_fn"),
        ("Items", "herald_items"),
        ("Error", "herald_error"),
        ("Property", "herald_property"),
        ("Placement", "herald_placement"),
        ("Number", "herald_number"),
        ("Stored", "herald_stored"),
        ("EngineOptions", "herald_engine_options"),
        ("ReportFn", "herald_report_fn"),
        ("FinalizerFn", "herald_finalizer_fn"),
        ("Status", "herald_status"),
        ("Text", "herald_text"),
        ("Call", "herald_call"),
        ("PlaceOptions", "herald_place_options"),
        ("Placed", "herald_placed"),
        ("PlacedFn", "herald_placed_fn"),
        ("CheckOptions", "herald_check_options"),
        ("Checked", "herald_checked"),
        ("CheckedFn", "herald_checked_fn"),
        ("CertificateWanted", "herald_certificate_wanted"),
        ("SupplierFn", "herald_certificate_supplier_fn"),
        ("GatewayStoreOptions", "herald_gateway_store_options"),
        ("GatewayStored", "herald_gateway_stored"),
        ("GatewayStoredFn", "herald_gateway_stored_fn"),
        ("GatewayFetchOptions", "herald_gateway_fetch_options"),
        ("GatewayFetched", "herald_gateway_fetched"),
        ("GatewayFetchedFn", "herald_gateway_fetched_fn"),
        ("DiscoverOptions", "herald_discover_options"),
        ("Discovered", "herald_discovered"),
        ("DiscoveredFn", "herald_discovered_fn"),
    ];
    let rename: HashMap<String, String> =
        names.into_iter().map(|(rust, c)| (rust.to_owned(), c.to_owned())).collect();
    let config = Config {
        language: Language::C,
        cpp_compat: true,
        header: Some(NOTICE.to_owned()),
        include_guard: Some("HERALD_H".to_owned()),
        no_includes: true,
        sys_includes: vec!["stddef.h".to_owned(), "stdint.h".to_owned()],
        after_includes: Some(format!("\n{}", constants())),
        usize_is_size_t: true,
        style: Style::Both,
        documentation_style: DocumentationStyle::Doxy,
        line_length: 110,
        export: ExportConfig { rename, exclude: vec!["ABI_VERSION".to_owned()], ..ExportConfig::default() },
        function: FunctionConfig { args: Layout::Auto, ..FunctionConfig::default() },
        ..Config::default()
    };
    let mut builder = cbindgen::Builder::new().with_config(config);
    for source in SOURCES {
        builder = builder.with_src(root().join(format!("engine/capi/src/{source}.rs")));
    }
    let mut header = Vec::new();
    builder.generate().expect("the sources parse").write(&mut header);
    String::from_utf8(header).expect("the header is text")
}

#[test]
fn the_committed_header_is_what_the_exported_functions_say() {
    let path = root().join("include/herald.h");
    let fresh = generate();
    if std::env::var_os("BLESS").is_some() {
        std::fs::write(&path, &fresh).expect("the header can be written");
    }
    let committed = std::fs::read_to_string(&path).expect("include/herald.h is there");
    assert!(
        committed == fresh,
        "include/herald.h is stale: run this test with BLESS=1 and read the difference"
    );
}

/// Macros that could be those of somebody else.
fn foreign_macros(header: &str) -> Vec<&str> {
    let names = header.lines().filter_map(|line| line.strip_prefix("#define "));
    names.filter(|name| !name.starts_with("HERALD_")).collect()
}

#[test]
fn every_macro_bears_the_name_of_the_project() {
    assert!(foreign_macros(&generate()).is_empty());
    assert_eq!(foreign_macros("#define HERALD_A 1\n#define ABI_VERSION 0\n"), ["ABI_VERSION 0"]);
}

#[test]
fn every_function_says_on_which_thread_it_runs_and_since_when_it_is_there() {
    let header = generate();
    let mut functions = 0;
    for (index, _) in header
        .match_indices("\n */\n")
        .filter(|(index, _)| header[index + 5..].starts_with(|c: char| c.is_alphabetic()))
    {
        let declaration = header[index + 5..].lines().next().unwrap_or_default();
        if !declaration.contains("herald_")
            || !declaration.contains('(')
            || declaration.starts_with("typedef")
        {
            continue;
        }
        let begin = header[..index].rfind("/**").expect("a comment begins before it ends");
        let comment = &header[begin..index];
        functions += 1;
        let tag = comment.lines().nth(1).unwrap_or_default();
        assert!(
            ["[any thread", "[loop thread]", "[one thread at a time]"]
                .iter()
                .any(|known| tag.contains(known)),
            "{declaration}: {tag}"
        );
        assert!(comment.contains("Since 0.1."), "{declaration} does not say since when it is there");
    }
    let symbols =
        std::fs::read_to_string(root().join("include/symbols.txt")).expect("include/symbols.txt is there");
    let listed = symbols.lines().filter(|line| line.starts_with("herald_")).count();
    assert_eq!(functions, listed, "functions in the header, symbols in include/symbols.txt");
}

#[test]
fn status_codes_lie_in_their_ranges_and_are_named_once() {
    let mut seen = std::collections::HashSet::new();
    for (status, name, meaning) in STATUSES {
        let code = *status as i32;
        assert!(code == 0 || (-499..=-100).contains(&code), "{name} {code}");
        assert!(seen.insert(code) && seen.len() <= 30, "{name} {code}");
        assert!(name.starts_with("HERALD_") && meaning.trim().ends_with('.'), "{name}: {meaning}");
    }
}
