#!/usr/bin/env bash
# hakplot as its users run it: exit statuses and messages, golden tables and scripts, pictures that
# parse and hold their titles, names that try to reach a shell, and a missing gnuplot.
# To write the golden files anew: bazel run //tools/hakplot:hakplot_test -- --golden
set -uo pipefail

hakplot=$PWD/tools/hakplot/hakplot
data=$PWD/tools/hakplot/testing
perf=$PWD/testdata/perf
report=$PWD/testdata/report
source_golden=${BUILD_WORKSPACE_DIRECTORY:-}/tools/hakplot/testing/golden
unset BUILD_WORKSPACE_DIRECTORY BUILD_WORKING_DIRECTORY

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work" || exit 1
failures=0

fail() {
  printf 'FAILED: %s\n' "$*"
  failures=$((failures + 1))
}

# expect STATUS ARGS...: runs hakplot; leaves out and err.
expect() {
  local wanted=$1 status
  shift
  "$hakplot" "$@" >out 2>err
  status=$?
  [[ $status -eq $wanted ]] || { fail "status $status, not $wanted: hakplot $*"; cat out err; }
}

says() { grep -qF -- "$2" "$1" || { fail "no \"$2\" in $1:"; cat "$1"; }; }

golden() {
  if [[ ${update:-} ]]; then
    cp "$2" "$source_golden/$1"
  elif ! diff -u "$data/golden/$1" "$2"; then
    fail "$1 differs; if that is right: bazel run //tools/hakplot:hakplot_test -- --golden"
  fi
}
[[ ${1:-} == --golden ]] && update=yes

# Well-formed, and holding the texts given.
holds() {
  python3 - "$@" <<'PYTHON' || fail "picture $1"
import sys, xml.etree.ElementTree as tree
root = tree.parse(sys.argv[1]).getroot()
texts = "\n".join("".join(element.itertext()) for element in root.iter() if element.tag.endswith("text"))
for wanted in sys.argv[2:]:
    if wanted not in texts:
        sys.exit(f"no {wanted!r} in {sys.argv[1]}:\n{texts}")
PYTHON
}

# ---- the first picture after cloning ----
expect 0 --out plots "$report"
says out "mimalloc"
says out "plots/index.html"
holds plots/throughput.svg "Throughput: random_mixed 1e7 8192 42" "baseline" "mimalloc" "96.5, n=1"
holds plots/kernel-share.svg "Kernel and user time" "unknown" "55 % kernel, as stated"
holds plots/profile.svg "munmap and VMA splitting" "30 %, ~64 cycles/op"
grep -v "index.html" out >table.txt
golden report.txt table.txt

# ---- every chart that records and telemetry make ----
expect 0 --out every --format svg,png "$data/every_chart.jsonl"
holds every/working-set.svg "Throughput by working set: random_mixed" "L1 32 KiB" "L2 1 MiB" "no allocator" \
  "ideal list" "Points: medians, n=1; upright lines"
grep -q "L3 32" every/working-set.svg && fail "a cache beyond the data is marked"
holds every/remote-free.svg "Throughput by remote frees: producer_consumer" "frees by another thread, %"
holds every/scaling.svg "Throughput by threads: server" "ideal" "2 cores"

# Parameters spelt in two ways are one point of a sweep: that of more runs. One point is no sweep.
grep -F '"workload":"producer_consumer"' "$data/every_chart.jsonl" >spelt.jsonl
grep -F '"remote_percent":0}' spelt.jsonl | sed 's/"args":"--remote 0"/"args":""/; s/"mops":[0-9.]*/"mops":99/' >once.jsonl
expect 0 --out spelt --format svg spelt.jsonl spelt.jsonl once.jsonl
grep -qE '(^|[^0-9])99([^0-9]|$)' spelt/remote-free.csv && fail "two points for one share of remote frees"
sed 's/"remote_percent":0/&,"threads":2/' once.jsonl >threads.jsonl
sed 's/"args":""/"args":"--pairs 1"/' threads.jsonl >threads_spelt.jsonl
expect 0 --out threads --format svg threads.jsonl threads_spelt.jsonl
[[ ! -e threads/scaling.svg ]] || fail "a line over one number of threads"
holds every/latency-random_mixed-1e6-latency.svg "Latency of single calls" "p99.9" "10 ms" "n=1"
# Two profiles are two sweeps.
for profile in a b; do
  for percent in 0 20 50; do
    printf '{"schema":"hakmem.record.1","workload":"empirical","phase":"p","profile":"%s","remote_percent":%d,"args":"%s","mops":1}\n' \
      $profile $percent "$profile $percent"
  done
