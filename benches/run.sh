#!/usr/bin/env bash
# Measures and writes docs/PERF.md: the log and the service in process, then the program over TLS, each beside its
# yardsticks in the same run.
#
# BENCH_QUICK=1: less than a minute after the builds, to see that everything runs. Such figures are printed, not
# written.
set -euo pipefail
# shellcheck source-path=SCRIPTDIR source=../scripts/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/../scripts/lib.sh"
cd "$root"

document=docs/PERF.md
begin='<!-- figures: begin -->'
end='<!-- figures: end -->'
compare_options=(--arena-mib 4096 --runs 3 --seconds 1)
if [ "${BENCH_QUICK:-0}" = 1 ]; then
    compare_options=(--arena-mib 512 --runs 3 --seconds 0.2)
    export BENCH_ROUNDS=1 BENCH_SECONDS=1
fi

has wrk && has h2load || apt_install wrk nghttp2-client ||
    { complain "wrk and h2load are needed (Debian: wrk, nghttp2-client)"; exit 2; }
for marker in "$begin" "$end"; do
    grep -qxF "$marker" "$document" || { complain "$document lacks the line $marker"; exit 1; }
done

say "building for release"
cargo build --release --quiet -p herald
cargo build --release --quiet -p herald-net --example constant
# Its own lock file, so its own folder.
cargo build --release --quiet --locked --manifest-path benches/compare/Cargo.toml --target-dir "$target/compare"

# version CRATE LOCKFILE: the version that is locked.
version() { awk -v want="\"$1\"" '$1 == "name" && $3 == want { getline; gsub(/"/, "", $3); print $3 }' "$2"; }

machine() {
    echo "Taken on $(date -u +%Y-%m-%d) at commit $(git rev-parse --short HEAD)$(git diff --quiet HEAD -- engine benches || echo ', with changes not committed')" \
        "by \`make bench\` (\`benches/run.sh\`)."
    echo
    echo "| | |"
    echo "|---|---|"
    echo "| processor | $(sed -n 's/^model name[[:space:]]*: //p' /proc/cpuinfo | head -n 1), $(nproc) cores |"
    echo "| memory | $(awk '/^MemTotal:/ { printf "%.0f GiB", $2 / 1048576 }' /proc/meminfo) |"
    echo "| kernel | $(uname -sr) |"
    echo "| load average at the start | $load |"
    echo "| versions | $(rustc --version | cut -d' ' -f1,2), DashMap $(version dashmap benches/compare/Cargo.lock)," \
        "wrk $(wrk -v 2>&1 | sed -n '1s/^wrk \([^ ]*\).*/\1/p'), $(h2load --version) |"
    echo "| commands | \`herald-compare ${compare_options[*]}\`; \`BENCH_ROUNDS=${BENCH_ROUNDS:-3}" \
        "BENCH_SECONDS=${BENCH_SECONDS:-2} benches/http.sh\` |"
}

load=$(cut -d' ' -f1-3 /proc/loadavg)
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
say "measuring in process"
"$target/compare/release/herald-compare" "${compare_options[@]}" >"$scratch/compare"
say "measuring over TLS"
bash benches/http.sh >"$scratch/http"
{
    echo
    machine
    printf '\n### In process\n\n'
    sed '/^$/d' "$scratch/compare"
    printf '\n### Over TLS, one reactor on one core\n\n'
    cat "$scratch/http"
    echo
} >"$scratch/figures"
cat "$scratch/figures"

if [ "${BENCH_QUICK:-0}" = 1 ]; then
    say "BENCH_QUICK: $document stays as it is"
    exit 0
fi
awk -v begin="$begin" -v end="$end" -v figures="$scratch/figures" '
    $0 == end { within = 0 }
    !within { print }
    $0 == begin { within = 1; while ((getline line < figures) > 0) print line }' "$document" >"$scratch/document"
cat "$scratch/document" >"$document"
say "written to $document"
