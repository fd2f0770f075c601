#!/usr/bin/env bash
# Tests on aarch64: natively on such a machine, else under qemu on two processors, with the dot product extension and without it.
#
#   tools/cross/test.sh            `shared`, `engine`, and the box's way from a scan to its report
#   tools/cross/test.sh kernels    only that every kernel computes what the portable one does, on three processors
#
# The release profile, as delivered, so that nothing is built a second time for it.
source "$(dirname "$0")/common.sh"

choose_cargo
need aarch64-linux-gnu-gcc
[ "$(uname -m)" = aarch64 ] || need qemu-aarch64
suite() { "${CARGO[@]}" test --release --locked --target "$TARGET" "$@"; }
# on PROCESSOR:KERNELS COMMAND...
on() {
    printf '\n== aarch64, %s, kernels %s: %s\n' "${1%:*}" "${1#*:}" "${*:3}"
    QEMU_CPU=${1%:*} NEPHROBOX_KERNELS=${1#*:} "${@:2}"
}

case ${1-} in
    "")
        # Two of the engine's tests measure this machine and not the code: those that a slow translator would fail stand below.
        for processor in cortex-a76:neon-dot cortex-a72:neon; do
            on "$processor" suite -p nephrobox-shared -p nephrobox-engine
        done
        # The box, in this process: what starts other programs cannot, since the kernel here does not know aarch64's.
        on cortex-a76:neon-dot suite -p nephrobox --test road --test refusals --test page --test sheet -- \
            --skip the_program_ends_with_the_documented_codes
        ;;
    kernels)
        for processor in cortex-a76:neon-dot cortex-a72:neon max:neon-dot; do
            on "$processor" suite -p nephrobox-engine --lib kernels::
            on "$processor" suite -p nephrobox-engine --test programs integers::all_processors
        done
        ;;
    *)
        usage
        exit 2
        ;;
esac
