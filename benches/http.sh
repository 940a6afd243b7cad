#!/usr/bin/env bash
# Requests per second over TLS: the program beside a bare reactor that answers a constant, by turns in one run, single
# stores and batches; then beside what one would take instead, a Call Placement Service on Node and Redis, and Redis
# alone, both without TLS. Where stores need tokens each carries the MAC of an admission session. wrk and h2load cannot make
# those: herald-load sends them, made before the clock starts, and the same stores without one to the constant.
#
# Prints Markdown; what it is doing goes to standard error.
# BENCH_ROUNDS: turns of each (3). BENCH_SECONDS: whole seconds of a turn (2).
set -euo pipefail
# shellcheck source-path=SCRIPTDIR source=../scripts/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/../scripts/lib.sh"
cd "$root"
# shellcheck source-path=SCRIPTDIR source=servers.sh
. benches/servers.sh

rounds=${BENCH_ROUNDS:-3}
seconds=${BENCH_SECONDS:-2}
[ "${BENCH_QUICK:-0}" != 1 ] || rounds=1 seconds=1
herald=$target/release/herald
constant=$target/release/examples/constant
load=$target/release/herald-load
# What is stored within one retention fits, at two million stores a second of the program's turns, every other one.
memory=5GiB
retention=5s
connections=32
pipelined=16
h2_streams=16
setex_pipelined=64
# Stores that are authorised ahead, for each second of a turn, and those of a token: more than are sent.
prepared_per_second=${BENCH_PREPARED:-400000}
token_stores=256
token_name=localhost
# Batches under way are few, since each is large.
batch_records=256
batch_connections=4
batch_depth=2
# What one placement of 640 bytes takes in a batch: its lengths and its number beside it.
batch_record_bytes=654
numbers=10000000
# Lists are asked for these only, after so many stores that each has one or two placements.
known_numbers=50000
# Stores per second of the CPS on Node and Redis that the target was set against; not measured here.
node_given=2500

cargo build --release --quiet -p herald -p herald-load
cargo build --release --quiet -p herald-net --example constant
cargo build --release --quiet -p herald-loadable --example rate_voprf
for tool in wrk h2load taskset; do
    has "$tool" || fail "$tool is not installed (Debian: wrk, nghttp2-client, util-linux)"
done

# turn NAME KIND: one turn of load; prints requests, seconds, bytes read of all answers.
turn() {
    case $2 in
    h2-store) turn_h2 "$1" ;;
    batch-*) turn_batch "$1" "${2#batch-}" ;;
    mac-http1) turn_mac "$1" http1 "$pipelined" ;;
    mac-http2) turn_mac "$1" http2 "$h2_streams" ;;
    pipelined) turn_h1 "$1" store "$numbers" "$pipelined" ;;
    store) turn_h1 "$1" store "$numbers" 1 ;;
    prime) turn_h1 "$1" store "$known_numbers" 1 ;;
    *) turn_h1 "$1" "$2" "$known_numbers" 1 ;;
    esac
}

