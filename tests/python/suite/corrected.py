"""Cases whose expected output a later `onnx` release replaced, for the same graph and the same opset.

No runtime can pass both releases. Remuda follows the newer one, so in the older suite these cases count as not
passed. What counts there as no wrong answer is the output that the later release's own evaluator computes for the
older release's model and inputs, recorded beside this file. To record it anew, with the later `onnx` installed:

    python -m suite.corrected FOLDER        the older one's onnx/backend/test/data/node
"""

from __future__ import annotations

import sys
from functools import cache
from pathlib import Path

import numpy as np
import onnx
from onnx import numpy_helper

RECORDED = Path(__file__).with_suffix(".npz")

QK_MODES = (
    "`qk_matmul_output_mode` 1 and 2 changed places, and `softcap` moved before the mask, without "
    "a new opset (Attention in onnx 1.23)"
)
WRAPPED_SUM = (
    "the expected int8 result wrapped around; onnx 1.23 expects saturation (QLinearMatMul)"
)
EPSILON = "the model left out the `epsilon` of its expected values (Adam in onnx 1.23)"
ZERO_NORM = (
    "a slice of norm zero was expected to become NaN; onnx 1.23 expects zero (LpNormalization)"
)

_QK_CASES = [
    "attention_3d_with_past_and_present_qk_matmul_bias",
    "attention_3d_with_past_and_present_qk_matmul_softcap",
    "attention_4d_with_past_and_present_qk_matmul_bias",
    "attention_4d_with_past_and_present_qk_matmul_bias_3d_mask",
    "attention_4d_with_past_and_present_qk_matmul_bias_3d_mask_causal",
    "attention_4d_with_past_and_present_qk_matmul_bias_4d_mask",
    "attention_4d_with_past_and_present_qk_matmul_bias_4d_mask_causal",
    "attention_4d_with_qk_matmul_bias",
    "attention_4d_with_qk_matmul_softcap",
]
_WRAPPED_CASES = [
    f"qlinearmatmul_{rank}D_int8_{scale}" for rank in (2, 3) for scale in ("float16", "float32")
]

CORRECTED_LATER: dict[str, dict[str, str]] = {
    "1.19.1": {
        **{f"test_{name}": QK_MODES for name in _QK_CASES},
        **{f"test_{name}": WRAPPED_SUM for name in _WRAPPED_CASES},
        "test_adam_multiple": EPSILON,
        "test_l2normalization_axis_0": ZERO_NORM,
    }
}


def corrected_reason(case: str) -> str | None:
    """Why the installed release's expected output of this case does not hold any more, if it does not."""
    return CORRECTED_LATER.get(onnx.__version__, {}).get(case)


def corrected_outputs(case: str) -> list[np.ndarray]:
    """What the later release expects of this case's model."""
    recorded = _recorded()
    names = (f"{case}/{index}" for index in range(len(recorded)))
    return [recorded[name] for name in names if name in recorded]


@cache
def _recorded() -> dict[str, np.ndarray]:
    with np.load(RECORDED) as arrays:
        return dict(arrays)


def _record(folder: Path) -> None:
    from onnx.reference import ReferenceEvaluator

    arrays = {}
    for case in sorted(name for cases in CORRECTED_LATER.values() for name in cases):
        model = onnx.load(folder / case / "model.onnx")
        files = [
            folder / case / f"test_data_set_0/input_{i}.pb" for i in range(len(model.graph.input))
        ]
        inputs = [numpy_helper.to_array(onnx.load_tensor(file)) for file in files]
        evaluator = ReferenceEvaluator(model)
        outputs = evaluator.run(None, dict(zip(evaluator.input_names, inputs)))
        arrays |= {f"{case}/{index}": np.asarray(output) for index, output in enumerate(outputs)}
    np.savez_compressed(RECORDED, **arrays)


if __name__ == "__main__":
    _record(Path(sys.argv[1]))
