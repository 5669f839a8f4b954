#!/bin/bash
# Pythons that this machine does not have: those of Debian sid, with CPython's own tests, in a folder.
#
#   tools/sid.sh FOLDER                      make the folder (needs root and debootstrap)
#   tools/sid.sh FOLDER COMMAND [ARGUMENT…]  run a command there, in this repository
#
# A command sees this repository, the home folder with Rust's tools in it, and the certificates that
# this machine trusts, all where they are here. Its target/ is one of its own: what is built there may
# need a newer C library than this machine has. Mounts end with the command.
set -euo pipefail

PYTHONS=${PYTHONS:-3.14 3.15}
repository=$(cd "$(dirname "$0")/.." && pwd)

if [ $# -eq 0 ]; then
    sed -n '2,/^set/s/^# \{0,1\}//p' "$0" >&2
    exit 2
fi
if [ "$(id -u)" -ne 0 ]; then
    echo "courtyard: tools/sid.sh needs root, for chroot and mounts" >&2
    exit 1
fi
mkdir -p "$1"
folder=$(cd "$1" && pwd)
shift

# Where this machine takes Debian's packages from.
mirror() {
    local files=(/etc/apt/sources.list /etc/apt/sources.list.d/*)
    cat "${files[@]}" 2>/dev/null | grep -oE '^(URIs:|deb) .*' | grep -oE 'https?://[^ ]*/debian/?( |$)' | head -1
}

if [ $# -eq 0 ]; then
    command -v debootstrap >/dev/null ||
        { echo "courtyard: 'debootstrap' is missing (Debian and Ubuntu: apt install debootstrap)" >&2; exit 1; }
    packages=(gcc libc6-dev make procps)
    for version in $PYTHONS; do
        packages+=("python$version-venv" "python$version-dev" "libpython$version-testsuite")
    done
    # Without an argument debootstrap uses the mirror that it knows.
    [ -e "$folder/etc/debian_version" ] ||
        debootstrap --variant=minbase --include=ca-certificates sid "$folder" $(mirror)
    cp /etc/resolv.conf "$folder/etc/resolv.conf"
    # How this machine takes them: by which proxy, and whether a mirror that stands still will do.
    ! command -v apt-config >/dev/null || apt-config dump Acquire >"$folder/etc/apt/apt.conf.d/99machine"
    export DEBIAN_FRONTEND=noninteractive
    chroot "$folder" apt-get -q update
    chroot "$folder" apt-get -qy --no-install-recommends install "${packages[@]}"
    exit
fi

mkdir -p "$folder$HOME" "$folder$repository" "$folder/target" "$repository/target"
exec unshare --mount --propagation private bash -euc '
    folder=$1 repository=$2
    shift 2
    for place in /proc /sys /dev /etc/ssl "$HOME" "$repository"; do
        mount --rbind "$place" "$folder$place"
    done
    mount --bind "$folder/target" "$folder$repository/target"
    exec chroot "$folder" bash -c "cd \"\$1\" && shift && exec \"\$@\"" bash "$repository" "$@"
' bash "$folder" "$repository" "$@"
