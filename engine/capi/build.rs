//! What the linker must know of the shared library beyond its symbols.

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    if std::env::var("CARGO_CFG_TARGET_OS").as_deref() == Ok("linux") {
        // The number is that of `herald_abi_version`.
        println!("cargo:rustc-cdylib-link-arg=-Wl,-soname,libherald.so.1");
        // Threads and thread-local values of the engine outlive a dlclose.
        println!("cargo:rustc-cdylib-link-arg=-Wl,-z,nodelete");
    }
}
