"""Makes resize.safetensors, what OpenCV does at sizes that ../shared/golden does not cover.

usage: python make_resize.py   (opencv-python-headless 4.5.5.64, numpy 1.26.4, safetensors)

Tensors NAME/{hu,mask,linear,area,nearest,back}; the images are noise from a fixed seed.
"""
from pathlib import Path

import cv2
import numpy as np
from safetensors.numpy import save_file

CASES = {  # name: rows, cols, target rows, target cols
    "grow_7x5": (7, 5, 13, 11),
    "grow_rows_shrink_cols": (9, 21, 16, 8),
    "shrink_rows_grow_cols": (21, 9, 8, 16),
    "shrink_31x29": (31, 29, 8, 12),
    "third_24x36": (24, 36, 8, 12),
    "same_6x6": (6, 6, 6, 6),
    "one_row": (1, 17, 3, 5),
    "one_pixel": (1, 1, 4, 2),
    "wide_like_case_00160": (4, 796, 3, 256),
    "rounding_49": (49, 9, 47, 8),
    "fine_shares_512": (2, 512, 1, 224),
}

cv2.setNumThreads(1)
rng = np.random.default_rng(20)
tensors = {}
for name, (rows, cols, target_rows, target_cols) in CASES.items():
    hu = rng.integers(-400, 500, (rows, cols), dtype=np.int16)
    mask = rng.integers(0, 3, (rows, cols), dtype=np.uint8)
    normalised = ((np.clip(hu.astype(np.float64), -125, 225) + 125) / 350).astype(np.float32)
    size = (target_cols, target_rows)
    nearest = cv2.resize(mask, size, interpolation=cv2.INTER_NEAREST)
    for key, value in {
        "hu": hu,
        "mask": mask,
        "linear": cv2.resize(normalised, size, interpolation=cv2.INTER_LINEAR),
        "area": cv2.resize(normalised, size, interpolation=cv2.INTER_AREA),
        "nearest": nearest,
        "back": cv2.resize(nearest, (cols, rows), interpolation=cv2.INTER_NEAREST),
    }.items():
        tensors[f"{name}/{key}"] = np.ascontiguousarray(value.reshape(-1, value.shape[-1]))
save_file(tensors, Path(__file__).with_name("resize.safetensors"))
