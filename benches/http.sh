#!/usr/bin/env bash
# Requests per second over TLS: the program beside a bare reactor that answers a constant, by turns in one run.
#
# Both must be built for release; see run.sh. Prints Markdown; what it is doing goes to standard error.
# BENCH_ROUNDS: turns of each (3). BENCH_SECONDS: whole seconds of a turn (2).
set -euo pipefail
# shellcheck source-path=SCRIPTDIR source=../scripts/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/../scripts/lib.sh"
cd "$root"

rounds=${BENCH_ROUNDS:-3}
seconds=${BENCH_SECONDS:-2}
[ "${BENCH_QUICK:-0}" != 1 ] || rounds=1 seconds=1
herald=$target/release/herald
constant=$target/release/examples/constant
# Live placements of all turns fit: the whole run is shorter than the retention.
memory=2GiB
connections=32
h2_streams=16
numbers=10000000
# Lists are asked for these only, after so many stores that each has one or two placements.
known_numbers=50000
# A start maps and touches its memory first, which a loaded machine is slow to give.
start_seconds_max=60

fail() {
    complain "benches/http: $*"
    exit 1
}

for binary in "$herald" "$constant"; do
    [ -x "$binary" ] || fail "$binary is not there; benches/run.sh builds it"
done
for tool in wrk h2load taskset; do
    has "$tool" || fail "$tool is not installed (Debian: wrk, nghttp2-client, util-linux)"
done

# The servers on one core, the load on another; with a single core they share it.
server_core=0
load_core=0
[ "$(nproc)" -lt 2 ] || load_core=1

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

# start NAME COMMAND...: starts a server; its address and process are kept under the name.
declare -A url pid_of
start() {
    local name=$1 line waited=0
    shift
    : >"$scratch/$name.out"
    taskset -c "$server_core" "$@" >"$scratch/$name.out" 2>"$scratch/$name.err" &
    pid_of[$name]=$!
    pids+=("$!")
    until line=$(grep -m 1 '^listening https://' "$scratch/$name.out"); do
        if ! kill -0 "${pid_of[$name]}" 2>/dev/null || [ "$waited" -ge $((10 * start_seconds_max)) ]; then
            cat "$scratch/$name.out" "$scratch/$name.err" >&2
            fail "$name did not say that it listens"
        fi
        sleep 0.1
        waited=$((waited + 1))
    done
    line=${line#listening }
    url[$name]=${line%% *}
}

# Processor time a server has had, in ticks.
ticks() { awk '{ sub(/^.*\) /, ""); print $12 + $13 }' "/proc/${pid_of[$1]}/stat"; }

# turn NAME KIND: one turn of load; prints requests, seconds, bytes read of all answers.
turn() {
    case $2 in
    h2-store) turn_h2 "$1" "$2" ;;
    *) turn_h1 "$1" "$2" ;;
    esac
}

turn_h1() {
    local name=$1 kind=$2 count=$numbers result requests micros bytes refused broken
    [ "$kind" = store ] || count=$known_numbers
    [ "$kind" != prime ] || kind=store
    result=$(taskset -c "$load_core" wrk -t1 -c"$connections" -d"$seconds" -s benches/http.lua \
        "${url[$name]}" -- "$kind" "$count" "$RANDOM" | grep '^RESULT') || fail "wrk gave no result for $name"
    read -r _ requests micros bytes refused broken <<<"$result"
    [ "$refused" = 0 ] || fail "$name refused $refused of $requests requests ($kind)"
    [ "$broken" = 0 ] || fail "$broken connections to $name broke ($kind)"
    echo "$requests $(awk -v t="$micros" 'BEGIN { print t / 1e6 }') $bytes"
}

