#!/usr/bin/env bash
# What bazelw installs for which command, on a machine that stands for one that has nothing: commands
# of that machine lie first in PATH, and say what they are asked to do.
set -euo pipefail
work=$TEST_TMPDIR
mkdir "$work/bin" "$work/checkout"
cp -L bazelw "$work/checkout"

# fake NAME BODY
fake() {
  printf '#!/usr/bin/env bash\n%s\n' "$2" >"$work/bin/$1"
  chmod +x "$work/bin/$1"
}
fake dpkg-query 'exit 1'
fake apt-cache 'for name in "${@:2}"; do printf "%s:\n  Candidate: 4.2.3\n" "$name"; done'
fake apt-get 'case " $* " in *" install "*) echo "$*" >>"$INSTALLED" ;; esac'
fake sudo 'while [[ ${1:-} == -* ]]; do shift; done; exec "$@"'
fake bazel 'echo "bazel $*"'

# on COMMAND...: what bazelw does; installed receives what it asked apt for.
on() {
  : >"$work/installed"
  said=$(cd "$work/checkout" && export HOME=$work INSTALLED=$work/installed CI=true &&
    PATH=$work/bin:/usr/bin:/bin ./bazelw "$@" 2>"$work/err")
  [[ $said == "bazel $*" ]] || { echo "bazelw $*: it ran: $said" && cat "$work/err" && exit 1; }
  installed=" $(tr '\n' ' ' <"$work/installed")"
}
has() { [[ $installed == *" $1 "* ]]; }

for command in 'run //tools:hakrun -- smoke' 'run //tools:hakplot' 'build //hakmem:libhakmem.so' \
  'run //workloads:random_mixed -- test //...' 'build //:deb'; do
  # shellcheck disable=SC2086  # words
  on $command
  for name in g++ gnuplot-nox dpkg-dev; do
    has "$name" || { echo "bazelw $command does not install $name" && exit 1; }
  done
  for name in clang clang-tidy qemu-user gcc-aarch64-linux-gnu cargo googletest; do
    ! has "$name" || { echo "bazelw $command installs $name" && exit 1; }
  done
done

for command in 'test //...' 'test //hakmem/base:bits_test' 'build //...' 'build //packaging:all' \
  'coverage //x' 'run //:format' 'build //docs:options_test' '--batch test //x'; do
  # shellcheck disable=SC2086
  on $command
  for name in g++ clang clang-tidy qemu-user gcc-aarch64-linux-gnu cargo googletest; do
    has "$name" || { echo "bazelw $command does not install $name" && exit 1; }
  done
done
