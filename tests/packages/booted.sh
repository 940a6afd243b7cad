#!/usr/bin/env bash
# The installed service under a real systemd: this system, with a layer over it that takes what is written, is booted in
# namespaces of its own, where the packages are installed, the unit is started, used, killed, stopped, and the packages purged.
#
#   booted.sh FOLDER    of the packages. Needs root, systemd, and its hierarchy of cgroups; says so where that is not.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source-path=SCRIPTDIR source=../../scripts/lib.sh
# Not there once the root is another.
[ "${1:-}" = --try ] || . "$here/../../scripts/lib.sh"
hierarchy=/sys/fs/cgroup/systemd
ready_s=60

ok() { printf 'ok      under systemd: %s\n' "$*"; }
fail() {
    printf 'FAILED  under systemd: %s\n' "$*"
    [ ! -e output ] || sed 's/^/        /' output
    exit 1
}
quietly() { "$@" >output 2>&1 </dev/null || fail "$*"; }

# ---- In the namespaces: the new root, then systemd as their first process ----

layered_root() { # LAYER PACKAGES
    local root=$1/root
    mount --make-rprivate /
    mount -t tmpfs tmpfs "$1"
    mkdir "$1"/{upper,work,root}
    mount -t overlay overlay -o "lowerdir=/,upperdir=$1/upper,workdir=$1/work" "$root"
    mount -t proc proc "$root/proc"
    mount --rbind /dev "$root/dev"
    mount -t sysfs -o ro sysfs "$root/sys"
    mount -t tmpfs tmpfs "$root/sys/fs/cgroup"
    mkdir "$root/$hierarchy"
    mount -t cgroup -o none,name=systemd cgroup "$root/$hierarchy"
    mount -t tmpfs tmpfs "$root/run"
    mount -t tmpfs tmpfs "$root/tmp"
    # Not in /tmp, which is emptied at each boot.
    mkdir -p "$root/run/systemd/system" "$root/old" "$root/tried"
    cp -r "$2" "$root/tried/packages"
    cp "${BASH_SOURCE[0]}" "$root/tried"
    printf '[Unit]\nAllowIsolate=yes\n' >"$root/run/systemd/system/tried.target"
}

boot() { # LAYER PACKAGES
    layered_root "$1" "$2"
    cd "$1/root"
    pivot_root . old
    umount -l /old
    # What systemd is told where it runs, so that it leaves the machine alone.
    exec env -i container=herald PATH=/usr/sbin:/usr/bin:/sbin:/bin \
        /lib/systemd/systemd --system --unit=tried.target --show-status=no
}

# ---- Beside that systemd ----

cps=(--cps unix:/run/herald/herald.sock --number 12025550123)
shown() { systemctl show herald --value -p "$1"; }
is_found() { herald retrieve "${cps[@]}" 2>/dev/null | grep -qF "$(sed 's/^stored //' stored)"; }

try_the_unit() {
    cd /tried
    export LC_ALL=C DEBIAN_FRONTEND=noninteractive
    # Without the triggers of others: the index of all manual pages takes minutes.
    quietly dpkg --no-triggers -i packages/libherald[0-9]*.deb packages/herald_*.deb
    [ "$(systemctl is-active herald)" = inactive ] || fail "an installation starts the service before anybody has configured it"
    cp /etc/herald/herald.toml good.toml
    echo 'durabilty = "memory"' >>/etc/herald/herald.toml
    if systemctl start herald >output 2>&1; then fail "a service that cannot start is called started"; fi
    cp good.toml /etc/herald/herald.toml
    quietly systemctl restart herald
    [[ $(shown StatusText) == serving* ]] || fail "the state is: $(shown StatusText)"
    ok "$(shown Type), $(shown StatusText); with a wrong property it does not start"

    grep -E '^(Seccomp|NoNewPrivs|CapEff|CapBnd):' "/proc/$(shown MainPID)/status" | tr -s '\t\n' ' ' >confined
    [ "$(cat confined)" = "CapEff: 0000000000000000 CapBnd: 0000000000000000 NoNewPrivs: 1 Seccomp: 2 " ] || fail "confined: $(cat confined)"
    head -c 640 /dev/urandom >sealed
    herald store "${cps[@]}" sealed >stored 2>output || fail "store"
    quietly systemctl reload herald
    is_found || fail "what was stored is not found after a reload"
    ok "confined as the unit says, it stores, reloads and finds"

    kill -KILL "$(shown MainPID)"
    for _ in $(seq $((5 * ready_s))); do
        [ "$(shown NRestarts)" -ge 1 ] && is_found && break
        sleep 0.2
    done
    is_found || fail "killed, it does not come back with what it had"
    ok "killed, it comes back with what it had"
    quietly systemctl stop herald
    [ "$(shown Result)" = success ] || fail "it stops with $(shown Result)"
    # shellcheck disable=SC2046 # One word.
    quietly dpkg --no-triggers --purge herald $(dpkg-query -W -f '${Package}\n' 'libherald[0-9]*')
    [ ! -e /var/lib/herald ] || fail "purged, it leaves its data behind"
    ok "it stops well, and is purged"
}

# ---- Outside ----

cannot() {
    complain "skipped aloud: the unit under systemd: $*"
    exit 0
}

# Ends that systemd, and with it all that runs and is mounted in its namespaces.
leave() {
    kill -KILL "$outer" 2>/dev/null || true
    wait "$outer" 2>/dev/null || true
    for _ in $(seq 50); do
        find "$group" -depth -type d -exec rmdir {} + 2>/dev/null && break
        sleep 0.1
    done
    rm -f "$work.log"
    rmdir "$work"
}

booted() { # PACKAGES
    local first=
    group=$hierarchy/herald-test-$$
    [ "$(id -u)" -eq 0 ] || cannot "needs root"
    if ! [ -x /lib/systemd/systemd ] || ! has adduser; then cannot "needs systemd and adduser"; fi
    work=$(mktemp -d)
    mkdir "$group" 2>/dev/null || { rmdir "$work"; cannot "no hierarchy of cgroups for systemd at $hierarchy"; }
    # shellcheck disable=SC2016 # $$ is of that shell.
    bash -c 'echo $$ >"$1/cgroup.procs" && exec unshare --cgroup --mount --pid --ipc --uts --fork --kill-child bash "$2" --boot "$3" "$4"' \
        - "$group" "${BASH_SOURCE[0]}" "$work" "$1" >"$work.log" 2>&1 &
    outer=$!
    trap leave EXIT
    for _ in $(seq $((5 * ready_s))); do
        first=$(pgrep -P "$outer" || true)
        bus=/proc/$first/root
        bus+=/run/systemd/private
        [ -n "$first" ] && [ -S "$bus" ] && break
        kill -0 "$outer" 2>/dev/null || { sed 's/^/        /' "$work.log" >&2; cannot "it cannot be booted here"; }
        sleep 0.2
    done
    [ -S "$bus" ] || fail "systemd is not up in $ready_s s: $(cat "$work.log")"
    nsenter -t "$first" --mount --pid --cgroup --ipc --uts --root --wd bash -c 'cd /tried && exec bash /tried/booted.sh --try'
}

case ${1:-} in
--boot) boot "$2" "$3" ;;
--try) try_the_unit ;;
*) booted "${1:?which folder has the packages?}" ;;
esac
