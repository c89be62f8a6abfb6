#!/bin/sh
# soak.sh: the same seed draws the same run; a failure is named and makes it fail; bad orders.
#
#   soak_test.sh SOAK MODEL
set -u
soak=$1 model=$2
failed=0
expect() { # what is wrong, a command that must succeed
  name=$1
  shift
  if ! "$@"; then
    echo "$name" >&2
    failed=1
  fi
}

said=$(sh "$soak" "$model" 0 2)
expect "a run fails: $said" [ $? -eq 0 ]
case $said in
*"soak: 1 processes, "*" operations, 0 failed") ;;
*) expect "no summary: $said" false ;;
esac

first=$(sh "$soak" /bin/false 0 5)
expect "a failure is none" [ $? -eq 1 ]
expect "a seed draws something else again" [ "$first" = "$(sh "$soak" /bin/false 0 5)" ]
expect "two seeds draw the same" [ "$first" != "$(sh "$soak" /bin/false 0 6)" ]
case $first in
*"soak: failed: HAKMEM_HARDENED="*" --seed="*"soak: 1 processes, "*" operations, 1 failed") ;;
*) expect "the failure is not named: $first" false ;;
esac

for order in "" "x" "1 y" "-1" "1 2 3x"; do
  # shellcheck disable=SC2086  # words
  said=$(sh "$soak" "$model" $order 2>&1)
  expect "exit code of \"$order\": $said" [ $? -eq 2 ]
done
exit $failed
