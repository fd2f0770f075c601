"""Reads the box's segmentation and structured report with highdicom, and compares them with its label map and its report.

Used by peers.rs: peers.py RESULTS IMAGES. RESULTS holds labels.raw (slices from the head, the pixels as they are stored) and report.json.
"""

import json
import sys
from pathlib import Path

import highdicom
import numpy
import pydicom

results, images = map(Path, sys.argv[1:])
headers = [pydicom.dcmread(path) for path in images.iterdir()]
headers.sort(key=lambda header: -float(header.ImagePositionPatient[2]))
uids = [header.SOPInstanceUID for header in headers]
shape = len(headers), headers[0].Rows, headers[0].Columns

labels = numpy.fromfile(results / "labels.raw", numpy.uint8).reshape(shape)
segmentation = highdicom.seg.segread(results / "segmentation.dcm")
segments = segmentation.get_pixels_by_source_instance(uids, assert_missing_frames_are_empty=True)
found = segments[..., 0] + segments[..., 1] + 2 * (segments[..., 2] + segments[..., 3])
assert (found == labels).all(), numpy.argwhere(found != labels)[:10]

report = json.loads((results / "report.json").read_text())
sides = report["findings"]["sides"]
# Code and unit of a measurement, and its field in the report.
FIELDS = {
    ("118565006", "mL"): "volume_ml",
    ("42798000", "mm2"): "largest_area_mm2",
    ("103339001", "mm"): "in_plane_diameter_mm",
    ("81827009", "mm"): "largest_diameter_mm",
}
structured = highdicom.sr.srread(results / "measurements.dcm")
groups = structured.content.get_volumetric_roi_measurement_groups()
seen = set()
for group in groups:
    side, *rest = group.tracking_identifier.lower().split()
    structure = "tumour" if "tumour" in rest else "kidney"
    for measurement in group.get_measurements():
        field = FIELDS.get((measurement.name.value, measurement.unit.value))
        if field is None:
            continue
        assert measurement.value == sides[side][f"{structure}_{field}"], (group.tracking_identifier, field)
        seen.add((side, structure, field))
for side, findings in sides.items():
    for structure in "kidney", "tumour":
        if findings[f"{structure}_volume_ml"] > 0:
            assert (side, structure, "volume_ml") in seen
print(sorted(seen))
