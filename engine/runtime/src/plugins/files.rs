//! The files of plugins: where they may lie, their copies in memory, and their settings.

use std::collections::HashMap;
use std::fs::{self, File, Metadata};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use rustix::fs::{MemfdFlags, Mode, OFlags, SealFlags, fcntl_add_seals, memfd_create, open};
use toml::de::{DeTable, DeValue};

use crate::config::line_of;
use crate::error::{EngineError, EngineErrorKind};
use crate::files::read_bounded;
use crate::limits::{PLUGIN_FILE_BYTES_MAX, PLUGIN_SETTINGS_BYTES_MAX, PLUGINS_MAX};

/// Names and values for each plugin, in the order of the file.
pub(crate) type Settings = HashMap<String, Vec<(String, String)>>;

/// What tells one state of a file from another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Stamp {
    device: u64,
    inode: u64,
    size: u64,
    modified: (i64, i64),
}

/// The shared objects that `paths` name: files, and what folders have in them, by name.
pub(crate) fn objects(paths: &[PathBuf]) -> Result<Vec<PathBuf>, String> {
    let mut objects = Vec::new();
    for path in paths {
        let named = |error: io::Error| format!("{}: {error}", path.display());
        if !path.is_absolute() {
            return Err(format!("{}: plugins are named by their absolute path", path.display()));
        }
        if !fs::metadata(path).map_err(named)?.is_dir() {
            objects.push(path.clone());
            continue;
        }
        let mut inside = Vec::new();
        for entry in fs::read_dir(path).map_err(named)? {
            let entry = entry.map_err(named)?.path();
            if entry.extension().is_some_and(|extension| extension == "so") {
                inside.push(entry);
            }
        }
        inside.sort();
        objects.append(&mut inside);
    }
    if objects.len() > PLUGINS_MAX {
        return Err(format!("{} plugins are named where {PLUGINS_MAX} are loaded at most", objects.len()));
    }
    Ok(objects)
}

/// A copy of the file in memory that nobody can change, and what the file was then. It is opened once: what was checked is
/// what is copied.
pub(crate) fn sealed(path: &Path) -> Result<(File, Stamp), String> {
    let words = |error: io::Error| error.to_string();
    // A named pipe that nobody writes would keep us here.
    let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let mut file: File = open(path, flags, Mode::empty()).map_err(|error| words(error.into()))?.into();
    let metadata = file.metadata().map_err(words)?;
    let flags = MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING;
    let mut sealed: File = memfd_create("herald-plugin", flags).map_err(|error| words(error.into()))?.into();
    // What we make is of the user we run as.
    let own = sealed.metadata().map_err(words)?.uid();
    trustworthy(&metadata, own)?;
    trustworthy_folders(path)?;
    let size =
        io::copy(&mut io::Read::take(&mut file, PLUGIN_FILE_BYTES_MAX + 1), &mut sealed).map_err(words)?;
    if size > PLUGIN_FILE_BYTES_MAX {
        return Err(format!("larger than {PLUGIN_FILE_BYTES_MAX} bytes; strip it"));
    }
    let seals = SealFlags::SEAL | SealFlags::SHRINK | SealFlags::GROW | SealFlags::WRITE;
    fcntl_add_seals(&sealed, seals).map_err(|error| words(error.into()))?;
    Ok((sealed, stamp_of(&metadata)))
}

/// What the file is now.
pub(crate) fn stamp(path: &Path) -> Option<Stamp> {
    fs::metadata(path).ok().map(|metadata| stamp_of(&metadata))
}

fn stamp_of(metadata: &Metadata) -> Stamp {
    Stamp {
        device: metadata.dev(),
        inode: metadata.ino(),
        size: metadata.size(),
        modified: (metadata.mtime(), metadata.mtime_nsec()),
    }
}

/// Whoever can write the file is the host, so only root and the user `own`, whom we run as, may.
fn trustworthy(file: &Metadata, own: u32) -> Result<(), String> {
    const WRITTEN_BY_OTHERS: u32 = 0o022;
    if !file.is_file() {
        return Err("it is no regular file".to_owned());
    }
    if ![0, own].contains(&file.uid()) {
        return Err(format!("it belongs to user {}; give it to root or to the user we run as", file.uid()));
    }
    if file.mode() & WRITTEN_BY_OTHERS != 0 {
        return Err("its group or everybody may write it; take that right away (chmod go-w)".to_owned());
    }
    Ok(())
}

/// Whoever can write a folder above the file can put another one into its place, such as an older one of root's. In a sticky
/// folder only the owners of files can.
fn trustworthy_folders(path: &Path) -> Result<(), String> {
    const WRITTEN_BY_ALL: u32 = 0o002;
    const STICKY: u32 = 0o1000;
    let named = |error: io::Error| format!("{}: {error}", path.display());
    let real = fs::canonicalize(path).map_err(named)?;
    for folder in path.ancestors().chain(real.ancestors()).filter(|folder| *folder != path && *folder != real)
    {
        let mode = fs::metadata(folder).map_err(|error| format!("{}: {error}", folder.display()))?.mode();
        if mode & (WRITTEN_BY_ALL | STICKY) == WRITTEN_BY_ALL {
            return Err(format!("everybody may write its folder {}; take that right away", folder.display()));
        }
    }
    Ok(())
}

/// The settings of plugins: a TOML file with a table for each, of texts, whole numbers, truth values and lists of them.
pub(crate) fn settings(path: &Path) -> Result<Settings, EngineError> {
    let wrong = |line: Option<usize>, why: &str| {
        let line = line.map_or_else(String::new, |line| format!("line {line}: "));
        EngineError::new(EngineErrorKind::Argument, format!("{}: {line}{why}", path.display()))
    };
    let text = String::from_utf8(read_bounded(path, PLUGIN_SETTINGS_BYTES_MAX)?)
        .map_err(|_| wrong(None, "it is not UTF-8"))?;
    let line = |offset| Some(line_of(&text, offset));
    let tables = DeTable::parse(&text)
        .map_err(|error| wrong(error.span().and_then(|span| line(span.start)), error.message()))?;
    let mut settings = Settings::new();
    for (plugin, table) in tables.get_ref() {
        let DeValue::Table(table) = table.get_ref() else {
            let why = "settings stand below the name of their plugin: [name-of-the-plugin]";
            return Err(wrong(line(plugin.span().start), why));
        };
        let mut pairs = Vec::new();
        for (name, value) in table {
            let values = values(value.get_ref()).ok_or_else(|| {
                let why = "a setting is a text, a whole number, true, false, or a list of them";
                wrong(line(name.span().start), why)
            })?;
            pairs.extend(values.into_iter().map(|value| (name.get_ref().to_string(), value)));
        }
        settings.insert(plugin.get_ref().to_string(), pairs);
    }
    Ok(settings)
}

/// A list is the same setting several times.
fn values(value: &DeValue<'_>) -> Option<Vec<String>> {
    match value {
        DeValue::Array(items) => {
            let items: Option<Vec<_>> = items.iter().map(|item| one(item.get_ref())).collect();
            items
        }
        value => one(value).map(|value| vec![value]),
    }
}

fn one(value: &DeValue<'_>) -> Option<String> {
    match value {
        DeValue::String(text) => Some(text.to_string()),
        DeValue::Integer(number) => Some(number.to_string()),
        DeValue::Boolean(truth) => Some(truth.to_string()),
        _ => None,
    }
}
