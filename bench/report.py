"""The table on the terminal, the raw results as JSON, and bench/results/latest.md."""

import datetime
import json
import os
import platform
import subprocess
from pathlib import Path

from processes import HERE, version_of


def describe_host(run, options):
    model = "unknown"
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            model = line.split(":", 1)[1].strip()
            break
    now = datetime.datetime.now(datetime.timezone.utc)
    describe = ["git", "-C", str(HERE), "describe", "--always", "--dirty"]
    commit = subprocess.run(describe, capture_output=True, text=True, check=False).stdout.strip()
    return {
        "date": now.strftime("%Y-%m-%dT%H:%M:%SZ"),
        "commit": commit or "unknown",
        "cores": os.cpu_count(),
        "loadBefore": round(os.getloadavg()[0], 2),
        "processor": model,
        "kernel": platform.release().split("-")[0],
        "nginx": version_of(run.tool("nginx")),
        "wrk": version_of(run.tool("wrk")),
        "redis": version_of(run.tool("redis-server"), "--version"),
        "inMemory": run.in_memory,
        "command": " ".join(["bench/run.py", *options]),
    }


def format_number(value, unit):
    if unit == "×":
        return f"{value:.2f} ×"
    digits = 0 if float(value).is_integer() else 1
    return f"{value:,.{digits}f} {unit}".strip()


def table(results):
    """Rows of text: what, target, measured, beside, verdict."""
    lines = [("what", "target", "measured", "figures", "verdict")]
    for result in results:
        if "error" in result:
            lines.append((result["scenario"], "", "", result["error"], "NOT MEASURED"))
            continue
        relation = "" if result["exact"] else "≥ " if result["at_least"] else "≤ "
        target = relation + format_number(result["target"], result["unit"])
        measured = format_number(result["measured"], result["unit"])
        lines.append((result["what"], target, measured, result["shown"], result["verdict"]))
    return lines


def print_table(results):
    lines = table(results)
    widths = [max(len(line[column]) for line in lines) for column in range(5)]
    for line in lines:
        print("  ".join(cell.ljust(width) for cell, width in zip(line, widths)).rstrip())


def write_results(directory, host, results, latest):
    directory.mkdir(parents=True, exist_ok=True)
    name = f"{host['date'][:10]}-{host['cores']}cores"
    path = directory / f"{name}.json"
    raw = {"host": host, "results": results}
    path.write_text(json.dumps(raw, indent=1, ensure_ascii=False) + "\n")
    if latest:
        text = [
            "# The last whole run of `make bench`",
            "",
            f"{host['date']}, commit {host['commit']}: {host['cores']} × {host['processor']}, "
            f"Linux {host['kernel']}, nginx {host['nginx']}, wrk {host['wrk']}, "
            f"Redis {host['redis']}; "
            f"load before the run: {host['loadBefore']}. "
            f"Command: `{host['command']}`; raw results: `{path.name}`. "
            "How to read it: `bench/README.md`.",
            "",
        ]
        lines = table(results)
        text += ["| " + " | ".join(lines[0]) + " |", "| --- " * 5 + "|"]
        text += ["| " + " | ".join(line) + " |" for line in lines[1:]]
        (directory / "latest.md").write_text("\n".join(text) + "\n")
    return path
