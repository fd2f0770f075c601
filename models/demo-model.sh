#!/usr/bin/env bash
# Makes models/demo-resnet18.nbx and its sample scan anew: phantoms, prepared set, four trainings, scores, integers, package.
#
#   models/demo-model.sh DATA OUT
#
# DATA is a folder with kits19-labels, kits19-slices-jpg, kits19-slices-png, curvas-slices and ct-volumes; OUT is a
# work folder (about 3 GB). Run it again after an interruption: finished steps are kept and trainings go on.
# About an hour and a quarter on two cores. All steps of one OUT are done by the build that did its first.
set -euo pipefail
data=$(realpath "$1")
mkdir -p "$2"
out=$(realpath "$2")
cd "$(dirname "$0")/.."

# Patients never trained on: real slices of theirs decide (validation) or score (test) the model.
test_cases=case_00025,case_00042,case_00066,case_00118,case_00192,case_00202,case_curvas05,case_curvas11
validation=case_00098,case_00108,case_00183,case_curvas03

if [ ! -f "$out/nephrotrain" ]; then
    cargo build --release -p nephrotrain
    cp "${CARGO_TARGET_DIR:-target}/release/nephrotrain" "$out/nephrotrain.new"
    mv "$out/nephrotrain.new" "$out/nephrotrain"
fi
train() { "$out/nephrotrain" "$@"; }
# Training frees and takes hundreds of megabytes a step; let the allocator keep them.
export MIMALLOC_PURGE_DELAY=-1

# Two paintings of the training patients, and one of the test patients to score the model on.
phantoms() {
    local folder=$1
    shift
    if [ ! -d "$out/$folder" ]; then
        rm -rf "$out/$folder.new"
        train phantom --labels "$data/kits19-labels" --out "$out/$folder.new" --slices-per-case 8 "$@"
        mv "$out/$folder.new" "$out/$folder"
    fi
}
kits() { tr ',' '\n' <<<"$1" | grep -v curvas | paste -sd,; }
phantoms phantoms --seed 1 --exclude "$(kits "$test_cases,$validation")"
phantoms phantoms-b --seed 2 --exclude "$(kits "$test_cases,$validation")"
phantoms phantoms-unseen --seed 3 --cases "$(kits "$test_cases")"

folders=(--data "$out/phantoms" --data "$out/phantoms-b" --data "$data/kits19-slices-jpg" --data "$data/kits19-slices-png"
    --data "$data/curvas-slices" --data "$data/ct-volumes")
if [ ! -f "$out/split.toml" ]; then
    quoted() { tr ',' '\n' <<<"$1" | sort | sed 's/.*/    "&",/'; }
    names=$(ls -d "$out"/phantoms{,-b}/case_* "$data"/{kits19-slices-jpg,kits19-slices-png,curvas-slices,ct-volumes}/case_* |
        xargs -n1 basename | sort -u | grep -vxF "$(tr ',' '\n' <<<"$test_cases,$validation")" | paste -sd,)
    {
        echo "train = ["; quoted "$names"; echo "]"
        echo "validation = ["; quoted "$validation"; echo "]"
        echo "test = ["; quoted "$test_cases"; echo "]"
    } >"$out/split.toml.new"
    mv "$out/split.toml.new" "$out/split.toml"
fi
train prepare "${folders[@]}" --out "$out/prepared" --split "$out/split.toml" --background-fraction 1 \
    --test-cases "$test_cases"

# What all trainings share.
settings=(--data "$out/prepared" --encoder resnet18 --batch 8 --schedule cosine --warm-up 0.02 --loss dice-ce --gamma 1
    --reduction batch --image-weights equal --augment small-data --augment-share 0.9 --device cpu)
stage() {
    local run=$1
    shift
    if [ -f "$run/last.safetensors" ]; then
        train train --out "$run" --resume
    else
        rm -rf "$run"
        train train --out "$run" "${settings[@]}" "$@"
    fi
}
# First on small windows, which are cheap; then on whole images, whose borders and air the windows lack, first with one
# painting of the phantoms, then with the other and an average of the weights, at last with the former again and a longer
# average.
stage "$out/windows" --crop 128 --epochs 5 --lr 1e-3 --repeat kits19-slices-jpg=10 --repeat kits19-slices-png=6 \
    --repeat curvas-slices=4
real=(--repeat kits19-slices-jpg=30 --repeat kits19-slices-png=10 --repeat curvas-slices=8 --repeat ct-volumes=2)
stage "$out/whole" --weights "$out/windows/last.safetensors" --epochs 2 --lr 5e-4 --repeat phantoms=0 "${real[@]}"
stage "$out/final" --weights "$out/whole/last.safetensors" --epochs 2 --lr 3e-4 --ema 0.99 --repeat phantoms-b=0 "${real[@]}"
stage "$out/longer" --weights "$out/final/last.safetensors" --epochs 2 --lr 3e-4 --ema 0.995 --repeat phantoms=0 "${real[@]}"

train evaluate --run "$out/longer" --split test
# The package holds integers. It is refused here if it scores worse than the float network.
train quantise --run "$out/longer" --out models/demo-resnet18.nbx --name demo-resnet18 --model-version 4 \
    --licence-notice "Trained on KiTS19 (CC BY-NC-SA 4.0) and CURVAS (CC BY-NC 4.0) data: non-commercial use only"
[ -d "$out/sample/case_sample" ] ||
    train phantom --procedural --out "$out/sample" --name case_sample --slices 40 --seed 5
mkdir -p models/sample
cp "$out"/sample/case_sample/{imaging,segmentation}.nii.gz models/sample/
