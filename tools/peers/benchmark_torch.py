"""Trains and scores the trainer's network in PyTorch on a prepared set, with the paper's settings.

usage: benchmark_torch.py PREPARED OUT.json --seed 1 --epochs 5 --batch 8 --lr 1e-3

The peer of `nephrotrain train` and `evaluate` in tools/benchmark.py: the same split, network, initialisers, loss, image
weights, Adam and schedule, and the paper's augmentation through Albumentations (see augment_albumentations.py for how
to install it), made by a thread of its own while the step before runs. Writes Dice of the validation and test
patients, slices weighted by 1 / slices of their patient, and the seconds of a step in each epoch, data included.
"""

import argparse
import json
import math
import os
import pathlib
import queue
import random
import threading
import time
import tomllib

parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
parser.add_argument("prepared", type=pathlib.Path)
parser.add_argument("out", type=pathlib.Path)
parser.add_argument("--seed", type=int, default=1)
parser.add_argument("--epochs", type=int, default=5)
parser.add_argument("--batch", type=int, default=8)
parser.add_argument("--lr", type=float, default=1e-3)
parser.add_argument("--schedule", choices=["constant", "cosine"], default="constant")
parser.add_argument("--warm-up", type=float, default=0.0, help="share of the steps in which the rate rises to --lr")
parser.add_argument("--encoder", default="resnet18")
parser.add_argument("--threads", type=int, default=os.cpu_count())
parser.add_argument("--share", type=float, default=0.75, help="of augmented images")
arguments = parser.parse_args()
os.environ["OMP_NUM_THREADS"] = str(arguments.threads)

import numpy  # noqa: E402
import torch  # noqa: E402
from augment_albumentations import pipeline  # noqa: E402
from unet_torch import KerasAdam, Unet, focal_dice  # noqa: E402


def read(folder):
    """(image, labels, patient weight) of every slice, by part of the split."""
    index = json.loads((folder / "index.json").read_text())
    split = tomllib.loads((folder / "split.toml").read_text())
    part_of = {case: part for part, cases in split.items() for case in cases}
    side = index["options"]["preprocess"]["rows"]
    slices = {part: [] for part in split}
    for case in index["cases"]:
        for volume in case["volumes"]:
            if not volume["slices"]:
                continue
            path = folder / "volumes" / f"{case['case']}.{volume['source']}"
            images = numpy.fromfile(f"{path}.f32", "<f4").reshape(-1, side, side)
            labels = numpy.fromfile(f"{path}.u8", "u1").reshape(-1, side, side)
            slices[part_of[case["case"]]].extend((i, t, case["weight"]) for i, t in zip(images, labels))
    return slices


def tensors(batch):
    images, labels, weights = zip(*batch)
    truth = torch.nn.functional.one_hot(torch.from_numpy(numpy.stack(labels)).long(), 3)
    return (
        torch.from_numpy(numpy.stack(images).astype("f4"))[:, None],
        truth.permute(0, 3, 1, 2).float(),
        torch.tensor(weights, dtype=torch.float32),
    )


def batches(slices, rng, augment):
    """Batches of an epoch in random order, at most two ahead of the step."""
    ahead = queue.Queue(2)

    def make():
        order = rng.permutation(len(slices))
        for start in range(0, len(order), arguments.batch):
            batch = []
            for i in order[start : start + arguments.batch]:
                image, labels, weight = slices[i]
                changed = augment(image=image, mask=labels)
                batch.append((numpy.clip(changed["image"], 0, 1), changed["mask"], weight))
            ahead.put(tensors(batch))
        ahead.put(None)

    threading.Thread(target=make, daemon=True).start()
    return iter(ahead.get, None)


def score(model, slices):
    """Dice of each class over all pixels, slices weighted as the paper weighs them."""
    confusion = torch.zeros(3, 3, dtype=torch.float64)
    model.eval()
    with torch.no_grad():
        for start in range(0, len(slices), arguments.batch):
            images, truth, weights = tensors(slices[start : start + arguments.batch])
            found = model(images).argmax(1)
            for t, f, w in zip(truth.argmax(1), found, weights):
                confusion += w * torch.bincount((3 * t + f).flatten(), minlength=9).view(3, 3)
    model.train()
    overlap = confusion.diagonal()
    return (2 * overlap / (confusion.sum(0) + confusion.sum(1))).tolist()


def rate(step, steps):
    """Learning rate of a step, counted over the whole run from 0: the trainer's `Config::rate`."""
    rise = math.floor(arguments.warm_up * steps + 0.5)
    up = min((step + 1) / (rise + 1), 1.0)
    done = max(step - rise, 0) / max(steps - rise, 1)
    down = 1.0 if arguments.schedule == "constant" else 0.01 + 0.99 * (1 + math.cos(math.pi * done)) / 2
    return arguments.lr * up * down


torch.set_num_threads(arguments.threads)
torch.manual_seed(arguments.seed)
random.seed(arguments.seed)
numpy.random.seed(arguments.seed)
rng = numpy.random.default_rng(arguments.seed)
slices = read(arguments.prepared)
augment = pipeline("ct", arguments.share)
model = Unet(arguments.encoder, 1).train()
optimiser = KerasAdam(model.parameters())
steps_an_epoch = math.ceil(len(slices["train"]) / arguments.batch)
steps = arguments.epochs * steps_an_epoch
seconds, done = [], 0
for epoch in range(arguments.epochs):
    start = time.perf_counter()
    for images, truth, weights in batches(slices["train"], rng, augment):
        loss = focal_dice(model(images), truth, weights)
        for p in model.parameters():
            p.grad = None
        loss.backward()
        optimiser.step(rate(done, steps))
        done += 1
    seconds.append((time.perf_counter() - start) / steps_an_epoch)
    print(f"epoch {epoch + 1}: loss {loss.item():.4f}, {seconds[-1]:.3f} s a step", flush=True)
result = {"steps": done, "seconds_per_step": seconds}
for part in ("validation", "test"):
    _, kidney, tumour = score(model, slices[part])
    result[part] = {"kidney": kidney, "tumour": tumour}
arguments.out.write_text(json.dumps(result) + "\n")
