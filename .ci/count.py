"""Counts what passed and failed in runs of `bazel test`: count.py (EVENTS.json | NAME.exit)...

EVENTS.json is what --build_event_json_file wrote. A test passed if Bazel says so; a target of any
kind that could not be loaded, analysed or built has failed. A run that ended badly, or not at all,
without a target to blame is one failure. NAME.exit holds the exit code of some other command, which
passed if that is 0.
"""

import json
import os
import sys


def read_events(path):
    """The events of a run; of one that was cut off, those up to there."""
    try:
        with open(path, encoding="utf-8") as lines:
            for line in lines:
                yield json.loads(line)
    except (FileNotFoundError, json.JSONDecodeError):
        return


def command_outcome(path):
    """The same as outcome, of a command that is not `bazel test`."""
    with open(path, encoding="utf-8") as file:
        code = file.read().strip()
    return ({"command"}, set()) if code == "0" else (set(), {f"command: exit code {code}"})


def outcome(path):
    """The sets of targets that passed and that failed in one run."""
    if path.endswith(".exit"):
        return command_outcome(path)
    passed, failed, exit_name = set(), set(), "never finished"
    for event in read_events(path):
        # An event's id is {kind: {label, ...}}.
        kind, about = next(iter(event["id"].items()))
        label = about.get("label", " ".join(about.get("pattern", [])))
        if kind == "testSummary":
            ok = event.get("testSummary", {}).get("overallStatus") == "PASSED"
            (passed if ok else failed).add(label)
        elif kind == "targetCompleted" and not event.get("completed", {}).get("success", False):
            failed.add(label)
        elif "aborted" in event and label and event["aborted"].get("reason") != "SKIPPED":
            failed.add(label)
        elif kind == "buildFinished":
            exit_name = event["finished"].get("exitCode", {}).get("name", "unknown")
    if exit_name != "SUCCESS" and not failed:
        failed.add(f"(bazel: {exit_name})")
    return passed - failed, failed


def main(paths):
    n_passed = n_failed = 0
    for path in paths:
        passed, failed = outcome(path)
        n_passed += len(passed)
        n_failed += len(failed)
        run = os.path.splitext(os.path.basename(path))[0]
        for label in sorted(failed):
            print(f"FAILED {run}: {label}")
    print(f"{n_passed} passed, {n_failed} failed")
    return 1 if n_failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
