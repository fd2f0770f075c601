"""Reads segmentation and structured report with highdicom and compares with the CT's pixels (100 times the label) and expected.json.

Used by peers.rs: read_back.py FOLDER...
"""

import json
import sys
from pathlib import Path

import highdicom
import numpy
import pydicom


def check_segmentation(folder, images):
    segmentation = highdicom.seg.segread(folder / "seg.dcm")
    uids = [image.SOPInstanceUID for image in images]
    segments = segmentation.get_pixels_by_source_instance(uids, assert_missing_frames_are_empty=True)
    assert segments.shape[-1] == 4, segments.shape
    kidney = segments[..., 0] + segments[..., 1]
    tumour = segments[..., 2] + segments[..., 3]
    found = kidney.astype(int) + 2 * tumour.astype(int)
    expected = numpy.stack([image.pixel_array for image in images]) // 100
    assert expected.max() == 2 and (found == expected).all()

    # Right is where x is small, however the images are stored.
    middle = []
    for number in (0, 1):
        positions = []
        for image, mask in zip(images, segments[..., number]):
            along_row = numpy.array(image.ImageOrientationPatient[:3], float)
            down_column = numpy.array(image.ImageOrientationPatient[3:], float)
            between_rows, between_columns = map(float, image.PixelSpacing)
            for row, column in numpy.argwhere(mask):
                start = numpy.array(image.ImagePositionPatient, float)
                positions.append(start + along_row * column * between_columns + down_column * row * between_rows)
        middle.append(numpy.mean(positions, axis=0))
    assert middle[0][0] < middle[1][0], middle


def check_report(folder):
    report = highdicom.sr.srread(folder / "sr.dcm")
    expected = json.loads((folder / "expected.json").read_text())
    groups = report.content.get_volumetric_roi_measurement_groups()
    found = {}
    for group in groups:
        values = {}
        for measurement in group.get_measurements():
            key = {"mL": "volume_ml", "mm2": "area_mm2", "mm": measurement.name.value}[measurement.unit.value]
            values[key] = measurement.value
        found[group.tracking_identifier] = values
        segment = group.referenced_segment
        assert segment.referenced_sop_instance_uid == pydicom.dcmread(folder / "seg.dcm").SOPInstanceUID
        assert group.finding_sites[0].value.value == "64033007"
    assert found == expected, (found, expected)


for name in sys.argv[1:]:
    folder = Path(name)
    images = [pydicom.dcmread(path) for path in sorted(folder.glob("ct-*.dcm"))]
    check_segmentation(folder, images)
    check_report(folder)
    pydicom.dcmread(folder / "document.dcm")
    pydicom.dcmread(folder / "capture.dcm").pixel_array