turn_h2() {
    local name=$1 output=$scratch/h2load.out
    taskset -c "$load_core" h2load -t1 -c"$connections" -m"$h2_streams" -D"$seconds" -i "$scratch/uris" \
        -d "$scratch/body" -H 'content-type: application/passport' -B "${url[$name]}" >"$output" 2>&1 ||
        { cat "$output" >&2; fail "h2load failed for $name"; }
    awk -v seconds="$seconds" '
        /^status codes:/ { good = $3; bad = $5 + $7 + $9 }
        /^requests:/ { failed = $10 + $12 + $14 }
        /^traffic:/ { gsub(/[()]/, "", $3); bytes = $3 }
        END { if (good == 0 || bad > 0 || failed > 0) exit 1; print good, seconds, bytes }' "$output" ||
        { cat "$output" >&2; fail "not every request to $name succeeded (h2-store)"; }
}

# One line a turn: kind, round, server, requests/s, share of a processor the server had, requests per second of
# processor, bytes of an answer.
measure() {
    local kind=$1 round=$2 name before after result
    for name in herald constant; do
        before=$(ticks "$name")
        result=$(turn "$name" "$kind")
        after=$(ticks "$name")
        awk -v kind="$kind" -v round="$round" -v name="$name" -v ticks=$((after - before)) \
            -v hz="$(getconf CLK_TCK)" '{
                busy = ticks / hz
                print kind, round, name, $1 / $2, busy / $2, $1 / busy, $3 / $1
            }' <<<"$result"
    done
}

table() {
    echo "| request | herald, req/s | its processor share | bytes/answer | constant, req/s | its processor share | bytes/answer | ratio | ratio per processor second |"
    echo "|---|--:|--:|--:|--:|--:|--:|--:|--:|"
    awk '
        function median(list, count,   i, j, t) {
            for (i = 2; i <= count; i++)
                for (j = i; j > 1 && list[j - 1] > list[j]; j--) { t = list[j]; list[j] = list[j - 1]; list[j - 1] = t }
            return list[int((count + 1) / 2)]
        }
        # The median of one column over the rounds; of the ratio of the servers if name is empty.
        function of(kind, name, column,   i, list) {
            for (i = 1; i <= rounds; i++)
                list[i] = name == "" ? value[kind, i, "herald", column] / value[kind, i, "constant", column] : value[kind, i, name, column]
            return median(list, rounds)
        }
        { for (c = 4; c <= 7; c++) value[$1, $2, $3, c] = $c
          if (!($1 in seen)) { seen[$1]; kinds[++kinds_count] = $1 }
          if ($2 > rounds) rounds = $2 }
        END {
            title["store"] = "POST of 640 bytes, HTTP/1.1"; title["list"] = "GET of a list, HTTP/1.1"
            title["inline"] = "GET of a list with bodies, HTTP/1.1"; title["h2-store"] = "POST of 640 bytes, HTTP/2"
            for (k = 1; k <= kinds_count; k++) {
                kind = kinds[k]
                printf "| %s | %.0f | %.0f %% | %.0f | %.0f | %.0f %% | %.0f | %.2f | %.2f |\n", title[kind],
                    of(kind, "herald", 4), 100 * of(kind, "herald", 5), of(kind, "herald", 7),
                    of(kind, "constant", 4), 100 * of(kind, "constant", 5), of(kind, "constant", 7),
                    of(kind, "", 4), of(kind, "", 6)
            }
        }' "$1"
}

head -c 640 /dev/zero | tr '\0' s >"$scratch/body"
awk -v n="$known_numbers" 'BEGIN { for (i = 0; i < n; i++) printf "/cps/%.0f/ppts\n", 13000000000 + i }' >"$scratch/uris"

start constant "$constant" 1 0 "$scratch/constant.pem"
start herald "$herald" serve --dev --data "$scratch/data" --durability memory --memory "$memory" --reactors 1

for kind in store list inline h2-store; do
    # So that lists have real placements among the cover.
    [ "$kind" != list ] || turn herald prime >"$scratch/primed"
    for ((round = 1; round <= rounds; round++)); do
        complain "http: $kind, round $round of $rounds"
        measure "$kind" "$round" >>"$scratch/figures"
    done
done
printf "### Over TLS, one reactor on one core\n\n"
table "$scratch/figures"
