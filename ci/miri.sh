#!/usr/bin/env bash
# Unsafe code that Miri can run: what crosses the contract of providers. Exit code 77: the nightly toolchain has no Miri.
set -euo pipefail
cd "$(dirname "$0")/.."
if ! cargo +nightly miri --version >/dev/null 2>&1; then
  echo "skipped: Miri comes with \`rustup toolchain install nightly --component miri,rust-src\`"
  exit 77
fi
cargo +nightly miri test --quiet -p remuda-bridge --lib
