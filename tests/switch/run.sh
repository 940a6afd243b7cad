#!/usr/bin/env bash
# A real call path: SIPp -> Kamailio that places -> Kamailio as gateway (numbers alone) -> Kamailio that checks -> SIPp,
# with two Call Placement Services. CALLS calls (300), a tenth of them with a forged number, RATE a second (60). Then a
# service is killed and started again while calls go on, a service hangs while callers give up, files are reloaded, and
# the memory of the switches is looked at. At last, ROUNDS times (1), calls with Herald and in turn without it, on the same
# switches without its functions: for the delay and the speed. Figures need PROFILE=release: debug says nothing of either.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source-path=SCRIPTDIR source=../../scripts/lib.sh
. "$here/../../scripts/lib.sh"
cd "$root"

calls=${CALLS:-300} rate=${RATE:-60} rounds=${ROUNDS:-1}
# When it is asked how many calls a second there can be: how many at a time, and how many in all.
together=16 hurried=$((calls < 3000 ? calls : 3000))
# The sum of what the examples allow for placing and for checking, and as much again for all else that takes time here.
deadlines_ms=2000 longest_ms=4000
# What memory may grow by, however many calls there were: lists that are made once, and the arenas of malloc.
leak_bytes=16384 growth_bytes=$((4 << 20))
modules=$root/engine/integrations/kamailio
profile=${PROFILE:-debug}
herald=$(realpath "$target")/$profile/herald

work=$(mktemp -d)
# The same folder, as the switches have it: every text that names a file of theirs is longer than 512 bytes.
long_work=$work$(printf '/.%.0s' {1..300})
processes=()
finish() {
    local pid
    # Also those that are stopped.
    for pid in "${processes[@]}"; do kill "$pid" 2>/dev/null || true; done
    for pid in "${processes[@]}"; do kill -CONT "$pid" 2>/dev/null || true; done
    wait 2>/dev/null || true
    [ -n "${KEEP:-}" ] || rm -rf "$work"
}
trap finish EXIT

fail() {
    complain "tests/switch: $*"
    complain "logs are in $work (set KEEP=1 to have them kept)"
    exit 1
}

# ---- The module ----
if ! { has kamailio && has sipp && has dpkg-source; }; then
    apt_install kamailio kamailio-extra-modules sip-tester dpkg-dev gcc make || {
        complain "skipped: tests/switch needs kamailio, sipp and dpkg-source"
        if strict; then exit 2; else exit 0; fi
    }
fi
[ "$profile" = release ] && release=--release
cargo build --quiet ${release:+"$release"} -p herald -p herald-capi
mkdir "$work/lib"
for name in libherald.so libherald.so.1; do ln -s "$(realpath "$target")/$profile/libherald.so" "$work/lib/$name"; done
export LD_LIBRARY_PATH=$work/lib
HERALD_CFLAGS="-I$root/include" HERALD_LIBS="-L$work/lib -lherald" "$modules/build.sh" "$work" >"$work/build.log" 2>&1 ||
    fail "the module cannot be built: $(tail -n 5 "$work/build.log")"

# ---- Keys, certificates, services ----
alices=()
for index in $(seq -w 0 19); do alices+=(--number "120255501$index"); done
"$herald" keygen --out "$work/alice" --authority "$work/authority" "${alices[@]}" >/dev/null
"$herald" keygen --out "$work/bob" --authority "$work/authority" --number 12225550123 >/dev/null

# serve NAME [OPTION...]: starts a service; its URL goes to $work/NAME.url, its authority to $work/NAME.ca.
serve() {
    local name=$1 line
    shift
    : >"$work/$name.out"
    "$herald" serve --dev --memory 64MiB --durability memory --retention 5s "$@" \
        >"$work/$name.out" 2>"$work/$name.log" &
    processes+=($!)
    printf '%s' $! >"$work/$name.pid"
    line=$(said "$work/$name.out" 's/^listening \(https:.* ca=\)/\1/p' $!) ||
        fail "service $name does not start: $(cat "$work/$name.log")"
    printf '%s' "${line%% ca=*}" >"$work/$name.url"
    cp "${line#* ca=}" "$work/$name.ca"
}
serve one --listen 127.0.0.1:0 --data "$work/one"
serve two --listen 127.0.0.1:0 --data "$work/two"
cat "$work/one.ca" "$work/two.ca" >"$work/cps-authorities.pem"
cat >"$work/directory.toml" <<TOML
[[destination]]
numbers = ["1222555xxxx"]
cps = ["$(cat "$work/one.url")"]
keys = ["bob/sealing.pub.jwk"]

