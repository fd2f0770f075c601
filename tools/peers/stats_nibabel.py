#!/usr/bin/env python3
"""The statistics of `nephrotrain stats --json`, with nibabel and numpy: a peer for its numbers, speed and memory.

    pip install nibabel numpy
    python3 tools/peers/stats_nibabel.py KITS19 [--jobs N]

Written as one would write it in an afternoon, and not carelessly: labels stay in their own integer type, every volume
is inflated once, and --jobs runs several processes. Which background-only slices are kept has no part in any number
printed here (they are all background), so none is drawn.
"""

import argparse
import json
import math
import multiprocessing
import pathlib
import statistics

import nibabel
import numpy

SIDE = 256


def scan(path):
    """Presence of kidney and tumour on each slice, and label counts of each slice at 256 x 256 by nearest."""
    labels = numpy.asanyarray(nibabel.load(path).dataobj)  # slices, rows, columns; the file's own integer type
    if labels.dtype.kind != "u":
        raise SystemExit(f"{path}: labels are {labels.dtype}, not unsigned integers")
    present = [(labels == label).any(axis=(1, 2)) for label in (1, 2)]
    rows, cols = (numpy.arange(SIDE) * n // SIDE for n in labels.shape[1:])
    small = labels[:, rows][:, :, cols]
    counts = numpy.stack([(small == label).sum(axis=(1, 2)) for label in (0, 1, 2)], axis=1)
    return numpy.stack(present, axis=1), counts


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=pathlib.Path)
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--fraction", type=float, default=0.01)
    parser.add_argument("--minimum", type=int, default=0)
    arguments = parser.parse_args()

    paths = sorted(arguments.folder.glob("case_*/segmentation.nii.gz"))
    if arguments.jobs > 1:
        with multiprocessing.Pool(arguments.jobs) as pool:
            scans = pool.map(scan, paths, chunksize=1)
    else:
        scans = list(map(scan, paths))

    kinds, kept = numpy.zeros((2, 2), int), 0
    pixels, pixels_of = numpy.zeros(3), numpy.zeros(3)
    for present, counts in scans:
        for kidney, tumour in present:
            kinds[int(kidney), int(tumour)] += 1
        labelled = present.any(axis=1)
        background = min(
            max(math.floor(arguments.fraction * len(present) + 0.5), arguments.minimum), int((~labelled).sum())
        )
        kept += int(labelled.sum()) + background
        chosen = numpy.concatenate([counts[labelled], numpy.tile([SIDE * SIDE, 0, 0], (background, 1))])
        pixels += chosen.sum(axis=0)
        pixels_of += ((chosen > 0) * SIDE * SIDE).sum(axis=0)

    frequencies = pixels / pixels_of
    weights = statistics.median(frequencies) / frequencies
    names = ("background", "kidney", "tumour")
    print(
        json.dumps(
            {
                "cases": len(paths),
                "slices": int(kinds.sum()),
                "background_only": int(kinds[0, 0]),
                "kidney_only": int(kinds[1, 0]),
                "kidney_and_tumour": int(kinds[1, 1]),
                "tumour_only": int(kinds[0, 1]),
                "kept": kept,
                "class_frequencies": dict(zip(names, frequencies.tolist())),
                "class_weights": dict(zip(names, weights.tolist())),
            },
            indent=2,
        )
    )


if __name__ == "__main__":
    main()
