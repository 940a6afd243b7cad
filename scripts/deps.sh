#!/usr/bin/env bash
# What a build needs. On Debian and Ubuntu what is missing is installed; elsewhere it is named.
# With the argument `test` what the tests need besides is installed too, and only named where that cannot be.
# Exit 0: everything is here. Exit 2: something is missing that you have to install.
set -euo pipefail
# shellcheck source-path=SCRIPTDIR source=lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

# As rust-version in Cargo.toml.
rust_minor_min=88

rust_is_new_enough() {
    local minor
    has cargo && has rustc || return 1
    minor=$(rustc --version | sed -n 's/^rustc 1\.\([0-9]*\)\..*/\1/p')
    [ -n "$minor" ] && [ "$minor" -ge "$rust_minor_min" ]
}

# RocksDB is C++20.
has_cxx20() { has c++ && c++ -std=c++20 -x c++ -fsyntax-only - </dev/null >/dev/null 2>&1; }

# bindgen loads libclang and reads the headers that clang brings.
has_libclang() {
    local library
    has clang || return 1
    for library in ${LIBCLANG_PATH:+"$LIBCLANG_PATH"/libclang*.so*} /usr/lib/llvm-*/lib/libclang*.so* \
        /usr/lib/*-linux-gnu/libclang*.so* /usr/lib64/libclang*.so* /usr/lib/libclang*.so* \
        /usr/lib64/llvm*/lib64/libclang*.so* /usr/local/lib/libclang*.so*; do
        [ -e "$library" ] && return 0
    done
    return 1
}

# Prints one line for each thing missing: debian packages | what it is.
missing() {
    has git || echo "git ca-certificates|git"
    has make || echo "make|make"
    has cc || echo "gcc libc6-dev|a C compiler (cc)"
    has_cxx20 || echo "g++|a C++20 compiler (c++)"
    has_libclang || echo "clang libclang-dev|clang and libclang, for bindgen"
    has pkg-config || echo "pkg-config|pkg-config"
    has curl || echo "curl ca-certificates|curl"
}

install_or_name() {
    local lines=$1 packages
    if has_apt; then
        packages=$(cut -d'|' -f1 <<<"$lines" | tr ' ' '\n' | sort -u | tr '\n' ' ')
        # Optional, so only along with what has to be installed anyway.
        has ccache || packages="$packages ccache"
        # shellcheck disable=SC2086 # A list of packages.
        apt_install $packages || return 2
        lines=$(missing)
        [ -z "$lines" ] && return 0
        complain "still missing after the installation:"
    else
        complain "missing; install them with your system's packages:"
    fi
    cut -d'|' -f2 <<<"$lines" | sed 's/^/  - /' >&2
    return 2
}

main() {
    local lines
    if ! rust_is_new_enough; then
        complain "missing: cargo and rustc 1.$rust_minor_min or newer. Install them with rustup (https://rustup.rs)," \
            "or from your system if it has them, and see that they are in PATH."
        exit 2
    fi
    lines=$(missing)
    [ -z "$lines" ] || install_or_name "$lines" || exit 2
    say "tools: all here ($(rustc --version | cut -d' ' -f1,2), $(c++ --version | head -n 1))"
    has ccache || say "optional: ccache is not here; a second build profile compiles RocksDB again"
    if [ "${1:-}" = test ]; then
        needs valgrind strace || say "optional: the tests that need these tools are skipped aloud"
    fi
    cargo nextest --version >/dev/null 2>&1 || say "optional: cargo-nextest is not here; tests run with cargo test"
}

main "$@"
