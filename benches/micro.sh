#!/usr/bin/env bash
# Counts the instructions of each operation of the hot path under valgrind and holds them against
# benches/micro/baseline.tsv. Fails if one takes over 3 % more.
#
# --bless: writes the baseline instead. --self-test: shows that a slower operation is noticed.
set -euo pipefail
# shellcheck source-path=SCRIPTDIR source=../scripts/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/../scripts/lib.sh"
cd "$root"

case ${1:-} in
"") command=(check --baseline benches/micro/baseline.tsv) ;;
--bless) command=(bless --baseline benches/micro/baseline.tsv) ;;
--self-test) command=(self-test) ;;
*)
    complain "benches/micro.sh takes --bless, --self-test or nothing"
    exit 2
    ;;
esac

if ! needs valgrind; then
    strict && exit 2
    say "skipped aloud: no valgrind, so no instructions were counted"
    exit 0
fi
# Incremental builds inline otherwise, and so count otherwise.
CARGO_INCREMENTAL=0 cargo build --release --quiet -p herald-micro
exec "$target/release/herald-micro" "${command[@]}"
