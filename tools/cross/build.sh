#!/usr/bin/env bash
# Builds for aarch64 Linux (Jetson and alike), without CUDA.
#
#   tools/cross/build.sh             the box and the tools: nephrobox, nephroctl
#   tools/cross/build.sh trainer     nephrotrain as well, which takes twenty minutes of processor time, most of it for Burn
#
# Says where the programs lie, which libraries they want, and from which glibc on they run.
source "$(dirname "$0")/common.sh"

programs=(nephrobox nephroctl)
case ${1-} in
    "") ;;
    trainer) programs+=(nephrotrain) ;;
    *)
        usage
        exit 2
        ;;
esac
choose_cargo
need aarch64-linux-gnu-gcc aarch64-linux-gnu-objdump

for_target build --bins
if [ ${#programs[@]} -gt 2 ]; then
    # By itself: beside it, the box would be built with features that only the trainer wants.
    "${CARGO[@]}" build --release --locked --target "$TARGET" -p nephrotrain
fi

for program in "${programs[@]}"; do
    file=$THERE/$program
    libraries=$(aarch64-linux-gnu-objdump -p "$file" | awk '$1 == "NEEDED" { print $2 }' | paste -sd' ')
    glibc=$(aarch64-linux-gnu-objdump -T "$file" | grep -o 'GLIBC_[0-9.]*' | sort -Vu | tail -n1)
    printf '%s: %s bytes, needs %s of at least %s\n' "$file" "$(stat -c %s "$file")" "$libraries" "$glibc"
done