done >profiles.jsonl
expect 0 --out profiles --format svg --chart remote-free profiles.jsonl
[[ $(compgen -G 'profiles/remote-free*.svg' | wc -l) -eq 2 ]] || fail "a line over two profiles"
for call in malloc free; do
  holds every/latency-$call-call_latency-1e6.svg "Latency of $call: call_latency 1e6" "p99.999" "medians of the runs, n=6" \
    "preempted 3 to 45 times"
done
# Of six runs the interval reaches from the least to the most; what the clock cannot tell from nothing is at 1 ns.
grep -qx '"a",6,5000002.5,5000000,5000005' every/latency-free-call_latency-1e6.csv || fail "the longest free"
grep -qx '"a",0,1,1,1' every/latency-free-call_latency-1e6.csv || fail "a free of no time"
[[ ! -e every/latency-call_latency-1e6.svg ]] || fail "a figure of calls that were not counted together"
[[ ! -e every/latency-malloc-random_mixed-1e6-latency.svg ]] || fail "calls told apart that were not"
holds every/limit-random_mixed-1e6-256.svg "Distance to the physical limit" "20.0 %, best of 1" "no allocator" "ideal list"
holds every/time-split-random_mixed-1e6-256.svg "CPU time of one operation" "dry loop" "allocator in user space" "600 ns, n=1"
holds every/rss.svg "Memory over time: telemetry" "time, s" "MiB" "One run."
holds every/retention.svg "Memory kept, by reason: a" "metadata" "empty pages"
holds every/classes.svg "Occupancy of size classes: a" "32 B" "64 B" "live blocks, % of capacity"
holds every/profile.svg "CPU time by part: a" "30 %, ~64 cycles/op"
for chart in $("$hakplot" --chart help | cut -d' ' -f1); do
  case $chart in elapsed | intervals | history) continue ;; esac  # of perf stat and several files, below
  compgen -G "every/$chart*.png" >/dev/null || fail "no picture of $chart"
done

# ---- hostile names: drawn as they are, reaching nothing ----
expect 0 --out hostile --format svg,png,pdf "$data/records.jsonl"
golden records.txt <(grep -v index.html out)
for name in throughput kernel-share time-split kernel-events; do
  golden "$name.gp" "hostile/$name.gp"
  # Texts are wrapped, so that a long name stands in several pieces.
  holds "hostile/$name.svg" "w_x^2" "'\$HOME'" "\`touch PWNED\` \$(touch PWNED) 'q' \"d\"" 'a_b^c %s @m {/S x}' \
    'two\nlines\x1b[31m' "< touch PWNED"
  for file in hostile/$name.{csv,png,pdf}; do [[ -s $file ]] || fail "$file is missing"; done
done
golden rss.gp hostile/rss.gp
holds hostile/rss.svg "'; touch PWNED #" "| touch PWNED"
if compgen -G '*PWNED*' >/dev/null || compgen -G 'hostile/*PWNED*' >/dev/null; then
  fail "a name reached a shell"
fi
[[ -z $(find hostile -name '.hakplot-*') ]] || fail "a temporary folder is left"
grep -q "touch PWNED#\|<script\|<img" hostile/index.html && fail "the page holds raw names"
python3 - hostile/index.html <<'PYTHON' || fail "the page"
import sys, html.parser
class Page(html.parser.HTMLParser):
    void = {"meta"}
    def __init__(self):
        super().__init__()
        self.open, self.ids, self.svgs = [], [], 0
    def handle_starttag(self, tag, attributes):
        if tag not in self.void: self.open.append(tag)
        self.svgs += tag == "svg"
        self.ids += [value for name, value in attributes if name == "id"]
        for name, value in attributes:
            if name in ("src", "srcset") or (name.endswith("href") and "//" in value):
                sys.exit(f"the page loads {value}")
    def handle_startendtag(self, tag, attributes):
        self.ids += [value for name, value in attributes if name == "id"]
    def handle_endtag(self, tag):
        if not self.open or self.open.pop() != tag: sys.exit(f"</{tag}> closes nothing")
