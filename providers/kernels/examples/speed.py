"""Puts ONNX Runtime beside the example `speed`: interleaved rounds, medians, ratios.

    cargo build --release -p remuda-kernels --example speed
    python providers/kernels/examples/speed.py target/release/examples/speed [matmul|int8|int4|conv] [threads ..]

Needs numpy, onnx and onnxruntime. A ratio above 1 means that this crate is faster. What a call of
ONNX Runtime costs without any work is measured and taken off its times.
"""

import statistics
import subprocess
import sys
import time

import numpy as np
import onnxruntime
from onnx import TensorProto, helper, numpy_helper

ROUNDS = 11
ROUND_S = 0.005

MATMUL = [
    (m, k, n)
    for m in (1, 8, 128, 384)
    for k, n in ((128, 128), (128, 512), (512, 128), (384, 384), (384, 1536), (768, 768), (768, 3072), (3072, 768))
]

# channels, outputs, size, kernel, stride, pad, groups
CONV = [
    (3, 64, 224, 7, 2, 3, 1),
    (64, 64, 56, 3, 1, 1, 1),
    (64, 128, 56, 3, 2, 1, 1),
    (64, 128, 56, 1, 2, 0, 1),
    (128, 128, 28, 3, 1, 1, 1),
    (256, 256, 14, 3, 1, 1, 1),
    (512, 512, 7, 3, 1, 1, 1),
    (3, 16, 224, 3, 2, 1, 1),
    (16, 16, 112, 3, 1, 1, 16),
    (16, 64, 112, 1, 1, 0, 1),
    (64, 64, 112, 3, 2, 1, 64),
    (72, 24, 56, 1, 1, 0, 1),
    (72, 72, 56, 5, 2, 2, 72),
    (120, 120, 28, 5, 1, 2, 120),
    (40, 240, 28, 1, 1, 0, 1),
    (480, 112, 14, 1, 1, 0, 1),
    (672, 672, 14, 5, 1, 2, 672),
    (672, 160, 7, 1, 1, 0, 1),
    (160, 960, 7, 1, 1, 0, 1),
    (960, 960, 7, 5, 1, 2, 960),
    (32, 96, 112, 1, 1, 0, 1),
    (144, 144, 56, 3, 1, 1, 144),
    (1152, 320, 7, 1, 1, 0, 1),
]


def session(nodes, inputs, outputs, weights, threads):
    """A session over one graph."""
    graph = helper.make_graph(nodes, "g", inputs, outputs, [numpy_helper.from_array(w, n) for n, w in weights.items()])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17), helper.make_opsetid("com.microsoft", 1)], ir_version=8)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.log_severity_level = 3
    return onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])


def value(name, shape):
    return helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)


def bound(sess, x, dtype=np.float32):
    binding = sess.io_binding()
    held = onnxruntime.OrtValue.ortvalue_from_numpy(x)
    binding.bind_ortvalue_input("x", held)
    y = onnxruntime.OrtValue.ortvalue_from_numpy(np.zeros(sess.run(None, {"x": x})[0].shape, dtype))
    binding.bind_ortvalue_output("y", y)
    return lambda: (held, y, sess.run_with_iobinding(binding))


def matmul(case, threads):
    m, k, n = case
    weight = (np.arange(k * n) % 7 - 3).reshape(k, n).astype(np.float32)
    node = helper.make_node("MatMul", ["x", "w"], ["y"])
    sess = session([node], [value("x", [m, k])], [value("y", [m, n])], {"w": weight}, threads)
    return bound(sess, (np.arange(m * k) % 13 - 6).reshape(m, k).astype(np.float32))


def int8(case, threads):
    m, k, n = case
    weight = (np.arange(k * n) % 256).astype(np.uint8).view(np.int8).reshape(k, n)
    node = helper.make_node("MatMulInteger", ["x", "w", "z"], ["y"])
    x = value("x", [m, k])
    x.type.tensor_type.elem_type = TensorProto.UINT8
    y = value("y", [m, n])
    y.type.tensor_type.elem_type = TensorProto.INT32
    sess = session([node], [x], [y], {"w": weight, "z": np.array(128, np.uint8)}, threads)
    return bound(sess, (np.arange(m * k) % 256).reshape(m, k).astype(np.uint8), np.int32)


