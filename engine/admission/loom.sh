#!/bin/sh
# Searches the interleavings of the models of the table of sessions with loom.
#
# Those named "..._would_be_noticed" weaken one step and pass only if the search then fails; if fewer of them ran than are
# expected here, so does this script. LOOM_MAX_PREEMPTIONS (3 unless set) bounds the search.
set -eu
cd "$(dirname "$0")/../.."
weakened_expected=5

export LOOM_MAX_PREEMPTIONS="${LOOM_MAX_PREEMPTIONS:-3}"
export CARGO_TARGET_DIR="${CARGO_TARGET_DIR:-target}/loom"
export RUSTFLAGS="${RUSTFLAGS:-} --cfg loom"
report="$CARGO_TARGET_DIR/admission.txt"
mkdir -p "$CARGO_TARGET_DIR"

status=0
cargo test -p herald-admission --release --lib models:: >"$report" 2>&1 || status=$?
cat "$report"
[ "$status" -eq 0 ] || { echo "loom.sh: a model failed, or a weakened one passed" >&2; exit 1; }
weakened=$(grep -c 'would_be_noticed - should panic \.\.\. ok' "$report" || true)
[ "$weakened" -eq "$weakened_expected" ] || {
    echo "loom.sh: $weakened weakened models failed as they must, not $weakened_expected" >&2
    exit 1
}
echo "loom.sh: all models hold, and each of $weakened_expected weakenings is noticed"
