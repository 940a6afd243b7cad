#!/usr/bin/env bash
# The C interface as a host meets it: installed into an empty folder, found with pkg-config, compiled by gcc and clang
# as C11 and C++17, run under sanitizers and valgrind, linked statically, loaded at run time.
#
# PROFILE=debug|release: which build is tested, debug if not set. --campaign [SEED]: a million abusive calls instead of some
# ten thousand, and then another million in which the library's Rust is watched by AddressSanitizer as well (ASAN_TARGET:
# where that is built, asan in the target folder unless set).
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source-path=SCRIPTDIR source=../../scripts/lib.sh
. "$here/../../scripts/lib.sh"
profile=${PROFILE:-debug}
# Calls in random order: under sanitizers, and under valgrind; and which.
abused=100000 leaky=1000 seed=1 is_campaign=false
if [ "${1:-}" = --campaign ]; then
    abused=500000 leaky=10000 seed=${2:-1} is_campaign=true
fi
# The most a step may take: a lock that is never let go of must not hold up all the others.
step_s=600
! $is_campaign || step_s=3600

passed=0
failed=0
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# step NAME COMMAND...: runs it in a folder of its own; shows what it says only if it fails. errexit is off inside.
step() {
    local name=$1 began=$SECONDS folder=$work/run-$((passed + failed))
    shift
    mkdir -p "$folder"
    if within "$step_s" in_folder "$folder" "$@" >"$work/output" 2>&1 </dev/null; then
        passed=$((passed + 1))
        printf 'ok      %-58s %s\n' "$name" "$(elapsed $((SECONDS - began)))"
    else
        failed=$((failed + 1))
        printf 'FAILED  %s\n' "$name"
        sed 's/^/        /' "$work/output" | tail -n 60
    fi
}

in_folder() { cd "$1" && "${@:2}"; }

