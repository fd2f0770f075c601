#!/usr/bin/env bash
# Installs what building and testing for aarch64 and for bare metal needs, from Debian's packages alone.
#
#   tools/cross/setup.sh           what is there, what is missing, and the commands that would get it
#   tools/cross/setup.sh install   runs them (as root, on Debian 12)
#
# It adds the architecture arm64 to dpkg, installs Debian's Rust compiler with the arm64 standard library and its sources, the GNU cross
# compiler, and qemu for programs; then, where rustup is, it links that compiler as the toolchain `deb`. Plain `cargo` stays what it was.
source "$(dirname "$0")/common.sh"

# libc6-dev-arm64-cross is for the linker; what qemu runs uses libc6:arm64, which comes with the arm64 standard library.
packages=(rustc-web cargo-web libstd-rust-web-dev libstd-rust-web-dev:arm64 rust-web-src
    gcc-aarch64-linux-gnu g++-aarch64-linux-gnu libc6-dev-arm64-cross qemu-user gcc)
commands=(
    "dpkg --add-architecture arm64"
    "apt-get update"
    "env DEBIAN_FRONTEND=noninteractive apt-get -o DPkg::Lock::Timeout=120 install -y --no-install-recommends ${packages[*]}"
)
if command -v rustup >/dev/null; then
    commands+=("rustup toolchain link deb /usr")
fi

state() {
    local missing=0 what
    for what in aarch64-linux-gnu-gcc aarch64-linux-gnu-g++ qemu-aarch64 gcc; do
        if command -v "$what" >/dev/null; then
            echo "there:   $what"
        else
            echo "missing: $what"
            missing=1
        fi
    done
    if has_target "$TARGET" || has_target "$TARGET" +deb; then
        echo "there:   a Rust compiler with $TARGET"
    else
        echo "missing: a Rust compiler with $TARGET"
        missing=1
    fi
    return "$missing"
}

case ${1-} in
    "")
        if state; then
            echo "Nothing to do."
        else
            echo "To do, as root on Debian 12 (or: tools/cross/setup.sh install):"
            printf '  %s\n' "${commands[@]}"
            exit 1
        fi
        ;;
    install)
        [ "$(id -u)" = 0 ] || fail "packages can only be installed by root" "sudo tools/cross/setup.sh install"
        command -v apt-get >/dev/null || fail "this is no Debian" "install the equals of: ${packages[*]}"
        for command in "${commands[@]}"; do
            echo "+ $command"
            # shellcheck disable=SC2086 # words of a command
            $command
        done
        state
        ;;
    *)
        usage
        exit 2
        ;;
esac
