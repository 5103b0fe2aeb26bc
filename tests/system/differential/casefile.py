# SPDX-License-Identifier: MIT
"""Reads the cases (cases/*.cases), the normalisations (normalise.txt) and the excused differences (excused.txt).

A case file: a line "== name [seconds=N] [shell=PATH] [exec]" begins a case; the lines up to the next one are its script, or with
"exec" the words of one command. The case is then called FILE/name."""

import re
import shlex
from pathlib import Path

from sidebyside import Case, shell_case

HERE = Path(__file__).parent
DEFAULT_SECONDS = 900  # a case takes one or two, but the machine may be a slow or busy one


def read_cases(path):
    """The Case objects of one file, in order."""
    cases, name, options, body = [], None, [], []

    def finish():
        if name is None:
            return
        words = dict(word.split("=", 1) for word in options if "=" in word)
        seconds = int(words.get("seconds", DEFAULT_SECONDS))
        script = "\n".join(body).strip("\n") + "\n"
        if "exec" in options:
            cases.append(Case(f"{path.stem}/{name}", tuple(shlex.split(script)), seconds))
        else:
            cases.append(shell_case(f"{path.stem}/{name}", script, seconds, words.get("shell", "/bin/busybox")))

    for line in path.read_text(encoding="utf-8").splitlines():
        if line.startswith("== "):
            finish()
            _, name, *options = line.split()
            body = []
        elif name is not None:
            body.append(line)
    finish()
    names = [case.name for case in cases]
    double = {name for name in names if names.count(name) > 1}
    assert not double, f"{path.name}: twice: {double}"
    return cases


def read_normalisations(path=HERE / "normalise.txt"):
    """Pairs (compiled pattern, replacement): lines `PATTERN => REPLACEMENT`, each explained by a comment."""
    pairs = []
    for line in path.read_text(encoding="utf-8").splitlines():
        if line and not line.startswith("#"):
            pattern, replacement = line.split(" => ")
            pairs.append((re.compile(pattern, re.M), replacement))
    return pairs


def read_excused(path=HERE / "excused.txt"):
    """{"rung/case": reason}: lines `rung/case: reason`. Every one must have a reason."""
    excused = {}
    for line in path.read_text(encoding="utf-8").splitlines():
        if line and not line.startswith("#"):
            name, _, reason = line.partition(": ")
            assert reason.strip(), f"{path.name}: {name} has no reason"
            excused[name] = reason.strip()
    return excused


def normalise(text, pairs):
    """The text with what may differ replaced."""
    for pattern, replacement in pairs:
        text = pattern.sub(replacement, text)
    return text
