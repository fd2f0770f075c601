#!/usr/bin/env python3
"""The paper's augmentation with the paper's library, and how fast it is beside `nephrotrain`'s.

    python3 -m venv venv && . venv/bin/activate
    pip install numpy==1.26.4 'scipy<1.14' scikit-image==0.22.0 imgaug==0.4.0 PyYAML
    pip uninstall -y opencv-python opencv-python-headless
    pip install --no-deps opencv-python-headless==4.5.5.64 albumentations==0.5.2
    cargo build --release -p nephrotrain --example augment_speed
    python tools/peers/augment_albumentations.py PREPARED --against target/release/examples/augment_speed

Both sides augment the slices of one prepared set, on one thread, by turns, and count processor time, so that other
work on the machine disturbs both alike and little. Each prints slices per second and core.
"""

import argparse
import json
import pathlib
import random
import statistics
import subprocess
import time

import numpy

for _name, _type in (("bool", bool), ("int", int), ("float", float), ("object", object)):
    if _name not in numpy.__dict__:
        setattr(numpy, _name, _type)  # imgaug 0.4.0 still uses the aliases removed from numpy 1.24
import albumentations as A
import cv2

cv2.setNumThreads(1)
SIDE = 256


def pipeline(preset, share):
    """The paper's list in the paper's order, each with probability 1/2, the whole with `share`."""
    if preset == "library":
        elastic, noise, jpeg = A.ElasticTransform(p=0.5), A.GaussNoise(p=0.5), A.ImageCompression(p=0.5)
    else:
        # The library draws no range for alpha_affine; 7 is the middle of the preset's 4 to 10.
        elastic = A.ElasticTransform(alpha=120, sigma=6, alpha_affine=7, p=0.5)
        noise = A.GaussNoise(var_limit=(10 / 255**2, 50 / 255**2), p=0.5)
        jpeg = A.ImageCompression(quality_lower=60, quality_upper=100, p=0.5)
    return A.Compose(
        [
            A.Flip(p=0.5),
            A.Rotate(p=0.5),
            elastic,
            A.GridDistortion(p=0.5),
            A.IAACropAndPad(percent=(-0.1, 0.1), p=0.5),
            A.RandomBrightness(p=0.5),
            A.RandomContrast(p=0.5),
            A.RandomGamma(p=0.5),
            A.GaussianBlur(p=0.5),
            noise,
            jpeg,
        ],
        p=share,
    )


def load(folder):
    """Images and label maps of a prepared set, as far as 500 slices."""
    images, labels = [], []
    for path in sorted(folder.glob("volumes/*.f32")):
        images.extend(numpy.fromfile(path, "<f4").reshape(-1, SIDE, SIDE))
        labels.extend(numpy.fromfile(path.with_suffix(".u8"), "u1").reshape(-1, SIDE, SIDE))
        if len(images) > 500:
            break
    return images, labels


def measure(transform, images, labels, slices):
    """Slices per second of processor time of this thread."""
    start = time.thread_time()
    for i in range(slices):
        transform(image=images[i % len(images)], mask=labels[i % len(labels)])
    return slices / (time.thread_time() - start)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("prepared", type=pathlib.Path)
    parser.add_argument("--against", metavar="PROGRAM", help="augment_speed, run by turns with this")
    parser.add_argument("--presets", nargs="+", choices=["library", "ct"], default=["library", "ct"])
    parser.add_argument("--share", type=float, default=0.75)
    parser.add_argument("--slices", type=int, default=300)
    parser.add_argument("--repetitions", type=int, default=7)
    arguments = parser.parse_args()

    random.seed(1)
    numpy.random.seed(1)
    images, labels = load(arguments.prepared)
    print(f"| preset | program | slices/s and core, median | slowest to fastest of {arguments.repetitions} |")
    print("| --- | --- | --- | --- |")
    for preset in arguments.presets:
        transform = pipeline(preset, arguments.share)
        measure(transform, images, labels, 30)
        theirs, ours = [], []
        for _ in range(arguments.repetitions):
            theirs.append(measure(transform, images, labels, arguments.slices))
            if arguments.against:
                command = [arguments.against, str(arguments.prepared), preset, str(10 * arguments.slices), str(arguments.share)]
                out = subprocess.run(command, check=True, capture_output=True, text=True).stdout
                ours.append(json.loads(out.splitlines()[0])["slices_per_cpu_second"])
        for name, found in (("Albumentations 0.5.2", theirs), ("nephrotrain", ours)):
            if found:
                print(f"| {preset} | {name} | {statistics.median(found):.0f} | {min(found):.0f} to {max(found):.0f} |")
        if ours:
            ratios = sorted(o / t for o, t in zip(ours, theirs))
            print(f"| {preset} | ratio of neighbouring runs | {statistics.median(ratios):.1f} | {ratios[0]:.1f} to {ratios[-1]:.1f} |")


if __name__ == "__main__":
    main()
