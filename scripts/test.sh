#!/usr/bin/env bash
# Every test there is, step by step, stopping at the first that fails; a table of the times at the end.
#
# STRICT=1 (the default): a step whose script is missing is a failure. STRICT=0: it is skipped aloud, and so is what
# cannot be done on this machine.
# FUZZ_SECONDS: how long each fuzz target runs, 20 if not set.
# TEST_MINUTES: after how many the step under way fails; if not set, 70 where CI is set (RocksDB may have taken 15 before),
# and else a day.
set -euo pipefail
# shellcheck source-path=SCRIPTDIR source=lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
cd "$root"

export STRICT=${STRICT:-1}
# What is slower than its continuous integration allows, or hangs, then says itself what it was.
minutes=${TEST_MINUTES:-$([ -n "${CI:-}" ] && echo 70 || echo 1440)}
summary=()

# step NAME COMMAND...
step() {
    local name=$1 began=$SECONDS code=0
    shift
    printf '\n=== %s (%s)\n' "$name" "$(date +%H:%M:%S)"
    within $((minutes * 60 - SECONDS)) "$@" </dev/null || code=$?
    if [ "$code" -ne 0 ]; then
        summary+=("$name|$((SECONDS - began))|FAILED with $code")
        print_summary >&2
        exit 1
    fi
    summary+=("$name|$((SECONDS - began))|")
}

# script_step NAME SCRIPT ARGUMENTS...: a step that lives in a script of its own.
script_step() {
    local name=$1 script=$2
    if [ -e "$script" ]; then
        shift 2
        step "$name" bash "$script" "$@"
    elif [ "$STRICT" = 1 ]; then
        step "$name" missing "$script"
    else
        printf '\nskipped aloud: %s: %s is not there\n' "$name" "$script"
        summary+=("$name|0|skipped: no $script")
    fi
}

missing() {
    complain "$1 is not there, and STRICT=1"
    return 1
}

print_summary() {
    local line name seconds note
    printf '\n%-24s %8s\n' step seconds
    for line in "${summary[@]}"; do
        IFS='|' read -r name seconds note <<<"$line"
        printf '%-24s %8s  %s\n' "$name" "$seconds" "$note"
    done
}

workspace_tests() {
    if cargo nextest --version >/dev/null 2>&1; then
        cargo nextest run --workspace --no-fail-fast
    else
        cargo test --workspace --lib --bins --tests --no-fail-fast
    fi
}

step "workspace" workspace_tests
step "documentation" cargo test --doc --workspace
step "lint" bash scripts/lint.sh
script_step "instructions: self-test" benches/micro.sh --self-test
script_step "instructions" benches/micro.sh
script_step "quiet" tests/quiet/run.sh
script_step "loom" engine/log/loom.sh
script_step "loom of admission" engine/admission/loom.sh
script_step "shuttle" engine/log/shuttle.sh
script_step "ThreadSanitizer" tests/tsan.sh 20
script_step "C API" tests/capi/run.sh
script_step "packages" tests/packages/run.sh
script_step "switch" tests/switch/run.sh
script_step "plugins" tests/plugins/run.sh
script_step "races of tokens" tests/admission/run.sh
script_step "crash" tests/crash/run.sh
script_step "HTTP" tests/http/run.sh
script_step "metrics" tests/metrics/run.sh
script_step "ENUM" tests/enum/run.sh
script_step "interop" tests/interop/run.sh
script_step "fuzz" tests/fuzz/run.sh "${FUZZ_SECONDS:-20}"
print_summary
