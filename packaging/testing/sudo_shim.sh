#!/usr/bin/env bash
# Stands in for sudo in a test: of `apt install FILE...` apt says what it would do, which any user
# may ask. Anything else is refused.
set -euo pipefail
[[ $1 == apt && $2 == install ]] || { echo "sudo_shim.sh: cannot do: $*" >&2; exit 1; }
apt-get --simulate install "${@:3}"
