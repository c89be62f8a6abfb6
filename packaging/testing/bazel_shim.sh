#!/usr/bin/env bash
# Stands in for ./bazelw where Bazel cannot run, in a test: `run TARGET [-- ARGS]` runs what Bazel
# has built of that target among the test's files, `build TARGET` checks that it is there. Anything
# else is refused, as is a target that the test does not bring.
set -euo pipefail

# built TARGET: sets program to its file.
built() {
  local name=${1#*:}
  case $1 in
    //:deb) program=$(echo "$RUNFILES"/packaging/hakmem_*.deb) ;;
    //:install) program=$RUNFILES/packaging/install ;;
    //tools:*) program=$RUNFILES/tools/$name/$name ;;
    //*:*) program=${1#//} program=$RUNFILES/${program/://} ;;
    *) program= ;;
  esac
  [[ -f $program ]] || { echo "bazel_shim.sh: $1 is not among the files of readme_test" >&2; exit 1; }
}

case $1 in
  build)
    for target in "${@:2}"; do built "$target"; done
    ;;
  run)
    built "$2"
    if [[ $# -gt 2 ]]; then
      [[ $3 == -- ]] || { echo "bazel_shim.sh: $3: expected --" >&2; exit 1; }
    fi
    # The test's files in the place of those that `bazel run` puts beside the program.
    export RUNFILES_DIR=${RUNFILES%/*} BUILD_WORKING_DIRECTORY=$PWD BUILD_WORKSPACE_DIRECTORY=$PWD
    cd "$RUNFILES"
    exec "$program" "${@:4}"
    ;;
  *)
    echo "bazel_shim.sh: cannot do: $*" >&2
    exit 1
    ;;
esac
