#!/bin/sh
# Searches the interleavings of the placement log's models with loom.
#
# The models drive the log's own code. Those named "..._would_be_noticed" weaken one ordering of it and pass
# only if the search then fails; if fewer of them ran than are expected here, so does this script.
# Takes half a minute after the build. LOOM_MAX_PREEMPTIONS (3 unless set) bounds the search.
set -eu
cd "$(dirname "$0")/../.."
weakened_expected=9

export LOOM_MAX_PREEMPTIONS="${LOOM_MAX_PREEMPTIONS:-3}"
export CARGO_TARGET_DIR="${CARGO_TARGET_DIR:-target}/loom"
export RUSTFLAGS="${RUSTFLAGS:-} --cfg loom"
report="$CARGO_TARGET_DIR/report.txt"
mkdir -p "$CARGO_TARGET_DIR"

status=0
cargo test -p herald-log --release --test loom >"$report" 2>&1 || status=$?
cat "$report"
[ "$status" -eq 0 ] || { echo "loom.sh: a model failed, or a weakened one passed" >&2; exit 1; }
weakened=$(grep -c 'would_be_noticed - should panic \.\.\. ok' "$report" || true)
[ "$weakened" -eq "$weakened_expected" ] || {
    echo "loom.sh: $weakened weakened models failed as they must, not $weakened_expected" >&2
    exit 1
}
echo "loom.sh: all models hold, and each of $weakened_expected weakenings is noticed"
