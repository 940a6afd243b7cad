#!/usr/bin/env bash
# What `make install` and `make deb` make: files, manual, completions, the unit; then the packages in a clean chroot, where
# a C and a C++ program are linked and the service runs; then the unit under a systemd of its own.
#
# PROFILE=debug|release: which build, debug if not set: the other tests have made it. LINTIAN=all: lintian
# looks at libherald-dev too, which takes it minutes.
# The chroot is made once, with compilers in it, and kept as an archive in the user's cache folder.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source-path=SCRIPTDIR source=../../scripts/lib.sh
. "$here/../../scripts/lib.sh"
profile=${PROFILE:-debug}
cache=${XDG_CACHE_HOME:-$HOME/.cache}/herald

work=$(mktemp -d)
trap 'rm -rf --one-file-system "$work"' EXIT
stage=$work/stage

ok() { printf 'ok      %s\n' "$*"; }
fail() {
    printf 'FAILED  %s\n' "$*"
    exit 1
}
# cannot WHAT: what cannot be tried here is a failure if all is to be tried.
cannot() {
    complain "skipped aloud: $*"
    if strict; then exit 2; fi
}

built() {
    local release=()
    [ "$profile" = debug ] || release=(--release)
    # shellcheck disable=SC2046 # KEY=VALUE, one word each.
    (cd "$root" && env $("$root/scripts/rocksdb.sh" env) cargo build --quiet "${release[@]}" -p herald -p herald-capi)
    PROFILE=$profile DESTDIR=$stage PREFIX=/usr SYSCONFDIR='' LIBDIR='' BINDIR='' INCLUDEDIR='' PKGCONFIGDIR='' \
        "$root/scripts/install.sh"
}

# ---- The manual ----

# A page that groff has nothing to say about.
page_is_clean() { ! LC_ALL=C.UTF-8 man --warnings -E UTF-8 -l -Tutf8 -Z "$1" 2>&1 >/dev/null | grep .; }

manual_is_complete() {
    local pages=$stage/usr/share/man symbol command property page
    while read -r symbol _; do
        [ -s "$pages/man3/$symbol.3" ] || fail "$symbol has no page"
    done < <(grep '^herald_' "$root/include/symbols.txt")
    while read -r command; do
        [ -s "$pages/man1/herald-$command.1" ] || fail "herald $command has no page"
    done < <("$stage/usr/bin/herald" -h | sed -n '/^Commands:/,/^$/s/^  \([a-z][a-z-]*\) .*/\1/p' | grep -vx help)
    while read -r property; do
        grep -q -- "\\\\-\\\\-${property//_/\\\\-}\\b" "$pages/man1/herald-serve.1" || fail "herald-serve(1) lacks $property"
    done < <(sed -n 's/^#\{0,1\}\([a-z0-9_]*\) = .*/\1/p' "$stage/etc/herald/herald.toml")
    if has man; then
        for page in "$pages"/man[13]/*; do page_is_clean "$page" || fail "$page"; done
        printf '.TH x 1\n.SH NAME\nx \\- \\[nonsense]\n' >"$work/x.1"
        if page_is_clean "$work/x.1" >/dev/null; then fail "a wrong page goes unnoticed"; fi
    else
        cannot "man is not installed"
    fi
    ok "manual: $(find "$pages" -type f | wc -l) pages, one for each command and function, without warnings"
}

# ---- Completions ----

completions_complete() {
    local share=$stage/usr/share words
    words=$(bash -c '. "$1"; COMP_WORDS=(herald ser); COMP_CWORD=1; _herald herald ser herald; echo "${COMPREPLY[@]}"' \
        - "$share/bash-completion/completions/herald")
    [ "$words" = serve ] || fail "bash completes 'herald ser' to '$words'"
    for file in zsh/site-functions/_herald fish/vendor_completions.d/herald.fish; do
        grep -q retention "$share/$file" || fail "$file knows no properties"
    done
    if has zsh; then zsh -n "$share/zsh/site-functions/_herald"; fi
    if has fish; then fish -n "$share/fish/vendor_completions.d/herald.fish"; fi
    ok "completions: bash completes; zsh and fish have theirs"
}

# ---- The unit ----

exposure_is_low() { systemd-analyze security --offline=true --threshold=20 "$1" >"$work/exposure" 2>&1; }

# Names of system calls that the unit lets through.
calls_allowed() {
    systemd-analyze syscall-filter 2>/dev/null | awk '
        /^@/ { set = $1; next }
        /^ +[@a-z_]/ { members[set] = members[set] " " $1 }
        function expand(set, into,    list, count, i) {
            count = split(members[set], list, " ")
            for (i = 1; i <= count; i++) if (list[i] ~ /^@/) expand(list[i], into); else into[list[i]] = 1
        }
        END {
            expand("@system-service", allowed); expand("@privileged", denied); expand("@resources", denied)
            for (name in allowed) if (!(name in denied)) print name
        }' | sort
}

# Runs the service through a start, a request, a reload and a stop, and lists the system calls it made.
calls_made() {
    local herald=$stage/usr/bin/herald traced service
    : >"$work/served"
    strace -f -qq -o "$work/trace" "$herald" serve --config "$stage/etc/herald/herald.toml" --data "$work/data" \
        --unix-socket "$work/herald.sock" --memory 16MiB --journal-memory 8MiB >"$work/served" 2>"$work/serve.log" &
    traced=$!
    said "$work/served" '/^listening/p' "$traced" >/dev/null ||
        fail "the service does not start: $(cat "$work/serve.log")"
    head -c 640 /dev/urandom >"$work/sealed"
    "$herald" store --cps "unix:$work/herald.sock" --number 12025550123 "$work/sealed" >/dev/null
    "$herald" retrieve --cps "unix:$work/herald.sock" --number 12025550123 >/dev/null
    # strace keeps signals to itself; its child is the service.
    service=$(pgrep -P "$traced")
    kill -HUP "$service"
    kill -TERM "$service"
    wait "$traced" || fail "the service does not stop well: $(cat "$work/serve.log")"
    sed -n 's/^[0-9]* *\([a-z_0-9]*\)(.*/\1/p' "$work/trace" | sort -u
}

