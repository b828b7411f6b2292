#!/usr/bin/env bash
# The one check command: `ci/check.sh [--quick | --full]`.
set -euo pipefail
cd "$(dirname "$0")/.."
exec cargo xtask ci "$@"
