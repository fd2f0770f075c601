#!/bin/sh
# Runs the engine's tests under a checker of memory, and says what it ran:
#
#   tools/sanitize.sh             the best there is: Miri if the nightly toolchain has it, else AddressSanitizer
#   tools/sanitize.sh miri        the portable kernels, interpreted: every pointer, every alignment, every read of what nobody wrote
#   tools/sanitize.sh address     all kernels of this processor: reads and writes outside of what was allocated
#   tools/sanitize.sh valgrind    the portable and the AVX2 kernels, with the stable toolchain: the same, and decisions on what nobody wrote
#
# Words after the first go to the test programs: `tools/sanitize.sh address int8` runs tests with "int8" in their names.
# Needs: rustup's nightly toolchain for the first two, valgrind for the last. Builds into target/sanitize. Ends with 0 if nothing was found.
set -eu
cd "$(dirname "$0")/.."

nightly=+nightly
target=x86_64-unknown-linux-gnu
[ "$(uname -m)" = aarch64 ] && target=aarch64-unknown-linux-gnu
export CARGO_TARGET_DIR="$PWD/target/sanitize"
# Fewer cases of every property: a checked program takes ten times as long and more.
export PROPTEST_CASES="${PROPTEST_CASES:-8}"

has_miri() {
    cargo $nightly miri --version >/dev/null 2>&1
}

mode=${1:-best}
[ $# -gt 0 ] && shift
if [ "$mode" = best ]; then
    if has_miri; then mode=miri; else
        echo "sanitize: this nightly has no Miri; AddressSanitizer instead"
        mode=address
    fi
fi

say() {
    echo "sanitize: $*"
}
begun=$(date +%s)
case $mode in
miri)
    has_miri || { say "there is no Miri in this nightly; rustup component add --toolchain nightly miri"; exit 2; }
    say "Miri, portable kernels: cargo $nightly miri test -p nephrobox-engine --lib"
    NEPHROBOX_KERNELS=portable MIRIFLAGS="-Zmiri-disable-isolation" \
        cargo $nightly miri test -p nephrobox-engine --lib -- "$@"
    ;;
address)
    say "AddressSanitizer, $target: cargo $nightly test -p nephrobox-engine --lib --tests"
    say "test programs see every kernel set that this processor has"
    RUSTFLAGS="-Zsanitizer=address -Cforce-frame-pointers=yes" ASAN_OPTIONS="detect_stack_use_after_return=1" \
        cargo $nightly test -p nephrobox-engine --lib --tests --target "$target" --no-fail-fast -- "$@"
    ;;
valgrind)
    command -v valgrind >/dev/null || { say "there is no valgrind; apt-get install valgrind"; exit 2; }
    say "valgrind memcheck: the kernels' own tests and the bundled network, portable and AVX2"
    # It knows no AVX-512, so the processor must not be asked what it has.
    for kernels in portable avx2; do
        for test in "--lib" "--test hostile"; do
            say "NEPHROBOX_KERNELS=$kernels, $test"
            # shellcheck disable=SC2086
            NEPHROBOX_KERNELS=$kernels \
                CARGO_TARGET_X86_64_UNKNOWN_LINUX_GNU_RUNNER="valgrind --error-exitcode=9 --quiet --fair-sched=yes" \
                cargo test -p nephrobox-engine $test -- "$@"
        done
    done
    ;;
*)
    say "no such checker: $mode; say miri, address or valgrind"
    exit 2
    ;;
esac
say "$mode: nothing found, $(($(date +%s) - begun)) s"
