#!/usr/bin/env bash
# Cross-checks with other people's software: PASSporTs with secsipidx (Debian) and jwcrypto (PyPI), sealing with pyhpke
# (PyPI) and hpke (npm), anonymous tokens with the crate voprf 0.5 (crates.io) and privacypass-ts (npm), each way, each
# with a flipped bit that must not pass.
#
# The program must be built. Tools of Python and Node go to folders of their own in the user's cache, once.
set -euo pipefail

cd "$(dirname "${BASH_SOURCE[0]}")/../.."
# shellcheck source-path=SCRIPTDIR source=../../scripts/lib.sh
. scripts/lib.sh
herald=$(realpath "$target")/debug/herald
cache=${XDG_CACHE_HOME:-$HOME/.cache}/herald/interop
tools=(jwcrypto==1.6.1 pyhpke==0.6.5)
# privacypass-ts names one version of blindrsa-ts and gets the one here, whatever npm would rather have.
blindrsa=0.4.4
packages=(hpke@1.1.7 @cloudflare/privacypass-ts@0.9.0 "@cloudflare/blindrsa-ts@$blindrsa")

fail() {
    complain "tests/interop: $*"
    exit 1
}

# Nothing written beside the sources.
export PYTHONDONTWRITEBYTECODE=1

install_tools() {
    local stamp=$cache/installed wanted="${tools[*]} ${packages[*]}"
    needs secsipidx || return
    has node && has npm || apt_install nodejs npm || return
    [ "$(cat "$stamp" 2>/dev/null)" != "$wanted" ] || return 0
    say "installing $wanted"
    mkdir -p "$cache"
    # Debian keeps the module that makes such folders in a package of its own.
    python3 -m venv "$cache/venv" || { apt_install python3-venv && python3 -m venv "$cache/venv"; } || return
    "$cache/venv/bin/pip" install --quiet --disable-pip-version-check "${tools[@]}" || return
    printf '{"private":true,"type":"module","overrides":{"@cloudflare/blindrsa-ts":"%s"}}\n' "$blindrsa" \
        >"$cache/package.json"
    npm install --prefix "$cache" --no-audit --no-fund --loglevel=error --no-save "${packages[@]}" || return
    printf '%s' "$wanted" >"$stamp"
}

[ -x "$herald" ] || fail "$herald is not there; build it with: cargo build -p herald"
if ! install_tools; then
    strict && fail "the other software cannot be installed"
    say "skipped aloud: the other software cannot be installed"
    exit 0
fi
"$cache/venv/bin/python" tests/interop/interop.py "$herald" "$cache"

# A crate with a lock file of its own, as that generation of curve crates is not Herald's.
cargo run --quiet --manifest-path tests/interop/voprf/Cargo.toml --target-dir "$target"

cargo build --quiet -p herald-rate-blind-signature --example blind_party
cargo build --quiet -p herald-loadable --example rate_blind_signature --example rate_voprf --example rate_voprf_p384
examples=$(realpath "$target")/debug/examples
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
cp tests/interop/{tokens,service,issuance,voprf}.mjs "$cache"
node "$cache/tokens.mjs" "$examples/blind_party"
node "$cache/issuance.mjs" "$herald" "$examples/librate_blind_signature.so" "$scratch/issuance"
node "$cache/voprf.mjs" "$herald" "$examples" "$target/debug/herald-interop-voprf" "$scratch/voprf"
