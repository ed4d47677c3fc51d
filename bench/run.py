#!/usr/bin/env python3
"""The benchmark: what Larder promises, measured beside nginx on this machine, as a table of ratios.

bench/README.md says how to read it.
"""

import argparse
import dataclasses
import http.client
import os
import resource
import signal
import subprocess
import sys
import time

from measure import BenchError
from processes import CLIENT_CORE, HERE, Run
from report import describe_host, print_table, write_results
from rows import QUICK, Size
from scenarios import CALIBRATED, SCENARIOS

FAILURES = (BenchError, OSError, ValueError, subprocess.SubprocessError, http.client.HTTPException)
BUSY_LOAD = 0.5  # processes that want to run, the minute before
PROGRAMS = str(HERE.parent / "build/release")


def read_arguments():
    parser = argparse.ArgumentParser(description=__doc__)
    flag = {"action": "store_true"}
    parser.add_argument("--build", default=PROGRAMS, help="the directory of the programs")
    parser.add_argument("--only", default="", help=f"rows, by commas: {','.join(SCENARIOS)}")
    parser.add_argument("--quick", help="one short round: that it works, not how fast", **flag)
    parser.add_argument("--calibrate", help="nginx in Larder's place: ratios must be 1", **flag)
    parser.add_argument("--profile", help="perf record of hits, into bench/results/tmp", **flag)
    arguments = parser.parse_args()
    arguments.only = [name for name in arguments.only.split(",") if name] or list(SCENARIOS)
    unknown = set(arguments.only) - set(SCENARIOS)
    if unknown:
        parser.error(f"no such row: {', '.join(sorted(unknown))}")
    if arguments.calibrate:
        arguments.only = [name for name in arguments.only if name in CALIBRATED]
    return arguments


def describe_options(arguments):
    flags = [f"--{name}" for name in ("quick", "calibrate", "profile") if getattr(arguments, name)]
    every = len(arguments.only) == len(SCENARIOS)
    return flags + ([] if every else ["--only", ",".join(arguments.only)])


def is_whole(arguments):
    """Whether the run measures everything, so that its results are worth keeping."""
    return len(arguments.only) == len(SCENARIOS) and not arguments.quick and not arguments.calibrate


def measure(run, arguments):
    size = QUICK if arguments.quick else Size()
    results = []
    for name in arguments.only:
        began = time.monotonic()
        print(f"{name} …", end="", flush=True, file=sys.stderr)
        try:
            for row in SCENARIOS[name](run, size):
                fields = dataclasses.asdict(row)
                results.append({"scenario": name, "verdict": row.verdict(), **fields})
        except FAILURES as error:
            results.append({"scenario": name, "error": str(error)})
        finally:
            run.stop(*run.processes)
        print(f" {time.monotonic() - began:.0f} s", file=sys.stderr)
    return results


def raise_file_limit():
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def interrupt(*_):
    raise KeyboardInterrupt


def main():
    arguments = read_arguments()
    signal.signal(signal.SIGTERM, interrupt)
    raise_file_limit()
    os.sched_setaffinity(0, CLIENT_CORE)
    run = Run(arguments.build, calibrate=arguments.calibrate, profile=arguments.profile)
    try:
        host = describe_host(run, describe_options(arguments))
        if host["loadBefore"] > BUSY_LOAD:
            print(f"bench: the host is busy (load {host['loadBefore']}): take the ratios with "
                  "care, or measure at another time", file=sys.stderr)
        results = measure(run, arguments)
    except KeyboardInterrupt:
        return 130
    except BenchError as error:
        print(f"bench: {error}", file=sys.stderr)
        return 1
    finally:
        run.close()
    print_table(results)
    whole = is_whole(arguments)
    directory = HERE / "results" if whole else run.scratch
    path = write_results(directory, host, results, latest=whole)
    print(f"\nraw results: {os.path.relpath(path)}")
    failed = any("error" in row or (row["exact"] and row["verdict"] != "met") for row in results)
    return 1 if failed and not arguments.calibrate else 0


if __name__ == "__main__":
    sys.exit(main())