# turn_h1 NAME KIND COUNT DEPTH
turn_h1() {
    local name=$1 result requests micros bytes refused broken
    result=$(taskset -c "$load_core" wrk -t1 -c"$connections" -d"$seconds" -s benches/http.lua \
        "${url[$name]}" -- "$2" "$3" "$RANDOM" "$4" | grep '^RESULT') || fail "wrk gave no result for $name"
    read -r _ requests micros bytes refused broken <<<"$result"
    [ "$refused" = 0 ] || fail "$name refused $refused of $requests requests ($2)"
    [ "$broken" = 0 ] || fail "$broken connections to $name broke ($2)"
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

# turn_batch NAME PROTOCOL: the constant reads and drops what the program stores. Counts placements, and no answers.
turn_batch() {
    local operation=batch
    [ "$1" = herald ] || operation=bulk
    taskset -c "$load_core" "$load" "${url[$1]}" --ca "${ca[$1]}" --protocol "$2" --operation "$operation" \
        --records "$batch_records" --connections "$batch_connections" --depth "$batch_depth" --numbers "$numbers" \
        --seconds "$seconds" --warmup 0 --seed "$RANDOM" >"$scratch/batch" || fail "no figures of batches to $1"
    awk -v seconds="$seconds" '
        { value[$1] = $2 }
        END { if (value["failed"] != 0) exit 1; print value["records_per_s"] * seconds, seconds, 0 }' "$scratch/batch" ||
        { cat "$scratch/batch" >&2; fail "not every batch to $1 was stored"; }
}

# turn_mac NAME PROTOCOL DEPTH: stores with MACs; the constant has the same without. Counts no bytes. What getting tokens
# and opening sessions took of the server's processor is not the turn's.
turn_mac() {
    local status=201 output=$scratch/mac process
    local -a stores=(--operation store-admitted --signer "$scratch/signer" --token-name "$token_name"
        --prepared $((seconds * prepared_per_second)))
    [ "$1" = herald ] || status=200 stores=(--operation store)
    : >"$output"
    taskset -c "$load_core" "$load" "${url[$1]}" --ca "${ca[$1]}" --protocol "$2" "${stores[@]}" \
        --connections "$connections" --depth "$3" --numbers "$numbers" --seconds "$seconds" --warmup 0 \
        --seed "$RANDOM" >"$output" &
    process=$!
    while [ "$1" = herald ] && kill -0 "$process" 2>/dev/null && ! grep -q '^sessions_open' "$output"; do
        sleep 0.01
    done
    ticks "$1" >"$scratch/ticks"
    wait "$process" || fail "no figures of stores with MACs to $1"
    awk -v seconds="$seconds" -v status="status_$status" '
        { value[$1] = $2 }
        /^status_/ && $1 != status { wrong = 1 }
        END { if (wrong || value["failed"] != 0) exit 1; print value["arrived_per_s"] * seconds, seconds, 0 }' "$output" ||
        { cat "$output" >&2; fail "not every store to $1 was answered with $status"; }
}

# measure KIND ROUND NAME: one line: kind, round, server, requests/s, share of a processor the server had, requests per
# second of processor, bytes of an answer.
measure() {
    local kind=$1 round=$2 name=$3 result
    complain "http: $kind to $name, round $round of $rounds"
    ticks "$name" >"$scratch/ticks"
    result=$(turn "$name" "$kind")
    awk -v kind="$kind" -v round="$round" -v name="$name" -v ticks=$(($(ticks "$name") - $(<"$scratch/ticks"))) \
        -v hz="$(getconf CLK_TCK)" '{
            busy = ticks / hz
            print kind, round, name, $1 / $2, busy / $2, $1 / busy, $3 / $1
        }' <<<"$result" >>"$scratch/figures"
}

# values KIND NAME COLUMN: a figure of each round.
values() {
    awk -v kind="$1" -v name="$2" -v column="$3" '$1 == kind && $3 == name { print $column }' "$scratch/figures"
}

# ratios KIND COLUMN: the program's figure over the constant's, of each round.
ratios() { paste <(values "$1" herald "$2") <(values "$1" constant "$2") | awk '{ print $1 / $2 }'; }

# spread: median, least and most of numbers, one a line.
spread() { sort -g | awk '{ value[NR] = $1 } END { print value[int((NR + 1) / 2)], value[1], value[NR] }'; }

# median: of numbers, one a line.
median() { spread | cut -d' ' -f1; }

# row TITLE KIND: the program beside the constant.
row() {
    local name
    printf '| %s |' "$1"
    for name in herald constant; do
        printf ' %.0f | %.0f %% | %.0f |' "$(values "$2" "$name" 4 | median)" \
            "$(values "$2" "$name" 5 | median | awk '{ print 100 * $1 }')" "$(values "$2" "$name" 7 | median)"
    done
    printf ' %.2f | %.2f |\n' "$(ratios "$2" 4 | median)" "$(ratios "$2" 6 | median)"
}

# record_ratio ROW KIND: for the table of targets, the lower of the two ratios of each round.
record_ratio() {
    local value least most
    read -r value least most < <(paste <(ratios "$2" 4) <(ratios "$2" 6) | awk '{ print $1 < $2 ? $1 : $2 }' | spread)
    record "$1" "$value" x "$least" "$most"
}

# batch_row TITLE KIND: placements a second, and the bytes they take, beside the same bytes read and dropped.
batch_row() {
    local name
    printf '| %s |' "$1"
    for name in herald constant; do
        printf ' %.0f | %.0f | %.0f %% |' "$(values "$2" "$name" 4 | median)" \
            "$(values "$2" "$name" 4 | median | awk -v bytes="$batch_record_bytes" '{ print $1 * bytes / 1e6 }')" \
            "$(values "$2" "$name" 5 | median | awk '{ print 100 * $1 }')"
    done
    printf ' %.2f | %.2f |\n' "$(ratios "$2" 4 | median)" "$(ratios "$2" 6 | median)"
}