[[destination]]
numbers = ["1222556xxxx", "1222557xxxx"]
cps = ["$(cat "$work/two.url")"]
keys = ["bob/sealing.pub.jwk"]
TOML

# ---- Kamailio ----
# Ports of the phone that answers, of the three switches, and of the same three without Herald.
mapfile -t ports < <(python3 - <<'PY'
import socket
taken = [socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(7)]
for one in taken:
    one.bind(("127.0.0.1", 0))
    print(one.getsockname()[1])
PY
)
# switch SET ROLE FIRST [OPTION...]: starts a Kamailio with the example of this role; FIRST is the set's first port. With
# onward=PORT the originating one sends its calls there instead of to the gateway, with attestation=TEXT it attests that;
# change=COMMANDS are more of sed's.
switch() {
    local role=$2 first=$3 folder=$work/$1/$2
    shift 3
    rm -rf "$folder"
    mkdir -p "$folder"
    sed -e "s#/etc/herald#$long_work#g" -e "s#\"herald.so\"#\"$work/herald.so\"#" -e "s/:5060/:${ports[first]}/" \
        -e "s/:5070/:${onward:-${ports[first + 1]}}/" -e "s/:5080/:${ports[first + 2]}/" -e "s/:5090/:${ports[0]}/" \
        -e "s/\"A\", \"PLACED\"/\"${attestation-A}\", \"PLACED\"/" \
        -e '/"ctl.so"/a loadmodule "kex.so"' -e "${change:-}" "$modules/examples/$role.cfg" >"$folder/cfg"
    kamailio -DD -E -f "$folder/cfg" -P "$folder/pid" -m 256 -M 16 -Y "$folder" "$@" >"$folder/log" 2>&1 &
    processes+=($!)
}
# answers SET ROLE: until this Kamailio does.
answers() {
    for _ in $(seq 200); do
        ! ask "$1/$2" core.uptime >/dev/null || return 0
        sleep 0.05
    done
    fail "Kamailio ($1, $2) does not start: $(tail -n 5 "$work/$1/$2/log")"
}
stop_switch() {
    local pid
    pid=$(cat "$work/$1/$2/pid")
    kill "$pid"
    while kill -0 "$pid" 2>/dev/null; do sleep 0.05; done
}

# ask SET/ROLE COMMAND [ARGUMENT...]: what Kamailio answers.
ask() { kamcmd -s "unix:$work/$1/kamailio_ctl" "${@:2}" 2>&1; }
# counter ROLE NAME: one of the module's statistics.
counter() { ask "with/$1" cnt.get herald "$2" | tr -dc 0-9-; }
# expect ROLE NAME VALUE: it becomes this within five seconds.
expect() {
    for _ in $(seq 100); do
        [ "$(counter "$1" "$2")" != "$3" ] || return 0
        sleep 0.05
    done
    fail "the $1 switch says $2=$(counter "$1" "$2") instead of $3"
}

# ---- Calls ----
# Who calls whom, and with which code a forged call is refused: in turn a number that others call all the time, and one
# that nobody else calls.
python3 - "$work" <<'PY'
import sys
work = sys.argv[1]
def write(name, rows):
    with open(f"{work}/{name}.csv", "w") as file:
        file.write("SEQUENTIAL\n" + "".join(";".join(row) + "\n" for row in rows))
alice = [f"120255501{index:02d}" for index in range(20)] * 20
forger = [f"120255502{index:02d}" for index in range(20)] * 20
write("genuine", [(alice[index], f"{('1222555', '1222556')[index % 2]}{index:04d}") for index in range(400)])
write("of-one", [(alice[index], f"1222555{index:04d}") for index in range(400)])
write("silent", [(alice[index], f"1222557{index + 3000:04d}") for index in range(5)])
write("direct", [(alice[index], f"1222557{index + 2000:04d}") for index in range(20)])
write("crowd", [(alice[index], f"1222557{index + 1000:04d}") for index in range(400)])
write("busy", [(alice[index], f"1222555900{index}") for index in range(10)])
write("forged", [(forger[index], f"1222555900{index // 2 % 10}", "403") if index % 2 else
                 (forger[index], f"1222557{index:04d}", "428") for index in range(400)])
