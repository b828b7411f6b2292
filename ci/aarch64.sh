#!/usr/bin/env bash
# 64-bit Arm: `lint` compiles the CPU provider for it, `test` runs the tests of its vectors and of the functions over
# them on an emulated processor. Exit code 77: the tools are not there (and are named).
set -euo pipefail
cd "$(dirname "$0")/.."
target=aarch64-unknown-linux-gnu

skip() {
  echo "skipped: $1"
  exit 77
}

[ -d "$(rustc --print target-libdir --target "$target")" ] ||
  skip "Rust has no standard library for it: \`rustup target add $target\`"
case ${1:-} in
lint)
  cargo clippy --quiet --target "$target" -p remuda-simd -p remuda-kernels -p remuda-cpu -- -D warnings
  ;;
test)
  qemu=$(command -v qemu-aarch64-static || command -v qemu-aarch64) ||
    skip "there is no emulator: package qemu-user-static"
  command -v aarch64-linux-gnu-gcc >/dev/null || skip "there is no linker: package gcc-aarch64-linux-gnu"
  export CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_LINKER=aarch64-linux-gnu-gcc
  export CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_RUNNER="$qemu -L /usr/aarch64-linux-gnu"
  cargo test --quiet --target "$target" -p remuda-simd
  ;;
*)
  echo "usage: ci/aarch64.sh lint | test" >&2
  exit 2
  ;;
esac
