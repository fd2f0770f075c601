#!/usr/bin/env bash
# Counts the instructions that one slice takes on aarch64, for each kind of kernels, as a stand-in for time: qemu's own speed says nothing
# about a processor's, but what it executes is what a processor would.
#
#   tools/cross/instructions.sh [demo|resnet101...]
#
#   demo        the bundled model: the box's `nephrobox bench` on one slice and on two
#   resnet101   a ResNet101 U-Net with random weights: engine/examples/int8.rs with no slice and with one
#
# Both if none is named. Two runs that differ by one slice are counted, so that what a start takes is in neither difference. One thread,
# 256 x 256, the release build. Prints rows for the table in docs/target.md. The counter is instructions.c, a plugin for qemu 4.2 to 8.1.
source "$(dirname "$0")/common.sh"

networks=("$@")
[ $# -gt 0 ] || networks=(demo resnet101)
for network in "${networks[@]}"; do
    [[ $network = demo || $network = resnet101 ]] || { usage; exit 2; }
done
choose_cargo
need aarch64-linux-gnu-gcc qemu-aarch64 gcc python3
work=$FOUND/instructions
mkdir -p "$work"

gcc -std=gnu11 -O2 -Wall -Wextra -Werror -shared -fPIC -fvisibility=hidden -o "$work/counter.so" tools/cross/instructions.c
# count FILE COMMAND...: writes to the file what the command executes.
count() {
    QEMU_PLUGIN="file=$work/counter.so,out=$1" tools/cross/run "${@:2}" >"$work/said" 2>&1 || {
        cat "$work/said"
        fail "a program did not end well under qemu, see above" "run it alone: tools/cross/run ${*:2}"
    }
    [ -s "$1" ] || fail "qemu-aarch64 did not load the counter" "use qemu 4.2 to 8.1, as Debian 12 has it"
}

# First what is known.
aarch64-linux-gnu-gcc -o "$work/known" tools/cross/instructions.s
count "$work/known.json" "$work/known"
python3 - "$work/known.json" <<'PYTHON' || fail "a program of known instructions was counted wrong" "look at $work/known.json"
import json, sys
found = json.load(open(sys.argv[1]))
# Those of the loop, and what the C library does before it; dot products and multiplications it does not do at all.
start = found["vector_memory"] - 200_000, found["vector"] - 150_000
sys.exit(found["dot"] != 200_000 or found["multiply"] != 250_000 or not all(0 <= more < 2_000 for more in start))
PYTHON

for_target build --bin nephrobox --example int8

# Two slices of the same pattern, as f32 in 0 to 1.
python3 - "$work/one.f32" "$work/two.f32" <<'PYTHON'
import array, sys
slice = array.array("f", ((i * 7919 % 1000) / 1000 for i in range(256 * 256)))
for name, slices in zip(sys.argv[1:], (1, 2)):
    with open(name, "wb") as file:
        for _ in range(slices):
            slice.tofile(file)
PYTHON
demo() {
    local name=$1 slices=(one two)
    count "$name" "$THERE/nephrobox" bench models/demo-resnet18.nbx --threads 1 --slices "$work/${slices[$2]}.f32" --labels "$work/labels"
}
resnet101() { count "$1" "$THERE/examples/int8" 1 "$2" 256; }

echo "| network | kernels | million instructions | of them products | other vector | vector memory | memory | integers | branches |"
echo "| --- | --- | --- | --- | --- | --- | --- | --- | --- |"
for network in "${networks[@]}"; do
    for processor in cortex-a76:neon-dot cortex-a72:neon cortex-a72:portable; do
        export QEMU_CPU=${processor%:*} NEPHROBOX_KERNELS=${processor#*:}
        for slices in 0 1; do
            "$network" "$work/$network-$NEPHROBOX_KERNELS-$slices.json" "$slices"
        done
        python3 - "$network" "$NEPHROBOX_KERNELS" "$work/$network-$NEPHROBOX_KERNELS" <<'PYTHON'
import json, sys
network, kernels, files = sys.argv[1:]
less, more = (json.load(open(f"{files}-{slices}.json")) for slices in (0, 1))
of = {kind: (more[kind] - less[kind]) / 1e6 for kind in more}
cells = of["all"], of["dot"] + of["multiply"], of["vector"], of["vector_memory"], of["memory"], of["rest"], of["branch"]
print(f"| {network} | {kernels} |", " | ".join(f"{cell:,.1f}" for cell in cells), "|")
PYTHON
    done
done
