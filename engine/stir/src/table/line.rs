//! Lines of text as a source of a table: `NUMBERS [SIDE] URI...`, separated by blanks, tabs, commas or semicolons.

use core::fmt;

use super::build::{BuildFault, Service, Sides, TableBuilder};
use crate::limits::{TABLE_LINE_BYTES_MAX, TABLE_URIS_MAX};

/// The first field of a line that names the columns.
const HEADING: &str = "numbers";

impl TableBuilder {
    /// Adds the entry of a line, with `origin` for people. Returns whether there was one: empty lines, what begins with
    /// `#`, and a heading that begins with `numbers` are none.
    ///
    /// The first field is as in a [`Selector`](crate::services::Selector): `12225550123` or `2-12225550123`,
    /// `12225550xxx` or `1-12225550000-1000`, `1222*`, `0-1234` a service provider code, `*`. Then `calling`, `called`
    /// or `both`, which may be left out for `both`. Then https URIs, the preferred one first. A field may stand in
    /// double quotes.
    ///
    /// # Errors
    /// [`LineFault`], and nothing is added.
    pub fn add_line(&mut self, line: &str, origin: &str) -> Result<bool, LineFault> {
        if line.len() > TABLE_LINE_BYTES_MAX {
            return Err(LineFault::TooLong);
        }
        if line.trim_start().starts_with('#') {
            return Ok(false);
        }
        let is_separator = |sign: char| sign.is_whitespace() || matches!(sign, ',' | ';');
        let mut fields = line.split(is_separator).filter(|field| !field.is_empty()).map(unquoted).peekable();
        let Some(numbers) = fields.next().filter(|field| !field.eq_ignore_ascii_case(HEADING)) else {
            return Ok(false);
        };
        let selector = numbers.parse().map_err(|_| LineFault::Numbers)?;
        let sides = match fields.peek().copied() {
            Some("calling") => Some(Sides::Calling),
            Some("called") => Some(Sides::Called),
            Some("both") => Some(Sides::Both),
            _ => None,
        };
        if sides.is_some() {
            fields.next();
        }
        let uris: Vec<_> = fields.take(TABLE_URIS_MAX + 1).map(str::to_owned).collect();
        if uris.is_empty() {
            return Err(LineFault::NoService);
        }
        let service = Service { uris, origin: origin.to_owned(), ..Service::default() };
        self.add(&selector, sides.unwrap_or(Sides::Both), &service)?;
        Ok(true)
    }
}

fn unquoted(field: &str) -> &str {
    field.strip_prefix('"').and_then(|field| field.strip_suffix('"')).unwrap_or(field)
}

/// Why a line is no entry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LineFault {
    /// It has more than [`TABLE_LINE_BYTES_MAX`] bytes.
    TooLong,
    /// Its first field selects no numbers.
    Numbers,
    /// It names no service.
    NoService,
    /// The table does not take it.
    Table(BuildFault),
}

impl From<BuildFault> for LineFault {
    fn from(fault: BuildFault) -> Self {
        Self::Table(fault)
    }
}

impl fmt::Display for LineFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooLong => write!(f, "the line has more than {TABLE_LINE_BYTES_MAX} bytes"),
            Self::Numbers => f.write_str(
                "the first field selects no numbers; write 2-NUMBER, 1-FIRST-COUNT, 0-CODE, 12225550xxx, 1222* or *",
            ),
            Self::NoService => {
                f.write_str("no service; write https URIs behind the numbers (and calling, called or both)")
            }
            Self::Table(fault) => fault.fmt(f),
        }
    }
}

impl core::error::Error for LineFault {}