page = Page()
page.feed(open(sys.argv[1], encoding="utf-8").read())
if page.open: sys.exit(f"left open: {page.open}")
if page.svgs != 5: sys.exit(f"{page.svgs} pictures")
if len(set(page.ids)) != len(page.ids): sys.exit("an id stands twice")
PYTHON

# A script draws the same picture again.
cp hostile/throughput.svg before.svg
(cd hostile && gnuplot -d throughput.gp) || fail "throughput.gp does not run by itself"
cmp before.svg hostile/throughput.svg || fail "throughput.gp draws another picture"

# ---- perf stat files, labelled ----
expect 0 --out perf_plots --ops 1.5e6 "one label=$perf/appended.csv" "other=$perf/plain.json"
says out "one label"
holds perf_plots/throughput.svg "one label" "other" "n=3"
expect 0 --out perf_elapsed "a=$perf/appended.csv" "b=$perf/repeat.csv"
holds perf_elapsed/elapsed.svg "Elapsed time" "mean, std. error 33 %"
expect 0 --out perf_interval --chart intervals "$perf/interval.csv"
holds perf_interval/intervals.svg "Page faults over time"

# ---- telemetry alone: one run, compared with nothing ----
for moment in 0 1 2; do
  printf '{"schema":"hakmem.telemetry.1","pid":1,"time_ns":%d,"user_s":%d,"system_s":1,"rss_bytes":4096,%s}\n' \
    "${moment}000000000" "$moment" "\"page_faults_minor\":$moment,\"page_faults_major\":0" >>alone.jsonl
done
expect 0 --out alone alone.jsonl
says out "alone   n=1  33.3 ± 3.5 %   3.00    2.00"
grep -q "n=0\|baseline" out && fail "a telemetry file is a baseline of no runs"
holds alone/kernel-share.svg "33.3 % kernel, 3.0 CPU s, n=1"

# ---- as many processes as a busy server forks: their square of work or memory would not end ----
for ((i = 0; i < 50000; i++)); do
  printf '{"schema":"hakmem.telemetry.1","pid":%d,"time_ns":%d,"rss_bytes":4096}\n' \
    "$i" "$i" "$i" "${i}1" "$i" "${i}2"
done >forked.jsonl
expect 0 --format term --chart rss forked.jsonl
says out "telemetry"

# ---- telemetry of an experiment: by workload, and only where it can be drawn ----
python3 - <<'PYTHON'
import json
def write(name, moments):
    with open(name, "w") as file:
        for workload in ("a", "b"):
            for phase in ("hakmem", "glibc"):
                common = {"experiment": "e", "workload": workload, "args": "1", "phase": phase, "run": 0}
                for moment in range(moments if phase == "hakmem" else 0):
                    file.write(json.dumps({"schema": "hakmem.telemetry.1", **common, "pid": 1,
                                           "time_ns": moment * 10**9, "rss_bytes": 4096 * (moment + 1),
                                           "retained_metadata_bytes": 4096, "user_s": moment, "system_s": 1}) + "\n")
                file.write(json.dumps({"schema": "hakmem.record.1", **common, "status": "ok", "ops": 10**6,
                                       "mops": 1, "user_s": 1, "system_s": 1}) + "\n")
write("one_moment.jsonl", 1)
write("moments.jsonl", 3)
PYTHON
expect 0 --out one_moment one_moment.jsonl
compgen -G 'one_moment/r*.svg' >/dev/null && fail "a chart over time from one moment"
says out "no charts over time of 2 of 2 runs"
says out "HAKMEM_TELEMETRY_INTERVAL"
grep -q "^telemetry" out && fail "telemetry of an experiment as a run of its own"
expect 0 --out moments moments.jsonl
holds moments/rss.svg "Memory over time: a 1"
holds moments/rss-2.svg "Memory over time: b 1"
holds moments/retention-2.svg "Memory kept, by reason: hakmem, b 1"
expect 1 compare hakmem glibc moments.jsonl --fail-above 5
says out "too few runs to tell"
grep -q missing out && fail "glibc has no telemetry to miss"

