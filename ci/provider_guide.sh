#!/usr/bin/env bash
# Follows the guide for authors of providers, from its templates to libraries that conform.
set -euo pipefail
cd "$(dirname "$0")/.."
cargo build --quiet -p remuda-cli
python3 ci/provider_guide.py
