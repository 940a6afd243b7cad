#!/usr/bin/env bash
# Installs what was built: the program with its manual, completions, service and configuration; the library with headers,
# manual, herald.pc and CMake package; plugins. Builds nothing.
#
# PROFILE=release|debug: which build. DESTDIR, PREFIX and the folders below it as in the Makefile.
set -euo pipefail
# shellcheck source-path=SCRIPTDIR source=lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

profile=${PROFILE:-release}
prefix=${PREFIX:-/usr/local}
bindir=${BINDIR:-$prefix/bin}
libdir=${LIBDIR:-$prefix/lib}
includedir=${INCLUDEDIR:-$prefix/include}
pkgconfigdir=${PKGCONFIGDIR:-$libdir/pkgconfig}
cmakedir=${CMAKEDIR:-$libdir/cmake/herald}
datadir=${DATADIR:-$prefix/share}
mandir=${MANDIR:-$datadir/man}
zshdir=${ZSHDIR:-$datadir/zsh/site-functions}
unitdir=${UNITDIR:-$prefix/lib/systemd/system}
sysusersdir=${SYSUSERSDIR:-$prefix/lib/sysusers.d}
# The system's own prefix has its settings in /etc.
case $prefix in
/usr) sysconfdir=${SYSCONFDIR:-/etc} ;;
*) sysconfdir=${SYSCONFDIR:-$prefix/etc} ;;
esac
destdir=${DESTDIR:-}
built=$target/$profile

version=$(sed -n '/^\[workspace.package\]/,/^\[/s/^version = "\(.*\)"$/\1/p' "$root/Cargo.toml")
abi=$(abi_version)
if [ -z "$version" ]; then
    complain "install: the version is not where this script looks for it"
    exit 1
fi
soname=libherald.so.$abi
library=$soname.$version

for file in herald libherald.so libherald.a; do
    [ -e "$built/$file" ] && continue
    complain "install: $built/$file is not there; build it first: cargo build -p herald -p herald-capi"
    exit 1
done

# What a static link needs besides libherald.a: the standard libraries of C, C++ and, if it is one of the
# distribution's, RocksDB.
private="-lstdc++ -lgcc_s -lpthread -ldl -lm -lrt -lutil -lc"
rocksdb=$("$root/scripts/rocksdb.sh" env | sed -n 's/^ROCKSDB_LIB_DIR=//p')
[ -z "$rocksdb" ] || private="-L$rocksdb -lrocksdb $private"

# filled NAME FOLDER: packaging/NAME.in with the names between @ replaced, as FOLDER/NAME.
filled() {
    install -d "$destdir$2"
    sed -e "s|@PREFIX@|$prefix|g" -e "s|@BINDIR@|$bindir|g" -e "s|@LIBDIR@|$libdir|g" \
        -e "s|@INCLUDEDIR@|$includedir|g" -e "s|@SYSCONFDIR@|$sysconfdir|g" -e "s|@VERSION@|$version|g" \
        -e "s|@SONAME@|$soname|g" -e "s|@LIBRARY@|$library|g" -e "s|@PRIVATE@|$private|g" \
        -e "s|@PRIVATE_LIST@|${private// /;}|g" "$root/packaging/$1.in" >"$destdir$2/$1"
    chmod 644 "$destdir$2/$1"
}

# The static library, in which C++ registers for the end of the process with engine/capi/src/boundary/late.rs, as it does in
# the shared one: so with nobody.
install_archive() {
    local own
    if ! has objdump || ! has objcopy; then
        complain "install: objdump and objcopy are needed (Debian's binutils)"
        return 1
    fi
    # It knows nothing of some members, which are Rust's own notes.
    own=$(objdump -t "$built/libherald.a" 2>/dev/null | awk '$3 == "F" && $4 == ".text.herald_at_exit" { print $NF }') || true
    if [ "$(wc -w <<<"$own")" -ne 1 ]; then
        complain "install: $built/libherald.a has not the one function that late.rs has for the end of the process: ${own:-none}"
        return 1
    fi
    objcopy "--globalize-symbol=$own" "--redefine-sym=__cxa_atexit=$own" "$built/libherald.a" "$destdir$libdir/libherald.a"
    chmod 644 "$destdir$libdir/libherald.a"
}

install_library() {
    install -d "$destdir$libdir"
    "$root/scripts/link-shared.sh" "$built/libherald.a" "$destdir$libdir/$library"
    chmod 644 "$destdir$libdir/$library"
    ln -sf "$library" "$destdir$libdir/$soname"
    ln -sf "$soname" "$destdir$libdir/libherald.so"
    install_archive
    install -D -m 644 -t "$destdir$includedir" "$root"/include/*.h "$root"/include/*.hpp
    filled herald.pc "$pkgconfigdir"
    filled herald-config.cmake "$cmakedir"
    filled herald-config-version.cmake "$cmakedir"
    install -d "$destdir$mandir/man3"
    awk -v out="$destdir$mandir/man3" -v version="$version" -f "$root/scripts/man3.awk" \
        "$root/include/herald.h" "$root/include/herald.h"
}

install_program() {
    local herald=$built/herald completions=$datadir/bash-completion/completions
    install -D -m 755 -t "$destdir$bindir" "$herald"
    "$herald" manual --out "$destdir$mandir/man1"
    install -d "$destdir$completions" "$destdir$zshdir" "$destdir$datadir/fish/vendor_completions.d"
    "$herald" completions bash >"$destdir$completions/herald"
    "$herald" completions zsh >"$destdir$zshdir/_herald"
    "$herald" completions fish >"$destdir$datadir/fish/vendor_completions.d/herald.fish"
    filled herald.service "$unitdir"
    install -D -m 644 "$root/packaging/herald.sysusers" "$destdir$sysusersdir/herald.conf"
    # Settings that are there stay.
    install -d "$destdir$sysconfdir/herald"
    [ -e "$destdir$sysconfdir/herald/herald.toml" ] ||
        "$herald" config --data /var/lib/herald --unix-socket /run/herald/herald.sock \
            >"$destdir$sysconfdir/herald/herald.toml"
}

# Built by `make plugins`, or not.
install_plugins() {
    local plugin
    for plugin in discovery_certificate discovery_enum discovery_static rate_blind_signature rate_voprf rate_voprf_p384; do
        [ -e "$built/examples/lib$plugin.so" ] || continue
        install -D -m 644 "$built/examples/lib$plugin.so" "$destdir$libdir/herald/plugins/$plugin.so"
    done
}

umask 022
install_library
install_program
install_plugins
say "installed herald $version ($profile) below ${destdir}${prefix}"