need_tools() {
    local packages=() package tool
    while read -r tool package; do
        has "$tool" || packages+=("$package")
    done <<<"gcc gcc
g++ g++
clang clang
valgrind valgrind
pkg-config pkg-config
nm binutils"
    echo 'int main(void){return 0;}' >"$work/probe.c"
    if has clang && ! clang -fsanitize=address "$work/probe.c" -o "$work/probe" 2>/dev/null; then
        packages+=(libclang-rt-dev)
    fi
    [ ${#packages[@]} -eq 0 ] && return
    if has_apt && [ "$(id -u)" -eq 0 ]; then
        # The sanitizers' package carries a version before some releases.
        apt_install "${packages[@]}" || apt_install "${packages[@]/libclang-rt-dev/libclang-rt-14-dev}"
    else
        complain "the tests of the C interface need: ${packages[*]}"
        exit 2
    fi
}

build_and_stage() {
    local release=()
    [ "$profile" = debug ] || release=(--release)
    # shellcheck disable=SC2046,SC2154 # KEY=VALUE, one word each; lib.sh sets root.
    (cd "$root" && env $("$root/scripts/rocksdb.sh" env) cargo build "${release[@]}" -p herald -p herald-capi)
    PROFILE=$profile DESTDIR='' PREFIX=$work/stage LIBDIR='' BINDIR='' INCLUDEDIR='' PKGCONFIGDIR='' \
        "$root/scripts/install.sh"
}

c_warnings=(-std=c11 -g -Wall -Wextra -Wpedantic -Werror -pthread)
cxx_warnings=(-std=c++17 -g -Wall -Wextra -Wpedantic -Werror -pthread)
# shellcheck disable=SC2054 # The commas are the compiler's.
sanitizers=(-fsanitize=address,undefined -fno-sanitize-recover=undefined -fno-omit-frame-pointer)

# C++ as some hosts have it.
plain=(-fno-exceptions -fno-rtti)

# compile COMPILER SOURCE PROGRAM FLAGS...
compile() {
    local compiler=$1 source=$here/$2 program=$work/$3 warnings=("${c_warnings[@]}")
    shift 3
    [[ $source != *.cpp ]] || warnings=("${cxx_warnings[@]}")
    # shellcheck disable=SC2046 # Flags, one word each.
    "$compiler" "${warnings[@]}" "$@" "$source" -o "$program" $(pkg-config --cflags --libs herald) \
        "-Wl,-rpath,$work/stage/lib"
}

header_alone() { # COMPILER STANDARD LANGUAGE HEADER
    echo "#include <$4>" >"alone.$3" &&
        "$1" "-std=$2" -Wall -Wextra -Wpedantic -Werror "-I$work/stage/include" -fsyntax-only -x "$3" "alone.$3"
}

# result_of COMPILER LINE FLAGS...: whether a program with this line compiles.
result_of() {
    printf '#include <herald.hpp>\nvoid f(herald::engine &engine) { %s; }\n' "$2" >result.cpp
    "$1" -std=c++17 -Wall -Werror "-I$work/stage/include" -fsyntax-only "${@:3}" result.cpp
}

# Programs that look at what a call came to compile; those that do not look, or want exceptions where there are none, do not.
results_are_looked_at() { # COMPILER
    result_of "$1" 'if (!engine.start()) return' "${plain[@]}" && result_of "$1" 'engine.start().value()' &&
        ! result_of "$1" 'engine.start()' && ! result_of "$1" 'engine.store("1", {})' &&
        ! result_of "$1" 'engine.start().value()' "${plain[@]}"
}

# shared_code COMPILER: what two files of one program have in common of herald.hpp, one compiled with exceptions and the other
# with the flags given.
shared_code() {
    local compile=("$1" -std=c++17 "-I$work/stage/include" -c shared.cpp)
    shift
    printf '#include <herald.hpp>\nvoid f(herald::engine &engine) { static_cast<void>(engine.place({}, nullptr)); }\n' >shared.cpp
    "${compile[@]}" -o thrown.o && "${compile[@]}" -o other.o "$@" &&
        LC_ALL=C comm -12 <(nm thrown.o | sed -n 's/.* [uVW] //p' | LC_ALL=C sort) <(nm other.o | sed -n 's/.* [uVW] //p' | LC_ALL=C sort) |
        c++filt | grep 'herald::'
}

# Of functions that differ the linker keeps one: those with exceptions have names of their own.
both_modes_fit_one_program() { # COMPILER
    ! shared_code "$1" "${plain[@]}" && shared_code "$1" >common && grep -q contained common
}

# symbols_as_listed LIST: the library exports what is listed, each with its version, and nothing else.
symbols_as_listed() {
    sed -n "s/^\(herald_[a-z_]*\) \(.*\)$/\1@@HERALD_$(abi_version)_\2/p" "$1" | LC_ALL=C sort >listed
    nm -D --defined-only --with-symbol-versions "$work/stage/lib/libherald.so" |
        awk '$2 != "A" { print $3 }' | LC_ALL=C sort >exported
    grep -q . listed && diff listed exported
}

# One symbol of another version, and one too many: both are noticed.
wrong_symbols_are_noticed() {
    sed 's/^\(herald_store\) .*/\1 9.9/' "$root/include/symbols.txt" >other
    { cat "$root/include/symbols.txt" && echo herald_sell 0.1; } >longer
    ! symbols_as_listed other && ! symbols_as_listed longer
}

names_itself() {
    local folder=$work/stage/lib name library
    name=libherald.so.$(abi_version)
    # What cargo makes has the same name.
    for library in "$folder/libherald.so" "$target/$profile/libherald.so"; do
        readelf -d "$library" >dynamic
        cat dynamic
        grep -q "SONAME.*\[$name\]" dynamic && grep -q NODELETE dynamic || return 1
    done
    [ "$(readlink -f "$folder/$name")" = "$(readlink -f "$folder/$name.$(pkg-config --modversion herald)")" ] &&
        [ "$(readlink -f "$folder/libherald.so")" = "$(readlink -f "$folder/$name")" ]
}

# constructors LIBRARY: what runs when it is loaded, a name a line.
constructors() {
    local address size
    read -r address size < <(readelf -SW "$1" | sed 's/^ *\[ *//' | awk '$2 == ".init_array" { print $4, $6 }')
    readelf -rW "$1" | awk -v first="$address" -v last="$(printf '%016x' $((16#$address + 16#$size - 1)))" '
        $3 ~ /_RELATIVE$/ && $1 "" >= first "" && $1 "" <= last "" { printf "%016s\n", $4 }' | tr ' ' 0 | LC_ALL=C sort >targets
    nm -C --defined-only "$1" | awk '{ print $1, $3 }' | LC_ALL=C sort -k1,1 -u | LC_ALL=C join -a 1 targets - | cut -d ' ' -f 2
}

# The compiler's own, which are in every library, and Rust's, which notes where the arguments of the program are.
runs_nothing_when_loaded() { # LIBRARY
    constructors "$1" >run && cat run && grep -q . run && ! grep -v '^frame_dummy$\|^std::sys::args::' run
}

# What a library does to its process, and that it would be noticed of one that does all there is to do.
hygiene() {
    compile gcc hygiene.c hygiene -D_GNU_SOURCE -ldl && "$work/hygiene" "$work/stage/lib/libherald.so"
}
an_intruder_is_noticed() {
    g++ "${cxx_warnings[@]}" -shared -fPIC "$here/intruder.cpp" -o intruder.so &&
        ! runs_nothing_when_loaded intruder.so && ! "$work/hygiene" "$PWD/intruder.so" 2>noticed && diff - noticed <<'NOTICED'
load: a signal handler
load: the signal mask
load: a thread
load: the environment
load: something was printed
unload: a signal handler
unload: the signal mask
unload: a thread
unload: the environment
unload: something was printed
NOTICED
}

# The functions with which a library ends its process or speaks for it are not called: they are not even linked.
ends_no_process() { # LIBRARY
    nm -D --undefined-only "$1" | sed 's/@.*//' | awk '{ print $NF }' >asked &&
        grep -qx pthread_create asked && ! grep -xE '_?_?exit|_Exit|quick_exit|puts|putchar|printf|vprintf|perror|sigaction|signal' asked
}

# Nor do they register what runs when it ends.
registers_no_end() { # LIBRARY
    nm -D --undefined-only "$1" | sed 's/@.*//' | awk '{ print $NF }' >asked &&
        grep -qx __cxa_finalize asked && ! grep -xE '__cxa_atexit|atexit|on_exit' asked
}

# ends_well PROGRAM "WAY..." WRAPPER...: programs that end with a data folder in use, each run by WRAPPER; the next one finds
# what was stored last.
ends_well() {
    local program=$work/$1 way ways
    read -ra ways <<<"$2"
    shift 2
    mkdir -m 700 -p data
    for way in "${ways[@]}"; do
        rm -rf id data/* && "$@" "$program" "$way" data || return 1
        [ "$way" = never ] || "$program" found data || return 1
    done
    echo 00000000000000000000000000000000 >id && ! "$program" found data
}

leak_checked() { # PROGRAM ARGUMENTS...
    valgrind -q --error-exitcode=99 --leak-check=full --errors-for-leak-kinds=definite,indirect --show-leak-kinds=definite,indirect \
        --suppressions="$here/valgrind.supp" --fair-sched=yes "$@"
}

# Builds the static library with its Rust watched. RocksDB is the one of the tested build, as it is.
build_watched() {
    local rocksdb linked=()
    [ -n "$watcher" ] || { complain "this compiler has no AddressSanitizer for $host"; return 1; }
    mapfile -t linked < <("$root/scripts/rocksdb.sh" env)
    if [ ${#linked[@]} -eq 0 ]; then
        rocksdb=$(find "$target/$profile/build" -name librocksdb.a -printf '%T@ %p\n' | sort -n | tail -n 1 | cut -d' ' -f2)
        linked=("ROCKSDB_LIB_DIR=$(dirname "$rocksdb")" ROCKSDB_STATIC=1)
    fi
    # An unstable option of the stable compiler; --target keeps it away from build scripts.
    (cd "$root" && env "${linked[@]}" RUSTC_BOOTSTRAP=1 CARGO_TARGET_DIR="${ASAN_TARGET:-$target/asan}" \
        RUSTFLAGS="-Zsanitizer=address -Cunsafe-allow-abi-mismatch=sanitizer" \
        cargo build --config 'profile.dev.package."*".opt-level=1' --target "$host" -p herald-capi)
}

# compile_watched SOURCE PROGRAM: the compiler's own runtime of the sanitizer stays away from that of the library.
compile_watched() {
    # shellcheck disable=SC2046 # Flags, one word each.
    clang "${c_warnings[@]}" -fsanitize=address -c "$here/$1" -o watched.o $(pkg-config --cflags herald) &&
        gcc -pthread watched.o -Wl,--whole-archive "$watcher" -Wl,--no-whole-archive "$watched" -o "$work/$2" \
            $(pkg-config --static --libs herald | sed 's/-L[^ ]*//; s/-lherald//')
}

# Rust that reads beyond what it was given is reported, with its place.
reads_beyond_are_noticed() {
    ! "$work/beyond" 2>report && grep -q heap-buffer-overflow report && grep -q 'herald_[a-z_]*::' report
}

every_function_is_abused() {
    sed -n 's/^\(herald_[a-z_]*\) .*/\1/p' "$root/include/symbols.txt" | LC_ALL=C sort >listed
    sed -n 's/^    {"\(herald_[a-z_]*\)".*/\1/p' "$here/abuse_codes.h" | LC_ALL=C sort >called
    grep -q . listed && diff listed called
}

# compile_static COMPILER SOURCE PROGRAM: with libherald.a, and no libherald.so beside it.
compile_static() {
    local warnings=("${c_warnings[@]}")
    [[ $2 != *.cpp ]] || warnings=("${cxx_warnings[@]}")
    # shellcheck disable=SC2046 # Flags, one word each.
    "$1" "${warnings[@]}" "$here/$2" -o "$work/$3" $(pkg-config --cflags herald) \
        "-L$work/stage/lib" -Wl,-Bstatic -lherald -Wl,-Bdynamic \
        $(pkg-config --static --libs herald | sed 's/-lherald//') || return 1
    ! readelf -d "$work/$3" | grep libherald
}

# compile_example COMPILER NAME PACKAGE...: an example as its first lines say, warnings counted as errors.
compile_example() {
    local compiler=$1 name=$2
    shift 2
    # shellcheck disable=SC2046 # Flags, one word each.
    "$compiler" -std=gnu11 -g -Wall -Wextra -Werror "$root/examples/$name.c" -o "$work/example-$name" -pthread \
        $(pkg-config --cflags --libs herald "$@") "-Wl,-rpath,$work/stage/lib"
}

# serves NAME: an example that serves a socket for two seconds answers meanwhile, and ends well.
serves() {
    local socket=$PWD/herald.sock program answer
    rm -f "$socket"
    "$work/example-$1" herald.sock 2 &
    program=$!
    for _ in $(seq 100); do
        answer=$(curl -s --unix-socket "$socket" http://localhost/health || true)
        [ -n "$answer" ] && break
        sleep 0.05
    done
    wait "$program" && [[ $answer == *OK* ]]
}

# workers_of_a_daemon: the example's workers all find what they store at one daemon.
workers_of_a_daemon() {
    local daemon failed=0
    "$work/stage/bin/herald" serve --unix-socket "$PWD/herald.sock" --durability memory --memory 64MiB &
    daemon=$!
    for _ in $(seq 200); do
        curl -s --unix-socket herald.sock http://localhost/health | grep -q OK && break
        sleep 0.05
    done
    "$work/example-workers" "unix:$PWD/herald.sock" 4 || failed=1
    kill "$daemon" && wait "$daemon" && [ "$failed" -eq 0 ]
}

quickstart_finds() { "$1" | grep -q '; 1 opens: eyJ'; }

# The parties of a call: keys, certificates and a directory in which the called number is at the engine itself.
make_parties() {
    local herald=$work/stage/bin/herald party
    for party in alice:12025550100 bob:12025550123; do
        "$herald" keygen --out "$work/${party%:*}" --authority "$work/authority" --number "${party#*:}" || return 1
    done
    printf '[[destination]]\nnumbers = ["2-12025550123"]\ncps = ["local"]\nkeys = ["sealing.pub.jwk"]\n' \
        >"$work/bob/directory.toml"
}

need_tools
say "building and staging the $profile build"
build_and_stage >"$work/output" 2>&1 || { cat "$work/output" >&2; exit 1; }
export PKG_CONFIG_PATH=$work/stage/lib/pkgconfig

for compiler in gcc clang; do
    step "herald.h alone, C11, $compiler" header_alone "$compiler" c11 c herald.h
done
for compiler in g++ clang++; do
    step "herald.h alone, C++17, $compiler" header_alone "$compiler" c++17 c++ herald.h
    step "herald.hpp alone, C++17, $compiler" header_alone "$compiler" c++17 c++ herald.hpp
    step "files with exceptions and without fit one program, $compiler" both_modes_fit_one_program "$compiler"
    step "herald.hpp has no result ignored, and none thrown without exceptions, $compiler" results_are_looked_at "$compiler"
done
step "exported symbols are those of include/symbols.txt" symbols_as_listed "$root/include/symbols.txt"
step "a symbol too many and one of another version are noticed" wrong_symbols_are_noticed
step "what programs were compiled against is unchanged" "$here/abi.sh"
sed 's/^/        /' "$work/output"
step "the library's name, links and NODELETE" names_itself
for library in "$work/stage/lib/libherald.so" "$target/$profile/libherald.so"; do
    step "it runs nothing when it is loaded: ${library#"$work/"}" runs_nothing_when_loaded "$library"
done
for library in "$work/stage/lib/libherald.so" "$target/$profile/libherald.so"; do
    step "it registers nothing for the process's end: ${library#"$work/"}" registers_no_end "$library"
done
step "it does not exit, print or handle signals" ends_no_process "$work/stage/lib/libherald.so"
step "it leaves the process that loads it as it is" hygiene
step "a library that does not is noticed" an_intruder_is_noticed

for compiler in gcc clang; do
    step "compile quickstart.c with sanitizers, $compiler" compile "$compiler" quickstart.c "quickstart-$compiler" "${sanitizers[@]}"
    step "quickstart, sanitized, $compiler" quickstart_finds "$work/quickstart-$compiler"
    step "compile api.c with sanitizers, $compiler" compile "$compiler" api.c "api-$compiler" "${sanitizers[@]}"
    # Without forks: a sanitizer's own locks may be held at one, by a thread that the child does not have.
    step "api.c, sanitized, $compiler" "$work/api-$compiler" . 0
done
step "keys and certificates for calls" make_parties
parties=("$work/alice" "$work/bob" "$work/authority" "$work/bob/directory.toml")
for program in calls services gateway supply host; do
    step "compile $program.c with sanitizers" compile clang "$program.c" "$program-clang" "${sanitizers[@]}"
    case $program in
    host) arguments=(.) ;;
    services) arguments=("${parties[@]}" without-forks) ;;
    *) arguments=("${parties[@]}") ;;
    esac
    step "$program.c, sanitized" "$work/$program-clang" "${arguments[@]}"