# record_batches KIND: for the table of targets.
record_batches() {
    local value least most
    read -r value least most < <(values "$1" herald 4 | awk '{ print $1 / 1e6 }' | spread)
    record batch_tls_mps "$value" M/s "$least" "$most"
    record_ratio batch_tls_of_bytes "$1"
}

beside_the_constant() {
    local kind round name
    head -c 640 /dev/zero | tr '\0' s >"$scratch/body"
    awk -v n="$known_numbers" 'BEGIN { for (i = 0; i < n; i++) printf "/cps/%.0f/ppts\n", 13000000000 + i }' \
        >"$scratch/uris"
    start constant "$constant" 1 0 "$scratch/constant.pem"
    start herald "$herald" serve --dev --data "$scratch/data" --durability memory --memory "$memory" \
        --retention "$retention" --reactors 1
    for kind in store pipelined h2-store batch-http1 batch-http2 list inline; do
        for ((round = 1; round <= rounds; round++)); do
            # So that lists have real placements among the cover.
            case $kind in list | inline) turn herald prime >"$scratch/primed" ;; esac
            for name in herald constant; do
                measure "$kind" "$round" "$name"
            done
        done
    done
    stop constant
    stop herald

    echo "### Over TLS, one reactor on one core"
    echo
    echo "| request | herald, req/s | its processor share | bytes/answer | constant, req/s | its processor share | bytes/answer | ratio | ratio per processor second |"
    echo "|---|--:|--:|--:|--:|--:|--:|--:|--:|"
    row "POST of 640 bytes, HTTP/1.1" store
    row "POST of 640 bytes, HTTP/1.1, $pipelined pipelined" pipelined
    row "POST of 640 bytes, HTTP/2, $h2_streams streams" h2-store
    row "GET of a list, HTTP/1.1" list
    row "GET of a list with bodies, HTTP/1.1" inline
    echo
    echo "### Batches of $batch_records over TLS, one client core and one server core"
    echo
    echo "| request | herald, placements/s | MB/s | its processor share | the same bytes read and dropped, placements/s | MB/s | its processor share | ratio | ratio per processor second |"
    echo "|---|--:|--:|--:|--:|--:|--:|--:|--:|"
    batch_row "POST of a batch, HTTP/1.1" batch-http1
    batch_row "POST of a batch, HTTP/2" batch-http2
    record_batches batch-http1
    record_ratio tls_h1_pipelined_ratio pipelined
    record_ratio tls_h2_ratio h2-store
}

# mac_row TITLE KIND: the program with MACs beside the constant.
mac_row() {
    local name
    printf '| %s |' "$1"
    for name in herald constant; do
        printf ' %.0f | %.0f %% |' "$(values "$2" "$name" 4 | median)" \
            "$(values "$2" "$name" 5 | median | awk '{ print 100 * $1 }')"
    done
    printf ' %.2f | %.2f |\n' "$(ratios "$2" 4 | median)" "$(ratios "$2" 6 | median)"
}

with_macs() {
    local kind round name
    "$herald" keygen --out "$scratch/signer" --authority "$scratch/authority" --spc 1234 >"$scratch/keygen.out"
    start constant "$constant" 1 0 "$scratch/constant.pem"
    start herald "$herald" serve --dev --data "$scratch/admitting" --durability memory --memory "$memory" \
        --retention "$retention" --reactors 1 --plugins "$target/release/examples/librate_voprf.so" \
        --admission rate-voprf --token-name "$token_name" --token-roots "$scratch/authority/roots.pem" \
        --token-classes "handset=4,gateway=$token_stores:1000000" --redemption-share 100
    for kind in mac-http1 mac-http2; do
        for ((round = 1; round <= rounds; round++)); do
            for name in herald constant; do
                measure "$kind" "$round" "$name"
            done
        done
    done
    stop constant
    stop herald

    echo
    echo "### With an admission MAC in each store, $token_stores stores of a token, one reactor on one core"
    echo
    echo "By herald-load on both sides; the constant has the same stores without MACs."
    echo
    echo "| request | herald, req/s | its processor share | constant, req/s | its processor share | ratio | ratio per processor second |"
    echo "|---|--:|--:|--:|--:|--:|--:|"
    mac_row "POST of 640 bytes, HTTP/1.1, $pipelined pipelined" mac-http1
    mac_row "POST of 640 bytes, HTTP/2, $h2_streams streams" mac-http2
    record_ratio tls_h1_pipelined_mac_ratio mac-http1
    record_ratio tls_h2_mac_ratio mac-http2
}

