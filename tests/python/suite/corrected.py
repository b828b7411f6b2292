"""Cases whose expected output a later `onnx` release replaced, for the same graph and the same opset.

No runtime can pass both releases. Remuda follows the newer one, so in the older suite these cases count as not
passed, and a differing value there is no wrong answer.
"""

from __future__ import annotations

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