# ---- files of one name ----
mkdir -p before after
cp "$perf/plain.json" before/p.json
cp "$perf/plain.json" after/p.json
expect 0 --out same_name --format term before/p.json after/p.json
says out "before/p.json"
says out "after/p.json"

# ---- several machines ----
for host in aaaa bbbb; do
  for run in 1 2; do
    printf '{"schema":"hakmem.record.1","workload":"w","phase":"p","mops":%d,"host_id":"%s"}\n' "$run" $host
  done >$host.jsonl
  printf '{"schema":"hakmem.sample.1","workload":"w","phase":"p","t_ns":%d,"rss_bytes":1048576}\n' 1 2 3 >>$host.jsonl
done
expect 0 --out hosts aaaa.jsonl bbbb.jsonl
holds hosts/throughput.svg "p @ aaaa" "p @ bbbb" "n=2"
holds hosts/rss.svg "p @ aaaa" "p @ bbbb"

# ---- phases that shared a processor: told by processor time ----
for phase in one other; do
  for run in 0 1; do
    printf '{"schema":"hakmem.record.1","workload":"w","phase":"%s","run":%d,"duet":2,"ops":1000000,%s}\n' \
      $phase $run '"ns_total":100000000,"mops":10,"user_s":0.04,"system_s":0.01'
  done
done >duet.jsonl
expect 0 --out duet duet.jsonl
says out "w, duet of 2"
says out "M ops/CPU s"
says out "duet: the phases shared one processor at the same time"
holds duet/throughput.svg "Throughput: w, duet of 2" "million operations a second of processor time" "20.0, n=2"
expect 0 compare one other duet.jsonl --metric time-per-op
says out "duet: the phases shared one processor at the same time"
expect 0 compare one other duet.jsonl --metric throughput --format csv
says out 'throughput,M ops/CPU s,"w, duet of 2",20,'

# ---- a character that no font has ----
printf '{"schema":"hakmem.record.1","workload":"w","phase":"a\364\217\277\275b","mops":1}\n' >private.jsonl
expect 0 --out private --chart throughput --format png private.jsonl
grep -q "'a�b'" private/throughput.gp || fail "a PNG is drawn with a character that no font has"
expect 0 --out private --chart throughput private.jsonl
grep -q "'a�b'" private/throughput.gp && fail "an SVG needs no font here"

# ---- history: the same measured again, by the order of time whatever the files are called ----
mkdir -p kept
for era in 2:old%_release:10 5:new:30 3:middle:20; do
  IFS=: read -r day name mops <<<"$era"
  for run in 1 2 3 4; do
    printf '{"schema":"hakmem.record.1","workload":"w","args":"1","phase":"p","status":"ok","ops":1,"mops":%d.%d,"peak_rss_bytes":1e6,"time_utc":"2026-01-0%dT00:00:00Z","commit":"c%d"}\n' \
      "$mops" "$run" "$day" "$day"
  done >"kept/$name.jsonl"
done
expect 0 history --out eras kept
[[ $(grep -oE '^(old%_release|middle|new) ' out | tr -d '\n') == 'old%_release middle new ' ]] || fail "eras out of order"
says out "+97.6 %"
says out "c5"
holds eras/history.svg "Throughput over time: w 1" "old%_release" "middle" "new"
expect 2 history --chart rss kept
expect 0 --format term --chart history kept
says out "old%_release"

# ---- speed against memory: what is beaten in both is not on the line ----
for phase in slow_small:10:1 fast_large:20:3 beaten:9:2; do
  IFS=: read -r name mops mib <<<"$phase"
  printf '{"schema":"hakmem.record.1","workload":"w","args":"1","phase":"%s","status":"ok","ops":1,"mops":%d,"peak_rss_bytes":%d}\n' \
    "$name" "$mops" "$((mib * 1048576))"
done >pareto.jsonl
expect 0 --out pareto --chart pareto pareto.jsonl
[[ $(grep -c 'none is faster with less' pareto/pareto.csv) -eq 2 ]] || fail "the front holds a beaten phase"
holds pareto/pareto.svg "Speed and memory: w 1" "none is faster with less"

