# SPDX-License-Identifier: MIT
"""scripts/bench: Softnet next to a stock Linux guest, igb-lite next to QEMU's stock igb: both sides of a table always in one run.

Each bench is a module bench_NAME with three things: HELP (one line), arguments(parser), which adds its options, and
measure(options), which returns the Tables to print. Guests, clients and tables that they share are in bench_common."""

import argparse
import json
from pathlib import Path

from . import bench_epoll, bench_nic, bench_proc, bench_tcp, bench_udp
from .shell import main

BENCHES = {"udp": bench_udp, "nic": bench_nic, "proc": bench_proc, "tcp": bench_tcp, "epoll": bench_epoll}


def start():
    """Run the bench that is named; print its tables."""
    parser = argparse.ArgumentParser(prog="scripts/bench", description=__doc__.splitlines()[0])
    benches = parser.add_subparsers(dest="what", required=True, metavar="BENCH")
    for name, bench in BENCHES.items():
        sub = benches.add_parser(name, help=bench.HELP, description=bench.HELP)
        bench.arguments(sub)
        sub.add_argument("--json", metavar="FILE", help="also write the figures there")
    options = parser.parse_args()
    tables = BENCHES[options.what].measure(options)
    for table in tables:
        table.show()
    if options.json:
        text = json.dumps([table.as_dict() for table in tables], indent=1)
        Path(options.json).write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main(start)
