#!/usr/bin/env python3
"""Other engines on the same weights: makes their models, and runs one of them as a child of tools/performance.py.

    python3 -m venv venv
    venv/bin/pip install onnx==1.23.2 onnxruntime==1.32.0 openvino==2026.4.1 nncf==3.4.0 torch==2.15.0
    venv/bin/python tools/peers/engines.py make FOLDER NETWORK.onnx CALIBRATION.f32 ROWS COLS
    venv/bin/python tools/peers/engines.py run ort-int8 FOLDER SLICES.f32 ROWS COLS --threads 1

`make` writes into FOLDER every model that the installed packages allow, and prints as JSON which engines can run it and
the versions. `run` loads one and then answers lines on stdin, each with one line of JSON:

    7               seven inferences of one slice each: their milliseconds, from the image to the logits
    about           how long it took to load, until the first label map, and the memory before loading
    labels FILE     writes the label maps of all slices, one byte a pixel, and answers their number

Slices are f32 in 0 to 1, row by row, one after the other: the `.f32` files of a prepared set. An error is one sentence on
stderr, and the status 1.
"""

import argparse
import contextlib
import importlib.metadata
import importlib.util
import json
import os
import pathlib
import sys
import time

# Name: (package that runs it, package that makes its model, file in the folder). What performance.py calls them is there.
ENGINES = {
    "ort-f32": ("onnxruntime", "onnx", "f32.onnx"),
    "ort-int8": ("onnxruntime", "onnx", "int8.onnx"),
    "openvino-f32": ("openvino", "onnx", "f32.onnx"),
    "openvino-int8-ort": ("openvino", "onnx", "int8.onnx"),
    "openvino-int8-nncf": ("openvino", "nncf", "nncf.xml"),
    "openvino-int8-nncf-bf16": ("openvino", "nncf", "nncf.xml"),
    "torch-f32": ("torch", "torch", "f32.pt"),
}
PACKAGES = ("onnx", "onnxruntime", "openvino", "nncf", "torch", "numpy")


def slices_of(path, rows, cols):
    """All slices of a raw file, mapped: only what is used takes memory."""
    import numpy

    size = path.stat().st_size
    if size == 0 or size % (4 * rows * cols):
        raise SystemExit(f"{path}: {size} bytes are not slices of {rows} x {cols} numbers in f32")
    return numpy.memmap(path, "<f4", "r").reshape(-1, rows, cols)


def as_input(image, channels):
    """One slice as [1, channels, rows, cols], the same in every channel as in training."""
    import numpy

    return numpy.array(numpy.broadcast_to(image, (1, channels, *image.shape)), "float32", order="C")


# --- models


def closed(path, rows, cols):
    """The network with logits only, for one slice of one size: nobody computes what is not asked for, and an engine that
    plans ahead can."""
    import onnx

    model = onnx.load(path)
    graph = model.graph
    about = {entry.key: entry.value for entry in model.metadata_props}
    for key, wanted in (("rows", rows), ("cols", cols)):
        if int(about.get(key, wanted)) != wanted:
            raise SystemExit(f"{path} is for slices with {about[key]} {key}, but these have {wanted}")
    names = [output.name for output in graph.output]
    kept = next(output for output in graph.output if output.name == ("logits" if "logits" in names else names[0]))
    needed, nodes = {kept.name}, []
    for node in reversed(graph.node):
        if needed & set(node.output):
            needed |= set(node.input)
            nodes.insert(0, node)
    if len(graph.input) != 1:
        raise SystemExit(f"{path} has {len(graph.input)} inputs, not one image")
    image = graph.input[0]
    channels = image.type.tensor_type.shape.dim[1].dim_value
    if channels not in (1, 2, 3):
        raise SystemExit(f"{path}: the image has {channels} channels, not 1 to 3")
    initialisers = [tensor for tensor in graph.initializer if tensor.name in needed]
    fixed = onnx.helper.make_graph(
        nodes,
        graph.name,
        [onnx.helper.make_tensor_value_info(image.name, onnx.TensorProto.FLOAT, [1, channels, rows, cols])],
        [onnx.helper.make_tensor_value_info(kept.name, onnx.TensorProto.FLOAT, [1, 3, rows, cols])],
        initialisers,
    )
    made = onnx.helper.make_model(fixed, opset_imports=model.opset_import, ir_version=model.ir_version)
    onnx.checker.check_model(made, full_check=True)
    return made, image.name, channels


def quantise_ort(source, target, name, images):
    """Static quantisation as ONNX Runtime's documentation advises for x86 with VNNI and Arm with dot products: QDQ, 8-bit
    activations without a sign, weights with one, a scale for each output channel, ranges by least and largest. All its
    kinds of layers: without the batch norms that do not fold it is no faster, with convolutions alone it is slower."""
    from onnxruntime.quantization import CalibrationDataReader, CalibrationMethod, QuantFormat, QuantType, quantize_static
    from onnxruntime.quantization.shape_inference import quant_pre_process

    class Reader(CalibrationDataReader):
        def __init__(self):
            self.left = iter(images)

        def get_next(self):
            image = next(self.left, None)
            return None if image is None else {name: image}

    folded = target.with_suffix(".folded.onnx")  # batch norms into convolutions; a quantised graph is not folded later
    quant_pre_process(str(source), str(folded), skip_symbolic_shape=True)
    quantize_static(
        str(folded),
        str(target),
        Reader(),
        quant_format=QuantFormat.QDQ,
        activation_type=QuantType.QUInt8,
        weight_type=QuantType.QInt8,
        per_channel=True,
        calibrate_method=CalibrationMethod.MinMax,
    )
    folded.unlink()


