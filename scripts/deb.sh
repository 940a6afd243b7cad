#!/usr/bin/env bash
# Makes Debian packages of what was built: libheraldN (N as in the library's name), libherald-dev, herald; and in a folder
# `debug` what debuggers read about their code, libheraldN-dbgsym and herald-dbgsym. Builds nothing, needs no network.
#
#   deb.sh [FOLDER]    where the packages go; the target folder's `packages` if not given
#
# PROFILE=release|debug: which build. MAINTAINER: whom the packages name.
set -euo pipefail
# shellcheck source-path=SCRIPTDIR source=lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

profile=${PROFILE:-release}
packages=${1:-$target/packages}
maintainer=${MAINTAINER:-Herald maintainers <maintainers@herald.invalid>}
debian=$root/packaging/debian
if ! has dpkg-shlibdeps || ! has strip; then apt_install dpkg-dev binutils; fi

multiarch=$(dpkg-architecture -qDEB_HOST_MULTIARCH)
architecture=$(dpkg-architecture -qDEB_HOST_ARCH)

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
stage=$work/stage
mkdir -p "$work/debian" "$packages/debug"
# Of the last commit, so that the same sources make the same packages.
SOURCE_DATE_EPOCH=${SOURCE_DATE_EPOCH:-$(git -C "$root" -c safe.directory='*' log -1 --format=%ct)}
export SOURCE_DATE_EPOCH

PROFILE=$profile DESTDIR=$stage PREFIX=/usr LIBDIR=/usr/lib/$multiarch SYSCONFDIR=/etc \
    ZSHDIR=/usr/share/zsh/vendor-completions "$root/scripts/install.sh" >/dev/null
soname=$(basename "$stage/usr/lib/$multiarch"/libherald.so.*.*.* | cut -d. -f1-3)
abi=${soname##*.}
version=$(sed -n 's/^Version: //p' "$stage/usr/lib/$multiarch/pkgconfig/herald.pc")-1

# moved PACKAGE PATH...: paths of the stage that belong to a package.
moved() {
    local package=$1 path
    shift
    for path in "$@"; do
        mkdir -p "$work/$package/$(dirname "$path")"
        mv "$stage/$path" "$work/$package/$path"
    done
}

divide() {
    cd "$stage"
    moved "libherald$abi" usr/lib/"$multiarch"/libherald.so.*
    moved libherald-dev usr/include usr/share/man/man3 usr/lib/"$multiarch"/libherald.{so,a} \
        usr/lib/"$multiarch"/{pkgconfig,cmake}
    # The package makes the user itself.
    rm -r usr/lib/sysusers.d
    local rest
    for rest in etc usr/bin usr/share/man/man1 usr/share/{bash-completion,zsh,fish} usr/lib/"$multiarch"/herald \
        usr/lib/systemd; do
        [ ! -e "$rest" ] || moved herald "$rest"
    done
    cd "$work"
    if find "$stage" ! -type d | grep .; then
        complain "deb: these files belong to no package"
        return 1
    fi
}

# strip_code PACKAGE: what debuggers read goes to PACKAGE-dbgsym, where they find it by the code's build id.
strip_code() {
    local file id debug
    while read -r -d '' file; do
        id=$(readelf -n "$file" | sed -n 's/.*Build ID: //p')
        if [ -z "$id" ]; then
            complain "deb: $file has no build id; link it with --build-id"
            return 1
        fi
        debug=$work/$1-dbgsym/usr/lib/debug/.build-id/${id:0:2}/${id:2}.debug
        mkdir -p "$(dirname "$debug")"
        objcopy --only-keep-debug --compress-debug-sections "$file" "$debug"
        strip --strip-unneeded --remove-section=.comment "$file"
        chmod 644 "$debug"
    done < <(find "$work/$1" -type f \( -name '*.so*' -o -path '*/bin/*' \) -print0)
}

strip_all() {
    local file
    strip_code "libherald$abi"
    strip_code herald
    find "$work" -name '*.so*' -type f -exec chmod 644 {} +
    # .llvmbc is the code once more, for rustc alone: more than half of the archive.
    for file in "$work"/libherald-dev/usr/lib/*/libherald.a; do
        strip --strip-debug --remove-section=.llvmbc --remove-section=.llvmcmd --enable-deterministic-archives "$file"
    done
}

# The version of the library that brought each symbol, as include/symbols.txt has it.
symbols() {
    local library=$work/libherald$abi/usr/lib/$multiarch/$soname
    printf '%s libherald%s #MINVER#\n' "$soname" "$abi"
    nm -D --defined-only --with-symbol-versions "$library" | awk '
        NR == FNR { if (!/^#/) since[$1] = $2; next }
        { name = $3; sub(/@.*/, "", name); node = $3; if (!sub(/.*@/, "", node)) node = "Base" }
        name in since { printf " %s@%s %s\n", name, node, since[name] }
        $2 == "A" && name !~ /^herald_/ { printf " %s@%s %s\n", name, name, "0.1" }
    ' "$root/include/symbols.txt" -
}

