#!/usr/bin/env bash
# Ends with a message unless `python3` is new enough for the tests and the scripts that measure.
set -euo pipefail
if ! python3 -c 'import sys; sys.exit(sys.version_info < (3, 11))'; then
  echo "the checks need Python 3.11 or newer; \`python3\` is $(python3 --version 2>&1 || true)" >&2
  exit 1
fi
