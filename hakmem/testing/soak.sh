#!/bin/sh
# Runs the model (model_test) on hakmem for so many minutes, one process after the other, each with
# a seed, options and a number of operations drawn by lot, and says at the end how many there were.
#
#   bazel run //hakmem/testing:soak -- MINUTES [SEED]
#
# (Its first argument, which Bazel gives it, is the model.) With 0 minutes one process runs. Exit
# code 1 where one failed: what repeats that one is printed.
set -u
model=$1
minutes=${2:-}
lots=${3:-$(date +%s)}
case $#,$minutes,$lots in
[!23],* | *[!0-9,]* | *,, | *,,* | *,)
  shift
  echo "soak: \"$*\" is not understood: MINUTES [SEED], whole numbers" >&2
  exit 2
  ;;
esac

# The next number below $1, by the generator of POSIX's rand().
draw() {
  lots=$(((lots * 1103515245 + 12345) % 2147483648))
  drawn=$((lots / 65536 % $1))
}
# One of the words given.
pick() {
  draw $#
  shift "$drawn"
  picked=$1
}

end=$(($(date +%s) + minutes * 60))
processes=0 failed=0 operations=0
echo "soak: $minutes minutes, seed $lots"
while :; do
  pick 0 0 0 1 sample:1 sample:50
  hardened=$picked
  pick 0 10 1000 -1
  delay=$picked
  pick 0 65536 4194304
  cache=$picked
  pick 512K 1M 2M 2M 4M
  super=$picked
  pick auto always never
  pages=$picked
  pick auto always never
  background=$picked
  pick 1 1 1 1 0
  backend=$picked
  draw 1000000
  seed=$((drawn + 1))
  pick 20000 100000 200000
  n=$picked
  options="HAKMEM_HARDENED=$hardened HAKMEM_PURGE_DELAY=$delay HAKMEM_THREAD_CACHE=$cache"
  options="$options HAKMEM_SUPERSLAB_SIZE=$super HAKMEM_THP=$pages HAKMEM_BACKGROUND=$background"
  options="$options HAKMEM_TINY_USE_SUPERSLAB=$backend"
  # shellcheck disable=SC2086  # words
  if ! said=$(env $options "$model" --seed=$seed --operations="$n" 2>&1); then
    failed=$((failed + 1))
    printf '%s\nsoak: failed: %s model_test --seed=%s --operations=%s\n' "$said" "$options" $seed "$n"
  fi
  processes=$((processes + 1)) operations=$((operations + n))
  [ "$(date +%s)" -lt "$end" ] || break
done
echo "soak: $processes processes, $operations operations, $failed failed"
[ "$failed" -eq 0 ]
