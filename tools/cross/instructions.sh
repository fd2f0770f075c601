#!/usr/bin/env bash
# Counts the instructions that one slice takes on aarch64, for each kind of kernels, as a stand-in for time: qemu's own speed says nothing
# about a processor's, but what it executes is what a processor would.
#
#   tools/cross/instructions.sh [demo|resnet101...]
#
#   demo        the bundled model
#   resnet101   a ResNet101 U-Net with random weights
#
# Both if none is named. The program is engine/examples/int8.rs, release build, one thread, a slice of 256 x 256. The counter, instructions.c, is a
# plugin for qemu 4.2 to 8.1; it writes down what has been executed whenever the program prints a line, and the program prints one right
# before the slice and one right after it: no start is in the numbers. Prints a table, and whether all kernels have computed the same.
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
start = found["vector_memory"] - 200_000, found["vector"] - 100_000
sys.exit(found["dot"] != 200_000 or found["multiply"] != 400_000 or not all(0 <= more < 2_000 for more in start))
PYTHON

for_target build --example int8

echo "| network | GMAC | kernels | million instructions | for a MAC | products | other vector | vector memory | other memory | integers | branches |"
echo "| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |"
for network in "${networks[@]}"; do
    package=()
    [ "$network" = resnet101 ] || package=(models/demo-resnet18.nbx)
    for processor in cortex-a76:neon-dot cortex-a72:neon cortex-a72:portable; do
        export QEMU_CPU=${processor%:*} NEPHROBOX_KERNELS=${processor#*:}
        run=$work/$network-$NEPHROBOX_KERNELS
        count "$run.json" "$THERE/examples/int8" 1 1 256 "${package[@]}"
        cp "$work/said" "$run.txt"
        python3 - "$network" "$NEPHROBOX_KERNELS" "$run" <<'PYTHON'
import json, re, sys
network, kernels, run = sys.argv[1:]
before, after = map(json.loads, open(f"{run}.json").readlines()[:2])
of = {kind: (after[kind] - before[kind]) / 1e6 for kind in after}
gmac = float(re.search(r"([0-9.]+) GMAC", open(f"{run}.txt").readline())[1])
cells = of["dot"] + of["multiply"], of["vector"], of["vector_memory"], of["memory"], of["rest"], of["branch"]
print(f"| {network} | {gmac:.2f} | {kernels} | {of['all']:,.0f} | {of['all'] / 1e3 / gmac:.3f} |", " | ".join(f"{cell:,.0f}" for cell in cells), "|")
PYTHON
    done
    [ "$(tail -qn1 "$work/$network"-*.txt | uniq | wc -l)" = 1 ] ||
        fail "kernels computed different logits on $network" "compare the last lines of $work/$network-*.txt"
    echo "$network, all kernels: $(tail -n1 "$run.txt")" >&2
done
