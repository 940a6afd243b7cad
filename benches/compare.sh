#!/usr/bin/env bash
# The log, the service, the limits of memory and other stores with the same placements, in one run; see
# benches/compare/src/comparison.rs. Prints Markdown. The servers listen on sockets in a folder of their own.
set -euo pipefail
# shellcheck source-path=SCRIPTDIR source=../scripts/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/../scripts/lib.sh"
cd "$root"

options=(--arena-mib 4096 --runs 5 --seconds 0.25)
expiry_options=(--arena-mib 2048 --runs 3)
# What two distributions of the fill and all runs can leave there, so that nothing is evicted.
memcached_mib=8192
if [ "${BENCH_QUICK:-0}" = 1 ]; then
    options=(--arena-mib 512 --runs 1 --seconds 0.05 --quick)
    expiry_options=(--arena-mib 256 --runs 1)
    memcached_mib=1024
fi
# A server that has not made its socket by then never will.
start_seconds_max=10

fail() {
    complain "benches/compare: $*"
    exit 1
}

needs redis-server memcached || exit 2
cargo build --release --quiet -p herald-compare

scratch=$(mktemp -d)
pids=()
cleanup() {
    for pid in "${pids[@]}"; do
        kill "$pid" 2>/dev/null || true
        wait "$pid" 2>/dev/null || true
    done
    rm -rf "$scratch"
}
trap cleanup EXIT
trap 'exit 130' INT TERM

# start NAME COMMAND...: starts a server that listens on the socket NAME in the folder.
start() {
    local name=$1 waited=0
    shift
    "$@" >"$scratch/$name.log" 2>&1 </dev/null &
    pids+=("$!")
    until [ -S "$scratch/$name" ]; do
        if ! kill -0 "${pids[-1]}" 2>/dev/null || [ "$waited" -ge $((10 * start_seconds_max)) ]; then
            cat "$scratch/$name.log" >&2
            fail "$name did not open its socket"
        fi
        sleep 0.1
        waited=$((waited + 1))
    done
}

# Nothing is saved: only memory is compared.
start redis redis-server --port 0 --unixsocket "$scratch/redis" --save '' --appendonly no --dir "$scratch"
# It refuses to be root without being told so.
start memcached memcached -s "$scratch/memcached" -m "$memcached_mib" -t 2 -u "$(id -un)"

"$target/release/herald-compare" stores "${options[@]}" \
    --redis "$scratch/redis" --memcached "$scratch/memcached" --rocksdb "$scratch/rocksdb"
echo
"$target/release/herald-compare" expiry "${expiry_options[@]}"