PY
# phones SCENARIO WHO PORT COUNT RATE VERDICT NAME [AT_A_TIME [OPTION...]]: SIPp's calls; its exit code says whether all
# went as expected.
phones() {
    sed "s#VERDICT\"#$6\"#" "tests/switch/$1.xml" >"$work/$7.xml"
    # One socket for all, on a port the kernel chooses.
    (cd "$work" && exec sipp 127.0.0.1:"$3" -sf "$7.xml" -inf "$2.csv" -m "$4" -r "$5" -l "${8:-10000}" -i 127.0.0.1 \
        -nostdin -trace_shortmsg -shortmessage_file "$7.messages" -trace_err -error_file "$7.errors" -trace_logs \
        -log_file "$7.logs" \
        -timeout $(($4 / $5 + 60)) "${@:9}" >"$7.out" 2>&1)
}
# why NAME: the last of what SIPp says of these calls.
why() { tail -n 3 "$work/$1.errors" 2>/dev/null || true; }
# count PATTERN NAME: lines of the log of these calls that have it.
count() { grep -c -- "$1" "$work/$2.logs" || true; }
figures() { python3 "$root/tests/switch/figures.py" "$1" "$work" "${@:2}"; }
# in_time NAME: no call waited longer than the deadlines allow.
in_time() {
    local longest
    longest=$(figures longest "$1")
    [ "$longest" -le "$longest_ms" ] || fail "a call waited $longest ms, where the deadlines add up to $deadlines_ms ms"
}

# ---- Memory ----
# engine_of ROLE: the process that owns the engine.
engine_of() { ask "with/$1" core.psx | awk '$1 == "PID:" { pid = $2 } /Herald/ { print pid }'; }
# memory ROLE: bytes in use of shared memory, of what Kamailio's processes have each, and of the engine's process, resident
# and its own: that has the engine's heap and its stored placements.
memory() {
    local shared private resident
    shared=$(ask "with/$1" core.shmmem | awk '$1 == "used:" { print $2 }')
    private=$(ask "with/$1" pkg.stats | awk '$1 == "used:" { sum += $2 } END { print sum }')
    resident=$(awk '/^RssAnon/ { print $2 * 1024 }' "/proc/$(engine_of "$1")/status")
    printf '%s %s %s\n' "$shared" "$private" "$resident"
}
# at_rest: until no transaction is kept any more.
at_rest() {
    local role
    for role in "${roles[@]}"; do
        for _ in $(seq 300); do
            [ "$(ask "with/$role" tm.stats | awk '$1 == "current:" { print $2 }')" != 0 ] || break
            sleep 0.1
        done
    done
}

roles=(originating gateway terminating)
(cd "$work" && exec sipp -sf "$root/tests/switch/uas.xml" -i 127.0.0.1 -p "${ports[0]}" -nostdin >uas.out 2>&1) &
processes+=($!)
for role in "${roles[@]}"; do
    switch with "$role" 1
    switch without "$role" 4 -A WITHOUT_HERALD
done
for role in "${roles[@]}"; do
    answers with "$role"
    answers without "$role"
done
phones caller genuine "${ports[1]}" 60 60 accept first || fail "the first calls are not accepted: $(why first)"
at_rest
for role in "${roles[@]}"; do memory "$role" >"$work/$role.before"; done

# ---- All calls, a tenth of them forged ----
genuine=$((calls - calls / 10)) forged=$((calls / 10)) lasts_s=$((calls / rate))
say "switch: $calls calls, $rate a second, a tenth of them forged"
began=$SECONDS
# The numbers that others call: each every two seconds, from before the first forged call until after the last.
phones caller busy "${ports[1]}" $(((lasts_s + 6) * 5)) 5 accept busy &
busy=$!
sleep 3
phones forger forged "${ports[2]}" "$forged" $(((rate + 9) / 10)) "" forged &
forging=$!
phones caller genuine "${ports[1]}" "$genuine" $((rate - rate / 10)) accept genuine &
calling=$!
# In the middle of it the files are read again.
sleep $((lasts_s / 2))
for role in "${roles[@]}"; do ask "with/$role" herald.reload >/dev/null; done
wait "$calling" || fail "a genuine call was not accepted: $(why genuine)"
wait "$forging" || fail "a forged call was not refused: $(why forged)"
wait "$busy" || fail "a genuine call to a busy number was not accepted: $(why busy)"
accepted=$(count 'accept identity=eyJ' genuine)
[ "$accepted" = "$genuine" ] || fail "$accepted of $genuine genuine calls came with a verdict and their PASSporT"
for code in 403 428; do
    right=$(count "^$code for $code" forged)
    [ "$right" = $((forged / 2)) ] || fail "$right of $((forged / 2)) forged calls were refused with $code"
done
all=$((60 + genuine + $(count accept busy)))
expect originating placed "$all"
expect terminating accepted "$all"
expect terminating rejected $((forged / 2))
expect terminating none $((forged / 2))
for role in "${roles[@]}"; do
    expect "$role" waiting 0
    expect "$role" reloaded 1
