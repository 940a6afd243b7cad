#!/usr/bin/env bash
# The journal beside a plain sequential writer on the same disk, as a section of docs/PERF.md on standard output.
#
# BENCH_QUICK=1: a few seconds, to see that it runs. BENCH_FOLDER: a folder on the disk to measure, the build
# folder's if not set.
set -euo pipefail
# shellcheck source-path=SCRIPTDIR source=../scripts/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/../scripts/lib.sh"
cd "$root"

options=(--rounds 5 --seconds 5)
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
table=$("$target/release/herald-bench-journal" --folder "$folder" "${options[@]}")
printf '%s\n' "$table"

printf '\n### Beyond memory\n\n'
printf "One GiB of records stored in \`buffered\`, one run each: with memory for all of it, and with memory for an eighth.\n"
printf 'Reads are of numbers stored in the first half, each waiting for the last, bodies and all.\n\n'
"$target/release/herald-bench-journal" --folder "$folder" --beyond

# figure COURSE COLUMN: the number in a column of the table; the first one if the spread stands beside it.
figure() { printf '%s\n' "$table" | awk -F' *[|] *' -v course="$1" -v column="$2" '$2 == course { print $(column + 1) + 0 }'; }
# both COURSE COURSE COLUMN: the figures of two, the lesser first.
both() { printf '%s\n%s\n' "$(figure "$1" "$3")" "$(figure "$2" "$3")" | sort -g; }
# of_plain COURSE COLUMN: what another plain writer reached of the one without duties.
of_plain() { awk -v rate="$(figure "$1" "$2")" -v plain="$(figure "$1" 4)" 'BEGIN { printf "%.3f", rate / plain }'; }
# row ROW VALUE UNIT: a median whose spread is not kept.
row() { record "$1" "$2" "$3" "$2" "$2"; }

buffered="\`buffered\`, generations fit in memory" synced="\`synced\`, generations fit in memory"
buffered_beyond="\`buffered\`, generations do not fit" synced_beyond="\`synced\`, generations do not fit"
row buffered_ratio "$(figure "$buffered" 6)" x
row synced_ratio "$(figure "$synced" 6)" x
row buffered_ceiling "$(of_plain "$buffered" 16)" x
row buffered_log "$(of_plain "$buffered" 13)" x
row synced_ceiling "$(of_plain "$synced" 16)" x
row synced_log "$(of_plain "$synced" 13)" x
row buffered_beyond_ratio "$(figure "$buffered_beyond" 6)" x
row synced_beyond_ratio "$(figure "$synced_beyond" 6)" x
row buffered_beyond_ceiling "$(of_plain "$buffered_beyond" 16)" x
row buffered_beyond_log "$(of_plain "$buffered_beyond" 13)" x
row synced_beyond_ceiling "$(of_plain "$synced_beyond" 16)" x
row synced_beyond_log "$(of_plain "$synced_beyond" 13)" x
row buffered_of_memory "$(awk -v of="$(figure "\`buffered\`, the same burst" 2)" -v all="$(figure "\`memory\`, a burst" 2)" \
    'BEGIN { printf "%.3f", of / all }')" x
row write_amplification "$(both "$buffered" "$synced" 7 | tail -n 1)" x
row write_amplification_beyond "$(both "$buffered_beyond" "$synced_beyond" 7 | tail -n 1)" x
recovered=$(figure "\`buffered\`, a restart while all of it lives" 11)
# Where the last forced write took so long that all had expired, the cell is empty, and the target has no figure.
[ "$recovered" = 0 ] || row recovery_mps "$(awk -v thousand="$recovered" 'BEGIN { printf "%.3f", thousand / 1000 }')" M/s
