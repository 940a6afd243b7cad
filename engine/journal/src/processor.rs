//! Whether the processor has what RocksDB was compiled for: without it the first checksum would end the process.

use crate::store::{Fault, FaultKind};

/// What RocksDB's C++ was compiled with, where it was compiled with this crate (`.cargo/config.toml`).
const COMPILED_WITH: Option<&str> = option_env!("CXXFLAGS_x86_64_unknown_linux_gnu");

/// Options of the compiler, with what the processor must have for them.
const NEEDS: [(&str, &str); 2] = [("-msse4.2", "SSE 4.2"), ("-mpclmul", "PCLMULQDQ")];

/// Refuses a processor that RocksDB would fail on.
///
/// # Errors
/// [`FaultKind::Processor`].
pub(crate) fn check() -> Result<(), Fault> {
    check_for(COMPILED_WITH.unwrap_or_default(), has)
}

fn check_for(compiled_with: &str, has: impl Fn(&str) -> bool) -> Result<(), Fault> {
    let lacks = |(option, _): &&(&str, &str)| compiled_with.contains(option) && !has(option);
    match NEEDS.iter().find(lacks) {
        None => Ok(()),
        Some((option, feature)) => Err(Fault::new(
            FaultKind::Processor,
            format!(
                "the journal needs a processor with {feature}, which this one lacks: use another machine, build with \
                 CXXFLAGS that lack {option}, or set durability to memory"
            ),
        )),
    }
}

#[cfg(target_arch = "x86_64")]
fn has(option: &str) -> bool {
    match option {
        "-msse4.2" => std::arch::is_x86_feature_detected!("sse4.2"),
        _ => std::arch::is_x86_feature_detected!("pclmulqdq"),
    }
}

/// The options are of no other.
#[cfg(not(target_arch = "x86_64"))]
const fn has(_option: &str) -> bool {
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_processor_without_what_was_compiled_for_is_refused_by_name() {
        let refusal = |compiled_with, missing| check_for(compiled_with, |option| option != missing).err();
        for (compiled_with, missing, expected) in [
            ("-msse4.2 -mpclmul", "", None),
            ("-msse4.2 -mpclmul", "-msse4.2", Some("SSE 4.2")),
            ("-msse4.2 -mpclmul", "-mpclmul", Some("PCLMULQDQ")),
            ("", "-mpclmul", None),
        ] {
            let refused = refusal(compiled_with, missing);
            let named = refused.map(|fault| expected.is_some_and(|name| fault.to_string().contains(name)));
            assert_eq!(named, expected.map(|_| true), "{compiled_with} without {missing}");
        }
    }

    /// Fails where the build's own options no longer reach this crate, and the check would never refuse.
    #[cfg(all(target_arch = "x86_64", target_os = "linux", target_env = "gnu"))]
    #[test]
    fn the_options_that_rocksdb_is_compiled_with_are_known_here() {
        assert!(COMPILED_WITH.is_some_and(|options| options.contains("-msse4.2")));
    }
}
