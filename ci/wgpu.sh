#!/usr/bin/env bash
# Tests the provider over wgpu on Mesa's software Vulkan: its own tests and its kernels', the conformance kit, ONNX's
# backend suite with the CPU completing what it does not take, and answers during which its worker process is killed.
# Exit code 77: there is no Vulkan driver, and none to be had.
set -euo pipefail
cd "$(dirname "$0")/.."
python=target/python/stable/bin/python
target="${CARGO_TARGET_DIR:-target}"

drivers() {
  ls /usr/share/vulkan/icd.d/*.json /usr/local/share/vulkan/icd.d/*.json /etc/vulkan/icd.d/*.json 2>/dev/null
}

if [ -z "$(drivers)" ] && command -v apt-get >/dev/null && [ "$(id -u)" = 0 ]; then
  { apt-get update --quiet --quiet && apt-get install --quiet --quiet --yes --no-install-recommends \
    mesa-vulkan-drivers libvulkan1; } >/dev/null 2>&1 || true
fi
if [ -z "$(drivers)" ]; then
  echo "no Vulkan driver is announced in /usr/share/vulkan/icd.d; install \`mesa-vulkan-drivers\` and \`libvulkan1\`"
  exit 77
fi
# Drivers of displays want one; there is none here.
export XDG_RUNTIME_DIR="${XDG_RUNTIME_DIR:-/tmp}"

cargo test --quiet -p remuda-wgpu
cargo build --quiet -p remuda-wgpu
library="$target/debug/libremuda_wgpu.so"
cargo run --quiet -p remuda-cli -- conform "$library" --skips providers/wgpu/conformance.toml
"$python" tests/python/backend_suite.py --backend wgpu,cpu --library "$library"
"$python" tests/python/kill_workers.py --backend wgpu --library "$library" --remuda "$target/debug/remuda"
ci/try_provider_wheel.sh wgpu "$library"

# The same words of the demo model as on the processor.
words() {
  REMUDA_CACHE=off REMUDA_PROVIDERS="$(realpath "$library")" cargo run --quiet -p remuda-cli -- run demo "A river is a" -n 24 --temp 0 --backend "$1"
}
[ "$(words wgpu,cpu)" = "$(words cpu)" ]
