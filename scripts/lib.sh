# shellcheck shell=bash
# What the other scripts share: where things are, how to speak, how to become root. Sourced, never run.

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
# shellcheck disable=SC2034 # The scripts that source this file use it.
target=${CARGO_TARGET_DIR:-$root/target}

say() { printf '%s\n' "$*"; }

complain() { printf '%s\n' "$*" >&2; }

has() { command -v "$1" >/dev/null 2>&1; }

# Whether this system installs packages with apt-get.
has_apt() { has apt-get && has dpkg; }

# Prints the number of the binary interface, which is in the library's own name for itself: libherald.so.N.
abi_version() {
    local about=$root/engine/capi/src/about.rs
    sed -n 's/^pub const ABI_VERSION: u32 = \([0-9]*\);$/\1/p' "$about" | grep . || {
        complain "ABI_VERSION is not in $about, where the scripts look for it"
        return 1
    }
}

as_root() {
    if [ "$(id -u)" -eq 0 ]; then
        "$@"
    elif has sudo; then
        # shellcheck disable=SC2086 # Nothing, or the option not to ask.
        sudo ${UNATTENDED:+-n} "$@"
    else
        complain "not root and no sudo: run this as root: $*"
        return 2
    fi
}

# apt_install PACKAGE...: installs them and says which.
apt_install() {
    say "installing with apt-get: $*"
    as_root apt-get update -qq </dev/null || return
    as_root env DEBIAN_FRONTEND=noninteractive \
        apt-get install -y -qq --no-install-recommends "$@" </dev/null
}

# elapsed SECONDS: as 3:07.
elapsed() { printf '%d:%02d' $(($1 / 60)) $(($1 % 60)); }

# end_group PROCESS SECONDS: ends the process group that PROCESS is the first of; what still runs after SECONDS is killed.
end_group() {
    local turn
    kill -- -"$1" 2>/dev/null || return 0
    for ((turn = 0; turn < $2 * 5; turn++)); do
        kill -0 -- -"$1" 2>/dev/null || return 0
        sleep 0.2
    done
    kill -KILL -- -"$1" 2>/dev/null || true
}

# within SECONDS COMMAND...: runs a program or a function, errexit off and nobody there to answer questions, and if it takes
# longer ends it with all that it started and returns 143: what waits for ever is then a failure that has a name. What it says
# of that goes to standard error.
within() {
    local limit=$1 job watcher code=0
    shift
    if [ "$limit" -le 0 ]; then
        complain "not begun: no time is left"
        return 143
    fi
    # Process groups of their own, so that nothing of them stays behind.
    set -m
    (set +e && export UNATTENDED=1 && "$@") &
    job=$!
    (sleep "$limit" && kill -- -"$job") >/dev/null 2>&1 &
    watcher=$!
    set +m
    # shellcheck disable=SC2064 # The processes are known now.
    trap "end_group $job 3; end_group $watcher 3; exit 130" INT TERM HUP
    wait "$job" || code=$?
    trap - INT TERM HUP
    kill -- -"$watcher" 2>/dev/null || true
    if wait "$watcher" 2>/dev/null; then
        end_group "$job" 10
        complain "ended after $(elapsed "$limit"), which is all it may take"
        code=143
    fi
    return "$code"
}

# said FILE COMMAND PROCESS: prints the first line that COMMAND of sed makes of FILE, once there is one. Fails if PROCESS
# ends before it, or after a minute: to start takes a second or two, a loaded machine is given more. FILE must be empty before
# PROCESS is started, or what another said is taken for its word.
said() {
    local line
    for _ in $(seq 600); do
        line=$(sed -n "$2" "$1")
        if [ -n "$line" ]; then
            printf '%s\n' "${line%%$'\n'*}"
            return
        fi
        kill -0 "$3" 2>/dev/null || return
        sleep 0.1
    done
    return 1
}

# strict: whether what cannot be done here is a failure instead of being skipped aloud.
strict() { [ "${STRICT:-0}" = 1 ] || [ -n "${CI:-}" ]; }

# needs TOOL...: installs those that are missing from the Debian packages of the same names; fails if that is not to be.
needs() {
    local tool missing=()
    for tool in "$@"; do
        has "$tool" || missing+=("$tool")
    done
    [ ${#missing[@]} -eq 0 ] && return
    if ! has_apt || ! apt_install "${missing[@]}"; then
        complain "missing: ${missing[*]}; install it with your system's packages"
        return 2
    fi
}

# record ROW VALUE UNIT LEAST MOST: hands a figure to the table of targets; see benches/run.sh.
record() {
    [ -z "${BENCH_RESULTS:-}" ] || printf '%s\t%s\t%s\t%s\t%s\n' "$@" >>"$BENCH_RESULTS"
}
