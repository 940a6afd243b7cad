//! Compiles the barrier against exceptions of plugins.

fn main() {
    println!("cargo:rerun-if-changed=src/plugin_barrier.cpp");
    cc::Build::new().cpp(true).file("src/plugin_barrier.cpp").compile("herald_plugin_barrier");
}
