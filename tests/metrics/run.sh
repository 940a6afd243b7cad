#!/usr/bin/env bash
# What an engine serves to Prometheus passes Prometheus' own check, and says what happened. The check finds a mistake that
# is made on purpose.
#
# The program must be built. promtool comes out of the Debian package prometheus, of which nothing else is installed, into
# the user's cache, once.
set -euo pipefail
# shellcheck source-path=SCRIPTDIR source=../../scripts/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/../../scripts/lib.sh"
cd "$root"
herald=$target/debug/herald
cache=${XDG_CACHE_HOME:-$HOME/.cache}/herald/promtool

fail() {
    complain "tests/metrics: $*"
    exit 1
}

# Says where promtool is, unpacked if it must be.
find_promtool() {
    if has promtool; then
        command -v promtool
        return
    fi
    if [ ! -x "$cache/usr/bin/promtool" ]; then
        has_apt || return
        rm -rf "$cache"
        mkdir -p "$cache/package"
        (cd "$cache/package" && apt-get download -qq prometheus >/dev/null) || return
        dpkg-deb -x "$cache"/package/prometheus_*.deb "$cache" || return
        # Only the tool is kept.
        rm -rf "$cache/package" "$cache/usr/bin/prometheus"
    fi
    printf '%s\n' "$cache/usr/bin/promtool"
}

[ -x "$herald" ] || fail "$herald is not there; build it with: cargo build -p herald"
if ! promtool=$(find_promtool); then
    strict && fail "promtool is not to be had: neither installed nor in a package"
    say "tests/metrics: skipped aloud, promtool is not to be had"
    exit 0
fi

scratch=$(mktemp -d)
server=
cleanup() {
    if [ -n "$server" ]; then
        kill "$server" 2>/dev/null || true
        wait "$server" 2>/dev/null || true
    fi
    rm -rf "$scratch"
}
trap cleanup EXIT

: >"$scratch/log"
"$herald" serve --dev --listen 127.0.0.1:0 --unix-socket "$scratch/cps.sock" --metrics-listen 127.0.0.1:0 \
    --memory 16MiB --data "$scratch/data" >/dev/null 2>"$scratch/log" &
server=$!
url=$(said "$scratch/log" 's/^info: metrics are served at //p' "$server") ||
    fail "the program says no address of metrics: $(cat "$scratch/log")"

head -c 640 /dev/zero >"$scratch/good"
head -c 641 /dev/zero >"$scratch/odd"
"$herald" store --cps "unix:$scratch/cps.sock" --number 12225550100 "$scratch/good" >/dev/null
if "$herald" store --cps "unix:$scratch/cps.sock" --number 12225550100 "$scratch/odd" >/dev/null 2>&1; then
    fail "641 bytes were stored"
fi
curl -fsS --noproxy '*' "$url" >"$scratch/metrics"
for line in 'herald_stored_total 1' 'herald_not_stored_total{reason="body_size"} 1' 'herald_healthy 1'; do
    grep -qxF "$line" "$scratch/metrics" || fail "no line: $line"
done
if grep -q 2225550100 "$scratch/metrics"; then
    fail "a telephone number is among the metrics"
fi
"$promtool" check metrics <"$scratch/metrics" || fail "promtool finds something"
# A counter without _total, and a unit that is none of the base units.
printf '# HELP herald_bad_ms A mistake.\n# TYPE herald_bad_ms counter\nherald_bad_ms 1\n' >"$scratch/bad"
if "$promtool" check metrics <"$scratch/bad" >/dev/null 2>&1; then
    fail "promtool finds no mistake in what is wrong on purpose"
fi
say "tests/metrics: $(grep -vc '^#' "$scratch/metrics") values, and promtool finds nothing"
