"""Writes where hakmem stands beside other allocators, from the records in testdata/machine.

standing.py [--check]: rewrites what stands between the marks `<!-- made by //docs:standing -->` and
`<!-- end -->` in README.md and docs/BENCHMARKS.md, below the current directory. With --check it
writes nothing, and exits with 1 where a page is not what the records say.

A figure is the median of the runs that ended well. An allocator that was not run is "not measured", and a
row that no record serves is left out. The best figure of a row is bold, and so is any within one per cent.
"""

import collections
import json
import os
import statistics
import sys

RECORDS = "testdata/machine"
BEGIN, END = "<!-- made by //docs:standing -->\n", "<!-- end -->\n"
ALLOCATORS = ["hakmem", "system", "mimalloc", "jemalloc", "tcmalloc", "snmalloc", "rpmalloc"]
TITLES = {"system": "glibc"}

MIB = 2**20

# Of README's table, a row each: what it says, the experiment, the workload's label in it, the record's
# field, what a figure is divided by, whether less is better, and the command.
ROWS = [
    ("One thread, small blocks, million operations a second",
     "peers", "random_mixed 8192", "mops", 1, False),
    ("Two threads, half of the blocks freed by the other, million operations a second",
     "remote", "remote 50 %", "mops", 1, False),
    ("Blocks that grow, million operations a second",
     "peers", "realloc_grow", "mops", 1, False),
    ("Threads that live for 20 blocks, million operations a second",
     "peers", "thread_churn", "mops", 1, False),
    ("Memory of a heap of 2^20 small blocks, MiB at its peak",
     "peers", "random_mixed 1048576", "peak_rss_bytes", MIB, True),
    ("Memory after a burst of 256 MiB that is freed, MiB",
     "peers", "peak_shrink", "rss_after_idle_bytes", MIB, True),
    ("The slowest malloc in a thousand, ns",
     "call_latency", "1 thread", "malloc_p999_ns", 1, True),
    ("Forks a second of a program with a million small blocks",
     "fork", "fork", "mops", 1e-6, False),
]

# What no experiment measures: from the allocators' own documentation.
TELEMETRY = {
    "hakmem": "JSON lines, Prometheus, live view",
    "system": "malloc_info",
    "mimalloc": "text at exit",
    "jemalloc": "mallctl, text, JSON",
    "tcmalloc": "MallocExtension, text",
    "snmalloc": "none",
    "rpmalloc": "a structure, if built in",
}
PROFILER = {
    "hakmem": "yes",
    "system": "no",
    "mimalloc": "no",
    "jemalloc": "yes, if built in",
    "tcmalloc": "yes, not in minimal",
    "snmalloc": "no",
    "rpmalloc": "no",
}


def read(experiment):
    """The records of an experiment; none where it was not run."""
    path = os.path.join(RECORDS, experiment + ".jsonl")
    if not os.path.exists(path):
        return []
    with open(path, encoding="utf-8") as lines:
        return [json.loads(line) for line in lines]


def runs(experiment):
    """Its runs that ended well, without the limits that are no allocators."""
    return [r for r in read(experiment)
            if r["schema"] == "hakmem.record.1" and r["status"] == "ok" and r["workload"] != "dry"]


def medians(records, label, field, divisor=1):
    """By allocator, the median of a field over the runs of a workload."""
    figures = collections.defaultdict(list)
    for record in records:
        if record["workload_label"] == label and record.get(field) is not None:
            figures[record["phase"]].append(record[field] / divisor)
    return {phase: statistics.median(of_phase) for phase, of_phase in figures.items()}


def number(figure):
    """Three digits."""
    if figure >= 100:
        return f"{figure:.0f}"
    if figure >= 1:
        return f"{figure:.1f}" if figure >= 10 else f"{figure:.2f}"
    return f"{figure:.3g}"


def cells(figures, allocators, less_is_better):
    """A row's figures as text, the best bold."""
    best = (min if less_is_better else max)(figures.values()) if figures else None
    row = []
    for allocator in allocators:
        if allocator not in figures:
            row.append("not measured")
            continue
        figure = figures[allocator]
        is_best = figure <= best * 1.01 if less_is_better else figure >= best / 1.01
        row.append(f"**{number(figure)}**" if is_best else number(figure))
    return row


