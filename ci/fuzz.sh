#!/usr/bin/env bash
# ci/fuzz.sh [SECONDS [TARGET...]]: runs the fuzz targets of tests/fuzz, 60 seconds each, two at a time.
#
# libFuzzer on the stable toolchain: coverage is a pass of LLVM that `-C` flags turn on. What needs the
# nightly one, the address sanitizer, would watch for faults that code without `unsafe` cannot have.
set -euo pipefail
cd "$(dirname "$0")/.."
seconds=${1:-60}
shift $(($# > 0))
targets=("$@")
[ $# -gt 0 ] || targets=(onnx onnx_run ir_text gguf tokenizer template grammar)
if ! command -v c++ >/dev/null; then
  echo "skipped: libFuzzer needs a C++ compiler, and there is no \`c++\`"
  # What the check command takes for a skip.
  exit 77
fi

host=$(rustc -vV | sed -n 's/^host: //p')
built=${CARGO_TARGET_DIR:-target}/fuzz
flags=(-Cpasses=sancov-module -Cdebug-assertions -Coverflow-checks --cfg fuzzing)
for option in level=4 inline-8bit-counters pc-table trace-compares; do
  flags+=("-Cllvm-args=-sanitizer-coverage-$option")
done
# `--target` keeps the flags away from build scripts.
RUSTFLAGS="${flags[*]}" cargo build --quiet --release --manifest-path tests/fuzz/Cargo.toml \
  --target "$host" --target-dir "$built" --bins

# seeds TARGET: the folders of known inputs, the small models of ONNX's backend suite among them if there.
seeds() {
  local kind=${1/onnx_run/onnx}
  echo "tests/fuzz/seeds/$kind"
  if [ "$kind" = onnx ] && [ -d target/python/stable ]; then
    find target/python/stable/ -path '*onnx/backend/test/data/node' -type d
  fi
}

fuzz() {
  local target=$1 folders log="$built/$1.log"
  mapfile -t folders < <(seeds "$target")
  mkdir -p "tests/fuzz/corpus/$target" tests/fuzz/artifacts
  if "$built/$host/release/$target" -max_total_time="$seconds" -max_len=8192 -timeout=10 -rss_limit_mb=1024 \
    -malloc_limit_mb=256 -artifact_prefix="tests/fuzz/artifacts/$target-" "tests/fuzz/corpus/$target" \
    "${folders[@]}" >"$log" 2>&1; then
    echo "-- $target: $(tail -n 1 "$log")"
  else
    echo "-- $target failed:"
    tail -n 40 "$log"
    return 1
  fi
}

status=0
for ((at = 0; at < ${#targets[@]}; at += 2)); do
  running=()
  for target in "${targets[@]:at:2}"; do
    fuzz "$target" &
    running+=($!)
  done
  for id in "${running[@]}"; do
    wait "$id" || status=1
  done
done
exit "$status"
