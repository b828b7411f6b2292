#!/usr/bin/env bash
# Builds the example provider: `providers/example-c/build.sh OUT.so`.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
exec "${CC:-gcc}" -std=c99 -O2 -fPIC -shared -fvisibility=hidden -Wall -Wextra -Wno-unused-parameter -Werror \
  -I "$here/../abi/include" "$here/example.c" -o "${1:?the file to write}"
