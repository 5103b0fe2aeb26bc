# SPDX-License-Identifier: MIT
"""Format and static checks of our own C and C++ (the NIC model and its qtest follow QEMU's style and are left out)."""

import concurrent.futures
import hashlib
import json
import os
import re
import subprocess
import time

from .paths import BUILD, ROOT
from .shell import Failed

FOLDERS = ["kernel", "userland", "tests/unit", "tests/sim", "tests/fuzz", "tests/bench", "tests/system"]
SUFFIXES = {".c", ".cc", ".h"}
TIDY_LIMIT_SECONDS = 600
FORMAT_VERSION = "14"  # Debian 12's; versions lay out some things differently, so only one can judge


def sources():
    """Every C and C++ file that has our style."""
    return sorted(path for folder in FOLDERS for path in (ROOT / folder).rglob("*") if path.suffix in SUFFIXES)


def check_format():
    """True if clang-format would change nothing and every Python file compiles."""
    good = True
    files = list(map(str, sources()))
    try:
        version = subprocess.run(["clang-format", "--version"], capture_output=True, text=True, check=False).stdout
        if f"version {FORMAT_VERSION}." not in version:
            print(f"format: this is not clang-format {FORMAT_VERSION}, so C and C++ files are not judged")
            files = []
        for at in range(0, len(files), 100):
            done = subprocess.run(["clang-format", "--dry-run", "-Werror", *files[at:at + 100]], capture_output=True,
                                  text=True, check=False, cwd=ROOT)
            if done.returncode:
                print("\n".join(sorted(set(re.findall(r"^(\S+?):\d+:\d+: (?:warning|error)", done.stderr, re.M)))) or done.stderr)
                print("format: run clang-format -i on these files")
                good = False
    except FileNotFoundError as error:
        raise Failed("clang-format is missing: run scripts/lib/setup") from error
    for path in [*(ROOT / "scripts").rglob("*.py"), *(ROOT / "tests").rglob("*.py")]:
        try:
            compile(path.read_text(encoding="utf-8"), str(path), "exec")
        except SyntaxError as error:
            print(error)
            good = False
    return good


def _stamp(entry, headers):
    """A name for one file's check: it changes with the file, any header, the rules and the compiler's words."""
    digest = hashlib.sha256(headers)
    with open(os.path.join(entry["directory"], entry["file"]), "rb") as file:
        digest.update(file.read())
    digest.update(entry.get("command", "").encode())
    return digest.hexdigest()


def _tidy(directory, entry, stamp, deadline):
    if stamp.exists():
        return "pass", ""
    if time.monotonic() > deadline:
        return "skip", ""
    path = os.path.normpath(os.path.join(entry["directory"], entry["file"]))
    command = ["nice", "clang-tidy", "--quiet", "-p", str(directory), "--extra-arg=-Wno-unknown-warning-option",
               "--extra-arg=-Wno-error", path]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        return "fail", done.stdout + done.stderr
    stamp.touch()
    return "pass", ""


def check_tidy(directory):
    """Run clang-tidy on the files of a build's compile database that are ours; (passed, failed, skipped for want of time).
    What was found clean before and has not changed is not looked at again."""
    database = json.loads((directory / "compile_commands.json").read_text(encoding="utf-8"))
    ours = {str(path) for path in sources()}
    entries = {}
    for entry in database:
        path = os.path.normpath(os.path.join(entry["directory"], entry["file"]))
        if path in ours:
            entries[path] = entry
    headers = hashlib.sha256((ROOT / ".clang-tidy").read_bytes())
    for path in sources():
        if path.suffix == ".h":
            headers.update(path.read_bytes())
    stamps = BUILD / "tidy"
    stamps.mkdir(parents=True, exist_ok=True)
    deadline = time.monotonic() + TIDY_LIMIT_SECONDS
    counts = {"pass": 0, "fail": 0, "skip": 0}
    with concurrent.futures.ThreadPoolExecutor(int(os.environ.get("SOFTNET_JOBS") or os.cpu_count() or 1)) as pool:
        jobs = [pool.submit(_tidy, directory, entry, stamps / _stamp(entry, headers.digest()), deadline)
                for entry in entries.values()]
        for job in jobs:
            result, text = job.result()
            counts[result] += 1
            if text:
                print(text)
    if counts["skip"]:
        print(f"lint: {counts['skip']} files not looked at within {TIDY_LIMIT_SECONDS} s; another run goes on from here")
    return counts["pass"], counts["fail"], counts["skip"]
