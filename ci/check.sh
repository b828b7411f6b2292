#!/usr/bin/env bash
# The one check command: `ci/check.sh [--quick]`.
set -euo pipefail
cd "$(dirname "$0")/.."
# At once, rather than after the checks that come before Python's.
[ "${1:-}" = --quick ] || ci/require_python.sh
exec cargo xtask ci "$@"