done
say "switch: all $genuine genuine calls accepted with their PASSporTs, all $forged forged ones refused, half with 403, half" \
    "with 428, in $((SECONDS - began)) s; $(figures line genuine)"

# ---- A service is killed ----
phones caller genuine "${ports[1]}" $((calls / 2)) $((rate / 2)) "accept\|unverified" interrupted &
calling=$!
sleep $((lasts_s / 4 + 1))
kill -9 "$(cat "$work/one.pid")"
wait "$(cat "$work/one.pid")" 2>/dev/null || true
sleep $((lasts_s / 4 + 1))
serve one --listen "$(sed 's#.*//\([^/]*\).*#\1#' "$work/one.url")" --data "$work/one"
wait "$calling" || fail "a call was lost while a service was away: $(why interrupted)"
# A call that could not be placed just before the service is back finds a service with nothing for it: it is refused.
refused=$(count refused interrupted)
[ "$refused" -le $((calls / 20)) ] || fail "$refused calls were refused as unproven: that is more than at the edges"
unverified=$(count unverified interrupted)
[ "$unverified" -gt 0 ] || fail "no call was unverified while a service was away: it was not away"
in_time interrupted
say "switch: a service was killed and started again: $(count accept interrupted) calls accepted, $unverified unverified," \
    "$refused refused at the moment of return, none lost; $(figures line interrupted)"

# ---- A service hangs ----
placed=$(($(counter originating placed) + $(counter originating not_placed)))
kill -STOP "$(cat "$work/one.pid")"
phones quitter of-one "${ports[1]}" 20 20 "" quit 20 -nr || fail "a call could not be cancelled while it waited: $(why quit)"
phones caller of-one "${ports[1]}" 20 20 unverified hung || fail "a call was lost while a service hung: $(why hung)"
kill -CONT "$(cat "$work/one.pid")"
in_time quit
in_time hung
for role in "${roles[@]}"; do expect "$role" waiting 0; done
# Each call once, though its INVITE came twice.
expect originating late 20
[ $(($(counter originating placed) + $(counter originating not_placed))) = $((placed + 40)) ] ||
    fail "a call whose INVITE came twice was placed twice"
phones caller genuine "${ports[1]}" 20 20 "accept\|unverified" after || fail "a call was lost after a service hung: $(why after)"
say "switch: a service hung: 20 calls given up meanwhile, 20 went on unverified; $(figures line hung)"

# ---- Files that are wrong ----
mv "$work/directory.toml" "$work/directory.kept"
echo '[[destination' >"$work/directory.toml"
ask with/originating herald.reload >/dev/null
expect originating not_reloaded 1
grep -q "not reloaded: .*$long_work/directory.toml" "$work/with/originating/log" ||
    fail "a reload does not say which table is wrong, or leaves the end of its text out"
mv "$work/directory.kept" "$work/directory.toml"
mv "$work/alice/signing.pem" "$work/signing.kept"
ask with/terminating herald.reload >/dev/null
expect terminating not_reloaded 1
grep -q "not reloaded: $long_work/alice/signing.pem: No such file" "$work/with/terminating/log" ||
    fail "a reload does not say which certificate could not be read"
mv "$work/signing.kept" "$work/alice/signing.pem"
ask with/terminating herald.reload >/dev/null
expect terminating reloaded 2
phones caller genuine "${ports[1]}" 20 20 accept kept || fail "a reload that failed did not leave all as it was: $(why kept)"

# ---- Memory ----
busy_memory=$(memory originating | cut -d' ' -f1)
at_rest
for role in "${roles[@]}"; do memory "$role" | paste -d' ' "$work/$role.before" - >"$work/$role.memory"; done
for role in "${roles[@]}"; do
    read -r shared private resident shared_now private_now resident_now <"$work/$role.memory"
    say "switch: memory, $role: shared $((shared_now - shared)) bytes more, private $((private_now - private))," \
        "the engine's heap $(((resident_now - resident) / 1024)) KiB"
    if [ $((shared_now - shared)) -gt "$leak_bytes" ] || [ $((private_now - private)) -gt "$leak_bytes" ] ||
        [ $((resident_now - resident)) -gt "$growth_bytes" ]; then
        fail "memory of the $role switch grows with its calls"
    fi
done
# What calls take is seen while they last.
[ "$busy_memory" -gt $((shared_now + leak_bytes)) ] || fail "memory of $busy_memory bytes under way: it is not measured"

