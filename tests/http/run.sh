#!/usr/bin/env bash
# Runs the program, plays the example of RFC 8816 section 9 over HTTP/1.1 and HTTP/2, checks docs/openapi.yaml, and
# checks the program against that document with schemathesis over TLS. Then the same where stores need tokens.
#
# The program must be built. Tools of Python go to a folder of their own in the user's cache, once.
# HTTP_SECONDS: how long schemathesis may look, 60 if not set, and a quarter of that again where stores need tokens.
set -euo pipefail
# shellcheck source-path=SCRIPTDIR source=../../scripts/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/../../scripts/lib.sh"
cd "$root"
herald=$target/debug/herald
# Plugins are named by their whole path.
objects=$(realpath "$target")/debug/examples
venv=${XDG_CACHE_HOME:-$HOME/.cache}/herald/venv
seconds=${HTTP_SECONDS:-60}
tools=(schemathesis==4.32.5 openapi-spec-validator==0.9.0)

export NO_PROXY=127.0.0.1 no_proxy=127.0.0.1
# Nothing written beside the sources.
export PYTHONDONTWRITEBYTECODE=1

fail() {
    complain "tests/http: $*"
    exit 1
}

[ -x "$herald" ] || fail "$herald is not there; build it with: cargo build -p herald"

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
trap 'exit 130' INT TERM

install_tools() {
    local stamp=$venv/installed
    if [ "$(cat "$stamp" 2>/dev/null)" != "${tools[*]}" ]; then
        printf 'installing %s\n' "${tools[*]}"
        # Debian keeps the module that makes such folders in a package of its own.
        python3 -m venv "$venv" || { apt_install python3-venv && python3 -m venv "$venv"; }
        "$venv/bin/pip" install --quiet --disable-pip-version-check "${tools[@]}"
        printf '%s' "${tools[*]}" >"$stamp"
    fi
}

# Starts the program and sets $url and $ca from the line it prints when it is ready. The retention is short: what a
# minute of generated requests stores would fill a number, which then refuses with 503, as it should.
start_server() {
    local data=$1
    shift
    # Nothing of one that was here before.
    : >"$scratch/out"
    "$herald" serve --dev --listen 127.0.0.1:0 --retention 3s --message-retention 1h --data "$scratch/$data" "$@" \
        >"$scratch/out" 2>"$scratch/err" &
    server=$!
    local line
    line=$(said "$scratch/out" 's/^listening \(https:.* ca=\)/\1/p' "$server") ||
        fail "the program does not say that it listens: $(cat "$scratch/out" "$scratch/err")"
    url=${line%% ca=*}
    ca=${line#* ca=}
    [ -r "$ca" ] || fail "the certificate $ca cannot be read"
}

stop_server() {
    kill "$server"
    wait "$server" || fail "the program ended with $?"
    server=
}

# A holder of numbers and a service that wants its tokens.
start_gated_server() {
    "$herald" keygen --out "$scratch/keys" --authority "$scratch/authority" --number 12155551212 >/dev/null
    start_server gated --plugins "$objects/librate_voprf.so" --admission rate-voprf --token-name cps.example.net \
        --token-roots "$scratch/authority/roots.pem"
}

# check_document SECONDS ARGUMENT...: the program must do what the document says and nothing else.
check_document() {
    local seconds=$1
    shift
    # The tools leave caches in the current folder, so that is the scratch folder; paths are made absolute.
    sed "s|^hooks = \"|&$PWD/|" tests/http/schemathesis.toml >"$scratch/schemathesis.toml"
    local document=$PWD/docs/openapi.yaml
    (
        cd "$scratch"
        timeout $((seconds + 30)) "$venv/bin/schemathesis" --config-file schemathesis.toml run "$document" \
            --url "$url" --tls-verify "$ca" --max-time "$seconds" --no-color "$@"
    )
}

still_alive() {
    if ! kill -0 "$server" 2>/dev/null; then
        cat "$scratch/err" >&2
        fail "the program ended during $1"
    fi
}

install_tools
"$venv/bin/openapi-spec-validator" docs/openapi.yaml
start_server data
printf '%s at %s\n' "$herald" "$url"
tests/http/curl.sh "$url" "$ca"
still_alive "the exchanges with curl"
check_document "$seconds" --exclude-tag tokens
still_alive "the check of the document"
stop_server

cargo build --quiet -p herald-loadable --example rate_voprf
start_gated_server
printf '%s at %s, where stores need tokens\n' "$herald" "$url"
check_document $((seconds / 4 + 1)) --include-tag tokens --include-operation-id storePlacement \
    --request-cert "$scratch/keys/signing.pem" --request-cert-key "$scratch/keys/signing.key"
still_alive "the check of the document where stores need tokens"
stop_server
printf 'tests/http: all passed\n'
