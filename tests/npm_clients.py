"""The official clients from npm, in the exact versions of clients/package-lock.json, and the Node that they run on.

Standard library only; `npm` from PATH.
"""
import contextlib
import fcntl
import hashlib
import os
import pathlib
import subprocess

FOLDER = pathlib.Path(__file__).resolve().parent / "clients"
PATIENCE = float(os.environ.get("LARDER_TEST_PATIENCE", "1"))
NODE = FOLDER / "node_modules" / "node" / "bin" / "node"


@contextlib.contextmanager
def locked(folder):
    """One process at a time; the lock ends with the process."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def install(deadline=600):
    """Installs what is missing, once for a version of the lock file; gives Node's path."""
    wanted = hashlib.sha256(b"".join((FOLDER / name).read_bytes()
                                     for name in ("package.json", "package-lock.json"))).hexdigest()
    mark = FOLDER / "node_modules" / ".installed"
    with locked(FOLDER):
        if mark.exists() and mark.read_text() == wanted:
            return NODE
        done = subprocess.run(["npm", "ci", "--no-audit", "--no-fund"], cwd=FOLDER, stdin=subprocess.DEVNULL,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=deadline, check=False)
        if done.returncode != 0 or not NODE.exists():
            raise AssertionError(f"npm ci failed:\n{done.stdout.decode(errors='replace')[-4000:]}")
        mark.write_text(wanted)
    return NODE


def run_script(name, *arguments, environment=None, deadline=120 * PATIENCE):
    """Runs clients/`name` on that Node and gives its output; fails with the output when it fails."""
    done = subprocess.run([install(), FOLDER / name, *arguments], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, timeout=deadline, check=False,
                          env={"PATH": os.environ.get("PATH", ""), **(environment or {})})
    output = done.stdout.decode(errors="replace")
    if done.returncode != 0:
        raise AssertionError(f"{name} {' '.join(map(str, arguments))} failed:\n{output[-4000:]}")
    return output
