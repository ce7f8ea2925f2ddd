#!/bin/sh
# Re-compiles the locked requirement files (versions and hashes, no download addresses).
set -eu
cd "$(dirname "$0")/.."
UV="${UV:-.tools/bin/uv}"
COMMON="--quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-annotate --custom-compile-command requirements/compile.sh"
"$UV" pip compile $COMMON pyproject.toml requirements/dev.in -o requirements/lock.txt
"$UV" pip compile $COMMON requirements/uv.in -o requirements/uv.txt
"$UV" pip compile $COMMON requirements/focus.in -o requirements/focus.txt
"$UV" pip compile $COMMON requirements/cpsat.in -o requirements/cpsat.txt
"$UV" pip compile $COMMON --constraints requirements/lock.txt requirements/ray.in -o requirements/ray.txt
