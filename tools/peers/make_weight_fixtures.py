#!/usr/bin/env python3
"""Makes the small weight files that the importers' tests read, and the logits of the torchvision U-Net test.

    pip install numpy h5py safetensors torch
    python3 tools/peers/make_weight_fixtures.py trainer/tests/fixtures
    python3 tools/peers/make_weight_fixtures.py --whole DIR      # full-size files for trying the command line, 40 MB and more

The Keras files are written with h5py the way Keras 2 writes them; every value is its own flat index in Keras' layout plus
100 times the number of its layer, so a test can tell where each one went. The logits come from a PyTorch U-Net on
torchvision's ResNet (torchvision itself if it is installed, else the same layers written out here), in float64, with the
closed-form weights of the project's golden files (FNV-1a and SplitMix64 of `LAYER/ROLE`).
"""
import math
import sys
from pathlib import Path

import h5py
import numpy as np
import torch
from torch import nn
from safetensors.numpy import save_file

# ---- Keras' HDF5 flavours -------------------------------------------------------------------------------------------

LAYERS = [
    ("data", []),
    ("bn_data", [("beta", (2,)), ("moving_mean", (2,)), ("moving_variance", (2,))]),
    ("zero_padding2d_7", []),
    ("conv0", [("kernel", (3, 2, 2, 4))]),
    ("bn0", [("gamma", (4,)), ("beta", (4,)), ("moving_mean", (4,)), ("moving_variance", (4,))]),
    ("final_conv", [("kernel", (1, 1, 4, 3)), ("bias", (3,))]),
]


def write_keras(group, layers, strings, values, suffix="", parts=1):
    def names(at, name, texts):
        if not texts:
            at.attrs[name] = np.array([])  # Keras writes an empty float64 array
        elif strings == "fixed":
            width = max(len(t) for t in texts)
            at.attrs[name] = np.array([t.encode() for t in texts], dtype=f"S{width}")
        else:
            at.attrs.create(name, texts, dtype=h5py.string_dtype())

    texts = [name for name, _ in layers]
    if parts == 1:
        names(group, "layer_names", texts)
    else:
        for i, part in enumerate(np.array_split(texts, parts)):
            names(group, f"layer_names{i}", [str(t) for t in part])
    for number, (name, weights) in enumerate(layers):
        at = group.create_group(name)
        labels = [f"{name}{suffix}/{role}:0" for role, _ in weights]
        if parts > 1 and len(labels) > 1:
            for i, part in enumerate(np.array_split(labels, 2)):
                names(at, f"weight_names{i}", [str(t) for t in part])
        else:
            names(at, "weight_names", labels)
        for label, (role, shape) in zip(labels, weights):
            at[label] = values(number, name, role, shape)


def counted(number, _name, _role, shape):
    return (100 * number + np.arange(np.prod(shape))).reshape(shape).astype(np.float32)


def keras_files(out):
    with h5py.File(out / "keras_weights_fixed.h5", "w") as f:
        write_keras(f, LAYERS, "fixed", counted)
        f.attrs["backend"] = np.bytes_(b"tensorflow")
    with h5py.File(out / "keras_weights_variable.h5", "w") as f:
        write_keras(f, LAYERS, "variable", counted, suffix="_2")
    with h5py.File(out / "keras_model_split.h5", "w") as f:
        f.attrs["keras_version"] = "2.4.0"
        f.attrs["model_config"] = "{}"
        write_keras(f.create_group("model_weights"), LAYERS, "fixed", counted, parts=3)
        f.create_group("optimizer_weights")
    with h5py.File(out / "not_keras.h5", "w") as f:
        f["numbers"] = np.arange(3)


# ---- closed-form numbers --------------------------------------------------------------------------------------------

MASK = (1 << 64) - 1


def unit(key, n):
    h = 0xCBF29CE484222325
    for b in key.encode():
        h = ((h ^ b) * 0x100000001B3) & MASK
    with np.errstate(over="ignore"):
        z = np.uint64(h) + np.arange(1, n + 1, dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15)
        z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        z = z ^ (z >> np.uint64(31))
    return (z >> np.uint64(40)).astype(np.float64) / float(1 << 24)


