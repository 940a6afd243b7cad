//! Rules over the workspace's manifests: who may depend on whom, and how.
//!
//! It reads what is written in `Cargo.toml` files; it does not run cargo and does not know what is resolved.

use toml::{Table, Value};

use crate::Finding;
use crate::files::TextFile;

/// Which of our crates each of our crates may use (DESIGN §1). Development dependencies are exempt: a test may
/// use what it likes.
pub const MAY_USE: [(&str, &[&str]); 12] = [
    ("herald-core", &[]),
    ("herald-admission", &["herald-core"]),
    ("herald-log", &["herald-core"]),
    ("herald-journal", &["herald-core", "herald-log"]),
    ("herald-stir", &["herald-core"]),
    ("herald-net", &["herald-core"]),
    (
        "herald-runtime",
        &[
            "herald-core",
            "herald-admission",
            "herald-log",
            "herald-journal",
            "herald-stir",
            "herald-net",
            "herald-plugin-abi",
        ],
    ),
    ("herald-capi", &["herald-runtime"]),
    ("herald", &["herald-runtime"]),
    ("herald-plugin-abi", &[]),
    ("herald-plugin-sdk", &["herald-plugin-abi"]),
    ("herald-loadable", &[]),
];

/// Crates that hold one of the homes of `unsafe` and so cannot inherit lints that forbid it.
pub const UNSAFE_CRATES: [&str; 8] = [
    "herald-log",
    "herald-capi",
    "herald-runtime",
    "herald-plugin-abi",
    "herald-plugin-sdk",
    "herald-loadable",
    "herald-rate-blind-signature",
    "herald-compare",
];

/// Crates that only these of ours may name: the storage engine, also in the comparison that shows it raw; and AWS-LC, as
/// ring is the engine's one provider of cryptography, and cannot sign blindly.
const CRATES_WITH_A_HOME: [(&[&str], &[&str]); 2] = [
    (&["rocksdb", "librocksdb-sys", "rust-rocksdb"], &["herald-journal", "herald-compare"]),
    (&["aws-lc-rs", "aws-lc-sys"], &["herald-rate-blind-signature"]),
];

/// How a dependency is used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// `[dependencies]`.
    Normal,
    /// `[build-dependencies]`.
    Build,
    /// `[dev-dependencies]`.
    Dev,
}

/// One dependency as a manifest writes it.
#[derive(Clone, Debug)]
pub struct Dependency {
    /// The package, also where the manifest renames it.
    pub package: String,
    /// The key in the manifest.
    pub key: String,
    /// How it is used.
    pub kind: Kind,
    /// Whether the version comes from the workspace.
    pub inherited: bool,
    /// The version asked for, if it stands here.
    pub version: Option<String>,
    /// Whether it is one of ours, by its path or, inherited, by the root's.
    pub path: bool,
}

/// A manifest of one crate.
#[derive(Clone, Debug)]
pub struct Manifest {
    /// Relative to the root of the checkout.
    pub path: String,
    /// Its text, for line numbers.
    pub text: String,
    /// Its tables.
    pub table: Table,
}

impl Manifest {
    /// Reads the manifest in `file`.
    ///
    /// # Errors
    /// A finding when it is not TOML.
    pub fn read(file: &TextFile) -> Result<Self, Finding> {
        match toml::from_str(&file.text) {
            Ok(table) => Ok(Self { path: file.path.clone(), text: file.text.clone(), table }),
            Err(error) => {
                Err(Finding::new(&file.path, 1, format!("not readable as TOML: {}", error.message())))
            }
        }
    }

    /// The package's name; empty in a virtual manifest.
    pub fn name(&self) -> &str {
        let name = self.table.get("package").and_then(|package| package.get("name"));
        name.and_then(Value::as_str).unwrap_or("")
    }

    /// The folder it lies in; empty for the root.
    pub fn folder(&self) -> &str {
        self.path.rsplit_once('/').map_or("", |(folder, _)| folder)
    }

