#!/usr/bin/env bash
# Builds the wheel, installs it into fresh environments and tests it: its own tests, ONNX's backend suite
# of two releases, and exported networks against ONNX Runtime.
set -euo pipefail
cd "$(dirname "$0")/.."
folder=target/python
rm -rf "$folder"
mkdir -p "$folder"

# environment NAME REQUIREMENTS: a fresh virtual environment with these packages.
environment() {
  python3 -m venv "$folder/$1"
  "$folder/$1/bin/pip" install --quiet --disable-pip-version-check -r "$2"
}

environment stable tests/python/requirements.txt
environment newest tests/python/requirements-newest-onnx.txt
"$folder/stable/bin/pip" install --quiet --disable-pip-version-check "maturin>=1.16,<2"
"$folder/stable/bin/maturin" build --quiet --release --manifest-path bindings/python/Cargo.toml --out "$folder/wheels"
for name in stable newest; do
  "$folder/$name/bin/pip" install --quiet --disable-pip-version-check --no-deps "$folder"/wheels/*.whl
done

status=0
check() {
  echo "-- $*"
  "$@" || status=1
}
check "$folder/stable/bin/python" -m pytest -q bindings/python/tests
check "$folder/stable/bin/python" tests/python/backend_suite.py
check "$folder/newest/bin/python" tests/python/backend_suite.py
check "$folder/stable/bin/python" -m pytest -q tests/python/test_networks.py tests/python/test_memory.py
exit "$status"
