#!/usr/bin/env python3
"""What compare.sh asks of files; nothing but Python's own library.

    compare.py part SCAN.nii.gz OUT.nii.gz N    the middle N slices of a NIfTI-1 scan, as a scan
    compare.py results A B                      whether two folders of results tell the same; says what was compared
"""

import gzip
import json
import pathlib
import struct
import sys

CLASSES = ("background", "kidney", "tumour")
# What a report says of the run, not of the scan.
OF_THE_RUN = {("timing",), ("engine", "kernels"), ("engine", "threads")}
# Without a report's times, everything else that is written is the same: pictures and documents too, but not the report in other forms.
WITH_TIMES = {"report.json", "report.txt", "report.png", "report.pdf"}


def opened(path):
    data = pathlib.Path(path).read_bytes()
    return gzip.decompress(data) if data[:2] == b"\x1f\x8b" else data


def header(data):
    """Byte order, shape, bytes a voxel, and where voxels begin."""
    order = "<" if struct.unpack_from("<i", data)[0] == 348 else ">"
    dimensions = struct.unpack_from(order + "8h", data, 40)
    if dimensions[0] < 3 or any(size > 1 for size in dimensions[4 : dimensions[0] + 1]):
        sys.exit(f"error: a volume of 3 dimensions is wanted, not {dimensions[0]}")
    (bits,) = struct.unpack_from(order + "h", data, 72)
    (begin,) = struct.unpack_from(order + "f", data, 108)
    return order, list(dimensions[1:4]), bits // 8, int(begin)


def part(source, target, wanted):
    """Cuts the middle out of a scan along the patient's long axis, and moves its place with it."""
    data = bytearray(opened(source))
    order, shape, size, begin = header(data)
    rows = [list(struct.unpack_from(order + "4f", data, 280 + 16 * row)) for row in range(3)]
    axis = max(range(3), key=lambda column: abs(rows[2][column]))
    if rows[2][axis] == 0:
        sys.exit(f"error: {source} has no sform; give a scan that has one")
    count = min(wanted, shape[axis])
    first = (shape[axis] - count) // 2
    # Voxels as [outer][along the axis][inner], the first dimension varying fastest.
    inner = size
    for dimension in shape[:axis]:
        inner *= dimension
    line = inner * shape[axis]
    voxels = bytearray()
    for start in range(begin, begin + size * shape[0] * shape[1] * shape[2], line):
        voxels += data[start + first * inner : start + (first + count) * inner]
    for row, name in zip(rows, (268, 272, 276)):
        row[3] += first * row[axis]
        # The qform's place, if there is one, is of the same voxel.
        struct.pack_into(order + "f", data, name, row[3])
    for index, row in enumerate(rows):
        struct.pack_into(order + "4f", data, 280 + 16 * index, *row)
    struct.pack_into(order + "h", data, 42 + 2 * axis, count)
    with open(target, "wb") as file:
        file.write(gzip.compress(bytes(data[:begin] + voxels), mtime=0))


def differences(a, b, place=()):
    """Where two reports differ; numbers must be the same to the last bit."""
    if place in OF_THE_RUN:
        return
    if isinstance(a, dict) and isinstance(b, dict) and a.keys() == b.keys():
        for key in a:
            yield from differences(a[key], b[key], (*place, key))
    elif isinstance(a, list) and isinstance(b, list) and len(a) == len(b):
        for index, pair in enumerate(zip(a, b)):
            yield from differences(*pair, (*place, str(index)))
    elif a != b or type(a) is not type(b):
        yield f"{'.'.join(place)}: {a!r} and {b!r}"


def numbers(value, place=()):
    """How many numbers of a report are compared."""
    if place in OF_THE_RUN:
        return 0
    if isinstance(value, dict):
        return sum(numbers(inner, (*place, key)) for key, inner in value.items())
    if isinstance(value, list):
        return sum(numbers(inner, (*place, str(index))) for index, inner in enumerate(value))
    return int(isinstance(value, (int, float)) and not isinstance(value, bool))


def results(a, b):
    a, b = pathlib.Path(a), pathlib.Path(b)
    found = []
    names = sorted(path.name for path in a.iterdir())
    if names != sorted(path.name for path in b.iterdir()):
        found.append("other files were written")
    same = [name for name in names if name not in WITH_TIMES]
    for name in same:
        if (a / name).read_bytes() != (b / name).read_bytes():
            found.append(f"{name}: other bytes")

    voxels = []
    for folder in (a, b):
        data = opened(folder / "labels.nii.gz")
        _, shape, size, begin = header(data)
        voxels.append(data[begin : begin + size * shape[0] * shape[1] * shape[2]])
    if voxels[0] != voxels[1]:
        other = sum(x != y for x, y in zip(*voxels))
        found.append(f"labels.nii.gz: {other} voxels have another class")
    reports = [json.loads((folder / "report.json").read_text()) for folder in (a, b)]
    found += differences(*reports)

    counts = ", ".join(f"{name} {voxels[0].count(label):,}" for label, name in enumerate(CLASSES))
    kernels = reports[1]["engine"]["kernels"]
    compared = numbers(reports[0])
    print(f"{kernels}: {len(voxels[0]):,} voxels ({counts}), {compared} numbers of the report, {len(same)} files byte by byte")
    for what in found:
        print(f"  differs: {what}")
    print("  the same" if not found else f"  {len(found)} differences")
    return 1 if found else 0


def main(arguments):
    if len(arguments) == 4 and arguments[0] == "part" and arguments[3].isdigit():
        return part(arguments[1], arguments[2], int(arguments[3]))
    if len(arguments) == 3 and arguments[0] == "results":
        return results(arguments[1], arguments[2])
    print(__doc__, file=sys.stderr)
    return 2


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
