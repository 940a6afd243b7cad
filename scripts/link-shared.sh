#!/usr/bin/env bash
# Links libherald.a into the shared library that is installed, with a name of its own and a version on each symbol.
#
#   link-shared.sh ARCHIVE LIBRARY
#   link-shared.sh --map FILE        writes only which symbol has which version, as linkers read it
#
# cargo's own libherald.so has the same code, but no versions: rustc gives the linker a list of symbols itself, and linkers
# take one such list only. include/symbols.txt says which version brought which symbol; nothing else is exported.
set -euo pipefail
# shellcheck source-path=SCRIPTDIR source=lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

# Each version has what it brought and stands on the one before; the first hides the rest. Their names carry the number of
# the binary interface, so that programs of two such libraries in one process find each their own.
make_map() {
    sort -V -k2,2 -k1,1 "$root/include/symbols.txt" | awk -v interface="HERALD_$abi" '
        $1 !~ /^herald_/ { next }
        $2 != version {
            if (version) close_version()
            before = version
            version = $2
            printf "%s_%s {\n  global:\n", interface, version
        }
        { print "    " $1 ";" }
        END { close_version() }
        function close_version() {
            if (before) printf "} %s_%s;\n", interface, before
            else print "  local: *;\n};"
        }
    '
}

abi=$(abi_version)
if [ $# -ne 2 ]; then
    complain "link-shared.sh takes an archive and the library to make of it, or --map and a file"
    exit 2
fi
if [ "$1" = --map ]; then
    make_map >"$2"
    exit
fi
archive=$1
library=$2
rocksdb=$("$root/scripts/rocksdb.sh" env | sed -n 's/^ROCKSDB_LIB_DIR=//p')
map=$(mktemp)
trap 'rm -f "$map"' EXIT
make_map >"$map"

# Threads and thread-local values of the engine outlive a dlclose, hence nodelete. What late-init.ld gathers the engine runs.
# shellcheck disable=SC2054 # The commas are the linker's.
link=(-shared -o "$library" "-Wl,-soname,libherald.so.$abi" "-Wl,--version-script=$map"
    -Wl,--whole-archive "$archive" -Wl,--no-whole-archive -Wl,--gc-sections -Wl,--no-undefined
    -Wl,-z,relro,-z,now -Wl,-z,nodelete "-Wl,-T,$root/engine/capi/late-init.ld")
[ -z "$rocksdb" ] || link+=("-L$rocksdb" -lrocksdb)
"${CC:-cc}" "${link[@]}" -lstdc++ -lgcc_s -lutil -lrt -lpthread -lm -ldl -lc
