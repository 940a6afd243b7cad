#!/usr/bin/env bash
# Kills the program with -9, at random and at chosen calls, lets its disk fail and fill, cuts its power, and fails if
# anything that was acknowledged is missing. A sample in about three minutes; with --campaign everything, in about
# forty. Power cuts need root and loop devices, and are skipped aloud without.
#
# tests/crash/run.sh [--campaign] [PART...]: kills, points, faults, cuts, full, steps, folder; all of them if none is named.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
# shellcheck source-path=SCRIPTDIR source=../../scripts/lib.sh
. scripts/lib.sh
# What makes the file systems whose power is cut. Without root there are none.
if [ "$(id -u)" -eq 0 ] && ! { has mkfs.ext4 && has mkfs.xfs; }; then
    if ! has_apt || ! apt_install e2fsprogs xfsprogs; then
        complain "missing: mkfs.ext4, mkfs.xfs; install e2fsprogs and xfsprogs, or the power is not cut"
        ! strict || exit 2
    fi
fi

cargo build --quiet -p herald -p herald-crash
CRASH_SHIM=$(realpath "$target")/debug/crash-shim.so
export CRASH_SHIM
"${CC:-cc}" -std=gnu11 -O1 -Wall -Wextra -Werror -shared -fPIC -o "$CRASH_SHIM" tests/crash/shim.c -ldl -pthread

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

exec ${private[@]+"${private[@]}"} "$target/debug/herald-crash" "$@"