# have_peers: Node, Redis and its benchmark are here, installed if they can be.
have_peers() {
    has node && has redis-server && has redis-benchmark && return
    has_apt && apt_install nodejs redis-server redis-tools >&2
}

start_redis() {
    local waited=0
    redis_port=$((20000 + RANDOM % 10000))
    taskset -c "$server_core" redis-server --port "$redis_port" --bind 127.0.0.1 --save '' --appendonly no \
        --dir "$scratch" >"$scratch/redis.out" 2>&1 &
    pid_of[redis]=$!
    until redis-cli -p "$redis_port" ping >/dev/null 2>&1; do
        waited=$((waited + 1))
        [ "$waited" -lt 100 ] || { cat "$scratch/redis.out" >&2; fail "redis-server does not answer"; }
        sleep 0.1
    done
}

# setex: stores per second of Redis alone, of bodies of 600 bytes, by its own benchmark.
setex() {
    local value
    value=$(head -c 600 /dev/zero | tr '\0' s)
    taskset -c "$load_core" redis-benchmark -p "$redis_port" -c "$connections" -P "$setex_pipelined" \
        -n $((seconds * 200000)) -r "$numbers" --csv SETEX __rand_int__ 60 "$value" | awk -F'","' 'END { print $2 }'
}

# peer_row TITLE FILE: stores per second of a peer, one a line in FILE, and what the program's are over them.
peer_row() {
    local value least most
    read -r value least most < <(spread <"$2")
    printf '| %s | %.0f (%.0f to %.0f) | %.1f | %.1f |\n' "$1" "$value" "$least" "$most" \
        "$(values h2-store herald 4 | median | awk -v peer="$value" '{ print $1 / peer }')" \
        "$(values pipelined herald 4 | median | awk -v peer="$value" '{ print $1 / peer }')"
}

# record_over ROW KIND FILE: for the table of targets, the program's rate over the peer's.
record_over() {
    local value least most peer peer_least peer_most
    read -r value least most < <(values "$2" herald 4 | spread)
    read -r peer peer_least peer_most < <(spread <"$3")
    record "$1" "$(ratio "$value" "$peer")" x "$(ratio "$least" "$peer_most")" "$(ratio "$most" "$peer_least")"
}

ratio() { awk -v above="$1" -v below="$2" 'BEGIN { print above / below }'; }

beside_others() {
    local round value least most
    start_redis
    start node node benches/peer-node/cps.js "$redis_port"
    for ((round = 1; round <= rounds; round++)); do
        measure store "$round" node
        complain "http: SETEX to Redis, round $round of $rounds"
        setex >>"$scratch/setex"
    done
    stop node
    stop redis
    values store node 4 >"$scratch/node"
    echo "$node_given" >"$scratch/given"

    echo
    echo "### Stores beside other services"
    echo
    echo "| service, without TLS | stores/s: median (least to most) | herald on HTTP/2, times that | herald pipelined, times that |"
    echo "|---|--:|--:|--:|"
    peer_row "CPS on Node $(node --version) and Redis, HTTP/1.1" "$scratch/node"
    peer_row "the one the target was set against, as given" "$scratch/given"
    peer_row "Redis, SETEX of 600 bytes, $connections connections, $setex_pipelined pipelined" "$scratch/setex"
    record_over node_h2_ratio h2-store "$scratch/node"
    record_over node_pipelined_ratio pipelined "$scratch/node"
    read -r value least most < <(awk '{ print $1 / 1e6 }' "$scratch/setex" | spread)
    record redis_setex_mps "$value" M/s "$least" "$most"
}

beside_the_constant
with_macs
if have_peers; then
    beside_others
elif strict; then
    fail "node, redis-server and redis-benchmark are not installed (Debian: nodejs, redis-server, redis-tools)"
else
    complain "skipped aloud: no Node or no Redis (Debian: nodejs, redis-server, redis-tools), so no figures beside them"
fi
