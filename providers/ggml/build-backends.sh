#!/usr/bin/env bash
# Builds ggml's libraries into a folder: the CPU backend in variants of which the best is chosen at run time, and
# every other backend that this machine has the tools for. Says for the others what is missing.
#
#     providers/ggml/build-backends.sh FOLDER              every variant of the CPU backend
#     providers/ggml/build-backends.sh FOLDER --this-cpu   one CPU backend, for this machine alone
#
# ggml's sources are those of the source distribution of the PyPI package `llama-cpp-python`; GGML_SOURCE names a
# folder of sources to be used in its place. Needs a C++ compiler and CMake; `pip install cmake ninja` is one way.
set -euo pipefail

version=0.3.36
digest=832db0699007f1be95a7e41ef12e88926b02ba836461e36a36372db2760c1a2e
folder=${1:?"usage: build-backends.sh FOLDER [--this-cpu]"}
variants=${2:-}
root=$(cd "$(dirname "$0")/../.." && pwd)
work="${GGML_WORK:-$root/target/ggml}"
mkdir -p "$work" "$folder"
folder=$(cd "$folder" && pwd)

source="${GGML_SOURCE:-$work/ggml-$version}"
if [ ! -f "$source/CMakeLists.txt" ]; then
  [ -z "${GGML_SOURCE:-}" ] || { echo "there is no CMakeLists.txt in $GGML_SOURCE" >&2; exit 1; }
  download=$(mktemp -d "$work/download.XXXXXX")
  trap 'rm -rf "$download"' EXIT
  echo "llama-cpp-python==$version --hash=sha256:$digest" >"$download/requirements.txt"
  "${PYTHON:-python3}" -m pip download --quiet --no-deps --no-binary llama-cpp-python --require-hashes \
    -d "$download" -r "$download/requirements.txt"
  inside="llama_cpp_python-$version/vendor/llama.cpp"
  tar -xzf "$download/llama_cpp_python-$version.tar.gz" -C "$download" "$inside/ggml" "$inside/LICENSE"
  mv "$download/$inside/LICENSE" "$download/$inside/ggml/"
  # In one step, so that what is there is whole.
  rm -rf "$source"
  mv "$download/$inside/ggml" "$source"
fi
# The distribution leaves this file out, which only installing would read.
[ -f "$source/ggml.pc.in" ] || touch "$source/ggml.pc.in"

options=(
  -DCMAKE_BUILD_TYPE=Release -DBUILD_SHARED_LIBS=ON -DGGML_BACKEND_DL=ON -DGGML_NATIVE=OFF
  -DGGML_OPENMP=OFF -DGGML_LLAMAFILE=ON -DGGML_CCACHE=OFF -DGGML_BUILD_TESTS=OFF -DGGML_BUILD_EXAMPLES=OFF
  -DCMAKE_LIBRARY_OUTPUT_DIRECTORY="$work/build/bin"
  -DCMAKE_RUNTIME_OUTPUT_DIRECTORY="$work/build/bin" -DCMAKE_BUILD_WITH_INSTALL_RPATH=ON
  "-DCMAKE_INSTALL_RPATH=\$ORIGIN"
)
if [ "$variants" = --this-cpu ]; then
  # ggml refuses its own way of asking the compiler where backends are libraries.
  features=$(echo | "${CXX:-c++}" -march=native -dM -E -x c++ - 2>/dev/null || true)
  for feature in SSE42:__SSE4_2__ AVX:__AVX__ AVX2:__AVX2__ FMA:__FMA__ F16C:__F16C__ BMI2:__BMI2__ AVX_VNNI:__AVXVNNI__ \
    AVX512:__AVX512F__ AVX512_VBMI:__AVX512VBMI__ AVX512_VNNI:__AVX512VNNI__ AVX512_BF16:__AVX512BF16__; do
    if grep -q " ${feature#*:} " <<<"$features"; then options+=("-DGGML_${feature%%:*}=ON"); else options+=("-DGGML_${feature%%:*}=OFF"); fi
  done
  if grep -q " __aarch64__ " <<<"$features"; then options+=(-DGGML_CPU_ARM_ARCH=native); fi
else
  options+=(-DGGML_CPU_ALL_VARIANTS=ON)
fi

# backend, CMake option, command or file that it needs, where that comes from
have() { command -v "$1" >/dev/null 2>&1; }
backend() {
  if "$4"; then
    echo "with $1"
    options+=("-D$2=ON")
  else
    echo "without $1: $3"
    options+=("-D$2=OFF")
  fi
}
has_cuda() { have nvcc; }
has_hip() { have hipcc; }
has_metal() { [ "$(uname -s)" = Darwin ]; }
has_sycl() { have icpx; }
# Older headers lack the extension `VK_EXT_layer_settings`, without which ggml's Vulkan backend does not compile.
has_vulkan() {
  have glslc && grep -qs VK_EXT_layer_settings "${VULKAN_SDK:-/usr}/include/vulkan/vulkan_core.h"
}
backend CUDA GGML_CUDA "no nvcc: install the CUDA toolkit" has_cuda
backend HIP GGML_HIP "no hipcc: install ROCm" has_hip
backend Metal GGML_METAL "this is no Mac" has_metal
backend SYCL GGML_SYCL "no icpx: install oneAPI" has_sycl
backend Vulkan GGML_VULKAN "no glslc, or headers older than 1.3.272: install the Vulkan SDK" has_vulkan

generator=()
if have ninja; then generator=(-G Ninja); fi
cmake -S "$source" -B "$work/build" "${generator[@]}" "${options[@]}" >"$work/configure.log" ||
  { tail -n 40 "$work/configure.log" >&2; exit 1; }
cmake --build "$work/build" --config Release -j "${GGML_JOBS:-$(getconf _NPROCESSORS_ONLN)}" >"$work/build.log" 2>&1 ||
  { tail -n 40 "$work/build.log" >&2; exit 1; }
# Links to other names of the same file become files: copies and wheels keep those.
find "$work/build/bin" \( -name 'libggml*.so' -o -name 'libggml*.dylib' -o -name 'ggml*.dll' \) -exec cp -L {} "$folder/" \;
find "$work/build/bin" \( -name 'libggml*.so.0' -o -name 'libggml*.0.dylib' \) -exec cp -L {} "$folder/" \;
# Their licence asks to go with them.
if [ -f "$source/LICENSE" ]; then cp "$source/LICENSE" "$folder/LICENSE-ggml"; fi
echo "in $folder:"
ls "$folder"
