"""The network as an OpenVINO graph, which computes faster on a CPU than PyTorch.

The graph is built operation by operation from the weights. OpenVINO's own converter from PyTorch is not used: it is the
only part of OpenVINO that reports its use to the maker.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from openvino import Core, Model, Type
from openvino import opset15 as ops
from torch import nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from mri_model.data.preprocessing import Preprocessing
from mri_model.models.network import GUARD_LAYERS, Resnet18

PRECISIONS = {"fp32": "f32", "bf16": "bf16"}


def compile_network(
    network: Resnet18, preprocessing: Preprocessing, precision: str, threads: int
) -> Callable[[np.ndarray], list[np.ndarray]]:
    """Compile the network for this machine's CPU.

    Args:
        network: In eval mode, on the CPU.
        preprocessing: The mean and standard deviation of its input.
        precision: ``fp32`` or ``bf16``.
        threads: Number of threads.

    Returns:
        A function from images, uint8 or float32 of 0-255 of shape (n, 3, size, size), to the logits and features of
        ``Resnet18.outputs``, float32.
    """
    compiled = {}
    options = {
        "PERFORMANCE_HINT": "LATENCY",
        "INFERENCE_PRECISION_HINT": PRECISIONS[precision],
        "INFERENCE_NUM_THREADS": threads,
    }

    def run(images: np.ndarray) -> list[np.ndarray]:
        kind = images.dtype.name
        if kind not in compiled:
            graph = build_graph(network, preprocessing, Type.u8 if kind == "uint8" else Type.f32)
            compiled[kind] = Core().compile_model(graph, "CPU", options)
        found = compiled[kind](images)
        return [np.array(found[place]) for place in range(2)]

    return run


def build_graph(network: Resnet18, preprocessing: Preprocessing, kind: Any) -> Model:
    """``Resnet18.outputs`` from pixels of 0-255; batch normalization is folded into the convolutions."""
    resnet = network.resnet
    images = ops.parameter([-1, 3, preprocessing.size, preprocessing.size], kind)
    mean, std = (
        np.array(each, np.float32).reshape(1, 3, 1, 1) * 255 for each in (preprocessing.mean, preprocessing.std)
    )
    maps = ops.divide(ops.subtract(ops.convert(images, np.float32), mean), std)
    maps = ops.relu(convolution(maps, resnet.conv1, resnet.bn1))
    maps = ops.max_pool(maps, [2, 2], [1, 1], [1, 1], [1, 1], [3, 3]).output(0)
    means = {}
    for name in ("layer1", "layer2", "layer3", "layer4"):
        for block in getattr(resnet, name):
            maps = residual_block(maps, block)
        means[name] = ops.reduce_mean(maps, [2, 3], keep_dims=False)
    logits = ops.add(ops.matmul(means["layer4"], array(resnet.fc.weight), False, True), array(resnet.fc.bias)[None])
    features = ops.concat([means[name] for name in GUARD_LAYERS], axis=1)
    return Model([logits, features], [images])


def residual_block(maps: Any, block: Any) -> Any:
    """A basic block of He et al., "Deep residual learning for image recognition", CVPR 2016."""
    inner = ops.relu(convolution(maps, block.conv1, block.bn1))
    inner = convolution(inner, block.conv2, block.bn2)
    shortcut = convolution(maps, *block.downsample) if block.downsample else maps
    return ops.relu(ops.add(inner, shortcut))


def convolution(maps: Any, layer: nn.Conv2d, normalization: nn.BatchNorm2d) -> Any:
    fused = fuse_conv_bn_eval(layer, normalization)
    stride, padding, dilation = (list(each) for each in (fused.stride, fused.padding, fused.dilation))
    result = ops.convolution(maps, array(fused.weight), stride, padding, padding, dilation)
    return ops.add(result, array(fused.bias).reshape(1, -1, 1, 1))


def array(weights: torch.Tensor | None) -> np.ndarray:
    assert weights is not None
    return weights.detach().numpy()
