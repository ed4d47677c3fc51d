#!/usr/bin/env python3
"""Checks what the compiler can't: which room includes which, where third-party headers live, sizes, first lines.

The table of rooms is CMakeLists.txt's own `larder_room(name rooms…)` lines, so that the build and this check can't
disagree. Prints one line a finding, "file:line: what", and exits with 1 when there is any.
"""
import pathlib
import re
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
LINES_MAX = 600

# What a tool outside the rooms may include.
TOOLS = {"tools/replay": ["base", "async", "net", "http", "llm", "protocol", "replay"]}

# A third-party header's home: pattern of the include, then the files that may have it (by prefix).
HOMES = [
    (r"boost/beast", ["src/http/codec", "src/http/framing", "src/async/asio.cpp"]),
    (r"boost/asio/ssl", ["src/net/tls", "src/async/asio.cpp"]),
    (r"openssl/(ssl|err|x509|pem|bio|tls)", ["src/net/tls"]),
    (r"openssl/", ["src/base/", "src/net/tls"]),
    (r"sqlite3\.h", ["src/sql/"]),
    (r"zstd\.h", ["src/cache/"]),
    (r"re2/", ["src/schema/pattern"]),
    (r"yaml-cpp/", ["src/app/config", "src/app/yaml"]),
    (r"simdjson", ["src/base/json"]),
    (r"boost/asio/", ["src/async/", "src/net/", "src/http/", "src/redis/", "src/cache/", "src/limit/",
                      "src/session/", "src/provider/", "src/gateway/", "src/workflow/", "src/api/",
                      "src/app/", "src/testing/", "tools/replay/", "bench/"]),
    (r"boost/", ["src/async/", "src/net/", "src/http/", "bench/"]),
    (r"CLI/", ["src/app/main.cpp"]),
    (r"(gtest|gmock)/", ["src/testing/", "tools/replay/test", "bench/test"]),
]
# The protocols are pure: of `http` they see messages and events only.
PARTS = {"protocol": {"http": ["http/message.hpp", "http/sse.hpp"]},
         "convert": {"http": ["http/message.hpp", "http/sse.hpp"]}}
# Whoever sees a factory knows which database there is: only the wiring and tests (with what they share) may.
FACTORIES = ["src/app/", "src/testing/"]

INCLUDE = re.compile(r'^\s*#\s*include\s+(["<])([^">]+)[">]')
ROOM = re.compile(r"^larder_room\(([^)]*)\)", re.MULTILINE)


def read_rooms():
    """Each room with the rooms that it may include."""
    rooms = {}
    for match in ROOM.finditer((ROOT / "CMakeLists.txt").read_text()):
        name, *needs = match.group(1).split()
        for need in needs:
            if need not in rooms:
                sys.exit(f"CMakeLists.txt: {name} needs {need}, which stands below it or nowhere")
        rooms[name] = needs
    return rooms


def cpp_files():
    for folder in ("src", "tools", "bench", "fuzz"):
        for path in sorted((ROOT / folder).rglob("*")):
            if path.suffix in (".hpp", ".cpp"):
                yield path


class Checker:
    def __init__(self, rooms):
        self.rooms = rooms
        self.findings = 0

    def report(self, name, line, what):
        self.findings += 1
        print(f"{name}:{line}: {what}")

    def check_file(self, path):
        name = path.relative_to(ROOT).as_posix()
        lines = path.read_text(encoding="utf-8").splitlines()
        if len(lines) > LINES_MAX:
            self.report(name, len(lines), f"a file has at most {LINES_MAX} lines")
        # A .cpp beside its header is introduced there.
        introduced = path.suffix == ".cpp" and path.with_suffix(".hpp").exists()
        if not introduced and (not lines or not lines[0].startswith("//")):
            self.report(name, 1, "the first line says what the file is, as a comment")
        if path.suffix == ".hpp" and "#pragma once" not in lines:
            self.report(name, 1, "a header has #pragma once")
        for number, line in enumerate(lines, 1):
            if re.search(r"\b(TODO|FIXME|XXX)\b", line):
                self.report(name, number, "no TODO: open an issue")
            if re.search(r"\bNOLINT\b(?!\(|: \w)", line):
                self.report(name, number, "NOLINT names the check that it switches off, or its reason")
            match = INCLUDE.match(line)
            if match:
                self.check_include(name, number, *match.groups())

    def check_include(self, name, number, quote, header):
        if quote == "<":
            self.check_home(name, number, header)
            return
        if ".." in header:
            self.report(name, number, f'"{header}": includes go by the full path from src/')
            return
        target = header.split("/")[0]
        allowed = self.allowed_rooms(name)
        is_test = name.endswith("_test.cpp")
        if target == "testing":
            if not is_test and not name.startswith("src/testing/"):
                self.report(name, number, f'"{header}": only tests include testing/')
            return
        if target in self.rooms and allowed is not None and target not in allowed:
            self.report(name, number, f'"{header}": this room may include {" ".join(allowed)}')
        room = name.split("/")[1] if name.startswith("src/") else ""
        parts = PARTS.get(room, {}).get(target)
        if parts and header not in parts and not is_test:
            self.report(name, number, f'"{header}": of {target} only {" ".join(parts)}')
        if header.endswith("/backends.hpp") and not is_test:
            own = header == name.removeprefix("src/") or name.startswith(f"src/{target}/")
            if not own and not any(name.startswith(prefix) for prefix in FACTORIES):
                self.report(name, number, f'"{header}": factories are for app/ and tests')

    def allowed_rooms(self, name):
        """None where anything goes (bench, fuzz)."""
        if name.startswith("src/"):
            room = name.split("/")[1]
            if room == "testing":
                return [other for other in self.rooms if other != "app"]
            if room not in self.rooms:
                self.report(name, 1, f"CMakeLists.txt has no room {room}")
                return None
            return [room, *self.rooms[room], "replay"] if room == "app" else [room, *self.rooms[room]]
        for prefix, rooms in TOOLS.items():
            if name.startswith(prefix):
                return rooms
        return None

    def check_home(self, name, number, header):
        for pattern, homes in HOMES:
            if not re.match(pattern, header):
                continue
            if name.endswith("_test.cpp") and not re.match(r"boost/beast|sqlite3", header):
                return
            if not any(name.startswith(home) for home in homes) and not name.startswith("fuzz/"):
                self.report(name, number, f"<{header}> has its home in {', '.join(homes)}")
            break
        if header == "boost/asio.hpp":
            self.report(name, number, "asio.hpp whole stands nowhere")


def main():
    checker = Checker(read_rooms())
    for path in cpp_files():
        checker.check_file(path)
    if checker.findings:
        print(f"check_layers: {checker.findings} findings", file=sys.stderr)
    return 1 if checker.findings else 0


if __name__ == "__main__":
    sys.exit(main())