def int4(case, threads):
    m, k, n = case
    blocks = -(-k // 32)
    weight = (np.arange(n * blocks * 16) % 256).reshape(n, blocks, 16).astype(np.uint8)
    weights = {"w": weight, "s": np.full(n * blocks, 0.01, np.float32)}
    node = helper.make_node(
        "MatMulNBits", ["x", "w", "s"], ["y"], domain="com.microsoft", K=k, N=n, bits=4, block_size=32
    )
    sess = session([node], [value("x", [m, k])], [value("y", [m, n])], weights, threads)
    return bound(sess, (np.arange(m * k) % 13 - 6).reshape(m, k).astype(np.float32))


def conv(case, threads):
    c, o, size, kernel, stride, pad, groups = case
    weight = (np.arange(o * c // groups * kernel * kernel) % 7 - 3).astype(np.float32)
    weight = weight.reshape(o, c // groups, kernel, kernel)
    out = (size + 2 * pad - kernel) // stride + 1
    nodes = [
        helper.make_node("Conv", ["x", "w", "b"], ["c"], strides=[stride] * 2, pads=[pad] * 4, group=groups),
        helper.make_node("Relu", ["c"], ["y"]),
    ]
    weights = {"w": weight, "b": np.full(o, 0.5, np.float32)}
    sess = session(nodes, [value("x", [1, c, size, size])], [value("y", [1, o, out, out])], weights, threads)
    return bound(sess, (np.arange(c * size * size) % 13 - 6).reshape(1, c, size, size).astype(np.float32))


def nothing(threads):
    sess = session([helper.make_node("Relu", ["x"], ["y"])], [value("x", [1])], [value("y", [1])], {}, threads)
    return bound(sess, np.zeros(1, np.float32))


def time_round(run):
    run()
    run()
    calls, start = 0, time.perf_counter()
    while calls < 3 or time.perf_counter() - start < ROUND_S:
        run()
        calls += 1
    return (time.perf_counter() - start) / calls * 1e9


def compare(binary, kind, cases, threads):
    ratios = {}
    idle = statistics.median(time_round(nothing(threads)) for _ in range(ROUNDS))
    for case in cases:
        run = KINDS[kind][0](case, threads)
        rounds = []
        question = f"{kind} {' '.join(map(str, case))} {threads}"
        for _ in range(ROUNDS):
            print(question, file=binary.stdin, flush=True)
            question = "again"
            times = {k: float(v) for k, v in (cell.split("=") for cell in binary.stdout.readline().split())}
            time.sleep(0.01)
            times["ort"] = time_round(run) - idle
            # Its threads go on spinning for a while.
            time.sleep(0.03)
            rounds.append(times)
        print(file=binary.stdin, flush=True)
        names = rounds[0].keys()
        us = {name: statistics.median(r[name] for r in rounds) / 1000 for name in names}
        if us["ort"] * 1000 < idle:
            # Too short to tell from the cost of a call.
            names = [n for n in names if n != "ort"]
        against = {n: statistics.median(r[n] / r["ours"] for r in rounds) for n in names if n != "ours"}
        for name, ratio in against.items():
            ratios.setdefault(name, []).append(ratio)
        cells = "  ".join(f"{n} {us[n]:.1f} us ({r:.2f})" for n, r in against.items())
        print(f"{kind} {case} x{threads}: ours {us['ours']:.1f} us  {cells}", flush=True)
    for name, values in ratios.items():
        print(f"{kind} x{threads} {name}: geometric mean {statistics.geometric_mean(values):.2f}, least {min(values):.2f}")


KINDS = {"matmul": (matmul, MATMUL), "int8": (int8, MATMUL), "int4": (int4, MATMUL), "conv": (conv, CONV)}


def main():
    path, *words = sys.argv[1:]
    kinds = [w for w in words if not w.isdigit()] or list(KINDS)
    counts = [int(w) for w in words if w.isdigit()] or [1, 2]
    binary = subprocess.Popen([path], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    for threads in counts:
        for kind in kinds:
            compare(binary, kind, KINDS[kind][1], threads)


if __name__ == "__main__":
    main()
