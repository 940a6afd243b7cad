//! The house rules that a machine can check.
//!
//! Each rule is a function from a path and a text (or from all manifests) to [`Finding`]s, so that a small bad
//! example can prove that it finds something; `tests/workspace.rs` then runs every rule over the checkout. This
//! crate knows text, `git ls-files` and Cargo manifests. It does not know Rust's grammar beyond comments,
//! literals, attributes and braces, and it leaves to clippy what clippy checks.

pub mod compiled_once;
pub mod dependencies;
pub mod files;
pub mod lexer;
pub mod limits;
pub mod lock;
pub mod manifest;
pub mod rfc;
pub mod source;

use core::fmt;

/// One breach of one rule.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Finding {
    /// The file, relative to the root of the checkout.
    pub path: String,
    /// The line, counted from 1.
    pub line: usize,
    /// What is wrong and what to do.
    pub message: String,
}

impl Finding {
    /// A finding at line `line` of `path`.
    pub fn new(path: &str, line: usize, message: impl Into<String>) -> Self {
        Self { path: path.to_owned(), line, message: message.into() }
    }

    /// A finding at byte `offset` of `text`, the text of `path`.
    pub fn at_offset(path: &str, text: &str, offset: usize, message: impl Into<String>) -> Self {
        let before = text.as_bytes().iter().take(offset);
        Self::new(path, 1 + before.filter(|&&byte| byte == b'\n').count(), message)
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: {}", self.path, self.line, self.message)
    }
}
