#!/usr/bin/env bash
# Kills the program with -9, fills its disk, and fails if anything that was acknowledged is missing. About four
# minutes; CRASH_KILLS=5 makes it a quick look.
set -euo pipefail

cd "$(dirname "${BASH_SOURCE[0]}")/../.."
target=${CARGO_TARGET_DIR:-target}

cargo build --quiet -p herald -p herald-crash

# Namespaces of its own, if there may be any, so that a small disk can be mounted, and so that mount and services are
# gone with the test whatever happens.
private=()
namespaces=(--mount --pid --fork --kill-child --mount-proc)
for user in "" --map-root-user; do
    candidate=(unshare ${user:+"$user"} "${namespaces[@]}")
    if "${candidate[@]}" true 2>/dev/null; then
        private=("${candidate[@]}")
        break
    fi
done

exec ${private[@]+"${private[@]}"} "$target/debug/herald-crash"
