"""The table on the terminal, the raw results as JSON, and bench/results/latest.md."""

import datetime
import json
import os
import platform
import subprocess
from pathlib import Path

from processes import HERE, version_of


def describe_host(run, arguments):
    model = "unknown"
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            model = line.split(":", 1)[1].strip()
            break
    commit = subprocess.run(["git", "-C", str(HERE), "describe", "--always", "--dirty"], capture_output=True, text=True,
                            check=False).stdout.strip()
    return {"date": datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ"), "commit": commit or "unknown",
            "cores": os.cpu_count(), "processor": model, "kernel": platform.release(), "nginx": version_of(run.tool("nginx")),
            "wrk": version_of(run.tool("wrk")), "inMemory": run.in_memory, "command": " ".join(["bench/run.py", *arguments])}


def format_number(value, unit):
    if unit == "×":
        return f"{value:.2f} ×"
    return f"{value:,.0f} {unit}".strip() if float(value).is_integer() else f"{value:,.1f} {unit}".strip()


def table(results):
    """Rows of text: what, target, measured, beside, verdict."""
    lines = [("what", "target", "measured", "figures", "verdict")]
    for result in results:
        if "error" in result:
            lines.append((result["scenario"], "", "", result["error"], "NOT MEASURED"))
            continue
        relation = "" if result["exact"] else "≤ "
        lines.append((result["what"], relation + format_number(result["target"], result["unit"]),
                      format_number(result["measured"], result["unit"]), result["shown"], result["verdict"]))
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
    path.write_text(json.dumps({"host": host, "results": results}, indent=1, ensure_ascii=False) + "\n")
    if latest:
        text = [f"# The last run of `{'make bench'}`", "",
                f"{host['date']}, commit {host['commit']}: {host['cores']} × {host['processor']}, Linux {host['kernel']}, "
                f"nginx {host['nginx']}, wrk {host['wrk']}. Command: `{host['command']}`; raw results: `{path.name}`. "
                "How to read it: `bench/README.md`.", ""]
        lines = table(results)
        text += ["| " + " | ".join(lines[0]) + " |", "| --- " * 5 + "|"]
        text += ["| " + " | ".join(line) + " |" for line in lines[1:]]
        (directory / "latest.md").write_text("\n".join(text) + "\n")
    return path
