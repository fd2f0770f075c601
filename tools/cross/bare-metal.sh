#!/usr/bin/env bash
# Builds `shared` for a processor without an operating system (thumbv7em-none-eabihf: Cortex-M4F, M7F): without a heap, with one, and the
# proof that calls what works without.
#
#   tools/cross/bare-metal.sh
#
# A target without std is the only proof that no dependency names std. The standard library's parts `core` and `alloc` are built from Debian's
# sources, for which the compiler has to be told that unstable options are meant; no line of the project needs that.
source "$(dirname "$0")/common.sh"
[ $# = 0 ] || { usage; exit 2; }

if has_target "$BARE"; then
    build=(cargo build)
else
    rustc +deb --version >/dev/null 2>&1 || fail "no Rust compiler here can build for $BARE" \
        "tools/cross/setup.sh, or with a network: rustup target add $BARE"
    [ -d "$(rustc +deb --print sysroot)/lib/rustlib/src/rust/library/core" ] ||
        fail "the sources of Rust's standard library are not here" "apt-get install rust-web-src"
    export RUSTC_BOOTSTRAP=1
    build=(cargo +deb build "-Zbuild-std=core,alloc")
fi
for what in "nephrobox-shared --no-default-features" "nephrobox-shared --no-default-features --features alloc" nephrobox-no-std-proof; do
    echo "== $what, for $BARE"
    # shellcheck disable=SC2086 # words of a command
    "${build[@]}" --release --locked --target "$BARE" -p $what
done
