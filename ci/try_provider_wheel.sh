#!/usr/bin/env bash
# Puts a provider's library into its wheel, installs that beside the wheel `remuda` into a fresh environment, and runs a
# network and the demo model there: ci/try_provider_wheel.sh NAME LIBRARY [FOLDER that comes beside it]
set -euo pipefail
cd "$(dirname "$0")/.."
name=$1
library=$2
beside=${3:-}
environment="target/python/of-$name"
rm -rf "$environment"
python3 -m venv "$environment"
wheel=$(python3 ci/provider_wheel.py "$name" --library "$library" ${beside:+--beside "$beside"} \
  --out "$environment/wheels")
"$environment/bin/pip" install --quiet --disable-pip-version-check --no-index target/python/wheels/*.whl "$wheel"
REMUDA_CACHE=off "$environment/bin/python" tests/python/provider_in_wheel.py "$name"
rm -rf "$environment"
