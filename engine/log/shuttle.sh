#!/usr/bin/env bash
# Plays random schedules of the log's larger scenes with shuttle: engine/log/shuttle.sh [SCHEDULES], 200000 unless
# given, divided among the scenes.
#
# The scenes drive the log's own code. Tests named "..._would_be_noticed" weaken it and pass only if a schedule then
# fails; if fewer of them ran than are expected here, so does this script.
set -euo pipefail
# shellcheck source-path=SCRIPTDIR source=../../scripts/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/../../scripts/lib.sh"
cd "$root"
scenes=4
weakened_expected=3

schedules=${1:-200000}
export SHUTTLE_SCHEDULES=$(((schedules + scenes - 1) / scenes))
export CARGO_TARGET_DIR="$target/shuttle"
export RUSTFLAGS="${RUSTFLAGS:-} --cfg shuttle"
report="$CARGO_TARGET_DIR/report.txt"
mkdir -p "$CARGO_TARGET_DIR"

code=0
cargo test -p herald-log --release --test shuttle -- --nocapture >"$report" 2>&1 || code=$?
if [ "$code" -ne 0 ]; then
    tail -c 20000 "$report" >&2
    complain "shuttle.sh: a schedule failed, or a weakened scene passed; all of it is in $report"
    exit 1
fi
played=$(awk '/^shuttle: .* schedules$/ { sum += $(NF - 1) } END { print sum + 0 }' "$report")
weakened=$(grep -c 'would_be_noticed - should panic \.\.\. ok' "$report" || true)
if [ "$weakened" -ne "$weakened_expected" ] || [ "$played" -lt "$schedules" ]; then
    complain "shuttle.sh: $played schedules were played, and $weakened weakened scenes failed as they must," \
        "not $schedules and $weakened_expected"
    exit 1
fi
say "shuttle.sh: $played schedules, every one linearizable; each of $weakened_expected weakenings is noticed"
