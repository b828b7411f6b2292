#!/usr/bin/env bash
# Compares language models on all providers: each alone, every pair by layers, and all in one plan. The steps of the
# providers have made what it takes. Exit code 77: there is no Vulkan driver, as the step of wgpu says.
set -euo pipefail
cd "$(dirname "$0")/.."
python=target/python/stable/bin/python
if [ -z "$(ls {/usr,/usr/local}/share/vulkan/icd.d/*.json /etc/vulkan/icd.d/*.json 2>/dev/null)" ]; then
  echo "no Vulkan driver is announced in /usr/share/vulkan/icd.d"
  exit 77
fi
ORT_DYLIB_PATH=$(echo "$PWD"/target/python/stable/lib/python3*/site-packages/onnxruntime/capi/libonnxruntime.so.*)
export ORT_DYLIB_PATH
export XDG_RUNTIME_DIR="${XDG_RUNTIME_DIR:-/tmp}"
test -f "$ORT_DYLIB_PATH"

for name in ggml onnxruntime wgpu; do
  cargo build --quiet -p "remuda-$name"
done
"$python" tests/python/same_words.py --ggml target/ggml/lib
