#!/bin/sh
# Runs the engine's tests under a checker of memory, and says what it ran:
#
#   tools/sanitize.sh             the best there is: Miri if the nightly toolchain has it, else AddressSanitizer
#   tools/sanitize.sh miri        the portable kernels, interpreted: every pointer, every alignment, every read of what nobody wrote
#   tools/sanitize.sh address     all kernels of this processor: reads and writes outside of what was allocated
#   tools/sanitize.sh valgrind    the portable and the AVX2 kernels of the ordinary build: the same, and decisions on what nobody wrote
#
# Words after the first go to the test programs: `tools/sanitize.sh address int8` runs tests with "int8" in their names.
# Which test programs: SUITES="--lib --test hostile" and the like; all of the engine's by default, the kernels' own under Miri and valgrind.
# Needs: rustup's nightly toolchain for the first two, valgrind for the last, which takes the
# ordinary build; the others build into target/sanitize. Ends with 0 if nothing was found.
set -eu
cd "$(dirname "$0")/.."

nightly=+nightly
target=x86_64-unknown-linux-gnu
[ "$(uname -m)" = aarch64 ] && target=aarch64-unknown-linux-gnu
export CARGO_TARGET_DIR="$PWD/target/sanitize"
# What others wrote need not be fast here, and is built in half the time.
quick='profile.dev.package."*".opt-level=1'

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
    suites=${SUITES:-"--lib"}
    say "Miri, portable kernels: cargo $nightly miri test -p nephrobox-engine $suites"
    # shellcheck disable=SC2086
    NEPHROBOX_KERNELS=portable MIRIFLAGS="-Zmiri-disable-isolation" \
        cargo $nightly miri test -p nephrobox-engine $suites -- "$@"
    ;;
address)
    suites=${SUITES:-"--lib --tests"}
    say "AddressSanitizer, all kernels of this processor: cargo $nightly test -p nephrobox-engine $suites --target $target"
    # shellcheck disable=SC2086
    RUSTFLAGS="-Zsanitizer=address -Cforce-frame-pointers=yes" ASAN_OPTIONS="detect_stack_use_after_return=1" \
        cargo $nightly --config "$quick" test -p nephrobox-engine $suites --target "$target" --no-fail-fast -- "$@"
    ;;
valgrind)
    command -v valgrind >/dev/null || { say "there is no valgrind; apt-get install valgrind"; exit 2; }
    # With the ordinary build: valgrind watches machine code. It knows no AVX-512, and says so to whoever asks the processor.
    unset CARGO_TARGET_DIR
    suites=${SUITES:-"--lib"}
    say "valgrind memcheck, portable and AVX2 kernels: cargo test -p nephrobox-engine $suites"
    # shellcheck disable=SC2086
    CARGO_TARGET_X86_64_UNKNOWN_LINUX_GNU_RUNNER="valgrind --error-exitcode=9 --quiet --fair-sched=yes" \
        cargo test -p nephrobox-engine $suites -- "$@"
    ;;
*)
    say "no such checker: $mode; say miri, address or valgrind"
    exit 2
    ;;
esac
say "$mode: nothing found, $(($(date +%s) - begun)) s"