def table(head, rows):
    """A table of Markdown."""
    lines = ["| " + " | ".join(row) + " |" for row in [head] + rows]
    lines.insert(1, "|" + "---|" * len(head))
    return "\n".join(lines) + "\n"


def titles(allocators):
    return [TITLES.get(allocator, allocator) for allocator in allocators]


def machine(records):
    """When and on what the records were made, in one sentence."""
    days = sorted({record["time_utc"][:10] for record in records})
    hosts = sorted({f"{r['host_cpu']}, {r['host_cores']} cores" for r in records})
    versions = sorted({f"{TITLES.get(r['phase'], r['phase'])} {r['allocator_version'].split('-')[0]}"
                       for r in records if r.get("allocator_version")})
    period = days[0] if len(days) == 1 else f"{days[0]} to {days[-1]}"
    return f"Measured {period} on {'; '.join(hosts)} (a virtual machine). Versions: {', '.join(versions)}."


def readme():
    rows, used = [], []
    for text, experiment, label, field, divisor, less_is_better in ROWS:
        records = runs(experiment)
        figures = medians(records, label, field, divisor)
        if not figures:
            continue
        used += [record for record in records if record["workload_label"] == label]
        rows.append([f"{text} (`hakrun {experiment}`)"] + cells(figures, ALLOCATORS, less_is_better))
    caught, mistakes = collections.Counter(), set()
    for record in read("misuse"):
        mistakes.add(record["mistake"])
        caught[record["phase"]] += record["outcome"] == "caught"
    known = {record["phase"] for record in read("misuse")}
    rows.append([f"Mistakes that end the program with a message, of {len(mistakes)} (`//docs:misuse`)"] +
                cells({phase: caught[phase] for phase in known}, ALLOCATORS, False))
    rows[-1][1:] = [cell.replace(".00", "") for cell in rows[-1][1:]]  # they are counts
    rows.append(["Telemetry"] + [TELEMETRY[allocator] for allocator in ALLOCATORS])
    rows.append(["Heap profiler"] + [PROFILER[allocator] for allocator in ALLOCATORS])
    return (table([""] + titles(ALLOCATORS), rows) + "\n" + machine(used) +
            " Bold: the best, and what is within 1 % of it.\n")


def benchmarks():
    text = ""
    for experiment in ["peers", "remote"]:
        records = runs(experiment)
        allocators = [a for a in ALLOCATORS if any(r["phase"] == a for r in records)]
        rows = []
        for label in dict.fromkeys(record["workload_label"] for record in records):
            speed = cells(medians(records, label, "mops"), allocators, False)
            memory = cells(medians(records, label, "peak_rss_bytes", MIB), allocators, True)
            rows.append([label] + [f"{s} / {m}" for s, m in zip(speed, memory)])
        count = max(collections.Counter(
            (r["workload_label"], r["phase"]) for r in records).values())
        text += (f"`bazel run //tools:hakrun -- {experiment} --runs {count}`: million operations a second / "
                 "MiB at the peak, medians.\n\n" + table([""] + titles(allocators), rows) + "\n" +
                 machine(records) + "\n\n")
    return text.rstrip("\n") + "\n"


def main(arguments):
    status = 0
    for path, text in [("README.md", readme()), ("docs/BENCHMARKS.md", benchmarks())]:
        with open(path, encoding="utf-8") as file:
            page = file.read()
        before, begin, rest = page.partition(BEGIN)
        _, end, after = rest.partition(END)
        if not begin or not end:
            sys.exit(f"standing.py: {path}: no lines {BEGIN.strip()} and {END.strip()}")
        new = before + begin + text + end + after
        if new == page:
            continue
        if arguments == ["--check"]:
            print(f"{path} is not what {RECORDS} says; bring it up to date: bazel run //docs:standing")
            status = 1
        else:
            with open(path, "w", encoding="utf-8") as file:
                file.write(new)
    return status


if __name__ == "__main__":
    if sys.argv[1:] not in ([], ["--check"]):
        sys.exit(__doc__)
    sys.exit(main(sys.argv[1:]))
