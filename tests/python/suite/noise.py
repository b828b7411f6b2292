"""Cases whose expected values are rounding noise that is larger than the suite's tolerance.

They count as not passed. A difference up to the bound beside the reason is no wrong answer; a larger one is.
"""

from __future__ import annotations

import re

FFT = (
    "the exact answer is zero; expected is the rounding noise of numpy's 32-bit FFT, which the tolerance of 1e-7 is "
    "smaller than"
)
HALF = (
    "every step of the expanded function rounds to 16 bits; expected are numpy's roundings, one unit in the last "
    "place away"
)

NOISE: dict[str, tuple[float, str]] = {
    "test_dft_inverse": (2e-7, FFT),
    "test_dft_inverse_opset19": (2e-7, FFT),
    "test_attention_4d_causal_fp16_expanded": (4.9e-4, HALF),
}

_LARGEST = re.compile(r"Max absolute difference among violations: ([0-9.e+-]+)")


def noise_reason(case: str, difference: AssertionError) -> str | None:
    """The reason why this difference is no wrong answer, if it is none."""
    if case not in NOISE:
        return None
    bound, reason = NOISE[case]
    found = _LARGEST.search(str(difference))
    return reason if found and float(found[1]) <= bound else None
