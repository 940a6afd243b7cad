#!/usr/bin/env bash
# Builds herald.so, the module, against the source of the Kamailio that is installed. Usage: build.sh OUTPUT-FOLDER
# Finds Herald with pkg-config, or through HERALD_CFLAGS and HERALD_LIBS. The source comes from Debian's or Ubuntu's
# archive into a cache of its own; KAMAILIO_SOURCE names a configured tree that is used instead.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
output=$(realpath "${1:?the folder that herald.so goes to}")
cache=${XDG_CACHE_HOME:-$HOME/.cache}/herald/kamailio

# One at a time: they share the tree, and the module's place in it.
mkdir -p "$cache"
exec 9>"$cache/lock"
flock 9

# Prints a configured source tree of the installed version.
source_tree() {
    local version tree
    version=$(dpkg-query -W -f '${source:Version}' kamailio)
    tree=$cache/${version//[:~]/_}
    if [ ! -e "$tree/configured" ]; then
        rm -rf "$tree"
        mkdir -p "$tree" "$cache/lists/partial" "$cache/archives/partial"
        (
            cd "$tree"
            # The machine's own archives, as sources, with lists of their own: nothing of the system changes.
            sed 's/^Types:.*/Types: deb-src/; s/^deb /deb-src /' /etc/apt/sources.list.d/debian.sources \
                /etc/apt/sources.list.d/ubuntu.sources 2>/dev/null >"$cache/source.sources" || true
            mkdir -p "$cache/parts"
            mv "$cache/source.sources" "$cache/parts/source.sources"
            private=(-o Dir::Etc::sourcelist=/dev/null -o "Dir::Etc::sourceparts=$cache/parts" -o
                "Dir::State::lists=$cache/lists" -o "Dir::Cache::archives=$cache/archives" -o APT::Sandbox::User=root)
            apt-get "${private[@]}" -qq update
            apt-get "${private[@]}" -qq source --download-only "kamailio=$version"
            dpkg-source --no-check -x kamailio_*.dsc tree
            make -C tree cfg prefix=/usr cfg_target=/etc/kamailio/ FLAVOUR=kamailio
        ) >&2
        touch "$tree/configured"
    fi
    printf '%s' "$tree/tree"
}

tree=${KAMAILIO_SOURCE:-$(source_tree)}
module=$tree/src/modules/herald
rm -rf "$module"
mkdir -p "$module"
cp "$here"/*.c "$here"/*.h "$here/Makefile" "$module/"
make -C "$tree/src" modules modules=modules/herald >&2
cp "$module/herald.so" "$output/"
