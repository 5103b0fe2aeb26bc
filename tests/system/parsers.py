# SPDX-License-Identifier: MIT
"""Readers of /proc files, traces and dumps (formats: docs/debugfs.md)."""

import re

TRACE_LINE = re.compile(r"^\s*(?P<comm>\S+)-(?P<pid>\d+)\s+\[(?P<cpu>\d+)\]\s+(?P<ctx>\w+)\s+(?P<time>\d+\.\d{6}):\s+"
                        r"(?P<event>\w+):\s*(?P<rest>.*)$")


def key_values(line):
    """name=value fields of a line; "_" lists the other words, "indent" tells a continuation line."""
    row = {"_": [], "indent": line[:1].isspace()}
    for word in line.split():
        name, equals, value = word.partition("=")
        if equals:
            row[name] = value
        else:
            row["_"].append(word)
    return row


def parse_trace(text):
    """Records of a trace, in order; their fields are strings, cpu and pid numbers."""
    records = []
    for line in text.splitlines():
        found = TRACE_LINE.match(line)
        if found:
            record = key_values(found["rest"])
            record.pop("_")
            record.pop("indent")
            record.update(comm=found["comm"], task=int(found["pid"]), cpu=int(found["cpu"]), ctx=found["ctx"],
                          time=float(found["time"]), event=found["event"])
            records.append(record)
    return records


def parse_snmp(text):
    """/proc/net/snmp or netstat: pairs of lines, names then numbers."""
    groups = {}
    lines = [line for line in text.splitlines() if re.match(r"\w+: ", line)]
    for names, values in zip(lines[::2], lines[1::2]):
        group, *columns = names.split()
        groups[group.rstrip(":")] = dict(zip(columns, map(int, values.split()[1:])))
    return groups


def parse_table(text, name_last=False):
    """Tables with a column per CPU: {name: [numbers]}. name_last: the name is the last word (/proc/interrupts)."""
    table, cpus = {}, 0
    for line in text.splitlines():
        if not cpus:
            cpus = len(re.findall(r"CPU\d+", line))
            continue
        found = re.match(rf"\s*(\S+):((?:\s+\d+){{1,{cpus}}})(.*)$", line)
        if found:
            words = found.group(3).split()
            name = words[-1] if name_last and words and found.group(1).isdigit() else found.group(1)
            table[name] = [int(word) for word in found.group(2).split()]
    return table


def hex_ip(text):
    """An address of /proc/net/udp (hexadecimal, as the machine stores it) as a dotted quad."""
    value = int(text, 16)
    return ".".join(str(value >> shift & 255) for shift in (0, 8, 16, 24))
