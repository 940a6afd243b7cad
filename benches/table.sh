#!/usr/bin/env bash
# What a table of ten million prefixes takes and costs, and what the plugin over it answers while tables are compiled and
# swapped, as a section of docs/PERF.md on standard output.
#
# BENCH_QUICK=1: fewer prefixes, to see that it runs.
set -euo pipefail
# shellcheck source-path=SCRIPTDIR source=../scripts/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/../scripts/lib.sh"
cd "$root"

options=()
[ "${BENCH_QUICK:-0}" != 1 ] || options=(--quick)
cargo build --release --quiet -p herald-bench-table >&2
"$target/release/herald-bench-table" ${options[@]+"${options[@]}"}
