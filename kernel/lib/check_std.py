#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Refuse includes of system headers that lib/std.h does not list, and of folders that stand to the
right: check_std.py KERNEL_DIR STAMP"""

import pathlib
import re
import sys

INCLUDE = re.compile(r'^\s*#\s*include\s+([<"])([^>"]+)[>"]', re.M)
ORDER = ["lib", "arch", "mm", "time", "irq", "trace", "sched", "fs", "net", "drivers", "syscall", "init"]
# These stand side by side: each may use the others.
EQUAL = {"time", "irq", "trace", "sched"}
# The lock checker names the tasks that hold locks; it is not used by what it includes.
EXCEPT = {("lib/lockdep.cc", "sched/sched.h")}


def rank(folder):
    return ORDER.index("sched" if folder in EQUAL else folder)


def problems(root, allowed):
    for path in sorted(root.rglob("*")):
        rel = path.relative_to(root)
        if path.suffix not in (".h", ".cc", ".S") or rel.parts[:2] == ("arch", "host"):
            continue
        for kind, name in INCLUDE.findall(path.read_text()):
            if kind == "<":
                if name not in allowed:
                    yield f"{rel}: <{name}> is not in lib/std.h"
                continue
            folder = name.split("/")[0]
            # A port may call upwards: it is the kernel's edge. Everybody may include arch/arch.h.
            if folder not in ORDER or rel.parts[0] == "arch" or name == "arch/arch.h":
                continue
            if rank(folder) > rank(rel.parts[0]) and (str(rel), name) not in EXCEPT:
                yield f"{rel}: {name} stands to the right of {rel.parts[0]}/"


def main():
    root = pathlib.Path(sys.argv[1])
    allowed = {n for k, n in INCLUDE.findall((root / "lib/std.h").read_text()) if k == "<"}
    found = list(problems(root, allowed))
    if found:
        sys.exit("\n".join(found))
    pathlib.Path(sys.argv[2]).write_text("ok\n")


main()