    /// All dependencies it names, those for single targets too.
    pub fn dependencies(&self) -> Vec<Dependency> {
        let mut found = dependencies_in(&self.table);
        if let Some(targets) = self.table.get("target").and_then(Value::as_table) {
            targets
                .values()
                .filter_map(Value::as_table)
                .for_each(|target| found.extend(dependencies_in(target)));
        }
        found
    }

    /// The dependencies of `[workspace.dependencies]`.
    pub fn workspace_dependencies(&self) -> Vec<Dependency> {
        let table =
            self.workspace().and_then(|workspace| workspace.get("dependencies")).and_then(Value::as_table);
        table.map_or_else(Vec::new, |table| {
            table.iter().map(|(key, value)| dependency(key, value, Kind::Normal)).collect()
        })
    }

    /// The folders of the workspace's members.
    pub fn members(&self) -> Vec<&str> {
        let members =
            self.workspace().and_then(|workspace| workspace.get("members")).and_then(Value::as_array);
        members.into_iter().flatten().filter_map(Value::as_str).collect()
    }

    fn workspace(&self) -> Option<&Value> {
        self.table.get("workspace")
    }

    /// A finding at the line that begins with `key`, or at the first line.
    pub fn finding(&self, key: &str, message: impl Into<String>) -> Finding {
        let is_key = |line: &str| {
            let line = line.trim_start().trim_start_matches('"');
            line.strip_prefix(key)
                .is_some_and(|rest| rest.trim_start_matches('"').starts_with([' ', '=', '.']))
        };
        let line = self.text.lines().position(is_key).map_or(1, |index| index + 1);
        Finding::new(&self.path, line, message)
    }
}

fn dependencies_in(table: &Table) -> Vec<Dependency> {
    let sections = [
        ("dependencies", Kind::Normal),
        ("build-dependencies", Kind::Build),
        ("dev-dependencies", Kind::Dev),
    ];
    let mut found = Vec::new();
    for (section, kind) in sections {
        let entries = table.get(section).and_then(Value::as_table).into_iter().flatten();
        found.extend(entries.map(|(key, value)| dependency(key, value, kind)));
    }
    found
}

fn dependency(key: &str, value: &Value, kind: Kind) -> Dependency {
    let text_of = |name: &str| value.get(name).and_then(Value::as_str).map(str::to_owned);
    Dependency {
        package: text_of("package").unwrap_or_else(|| key.to_owned()),
        key: key.to_owned(),
        kind,
        inherited: value.get("workspace").and_then(Value::as_bool) == Some(true),
        version: value.as_str().map(str::to_owned).or_else(|| text_of("version")),
        path: value.get("path").is_some(),
    }
}

/// Whether `package` is one of ours.
pub fn is_ours(package: &str) -> bool {
    package == "herald" || package.starts_with("herald-")
}

/// A crate uses one of ours that the dependency rule does not let it use, or has no line in the rule.
pub fn breaks_the_dependency_rule(manifest: &Manifest) -> Vec<Finding> {
    let name = manifest.name();
    let allowed = match MAY_USE.iter().find(|(of, _)| *of == name) {
        Some((_, allowed)) => *allowed,
        None if manifest.path.starts_with("engine/") => {
            return vec![manifest.finding("name", format!("`{name}` has no line in the dependency rule"))];
        }
        None if manifest.path.starts_with("plugins/") => &["herald-plugin-sdk", "herald-core", "herald-stir"],
        None => return Vec::new(),
    };
    let ours =
        manifest.dependencies().into_iter().filter(|one| one.kind != Kind::Dev && is_ours(&one.package));
    ours.filter(|one| !allowed.contains(&one.package.as_str()))
        .map(|one| {
            let message = format!("`{name}` may not use `{}`, only {allowed:?}", one.package);
            manifest.finding(&one.key, message)
        })
        .collect()
}

