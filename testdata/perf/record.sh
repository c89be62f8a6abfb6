#!/usr/bin/env bash
# Records the files of this folder anew: perf stat in each of its formats, of a program that
# allocates. Needs root, since tracepoints and system-wide counts do; user_only.csv is
# recorded as nobody. The tests expect figures of these very recordings: record again only to follow
# a newer perf, and go through tools/hakplot/read_test.cc then.
set -eu
export LC_ALL=C
cd "$(dirname "$0")"

events=duration_time,user_time,system_time,task-clock,page-faults,minor-faults,major-faults,context-switches,cpu-migrations,cycles:u,cycles:k,instructions:u
program=(awk 'BEGIN { for (i = 0; i < 1500000; i++) a[i] = i }')
record() { perf stat -o "$1" "${@:2}" -- "${program[@]}"; }
wide() { perf stat -o "$1" -a -e task-clock,page-faults "${@:2}" -- "${program[@]}"; }

record text.txt
record comma.csv -x, -e "$events"
record semicolon.csv -x';' -e "$events"
record bar.csv -x'|' -e "$events"
record tab.csv -x'\t' -e "$events"
record repeat.csv -x, -r 3 -e "$events"
record interval.csv -x, -I 100 -e "$events"
record interval_summary.csv -x, -I 100 --summary -e "$events"
wide per_cpu.csv -x, -A
wide per_core.csv -x, --per-core
wide per_node.csv -x, --per-node
record calls.csv -x, -e syscalls:sys_enter_mmap,syscalls:sys_enter_munmap,syscalls:sys_enter_brk,raw_syscalls:sys_enter,page-faults:u,page-faults:k
record appended.csv -x';' -e "$events"
for _ in 1 2; do record appended.csv --append -x';' -e "$events"; done

record plain.json -j -e "$events"
record repeat.json -j -r 3 -e "$events"
record interval.json -j -I 100 -e "$events"
wide per_core.json -j --per-core

"${program[@]}" &
perf stat -o per_thread.csv -x, -e task-clock,page-faults --per-thread -p $! -- sleep 0.1
wait

setpriv --reuid=65534 --regid=65534 --clear-groups perf stat -x, -e duration_time,user_time,system_time,task-clock,page-faults \
  --log-fd 3 -- "${program[@]}" 3> user_only.csv
