#!/usr/bin/env bash
# The ENUM plugin against servers that others wrote: Knot DNS serves and signs the zones, Unbound resolves and validates
# them. All on loopback, on ports that are free, and gone at the end.
#
# Without the Debian packages knot and unbound, and without the right to install them, it is skipped aloud; with
# STRICT=1 that is a failure.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source-path=SCRIPTDIR source=../../scripts/lib.sh
. "$here/../../scripts/lib.sh"
PATH=$PATH:/usr/sbin

passed=0
failed=0
servers=()
work=$(mktemp -d)
stop() {
    local server
    for server in "${servers[@]}"; do
        kill "$server" 2>/dev/null || true
        wait "$server" 2>/dev/null || true
    done
    servers=()
}
trap 'stop; rm -rf "$work"' EXIT

need_servers() {
    has knotd && has keymgr && has unbound && return
    if has_apt && apt_install knot unbound; then
        return
    fi
    if strict; then
        complain "the test of ENUM needs the Debian packages knot and unbound, and STRICT=1"
        exit 2
    fi
    say "skipped aloud: the test of ENUM needs the Debian packages knot and unbound"
    exit 0
}

# free_port FIRST: one of the 3000 from FIRST that nobody listens on.
free_port() {
    local port
    while port=$(($1 + RANDOM % 3000)); do
        (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null || break
    done
    printf '%s' "$port"
}

# naptr NAME ORDER PREFERENCE FLAGS SERVICES REGEXP [REPLACEMENT]: a line of a master file, where backslashes are doubled.
naptr() { printf '%s NAPTR %s %s "%s" "%s" "%s" %s\n' "$1" "$2" "$3" "$4" "$5" "${6//\\/\\\\}" "${7:-.}"; }

# everybody NAME SERVICE URI: the most usual record.
everybody() { naptr "$1" 100 10 u "E2U+$2" "!^.*\$!$3!"; }

# number SIGNS: below an apex.
number() {
    local reversed
    reversed=$(rev <<<"$1")
    # shellcheck disable=SC2001 # Every sign, not the whole.
    sed 's/./&./g; s/\.$//' <<<"$reversed"
}

# shellcheck disable=SC2016 # Words of a master file.
zone_head() { printf '$ORIGIN %s\n$TTL 300\n@ SOA ns host 1 3600 600 86400 60\n@ NS ns\nns A 127.0.0.1\n' "$1"; }

write_zones() {
    {
        zone_head e164.arpa.
        everybody "$(number 12025550100)" X-stircps:https https://terminal.example/
        naptr "$(number 12025550101)" 200 10 u E2U+X-stircps:https '!^.*$!https://third.example!'
        naptr "$(number 12025550101)" 100 20 u E2U+X-stircps:https '!^.*$!https://second.example!'
        naptr "$(number 12025550101)" 100 10 u E2U+sip+X-stircps:https:ppts '!^.*$!https://first.example!'
        naptr "$(number 12025550102)" 100 10 '' '' '' pool.carrier.example.
        everybody "$(number 12025550103)" P-stircps:https https://private.example
        everybody "*.$(number 120255504)" X-stircps:https https://wildcard.example
        naptr "$(number 12025550105)" 100 10 u E2U+X-stircps:https '!^\+1202(555)(.*)$!https://\2.\1.example!'
        naptr "$(number 12025550106)" 100 10 '' '' '' "$(number 12025550106).e164.arpa."
        printf '%s CNAME %s\n' "$(number 12025550107)" "$(number 12025550100)"
        local order
        for order in {10..69}; do
            naptr "$(number 12025550108)" "$order" 10 u E2U+X-stircps:https "!^.*\$!https://a-rather-long-name-$order.example!"
        done
    } >"$work/e164.arpa.zone"
    {
        zone_head carrier.example.
        everybody pool X-stircps:https https://pool.example
    } >"$work/carrier.example.zone"
    {
        zone_head cps.example.net.
        everybody "$(number 12025550103)" P-stircps:https https://private.example
    } >"$work/cps.example.net.zone"
    {
        zone_head broken.example.
        everybody "$(number 12025550100)" X-stircps:https https://forged.example
    } >"$work/broken.example.zone"
}

start_knot() {
    local zone
    {
        printf 'server:\n  rundir: %s\n  listen: 127.0.0.1@%s\n  udp-workers: 1\n  tcp-workers: 1\n' "$work" "$1"
        printf 'database:\n  storage: %s\nlog:\n  - target: stderr\n    any: warning\n' "$work"
        printf 'policy:\n  - id: signed\n    manual: on\n    single-type-signing: on\n'
        printf 'template:\n  - id: default\n    storage: %s\n    file: %%s.zone\n    zonefile-sync: -1\n' "$work"
        printf '    journal-content: none\nzone:\n'
        printf '  - domain: %s\n' cps.example.net
        for zone in e164.arpa carrier.example broken.example; do
            printf '  - domain: %s\n    dnssec-signing: on\n    dnssec-policy: signed\n' "$zone"
        done
    } >"$work/knot.conf"
    for zone in e164.arpa carrier.example broken.example; do
        keymgr -c "$work/knot.conf" "$zone" generate algorithm=ecdsap256sha256 ksk=yes zsk=yes >/dev/null
    done
    knotd -c "$work/knot.conf" >"$work/knot.log" 2>&1 &
    servers+=($!)
}

# trust_anchor ZONE [OTHER]: that of a zone, or another zone's in its name.
trust_anchor() {
    keymgr -c "$work/knot.conf" "${2:-$1}" dnskey | sed "s/^[^ ]* /$1. IN /"
}

# start_unbound PORT KNOT SILENT [LINE]: LINE is one more of its configuration.
start_unbound() {
    local port=$1 knot=$2 silent=$3 zone
    {
        printf 'server:\n  interface: 127.0.0.1\n  port: %s\n  chroot: ""\n  username: ""\n' "$port"
        printf '  directory: "%s"\n  pidfile: "%s/unbound-%s.pid"\n  use-syslog: no\n  num-threads: 1\n' "$work" "$work" "$port"
        printf '  do-not-query-localhost: no\n  do-ip6: no\n  module-config: "validator iterator"\n  %s\n' "${4:-}"
        printf '  trust-anchor: "%s"\n' "$(trust_anchor e164.arpa)" "$(trust_anchor carrier.example)"
        printf '  trust-anchor: "%s"\n' "$(trust_anchor broken.example e164.arpa)"
        for zone in e164.arpa carrier.example cps.example.net broken.example; do
            printf 'stub-zone:\n  name: %s\n  stub-addr: 127.0.0.1@%s\n' "$zone" "$knot"
        done
        printf 'stub-zone:\n  name: silent.example\n  stub-addr: 127.0.0.1@%s\n' "$silent"
        printf 'remote-control:\n  control-enable: no\n'
    } >"$work/unbound-$port.conf"
    unbound -d -c "$work/unbound-$port.conf" >"$work/unbound-$port.log" 2>&1 &
    servers+=($!)
}

# ask SETTING... NUMBER
ask() { "$work/enum_ask" "$@"; }

# ready SETTING... NUMBER: waits until a server knows it.
ready() {
    local deadline=$((SECONDS + 15))
    until ask retry_ms=200 attempts=1 "$@" | grep -q '^https:'; do
        if [ "$SECONDS" -ge "$deadline" ]; then
            cat "$work/knot.log" "$work"/unbound-*.log >&2 || true
            complain "the DNS servers do not come up"
            exit 1
        fi
        sleep 0.1
    done
}

# check NAME EXPECTED SETTING... NUMBER: EXPECTED is a pattern over the services and how they were found, in one line.
check() {
    local name=$1 expected=$2 got
    shift 2
    got=$(ask "$@" | tr '\n' ' ') || true
    # shellcheck disable=SC2053 # A pattern.
    if [[ $got == $expected ]]; then
        passed=$((passed + 1))
        printf 'ok      %-40s %s\n' "$name" "$got"
    else
        failed=$((failed + 1))
        printf 'FAILED  %-40s %s\n        expected %s\n' "$name" "$got" "$expected"
    fi
}

need_servers
(cd "$root" && cargo build --quiet -p herald-discovery-enum --example enum_ask)
cp "$target/debug/examples/enum_ask" "$work/"

knot=$(free_port 20000)
resolver=$(free_port 23000)
tcp=$(free_port 26000)
silent=$(free_port 29000)
write_zones
start_knot "$knot"
start_unbound "$resolver" "$knot" "$silent"
start_unbound "$tcp" "$knot" "$silent" "do-udp: no"
resolved=(servers="127.0.0.1:$resolver" retry_ms=2000)
public=("${resolved[@]}" apex=e164.arpa)
verified=("${public[@]}" dnssec=require)
authority=(servers="127.0.0.1:$knot" apex=e164.arpa retry_ms=2000)
hasty=(servers="127.0.0.1:$resolver" retry_ms=200 attempts=2)
ready "${authority[@]}" 12025550100
ready "${public[@]}" 12025550100
ready servers="127.0.0.1:$tcp" apex=e164.arpa 12025550100

check "terminal" 'https://terminal.example # * references, verified with DNSSEC ' "${public[@]}" 12025550100
check "terminal, verified" 'https://terminal.example # *' "${verified[@]}" 12025550100
check "terminal, from the authority" 'https://terminal.example # 300 s: *not verified*' "${authority[@]}" 12025550100
check "the authority verifies nothing" '# * s: *DNSSEC*' "${authority[@]}" dnssec=require 12025550100
# rfc6116:5.2-3, rfc6116:3.4.2-2, rfc6116:5.2.1-3, rfc6116:3.4.3.1-1.
check "ordered" 'https://first.example https://second.example https://third.example # *' "${public[@]}" 12025550101
check "non-terminal, into another zone" 'https://pool.example # *1 references*' "${verified[@]}" 12025550102
check "a loop" '# * s: no records for it*' "${public[@]}" 12025550106
check "an alias" 'https://terminal.example # *' "${verified[@]}" 12025550107
check "back-references" 'https://0105.555.example # *' "${public[@]}" 12025550105
check "wildcard" 'https://wildcard.example # *' "${public[@]}" 12025550499
check "wildcard, verified" 'https://wildcard.example # *' "${verified[@]}" 12025550412
check "no such number" '# [56]? s: no records*' "${verified[@]}" 12025550199
check "private record, public apex" '# * s: no records*' "${public[@]}" 12025550103
check "private record, private apex" 'https://private.example # *' "${public[@]}" private_apex=cps.example.net 12025550103
check "private apex is not signed" '# * s: *DNSSEC*' "${public[@]}" private_apex=cps.example.net dnssec=require 12025550103
check "too large for UDP" 'https://a-rather-long-name-10.example https://a-rather-long-name-11.example *' "${public[@]}" 12025550108
check "too large, from the authority" 'https://a-rather-long-name-10.example *' "${authority[@]}" 12025550108
check "TCP alone" 'https://terminal.example # *' servers="127.0.0.1:$tcp" apex=e164.arpa retry_ms=2000 12025550100
check "mixed case" 'https://terminal.example # *' "${public[@]}" case=mixed 12025550100
check "SERVFAIL for a forged zone" '# 0 s: the DNS servers cannot say ' "${resolved[@]}" apex=broken.example 12025550100
check "and the next apex all the same" 'https://terminal.example # *' "${resolved[@]}" apex=broken.example,e164.arpa 12025550100
check "REFUSED by the authority" '# 0 s: the DNS servers cannot say ' servers="127.0.0.1:$knot" apex=elsewhere.example retry_ms=2000 12025550100
check "a silent zone" '# 0 s: the DNS servers do not answer ' "${hasty[@]}" apex=silent.example 12025550100
check "a server that is gone, then one" 'https://terminal.example # *' servers="127.0.0.1:$silent,127.0.0.1:$resolver" apex=e164.arpa retry_ms=2000 12025550100
# The control: without servers nothing is found.
stop
check "without servers" '# 0 s: the DNS servers *' "${hasty[@]}" apex=e164.arpa 12025550100

printf '%s passed, %s failed\n' "$passed" "$failed"
[ "$failed" -eq 0 ]