done
step "compile calls.cpp with sanitizers" compile clang++ calls.cpp callsxx "${sanitizers[@]}"
step "calls.cpp, sanitized" "$work/callsxx" "${parties[@]}"
for compiler in g++ clang++; do
    step "compile api.cpp with sanitizers, $compiler" compile "$compiler" api.cpp "apixx-$compiler" "${sanitizers[@]}"
    step "api.cpp, sanitized, $compiler" "$work/apixx-$compiler" .
    step "compile api.cpp without exceptions and RTTI, $compiler" compile "$compiler" api.cpp "plainxx-$compiler" \
        "${sanitizers[@]}" "${plain[@]}"
    step "api.cpp without exceptions and RTTI, $compiler" "$work/plainxx-$compiler" .
done
step "compile client.c with sanitizers" compile clang client.c client-clang "${sanitizers[@]}"
# Without forks, as above.
step "client.c, sanitized" "$work/client-clang" "$work/stage/bin/herald" 0
step "every function is abused" every_function_is_abused
step "compile abuse.c with sanitizers" compile clang abuse.c abuse "${sanitizers[@]}"
step "$abused calls in random order, sanitized, on 1 thread" "$work/abuse" "$seed" "$abused" 1 "${parties[@]}"
step "$abused calls in random order, sanitized, on 4 threads" "$work/abuse" "$((seed + 1))" "$abused" 4 "${parties[@]}"
if $is_campaign; then
    host=$(rustc -vV | sed -n 's/^host: //p')
    watcher=$(compgen -G "$(rustc --print sysroot)/lib/rustlib/$host/lib/librustc*_rt.asan.a" || true)
    watched=${ASAN_TARGET:-$target/asan}/$host/debug/libherald.a
    step "build the library with its Rust watched" build_watched
    step "compile abuse.c against it" compile_watched abuse.c abuse-watched
    step "compile beyond.c against it" compile_watched beyond.c beyond
    step "Rust that reads a byte too many is noticed" reads_beyond_are_noticed
    for threads in 1 4; do
        step "$abused calls in random order, Rust watched, on $threads threads" "$work/abuse-watched" "$((seed + 1 + threads))" \
            "$abused" "$threads" "${parties[@]}"
    done