def quantise_nncf(source, target, images):
    import nncf
    import openvino

    model = openvino.Core().read_model(source)
    with contextlib.redirect_stdout(sys.stderr):  # its progress
        quantised = nncf.quantize(model, nncf.Dataset(images), subset_size=len(images))
    openvino.save_model(quantised, target)


def for_torch(model, target):
    """The graph as a list of PyTorch calls with its weights, so that the child needs no ONNX and its memory holds none."""
    import onnx
    import torch

    graph = model.graph
    array = lambda tensor: torch.from_numpy(onnx.numpy_helper.to_array(tensor).copy())
    tensors = {tensor.name: array(tensor) for tensor in graph.initializer}
    steps, doubled = [], [1.0, 1.0, 2.0, 2.0]
    for node in graph.node:
        given = {a.name: onnx.helper.get_attribute_value(a) for a in node.attribute}
        inputs, kind = list(node.input), node.op_type
        pads = given.get("pads", [0, 0, 0, 0])
        fits = pads[:2] == pads[2:] and set(given.get("dilations", [1])) == {1} and not given.get("ceil_mode")
        if kind == "Constant":
            tensors[node.output[0]] = array(given["value"])
            continue
        if kind == "Conv":
            options = {"stride": given["strides"], "padding": pads[:2], "groups": given.get("group", 1)}
        elif kind == "MaxPool":
            options = {"kernel_size": given["kernel_shape"], "stride": given["strides"], "padding": pads[:2]}
        elif kind == "BatchNormalization":
            options = {"eps": given.get("epsilon", 1e-5)}
        elif kind in ("Concat", "Softmax"):
            options = {"dim": given["axis"]}
        elif kind == "Resize":
            fits = given.get("mode") == b"nearest" and tensors[inputs[2]].tolist() == doubled
            inputs, options = inputs[:1], {"scale_factor": 2.0, "mode": "nearest"}
        else:
            fits, options = kind in ("Relu", "Add", "Mul"), {}
        if not fits:
            raise SystemExit(f"{node.name}: PyTorch's side does not know this {kind}; leave it out with --without torch")
        steps.append((kind, inputs, node.output[0], options))
    last = {name: i for i, (_, inputs, _, _) in enumerate(steps) for name in inputs if name not in tensors}
    steps = [(*step, [name for name in set(step[1]) if last.get(name) == i]) for i, step in enumerate(steps)]
    used = {name for step in steps for name in step[1]}
    weights = {name: tensor for name, tensor in tensors.items() if name in used}
    torch.save({"input": graph.input[0].name, "output": graph.output[0].name, "steps": steps, "tensors": weights}, target)


def make(arguments):
    folder, (rows, cols) = arguments.folder, arguments.size
    missing = {package for package in PACKAGES if importlib.util.find_spec(package) is None}
    missing |= set(arguments.without)
    if {"onnx", "onnxruntime"} & missing:
        raise SystemExit("onnx and onnxruntime must be installed: they make the models that all engines are compared on")
    folder.mkdir(parents=True, exist_ok=True)
    model, name, channels = closed(arguments.network, rows, cols)
    import onnx

    onnx.save(model, folder / "f32.onnx")
    images = [as_input(image, channels) for image in slices_of(arguments.calibration, rows, cols)]
    quantise_ort(folder / "f32.onnx", folder / "int8.onnx", name, images)
    if not {"nncf", "openvino"} & missing:
        quantise_nncf(folder / "f32.onnx", folder / "nncf.xml", images)
    if "torch" not in missing:
        for_torch(model, folder / "f32.pt")
    engines = [engine for engine, (runs, makes, _) in ENGINES.items() if not {runs, makes} & missing]
    if "openvino-int8-nncf-bf16" in engines:
        import openvino

        # Where the processor has no bf16, the option changes nothing.
        if "BF16" not in openvino.Core().get_property("CPU", "OPTIMIZATION_CAPABILITIES"):
            engines.remove("openvino-int8-nncf-bf16")
    versions = {package: importlib.metadata.version(package) for package in PACKAGES if package not in missing}
    return {"engines": engines, "versions": versions, "channels": channels, "calibration": len(images)}


# --- engines: each loads a model and returns the number of channels and a function from an image to the logits


def load_ort(engine, path, threads):
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    image = session.get_inputs()[0]
    return image.shape[1], lambda x: session.run(None, {image.name: x})[0]


