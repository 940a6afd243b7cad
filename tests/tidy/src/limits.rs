//! The bounds the rules enforce and the bounds of this crate itself.

/// Lines a source file may have. Above it the file tells more than one story and is refused.
pub const SOURCE_LINES_MAX: usize = 800;
/// Lines at the top of a generated file within which it must say that it is generated.
pub const GENERATED_NOTICE_LINES_MAX: usize = 10;
/// Bytes of a file that are looked at. Larger tracked files are data, not text that somebody wrote; they are
/// left out.
pub const FILE_BYTES_MAX: u64 = 4 * 1024 * 1024;
