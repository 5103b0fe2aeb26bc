# SPDX-License-Identifier: MIT
"""scripts/bench epoll: what one event costs on Softnet and on Linux with few and with very many idle descriptors (guest instructions,
-icount), what the same echo server costs in every shape, and Debian's Redis and nginx."""

from . import bench_servers, bench_shapes
from .bench_common import costs_of_both, program_archive

HELP = "Softnet and Linux: instructions per event with 10, 1,000 and 100,000 idle descriptors; one server in every shape; Redis and nginx"


def idle(options):
    """Cost per event by the number of descriptors that are watched."""
    return [costs_of_both(program_archive("epoll_costs"), options.memory)]


PARTS = {"idle": idle, "shapes": bench_shapes.measure, "servers": bench_servers.measure}


def arguments(parser):
    """Our options."""
    parser.add_argument("--part", choices=[*PARTS, "all"], default="all", help="what to measure (all)")
    parser.add_argument("--memory", default="1G", metavar="SIZE", help="memory of both guests for idle (1G)")
    parser.add_argument("--connections", type=int, default=50, metavar="N", help="clients of each shape (50)")
    parser.add_argument("--rounds", type=int, default=40, metavar="N", help="requests on each connection of each shape (40)")
    parser.add_argument("--smp", type=int, default=1, metavar="N", help="CPUs of both guests for Redis and nginx (1)")
    parser.add_argument("--repetitions", type=int, default=3, metavar="N", help="how often each load of Redis and nginx is measured (3)")
    parser.add_argument("--seconds", type=int, default=3, metavar="N", help="length of each load of nginx (3)")


def measure(options):
    """The tables of the parts."""
    return [table for name, part in PARTS.items() if options.part in (name, "all") for table in part(options)]
