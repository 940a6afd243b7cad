#!/usr/bin/env bash
# Latency over TLS at a fixed rate, counted from when each request was due, at a quarter, half and three quarters of
# the most this machine's one server core answers; and what an idle connection costs.
#
# Prints Markdown; what it is doing goes to standard error. BENCH_QUICK=1: seconds instead of minutes, to see that
# everything runs.
set -euo pipefail
# shellcheck source-path=SCRIPTDIR source=../scripts/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/../scripts/lib.sh"
cd "$root"
# shellcheck source-path=SCRIPTDIR source=servers.sh
. benches/servers.sh

herald=$target/release/herald
load=$target/release/herald-load
seconds=6
held_connections=2000
if [ "${BENCH_QUICK:-0}" = 1 ]; then
    seconds=1
    held_connections=500
fi
warmup_seconds=1
# Lists are asked for so many numbers only, after so many stores that each has one or two placements.
known_numbers=50000

cargo build --release --quiet -p herald -p herald-load
has taskset || fail "taskset is not installed (Debian: util-linux)"

# serve RETENTION: a server with nothing in it. What batches store within two seconds fits, at three million a second.
serve() {
    start herald "$herald" serve --dev --data "$scratch/data" --durability memory --memory 5GiB --retention "$1" \
        --reactors 1
}

# ask ARGUMENTS...: one run; prints its figures, one a line.
ask() {
    taskset -c "$load_core" "$load" "${url[herald]}" --ca "${ca[herald]}" "$@" || fail "no figures from: $*"
}

# figure NAME FILE
figure() { awk -v name="$1" '$1 == name { print $2 }' "$2"; }

# rows TITLE ARGUMENTS...: the most that is answered, then the latency at shares of it.
rows() {
    local title=$1 most share
    shift
    complain "load: $title, as fast as it is answered"
    ask "$@" --seconds "$seconds" --warmup "$warmup_seconds" >"$scratch/most"
    [ "$(figure failed "$scratch/most")" = 0 ] || { cat "$scratch/most" >&2; fail "not every request succeeded"; }
    most=$(figure arrived_per_s "$scratch/most")
    [ "$most" -ge 4 ] || fail "$title: $most answers a second; something else has the server's core"
    for share in 25 50 75; do
        complain "load: $title, $share % of $most/s"
        ask "$@" --seconds "$seconds" --warmup "$warmup_seconds" --rate $((most * share / 100)) >"$scratch/figures"
        awk -v title="$title" -v share="$share" -v most="$most" '
            { value[$1] = $2 }
            END {
                printf "| %s | %d %% of %d | %d | %d | %d | %d | %d | %d | %d | %d | %d |\n", title, share, most,
                    value["due_per_s"], value["arrived_per_s"], value["p50_us"], value["p90_us"], value["p99_us"],
                    value["p99.9_us"], value["max_us"], value["own_absence_max_us"], value["failed"]
            }' "$scratch/figures"
    done
}

resident_kib() { awk '/^VmRSS:/ { print $2 }' "/proc/${pid_of[herald]}/status"; }

# hold COUNT STAGE: opens connections to the server and keeps them until let_go. Returns once all are accepted.
hold() {
    local line open_before waited=0
    open_before=$(descriptors)
    coproc holder { ask --hold "$2" --protocol http1 --operation list --connections "$1"; }
    read -r -t 60 -u "${holder[0]}" line || line=nothing
    [ "$line" = "holding $1" ] || fail "$1 connections cannot be held: $line"
    until [ "$(descriptors)" -ge $((open_before + $1)) ]; do
        waited=$((waited + 1))
        [ "$waited" -lt 50 ] || fail "the server holds not $1 connections, but $(($(descriptors) - open_before))"
        sleep 0.02
    done
}

let_go() {
    # Its input ends, and so does it.
    eval "exec ${holder[1]}>&-"
    # shellcheck disable=SC2154 # The coprocess sets it.
    wait "$holder_PID" || fail "the connections were not held"
}

# descriptors: how many the server has open.
descriptors() { find "/proc/${pid_of[herald]}/fd" -mindepth 1 | wc -l; }

# idle TITLE STAGE [ROW]: resident memory of the server for each of many connections, in a server that had one before.
idle() {
    local before after each
    complain "load: $held_connections connections, $2"
    serve 60s
    # What the first connection makes the process touch is not what one more costs.
    hold 1 "$2"
    let_go
    before=$(resident_kib)
    hold "$held_connections" "$2"
    after=$(resident_kib)
    let_go
    stop herald
    each=$(awk -v count="$held_connections" -v kib=$((after - before)) 'BEGIN { printf "%.1f", kib * 1.024 / count }')
    echo "| $1 | $held_connections | $each |"
    [ -z "${3:-}" ] || record "$3" "$each" kB "$each" "$each"
}

echo "### Latency over TLS, one reactor on one core"
echo
echo "| request | rate | due/s | answered/s | p50, µs | p90 | p99 | p99.9 | max | generator away | failed |"
echo "|---|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|"
serve 2s
rows "POST of 640 bytes, HTTP/1.1" --protocol http1
rows "POST of 640 bytes, HTTP/1.1, 16 pipelined" --protocol http1 --depth 16
rows "POST of 640 bytes, HTTP/2, 16 streams" --protocol http2 --depth 16
rows "POST of a batch of 64, HTTP/1.1" --protocol http1 --operation batch --records 64 --connections 8
stop herald
serve 60s
ask --protocol http2 --depth 16 --numbers "$known_numbers" --seconds 1 --warmup 0 >"$scratch/most"
rows "GET of a list, HTTP/1.1" --protocol http1 --operation list --numbers "$known_numbers"
rows "GET of a list, HTTP/2, 16 streams" --protocol http2 --depth 16 --operation list --numbers "$known_numbers"
stop herald

echo
echo "### Idle connections"
echo
echo "| connection | held | resident memory each, kB |"
echo "|---|--:|--:|"
# Both ends have their descriptors.
allowed=$(ulimit -Hn)
[ "$allowed" = unlimited ] || [ "$allowed" -gt $((held_connections + 100)) ] ||
    fail "$held_connections connections need more descriptors than the $allowed of ulimit -Hn"
ulimit -Sn "$allowed"
idle "before the hello" connected idle_hello_kb
idle "after the handshake, HTTP/1.1" handshaken
# The most an idle connection costs, so this is what the target is held against.
idle "after an answer, HTTP/1.1" answered idle_handshake_kb
