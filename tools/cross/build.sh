#!/usr/bin/env bash
# Builds for aarch64 Linux (Jetson and alike), without CUDA.
#
#   tools/cross/build.sh             the box and the tools: nephrobox, nephroctl
#   tools/cross/build.sh trainer     nephrotrain as well, which takes ten minutes of processor time for Burn
#
# Says where the programs lie, which libraries they want, and from which glibc on they run.
source "$(dirname "$0")/common.sh"

packages=(nephrobox nephroctl)
case ${1-} in
    "") ;;
    trainer) packages+=(nephrotrain) ;;
    *)
        usage
        exit 2
        ;;
esac
choose_cargo
need aarch64-linux-gnu-gcc aarch64-linux-gnu-objdump

# One at a time: together they would choose other features of what they share, and the box would not be the one that is built alone.
"${CARGO[@]}" build --release --locked --target "$TARGET" -p nephrobox -p nephroctl
if [ ${#packages[@]} -gt 2 ]; then
    "${CARGO[@]}" build --release --locked --target "$TARGET" -p nephrotrain
fi

for program in "${packages[@]}"; do
    file=$(target_folder)/$TARGET/release/$program
    libraries=$(aarch64-linux-gnu-objdump -p "$file" | awk '$1 == "NEEDED" { print $2 }' | paste -sd' ')
    glibc=$(aarch64-linux-gnu-objdump -T "$file" | grep -o 'GLIBC_[0-9.]*' | sort -Vu | tail -n1)
    printf '%s: %s bytes, needs %s of at least %s\n' "$file" "$(stat -c %s "$file")" "$libraries" "$glibc"
done