unit_is_tight() {
    local unit=$stage/usr/lib/systemd/system/herald.service forbidden
    if ! has systemd-analyze; then cannot "systemd-analyze is not installed" || return 0; return 0; fi
    exposure_is_low "$unit" || fail "the unit is too open: $(tail -n 1 "$work/exposure")"
    ok "unit: $(sed -n 's/.*Overall/overall/p' "$work/exposure")"
    grep -v 'SystemCall\|Protect\|Private\|Restrict' "$unit" >"$work/herald.service"
    if exposure_is_low "$work/herald.service"; then fail "a unit that is open goes unnoticed"; fi
    has strace || { cannot "strace is not installed"; return 0; }
    calls_allowed >"$work/allowed"
    if ! grep -qx read "$work/allowed" || grep -qx reboot "$work/allowed"; then
        fail "the unit's system calls cannot be read"
    fi
    calls_made >"$work/made"
    # execve is systemd's own, before the filter counts.
    forbidden=$(comm -13 "$work/allowed" <(grep -v '^execve$' "$work/made") | tr '\n' ' ')
    [ -z "$forbidden" ] || fail "the service makes system calls that the unit forbids: $forbidden"
    ok "unit: the $(wc -l <"$work/made") system calls the service makes are allowed"
}

# ---- The packages ----

suite() { (. /etc/os-release && printf '%s' "${VERSION_CODENAME:-}"); }

# Makes the archive of the chroot if there is none.
chroot_archive() {
    local fresh=$work/fresh
    [ -s "$1" ] && return
    has debootstrap || { has_apt && apt_install debootstrap; } || return
    say "making the chroot once: debootstrap $(suite)"
    as_root debootstrap --variant=minbase --include=gcc,g++,make,cmake,pkg-config,adduser "$(suite)" "$fresh" \
        "${DEBIAN_MIRROR:-http://deb.debian.org/debian}" >"$work/debootstrap.log" 2>&1 ||
        { tail -n 5 "$work/debootstrap.log" >&2; return 1; }
    as_root rm -rf "$fresh/var/cache/apt" "$fresh/var/lib/apt/lists" "$fresh/usr/share/doc" "$fresh/usr/share/locale"
    mkdir -p "$cache"
    as_root tar -C "$fresh" -c . | gzip -1 >"$1.draft"
    mv "$1.draft" "$1"
    as_root rm -rf --one-file-system "$fresh"
}