def closed(layer, role, shape):
    """Value of a variable by Keras shape (kernels HWIO), float32."""
    v = 2 * unit(f"{layer}/{role}", int(np.prod(shape))) - 1
    if role == "kernel":
        gain = 1.0 if layer.startswith("decoder_") or layer == "final_conv" else 0.75
        v = v * (gain * math.sqrt(6.0 / (shape[0] * shape[1] * shape[2])))
    elif role == "gamma":
        v = 1 + 0.25 * v
    elif role == "moving_variance":
        v = 1 + 0.5 * v
    else:
        v = 0.1 * v
    return v.astype(np.float32).reshape(shape)


# ---- PyTorch --------------------------------------------------------------------------------------------------------


class Unit(nn.Module):
    """BasicBlock and Bottleneck of torchvision, by the number of convolutions."""

    def __init__(self, before, filters, stride, bottleneck):
        super().__init__()
        out = filters * (4 if bottleneck else 1)
        steps = [(filters, 1, 1), (filters, 3, stride), (out, 1, 1)] if bottleneck else [(filters, 3, stride), (filters, 3, 1)]
        channels = before
        self.n = len(steps)
        for i, (to, kernel, step) in enumerate(steps, 1):
            setattr(self, f"conv{i}", nn.Conv2d(channels, to, kernel, step, kernel // 2, bias=False))
            setattr(self, f"bn{i}", nn.BatchNorm2d(to))
            channels = to
        self.downsample = None
        if stride != 1 or before != out:
            self.downsample = nn.Sequential(nn.Conv2d(before, out, 1, stride, bias=False), nn.BatchNorm2d(out))

    def forward(self, x):
        y = x
        for i in range(1, self.n + 1):
            y = getattr(self, f"bn{i}")(getattr(self, f"conv{i}")(y))
            y = torch.relu(y) if i < self.n else y
        return torch.relu(y + (x if self.downsample is None else self.downsample(x)))


class Encoder(nn.Module):
    def __init__(self, units, bottleneck):
        super().__init__()
        self.conv1 = nn.Conv2d(3, 64, 7, 2, 3, bias=False)
        self.bn1 = nn.BatchNorm2d(64)
        self.maxpool = nn.MaxPool2d(3, 2, 1)
        before = 64
        for s, n in enumerate(units):
            layer = []
            for u in range(n):
                layer.append(Unit(before, 64 << s, 2 if u == 0 and s > 0 else 1, bottleneck))
                before = (64 << s) * (4 if bottleneck else 1)
            setattr(self, f"layer{s + 1}", nn.Sequential(*layer))


def encoder(name):
    try:
        import torchvision

        model = getattr(torchvision.models, name)(weights=None)
        print(f"{name}: torchvision {torchvision.__version__}")
        return model
    except ImportError:
        print(f"{name}: written out here, torchvision is not installed")
        return Encoder(*{"resnet18": ([2, 2, 2, 2], False), "resnet50": ([3, 4, 6, 3], True)}[name])


class Unet(nn.Module):
    """segmentation_models' decoder on a torchvision encoder."""

    def __init__(self, name):
        super().__init__()
        self.encoder = encoder(name)
        bottom, *skips = [512, 256, 128, 64, 64] if name == "resnet18" else [2048, 1024, 512, 256, 64]
        for i, filters in enumerate([256, 128, 64, 32, 16]):
            before = bottom + (skips[i] if i < 4 else 0)
            for half in "ab":
                setattr(self, f"decoder_stage{i}{half}_conv", nn.Conv2d(before, filters, 3, padding=1, bias=False))
                setattr(self, f"decoder_stage{i}{half}_bn", nn.BatchNorm2d(filters, eps=1e-3))
                before = filters
            bottom = filters
        self.final_conv = nn.Conv2d(16, 3, 3, padding=1)

    def forward(self, x):
        e = self.encoder
        mean, std = (torch.tensor(v, dtype=x.dtype).view(1, 3, 1, 1) for v in ([0.485, 0.456, 0.406], [0.229, 0.224, 0.225]))
        stem = torch.relu(e.bn1(e.conv1((x - mean) / std)))
        one = e.layer1(e.maxpool(stem))
        two = e.layer2(one)
        three = e.layer3(two)
        x = e.layer4(three)
        for i, skip in enumerate([three, two, one, stem, None]):
            x = x.repeat_interleave(2, 2).repeat_interleave(2, 3)
            x = x if skip is None else torch.cat([x, skip], 1)
            for half in "ab":
                x = torch.relu(getattr(self, f"decoder_stage{i}{half}_bn")(getattr(self, f"decoder_stage{i}{half}_conv")(x)))
        return self.final_conv(x)


def fill(model):
    norm = {"weight": "gamma", "bias": "beta", "running_mean": "moving_mean", "running_var": "moving_variance"}
    for name, module in model.named_modules():
        layer = name.removeprefix("encoder.")
        for part, tensor in [*module.named_parameters(recurse=False), *module.named_buffers(recurse=False)]:
            if isinstance(module, nn.Conv2d):
                o, i, h, w = module.weight.shape
                value = closed(layer, "kernel", (h, w, i, o)).transpose(3, 2, 0, 1) if part == "weight" else closed(layer, "bias", (o,))
            elif part in norm:
                value = closed(layer, norm[part], tuple(tensor.shape))
            else:
                continue
            tensor.data.copy_(torch.from_numpy(np.ascontiguousarray(value)))
    return model.double().eval()


def torch_files(out):
    base = {
        "conv1.weight": torch.arange(8.0).reshape(2, 1, 2, 2),
        "bn1.weight": torch.tensor([1.0, 2.0]),
        "bn1.bias": torch.tensor([3.0, 4.0]),
        "bn1.running_mean": torch.tensor([5.0, 6.0]),
        "bn1.running_var": torch.tensor([7.0, 8.0], dtype=torch.float16),
        "bn1.num_batches_tracked": torch.tensor(9),
        # A view with strides of its own: the bytes in the file lie the other way round.
        "layer1.0.conv1.weight": torch.arange(6.0).reshape(3, 2).t().reshape(2, 3, 1, 1),
        "fc.weight": torch.zeros(2, 2),
        "fc.bias": torch.zeros(2),
    }
    torch.save(base, out / "torch_zip.pth")
    torch.save(base, out / "torch_legacy.pth", _use_new_zipfile_serialization=False)
    nested = {"epoch": 3, "state_dict": {f"module.{k}": v for k, v in base.items()}}
    torch.save(nested, out / "torch_nested.pth")


def logits(out):
    torch.manual_seed(0)
    tensors = {}
    for name in ["resnet18", "resnet50"]:
        x = torch.from_numpy(unit("torchvision/input", 3 * 64 * 32).astype(np.float32)).double().reshape(1, 3, 64, 32)
        with torch.no_grad():
            y = fill(Unet(name))(x)
        print(name, "largest logit", float(y.abs().max()))
        tensors[name] = y.float().numpy()
    save_file(tensors, out / "torchvision_unet_logits.safetensors")


# ---- full-size files, not kept --------------------------------------------------------------------------------------


def whole(out):
    """A ResNet18 encoder file as the published ones are (fixed-length strings), and torchvision's ResNet18 as .pth."""
    layers = [("data", []), ("bn_data", [("beta", (3,)), ("moving_mean", (3,)), ("moving_variance", (3,))])]
    norm = lambda name, n: (name, [(r, (n,)) for r in ("gamma", "beta", "moving_mean", "moving_variance")])
    conv = lambda name, k, i, o: (name, [("kernel", (k, k, i, o))])
    layers += [conv("conv0", 7, 3, 64), norm("bn0", 64), ("relu0", []), ("pooling0", [])]
    before = 64
    for s in range(4):
        n = 64 << s
        for u in range(2):
            p = f"stage{s + 1}_unit{u + 1}_"
            layers += [norm(p + "bn1", before), conv(p + "conv1", 3, before, n), norm(p + "bn2", n), conv(p + "conv2", 3, n, n)]
            layers += [conv(p + "sc", 1, before, n)] if u == 0 else []
            before = n
    layers += [norm("bn1", 512), ("relu1", [])]
    with h5py.File(out / "resnet18_imagenet_1000_no_top.h5", "w") as f:
        write_keras(f, layers, "fixed", lambda _n, name, role, shape: closed(name, role, shape))
    model = fill(Unet("resnet18")).encoder.float()
    torch.save(model.state_dict(), out / "resnet18.pth")
    save_file({k: v.numpy() for k, v in model.state_dict().items()}, out / "resnet18.safetensors")


if __name__ == "__main__":
    full = sys.argv[1] == "--whole"
    folder = Path(sys.argv[2 if full else 1])
    folder.mkdir(parents=True, exist_ok=True)
    if full:
        whole(folder)
    else:
        keras_files(folder)
        torch_files(folder)
        logits(folder)
