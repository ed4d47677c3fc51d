#!/usr/bin/env python3
"""The benchmark: Larder beside nginx on this machine, what the product promises as a table of ratios. See bench/README.md."""

import argparse
import dataclasses
import os
import resource
import signal
import sys
import time

from measure import BenchError
from processes import CLIENT_CORE, HERE, Run
from report import describe_host, print_table, write_results
from scenarios import CALIBRATED, QUICK, SCENARIOS, Size


def read_arguments():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--build", default=str(HERE.parent / "build/release"), help="the directory with the programs")
    parser.add_argument("--only", default="", help=f"rows, separated by commas: {', '.join(SCENARIOS)}")
    parser.add_argument("--quick", action="store_true", help="one short round: shows that it works, not how fast it is")
    parser.add_argument("--calibrate", action="store_true", help="nginx in Larder's place: hit and miss must come out as 1.0")
    parser.add_argument("--profile", action="store_true", help="perf record of one more round of hits, to bench/results/tmp")
    arguments = parser.parse_args()
    arguments.only = [name for name in arguments.only.split(",") if name] or list(SCENARIOS)
    unknown = set(arguments.only) - set(SCENARIOS)
    if unknown:
        parser.error(f"no such row: {', '.join(sorted(unknown))}")
    if arguments.calibrate:
        arguments.only = [name for name in arguments.only if name in CALIBRATED]
    return arguments


def measure(run, arguments):
    size = QUICK if arguments.quick else Size()
    results = []
    for name in arguments.only:
        began = time.monotonic()
        print(f"{name} …", end="", flush=True, file=sys.stderr)
        try:
            for row in SCENARIOS[name](run, size):
                results.append({"scenario": name, "verdict": row.verdict(), **dataclasses.asdict(row)})
        except BenchError as error:
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
        host = describe_host(run, sys.argv[1:])
        results = measure(run, arguments)
    except KeyboardInterrupt:
        return 130
    except BenchError as error:
        print(f"bench: {error}", file=sys.stderr)
        return 1
    finally:
        run.close()
    print_table(results)
    whole = not (arguments.quick or arguments.calibrate) and len(arguments.only) == len(SCENARIOS)
    path = write_results(HERE / "results" if whole else HERE / "results/tmp", host, results, latest=whole)
    print(f"\nraw results: {os.path.relpath(path)}")
    failed = any("error" in result or (result["exact"] and result["verdict"] != "met") for result in results)
    return 1 if failed and not arguments.calibrate else 0


if __name__ == "__main__":
    sys.exit(main())
