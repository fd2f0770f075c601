#!/usr/bin/env python3
"""The benchmark of docs/benchmark.md: presets, options beyond the paper, and PyTorch, at equal steps and seeds.

    cargo build --release -p nephrotrain
    python3 tools/benchmark.py WORK ../shared/data/kits19-labels --torch venv/bin/python

Phantoms are painted around the label maps of KiTS19 (the split by patients is fixed), every variant trains on them from
random weights with each seed, one after the other, and is scored on the validation and the test patients. Neighbouring
slices need whole volumes, so they are compared on invented patients. Start it again after a kill and it goes on; with more
seeds it adds those. Needs Python 3.11 alone; for --torch see tools/peers/benchmark_torch.py.
"""

import argparse
import json
import pathlib
import shutil
import statistics
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
PARTS, CLASSES = ("validation", "test"), ("kidney", "tumour")

FALLING = "--schedule cosine --warm-up 0.05"
# Title in the table, folder, flags of `train`.
VARIANTS = [
    ("`--preset paper`", "paper", ""),
    ("`--loss dice-ce`", "dice-ce", "--loss dice-ce"),
    ("`--loss wce-image`", "wce-image", "--loss wce-image"),
    (f"`{FALLING}`", "cosine", FALLING),
    ("`--schedule polynomial --warm-up 0.05`", "polynomial", "--schedule polynomial --warm-up 0.05"),
    ("`--ema 0.98`", "ema", "--ema 0.98"),
    ("`--sample balanced`", "balanced", "--sample balanced"),
    ("cosine, `--loss dice-ce`", "cosine-dice-ce", f"{FALLING} --loss dice-ce"),
    ("cosine, `--sample balanced`", "cosine-balanced", f"{FALLING} --sample balanced"),
    ("`--preset best`", "best", "--preset best"),
]
# Judged on the networks of `paper`: flags of `evaluate`.
AT_TEST_TIME = [
    ("paper, `evaluate --flips`", "flips", "--flips"),
    ("paper, `evaluate --remove-small`", "small", "--remove-small"),
]
NEIGHBOURS = [
    ("one slice, cosine", "invented-cosine-one", f"--channels 1 {FALLING}"),
    ("`--channels 3 --neighbours`, cosine", "invented-cosine-three", f"--channels 3 --neighbours {FALLING}"),
]
# The same in PyTorch: title, name, flags of benchmark_torch.py.
PEERS = [
    ("paper's settings in PyTorch", "torch", ""),
    ("cosine in PyTorch", "torch-cosine", FALLING),
]

parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
parser.add_argument("work", type=pathlib.Path)
parser.add_argument("labels", type=pathlib.Path)
parser.add_argument("--nephrotrain", default=ROOT / "target/release/nephrotrain", type=pathlib.Path)
parser.add_argument("--torch", metavar="PYTHON", help="a Python with PyTorch and Albumentations")
parser.add_argument("--seeds", nargs="+", type=int, default=[1, 2])
parser.add_argument("--only", nargs="+", metavar="NAME", help="only these variants")
parser.add_argument("--epochs", type=int, default=5)
parser.add_argument("--batch", type=int, default=8)
parser.add_argument("--lr", type=float, default=1e-3)
parser.add_argument("--side", type=int, default=96)
parser.add_argument("--patients", type=int, default=30, help="invented ones")
arguments = parser.parse_args()
work = arguments.work.resolve()


def train(*words):
    """Runs nephrotrain, whose progress goes on to the error stream."""
    subprocess.run([arguments.nephrotrain, *map(str, words)], check=True, stdout=subprocess.DEVNULL)


def prepare():
    side = ["--side", arguments.side]
    if not (work / "set/index.json").exists():
        train("prepare", "--phantoms", arguments.labels, "--out", work / "set", "--phantom-slices", 6, *side)
    for seed in range(arguments.patients):
        case = f"case_9{seed:04}"
        if not (work / "invented" / case).exists():
            options = ["--slices", 24, "--size", 2 * arguments.side, "--seed", seed]
            train("phantom", "--procedural", "--out", work / "invented", "--name", case, *options)
    if not (work / "invented-set/index.json").exists():
        train("prepare", "--data", work / "invented", "--out", work / "invented-set", "--neighbours", *side)