# ---- the terminal ----
expect 0 --format term "$report"
says out "█"
[[ ! -e plots ]] || rm -r plots
expect 0 --format term "$report"
[[ ! -e plots ]] || fail "files written for the terminal"
[[ $(LC_ALL=C.UTF-8 wc -L <out) -le 80 ]] || fail "lines of more than 80 columns"
expect 0 --format term,svg --out both "$report"
says out "Kernel and user time"
[[ -s both/profile.svg ]] || fail "no files beside the terminal's charts"
expect 0 --format term --chart rss "$data/records.jsonl"
says out "Memory over time"
says out "●"

# ---- bad input ----
expect 2 "$perf/synthetic/german_comma.csv"
says err "german_comma.csv:1: expected JSON or a line of perf stat"
says err "record again with LC_ALL=C"
expect 2 --keep-going --out kept "$perf/synthetic/german_comma.csv" "good=$perf/plain.json"
says err "german_comma.csv:1"
[[ -s kept/elapsed.svg ]] || fail "the good file is not drawn"
expect 2 none.jsonl
says err "none.jsonl: cannot read"
: >empty.jsonl
expect 2 empty.jsonl
says err "empty.jsonl: the file is empty"
echo '{"schema":"hakmem.event.1"}' >events.jsonl
expect 2 events.jsonl
says err "nothing to draw"
mkdir hollow
expect 2 hollow
says err "hollow: no file in it"
expect 2 --chart nonsense "$report"
says err 'no chart "nonsense"'
expect 2 --chart latency --out latency "$report"
says err "it is made of records of workloads run with --latency"
expect 2 --format gif "$report"
expect 2 --ops many "$report"
expect 2 --nonsense
[[ $(wc -l <err) -le 3 ]] || fail "a page of usage for a wrong argument"
expect 2 --ops
expect 2 compare one
[[ $(wc -l <err) -le 3 ]] || fail "a page of usage for a missing argument"
expect 0 --help
says out "Usage: hakplot"
expect 0 --chart help
says out "kernel-share"
expect 1 --out /proc/none "$report"
says err "/proc/none"

# ---- nothing named ----
mkdir -p clone/testdata/report clone/results/e
(cd clone && "$hakplot" >../out 2>../err)
says out "The report that this project answers"
cp "$data/records.jsonl" clone/results/e/new.jsonl
(cd clone && "$hakplot" >../out 2>../err) || fail "newest results"
says out "results/e/new.jsonl"
[[ -s clone/plots/index.html ]] || fail "no plots/ beside results/"

# ---- a folder holds the pictures of one call, and what others have put there ----
expect 0 --out stale --chart throughput,profile "$report"
echo mine >stale/notes.txt
[[ -s stale/profile.svg ]] || fail "no profile"
expect 0 --out stale --chart throughput "$report"
[[ -s stale/throughput.svg && -s stale/notes.txt ]] || fail "a file is gone"
compgen -G 'stale/profile*' >/dev/null && fail "a picture of the call before is left"

# ---- gnuplot missing or failing ----
mkdir bin
PATH=$work/bin "$hakplot" --out missing "$report" >out 2>err
[[ $? -eq 1 ]] || fail "status without gnuplot"
says err "gnuplot is not installed"
says out "mimalloc"
[[ -s missing/throughput.gp && -s missing/throughput.csv && -s missing/index.html ]] || fail "no script"
[[ ! -e missing/throughput.svg ]] || fail "a picture from nowhere"
printf '#!/bin/sh\necho "line 0: no terminal" >&2\nexit 3\n' >bin/gnuplot
chmod +x bin/gnuplot
PATH=$work/bin:$PATH "$hakplot" --out broken "$report" >out 2>err
[[ $? -eq 1 ]] || fail "status of a failing gnuplot"
says err "line 0: no terminal"
says out "mimalloc"