in_the_chroot() {
    local archive chroot=$work/chroot
    archive=$cache/chroot-$(suite)-$(dpkg --print-architecture).tar.gz
    if ! as_root unshare --mount --pid --fork true 2>/dev/null; then cannot "no namespaces for a chroot here"; return 0; fi
    chroot_archive "$archive" || { cannot "no chroot: debootstrap needs a network, or root"; return 0; }
    mkdir "$chroot"
    as_root tar -C "$chroot" -xzf "$archive"
    as_root mkdir "$chroot/herald"
    as_root cp -r "$work/packages" "$root/examples/cmake" "$root/tests/capi/quickstart.c" "$here/inside.sh" "$chroot/herald"
    # With namespaces of its own: what is mounted or left running in there ends with it.
    as_root unshare --mount --pid --fork --kill-child --root="$chroot" --mount-proc /bin/bash /herald/inside.sh
    as_root rm -rf --one-file-system "$chroot"
}

# symbols_of FILE: where the unpacked packages have what debuggers read about it.
symbols_of() {
    local id
    id=$(readelf -n "$1" | sed -n 's/.*Build ID: //p')
    printf '%s' "$work/unpacked/usr/lib/debug/.build-id/${id:0:2}/${id:2}.debug"
}

symbols_fit() {
    local package program=$work/unpacked/usr/bin/herald library address
    for package in "$work"/packages/{libherald[0-9],herald_}*.deb "$work"/packages/debug/*.deb; do
        dpkg-deb -x "$package" "$work/unpacked"
    done
    library=$(find "$work/unpacked/usr/lib" -name 'libherald.so.*' -type f)
    address=$(nm -D "$library" | sed -n 's/ T herald_engine_open@.*//p')
    addr2line -e "$(symbols_of "$library")" "$address" | grep -q '/engine/capi/src/.*\.rs:[0-9]' ||
        fail "the debug symbols do not say where herald_engine_open is"
    readelf -S "$(symbols_of "$program")" | grep -qF .debug_line || fail "the debug symbols of the program know no lines"
    if addr2line -e "$library" "$address" | grep -q '\.rs:'; then fail "debug symbols are in the library's package too"; fi
    ok "debug symbols: of the library and the program, in packages of their own"
}

lintian_finds_nothing() {
    local packages=("$work"/packages/herald_*.deb "$work"/packages/libherald[0-9]*.deb "$work"/packages/debug/*.deb)
    [ "${LINTIAN:-}" != all ] || packages=("$work"/packages/{,debug/}*.deb)
    has lintian || apt_install lintian || { cannot "lintian cannot be installed"; return 0; }
    lintian --allow-root --fail-on error,warning --suppress-tags initial-upload-closes-no-bugs "${packages[@]}" || fail "lintian"
    ok "lintian has nothing to say about ${#packages[@]} packages"
}

packages() {
    if ! has dpkg-deb; then cannot "no Debian here, so no packages"; return 0; fi
    PROFILE=$profile "$root/scripts/deb.sh" "$work/packages" >"$work/output" 2>&1 ||
        { cat "$work/output"; fail "scripts/deb.sh"; }
    ok "packages: $(cd "$work/packages" && echo *.deb debug/*.deb)"
    symbols_fit
    lintian_finds_nothing
    in_the_chroot
    bash "$here/booted.sh" "$work/packages"
}

# What the checks need and a small system may lack.
missing=()
has man || missing+=(man-db)
has systemd-analyze || missing+=(systemd)
has strace || missing+=(strace)
[ ${#missing[@]} -eq 0 ] || { has_apt && apt_install "${missing[@]}"; } || true

built >"$work/output" 2>&1 || { cat "$work/output"; fail "build and install"; }
ok "installed: $(find "$stage" -type f | wc -l) files"
manual_is_complete
completions_complete
unit_is_tight
packages
