//! `herald config`: a configuration file with every property, made from the property table.

use std::fmt::Write;
use std::process::ExitCode;

use herald_runtime::{Config, PROPERTIES, Property};

use crate::output::{Failure, Output};

/// Columns of a comment.
const WIDTH: usize = 100;

const HEAD: &str = "\
The configuration of `herald serve`: every property with what it means. A line that begins with a # counts for nothing: \
what is shown there is the default, or the form of a value where there is none. Values are strings, whole numbers or \
lists of strings. `herald check-config` says what is wrong with a file.";

pub(crate) fn run(given: &[(&str, String)], output: &Output) -> Result<ExitCode, Failure> {
    let mut config = Config::default();
    given.iter().try_for_each(|(name, value)| config.set(name, value)).map_err(Failure::usage)?;
    output.line(file(given).trim_end());
    Ok(ExitCode::SUCCESS)
}

/// The file: what is given is set in it, of the rest it tells the defaults.
fn file(given: &[(&str, String)]) -> String {
    let mut text = comment(HEAD);
    for property in PROPERTIES {
        let value = given.iter().find(|(name, _)| *name == property.name).map(|(_, value)| value.as_str());
        let mark = if value.is_some() { "" } else { "#" };
        let value = value.unwrap_or_else(|| shown(property));
        let meaning = comment(&format!("{}.", property.meaning));
        let form = comment(&format!("{}; default: {}", property.form, property.default));
        let _ = writeln!(text, "\n{meaning}{form}{mark}{} = {}", property.name, quoted(value));
    }
    text
}

/// The default if it is a value; else the form of one.
fn shown(property: &Property) -> &'static str {
    let is_none = property.default.starts_with("none");
    let is_value = !is_none && Config::default().set(property.name, property.default).is_ok();
    if is_value { property.default } else { property.form }
}

/// A string of TOML; JSON's are some of these.
fn quoted(value: &str) -> String {
    serde_json::Value::from(value).to_string()
}

/// The text as lines of at most [`WIDTH`] columns, each behind a `# `.
fn comment(text: &str) -> String {
    let mut lines = String::new();
    let mut columns = WIDTH;
    for word in text.split_whitespace() {
        if columns + 1 + word.len() > WIDTH {
            lines.push_str(if lines.is_empty() { "#" } else { "\n#" });
            columns = 1;
        }
        lines.push(' ');
        lines.push_str(word);
        columns += 1 + word.len();
    }
    lines.push('\n');
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The lines of a file that set something, of those that begin with `mark`.
    fn settings<'text>(text: &'text str, mark: &str) -> Vec<&'text str> {
        let is_setting = |line: &&str| line.starts_with(|sign: char| sign.is_ascii_lowercase());
        text.lines().filter_map(|line| line.strip_prefix(mark)).filter(is_setting).collect()
    }

    #[test]
    fn every_property_stands_in_the_file_and_none_is_set() {
        let text = file(&[]);
        let names: Vec<_> = settings(&text, "#").iter().filter_map(|line| line.split_once(" = ")).collect();
        assert!(names.iter().map(|(name, _)| *name).eq(PROPERTIES.iter().map(|property| property.name)));
        assert_eq!(settings(&text, ""), [""; 0]);
        assert!(Config::default().set_all(&text).is_ok());
        assert!(text.lines().all(|line| line.len() <= WIDTH || line.contains(" = ")));
    }

    #[test]
    fn defaults_that_are_values_are_taken_when_their_mark_is_removed() {
        let text = file(&[]);
        let defaults: Vec<_> =
            PROPERTIES.iter().filter(|property| shown(property) == property.default).collect();
        assert!(defaults.iter().any(|property| property.name == "retention"));
        for property in defaults {
            let line = format!("\n#{} = ", property.name);
            let told = text.replace(&line, &line.replace('#', ""));
            assert_ne!(told, text);
            assert_eq!(Config::default().set_all(&told), Ok(()), "{}", property.name);
        }
        let wrong = text.replace("\n#retention = \"60s\"", "\nretention = \"60 moons\"");
        assert!(Config::default().set_all(&wrong).is_err());
    }

    #[test]
    fn what_is_given_is_set() {
        let text = file(&[("data", "/a \"b\"".to_owned())]);
        assert_eq!(settings(&text, ""), ["data = \"/a \\\"b\\\"\""]);
        let mut config = Config::default();
        config.set_all(&text).unwrap();
        assert_eq!(config.data(), Some(std::path::Path::new("/a \"b\"")));
    }
}
