#!/usr/bin/env bash
# Tests the provider over ONNX Runtime, on the one of the Python environment that `ci/python.sh` made: its own
# tests, the networks, ONNX's backend suite with the CPU completing what it does not take, and answers during which its
# worker process is killed.
set -euo pipefail
cd "$(dirname "$0")/.."
python=target/python/stable/bin/python
target="${CARGO_TARGET_DIR:-target}"
ORT_DYLIB_PATH=$(echo "$PWD"/target/python/stable/lib/python3*/site-packages/onnxruntime/capi/libonnxruntime.so.*)
export ORT_DYLIB_PATH
test -f "$ORT_DYLIB_PATH"

cargo test --quiet -p remuda-onnxruntime
cargo build --quiet -p remuda-onnxruntime
library="$target/debug/libremuda_onnxruntime.so"
# Left out: weights whose scales are constants reach this provider as floats, and it runs their convolutions so; and a
# bound that is ONNX Runtime's own distance from floats to the last digit.
PYTHONPATH=ci "$python" -m pytest -q -p skips tests/python/test_networks.py --backends onnxruntime:cpu,cpu --library "$library" \
  -k "not unet-qdq and not gpt2_tiny-int4"
"$python" tests/python/backend_suite.py --backend onnxruntime:cpu,cpu --library "$library"
cargo build --quiet -p remuda-cli
"$python" tests/python/kill_workers.py --backend onnxruntime:cpu --library "$library" --remuda "$target/debug/remuda"
ci/try_provider_wheel.sh onnxruntime "$library"
