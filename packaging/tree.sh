# A clean Debian to install packages in. Sourced by packaging/test.sh; needs root, and debootstrap once.
# shellcheck shell=bash

pristine=target/package-test/bookworm.tar
tree=$PWD/target/package-test/tree

# Makes the tree anew. What debootstrap brings is kept for the next time.
make_tree() {
    if [ ! -f "$pristine" ]; then
        command -v debootstrap >/dev/null || { echo "debootstrap is not installed" >&2; exit 1; }
        step "a clean Debian 12, once"
        local fresh=target/package-test/fresh
        rm -rf "$fresh"
        mkdir -p "$fresh"
        # systemd for its users and tmpfiles, which the package needs; socat to be the cable.
        # What it mounts goes with its mount namespace, also when it fails.
        unshare --mount debootstrap --variant=minbase --include=systemd,udev,socat bookworm "$fresh" "${NEPHROBOX_MIRROR:-http://deb.debian.org/debian}" \
            > target/package-test/debootstrap.log || { tail target/package-test/debootstrap.log; exit 1; }
        tar -C "$fresh" -cf "$pristine.part" . && mv "$pristine.part" "$pristine"
        rm -rf "$fresh"
    fi
    rm -rf "$tree"
    mkdir -p "$tree"
    tar -C "$tree" --numeric-owner -xpf "$pristine"
}

# Mounts what programs expect of a running system; only in the mount namespace of this script, with which it goes.
mount_tree() {
    mount --make-rprivate /
    mount -t proc proc "$tree/proc"
    mount -t tmpfs -o mode=755 tmpfs "$tree/dev"
    local name minor
    for name in null:3 zero:5 full:7 random:8 urandom:9; do
        minor=${name#*:}
        mknod -m 666 "$tree/dev/${name%:*}" c 1 "$minor"
    done
    mkdir "$tree/dev/pts" "$tree/dev/shm"
    mount -t devpts -o newinstance,ptmxmode=666,mode=620,gid=5 devpts "$tree/dev/pts"
    ln -s pts/ptmx "$tree/dev/ptmx"
    mount -t tmpfs -o mode=1777 tmpfs "$tree/dev/shm"
}

# A command in the tree, as root, with none of this machine's environment.
inside() {
    env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LC_ALL=C.UTF-8 DEBIAN_FRONTEND=noninteractive \
        ${PORT:+NEPHROBOX_PORT=$PORT} chroot "$tree" "$@"
}
