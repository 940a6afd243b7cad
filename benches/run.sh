#!/usr/bin/env bash
# Measures and writes docs/PERF.md: runs the section scripts in order, judges the targets, draws the plots.
#
# A section is benches/NAME.sh. It builds what it needs, prints its Markdown on standard output (a ### title, tables,
# at most a line of prose each) and what it is doing on standard error, takes some minutes, seconds with
# BENCH_QUICK=1, and fails rather than print a figure that means nothing. It is given
#   BENCH_RESULTS  a file to append figures to, a line each: row<TAB>value<TAB>unit<TAB>least<TAB>most. The value is a
#                  median in the unit of the target; `record` in scripts/lib.sh writes such a line.
#                  benches/compare/src/targets.rs has the rows that are judged; others are ignored.
#   BENCH_PLOTS    a folder for drawings; what lies there is copied to docs/.
#
# BENCH_QUICK=1: see that everything runs. Such figures are printed, not written.
# BENCH_SECTIONS="compare journal": only these, printed, not written.
set -euo pipefail
# shellcheck source-path=SCRIPTDIR source=../scripts/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/../scripts/lib.sh"
cd "$root"

document=docs/PERF.md
begin='<!-- figures: begin -->'
end='<!-- figures: end -->'
sections=(compare curves capi calls journal http load admission table)
[ -z "${BENCH_SECTIONS:-}" ] || read -ra sections <<<"$BENCH_SECTIONS"

# Commands and the packages of Debian that have them.
needed=(wrk:wrk h2load:nghttp2-client redis-server:redis-server memcached:memcached)
packages=()
for pair in "${needed[@]}"; do
    has "${pair%%:*}" || packages+=("${pair#*:}")
done
if [ "${#packages[@]}" -gt 0 ]; then
    apt_install "${packages[@]}" || { complain "needed: ${packages[*]} (names of Debian's packages)"; exit 2; }
fi
for marker in "$begin" "$end"; do
    grep -qxF "$marker" "$document" || { complain "$document lacks the line $marker"; exit 1; }
done

scratch=$(mktemp -d)
# A virtual machine may give memory that lies free back to the machine below it, and wait for each page of it that is used
# again: a journal that begins in such memory measures the hypervisor. Where the kernel has the switch, only blocks larger
# than any are given back while this runs, so none, and each section finds free memory touched.
reporting=/sys/module/page_reporting/parameters/page_reporting_order
keep_order=11
reported_before=''
restore() {
    [ -z "$reported_before" ] || echo "$reported_before" >"$reporting"
    rm -rf "$scratch"
}
trap restore EXIT
mkdir "$scratch/plots"
export BENCH_RESULTS=$scratch/results BENCH_PLOTS=$scratch/plots
: >"$BENCH_RESULTS"

say "building for release"
cargo build --release --quiet -p herald -p herald-compare
cargo build --release --quiet -p herald-net --example constant
load=$(cut -d' ' -f1-3 /proc/loadavg)

# free_mib: the memory that is free, in MiB: the machine's, or what this program's group may still have if that is less.
free_mib() {
    local group=/sys/fs/cgroup
    group+=$(sed -n 's/^0:://p' /proc/self/cgroup)
    awk '/^MemFree:/ { printf "%d\n", $2 / 1024 }' /proc/meminfo
    if [ -r "$group/memory.max" ] && [ "$(cat "$group/memory.max")" != max ]; then
        echo $((($(cat "$group/memory.max") - $(cat "$group/memory.current")) / 1048576))
    fi
}
# touch_memory [MIB]: touches so much memory, or all that is free but for a GiB. Prints what a page took, in microseconds.
touch_memory() {
    local mib
    mib=${1:-$(($(free_mib | sort -n | head -n 1) - 1024))}
    [ "$mib" -gt 0 ] || { complain "no memory is free: none is touched"; return; }
    "$target/release/herald-compare" touch "$mib" || complain "memory could not be touched"
}
pages="$(touch_memory 256) µs as found"
if [ -w "$reporting" ]; then
    reported_before=$(cat "$reporting")
    echo "$keep_order" >"$reporting"
    touch_memory >"$scratch/touched"
    pages="$pages, $(touch_memory 256) µs while free memory is kept from the hypervisor, as in all sections"
fi

failed=()
timing=()
for name in "${sections[@]}"; do
    script=benches/$name.sh
    if [ ! -e "$script" ]; then
        say "skipped aloud: $script is not there"
        continue
    fi
    say "measuring: $script"
    touch_memory >"$scratch/touched"
    began=$SECONDS
    bash "$script" >"$scratch/$name.md" || failed+=("$name")
    timing+=("\`$script\` $((SECONDS - began)) s")
done

# version CRATE: the version that is locked.
version() { awk -v want="\"$1\"" '$1 == "name" && $3 == want { getline; gsub(/"/, "", $3); print $3 }' Cargo.lock; }

# Joins lines with commas.
commas() { paste -sd, | sed 's/,/, /g'; }

machine() {
    local changed=''
    git diff --quiet HEAD -- engine benches || changed=', with changes not committed'
    echo "Taken on $(date -u +%Y-%m-%d) at commit $(git rev-parse --short HEAD)$changed by \`make bench\` (\`benches/run.sh\`)."
    echo
    echo "| | |"
    echo "|---|---|"
    echo "| processor | $(sed -n 's/^model name[[:space:]]*: //p' /proc/cpuinfo | head -n 1), $(nproc) cores |"
    echo "| memory | $(awk '/^MemTotal:/ { printf "%.0f GiB", $2 / 1048576 }' /proc/meminfo) |"
    echo "| kernel | $(uname -sr) |"
    echo "| a page of memory, touched first | $pages |"
    echo "| load average at the start | $load |"
    echo "| versions | $(rustc --version | cut -d' ' -f1,2), DashMap $(version dashmap), moka $(version moka)," \
        "librocksdb-sys $(version librocksdb-sys)," \
        "Redis $(redis-server --version | sed 's/.* v=\([^ ]*\).*/\1/'), $(memcached --version)," \
        "wrk $(wrk -v 2>&1 | sed -n '1s/^wrk \([^ ]*\).*/\1/p'), $(h2load --version) |"
    echo "| time taken | $(printf '%s\n' "${timing[@]}" | commas) |"
}

{
    echo
    machine
    printf '\n### Targets\n\n'
    "$target/release/herald-compare" judge "$BENCH_RESULTS"
    for name in "${sections[@]}"; do
        [ ! -s "$scratch/$name.md" ] || { echo; cat "$scratch/$name.md"; }
    done
    echo
} | cat -s >"$scratch/figures"
cat "$scratch/figures"
while IFS='|' read -r _ what _; do
    complain "not measured:${what% }"
done < <(grep -F '| not measured |' "$scratch/figures")

if [ "${#failed[@]}" -gt 0 ]; then
    complain "failed: ${failed[*]}; $document stays as it is"
    exit 1
fi
if [ "${BENCH_QUICK:-0}" = 1 ] || [ -n "${BENCH_SECTIONS:-}" ]; then
    say "BENCH_QUICK or BENCH_SECTIONS: $document stays as it is"
    exit 0
fi
awk -v begin="$begin" -v end="$end" -v figures="$scratch/figures" '
    $0 == end { within = 0 }
    !within { print }
    $0 == begin { within = 1; while ((getline line < figures) > 0) print line }' "$document" >"$scratch/document"
cat "$scratch/document" >"$document"
for plot in "$BENCH_PLOTS"/*.svg; do
    [ ! -e "$plot" ] || cat "$plot" >"docs/${plot##*/}"
done
say "written to $document"
