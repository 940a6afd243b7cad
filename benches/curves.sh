#!/usr/bin/env bash
# How the cost of the log grows: with live records, sizes, threads, placements of a number, numbers of a block; and the
# memory of a record. Prints Markdown.
set -euo pipefail
# shellcheck source-path=SCRIPTDIR source=../scripts/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/../scripts/lib.sh"
cd "$root"

options=()
[ "${BENCH_QUICK:-0}" != 1 ] || options=(--quick)
cargo build --release --quiet -p herald-compare
"$target/release/herald-compare" curves "${options[@]}"
