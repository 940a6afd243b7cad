#!/usr/bin/env bash
# Calls placed and checked: how many a core does, and how long one takes, in process, over a Unix socket and over HTTPS.
# Then what the library adds to the cryptography it calls. Prints Markdown.
set -euo pipefail
# shellcheck source-path=SCRIPTDIR source=../scripts/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/../scripts/lib.sh"
cd "$root"

calls=2000
[ "${BENCH_QUICK:-0}" != 1 ] || calls=200
at_once=64

complain "calls: building for release"
cargo build --release --quiet -p herald-runtime --example calls
cargo build --release --quiet -p herald-stir --example ratios
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT

complain "calls: $calls a row"
printf '### Calls placed and checked\n\n'
"$target/release/examples/calls" "$calls" "$at_once"

complain "calls: ratios"
printf '\n### The cryptography within\n\n'
# Status 1: a ratio is over its bound, which the table of targets says.
"$target/release/examples/ratios" >"$scratch/ratios" || [ $? -eq 1 ]
cat "$scratch/ratios"

# target_row CALL ROW: hands the ratio of that line of the table on as a row of the results.
target_row() {
    local line
    line=$(grep -F "| $1 |" "$scratch/ratios") || { complain "no ratio of: $1"; exit 1; }
    # | call | it | bare | median (least to most) | bound |
    read -r median least _ most < <(cut -d'|' -f5 <<<"$line" | tr -d '()')
    record "$2" "$median" x "$least" "$most"
}
target_row "verify, shaken, chain in the cache" verify_ratio
target_row "seal, X25519" seal_x25519_ratio
target_row "open, X25519" open_x25519_ratio
target_row "seal, P-256" seal_p256_ratio
target_row "open, P-256" open_p256_ratio