def load_openvino(engine, path, threads):
    import openvino

    # Left alone, OpenVINO computes f32 in bf16 where the processor can: another network than the one that is compared.
    precision = "bf16" if engine.endswith("bf16") else "f32"
    settings = {"INFERENCE_NUM_THREADS": threads, "PERFORMANCE_HINT": "LATENCY", "INFERENCE_PRECISION_HINT": precision}
    compiled = openvino.Core().compile_model(str(path), "CPU", settings)
    request = compiled.create_infer_request()
    return compiled.input(0).shape[1], lambda x: request.infer({0: x}, share_inputs=True, share_outputs=True)[0]


def load_torch(engine, path, threads):
    import torch
    from torch.nn import functional

    torch.set_num_threads(threads)
    network = torch.load(path, mmap=True, weights_only=True)
    calls = {
        "Conv": functional.conv2d,
        "BatchNormalization": lambda x, scale, shift, mean, variance, eps: functional.batch_norm(
            x, mean, variance, scale, shift, eps=eps
        ),
        "Relu": functional.relu,
        "MaxPool": functional.max_pool2d,
        "Resize": functional.interpolate,
        "Concat": lambda *parts, dim: torch.cat(parts, dim),
        "Add": torch.add,
        "Mul": torch.mul,
        "Softmax": functional.softmax,
    }
    steps = [(calls[kind], *rest) for kind, *rest in network["steps"]]

    def infer(x):
        with torch.inference_mode():
            values = {**network["tensors"], network["input"]: torch.from_numpy(x)}
            for call, inputs, output, options, done in steps:
                values[output] = call(*(values[name] for name in inputs), **options)
                for name in done:  # as a module's local variables would be
                    del values[name]
            return values[network["output"]].numpy()

    first = next(step for step in network["steps"] if step[0] == "Conv")
    return network["tensors"][first[1][1]].shape[1], infer


LOAD = {"onnxruntime": load_ort, "openvino": load_openvino, "torch": load_torch}


def peak_memory():
    """The largest resident memory so far, in MiB."""
    status = pathlib.Path("/proc/self/status").read_text()
    return int(status.split("VmHWM:")[1].split()[0]) / 1024


def run(arguments):
    package, _, file = ENGINES[arguments.engine]
    os.environ["OMP_NUM_THREADS"] = str(arguments.threads)
    # numpy's own threads take memory that is not the engine's.
    os.environ["OPENBLAS_NUM_THREADS"] = "1"
    path = arguments.folder / file
    if not path.exists():
        raise SystemExit(f"{path} is missing: make it first")
    try:
        __import__(package)
    except ImportError as e:
        raise SystemExit(f"{arguments.engine} needs the package {package}: {e}")
    slices = slices_of(arguments.slices, *arguments.size)
    before = peak_memory()
    start = time.perf_counter()
    channels, infer = LOAD[package](arguments.engine, path, arguments.threads)
    about = {"memory_before_mib": before, "load_ms": 1e3 * (time.perf_counter() - start)}
    turn = 0
    for line in sys.stdin:
        word, *rest = line.split() or [""]
        if word == "about":
            answer = about
        elif word == "labels":
            with open(rest[0], "wb") as out:
                for image in slices:
                    out.write(infer(as_input(image, channels)).argmax(axis=1).astype("u1").tobytes())
            answer = len(slices)
        elif not word.isdecimal():
            raise SystemExit(f"{word!r} is neither a number of inferences nor about nor labels")
        else:
            answer = []
            for _ in range(int(word)):
                image = as_input(slices[turn % len(slices)], channels)
                begin = time.perf_counter()
                logits = infer(image)
                answer.append(1e3 * (time.perf_counter() - begin))
                if turn == 0:
                    logits.argmax(axis=1)
                    about["first_label_map_ms"] = 1e3 * (time.perf_counter() - start)
                turn += 1
        print(json.dumps(answer), flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(required=True)
    making = commands.add_parser("make", help="make every engine's model")
    making.add_argument("folder", type=pathlib.Path)
    making.add_argument("network", type=pathlib.Path, help="of `nephrotrain export onnx`")
    making.add_argument("calibration", type=pathlib.Path, help="slices that the ranges of activations are taken from")
    making.add_argument("--without", nargs="+", metavar="PACKAGE", default=[], help="as if these were not installed")
    making.set_defaults(call=lambda given: print(json.dumps(make(given)), flush=True))
    running = commands.add_parser("run", help="load a model and answer lines")
    running.add_argument("engine", choices=ENGINES)
    running.add_argument("folder", type=pathlib.Path)
    running.add_argument("slices", type=pathlib.Path)
    running.add_argument("--threads", type=int, default=1)
    running.set_defaults(call=run)
    for command in (making, running):
        command.add_argument("size", type=int, nargs=2, metavar=("ROWS", "COLS"))
    arguments = parser.parse_args()
    for path in (getattr(arguments, key, None) for key in ("network", "calibration", "slices")):
        if path and not path.is_file():
            raise SystemExit(f"{path} is not a file")
    arguments.call(arguments)


if __name__ == "__main__":
    main()
