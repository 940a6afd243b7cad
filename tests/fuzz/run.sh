#!/usr/bin/env bash
# Fuzzes every parser: run.sh SECONDS [TARGET...] runs each target for that long and prints one line for each.
# run.sh --self-test puts a fault into a check and fails unless the fuzzer finds it.
#
# Inputs that are worth keeping, and those that crash, go to the user's cache, never into the tree. More seeds are
# taken from HERALD_SHARED/fixtures (or shared/fixtures beside the checkout), if it is there.
set -euo pipefail

cd "$(dirname "${BASH_SOURCE[0]}")"
cache=${XDG_CACHE_HOME:-$HOME/.cache}/herald/fuzz
fixtures=${HERALD_SHARED:-$PWD/../../../shared}/fixtures
build=${CARGO_TARGET_DIR:-$(cd ../.. && pwd)/target}/fuzz
triple=$(rustc -vV | sed -n 's/^host: //p')
cargo_fuzz=0.13.2
# An input that takes longer hangs; an honest one takes milliseconds.
input_seconds_max=10
# The checks need some 100 MiB, the address sanitizer as much again.
memory_mib_max=2048
self_test_seconds=20

# Bytes of an input: a little more than what each reader takes at most, so that its bound is met too.
declare -A bytes_max=(
    [number]=128 [path_query]=2048 [request]=4096 [journal_block]=16384 [passport]=9216 [certificate]=4096
    [sealed]=9216 [batch]=20480 [sip]=8192 [json]=1024 [bundle]=9216 [naptr]=4096
    [tokens]=4096 [table]=4096 [credential]=4096
)
targets=(number path_query request journal_block passport certificate sealed batch sip json bundle naptr tokens table credential)

fail() {
    printf 'tests/fuzz: %s\n' "$*" >&2
    exit 1
}

scratch=$(mktemp -d)
fuzzer=
cleanup() {
    if [ -n "$fuzzer" ]; then
        kill "$fuzzer" 2>/dev/null || true
    fi
    rm -rf "$scratch"
}
trap cleanup EXIT
trap 'exit 130' INT TERM

install_cargo_fuzz() {
    if ! cargo fuzz --version >/dev/null 2>&1; then
        cargo install cargo-fuzz --locked --quiet --version "$cargo_fuzz"
    fi
}

# Sanitizers and coverage are not stable in rustc; nothing else here asks for a nightly one.
build_targets() {
    local output=$scratch/build
    RUSTC_BOOTSTRAP=1 cargo fuzz build --fuzz-dir . --target-dir "$build" "$@" >"$output" 2>&1 || {
        cat "$output" >&2
        fail "the targets do not build"
    }
}

# Header and payload of a token as JSON, the form in which the target changes claims.
decode_tokens() {
    mkdir "$scratch/claims"
    local file header payload
    for file in "$fixtures"/passports/*.jwt; do
        IFS=. read -r header payload _ <"$file" || true
        { base64url_decoded "$header" && echo && base64url_decoded "$payload"; } >"$scratch/claims/${file##*/}" || true
    done
}

base64url_decoded() {
    printf '%s===' "$1" | tr -- '-_' '+/' | base64 -d 2>/dev/null || true
}

# Prints the folders a target's first inputs come from, one a line.
seed_folders() {
    printf '%s\n' "seeds/$1"
    [ -d "$fixtures" ] || return 0
    case $1 in
    passport) printf '%s\n' "$fixtures/passports" "$fixtures/identity" "$scratch/claims" ;;
    certificate) printf '%s\n' "$fixtures/pki" ;;
    sip) printf '%s\n' "$fixtures/sip" ;;
    esac
}

# fuzz PROGRAM SECONDS CORPUS ARTIFACTS LOG [OPTION...]: the fuzzer's exit status.
fuzz() {
    local program=$1 seconds=$2 corpus=$3 artifacts=$4 log=$5 status=0
    shift 5
    mkdir -p "$corpus" "$artifacts"
    # In the background, so that an interrupt ends it too.
    TMPDIR=$scratch "$program" "$corpus" "$@" -artifact_prefix="$artifacts/" -max_total_time="$seconds" \
        -timeout="$input_seconds_max" -rss_limit_mb="$memory_mib_max" -print_final_stats=1 >"$log" 2>&1 &
    fuzzer=$!
    wait "$fuzzer" || status=$?
    fuzzer=
    return "$status"
}

# The last number behind a word in a log, 0 if there is none.
last_number() {
    local found
    found=$(grep -o "$1 *[0-9]\+" "$2" | tail -n 1 | grep -o '[0-9]\+$' || true)
    printf '%s' "${found:-0}"
}

run_target() {
    local target=$1 seconds=$2 status=0 folders crashes
    local program=$build/$triple/release/$target log=$scratch/$target.log artifacts=$cache/artifacts/$target
    local options=(-max_len="${bytes_max[$target]}")
    if [ -f "$target.dict" ]; then
        options+=(-dict="$target.dict")
    fi
    mapfile -t folders < <(seed_folders "$target")
    touch "$scratch/started"
    fuzz "$program" "$seconds" "$cache/corpus/$target" "$artifacts" "$log" "${folders[@]}" "${options[@]}" \
        || status=$?
    mapfile -t crashes < <(find "$artifacts" -type f -newer "$scratch/started")
    if [ "$status" -ne 0 ] && [ "${#crashes[@]}" -eq 0 ]; then
        tail -n 40 "$log" >&2
        fail "$target ended with status $status and left no input"
    fi
    printf '%-14s runs %10s  cov %6s  crashes %s\n' "$target" \
        "$(last_number 'stat::number_of_executed_units:' "$log")" "$(last_number 'cov:' "$log")" "${#crashes[@]}"
    if [ "${#crashes[@]}" -ne 0 ]; then
        grep -m 1 -A 4 -E 'panicked at|ERROR: ' "$log" >&2 || true
        printf '    again: %s %s\n' "$program" "${crashes[@]}" >&2
        return 1
    fi
}

self_test() {
    local status=0 log=$scratch/broken.log
    build_targets --features broken number
    fuzz "$build/$triple/release/number" "$self_test_seconds" "$scratch/empty" "$scratch/broken" "$log" \
        -max_len="${bytes_max[number]}" || status=$?
    if [ "$status" -eq 0 ] || ! grep -q 'panicked at src/number.rs' "$log"; then
        tail -n 20 "$log" >&2
        fail "the fault was not found in $self_test_seconds s: the fuzzers cannot fail"
    fi
    printf 'the fault was found after %s runs\n' "$(last_number 'stat::number_of_executed_units:' "$log")"
}

run_targets() {
    local seconds=$1 target failed=0
    shift
    [[ $seconds =~ ^[1-9][0-9]*$ ]] || fail "usage: run.sh SECONDS [TARGET...] or run.sh --self-test"
    for target in "$@"; do
        [ -n "${bytes_max[$target]-}" ] || fail "no target $target; there are: ${targets[*]}"
    done
    build_targets
    if [ -d "$fixtures" ]; then
        decode_tokens
    fi
    for target in "$@"; do
        run_target "$target" "$seconds" || failed=1
    done
    return "$failed"
}

install_cargo_fuzz
if [ "${1-}" = --self-test ]; then
    self_test
elif [ "$#" -gt 1 ]; then
    run_targets "$@"
else
    run_targets "${1-60}" "${targets[@]}"
fi
