#!/usr/bin/env bash
# What programs in C were compiled against, and what has changed in it: functions with their arguments, structs with their
# layout, values, symbols with their versions. include/herald.abi has it as of the last commit that changed it.
#
#   abi.sh           compares the header with it, and it with that of the previous commit; prints what abidiff says
#   abi.sh --bless   writes it anew, unless that would break programs that run
#
# libabigail sees no types in a library made by rustc, so it reads a library of empty functions made of the header by gcc.
# tests/capi/run.sh holds the symbols and their versions against the library itself.
set -euo pipefail
# shellcheck source-path=SCRIPTDIR source=../../scripts/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/../../scripts/lib.sh"
described=$root/include/herald.abi
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# Bits of abidiff's exit status.
has_changed=4
breaks_programs=8

if ! has abidiff; then
    { has_apt && [ "$(id -u)" -eq 0 ] && apt_install abigail-tools; } || {
        complain "no abidiff: what changed in the binary interface is not shown"
        strict && exit 2
        exit 0
    }
fi

# describe HEADER DUMP
describe() {
    { echo "#include \"$1\"" && sed -n '/^#/d; p' "$1" | awk '
        /^(herald_status|uint32_t|size_t) herald_[a-z_]*\(/ { inside = 1 }
        inside { if (sub(/\);$/, ") { return 0; }")) inside = 0; print }
    '; } >"$work/interface.c"
    "$root/scripts/link-shared.sh" --map "$work/map"
    gcc -g -Og -shared -fPIC -Wall -Werror -Wl,-soname,libherald "-Wl,--version-script=$work/map" \
        "$work/interface.c" -o "$work/libherald.so"
    abidw --no-corpus-path --no-comp-dir-path --no-show-locs --type-id-style hash --out-file "$2" "$work/libherald.so"
    # The name of the file it was made of.
    sed -i "s/ path='[^']*'//; s/ language='[^']*'//" "$2"
}

# compare OLD NEW: prints what changed and answers as abidiff does.
compare() {
    local result=0
    abidiff --no-show-locs "$1" "$2" || result=$?
    [ $result -ne 0 ] || echo "nothing changed"
    return $result
}

# A field that moves breaks programs, a function more does not: abidiff must say so, or it says nothing.
self_test() {
    local result=0
    sed 's/^  herald_finalizer_fn finalizer;$/  uint64_t planted; &/' "$root/include/herald.h" >"$work/moved.h"
    describe "$work/moved.h" "$work/moved.abi"
    compare "$work/fresh.abi" "$work/moved.abi" >"$work/report" || result=$?
    if [ $((result & has_changed)) -eq 0 ] || ! grep -q planted "$work/report"; then
        complain "abidiff did not notice a field that was put between others"
        exit 1
    fi
}

# number_of HEADER: of its binary interface.
number_of() { sed -n 's/^#define HERALD_ABI_VERSION \([0-9]*\)u$/\1/p' "$1" | grep .; }

describe "$root/include/herald.h" "$work/fresh.abi"
self_test
result=0
if [ -e "$described" ]; then
    echo "since include/herald.abi:"
    compare "$described" "$work/fresh.abi" || result=$?
fi
if [ $((result & breaks_programs)) -ne 0 ]; then
    complain "programs that run with the library would break: change it back, or count ABI_VERSION up and delete include/herald.abi"
    exit 1
fi
if [ "${1:-}" = --bless ]; then
    cp "$work/fresh.abi" "$described"
elif [ $result -ne 0 ] || [ ! -e "$described" ]; then
    complain "include/herald.abi is stale: look at the above, then tests/capi/abi.sh --bless"
    exit 1
fi
if git -C "$root" show HEAD~1:include/herald.abi >"$work/before.abi" 2>/dev/null; then
    git -C "$root" show HEAD~1:include/herald.h >"$work/before.h"
    before=$(number_of "$work/before.h") now=$(number_of "$root/include/herald.h")
    echo "since the previous commit:"
    result=0
    compare "$work/before.abi" "$described" || result=$?
    if [ "$before" != "$now" ]; then
        echo "programs are compiled anew: the interface's number was $before and is $now"
    elif [ $((result & breaks_programs)) -ne 0 ]; then
        exit 1
    fi
fi
