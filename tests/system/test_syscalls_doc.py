# SPDX-License-Identifier: MIT
"""docs/syscalls.md tells of every system call what kernel/syscall/table.h does. Needs no guest."""

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
HEADER = Path("/usr/include/x86_64-linux-gnu/asm/unistd_64.h")


def table():
    """{number: name} of the calls that the kernel has."""
    text = (ROOT / "kernel" / "syscall" / "table.h").read_text(encoding="utf-8")
    return {int(number): name for number, name in re.findall(r"^SYSCALL\((\d+), (\w+)\)$", text, re.M)}


def documented():
    """{number: (name, state, remark)} of the document."""
    text = (ROOT / "docs" / "syscalls.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| (\d+) \| (\w+) \| (\w+) \| ?(.*?) ?\|$", text, re.M)
    numbers = [row[0] for row in rows]
    assert len(numbers) == len(set(numbers)), "a number is there twice"
    return {int(number): (name, state, remark) for number, name, state, remark in rows}


def test_every_call_is_documented():
    """Calls of the table are implemented or partial; the others of the kernel's header are missing, with a reason."""
    have, told = table(), documented()
    known = dict(have)
    if HEADER.exists():
        for name, number in re.findall(r"^#define __NR_(\w+)\s+(\d+)$", HEADER.read_text(encoding="utf-8"), re.M):
            known.setdefault(int(number), name)
    wrong = []
    for number, name in sorted(known.items()):
        got_name, state, remark = told.get(number, ("", "not in docs/syscalls.md", ""))
        wanted = {"implemented", "partial"} if number in have else {"missing"}
        if state not in wanted or (number in have and got_name != name):
            wrong.append(f"{number} {name}: {state} {got_name}, should be one of {sorted(wanted)}")
        elif state != "implemented" and not remark:
            wrong.append(f"{number} {name}: {state} without a remark")
    assert not wrong, "\n".join(wrong)


def test_table_is_in_order():
    """Numbers rise, so that merges of two new calls do not hide one."""
    text = (ROOT / "kernel" / "syscall" / "table.h").read_text(encoding="utf-8")
    numbers = [int(number) for number in re.findall(r"^SYSCALL\((\d+),", text, re.M)]
    assert numbers == sorted(set(numbers))