fi

step "compile without sanitizers: quickstart.c" compile gcc quickstart.c quickstart
step "compile without sanitizers: api.c" compile gcc api.c api
step "compile without sanitizers: api.cpp" compile g++ api.cpp apixx
step "compile without sanitizers: calls.c" compile gcc calls.c calls
step "compile without sanitizers: services.c" compile gcc services.c services
step "compile without sanitizers: gateway.c" compile gcc gateway.c gateway
step "compile without sanitizers: supply.c" compile gcc supply.c supply
step "compile without sanitizers: client.c" compile gcc client.c client
step "compile without sanitizers: host.c" compile gcc host.c host
step "compile without sanitizers: abuse.c" compile gcc abuse.c abuse-plain
step "compile fair.c" compile gcc fair.c fair -O2
step "compile without sanitizers: loaded.c" compile gcc loaded.c loaded -ldl
step "api.c with 1,000 forks" "$work/api" . 1000
step "a daemon killed, hung and back; forks at 1,000 random moments" "$work/client" "$work/stage/bin/herald" 1000
step "compile ends.cpp" compile g++ ends.cpp ends
step "compile ends.cpp, linked statically" compile_static g++ ends.cpp ends-static
for program in ends ends-static; do
    step "a data folder in use when the process ends: $program" ends_well "$program" "static handler child never"
