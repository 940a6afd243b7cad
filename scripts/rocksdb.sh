#!/usr/bin/env bash
# Which RocksDB the journal is linked with, and building it while one can see how far it is.
#
#   rocksdb.sh env               prints the environment cargo needs, KEY=VALUE a line, nothing for the bundled library
#   rocksdb.sh build [release]   makes it ready: installed from the distribution if that one fits, else the
#                                bundled one, compiled into the target folder's debug or release half
#   rocksdb.sh count [release]   prints how many of how many C++ files are compiled there
#
# ROCKSDB_LIB_DIR set: that folder's librocksdb. ROCKSDB_COMPILE=1: the bundled one whatever is installed.
set -euo pipefail
# shellcheck source-path=SCRIPTDIR source=lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

# The binding needs it; libraries that lack it are too old.
needed_symbol=rocksdb_write_buffer_manager_destroy
# The first major version packaged with that symbol: older candidates are not worth installing.
major_min=9
# Cargo's folder for the profile: debug or release.
half=debug
[ "${2:-}" != release ] || half=release
# Seconds between lines when nobody looks at a terminal.
report_every_s=30

is_forced_bundled() { case ${ROCKSDB_COMPILE:-} in 1 | true | TRUE | True) true ;; *) false ;; esac; }

# fits LIBRARY: whether it exports what the binding calls.
fits() {
    [ -e "$1" ] && has nm || return 1
    nm -D --defined-only "$1" 2>/dev/null |
        awk -v want="$needed_symbol" '{ sub(/@.*/, "", $3) } $3 == want { found = 1 } END { exit !found }'
}

# Prints the folder of an installed librocksdb that fits and comes with its headers.
installed_dir() {
    local folder
    for folder in /usr/lib/*-linux-gnu /usr/lib64 /usr/lib /usr/local/lib; do
        [ -e "$folder/librocksdb.so" ] || continue
        [ -e /usr/include/rocksdb/c.h ] || [ -e /usr/local/include/rocksdb/c.h ] || continue
        if fits "$folder/librocksdb.so"; then
            printf '%s\n' "$folder"
            return 0
        fi
    done
    return 1
}

# Prints the folder to link from; fails when the bundled library is the one.
lib_dir() {
    is_forced_bundled && return 1
    if [ -n "${ROCKSDB_LIB_DIR:-}" ]; then
        printf '%s\n' "$ROCKSDB_LIB_DIR"
    else
        installed_dir
    fi
}

print_env() {
    local folder
    if folder=$(lib_dir); then
        printf 'ROCKSDB_LIB_DIR=%s\n' "$folder"
    fi
}

# Whether the distribution offers a librocksdb-dev that is new enough and not installed yet.
is_worth_installing() {
    local candidate
    is_forced_bundled && return 1
    has_apt && has apt-cache || return 1
    [ -e /usr/include/rocksdb/c.h ] && return 1
    candidate=$(LC_ALL=C apt-cache policy librocksdb-dev 2>/dev/null | sed -n 's/^ *Candidate: *//p')
    case $candidate in '' | '(none)') return 1 ;; esac
    dpkg --compare-versions "$candidate" ge "$major_min"
}

# Prints how many C++ files the bundled library has; nothing before cargo has fetched it.
files_total() {
    local version list
    version=$(awk '$3 == "\"librocksdb-sys\"" { getline; gsub(/"/, "", $3); print $3 }' "$root/Cargo.lock")
    for list in "${CARGO_HOME:-$HOME/.cargo}"/registry/src/*/"librocksdb-sys-$version"/rocksdb_lib_sources.txt; do
        # One source of the list is replaced by one of the crate's own, so the count stays.
        [ -e "$list" ] && grep -c . "$list" && return
    done
    return 0
}

# files_done [STAMP]: object files there are, only those newer than STAMP if it is given.
files_done() {
    local folder=$target/$half/build
    [ -d "$folder" ] || { echo 0; return; }
    find "$folder" -path '*/librocksdb-sys-*/out/*' -name '*.o' ${1:+-newer "$1"} 2>/dev/null | wc -l
}

progress_line() { # SECONDS STAMP
    local total compiled
    total=$(files_total)
    compiled=$(files_done "$2")
    if [ "$compiled" -eq 0 ]; then
        printf 'RocksDB: building the tools that build it, %s' "$(elapsed "$1")"
    else
        printf 'RocksDB: %d of %s C++ files compiled, %s' "$compiled" "${total:-?}" "$(elapsed "$1")"
    fi
}

watch() { # PID STAMP
    local began=$SECONDS shown=$SECONDS
    while kill -0 "$1" 2>/dev/null; do
        sleep 1
        # A build that has nothing to do is over by now, or compiles no C++.
        [ "$(files_done "$2")" -gt 0 ] || [ $((SECONDS - began)) -ge 10 ] || continue
        if [ -t 1 ]; then
            printf '\r\033[K%s' "$(progress_line $((SECONDS - began)) "$2")"
        elif [ $((SECONDS - shown)) -ge "$report_every_s" ]; then
            progress_line $((SECONDS - began)) "$2"
            echo
            shown=$SECONDS
        fi
    done
    if [ -t 1 ]; then printf '\r\033[K'; fi
}

build_bundled() {
    local release=() log=$target/rocksdb-build.log stamp=$target/rocksdb-build.stamp began=$SECONDS pid
    [ "$half" = debug ] || release=(--release)
    mkdir -p "$target"
    : >"$stamp"
    if ! compgen -G "$target/$half/build/librocksdb-sys-*/out/librocksdb.a" >/dev/null; then
        say "RocksDB: no library of the distribution fits, so the bundled C++ is compiled once;" \
            "about 10 minutes on two cores"
    fi
    # A process group of its own, so that an interrupt ends the compilers too.
    set -m
    (cd "$root" && exec cargo build "${release[@]}" -p librocksdb-sys) >"$log" 2>&1 </dev/null &
    pid=$!
    set +m
    # shellcheck disable=SC2064 # The process is known now.
    trap "kill -- -$pid 2>/dev/null || true" EXIT
    watch "$pid" "$stamp"
    if ! wait "$pid"; then
        trap - EXIT
        tail -n 40 "$log" >&2
        complain "RocksDB: the build failed; all of its output is in $log"
        exit 1
    fi
    trap - EXIT
    if [ "$(files_done "$stamp")" -gt 0 ]; then
        say "RocksDB: compiled in $(elapsed $((SECONDS - began)))"
    else
        say "RocksDB: the bundled library is built already"
    fi
}

build() {
    local folder
    if ! folder=$(lib_dir) && is_worth_installing; then
        apt_install librocksdb-dev || complain "RocksDB: librocksdb-dev could not be installed"
    fi
    if folder=$(lib_dir); then
        say "RocksDB: linked from $folder"
    else
        build_bundled
    fi
}

case ${1:-} in
env) print_env ;;
build) build ;;
count) printf '%s of %s\n' "$(files_done)" "$(files_total)" ;;
*)
    complain "usage: $0 env | build [release] | count [release]"
    exit 2
    ;;
esac
