#!/usr/bin/env bash
# What a store costs a host: the same stores through the C interface and through the Rust one, by turns. Both are given
# the number as text. Prints Markdown.
set -euo pipefail
# shellcheck source-path=SCRIPTDIR source=../scripts/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/../scripts/lib.sh"
cd "$root"

rounds=9
[ "${BENCH_QUICK:-0}" != 1 ] || rounds=1

needs gcc || exit 2
cargo build --release --quiet -p herald-capi
cargo build --release --quiet -p herald-runtime --example stores
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
gcc -O2 -std=c11 -D_POSIX_C_SOURCE=200809L -Iinclude -o "$scratch/capi" benches/capi.c \
    -L"$target/release" -lherald -lpthread -Wl,-rpath,"$(realpath "$target/release")"
# The program asks for the library by its SONAME.
ln -s "$(realpath "$target/release/libherald.so")" "$scratch/libherald.so.1"
export LD_LIBRARY_PATH=$scratch

# spread FILE: least, median and most of its numbers.
spread() { sort -n "$1" | awk '{ all[NR] = $1 } END { print all[1], all[int((NR + 1) / 2)], all[NR] }'; }
# mean FIRST LAST: of two numbers.
mean() { awk -v first="$1" -v last="$2" 'BEGIN { printf "%.2f", (first + last) / 2 }'; }

printf '### Through the C interface\n\n'
echo "| threads | C, ns a store: median (least to most) | Rust | C over Rust, ns: median (least to most) |"
echo "|--:|--:|--:|--:|"
for threads in 1 2; do
    complain "capi: $threads threads"
    for list in c rust over; do : >"$scratch/$list"; done
    for ((round = 0; round < rounds; round++)); do
        # One behind the other and back again, so that what drifts meanwhile meets both alike.
        first=$("$scratch/capi" "$threads")
        rust=$("$target/release/examples/stores" "$threads")
        again=$("$target/release/examples/stores" "$threads")
        last=$("$scratch/capi" "$threads")
        c=$(mean "$first" "$last")
        rust=$(mean "$rust" "$again")
        echo "$c" >>"$scratch/c"
        echo "$rust" >>"$scratch/rust"
        awk -v c="$c" -v rust="$rust" 'BEGIN { printf "%.2f\n", c - rust }' >>"$scratch/over"
    done
    read -r c_least c c_most < <(spread "$scratch/c")
    read -r rust_least rust rust_most < <(spread "$scratch/rust")
    read -r least over most < <(spread "$scratch/over")
    echo "| $threads | $c ($c_least to $c_most) | $rust ($rust_least to $rust_most) | $over ($least to $most) |"
    [ "$threads" != 1 ] || record c_abi_ns "$over" ns "$least" "$most"
done
