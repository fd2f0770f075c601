#!/usr/bin/env python3
"""Runs ONNX files of `nephrotrain export onnx` in ONNX Runtime and compares with this project's own executor.

    pip install onnx onnxruntime numpy
    nephrotrain export onnx --model models/demo-resnet18.nbx --out demo.onnx --reference demo.safetensors
    python3 tools/peers/onnx_check.py demo.onnx demo.safetensors

    python3 tools/peers/onnx_check.py --encoders            # every encoder, 1 and 3 channels, random weights

The reference holds images and the logits of the Burn executor for several sizes of input. A file passes if ONNX's own
checker takes it and no logit of any image differs by 1e-4 of the range of the logits or more. Ends with 1 if one does.

Where a quantised network misses that limit, two other things are asked of it. A sum next to the middle of two steps may be
rounded the other way when it is added up in another order, and all layers behind pass that on: the results are then two
draws of the same rounding noise. So the root mean square of the difference may be twice that of the noise, which is
measured as what the same file computes without its `Round`; and 99.9 % of the labels must agree. With --strict nothing
but the limit counts, for networks whose sums are exact.
"""

import argparse
import json
import pathlib
import subprocess
import sys
import tempfile

import numpy
import onnx
import onnxruntime

LIMIT = 1e-4
# Two independent draws of a noise differ by 1.4 times the noise.
NOISES = 2.0
LABELS = 1e-3
ENCODERS = ("resnet18", "resnet34", "resnet50", "resnet101", "resnet152")


def read_safetensors(path):
    """Every tensor of a file by name. All are f32."""
    raw = path.read_bytes()
    length = int.from_bytes(raw[:8], "little")
    head = json.loads(raw[8 : 8 + length])
    head.pop("__metadata__", None)
    tensors = {}
    for name, entry in head.items():
        if entry["dtype"] != "F32":
            raise SystemExit(f"{path}: {name} is {entry['dtype']}, not F32")
        begin, end = (8 + length + offset for offset in entry["data_offsets"])
        tensors[name] = numpy.frombuffer(raw[begin:end], "<f4").reshape(entry["shape"])
    return tensors


def softmax(logits):
    shifted = numpy.exp(logits.astype(numpy.float64) - logits.max(axis=1, keepdims=True))
    return shifted / shifted.sum(axis=1, keepdims=True)


def rms(difference):
    return float(numpy.sqrt(numpy.square(difference, dtype=numpy.float64).mean()))


def start(model):
    return onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])


def unrounded(model):
    """The network without its rounding, or None if it has none."""
    nodes = [node for node in model.graph.node if node.op_type == "Round"]
    for node in nodes:
        node.op_type = "Identity"
    return start(model) if nodes else None


def compare(file, reference, label, strict=False):
    """Prints one line for each size of input; whether all are within the limit."""
    onnx.checker.check_model(str(file), full_check=True)
    model = onnx.load(file)
    session = start(model)
    smooth = None if strict else unrounded(model)
    outputs = [output.name for output in session.get_outputs()]
    tensors = read_safetensors(reference)
    cases = sorted({int(name.split(".")[1]) for name in tensors})
    if not cases:
        raise SystemExit(f"{reference}: no images in it")
    passed = True
    for case in cases:
        image, logits = tensors[f"image.{case}"], tensors[f"logits.{case}"]
        wanted = {"logits": logits, "probabilities": softmax(logits)}
        found = dict(zip(outputs, session.run(outputs, {"image": image})))
        parts = []
        for name, values in found.items():
            if values.shape != logits.shape:
                raise SystemExit(f"{file}: {name} are {values.shape}, not {logits.shape}")
            off = float(numpy.abs(values - wanted[name]).max())
            parts.append(f"{name} off by {off:.1e}")
        # Softmax never steepens a difference, and probabilities span 0 to 1; compared where logits are not there.
        name = outputs[0]
        reach = float(logits.max() - logits.min()) if name == "logits" else 1.0
        difference = found[name] - wanted[name]
        worst = float(numpy.abs(difference).max()) / reach if reach > 0 else numpy.inf
        parts.insert(0, f"range {reach:9.3g} | worst {worst:.1e} of it")
        other = int((found[name].argmax(axis=1) != logits.argmax(axis=1)).sum())
        parts.append(f"{other} of {logits[:, 0].size} labels differ")
        # Written so that what is not a number fails.
        good = worst < LIMIT
        if smooth and not good:
            noise = rms(smooth.run([name], {"image": image})[0] - wanted[name])
            off = rms(difference)
            parts.append(f"rms {off / reach:.1e}, of the rounding {noise / reach:.1e}")
            good = off < NOISES * noise and other <= LABELS * logits[:, 0].size
        passed &= good
        shape = " x ".join(str(n) for n in image.shape)
        print(f"{label:12} | {shape:16} | {' | '.join(parts)}{'' if good else '  FAILED'}", flush=True)
    return passed


def every_encoder(arguments):
    """Random networks one after the other, so that only one takes space."""
    passed = True
    root = pathlib.Path(__file__).resolve().parents[2]
    cargo = ["cargo", "run", "--quiet", "-p", "nephrotrain", *arguments.cargo.split()]
    with tempfile.TemporaryDirectory() as folder:
        package, file, reference = (pathlib.Path(folder) / f"m.{end}" for end in ("nbx", "onnx", "safetensors"))
        for encoder in arguments.only or ENCODERS:
            for channels in ("1", "3"):
                run = lambda *command: subprocess.run([*cargo, *command], cwd=root, check=True, stdout=subprocess.DEVNULL)
                run("--example", "random_package", "--", str(package), encoder, channels)
                run("--", "export", "onnx", "--model", str(package), "--out", str(file), "--reference", str(reference))
                package.unlink()
                passed &= compare(file, reference, encoder)
    return passed


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("files", type=pathlib.Path, nargs="*", help="pairs: FILE.onnx FILE.safetensors ...")
    parser.add_argument("--encoders", action="store_true", help="make and compare random networks of every encoder")
    parser.add_argument("--strict", action="store_true", help="the limit for each logit, for quantised networks too")
    parser.add_argument("--only", nargs="+", choices=ENCODERS, help="with --encoders: these alone")
    parser.add_argument("--cargo", default="--release", help="with --encoders: further words for cargo run")
    arguments = parser.parse_args()
    if not arguments.files and not arguments.encoders or len(arguments.files) % 2:
        parser.error("give pairs of files, or --encoders")
    print(f"onnx {onnx.__version__}, ONNX Runtime {onnxruntime.__version__}, limit {LIMIT:.0e} of the range of the logits")
    passed = True
    for file, reference in zip(arguments.files[::2], arguments.files[1::2]):
        passed &= compare(file, reference, file.stem[:12], arguments.strict)
    if arguments.encoders:
        passed &= every_encoder(arguments)
    print("all within the limit" if passed else "NOT within the limit")
    return 0 if passed else 1


if __name__ == "__main__":
    sys.exit(main())
