#!/usr/bin/env bash
# Plays the example of RFC 8816 section 9 with curl, over HTTP/1.1 and HTTP/2, and prints each exchange in short.
#
# curl.sh URL CA: where the program listens, and the certificate to trust.
#
# The one departure from the example: the encrypted PASSporT it prints has 329 bytes, which is none of the sizes a
# sealed PASSporT may have, so it is padded to the smallest.
set -euo pipefail

url=$1
ca=$2
collection=/cps/2.222.555.2222/ppts
canonical=/cps/22225552222/ppts
smallest_bytes=640

scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT

fail() {
    printf 'tests/http/curl.sh: %s\n' "$*" >&2
    exit 1
}

# exchange VERSION METHOD PATH CURL-ARGUMENTS...: leaves $scratch/head and $scratch/body, sets $status.
exchange() {
    local version=$1 method=$2 path=$3 spoken
    shift 3
    : >"$scratch/body"
    read -r status spoken < <(curl --silent --show-error --noproxy '*' --max-time 20 --cacert "$ca" \
        "--http$version" --request "$method" --dump-header "$scratch/head" --output "$scratch/body" \
        --write-out '%{http_code} %{http_version}\n' "$@" "$url$path")
    printf '  %-4s %s\n    -> %s, %s, %s bytes' "$method" "$path" "$status" "$(field content-type)" \
        "$(wc -c <"$scratch/body")"
    printf '%s\n' "$(field location | sed 's/^./, Location: &/')$(field link | sed 's/^./, Link: &/')"
    [ "$spoken" = "$version" ] || fail "HTTP/$spoken was spoken, HTTP/$version was asked for"
}

# field NAME: the value of a header field of the last answer, empty if there is none.
field() {
    tr -d '\r' <"$scratch/head" | sed -n "s/^$1: *//Ip" | head -n 1
}

expect() {
    [ "$2" = "$3" ] || fail "$1 is '$2', not '$3'"
}

play() {
    local version=$1 location id path
    printf 'RFC 8816 section 9 over HTTP/%s\n' "$version"

    exchange "$version" POST "$collection" --header 'Content-Type: application/passport' \
        --data-binary "@$scratch/passport"
    expect 'the status of the store' "$status" 201
    location=$(field location)
    id=${location##*/}
    [[ $location =~ ^$canonical/[0-9a-f]{32}$ ]] || fail "the location is '$location'"
    expect 'the body of the store' "$(wc -c <"$scratch/body")" 0

    exchange "$version" POST "$collection" --header 'Content-Type: application/passport; class=message' \
        --data-binary "@$scratch/passport"
    expect 'the status of the store of a message' "$status" 201
    exchange "$version" GET "$(field location)"
    expect 'the status of the message' "$status" 200
    exchange "$version" POST "$collection" --header 'Content-Type: application/passport; class=fax' \
        --data-binary "@$scratch/passport"
    expect 'the status of a store of no class' "$status" 415

    exchange "$version" GET "$collection"
    expect 'the status of the list' "$status" 200
    expect 'the type of the list' "$(field content-type)" application/json
    expect 'caching of the list' "$(field cache-control)" no-store
    grep -qF "\"$location\"" "$scratch/body" || fail "the list does not hold $location: $(cat "$scratch/body")"
    grep -oE "$canonical/[0-9a-f]{32}" "$scratch/body" >"$scratch/listed"
    [ "$(wc -l <"$scratch/listed")" -ge 2 ] || fail 'the list holds no cover'

    exchange "$version" GET "$collection/$id/"
    expect 'the status of the item' "$status" 200
    expect 'the type of the item' "$(field content-type)" application/passport
    expect 'the link of the item' "$(field link)" "<$url$canonical>; rel=\"collection\""
    cmp "$scratch/body" "$scratch/passport" || fail 'the item is not what was stored'
    names >"$scratch/names"

    # Cover that was born with the list may have expired meanwhile, but hardly all of it.
    local alive=0
    while read -r path; do
        exchange "$version" GET "$path"
        [ "$status" = 404 ] && continue
        expect "the status of $path" "$status" 200
        names | cmp - "$scratch/names" || fail "the header fields of $path differ"
        [[ $(wc -c <"$scratch/body") =~ ^(640|1024|2048|4096|8192)$ ]] || fail "the size of $path tells"
        alive=$((alive + 1))
    done <"$scratch/listed"
    [ "$alive" -ge 1 ] || fail 'nothing listed could be fetched'
}

# The names of the header fields of the last answer, and the values that every item must share.
names() {
    tr -d '\r' <"$scratch/head" | sed -n 's/^\([A-Za-z-]*\):.*/\1/p'
    field cache-control
    field link
}

{
    printf %s rlWuoTpvBvWSHmV1AvVfVaE5pPV6VaOup3Ajo3W0VvjvrQI1VwbvnUE0pUZ6Yl9w
    printf %s MKW0YzI4LJ1joTHho3WaY3Oup3Ajo3W0YzAypvW9rlWxMKA0Vwc7VaIlnFV6JlWm
    printf %s nKN6LJkcL2INMKuuoKOfMF5wo20vKK0fVzyuqPV6VwR0AQZlZQtmAQHvYPWipzyaV
    printf %s wc7VaEhVwbvZGVkAGH1AGRlZGVvsK0ed3cwG1ubEjnxRTwUPaJFjHafuq0-mW6S1
    printf %s IBtSJFwUOe8Dwcwyx-pcSLcSLfbwAPcGmB3DsCBypxTnF6uRpx7j
} >"$scratch/printed"
{
    cat "$scratch/printed"
    head -c $((smallest_bytes - $(wc -c <"$scratch/printed"))) /dev/zero | tr '\0' =
} >"$scratch/passport"
[ "$(wc -c <"$scratch/passport")" = "$smallest_bytes" ] || fail 'the padded example has a wrong size'

play 1.1
play 2