# ---- In band as well ----
stop_switch with originating
switch with originating 1 -A IN_BAND
answers with originating
phones caller genuine "${ports[1]}" 20 20 accept in-band || fail "a call with its PASSporT in band was not accepted: $(why in-band)"
expect gateway placed 20
say "switch: 20 PASSporTs that came in band were stored by the gateway"
stop_switch with originating
onward=${ports[3]} switch with originating 1 -A IN_BAND
answers with originating
phones caller direct "${ports[1]}" 20 20 accept direct || fail "a call without a gateway was not accepted: $(why direct)"
[ "$(count 'accept identity=eyJ' direct)" = 20 ] || fail "a PASSporT that came in band is not in the call any more"
say "switch: 20 PASSporTs that came in band all the way were accepted as they are"
stop_switch with originating
attestation=AB switch with originating 1
answers with originating
phones caller silent "${ports[1]}" 5 5 accept refused || fail "a call that cannot be placed got no answer: $(why refused)"
expect originating refused 5
[ "$(count refused refused)" = 5 ] || fail "a call with an attestation that there is not was placed"
stop_switch with originating
switch with originating 1
answers with originating

# ---- Header fields of more than Kamailio's own 8 KiB ----
# Five PASSporTs of 2 KiB, since each names its certificate twice. The example's room for text takes them all.
x5u=https://certs.example.net/$(printf 'x%.0s' {1..700})/alice.pem
# found NAME NUMBER IDENTITY [COMMANDS]: a call to this number, which they wait for, is accepted, and what came with it
# begins with IDENTITY; with the example changed by sed's COMMANDS.
found() {
    stop_switch with terminating
    change="s#https://certs.example.net/alice.pem#$x5u#;${4:-}" switch with terminating 1
    answers with terminating
    for _ in $(seq 5); do
        "$herald" place --cps "$(cat "$work/one.url")" --ca "$work/one.ca" --from 12025550100 --to "$2" \
            --key "$work/alice/signing.key" --x5u "$x5u" --recipient "$work/bob/sealing.pub.jwk" >/dev/null
    done
    printf 'SEQUENTIAL\n12025550100;%s\n' "$2" >"$work/$1.csv"
    phones caller "$1" "${ports[3]}" 1 1 accept "$1" || fail "a call with five PASSporTs was not accepted: $(why "$1")"
    [ "$(count "accept identity=$3\$" "$1")" = 1 ] || fail "$1: with a call came $(cat "$work/$1.logs")"
}
found long 12225558000 eyJ
found longer 12225558001 '' '/^pv_buffer_size=/d'
grep -q ' 5 Identity header fields are left out' "$work/with/terminating/log" ||
    fail "header fields that find no room are left out without a word"
say "switch: 10 KiB of Identity header fields were in a call, and left out aloud without pv_buffer_size"
stop_switch with terminating
switch with terminating 1
answers with terminating

# ---- More calls than may wait ----
# To numbers that nobody placed a PASSporT for: who waits is refused with 428, who cannot wait goes on at once.
engine=$(engine_of terminating)
kill -STOP "$engine"
phones caller crowd "${ports[3]}" 400 400 unverified crowd 10000 -recv_timeout 20000 &
calling=$!
limit=$((SECONDS + 10))
while [ "$SECONDS" -lt "$limit" ]; do
    [ "$(counter terminating refused)" = 0 ] || [ "$(count unverified crowd)" != "$(counter terminating refused)" ] || break
    sleep 0.05
done
kill -CONT "$engine"
wait "$calling" || fail "a call was lost while too many waited: $(why crowd)"
unverified=$(count unverified crowd)
[ "$unverified" -gt 0 ] || fail "no call found the engine's process without room: too few were tried"
expect terminating refused "$unverified"
[ $((unverified + $(count refused crowd))) = 400 ] || fail "$unverified of 400 calls went on, $(count refused crowd) waited"
say "switch: $unverified of 400 calls went on at once, since too many waited"

# ---- With and without ----
for round in $(seq "$rounds"); do
    for set in with without; do
        [ "$set" = with ] && port=${ports[1]} verdict=accept || port=${ports[4]} verdict=unverified
        phones caller genuine "$port" $((rate * 3)) "$rate" "$verdict" "delay-$set-$round" ||
            fail "a call $set Herald was lost: $(why "delay-$set-$round")"
        phones caller genuine "$port" "$hurried" 5000 "$verdict" "speed-$set-$round" "$together" ||
            fail "a call $set Herald was lost: $(why "speed-$set-$round")"
    done
done
say "switch: $profile build, the same switches, $together calls at a time for the speed"
figures table "$rounds" "$rate"
for role in "${roles[@]}"; do
    stop_switch with "$role"
    stop_switch without "$role"
done
say "tests/switch: all calls went as they should"
