#!/usr/bin/env bash
# Installs what was built: the program, the library, the headers, the plugins, herald.pc. Builds nothing.
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
destdir=${DESTDIR:-}
built=$target/$profile

version=$(sed -n '/^\[workspace.package\]/,/^\[/s/^version = "\(.*\)"$/\1/p' "$root/Cargo.toml")
# The number of the binary interface, which is in the library's own name for itself.
abi=$(sed -n 's/^pub const ABI_VERSION: u32 = \([0-9]*\);$/\1/p' "$root/engine/capi/src/about.rs")
if [ -z "$version" ] || [ -z "$abi" ]; then
    complain "install: the version or ABI_VERSION is not where this script looks for it"
    exit 1
fi

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

pc() {
    cat <<END
prefix=$prefix
libdir=$libdir
includedir=$includedir

Name: herald
Description: Call Placement Service (RFC 8816, STIR out-of-band) to embed
Version: $version
Libs: -L\${libdir} -lherald
Libs.private: $private
Cflags: -I\${includedir}
END
}

install -d "$destdir$bindir" "$destdir$libdir" "$destdir$includedir" "$destdir$pkgconfigdir"
install -m 755 "$built/herald" "$destdir$bindir/herald"
install -m 755 "$built/libherald.so" "$destdir$libdir/libherald.so.$version"
ln -sf "libherald.so.$version" "$destdir$libdir/libherald.so.$abi"
ln -sf "libherald.so.$abi" "$destdir$libdir/libherald.so"
install -m 644 "$built/libherald.a" "$destdir$libdir/libherald.a"
install -m 644 "$root"/include/*.h "$root"/include/*.hpp "$destdir$includedir"
# Built by `make plugins`, or not.
for plugin in discovery_certificate discovery_enum discovery_static rate_blind_signature rate_voprf rate_voprf_p384; do
    [ -e "$built/examples/lib$plugin.so" ] || continue
    install -D -m 755 "$built/examples/lib$plugin.so" "$destdir$libdir/herald/plugins/$plugin.so"
done
pc >"$destdir$pkgconfigdir/herald.pc"
chmod 644 "$destdir$pkgconfigdir/herald.pc"
say "installed herald $version ($profile) below ${destdir}${prefix}"
