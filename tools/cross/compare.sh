#!/usr/bin/env bash
# Whether a scan has the same results on aarch64 as here: `nephrobox segment` natively and under qemu, once with each kind of kernels that
# aarch64 has, and everything that was written compared: each voxel, each number of the report, each byte of label map and pictures.
#
#   tools/cross/compare.sh [--slices N] [--network] [--here PROGRAM] [--there PROGRAM] [SCAN.nii.gz...]
#
#   --slices N        only the middle N slices of each scan: qemu takes long
#   --network         also one slice through a ResNet101 with random weights; all logits are compared
#   --here PROGRAM    a `nephrobox` for this machine, else the tree's is built
#   --there PROGRAM   a `nephrobox` for aarch64, else the tree's is built
#   SCAN...           else the bundled scan and, where ../shared/data has them, real CT volumes
#
# Needs Python 3. Results stay in target/cross/compare. The model is the bundled one, in integers.
source "$(dirname "$0")/common.sh"

slices=0 network=false here='' there='' scans=()
while [ $# -gt 0 ]; do
    case $1 in
        --slices)
            [[ ${2-} =~ ^[1-9][0-9]*$ ]] || { usage; exit 2; }
            slices=$2
            shift
            ;;
        --network) network=true ;;
        --here | --there)
            [ -x "${2-}" ] || fail "$1 wants a program" "name one that can be started"
            [ "$1" = --here ] && here=$2 || there=$2
            shift
            ;;
        -*)
            usage
            exit 2
            ;;
        *) scans+=("$1") ;;
    esac
    shift
done
if [ ${#scans[@]} = 0 ]; then
    scans=(models/sample/imaging.nii.gz)
    shopt -s nullglob
    scans+=(../shared/data/ct-volumes/*/imaging.nii.gz)
fi
for scan in "${scans[@]}"; do
    [ -f "$scan" ] || fail "there is no scan $scan" "name volumes (.nii.gz)"
done
choose_cargo
need aarch64-linux-gnu-gcc qemu-aarch64 python3

model=models/demo-resnet18.nbx
out=$FOUND/compare
mkdir -p "$out"
if [ -z "$here" ]; then
    cargo build --release --locked -p nephrobox
    here=$HERE/nephrobox
fi
if [ -z "$there" ]; then
    for_target build --bin nephrobox
    there=$THERE/nephrobox
fi
# Nothing of an earlier run, and nothing of the person's own.
NEPHROBOX_STATE=$(mktemp -d)
export NEPHROBOX_STATE
trap 'rm -rf "$NEPHROBOX_STATE"' EXIT
failed=0

# on WHAT COMMAND...: says what runs, keeps what it says for the case that it fails.
on() {
    local what=$1
    shift
    "$@" >"$out/said" 2>&1 || { cat "$out/said"; fail "$what failed, see above" "run it alone: $*"; }
}

# under PROCESSOR KERNELS COMMAND...: runs a program for aarch64 on such a processor with these kernels.
under() { QEMU_CPU=$1 NEPHROBOX_KERNELS=$2 tools/cross/run "${@:3}"; }
processors=(cortex-a76:neon-dot cortex-a72:neon cortex-a72:portable)

number=0
for scan in "${scans[@]}"; do
    number=$((number + 1))
    # The name is in the report, so all read the same file.
    input=$out/$number/imaging.nii.gz
    rm -rf "${out:?}/$number"
    mkdir -p "$out/$number"
    if [ "$slices" -gt 0 ]; then
        python3 tools/cross/compare.py part "$scan" "$input" "$slices"
    else
        cp "$scan" "$input"
    fi
    echo "== $scan, $([ "$slices" = 0 ] && echo whole || echo "the middle $slices slices")"
    on "the box here" "$here" segment "$input" --model "$model" --out "$out/$number/here"
    for processor in "${processors[@]}"; do
        kernels=${processor#*:}
        on "the box on ${processor%:*}" under "${processor%:*}" "$kernels" \
            "$there" segment "$input" --model "$model" --out "$out/$number/$kernels"
        python3 tools/cross/compare.py results "$out/$number/here" "$out/$number/$kernels" || failed=1
    done
done

# Refusals are the same sentences with the same exit codes.
for scan in nowhere.nii.gz Cargo.toml "$model" tools; do
    said=() codes=()
    for program in "$here" "tools/cross/run $there"; do
        code=0
        # shellcheck disable=SC2086 # words of a command
        said+=("$($program segment "$scan" --model "$model" --out "$out/refused" 2>&1)") || code=$?
        codes+=("$code")
    done
    if [ "${said[0]}" = "${said[1]}" ] && [ "${codes[0]}" = "${codes[1]}" ] && [ "${codes[0]}" != 0 ]; then
        echo "refusal of $scan: the same sentence and exit code ${codes[0]}"
    else
        printf 'refusal of %s differs:\n%s (%s)\n%s (%s)\n' "$scan" "${said[0]}" "${codes[0]}" "${said[1]}" "${codes[1]}"
        failed=1
    fi
done

if $network; then
    echo "== ResNet101 U-Net with random weights, one slice of 256 x 256"
    cargo build --release --locked -p nephrobox-engine --example int8
    for_target build --example int8
    wanted=$("$HERE/examples/int8" 1 0 | tail -n1)
    echo "here: $wanted"
    for processor in "${processors[@]}"; do
        found=$(under "${processor%:*}" "${processor#*:}" "$THERE/examples/int8" 1 0 | tail -n1)
        if [ "$found" = "$wanted" ]; then
            echo "${processor#*:}: the same"
        else
            echo "${processor#*:} differs: $found"
            failed=1
        fi
    done
fi
exit "$failed"
