#!/usr/bin/env bash
# What admitting stores costs with the real plugins, and what junk tokens take from honest stores, as a section of
# docs/PERF.md on standard output.
#
# BENCH_QUICK=1: a few rounds, to see that it runs.
set -euo pipefail
# shellcheck source-path=SCRIPTDIR source=../scripts/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/../scripts/lib.sh"
cd "$root"

options=()
[ "${BENCH_QUICK:-0}" != 1 ] || options=(--quick)
cargo build --release --quiet -p herald-bench-admission >&2
"$target/release/herald-bench-admission" ${options[@]+"${options[@]}"}