done
step "a data folder in use when the process ends, under valgrind" ends_well ends handler valgrind -q --error-exitcode=99 \
    --fair-sched=yes
step "loaded and unloaded 500 times, exit with an open engine" "$work/loaded" "$work/stage/lib/libherald.so.1" 500
step "one thread, one epoll: everybody is served" "$work/fair" 2
sed 's/^/        /' "$work/output"
step "quickstart under valgrind" leak_checked "$work/quickstart"
# Without forks: a child has lost the threads that hold most of what valgrind would look for.
step "api.c under valgrind" leak_checked "$work/api" . 0
step "api.cpp under valgrind" leak_checked "$work/apixx" .
step "calls.c under valgrind" leak_checked "$work/calls" "${parties[@]}"
step "services.c under valgrind" leak_checked "$work/services" "${parties[@]}" without-forks
step "gateway.c under valgrind" leak_checked "$work/gateway" "${parties[@]}"
step "supply.c under valgrind" leak_checked "$work/supply" "${parties[@]}"
step "client.c under valgrind" leak_checked "$work/client" "$work/stage/bin/herald" 0
step "host.c under valgrind" leak_checked "$work/host" .
step "$leaky calls in random order under valgrind" leak_checked "$work/abuse-plain" "$seed" "$leaky" 2 "${parties[@]}"
step "compile quickstart.c, linked statically" compile_static gcc quickstart.c quickstart-static
step "quickstart, linked statically" quickstart_finds "$work/quickstart-static"

pkg-config --exists sofia-sip-ua || { has_apt && apt_install libsofia-sip-ua-dev; } || complain "no sofia-sip: its example is skipped"
for name in poll_loop threads workers; do
    step "compile examples/$name.c" compile_example gcc "$name"
done
step "a host's own loop: stores, ticks and requests" serves poll_loop
step "a host's threads" "$work/example-threads"
step "a host's forked workers, each a client" workers_of_a_daemon
if pkg-config --exists sofia-sip-ua; then
    step "compile examples/sofia.c" compile_example gcc sofia sofia-sip-ua
    step "the loop of sofia-sip" serves sofia
elif strict; then
    exit 2
fi
step "Python with ctypes" python3 "$root/examples/herald_ctypes.py" "$work/stage/lib/libherald.so.1"

printf '%d passed, %d failed\n' "$passed" "$failed"
[ "$failed" -eq 0 ]
