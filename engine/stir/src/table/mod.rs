//! A compiled table of Call Placement Services: numbers, ranges, prefixes and service provider codes on one side,
//! https URIs on the other, for either side of a call. Millions of sets in a few bytes each, looked up in the bytes
//! as they lie there.
//!
//! [`TableBuilder`] takes lines of text, advertisements of RFC 9888 §4 ([`Advert`]) and what certificates name, and
//! compiles them; [`Table`] reads the result. docs/DISCOVERY.md has the grammar and every byte of the form. It does no
//! I/O.
//!
//! The smallest set that holds a number answers; a code comes after sets of numbers and before the set of everybody.
//! Which set is smallest where is decided when the table is compiled, so that a look-up is one search in the numbers
//! of that length and one in the prefixes.
//!
//! ```
//! use herald_stir::services::Side;
//! use herald_stir::table::{Table, TableBuilder};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let mut builder = TableBuilder::new();
//! builder.add_line("1222*, both, https://cps.example.net", "example")?;
//! builder.add_line("12225550xxx, called, https://other.example.net", "example")?;
//! let table = Table::open(builder.finish(0)?)?;
//! let found = table.look("12225550123".parse()?, None, Side::Called).expect("there is one");
//! assert_eq!(found.service.uris().collect::<Vec<_>>(), ["https://other.example.net"]);
//! # Ok(())
//! # }
//! ```

mod advert;
mod blocks;
mod build;
mod guide;
mod layout;
mod line;
mod look;
mod read;
mod sweep;

pub use build::{BuildFault, Service, Sides, TableBuilder};
pub use line::LineFault;
pub use look::{By, Found, FoundService};
pub use read::{About, Table, TableFault};
