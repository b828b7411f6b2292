#!/usr/bin/env python3
"""Exports the networks of the zoo with seeded weights and commits them as skeletons beside a catalog.

    python tests/networks/export.py [NAME ...]

Each network is exported by torch, stripped, filled again, and checked to run with lively outputs; its quantised,
fused and float16 variants are made from the filled model and go the same way. `materialize.py` rebuilds the full
models from the skeletons. Needs `requirements.txt` beside this file; everything else needs only the results.
"""

from __future__ import annotations

import argparse
import logging
import os
import sys
import tempfile
import warnings
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import torch
from onnx import ModelProto

import skeleton
from catalog import CATALOG, SKELETONS, Entry, load_catalog, save_catalog
from inputs import feeds
from skeleton import Weights
from zoo import llama, recurrent, text, vision
from zoo.network import Network, redraw_weights, settle_batch_norm
from zoo.variants import Variant, variants_of

NETWORKS = [*vision.NETWORKS, *text.NETWORKS, *llama.NETWORKS, *recurrent.NETWORKS]
SEED = 20
# ONNX Runtime's own operators that exporters write into ONNX's domain.
UNKNOWN_TO_THE_CHECKER = {"SimplifiedLayerNormalization"}
SIZE_TO_KEEP_NAMES = 150_000


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("names", nargs="*", help="networks to export; all if none is named")
    parser.add_argument("-v", action="store_true", help="print the spread of every output")
    names = parser.parse_args().names
    known = {network.name for network in NETWORKS}
    if unknown := set(names) - known:
        print(f"unknown networks: {', '.join(sorted(unknown))}", file=sys.stderr)
        return 2
    warnings.simplefilter("ignore")
    logging.disable(logging.WARNING)
    onnxruntime.set_default_logger_severity(4)
    SKELETONS.mkdir(exist_ok=True)
    entries = {entry.name: entry for entry in load_catalog()} if CATALOG.exists() else {}
    for network in NETWORKS:
        if not names or network.name in names:
            entries = {name: row for name, row in entries.items() if row.base != network.name}
            for entry in export(network):
                entries[entry.name] = entry
    order = [network.name for network in NETWORKS]
    rows = sorted(entries.values(), key=lambda entry: order.index(entry.base))
    save_catalog(rows)
    for path in SKELETONS.glob("*.onnx"):
        if path.stem not in entries:
            path.unlink()
    return 0


def export(network: Network) -> list[Entry]:
    """The network's own skeleton and those of its variants."""
    with tempfile.TemporaryDirectory() as folder:
        base = Path(folder) / f"{network.name}.onnx"
        weights = Weights(to_onnx(network, base), keep_vectors=network.family == "vision")
        model = network.finish(onnx.load(base))
        entry = Entry(
            name=network.name,
            base=network.name,
            family=network.family,
            precision="f32",
            opset=network.opset,
            inputs=network.inputs,
            sizes=network.sizes,
            bench=network.bench,
        )
        filled = store(model, entry, weights)
        onnx.save(filled, base)
        entries = [entry]
        for variant in variants_of(network.name):
            entries.append(export_variant(base, entry, variant, weights))
        return entries


def export_variant(base: Path, entry: Entry, variant: Variant, weights: Weights) -> Entry:
    derived = entry.variant(variant.suffix, variant.precision)
    path = base.with_name(f"{derived.name}.onnx")
    variant.make(base, path, entry)
    store(onnx.load(path), derived, replace(weights, is_packed=variant.is_packed))
    return derived


def to_onnx(network: Network, path: Path) -> dict[str, str]:
    """Exports the network to `path`; returns the descriptions of the weights that were drawn from one."""
    torch.manual_seed(SEED)
    module = network.build()
    drawn: dict[str, str] = {}
    if isinstance(module, ModelProto):
        onnx.save(module, path)
        return drawn
    if network.settle_on:
        drawn = redraw_weights(module)
        settle_batch_norm(module, network.settle_on)
    samples = network.samples(network.sizes[-1])
    dynamic = {
        name: {
            axis: size.replace(" ", "") for axis, size in enumerate(shape) if isinstance(size, str)
        }
        for name, shape in [
            *((name, spec.shape) for name, spec in network.inputs.items()),
            *network.output_axes.items(),
        ]
    }
    common = {
        "input_names": list(network.inputs),
        "output_names": network.outputs,
        "opset_version": network.opset,
    }
    with torch.no_grad():
        if network.exporter == "dynamo":
            shapes = tuple(
                {axis: torch.export.Dim(size) for axis, size in dynamic[name].items()}
                for name in network.inputs
            )
            program = torch.onnx.export(
                module, samples, dynamo=True, dynamic_shapes=shapes, verbose=False, **common
            )
            program.save(str(path))
            return drawn
        training = torch.onnx.TrainingMode.EVAL
        if network.settle_on:
            training = torch.onnx.TrainingMode.PRESERVE
        torch.onnx.export(
            module,
            samples,
            str(path),
            dynamo=False,
            dynamic_axes=dynamic,
            training=training,
            do_constant_folding=not network.settle_on,
            **common,
        )
    return drawn


