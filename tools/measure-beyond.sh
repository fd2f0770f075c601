#!/usr/bin/env bash
# Measures each option beyond the paper alone against the paper's settings, at a budget for one CPU core, on phantoms
# painted around real KiTS19 label maps. Prints the table of docs/beyond-the-paper.md. Start it again after a kill and it
# goes on.
#
#   NEPHROTRAIN=target/release/nephrotrain nice bash tools/measure-beyond.sh WORK ../shared/data/kits19-labels
#
# What is common to all: ResNet18, 64 x 64 pixels, batches of 4, learning rate 1e-3 (at the paper's 1e-5 a network with
# random weights learns nothing in so few steps). One network is trained with the paper's settings for EPOCHS_BEFORE
# epochs; from its weights every variant goes on for EPOCHS epochs with its own seed.
set -euo pipefail
work=${1:?a folder to work in}
labels=${2:-../shared/data/kits19-labels}
train=${NEPHROTRAIN:-target/release/nephrotrain}
before=${EPOCHS_BEFORE:-6}
epochs=${EPOCHS:-2}
read -ra seeds <<<"${SEEDS:-1 2}"
mkdir -p "$work"

[ -d "$work/phantoms" ] || "$train" phantom --labels "$labels" --out "$work/phantoms" --size 128 --slices-per-case 10 \
    --cases 0..69 --seed 1
[ -f "$work/p64/index.json" ] || "$train" prepare --data "$work/phantoms" --out "$work/p64" --side 64
common="$work/base.toml"
printf 'data = "%s/p64"\nencoder = "resnet18"\nbatch = 4\nlr = 1e-3\n' "$work" >"$common"

# Trains, or goes on training, unless it is done.
ensure() {
    local run=$1
    shift
    [ ! -f "$run/done" ] || return 0
    if [ -f "$run/last.safetensors" ]; then
        "$train" train --out "$run" --resume --device cpu
    else
        rm -rf "$run"
        "$train" train --config "$common" --out "$run" --device cpu "$@"
    fi
    touch "$run/done"
}
ensure "$work/start" --epochs "$before" --seed 1

variants=(
    "paper|"
    "dice-ce|--loss dice-ce"
    "wce-image|--loss wce-image"
    "cosine|--schedule cosine --warm-up 0.1"
    "polynomial|--schedule polynomial --warm-up 0.1"
    "ema|--ema 0.98"
    "balanced|--sample balanced"
    "best|--preset best"
)
for seed in "${seeds[@]}"; do
    for variant in "${variants[@]}"; do
        name=${variant%%|*}
        read -ra options <<<"${variant#*|}"
        run="$work/runs/$name-$seed"
        ensure "$run" --weights "$work/start/last.safetensors" --epochs "$epochs" --seed "$seed" "${options[@]}"
        evaluate() {
            [ -f "$2/metrics.json" ] ||
                "$train" evaluate --run "$run" --split "$1" --device cpu --examples 0 --out "$2" "${@:3}" >/dev/null
        }
        for split in validation test; do
            evaluate "$split" "$run/$split"
        done
        if [ "$name" = paper ]; then
            for split in validation test; do
                evaluate "$split" "$run/$split-flips" --flips
                evaluate "$split" "$run/$split-small" --remove-small
            done
        fi
    done
done

# Dice of kidney and tumour in percent, patients weighted: validation decides, test is only looked at.
python3 - "$work" "${seeds[@]}" <<'PY'
import json, pathlib, sys

work, seeds = pathlib.Path(sys.argv[1]), sys.argv[2:]
rows = [("paper", "paper", ""), ("`--loss dice-ce`", "dice-ce", ""), ("`--loss wce-image`", "wce-image", ""),
        ("`--schedule cosine --warm-up 0.1`", "cosine", ""), ("`--schedule polynomial --warm-up 0.1`", "polynomial", ""),
        ("`--ema 0.98`", "ema", ""), ("`--sample balanced`", "balanced", ""),
        ("paper, `evaluate --flips`", "paper", "-flips"), ("paper, `evaluate --remove-small`", "paper", "-small"),
        ("`--preset best`", "best", "")]


def dice(run, split, what):
    path = work / "runs" / run / f"{split}{what}" / "metrics.json"
    if not path.exists():
        return None
    paper = json.loads(path.read_text())["scores"]["paper"]
    return [100 * (paper[c]["dice"] or 0) for c in ("kidney", "tumour")]


print("| variant | " + " | ".join(f"{s} {c}" for s in ("validation", "test") for c in ("kidney", "tumour")) + " |")
print("| --- " * 5 + "|")
for title, name, what in rows:
    cells = []
    for split in ("validation", "test"):
        found = [d for s in seeds if (d := dice(f"{name}-{s}", split, what))]
        for c in range(2):
            values = [d[c] for d in found]
            text = " / ".join(f"{v:.1f}" for v in values) or "-"
            cells.append(text)
    print(f"| {title} | " + " | ".join(cells) + " |")
PY
