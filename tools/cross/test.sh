#!/usr/bin/env bash
# Tests on aarch64: natively on such a machine, else under qemu on two processors, with the dot product extension and without it.
#
#   tools/cross/test.sh            `shared`, `engine`, the box's way from a scan to its report, unit tests of box and tools
#   tools/cross/test.sh kernels    only that every kernel computes what the portable one does, on three processors
#
# The release profile, as delivered, so that nothing is built a second time for it.
source "$(dirname "$0")/common.sh"

choose_cargo
need aarch64-linux-gnu-gcc
[ "$(uname -m)" = aarch64 ] || need qemu-aarch64
# on PROCESSOR:KERNELS COMMAND...
on() {
    printf '\n== aarch64, %s, kernels %s\n' "${1%:*}" "${1#*:}"
    QEMU_CPU=${1%:*} NEPHROBOX_KERNELS=${1#*:} "${@:2}"
}

case ${1-} in
    "")
        # Of the box what runs in one process: what starts other programs cannot, since the kernel here does not know aarch64's.
        tests=(--lib --test class --test diameters --test link --test measure --test metrics --test package --test preprocess
            --test report --test sided --test allocations --test confidence --test demo --test programs --test scans
            --test road --test refusals --test page --test sheet)
        # Nor `hostile`, which measures the memory of its process, and that is qemu's here.
        # The 210 label maps of KiTS19, and the bundled model a hundred times on real slices, are the same work on every processor and take
        # qemu hours; compare.sh has that model's label maps of real slices.
        for processor in cortex-a76:neon-dot cortex-a72:neon; do
            on "$processor" for_target test "${tests[@]}" -- --skip the_program_ends_with_the_documented_codes --skip kits19:: --skip real::
        done
        ;;
    kernels)
        # The engine alone, which needs less built.
        engine=("${CARGO[@]}" test --release --locked --target "$TARGET" -p nephrobox-engine)
        for processor in cortex-a76:neon-dot cortex-a72:neon max:neon-dot; do
            on "$processor" "${engine[@]}" --lib kernels::
            on "$processor" "${engine[@]}" --test programs integers::all_processors
        done
        ;;
    *)
        usage
        exit 2
        ;;
esac
