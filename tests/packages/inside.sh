#!/usr/bin/env bash
# Runs in the chroot of run.sh: installs the packages, links a C and a C++ program, serves, and removes the packages.
# /herald has the packages, examples/cmake as `cmake`, and quickstart.c.
set -euo pipefail
export LC_ALL=C PATH=/usr/sbin:/usr/bin:/sbin:/bin DEBIAN_FRONTEND=noninteractive
cd /tmp

ok() { printf 'ok      in the chroot: %s\n' "$*"; }
fail() {
    printf 'FAILED  in the chroot: %s\n' "$*"
    [ ! -e output ] || sed 's/^/        /' output
    exit 1
}
# quietly COMMAND...: shows what it says only if it fails.
quietly() { "$@" >output 2>&1 </dev/null || fail "$*"; }
refused() { ! "$@" >output 2>&1 </dev/null || fail "not refused: $*"; }

refused pkg-config --exists herald
refused getent passwd herald
ok "it is clean: no herald there"

# Without a network: what the packages need beyond a compiler is there, or this fails.
quietly dpkg -i /herald/packages/{,debug/}*.deb
getent passwd herald >/dev/null || fail "no user was made"
ok "the packages are installed"

# shellcheck disable=SC2046 # Flags, one word each.
quietly cc /herald/quickstart.c $(pkg-config --cflags --libs herald) -o quickstart
quietly ./quickstart
ok "README's C program, with pkg-config: $(cat output)"

quietly cmake -S /herald/cmake -B build
quietly cmake --build build
quietly build/quickstart
ldd build/quickstart | grep -q libherald || fail "the C++ program does not use the shared library"
ok "the C++ program, with CMake: $(cat output)"
quietly build/quickstart-static
if ldd build/quickstart-static | grep -q libherald; then fail "the static program uses the shared library"; fi
ok "the same, linked statically"

IFS=. read -r major minor _ <<<"$(pkg-config --modversion herald)"
cat >CMakeLists.txt <<CMAKE
cmake_minimum_required(VERSION 3.16)
project(versions C)
foreach(wanted $major $major.$minor $major.$minor.0)
  find_package(herald \${wanted} QUIET)
  if(NOT herald_FOUND)
    message(FATAL_ERROR "not found: \${wanted}")
  endif()
endforeach()
foreach(wanted $major.$((minor + 1)) $((major + 1)) $((major + 1)).$minor)
  find_package(herald \${wanted} QUIET)
  if(herald_FOUND)
    message(FATAL_ERROR "found: \${wanted}")
  endif()
endforeach()
CMAKE
quietly cmake -S . -B versions
ok "CMake finds the versions that fit, and no others"

for folder in /usr/lib/*/herald/plugins; do
    [ -d "$folder" ] || continue
    quietly herald plugin list "$folder"
    ok "$(wc -l <output) lines about the plugins in their folder"
done

# As the unit does it.
install -d -o herald -g herald -m 700 /var/lib/herald
install -d -o herald -g herald -m 755 /run/herald
quietly herald check-config /etc/herald/herald.toml
setpriv --reuid herald --regid herald --init-groups --no-new-privs \
    herald serve --config /etc/herald/herald.toml >served 2>serve.log &
service=$!
for _ in $(seq 300); do
    [ -s served ] && break
    kill -0 "$service" 2>/dev/null || break
    sleep 0.1
done
cps=(--cps unix:/run/herald/herald.sock)
grep -q "listening unix:/run/herald/herald.sock" served || { cp serve.log output; fail "herald serve"; }
quietly herald keygen --out alice --authority authority --number 12025550100
quietly herald keygen --out bob --authority authority --number 12025550123
quietly herald place "${cps[@]}" --from 12025550100 --to 12025550123 --key alice/signing.key \
    --certificate alice/signing.pem --recipient bob/sealing.pub.jwk
check=("${cps[@]}" --to 12025550123 --roots authority/roots.pem --sealing-key bob/sealing.jwk)
quietly herald check "${check[@]}" --from 12025550100
ok "the installed service: $(head -n 1 output)"
refused herald check "${check[@]}" --from 12025550199
kill -TERM "$service"
wait "$service" || { cp serve.log output; fail "the service did not end well"; }
ok "it stops well"

# shellcheck disable=SC2046 # One word each.
quietly dpkg --purge $(dpkg-query -W -f '${Package}\n' '*herald*')
if find / -xdev \( -path /proc -o -path /tmp -o -path /herald -o -path /run/herald \) -prune -o -iname '*herald*' -print | grep . >output; then
    fail "something is left behind"
fi
ok "purged, and nothing is left behind"
