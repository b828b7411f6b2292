#!/usr/bin/env bash
# Tests the provider over ggml: builds ggml's CPU backend for this machine, then runs the provider's own tests, the
# conformance kit, ONNX's backend suite with the CPU completing what it does not take, and answers during which its worker
# process is killed.
set -euo pipefail
cd "$(dirname "$0")/.."
python=target/python/stable/bin/python
target="${CARGO_TARGET_DIR:-target}"
folder="$PWD/target/ggml/lib"
if [ ! -f "$folder/libggml-base.so" ]; then
  "$python" -m pip install --quiet cmake ninja
  PATH="$PWD/target/python/stable/bin:$PATH" PYTHON="$python" providers/ggml/build-backends.sh "$folder" --this-cpu
fi
export REMUDA_GGML="$folder"

cargo test --quiet -p remuda-ggml
cargo build --quiet -p remuda-ggml
library="$target/debug/libremuda_ggml.so"
cargo run --quiet -p remuda-cli -- conform "$library" --skips providers/ggml/conformance.toml
"$python" tests/python/backend_suite.py --backend ggml:cpu,cpu --library "$library"
"$python" tests/python/kill_workers.py --backend ggml:cpu --library "$library" --remuda "$target/debug/remuda"
# The libraries in the wheel are found without being told where they are.
env -u REMUDA_GGML ci/try_provider_wheel.sh ggml "$library" "$folder"
