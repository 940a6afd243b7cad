# shellcheck shell=bash
# What the sections over the network share: a scratch folder, servers that are started and ended, and what they
# took. Sourced after scripts/lib.sh, never run.
# shellcheck disable=SC2034 # The scripts that source this file use what is set here.

# The servers on one core, the load on another; with a single core they share it.
server_core=0
load_core=0
[ "$(nproc)" -lt 2 ] || load_core=1

scratch=$(mktemp -d)
declare -A url ca pid_of

fail() {
    complain "$(basename "$0" .sh): $*"
    exit 1
}

# start NAME COMMAND...: starts a server; its address, the authority to trust and its process are kept under the
# name.
start() {
    local name=$1 line
    shift
    : >"$scratch/$name.out"
    taskset -c "$server_core" "$@" >"$scratch/$name.out" 2>"$scratch/$name.err" &
    pid_of[$name]=$!
    line=$(said "$scratch/$name.out" 's/^listening \(http\)/\1/p' "${pid_of[$name]}") ||
        fail "$name does not say that it listens: $(cat "$scratch/$name.out" "$scratch/$name.err")"
    url[$name]=${line%% *}
    ca[$name]=${line#* ca=}
}

# stop NAME: ends a server.
stop() {
    kill "${pid_of[$1]}" 2>/dev/null || true
    wait "${pid_of[$1]}" 2>/dev/null || true
    unset "pid_of[$1]"
}

# ticks NAME: processor time a server has had, in ticks.
ticks() { awk '{ sub(/^.*\) /, ""); print $12 + $13 }' "/proc/${pid_of[$1]}/stat"; }

cleanup() {
    local name
    for name in "${!pid_of[@]}"; do
        stop "$name"
    done
    rm -rf "$scratch"
}
trap cleanup EXIT
trap 'exit 130' INT TERM
