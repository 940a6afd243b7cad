#!/usr/bin/env bash
# The log under stress, watched by ThreadSanitizer: tests/tsan.sh [SECONDS], 20 unless given.
#
# First each of three orderings of the log is weakened in turn, and the race must be reported; then the log as it is
# must run without a report. ThreadSanitizer credits no order to fences: that the pins' fence is needed is shown by
# engine/log/loom.sh instead, and that nothing else leans on a fence is shown here.
set -euo pipefail
# shellcheck source-path=SCRIPTDIR source=../scripts/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/../scripts/lib.sh"
cd "$root"

seconds=${1:-20}
# Seconds within which a weakened log must be noticed.
weakened_seconds=20

host=$(rustc -vV | sed -n 's/^host: //p')
libraries=$(rustc --print sysroot)/lib/rustlib/$host/lib
if ! compgen -G "$libraries/librustc*_rt.tsan.a" >/dev/null; then
    complain "tsan.sh: this compiler has no ThreadSanitizer for $host; one installed by rustup has, on Linux"
    strict && exit 1
    say "skipped aloud: ThreadSanitizer"
    exit 0
fi

# The sanitizer is an unstable option of the stable compiler; the standard library stays as it is, and what orders
# threads there (starting and joining them) the sanitizer sees at the system's own interface.
export RUSTC_BOOTSTRAP=1
export RUSTFLAGS="-Zsanitizer=thread -Cunsafe-allow-abi-mismatch=sanitizer --cfg tsan"
export CARGO_TARGET_DIR="$target/tsan"

built=$(cargo test -p herald-log --target "$host" --release --test tsan --no-run --message-format=json |
    sed -n 's/.*"executable":"\([^"]*\)".*/\1/p' | tail -n 1)
[ -x "$built" ] || { complain "tsan.sh: the test was not built"; exit 1; }

report=$(mktemp)
trap 'rm -f "$report"' EXIT

# watch SECONDS [WEAKENING]: runs the stress; 66 is the sanitizer's word for a report.
watch() {
    TSAN_OPTIONS="halt_on_error=1 exitcode=66" TSAN_SECONDS=$1 TSAN_WEAKENED=${2:-} \
        "$built" >"$report" 2>&1
}

for weakening in publish unpin drained; do
    code=0
    watch "$weakened_seconds" "$weakening" || code=$?
    if [ "$code" -ne 66 ] || ! grep -q 'WARNING: ThreadSanitizer: data race' "$report" ||
        ! grep -q 'herald_log::' "$report"; then
        head -n 100 "$report" | cut -c1-300 >&2
        complain "tsan.sh: with its ordering weakened ($weakening) the log was not reported (exit $code)"
        exit 1
    fi
    say "tsan.sh: $weakening weakened is noticed"
done

code=0
watch "$seconds" || code=$?
if [ "$code" -ne 0 ]; then
    head -n 100 "$report" | cut -c1-300 >&2
    complain "tsan.sh: a race, or a failed check; see above"
    exit 1
fi
grep '^tsan:' "$report"
say "tsan.sh: no report in $seconds s"
