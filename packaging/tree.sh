# A clean Debian to install packages in. Sourced by packaging/test.sh; needs root, cgroup2, and debootstrap once.
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

# Starts the tree's own systemd in it, in namespaces of its own: nothing that happens there is seen here, and all of it ends with init.
boot_tree() {
    local groups
    groups=$(findmnt -nt cgroup2 -o TARGET | head -n 1)
    [ -n "$groups" ] || { echo "no cgroup2 is mounted, which systemd needs" >&2; exit 1; }
    group=$groups/nephrobox-package-test
    mkdir -p "$group"
    # shellcheck disable=SC2016 # for the inner shell
    (echo "$BASHPID" > "$group/cgroup.procs" && exec unshare --mount --pid --net --uts --ipc --cgroup --fork --kill-child \
        bash -c '. packaging/tree.sh; mount_tree; exec env -i container=unshare PATH=/usr/sbin:/usr/bin:/sbin:/bin chroot "$tree" /lib/systemd/systemd') \
        > "$logs/boot.log" 2>&1 &
    outer=$!
    trap stop_tree EXIT
    until_true pgrep -P "$outer" > /dev/null || fail "no systemd in the tree: $(cat "$logs/boot.log")"
    init=$(pgrep -P "$outer")
    until_true booted || fail "systemd does not start: $(tail "$logs/boot.log")"
}
booted() { inside systemctl is-active --quiet basic.target 2> /dev/null; }
stop_tree() {
    kill -9 "$outer"
    wait "$outer" 2> /dev/null || true
    until_true ungrouped || echo "$group is left" >&2
}
# The last processes of a tree take their time to go.
ungrouped() { find "$group" -depth -type d -exec rmdir {} \; 2> /dev/null; [ ! -d "$group" ]; }

# What systemd expects of a machine; only in its own mount namespace, with which it goes.
mount_tree() {
    mount --make-rprivate /
    mount --bind "$tree" "$tree"
    mount -t proc proc "$tree/proc"
    mount -t sysfs -o ro sysfs "$tree/sys"
    mount -t cgroup2 cgroup2 "$tree/sys/fs/cgroup"
    mount -t tmpfs -o mode=755 tmpfs "$tree/run"
    mount -t tmpfs -o mode=755 tmpfs "$tree/dev"
    local name
    for name in null:3 zero:5 full:7 random:8 urandom:9; do
        mknod -m 666 "$tree/dev/${name%:*}" c 1 "${name#*:}"
    done
    mkdir "$tree/dev/pts" "$tree/dev/shm"
    mount -t devpts -o newinstance,ptmxmode=666,mode=620,gid=5 devpts "$tree/dev/pts"
    ln -s pts/ptmx "$tree/dev/ptmx"
}

# A command in the tree, as root, with none of this machine's environment.
inside() {
    nsenter -t "$init" -m -p -n -u -i -C env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LC_ALL=C.UTF-8 DEBIAN_FRONTEND=noninteractive \
        NEPHROBOX_PORT=/dev/ttyCable chroot "$tree" "$@"
}