# documented PACKAGE: its copyright and changelog, and its manual pages compressed.
documented() {
    local folder=$work/$1/usr/share/doc/$1
    install -D -m 644 -t "$folder" "$debian/copyright"
    gzip -9n <"$work/debian/changelog" >"$folder/changelog.Debian.gz"
    chmod 644 "$folder/changelog.Debian.gz"
    [ ! -d "$work/$1/usr/share/man" ] || find "$work/$1/usr/share/man" -type f -exec gzip -9n {} +
}

# put_together PACKAGE FOLDER: the package of what is there.
put_together() {
    local tree=$work/$1
    (cd "$tree" && find . -type f ! -path './DEBIAN/*' -printf '%P\0' | LC_ALL=C sort -z | xargs -0 md5sum) >"$tree/DEBIAN/md5sums"
    chmod 644 "$tree"/DEBIAN/md5sums
    dpkg-deb --root-owner-group -Zxz -z"$compression" --build "$tree" "$2" >/dev/null
    say "$2/${1}_${version}_$architecture.deb"
}

# packed PACKAGE: its control files, then the package.
packed() {
    local tree=$work/$1 script
    mkdir -p "$tree/DEBIAN"
    : >"$work/debian/substvars"
    if [ "$1" != libherald-dev ]; then
        # Its own library is none of its dependencies.
        find "$tree" -type f \( -name '*.so*' -o -path '*/bin/*' \) -print0 |
            xargs -0 dpkg-shlibdeps -T"$work/debian/substvars" -xlibherald"$abi" --warnings=1 2>/dev/null
    fi
    if [ "$1" = "libherald$abi" ]; then
        symbols >"$work/debian/symbols"
        # 4: a symbol that came or went is a failure.
        dpkg-gensymbols -p"$1" -P"$tree" -I"$work/debian/symbols" -v"$version" -c4 -q
        printf 'libherald %s %s (>= %s)\n' "$abi" "$1" "$version" >"$tree/DEBIAN/shlibs"
        printf 'activate-noawait ldconfig\n' >"$tree/DEBIAN/triggers"
    fi
    if [ -d "$tree/etc" ]; then (cd "$tree" && find etc -type f -printf '/%p\n') >"$tree/DEBIAN/conffiles"; fi
    for script in postinst prerm postrm; do
        [ ! -e "$debian/$1.$script" ] || install -m 755 "$debian/$1.$script" "$tree/DEBIAN/$script"
    done
    dpkg-gencontrol -p"$1" -P"$tree" -T"$work/debian/substvars" -f"$work/debian/files"
    put_together "$1" "$packages"
    [ ! -d "$tree-dbgsym" ] || packed_symbols "$1"
}

# packed_symbols PACKAGE: PACKAGE-dbgsym, with the control file that debhelper would give it.
packed_symbols() {
    local symbols=$1-dbgsym ids
    local tree=$work/$symbols
    mkdir -p "$tree/DEBIAN" "$tree/usr/share/doc"
    ln -s "$1" "$tree/usr/share/doc/$symbols"
    ids=$(cd "$tree/usr/lib/debug/.build-id" && find . -type f | LC_ALL=C sort | sed 's|^./\(..\)/\(.*\).debug$|\1\2|' | paste -sd ' ')
    dpkg-gencontrol -p"$1" -P"$tree" -T"$work/debian/substvars" -f"$work/debian/files" -DPackage="$symbols" -DSection=debug \
        -DDepends="$1 (= \${binary:Version})" -DDescription="debug symbols for $1" -DBuild-Ids="$ids" \
        -DAuto-Built-Package=debug-symbols
    put_together "$symbols" "$packages/debug"
}

# Nobody waits for packages of a trial build to be small.
compression=6
[ "$profile" = release ] || compression=0

sed -e "s|@ABI@|$abi|" -e "s|@MAINTAINER@|$maintainer|" "$debian/control.in" >"$work/debian/control"
printf 'herald (%s) unstable; urgency=medium\n\n  * %s\n\n -- %s  %s\n' "$version" \
    "Made from the sources by scripts/deb.sh." "$maintainer" \
    "$(date -u -R -d "@$SOURCE_DATE_EPOCH")" >"$work/debian/changelog"
divide
strip_all
for package in "libherald$abi" libherald-dev herald; do
    documented "$package"
    packed "$package"
done
