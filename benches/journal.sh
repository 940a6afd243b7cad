#!/usr/bin/env bash
# The journal beside a plain sequential writer on the same disk, as a section of docs/PERF.md on standard output.
#
# BENCH_QUICK=1: a few seconds, to see that it runs. BENCH_FOLDER: a folder on the disk to measure, the build
# folder's if not set.
set -euo pipefail
# shellcheck source-path=SCRIPTDIR source=../scripts/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/../scripts/lib.sh"
cd "$root"

options=(--rounds 3 --seconds 5)
if [ "${BENCH_QUICK:-0}" = 1 ]; then
    options=(--rounds 1 --seconds 1 --arena-mib 512 --journal-mib 1024)
fi
folder=${BENCH_FOLDER:-$target}

cargo build --release --quiet -p herald-bench-journal >&2
file_system=$(stat --file-system --format %T "$folder")
[ "$file_system" != tmpfs ] ||
    { complain "$folder is in memory: name a folder on a disk in BENCH_FOLDER"; exit 2; }
printf '### The journal\n\n'
printf "\`herald-bench-journal %s\` on %s: bodies of 640 bytes, one thread that stores.\n\n" \
    "${options[*]}" "$file_system"
"$target/release/herald-bench-journal" --folder "$folder" "${options[@]}"
