#!/usr/bin/env bash
# Plugins as their authors and operators meet them: the header alone, the examples with one line of cc, skeletons that are
# made, built and checked, the tutorial of docs/PLUGINS.md command by command, a daemon that replaces a plugin at SIGHUP,
# and a host that loads the library with RTLD_LOCAL.
#
# PROFILE=debug|release: which build is tested, debug if not set.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source-path=SCRIPTDIR source=../../scripts/lib.sh
. "$here/../../scripts/lib.sh"
profile=${PROFILE:-debug}

passed=0
work=$(mktemp -d)
daemon=
trap '[ -z "$daemon" ] || kill "$daemon" 2>/dev/null || true; rm -rf "$work"' EXIT

# step NAME COMMAND...: runs it in a folder of its own; shows what it says only if it fails. errexit is off inside.
step() {
    local name=$1 began=$SECONDS folder=$work/run-$passed
    shift
    mkdir -p "$folder"
    if (cd "$folder" && "$@") >"$work/output" 2>&1 </dev/null; then
        passed=$((passed + 1))
        printf 'ok      %-66s %s\n' "$name" "$(elapsed $((SECONDS - began)))"
    else
        printf 'FAILED  %s\n' "$name"
        sed 's/^/        /' "$work/output" | tail -n 40
        exit 1
    fi
}

build() {
    local release=()
    [ "$profile" = debug ] || release=(--release)
    # shellcheck disable=SC2046,SC2154 # KEY=VALUE, one word each; lib.sh sets root.
    (cd "$root" && env $("$root/scripts/rocksdb.sh" env) cargo build "${release[@]}" -p herald -p herald-capi)
}

strict_flags=(-Wall -Wextra -Wpedantic -Werror)

header_alone() { # COMPILER STANDARD LANGUAGE
    echo '#include <herald_plugin.h>' >"alone.$3"
    "$1" "-std=$2" "${strict_flags[@]}" -I"$root/include" -fsyntax-only -x "$3" "alone.$3" || return 1
    echo '#include <herald.h>' >>"alone.$3"
    "$1" "-std=$2" "${strict_flags[@]}" -I"$root/include" -fsyntax-only -x "$3" "alone.$3"
}

# object NAME SOURCE FLAGS...: one line of cc.
object() {
    local name=$1 source=$2
    shift 2
    cc -std=c11 "${strict_flags[@]}" -fPIC -shared -I"$root/include" "$@" "$source" -o "$work/$name"
}

passes() { herald plugin check "$@" | tee answer && tail -n 1 answer | grep -qx 'it does what it should'; }

# The tests of the workspace have built them.
own_rate_control() {
    local plugin objects=$target/debug/examples
    [ -e "$objects/librate_voprf.so" ] || (cd "$root" && cargo build -p herald-loadable --examples) || return 1
    for plugin in rate_voprf rate_voprf_p384 rate_blind_signature; do
        passes "$objects/lib$plugin.so" || return 1
    done
}

# The control: a plugin that answers badly does not pass.
does_not_pass() {
    local code=0
    object bad.so "$here/bad.c" -pthread || return 1
    herald plugin check "$work/bad.so" --number 28 >answer || code=$?
    cat answer
    [ "$code" = 1 ] && grep -q '^WRONG' answer
}

refused() { # WORDS ARGUMENTS...
    local words=$1 code=0
    shift
    herald plugin check "$@" 2>said || code=$?
    cat said
    [ "$code" = 2 ] && grep -q "$words" said
}

skeleton_c() { # KIND SETTINGS...
    local kind=$1
    shift
    herald plugin new --kind "$kind" --lang c my-plugin >lines || return 1
    bash -euc "$(head -n 1 lines) -Werror" || return 1
    passes my-plugin/my-plugin.so "$@" && herald plugin list my-plugin/my-plugin.so | grep -q '^my-plugin  '"$kind  1.0"
}