# ---- a full disk, and signals ----
expect_full() {
  [[ $? -eq 1 ]] || fail "status on a full disk: $1"
  says err "$2"
}
"$hakplot" --format term "$report" >/dev/full 2>err
expect_full stdout "cannot write to standard output"
# A limit on the size of files stands for the disk: gnuplot does not notice it.
printf '#!/bin/sh\ntrap "" XFSZ\nulimit -f 8\nexec "%s" "$@"\n' "$(command -v gnuplot)" >bin/gnuplot
PATH=$work/bin:$PATH "$hakplot" --out full "$report" >out 2>err
expect_full picture "full/throughput.svg was not written whole"
says out "0 pictures and the page"
[[ -s full/throughput.gp && ! -e full/throughput.svg ]] || fail "half a picture"
cat >bin/gnuplot <<EOF
#!/bin/sh
kill -TERM \$PPID
exec $(command -v gnuplot) "\$@"
EOF
PATH=$work/bin:$PATH "$hakplot" --out stopped "$report" >out 2>err
[[ $? -eq 143 ]] || fail "status after a signal"
[[ -z $(find stopped -name '.hakplot-*') ]] || fail "a temporary folder is left by a signal"
[[ ! -e stopped/index.html ]] || fail "a page of pictures that were not drawn"
rm bin/gnuplot

# ---- compare ----
python3 - <<'PYTHON'
import json
def write(name, phase, mops, runs, **more):
    with open(name, "a") as file:
        for run in range(runs):
            for workload in ("a", "b"):
                file.write(json.dumps({"schema": "hakmem.record.1", "workload": workload, "phase": phase,
                                       "status": "ok", "ops": 1000000, "mops": mops and mops + run * 0.01,
                                       "host_id": "m1", "build_mode": "opt", **more}) + "\n")
write("base.jsonl", "p", 10, 10)
write("same.jsonl", "p", 10.001, 10)
write("slow.jsonl", "p", 9, 10)
write("few.jsonl", "p", 9, 3)
write("other.jsonl", "p", 9, 10, host_id="m2", build_mode="dbg")
write("both.jsonl", "old", 10, 10)
write("both.jsonl", "new", 12, 10)
write("failed.jsonl", "p", 10, 10)
write("failed.jsonl", "p", 10, 1, status="crashed: signal 11")
write("commits.jsonl", "p", 10, 5, commit="c1")
write("commits.jsonl", "p", 10, 5, commit="c2")
write("unsaid.jsonl", "p", None, 10)
PYTHON
head -n 1 base.jsonl >half.jsonl
expect 0 compare base.jsonl slow.jsonl
golden compare.txt out
expect 1 compare --fail-above 5 base.jsonl slow.jsonl
says out "gate: FAILED: 2 lose more than 5 %"
expect 0 compare --fail-above 15 base.jsonl slow.jsonl
says out "gate: passed"
expect 0 compare --fail-above 0 base.jsonl same.jsonl
says out "~"
expect 1 compare --fail-above 5 few.jsonl few.jsonl
says out "too few runs to tell"
expect 1 compare --fail-above 5 base.jsonl failed.jsonl
says out "more failed runs"
says err "failed and are left out"
expect 0 compare base.jsonl other.jsonl
says err "differ in the machine"
says err "differ in the build mode"
expect 0 compare base.jsonl commits.jsonl
says err "mix commits"
expect 1 compare --fail-above 5 base.jsonl half.jsonl
says err 'only the base has "b, p"'
says out "1 of the base are missing"
expect 2 compare --fail-above 5 base.jsonl unsaid.jsonl
says err "no pair has throughput on both sides"
expect 2 compare base.jsonl unsaid.jsonl
says err "no pair has any metric"
expect 0 compare --format md base.jsonl slow.jsonl
says out "| a | 10.0 ± 0.3 % | 9.04 ± 0.4 % | -10.0 % | p&lt;0.001 | 10+10 |"
expect 1 compare --format csv --fail-above 5 base.jsonl slow.jsonl
says out "metric,unit,workload,base,base_low"
says out 'throughput,M ops/s,"a",10.045,10.01,10.08,10,9.045,9.01,9.08,10,0.9004479841,'
says err "gate: FAILED"
grep -q gate out && fail "the gate's verdict among the numbers"
expect 2 compare --format svg base.jsonl slow.jsonl
expect 2 compare --out x base.jsonl slow.jsonl
expect 0 compare old new both.jsonl
says out "+19.9 %"
expect 0 compare "old side=base.jsonl" "new side=slow.jsonl"
expect 2 compare old nothing both.jsonl
expect 2 compare base.jsonl
expect 2 compare --metric nonsense base.jsonl slow.jsonl
expect 2 --fail-above 5 "$report"

[[ $failures -eq 0 ]] || { echo "$failures failed"; exit 1; }
