//! The forms that values of properties have.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use herald_core::{PlacementClass, Retention};

use crate::limits::ARENA_BYTES_MIN;

pub(super) fn set_path(place: &mut Option<PathBuf>, value: &str) -> Result<(), &'static str> {
    if value.is_empty() {
        return Err("a path");
    }
    *place = Some(value.into());
    Ok(())
}

/// Permission bits; the owner always reads and writes.
pub(super) fn set_mode(place: &mut u32, value: &str) -> Result<(), &'static str> {
    let mode = u32::from_str_radix(value, 8).ok().filter(|mode| mode & !0o777 == 0 && mode & 0o600 == 0o600);
    *place = mode.ok_or("permission bits in octal as in 660 or 600")?;
    Ok(())
}

pub(super) fn set_plugins(place: &mut Vec<PathBuf>, value: &str) -> Result<(), &'static str> {
    let paths: Vec<_> = value.split(',').map(|path| PathBuf::from(path.trim())).collect();
    if !paths.iter().all(|path| path.is_absolute()) {
        return Err("absolute paths");
    }
    *place = paths;
    Ok(())
}

pub(super) fn set_deadline(place: &mut Duration, value: &str) -> Result<(), &'static str> {
    let deadline = parse_duration(value).filter(|deadline| !deadline.is_zero());
    *place = deadline.ok_or("a duration as in 3s or 800ms")?;
    Ok(())
}

pub(super) fn set_list(
    place: &mut Vec<SocketAddr>,
    value: &str,
    wanted: &'static str,
) -> Result<(), &'static str> {
    *place = value
        .split(',')
        .map(|address| address.trim().parse().map_err(|_| wanted))
        .collect::<Result<_, _>>()?;
    Ok(())
}

/// `60s`, `1500ms`, `2m`, `72h`, `7d`.
pub fn parse_duration(text: &str) -> Option<Duration> {
    let (count, unit) = split_unit(text)?;
    let millis = match unit {
        "ms" => 1,
        "s" => 1_000,
        "m" => 60_000,
        "h" => 3_600_000,
        "d" => 86_400_000,
        _ => return None,
    };
    count.checked_mul(millis).map(Duration::from_millis)
}

/// How long what is of `class` can be retrieved; outside of its bounds, `wanted` is.
pub(super) fn set_retention(
    place: &mut Retention,
    class: PlacementClass,
    value: &str,
    wanted: &'static str,
) -> Result<(), &'static str> {
    let duration = parse_duration(value).ok_or("a duration as in 60s or 1500ms")?;
    let millis = u64::try_from(duration.as_millis()).map_err(|_| wanted)?;
    *place = Retention::of(class, millis).map_err(|_| wanted)?;
    Ok(())
}

/// Memory for placements.
pub(super) fn set_arena(place: &mut usize, value: &str) -> Result<(), &'static str> {
    *place = parse_size(value)
        .filter(|&bytes| bytes >= ARENA_BYTES_MIN)
        .ok_or("a size as in 256MiB or 4GiB, at least 16MiB")?;
    Ok(())
}

pub(super) fn set_size(place: &mut usize, value: &str) -> Result<(), &'static str> {
    *place = parse_size(value).ok_or("a size as in 10GiB, or 0")?;
    Ok(())
}

pub(super) fn set_journal_memory(place: &mut usize, value: &str) -> Result<(), &'static str> {
    *place =
        parse_size(value).filter(|&bytes| bytes >= 1 << 20).ok_or("a size as in 512MiB, at least 1MiB")?;
    Ok(())
}

/// `256MiB`, `4GiB`, `65536`.
pub(super) fn parse_size(text: &str) -> Option<usize> {
    let (count, unit) = split_unit(text)?;
    let bytes = match unit {
        "" | "B" => 1,
        "KiB" => 1 << 10,
        "MiB" => 1 << 20,
        "GiB" => 1 << 30,
        _ => return None,
    };
    count.checked_mul(bytes)?.try_into().ok()
}

fn split_unit(text: &str) -> Option<(u64, &str)> {
    let end = text.find(|sign: char| !sign.is_ascii_digit()).unwrap_or(text.len());
    Some((text[..end].parse().ok()?, text[end..].trim()))
}

pub(super) fn value_words(value: &toml::de::DeValue<'_>) -> Option<String> {
    use toml::de::DeValue;
    match value {
        DeValue::String(text) => Some(text.to_string()),
        DeValue::Integer(number) => Some(number.to_string()),
        DeValue::Array(items) => {
            let words: Option<Vec<_>> = items.iter().map(|item| value_words(item.get_ref())).collect();
            words.map(|words| words.join(","))
        }
        _ => None,
    }
}

/// The line, from 1, of a place in a text.
pub(crate) fn line_of(text: &str, offset: usize) -> usize {
    text.bytes().take(offset).filter(|&byte| byte == b'\n').count() + 1
}