skeleton_rust() { # KIND SETTINGS...
    local kind=$1
    shift
    herald plugin new --kind "$kind" --lang rust my-plugin --sdk "$root/plugins/sdk" || return 1
    cp "$root/Cargo.lock" my-plugin/ || return 1
    (cd my-plugin && CARGO_TARGET_DIR=$target/plugins cargo build --offline) || return 1
    passes "$target/plugins/debug/libmy_plugin.so" "$@"
}

# The commands of docs/PLUGINS.md between ```sh and ```, one after the other in one shell.
tutorial() {
    # shellcheck disable=SC2016 # These are the document's own backquotes.
    sed -n '/^```sh$/,/^```$/{/^```/!p}' "$root/docs/PLUGINS.md" >commands
    grep -q 'herald plugin check' commands && HERALD=$root bash -euxo pipefail commands
}

replaced_at_sighup() {
    local said=$PWD/said
    mkdir plugins && cp "$work/example-c.so" plugins/ || return 1
    printf '[example-c]\nuri = "https://cps.example"\n' >settings.toml
    herald serve --unix-socket cps.sock --durability memory --memory 16MiB --plugins "$PWD/plugins" \
        --plugin-settings settings.toml >out 2>"$said" &
    daemon=$!
    awaits 'plugin example-c: discovery 1.0 serves' "$said" || return 1
    object newer.so "$root/plugins/example-c/prefix.c" -DNEWER && cp "$work/newer.so" plugins/example-c.so.new &&
        printf x >>plugins/example-c.so.new && mv plugins/example-c.so.new plugins/example-c.so || return 1
    kill -HUP "$daemon"
    awaits 'plugin example-c: replaced by version 1.0, generation 2' "$said" || return 1
    echo spoilt >plugins/example-c.so
    kill -HUP "$daemon"
    awaits 'plugin example-c stays as it is' "$said" || return 1
    kill "$daemon" && wait "$daemon"
}

awaits() { # WORDS FILE
    for _ in $(seq 200); do
        grep -q "$1" "$2" && return
        sleep 0.05
    done
    cat "$2"
    return 1
}

in_a_local_host() {
    cc -std=c11 "${strict_flags[@]}" -I"$root/include" "$here/host.c" -o host -ldl || return 1
    object first.so "$here/bad.c" -pthread && object second.so "$here/bad.c" -pthread '-DVERSION="2"' || return 1
    ./host "$bin/libherald.so" "$work/first.so" "$work/second.so" bad-in-c
}

needs cc c++
say "building the $profile build"
build >"$work/output" 2>&1 || { cat "$work/output" >&2; exit 1; }
bin=$target/$profile
export PATH=$bin:$PATH

step "herald_plugin.h alone and with herald.h, C11" header_alone cc c11 c
step "herald_plugin.h alone and with herald.h, C++17" header_alone c++ c++17 c++
step "plugins/example-c: one line of cc each" object example-c.so "$root/plugins/example-c/prefix.c"
step "plugins/example-c: tokens.c" object example-tokens.so "$root/plugins/example-c/tokens.c"
step "herald plugin check: discovery" passes "$work/example-c.so" --setting uri=https://cps.example
step "herald plugin check: rate control" passes "$work/example-tokens.so"
step "herald plugin check: a plugin that answers badly" does_not_pass
step "herald plugin check: a plugin that does not open" refused 'set uri' "$work/example-c.so"
step "herald plugin check: no plugin" refused 'invalid ELF header\|file too short' "$here/run.sh"
step "the plugins that come with Herald: rate control" own_rate_control
step "a skeleton in C, discovery" skeleton_c discovery --setting uri=https://cps.example
step "a skeleton in C, rate control" skeleton_c rate-control
step "a skeleton in Rust, discovery" skeleton_rust discovery --setting uri=https://cps.example
step "a skeleton in Rust, rate control" skeleton_rust rate-control
step "the tutorial of docs/PLUGINS.md" tutorial
step "a daemon replaces a plugin at SIGHUP, and keeps it if the new file is wrong" replaced_at_sighup
step "a host that loads the library with RTLD_LOCAL" in_a_local_host

printf '%d passed\n' "$passed"