def epochs(run):
    """The records of the epochs that are finished."""
    path = run / "metrics.jsonl"
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def ensure(run, data, seed, flags):
    if len(epochs(run)) < arguments.epochs:
        if (run / "last.safetensors").exists():
            train("train", "--out", run, "--resume", "--device", "cpu")
        else:
            shutil.rmtree(run, ignore_errors=True)  # killed before its first checkpoint
            settings = f"--encoder resnet18 --batch {arguments.batch} --lr {arguments.lr} --epochs {arguments.epochs} {flags}"
            train("train", "--data", data, "--out", run, "--seed", seed, "--device", "cpu", *settings.split())
    judge(run, "plain", "")


def judge(run, name, flags):
    for part in PARTS:
        out = run / f"{part}-{name}"
        if not (out / "metrics.json").exists():
            options = ["--split", part, "--device", "cpu", "--examples", 0, "--out", out, *flags.split()]
            train("evaluate", "--run", run, "--checkpoint", "last", *options)


def scores(run, name="plain"):
    """Dice in percent by part and class, or nothing where the run is missing."""
    found = {}
    for part in PARTS:
        path = run / f"{part}-{name}/metrics.json"
        if not path.exists():
            return None
        paper = json.loads(path.read_text())["scores"]["paper"]
        found[part] = [100 * (paper[c]["dice"] or 0) for c in CLASSES]
    return found


def cells(found):
    """Mean and deviation over the seeds, for each part and class."""
    row = []
    for part in PARTS:
        for c in range(len(CLASSES)):
            values = [f[part][c] for f in found]
            spread = f" ± {statistics.stdev(values):.1f}" if len(values) > 1 else ""
            row.append(f"{statistics.mean(values):.1f}{spread}")
    return row


def row(title, found, seconds=()):
    found = [f for f in found if f]
    if found:
        step = f"{min(seconds):.3f} / {statistics.median(seconds):.3f}" if seconds else ""
        print(f"| {title} | {len(found)} | {' | '.join(cells(found))} | {step} |")


def steps(runs):
    """Seconds of a step in each epoch of these runs."""
    return [arguments.batch / e["slices_per_second"] for run in runs for e in epochs(run)]


def head(title):
    columns = [f"{part} {c}" for part in PARTS for c in CLASSES]
    print(f"\n| {title} | seeds | {' | '.join(columns)} | s a step, least / median |")
    print("| --- " * 7 + "|")


def table():
    head("variant")
    for title, name, _ in VARIANTS:
        runs = [work / f"runs/{name}-{seed}" for seed in arguments.seeds]
        row(title, map(scores, runs), steps(runs))
        if name == "paper":
            for beside, how, _ in AT_TEST_TIME:
                row(beside, [scores(run, how) for run in runs])
    for title, name, _ in PEERS:
        peers = [work / f"runs/{name}-{seed}.json" for seed in arguments.seeds]
        peers = [json.loads(path.read_text()) for path in peers if path.exists()]
        dice = [{part: [100 * peer[part][c] for c in CLASSES] for part in PARTS} for peer in peers]
        row(title, dice, [s for peer in peers for s in peer["seconds_per_step"]])
    head("invented patients")
    for title, name, _ in NEIGHBOURS:
        runs = [work / f"runs/{name}-{seed}" for seed in arguments.seeds]
        row(title, map(scores, runs), steps(runs))


def wanted(name):
    return not arguments.only or name in arguments.only


prepare()
for seed in arguments.seeds:
    for _, name, flags in VARIANTS:
        if wanted(name):
            run = work / f"runs/{name}-{seed}"
            ensure(run, work / "set", seed, flags)
            if name == "paper":
                for _, how, options in AT_TEST_TIME:
                    judge(run, how, options)
    for _, name, flags in PEERS:
        out = work / f"runs/{name}-{seed}.json"
        if arguments.torch and wanted(name) and not out.exists():
            script = ROOT / "tools/peers/benchmark_torch.py"
            settings = {"seed": seed, "epochs": arguments.epochs, "batch": arguments.batch, "lr": arguments.lr}
            same = [f"--{key}={value}" for key, value in settings.items()]
            subprocess.run([arguments.torch, script, work / "set", out, *same, *flags.split()], check=True, stdout=sys.stderr)
    for _, name, flags in NEIGHBOURS:
        if wanted(name):
            ensure(work / f"runs/{name}-{seed}", work / "invented-set", seed, flags)
table()
