#!/usr/bin/env bash
# Formatting and lints, warnings counted as errors. Tools that may be absent are skipped aloud.
set -euo pipefail
# shellcheck source-path=SCRIPTDIR source=lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
cd "$root"

cargo fmt --all --check
cargo clippy --workspace --all-targets -- -D warnings
if has shellcheck; then
    git ls-files -z -- '*.sh' .ci/run | xargs -0 --no-run-if-empty shellcheck -x
else
    say "skipped aloud: shellcheck is not installed"
fi
if cargo deny --version >/dev/null 2>&1; then
    # Without the advisories, whose database comes from the network.
    cargo deny --offline check bans licenses sources
else
    say "skipped aloud: cargo-deny is not installed; tests/tidy checks what Cargo.lock must not hold"
fi
