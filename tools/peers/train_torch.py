"""Seconds and peak memory of PyTorch training steps on the CPU, on the network of the trainer.

usage: train_torch.py ENCODER BATCH SIDE STEPS [THREADS]

The network is `segmentation_models`' U-Net with a pre-activation ResNet, as in docs/training.md: the same
layers, epsilons and momenta, one input channel. The step is the trainer's: focal Dice loss per image with
image weights, Keras' Adam. Prints one line a step, as `trainer/examples/step_speed.rs` does: seconds of
wall clock and of processor time (on a machine that others use too, the second is the one to compare).
"""

import os
import resource
import sys
import time

ENCODER, BATCH, SIDE, STEPS = sys.argv[1], *map(int, sys.argv[2:5])
THREADS = int(sys.argv[5]) if len(sys.argv) > 5 else os.cpu_count()
os.environ["OMP_NUM_THREADS"] = str(THREADS)

import torch  # noqa: E402

from unet_torch import KerasAdam, Unet, focal_dice  # noqa: E402

torch.set_num_threads(THREADS)
torch.manual_seed(1)
model = Unet(ENCODER, 1).train()
optimiser = KerasAdam(model.parameters())
labels = torch.arange(BATCH * SIDE * SIDE).div(37, rounding_mode="floor").remainder(3)
truth = torch.nn.functional.one_hot(labels.view(BATCH, SIDE, SIDE), 3).permute(0, 3, 1, 2).float()
weights = torch.ones(BATCH)
for _ in range(STEPS):
    images = torch.rand(BATCH, 1, SIDE, SIDE)
    start, busy = time.perf_counter(), time.process_time()
    logits = model(images)
    loss = focal_dice(logits, truth, weights)
    forward = time.perf_counter() - start
    for p in model.parameters():
        p.grad = None
    loss.backward()
    both = time.perf_counter() - start
    optimiser.step(1e-4)
    wall, busy = time.perf_counter() - start, time.process_time() - busy
    print(
        f"loss {loss.item():.6f} forward {forward:.3f} backward {both - forward:.3f} "
        f"optimiser {wall - both:.3f} step {wall:.3f} cpu {busy:.3f}",
        flush=True,
    )
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
print(f"peak memory {peak:.0f} MiB")
