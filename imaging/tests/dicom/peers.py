"""Writes one CT series in every transfer syntax that the installed plugins of pydicom can encode.

Usage: peers.py FOLDER. Makes FOLDER/<UID>/slice-<n>.dcm, two slices of 40 x 60, and FOLDER/truth.i16: HU of both, the
slice nearest the head first. Prints the UIDs written, one a line.
"""

import pathlib
import sys

import numpy as np
import pydicom
from pydicom.dataset import FileDataset, FileMetaDataset
from pydicom.uid import (
    CTImageStorage,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGLSLossless,
    RLELossless,
)

SYNTAXES = [
    ImplicitVRLittleEndian,
    ExplicitVRLittleEndian,
    DeflatedExplicitVRLittleEndian,
    RLELossless,
    JPEGLSLossless,
    JPEG2000Lossless,
]
SHAPE = (2, 40, 60)


def write(path, syntax, number, hu, signed):
    """One slice; signed pixels are HU, unsigned ones HU + 1024."""
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = CTImageStorage
    meta.MediaStorageSOPInstanceUID = f"2.25.5.{number}"
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    slice = FileDataset(str(path), {}, file_meta=meta, preamble=b"\0" * 128)
    slice.SOPClassUID = CTImageStorage
    slice.SOPInstanceUID = f"2.25.5.{number}"
    slice.StudyInstanceUID, slice.SeriesInstanceUID = "2.25.6", "2.25.7"
    slice.Modality = "CT"
    slice.ImageType = ["ORIGINAL", "PRIMARY", "AXIAL"]
    slice.PatientName = "Nobody"
    slice.ImagePositionPatient = [-20.0, -30.0, 100.0 - 3.0 * number]
    slice.ImageOrientationPatient = [1.0, 0.0, 0.0, 0.0, 1.0, 0.0]
    slice.PixelSpacing = [0.8, 0.7]
    slice.SliceThickness = 3.0
    slice.Rows, slice.Columns = hu.shape
    slice.SamplesPerPixel, slice.PhotometricInterpretation = 1, "MONOCHROME2"
    slice.BitsAllocated = 16
    slice.BitsStored = 16 if signed else 12
    slice.HighBit = slice.BitsStored - 1
    slice.PixelRepresentation = int(signed)
    slice.RescaleSlope, slice.RescaleIntercept = 1, 0 if signed else -1024
    stored = hu if signed else hu + 1024
    slice.PixelData = stored.astype("<i2" if signed else "<u2").tobytes()
    if syntax.is_encapsulated:
        slice.compress(syntax)
    else:
        slice.file_meta.TransferSyntaxUID = syntax
    slice.save_as(path, enforce_file_format=True)


def main():
    folder = pathlib.Path(sys.argv[1])
    random = np.random.default_rng(7)
    rows, columns = np.mgrid[0 : SHAPE[1], 0 : SHAPE[2]]
    truth = np.stack([rows * 20 + columns * 10 - 1000 + random.integers(0, 90, SHAPE[1:]) for _ in range(SHAPE[0])])
    truth = truth.astype("<i2")
    truth[:, 0, 0], truth[:, 0, 1] = -1024, 3071
    truth.tofile(folder / "truth.i16")
    for syntax in SYNTAXES:
        for signed in (False, True):
            name = f"{syntax}-{'signed' if signed else 'unsigned'}"
            (folder / name).mkdir()
            try:
                for number, hu in enumerate(truth):
                    write(folder / name / f"slice-{number}.dcm", syntax, number, hu, signed)
            except (RuntimeError, ValueError, NotImplementedError) as error:
                print(f"not written: {name}: {error}", file=sys.stderr)
                continue
            print(name)


if __name__ == "__main__":
    main()
