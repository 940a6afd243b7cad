#!/usr/bin/env bash
# A real call path: SIPp -> Kamailio that places -> Kamailio as gateway (numbers alone) -> Kamailio that checks -> SIPp,
# with two Call Placement Services. CALLS calls (300), a tenth of them with a forged number, RATE a second (60).
# Then a service is killed and started again while calls go on. Then the same path without Herald, to compare.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source-path=SCRIPTDIR source=../../scripts/lib.sh
. "$here/../../scripts/lib.sh"
cd "$root"

calls=${CALLS:-300} rate=${RATE:-60}
modules=$root/engine/integrations/kamailio
profile=${PROFILE:-debug}
herald=$(realpath "$target")/$profile/herald

work=$(mktemp -d)
processes=()
finish() {
    local pid
    for pid in "${processes[@]}"; do kill "$pid" 2>/dev/null || true; done
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
for name in libherald.so libherald.so.0; do ln -s "$(realpath "$target")/$profile/libherald.so" "$work/lib/$name"; done
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
    local name=$1
    shift
    "$herald" serve --dev --memory 64MiB --durability memory --retention 5s "$@" \
        >"$work/$name.out" 2>"$work/$name.log" &
    processes+=($!)
    printf '%s' $! >"$work/$name.pid"
    for _ in $(seq 200); do
        [ -s "$work/$name.out" ] && break
        sleep 0.05
    done
    [ -s "$work/$name.out" ] || fail "service $name does not start: $(cat "$work/$name.log")"
    sed -n 's/.*\(https:[^ ]*\).*/\1/p;q' "$work/$name.out" >"$work/$name.url"
    cp "$(sed -n 's/.*ca=\([^ ]*\).*/\1/p;q' "$work/$name.out")" "$work/$name.ca"
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
mapfile -t ports < <(python3 - <<'PY'
import socket
taken = [socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(6)]
for one in taken:
    one.bind(("127.0.0.1", 0))
    print(one.getsockname()[1])
PY
)
# switch ROLE [OPTION...]: starts a Kamailio with the example of this role.
switch() {
    local role=$1
    shift
    sed -e "s#/etc/herald#$work#g" -e "s#\"herald.so\"#\"$work/herald.so\"#" -e "s/:5060/:${ports[0]}/" \
        -e "s/:5070/:${ports[1]}/" -e "s/:5080/:${ports[2]}/" -e "s/:5090/:${ports[3]}/" \
        "$modules/examples/$role.cfg" >"$work/$role.cfg"
    mkdir -p "$work/$role"
    kamailio -DD -E -f "$work/$role.cfg" -P "$work/$role.pid" -m 256 -M 16 -Y "$work/$role" "$@" \
        >"$work/$role.log" 2>&1 &
    processes+=($!)
}
switches() {
    local role
    for role in originating gateway terminating; do switch "$role" "$@"; done
    sleep 1
    for role in originating gateway terminating; do
        [ -s "$work/$role.pid" ] || fail "Kamailio ($role) does not start: $(tail -n 5 "$work/$role.log")"
    done
}
stop_switches() {
    local role pid
    for role in originating gateway terminating; do
        pid=$(cat "$work/$role.pid")
        kill "$pid"
        while kill -0 "$pid" 2>/dev/null; do sleep 0.05; done
    done
}

# counter ROLE NAME: one of the module's statistics.
counter() {
    kamcmd -s "unix:$work/$1/kamailio_ctl" cnt.get herald "$2" 2>&1 | tr -dc 0-9
}

# ---- Calls ----
python3 - "$work" <<'PY'
import sys
work = sys.argv[1]
def write(name, callers, blocks):
    with open(f"{work}/{name}.csv", "w") as file:
        file.write("SEQUENTIAL\n")
        for index in range(400):
            file.write(f"{callers[index % len(callers)]};{blocks[index % 2]}{index:04d}\n")
write("genuine", [f"120255501{index:02d}" for index in range(20)], ["1222555", "1222556"])
# To numbers that others call too, and to numbers that nobody else calls.
write("forged", [f"120255502{index:02d}" for index in range(20)], ["1222555", "1222557"])
PY
# phones SCENARIO WHO PORT COUNT RATE VERDICT NAME: SIPp's calls; its exit code says whether all went as expected.
phones() {
    sed "s#VERDICT\"#$6\"#" "tests/switch/$1.xml" >"$work/$7.xml"
    # One socket for all, on a port the kernel chooses.
    (cd "$work" && sipp 127.0.0.1:"$3" -sf "$7.xml" -inf "$2.csv" -m "$4" -r "$5" -i 127.0.0.1 -nostdin -trace_rtt \
        -rtt_freq 1 -trace_err -error_file "$7.errors" -trace_logs -log_file "$7.logs" -timeout 180 \
        >"$7.out" 2>&1)
}
# figures NAME: median and 99th percentile of the time to the answer, and calls a second.
figures() {
    python3 - "$work" "$1" <<'PY'
import glob, sys
work, name = sys.argv[1:]
times = []
for path in glob.glob(f"{work}/{name}_*_rtt.csv"):
    for line in open(path).read().splitlines()[1:]:
        times.append(float(line.split(";")[1]))
times.sort()
at = lambda share: times[min(len(times) - 1, int(share * len(times)))]
print(f"{len(times)} answers, {at(0.5):.1f} ms at the median, {at(0.99):.1f} ms at the 99th percentile")
PY
}

(cd "$work" && exec sipp -sf "$root/tests/switch/uas.xml" -i 127.0.0.1 -p "${ports[3]}" -nostdin >uas.out 2>&1) &
processes+=($!)

say "switch: $calls calls, $rate a second, a tenth of them forged"
switches
phones forger forged "${ports[1]}" $((calls / 10)) $((rate / 10)) "" forged &
forging=$!
began=$SECONDS
phones caller genuine "${ports[0]}" $((calls - calls / 10)) $((rate - rate / 10)) "accept" genuine ||
    fail "a genuine call was not accepted: $(tail -n 3 "$work/genuine.errors" 2>/dev/null)"
wait "$forging" || fail "a forged call was not refused: $(tail -n 3 "$work/forged.errors" 2>/dev/null)"
say "switch: all genuine calls accepted, all forged ones refused, in $((SECONDS - began)) s:" \
    "$(grep -c 403 "$work/forged.logs") with 403, $(grep -c 428 "$work/forged.logs") with 428"
say "switch: genuine, $(figures genuine)"
genuine=$((calls - calls / 10))
[ "$(grep -c refused "$work/genuine.logs" || true)" = 0 ] || fail "a genuine call was refused"
[ "$(counter originating placed)" = "$genuine" ] || fail "the switch counted $(counter originating placed) placed"
[ "$(counter terminating accepted)" = "$genuine" ] || fail "the switch counted $(counter terminating accepted) accepted"

say "switch: a service is killed and started again while calls go on"
phones caller genuine "${ports[0]}" $((calls / 2)) $((rate / 2)) "accept\|unverified" interrupted &
calling=$!
sleep $((calls / rate / 4 + 1))
kill -9 "$(cat "$work/one.pid")"
wait "$(cat "$work/one.pid")" 2>/dev/null || true
sleep $((calls / rate / 4 + 1))
serve one --listen "$(sed 's#.*//\([^/]*\).*#\1#' "$work/one.url")" --data "$work/one"
wait "$calling" || fail "a call was lost while a service was away: $(tail -n 3 "$work/interrupted.errors" 2>/dev/null)"
# A call that could not be placed just before the service is back finds a service with nothing for it: it is refused.
refused=$(grep -c refused "$work/interrupted.logs" || true)
[ "$refused" -le $((calls / 20)) ] || fail "$refused calls were refused as unproven: that is more than at the edges"
unverified=$(grep -c unverified "$work/interrupted.logs" || true)
accepted=$(grep -c accept "$work/interrupted.logs" || true)
[ "$unverified" -gt 0 ] || fail "no call was unverified while a service was away: it was not away"
say "switch: $accepted accepted, $unverified unverified, $refused refused at the moment of return, none lost;" \
    "$(figures interrupted)"

stop_switches
say "switch: the same path without Herald"
switches -A WITHOUT_HERALD
phones caller genuine "${ports[0]}" $((calls - calls / 10)) $((rate - rate / 10)) ".*" plain ||
    fail "a call without Herald was lost: $(tail -n 3 "$work/plain.errors" 2>/dev/null)"
say "switch: without Herald, $(figures plain)"
stop_switches
say "tests/switch: all calls went as they should"
