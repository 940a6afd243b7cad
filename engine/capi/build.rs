//! What the linker must know of the shared library beyond its symbols.

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    if std::env::var("CARGO_CFG_TARGET_OS").as_deref() == Ok("linux") {
        // The number is that of `herald_abi_version`.
        println!("cargo:rustc-cdylib-link-arg=-Wl,-soname,libherald.so.1");
        // Threads and thread-local values of the engine outlive a dlclose.
        println!("cargo:rustc-cdylib-link-arg=-Wl,-z,nodelete");
        // The constructors of C++'s globals wait for src/boundary/late.rs.
        println!("cargo:rerun-if-changed=late-init.ld");
        let folder = std::env::var("CARGO_MANIFEST_DIR").expect("cargo sets it");
        println!("cargo:rustc-cdylib-link-arg=-Wl,-T,{folder}/late-init.ld");
    }
}
