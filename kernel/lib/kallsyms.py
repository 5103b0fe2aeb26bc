#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Write the symbol table that the kernel carries: kallsyms.py NM ELF OUT.S

Functions only, by their plain names (namespaces and arguments of C++ cut off), sorted by address.
The last entry marks the end of the text."""

import subprocess
import sys


def plain(name):
    """tcp_v4_rcv(sk_buff*) -> tcp_v4_rcv; (anonymous namespace)::f(int) -> f; no clone suffixes."""
    name = name.replace("(anonymous namespace)::", "").split(" [clone")[0]
    depth = 0
    out = ""
    for i, c in enumerate(name):
        if c == "<" and not name[:i].endswith("operator"):
            depth += 1
        elif c == ">" and depth:
            depth -= 1
        elif c == "(" and depth == 0 and i:
            if name.startswith("operator()", i - 8) or name[:i].endswith("operator"):
                continue
            break
        elif depth == 0:
            out += c
    out = out.split(" ")[-1] if not out.startswith("operator") else out
    return out.split("::")[-1] or name


def main():
    nm, elf, out = sys.argv[1:4]
    text = subprocess.run([nm, "-nC", elf], check=True, capture_output=True, text=True).stdout
    symbols = {}
    base = end = None
    for line in text.splitlines():
        parts = line.split(" ", 2)
        if len(parts) != 3 or not parts[0]:
            continue
        addr, kind, name = int(parts[0], 16), parts[1], parts[2]
        if name == "_text":
            base = addr
        elif name == "_etext":
            end = addr
        elif kind in "tTwW":
            symbols.setdefault(addr, plain(name))
    entries = sorted((a, n) for a, n in symbols.items() if base <= a < end)
    entries.append((end, "_etext"))
    names, at = b"", {}
    for _, n in entries:
        if n not in at:
            at[n] = len(names)
            names += n.encode() + b"\0"
    with open(out, "w") as f:
        f.write("/* SPDX-License-Identifier: MIT */\n/* Made by kallsyms.py. */\n")
        f.write('    .section .kallsyms, "a"\n    .balign 8\n')
        for part in ("base", "count", "offsets", "name_at", "names"):
            f.write(f".globl kallsyms_{part}\n")
        f.write(f"kallsyms_base: .quad {base:#x}\nkallsyms_count: .long {len(entries)}\n")
        f.write("kallsyms_offsets:\n" + "".join(f".long {a - base:#x}\n" for a, _ in entries))
        f.write("kallsyms_name_at:\n" + "".join(f".long {at[n]}\n" for _, n in entries))
        f.write("kallsyms_names:\n" + "".join(f'.asciz "{n}"\n' for n in at))
        f.write('    .section .note.GNU-stack, "", @progbits\n')


main()
