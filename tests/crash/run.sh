#!/usr/bin/env bash
# Kills the program with -9, fills its disk, and fails if anything that was acknowledged is missing. About four
# minutes; CRASH_KILLS=5 makes it a quick look.
set -euo pipefail

cd "$(dirname "${BASH_SOURCE[0]}")/../.."
target=${CARGO_TARGET_DIR:-target}

cargo build --quiet -p herald -p herald-crash

# A namespace of its own, if there may be one, so that a small disk can be mounted and is gone with the test
# whatever happens.
private=()
if unshare --mount true 2>/dev/null; then
    private=(unshare --mount)
elif unshare --map-root-user --mount true 2>/dev/null; then
    private=(unshare --map-root-user --mount)
fi

exec ${private[@]+"${private[@]}"} "$target/debug/herald-crash"