def store(model: ModelProto, entry: Entry, weights: Weights) -> ModelProto:
    """Writes the skeleton of `model` and returns it filled; fails if its outputs would show nothing."""
    tidy(model)
    skeleton.strip(model, weights)
    data = model.SerializeToString(deterministic=True)
    if len(data) > SIZE_TO_KEEP_NAMES:
        shorten_names(model)
        data = model.SerializeToString(deterministic=True)
    entry.skeleton.write_bytes(data)
    filled = onnx.ModelProto()
    filled.ParseFromString(data)
    skeleton.fill(filled)
    check(filled, entry)
    print(f"{entry.name:<34} {len(data) / 1024:7.1f} kB  opset {opset(model)}", flush=True)
    return filled


def tidy(model: ModelProto) -> None:
    """Drops what no runtime reads: unused imports, documentation, node names, inferred shapes inside."""
    model.ClearField("metadata_props")
    used = {node.domain for graph in skeleton.graphs(model.graph) for node in graph.node}
    used |= {node.domain for function in model.functions for node in function.node} | {""}
    needed = [entry for entry in model.opset_import if entry.domain in used]
    del model.opset_import[:]
    model.opset_import.extend(needed)
    model.producer_name = "remuda-networks"
    model.producer_version = ""
    model.graph.ClearField("value_info")
    model.graph.ClearField("metadata_props")
    for graph in skeleton.graphs(model.graph):
        graph.ClearField("doc_string")
        for node in graph.node:
            for clutter in ("doc_string", "metadata_props", "name"):
                node.ClearField(clutter)
        for value in [*graph.input, *graph.output]:
            value.ClearField("metadata_props")
    for function in model.functions:
        for node in function.node:
            node.ClearField("metadata_props")


def shorten_names(model: ModelProto) -> None:
    """Numbers the inner values; in quantised graphs their names take more room than all else."""
    graph = model.graph
    short = {value.name: value.name for value in [*graph.input, *graph.output]}
    for name in [tensor.name for tensor in graph.initializer] + [
        name for node in graph.node for name in node.output
    ]:
        short.setdefault(name, f"v{len(short)}" if name else "")
    for tensor in graph.initializer:
        tensor.name = short[tensor.name]
    for inner in skeleton.graphs(graph):
        for node in inner.node:
            node.input[:] = [short.get(name, name) for name in node.input]
            node.output[:] = [short.get(name, name) for name in node.output]


def check(model: ModelProto, entry: Entry) -> None:
    """Every float output is finite and varies; otherwise a comparison of two runtimes would say nothing."""
    if not any(node.op_type in UNKNOWN_TO_THE_CHECKER for node in model.graph.node):
        onnx.checker.check_model(model)
    session = onnxruntime.InferenceSession(
        model.SerializeToString(), providers=["CPUExecutionProvider"]
    )
    for sizes in entry.sizes:
        arrays = feeds(entry.inputs, sizes, seed=1)
        wanted = {value.name for value in session.get_inputs()}
        results = session.run(None, {name: arrays[name] for name in wanted})
        for value, result in zip(session.get_outputs(), results):
            numbers = np.asarray(result, np.float64)
            if numbers.size == 0 or not np.isfinite(numbers).all() or numbers.std() < 1e-3:
                raise ValueError(
                    f"`{entry.name}`: output `{value.name}` {numbers.shape} shows nothing, "
                    f"mean {numbers.mean():.3g}, deviation {numbers.std():.3g}"
                )
            if "-v" in sys.argv:
                print(f"    {value.name} {numbers.shape} {numbers.mean():.3g} {numbers.std():.3g}")


def opset(model: ModelProto) -> str:
    return " ".join(f"{entry.domain}{entry.version}" for entry in model.opset_import)


def with_fixed_hashes() -> None:
    """Starts over with fixed string hashes: the exporter walks over sets, so its output depends on them."""
    if os.environ.get("PYTHONHASHSEED") != "0":
        environment = {**os.environ, "PYTHONHASHSEED": "0"}
        os.execve(sys.executable, [sys.executable, *sys.argv], environment)


if __name__ == "__main__":
    with_fixed_hashes()
    sys.exit(main())
