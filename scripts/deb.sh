#!/usr/bin/env bash
# Makes Debian packages of what was built: libheraldN (N as in the library's name), libherald-dev, herald. Builds nothing,
# needs no network.
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
mkdir -p "$work/debian" "$packages"
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

strip_all() {
    local file
    find "$work" -name '*.so*' -type f -exec strip --strip-unneeded --remove-section=.comment {} + -exec chmod 644 {} +
    strip --strip-unneeded --remove-section=.comment "$work/herald/usr/bin/herald"
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
    (cd "$tree" && find . -type f ! -path './DEBIAN/*' -printf '%P\0' | LC_ALL=C sort -z | xargs -0 md5sum) >"$tree/DEBIAN/md5sums"
    chmod 644 "$tree"/DEBIAN/md5sums
    dpkg-gencontrol -p"$1" -P"$tree" -T"$work/debian/substvars" -f"$work/debian/files"
    dpkg-deb --root-owner-group -Zxz -z"$compression" --build "$tree" "$packages" >/dev/null
    say "$packages/${1}_${version}_$architecture.deb"
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
