#!/usr/bin/env bash
# Spelling everywhere, and the style of the Python code. Its types are checked by the wheel's own tests.
set -euo pipefail
cd "$(dirname "$0")/.."
tools=target/python/tools
if ! cmp --silent ci/requirements.txt "$tools/installed"; then
  python3 -m venv --clear "$tools"
  "$tools/bin/pip" install --quiet --disable-pip-version-check -r ci/requirements.txt
  cp ci/requirements.txt "$tools/installed"
fi

status=0
check() {
  echo "-- $*"
  "$tools/bin/$@" || status=1
}
check typos --format brief
check ruff format --check tests bindings
check ruff check tests bindings
check ruff format --check --config tests/ruff.toml ci
check ruff check --config tests/ruff.toml ci
exit "$status"
