#!/usr/bin/env python3
"""Trains the small digit reader that ships with the command line, and writes it as ONNX beside a sample image.

    python tests/networks/digits.py

Data: the 1,797 handwritten digits of 8 by 8 pixels in scikit-learn ("Optical Recognition of Handwritten Digits",
E. Alpaydin and C. Kaynak, UCI Machine Learning Repository, CC BY 4.0). The network is trained here in numpy alone:
two convolutions, a max pool and a linear layer. The exported graph ends in the digit's name, so that running it
prints an answer a person can check. Needs numpy, onnx and scikit-learn.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
from onnx import ModelProto, TensorProto, checker, helper, numpy_helper, save
from sklearn.datasets import load_digits

ASSETS = Path(__file__).resolve().parents[2] / "bindings" / "cli" / "assets"
NAMES = ["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"]
SEED = 8
HELD_OUT = 360
EPOCHS = 40
BATCH = 32

Parameters = dict[str, np.ndarray]


def main() -> int:
    images, digits = shuffled_digits()
    train, test = slice(HELD_OUT, None), slice(None, HELD_OUT)
    parameters = fit(images[train], digits[train])
    scores = forward(parameters, images[test])["scores"]
    right = scores.argmax(1) == digits[test]
    print(f"{right.mean():.1%} of {HELD_OUT} held-out digits are read right")
    sample = int(np.where(digits[test] == 7, softmax(scores)[:, 7], 0).argmax())
    ASSETS.mkdir(parents=True, exist_ok=True)
    save(to_onnx(parameters), ASSETS / "digits.onnx")
    np.save(ASSETS / "seven.npy", images[sample : sample + 1])
    print(f"wrote {ASSETS / 'digits.onnx'} and seven.npy:")
    print("\n".join("".join(" .:*#"[int(p * 4)] * 2 for p in row) for row in images[sample, 0]))
    return 0


def shuffled_digits() -> tuple[np.ndarray, np.ndarray]:
    """Images of shape (count, 1, 8, 8) with ink from 0 to 1, and their digits."""
    data = load_digits()
    order = np.random.default_rng(SEED).permutation(len(data.target))
    images = (data.images[order] / 16).astype(np.float32)
    return images[:, None], data.target[order]


def patches(x: np.ndarray) -> np.ndarray:
    """The 3 by 3 neighbourhood of every pixel, zero beyond the border: (n, height, width, channels * 9)."""
    padded = np.pad(x, ((0, 0), (0, 0), (1, 1), (1, 1)))
    windows = np.lib.stride_tricks.sliding_window_view(padded, (3, 3), axis=(2, 3))
    return windows.transpose(0, 2, 3, 1, 4, 5).reshape(len(x), x.shape[2], x.shape[3], -1)


def convolve(x: np.ndarray, weight: np.ndarray, bias: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """A 3 by 3 convolution followed by Relu, and the patches it saw."""
    seen = patches(x)
    sums = seen @ weight.reshape(len(weight), -1).T + bias
    return np.maximum(sums, 0).transpose(0, 3, 1, 2), seen


def forward(p: Parameters, images: np.ndarray) -> dict[str, np.ndarray]:
    """Everything the network computes on the way to its scores."""
    first, first_seen = convolve(images, p["conv1.weight"], p["conv1.bias"])
    second, second_seen = convolve(first, p["conv2.weight"], p["conv2.bias"])
    blocks = second.reshape(len(images), -1, 4, 2, 4, 2)
    pooled = blocks.max(axis=(3, 5))
    scores = pooled.reshape(len(images), -1) @ p["score.weight"] + p["score.bias"]
    return {
        "first": first,
        "first_seen": first_seen,
        "second": second,
        "second_seen": second_seen,
        "pooled": pooled,
        "scores": scores,
    }


def gradients(p: Parameters, images: np.ndarray, digits: np.ndarray) -> Parameters:
    """The gradient of the mean cross entropy by every parameter."""
    f = forward(p, images)
    count = len(images)
    slope = softmax(f["scores"])
    slope[np.arange(count), digits] -= 1
    slope /= count
    found = {
        "score.weight": f["pooled"].reshape(count, -1).T @ slope,
        "score.bias": slope.sum(0),
    }
    slope = (slope @ p["score.weight"].T).reshape(f["pooled"].shape)
    spread = slope.repeat(2, axis=2).repeat(2, axis=3)
    chosen = f["second"] == f["pooled"].repeat(2, axis=2).repeat(2, axis=3)
    slope = spread * chosen * (f["second"] > 0)
    found |= convolution_gradients("conv2", f["second_seen"], slope, p)
    slope = input_gradient(slope, p["conv2.weight"]) * (f["first"] > 0)
    return found | convolution_gradients("conv1", f["first_seen"], slope, p)


def convolution_gradients(
    name: str, seen: np.ndarray, slope: np.ndarray, p: Parameters
) -> Parameters:
    weight = p[f"{name}.weight"]
    by_sum = slope.transpose(0, 2, 3, 1).reshape(-1, len(weight))
    return {
        f"{name}.weight": (by_sum.T @ seen.reshape(len(by_sum), -1)).reshape(weight.shape),
        f"{name}.bias": by_sum.sum(0),
    }


def input_gradient(slope: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """What a convolution passes back: a convolution with the kernels turned around."""
    turned = weight[:, :, ::-1, ::-1].transpose(1, 0, 2, 3)
    return (patches(slope) @ turned.reshape(len(turned), -1).T).transpose(0, 3, 1, 2)


def softmax(scores: np.ndarray) -> np.ndarray:
    powers = np.exp(scores - scores.max(1, keepdims=True))
    return powers / powers.sum(1, keepdims=True)


def fit(images: np.ndarray, digits: np.ndarray) -> Parameters:
    """Adam with a falling step; each batch is moved by up to a pixel, which makes few digits go further."""
    rng = np.random.default_rng(SEED)
    p = fresh_parameters(rng)
    means = {name: np.zeros_like(value) for name, value in p.items()}
    squares = {name: np.zeros_like(value) for name, value in p.items()}
    step = 0
    for epoch in range(EPOCHS):
        rate = 3e-3 * 0.5 * (1 + np.cos(np.pi * epoch / EPOCHS))
        for chosen in np.array_split(rng.permutation(len(images)), len(images) // BATCH):
            step += 1
            moved = np.roll(images[chosen], rng.integers(-1, 2, 2), axis=(2, 3))
            for name, slope in gradients(p, moved, digits[chosen]).items():
                means[name] = 0.9 * means[name] + 0.1 * slope
                squares[name] = 0.999 * squares[name] + 0.001 * slope**2
                mean = means[name] / (1 - 0.9**step)
                p[name] -= (
                    rate * mean / (np.sqrt(squares[name] / (1 - 0.999**step)) + 1e-8)
                ).astype(np.float32)
    return p


def fresh_parameters(rng: np.random.Generator) -> Parameters:
    shapes = {
        "conv1.weight": (16, 1, 3, 3),
        "conv2.weight": (32, 16, 3, 3),
        "score.weight": (512, 10),
    }
    p: Parameters = {}
    for name, shape in shapes.items():
        is_linear = len(shape) == 2
        inputs = shape[0] if is_linear else int(np.prod(shape[1:]))
        p[name] = (rng.standard_normal(shape) * np.sqrt(2 / inputs)).astype(np.float32)
        outputs = shape[1] if is_linear else shape[0]
        p[name.replace("weight", "bias")] = np.zeros(outputs, np.float32)
    return p


def to_onnx(p: Parameters) -> ModelProto:
    """The trained network as a graph from `image` to the digit's `name` and ten `probabilities`."""
    node = helper.make_node
    nodes = [
        node("Conv", ["image", "conv1.weight", "conv1.bias"], ["conv1"], pads=[1, 1, 1, 1]),
        node("Relu", ["conv1"], ["relu1"]),
        node("Conv", ["relu1", "conv2.weight", "conv2.bias"], ["conv2"], pads=[1, 1, 1, 1]),
        node("Relu", ["conv2"], ["relu2"]),
        node("MaxPool", ["relu2"], ["pooled"], kernel_shape=[2, 2], strides=[2, 2]),
        node("Flatten", ["pooled"], ["features"]),
        node("Gemm", ["features", "score.weight", "score.bias"], ["scores"]),
        node("Softmax", ["scores"], ["probabilities"], axis=1),
        node("ArgMax", ["scores"], ["digit"], axis=1, keepdims=0),
        node("Gather", ["names", "digit"], ["name"]),
    ]
    value = helper.make_tensor_value_info
    graph = helper.make_graph(
        nodes,
        "digits",
        [value("image", TensorProto.FLOAT, ["batch", 1, 8, 8])],
        [
            value("name", TensorProto.STRING, ["batch"]),
            value("probabilities", TensorProto.FLOAT, ["batch", 10]),
        ],
        [numpy_helper.from_array(array, name) for name, array in p.items()]
        + [helper.make_tensor("names", TensorProto.STRING, [10], [n.encode() for n in NAMES])],
        doc_string="Reads a handwritten digit of 8 by 8 pixels with ink from 0 to 1.",
    )
    opset = helper.make_opsetid("", 17)
    model = helper.make_model(graph, opset_imports=[opset], producer_name="remuda-digits")
    model.ir_version = 8
    checker.check_model(model, full_check=True)
    return model


if __name__ == "__main__":
    sys.exit(main())
