#!/usr/bin/env bash
# Placements per second in batches over TLS, one reactor on one core, beside a bare reactor that reads the same bytes
# and drops them: what TLS and HTTP allow on this machine.
#
# Prints a section in Markdown; what it is doing goes to standard error. BENCH_QUICK=1: seconds.
set -euo pipefail
# shellcheck source-path=SCRIPTDIR source=../scripts/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/../scripts/lib.sh"
cd "$root"
# shellcheck source-path=SCRIPTDIR source=servers.sh
. benches/servers.sh

rounds=5
seconds=3
[ "${BENCH_QUICK:-0}" != 1 ] || rounds=1 seconds=1
herald=$target/release/herald
constant=$target/release/examples/constant
records=1600
# Version; then lengths, a number of 11 signs and a body of 640 bytes for each record.
batch_bytes=$((1 + records * (3 + 11 + 640)))
connections=4
numbers=10000000
# The same bodies come again all the time, so retention is short: no number fills, and what is live fits.
retention=1s
memory=3GiB

cargo build --release --quiet -p herald
cargo build --release --quiet -p herald-net --example constant
for tool in wrk taskset; do
    has "$tool" || fail "$tool is not installed (Debian: wrk, util-linux)"
done

# measure NAME ROUND: a line: server, placements/s, bytes of requests/s, share of a processor it had.
measure() {
    local name=$1 before result requests micros refused short broken
    complain "batch: to $name, round $2 of $rounds"
    before=$(ticks "$name")
    result=$(taskset -c "$load_core" wrk -t1 -c"$connections" -d"$seconds" -s benches/batch.lua \
        "${url[$name]}" -- "$records" "$numbers" "$RANDOM" | grep '^RESULT') || fail "wrk gave no result for $name"
    read -r _ requests micros refused short broken <<<"$result"
    [ "$refused" = 0 ] || fail "$name refused $refused of $requests batches"
    [ "$broken" = 0 ] || fail "$broken connections to $name broke"
    [ "$name" != herald ] || [ "$short" = 0 ] || fail "in $short of $requests batches not every placement was stored"
    awk -v name="$name" -v requests="$requests" -v micros="$micros" -v records="$records" -v bytes="$batch_bytes" \
        -v ticks=$(($(ticks "$name") - before)) -v hz="$(getconf CLK_TCK)" 'BEGIN {
            rate = requests * 1e6 / micros
            print name, rate * records, rate * bytes, ticks / hz / (micros / 1e6)
        }' >>"$scratch/figures"
}

# values NAME COLUMN: a figure of each round.
values() { awk -v name="$1" -v column="$2" '$1 == name { print $column }' "$scratch/figures"; }

# spread: median, least and most of numbers, one a line.
spread() { sort -g | awk '{ value[NR] = $1 } END { print value[int((NR + 1) / 2)], value[1], value[NR] }'; }

row() {
    local rate least most bytes share
    read -r rate least most < <(values "$2" 2 | spread)
    read -r bytes _ < <(values "$2" 3 | spread)
    read -r share _ < <(values "$2" 4 | spread)
    awk -v title="$1" -v rate="$rate" -v least="$least" -v most="$most" -v bytes="$bytes" -v share="$share" 'BEGIN {
        printf "| %s | %.0f (%.0f to %.0f) | %.0f | %.0f %% | %.0f |\n", title, rate / 1e3, least / 1e3, most / 1e3,
            bytes / 1e6, 100 * share, rate / share / 1e3
    }'
}

start constant "$constant" 1 0 "$scratch/constant.pem"
start herald "$herald" serve --dev --data "$scratch/data" --durability memory --memory "$memory" \
    --retention "$retention" --reactors 1
for ((round = 1; round <= rounds; round++)); do
    for name in herald constant; do
        measure "$name" "$round"
    done
done

echo "### Batches of $records placements over TLS, HTTP/1.1, one reactor on one core"
echo
echo "| server | thousand placements/s: median (least to most) | MB/s | its processor share | thousand per second of processor |"
echo "|---|--:|--:|--:|--:|"
row "herald, every placement stored" herald
row "bare reactor, the same bytes dropped" constant

read -r value least most < <(values herald 2 | awk '{ print $1 / 1e6 }' | spread)
record batch_tls_mps "$value" M/s "$least" "$most"
read -r value least most < <(paste <(values herald 2) <(values constant 2) | awk '{ print $1 / $2 }' | spread)
record batch_tls_of_bytes "$value" x "$least" "$most"
