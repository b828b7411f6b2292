#!/usr/bin/env bash
# Builds the wheel, installs it into a fresh environment and tests it: its own tests, the networks
# against ONNX Runtime, and ONNX's backend suite of two releases.
set -euo pipefail
cd "$(dirname "$0")/.."
folder=${REMUDA_PYTHON_FOLDER:-target/python}
rm -rf "$folder/wheels"
python3 -m venv "$folder/env"
"$folder/env/bin/pip" install --quiet --disable-pip-version-check "maturin>=1.16,<2" -r tests/python/requirements.txt
"$folder/env/bin/maturin" build --quiet --release --manifest-path bindings/python/Cargo.toml --out "$folder/wheels"
"$folder/env/bin/pip" install --quiet --disable-pip-version-check --force-reinstall --no-deps "$folder"/wheels/*.whl
"$folder/env/bin/python" -m pytest -q bindings/python/tests
