#!/usr/bin/env bash
# Races tokens by eight threads, kills the process with -9 in between, and fails if a token is spent twice or nobody got
# it. Then the same without a journal of spent tokens, which must fail.
#
# tests/admission/run.sh [--campaign]: some thousands of tokens and a few kills, or a million and a hundred;
# most of a toy, a thousand or five thousand of the real VOPRF.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
# shellcheck source-path=SCRIPTDIR source=../../scripts/lib.sh
. scripts/lib.sh
cargo build --quiet -p herald-admission-races
exec "$target/debug/herald-admission-races" "$@"