/// A crate depends on one that has its home elsewhere, for whatever purpose.
pub fn uses_a_crate_outside_its_home(manifest: &Manifest) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (crates, homes) in CRATES_WITH_A_HOME.iter().filter(|(_, homes)| !homes.contains(&manifest.name())) {
        let named = manifest.dependencies().into_iter().filter(|one| crates.contains(&one.package.as_str()));
        findings.extend(named.map(|one| {
            manifest.finding(&one.key, format!("only {homes:?} may depend on `{}`", one.package))
        }));
    }
    findings
}

/// A member names a version of its own, where the root should have the only one.
pub fn version_outside_the_root(manifest: &Manifest) -> Vec<Finding> {
    let own = manifest.dependencies().into_iter().filter(|one| !one.inherited);
    own.map(|one| {
        let message = format!("`{}` must be declared in the root and used with workspace = true", one.key);
        manifest.finding(&one.key, message)
    })
    .collect()
}

/// A member neither inherits the workspace's lints nor is one of [`UNSAFE_CRATES`] that repeats them.
///
/// Those may differ from the workspace in `unsafe_code`, which they have to set, and in `unexpected_cfgs`.
pub fn lints_differ(manifest: &Manifest, root: &Manifest) -> Vec<Finding> {
    let Some(lints) = manifest.table.get("lints").and_then(Value::as_table) else {
        return vec![manifest.finding("lints", "no [lints]: inherit the workspace's with workspace = true")];
    };
    if lints.get("workspace").and_then(Value::as_bool) == Some(true) {
        return Vec::new();
    }
    if !UNSAFE_CRATES.contains(&manifest.name()) {
        return vec![
            manifest.finding("[lints", "lints of its own: only crates with unsafe code may have them"),
        ];
    }
    let expected = root.workspace().and_then(|workspace| workspace.get("lints")).and_then(Value::as_table);
    let expected = expected.cloned().unwrap_or_default();
    let mut findings = Vec::new();
    for (tool, level_of) in &expected {
        for (lint, level) in level_of.as_table().into_iter().flatten() {
            let here = lints.get(tool).and_then(|tool| tool.get(lint));
            let same = match lint.as_str() {
                "unsafe_code" => here.is_some(),
                // Which names of configurations there are is a crate's own business.
                "unexpected_cfgs" => true,
                _ => here == Some(level),
            };
            if !same {
                let message = format!("lint {tool}::{lint} is not {level:?} as in the workspace");
                findings.push(manifest.finding("[lints", message));
            }
        }
    }
    findings
}

/// The workspace does not forbid `unsafe`.
pub fn unsafe_not_forbidden(root: &Manifest) -> Vec<Finding> {
    let level = ["lints", "rust", "unsafe_code"]
        .iter()
        .try_fold(root.workspace(), |value, key| Some(value?.get(key)));
    if level.flatten().and_then(Value::as_str) == Some("forbid") {
        return Vec::new();
    }
    vec![root.finding("unsafe_code", "[workspace.lints.rust] must say unsafe_code = \"forbid\"")]
}

/// A member that is listed but not there, or a crate in the checkout that is neither member nor excluded.
pub fn members_and_manifests_differ(root: &Manifest, manifests: &[Manifest]) -> Vec<Finding> {
    let members = root.members();
    let excluded = root.workspace().and_then(|workspace| workspace.get("exclude")).and_then(Value::as_array);
    let excluded: Vec<&str> = excluded.into_iter().flatten().filter_map(Value::as_str).collect();
    let mut findings = Vec::new();
    for member in &members {
        if !manifests.iter().any(|manifest| manifest.folder() == *member) {
            findings.push(root.finding(&format!("\"{member}"), format!("member `{member}` has no manifest")));
        }
    }
    for manifest in manifests.iter().filter(|manifest| !manifest.folder().is_empty()) {
        let below = |folder: &&str| {
            manifest
                .folder()
                .strip_prefix(folder)
                .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        };
        if !members.contains(&manifest.folder()) && !excluded.iter().any(below) {
            findings.push(manifest.finding("name", "neither a member of the workspace nor excluded from it"));
        }
    }
    findings
}
