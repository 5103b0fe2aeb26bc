# SPDX-License-Identifier: MIT
"""Rows E-01 to E-33 and their neighbours: epoll's object step by step, the path of a segment to epoll_wait, whom an arrival wakes,
SO_REUSEPORT, and one echo server in every shape."""

import contextlib
import math
import re

import pytest

from patience import PATIENCE, until
from softnet import bench_shapes
from softnet.bench_shapes import Clients, ended, serving

PATH = ("irq_handler_entry napi_schedule softirq_entry igb_clean_rx netif_receive_skb ip_rcv tcp_v4_rcv tcp_rcv_established "
        "sock_def_readable ep_* wake_func sched_wakeup sched_switch sys_*")
SUMS = ("items", "callbacks", "wakeups", "sleeps", "returns", "events", "visits", "empty_wakeups")


def epolls(guest):
    """The head lines of all epoll objects."""
    return [row for row in guest.debug_rows("eventpoll") if "ep" in row]


def head(guest):
    """The only epoll object there is, from its head line alone: it may have very many items."""
    words = guest.sh("busybox grep ^ep= /sys/kernel/debug/eventpoll").split()
    return dict(word.split("=", 1) for word in words)


def sums(guest):
    """What all epoll objects have counted together."""
    rows = epolls(guest)
    return {name: sum(int(row[name]) for row in rows) for name in SUMS}


def asleep(guest, waiters=1):
    """Wait until so many threads sleep in epoll_wait."""
    until(lambda: sum(int(row["waiters"]) for row in epolls(guest)) == waiters, f"{waiters} sleepers")


@contextlib.contextmanager
def clients(guest, count, port=bench_shapes.PORT):
    """Connections to an echo server, which has answered each once."""
    found = Clients(guest.ip, port, count)
    try:
        found.rounds(1)
        yield found
    finally:
        found.close()


@contextlib.contextmanager
def stopped(guest, pid):
    """A task that does not run while the body does."""
    guest.sh(f"kill -19 {pid}")
    until(lambda: guest.task(pid)["state"] == "T", "the task stops")
    yield
    guest.sh(f"kill -18 {pid}")


@pytest.mark.row("E-01", "E-02", "E-03", "E-04", "E-05", "E-06", "E-07", "E-10", "E-13", "E-26", "E-29", "E-33")
def test_e01_to_e13_the_object_step_by_step(guest):
    """An epoll from its creation: empty, two sockets, 10,000 more, three ready, a random tree, a sleeper."""
    count = 10_000
    with guest.background(f"epollhold 6550 {count}", ready=r"created (\d+)") as job:
        def step(pattern):
            guest.sh(f"kill -10 {job.pid}")
            return job.wait_for(pattern)

        # E-01, E-02: a file, and an object of which every part is empty
        links = guest.sh(f"busybox readlink /proc/{job.pid}/fd/{job.found.group(1)}")
        assert "anon_inode:[eventpoll]" in links
        new = head(guest)
        assert (new["items"], new["depth"], new["ready"], new["waiters"], new["poll_waiters"]) == ("0", "0", "0", "0", "0")
        assert new["ovflist"] == "inactive" and all(new[name] == "0" for name in SUMS)
        # E-13, E-29: without time epoll_wait finds nothing and does not sleep
        step(r"now 0$")
        assert head(guest)["sleeps"] == "0"
        # E-06: the socket's wait queue has the callback of an epoll, which belongs to no task. E-10: the items
        level, edge = step(r"sockets (\d+) (\d+)").groups()
        wait = guest.sockets(6550)[0]["waits"]
        assert [(entry["func"], entry["pid"]) for entry in wait] == [("ep_poll_callback", "0")]
        items = {row["fd"]: row for row in guest.debug_rows("eventpoll") if "item" in row}
        assert int(items[level]["events"], 16) & 0x80000001 == 1 and int(items[edge]["events"], 16) & 0x80000001 == 0x80000001
        assert all((items[fd]["nwait"], items[fd]["rdllist"], items[fd]["ovflist"]) == ("1", "0", "0") for fd in (level, edge))
        assert all(items[fd]["name"].startswith("socket:") for fd in (level, edge))
        fdinfo = guest.cat(f"/proc/{job.pid}/fdinfo/{job.found.group(1)}")
        assert re.findall(r"^tfd: +(\d+) events:", fdinfo, re.M) in ([level, edge], [edge, level])
        # E-04: a balanced tree
        step(rf"registered {count}")
        state = head(guest)
        assert int(state["items"]) == count + 2 and state["rb_ok"] == "1"
        assert int(state["depth"]) <= 2 * math.log2(count + 3)
        # E-05, E-07: only the ready ones are visited, and nothing sleeps
        step(r"got 3$")
        state = head(guest)
        assert (state["visits"], state["events"], state["sleeps"], state["callbacks"]) == ("3", "3", "0", "3")
        # E-04 after 10,000 random removals and insertions
        left = int(step(r"shuffled (\d+)").group(1))
        state = head(guest)
        assert int(state["items"]) == left and state["rb_ok"] == "1"
        assert int(state["depth"]) <= 2 * math.log2(left + 1)
        # E-03, E-13: the sleeper
        step(r"waiting \d+")
        asleep(guest)
        waits = [row for row in guest.debug_rows("eventpoll") if "wq" in row]
        assert [(row["func"], row["pid"], row["flags"]) for row in waits] == [("default_wake_function", str(job.pid), "0x1")]
        assert guest.task(job.pid)["state"] == "S" and head(guest)["items"] == "2"  # closed files have left the tree
        with guest.udp(connect=6550) as sock:
            sock.send(b"wake")
        job.wait_for(r"^done$")


@pytest.mark.row("E-08", "E-09", "E-14", "E-27")
def test_e08_e09_from_the_wire_to_epoll_wait(guest1):
    """One segment: hard IRQ, softirq, TCP, sock_def_readable, ep_poll_callback, the sleeper; then epoll_wait returns it. No tree."""
    guest = guest1
    guest.resolve()
    with serving(guest, "epoll") as job, clients(guest, 1) as client:
        asleep(guest)
        with guest.trace(PATH) as trace:
            client.rounds(1)
            asleep(guest)
        pid = job.pid
        in_softirq = trace.order(
            ("irq_handler_entry", {"handler": "igb_msix_ring"}), "napi_schedule", ("softirq_entry", {"vec": 3}), "igb_clean_rx",
            "netif_receive_skb", "ip_rcv", ("tcp_v4_rcv", {"dport": bench_shapes.PORT}), "tcp_rcv_established", "sock_def_readable",
            ("sched_wakeup", {"pid": pid, "success": 1}), ("wake_func", {"func": "default_wake_function", "pid": pid, "woken": 1}),
            ("ep_poll_callback", {"where": "rdllist"}), ("wake_func", {"func": "ep_poll_callback"}))
        assert all(record["ctx"] in ("softirq", "ksoftirqd") for record in in_softirq[3:])
        ready = in_softirq[-2]
        in_process = trace.order(
            "ep_poll_callback", ("sched_switch", {"next_pid": pid}), ("ep_poll", {"avail": 1}),
            ("ep_send_event", {"fd": ready["fd"], "ep": ready["ep"], "requeue": "level"}), ("sys_exit", {"name": "epoll_pwait", "ret": 1}))
        assert all(record["ctx"] == "process" and record["task"] == pid for record in in_process[2:])
        assert not trace.of("ep_rbtree")


@pytest.mark.row("E-11")
def test_e11_no_wakeup_for_nothing(guest):
    """Whatever clients do, an event loop that is woken finds something to do."""
    with serving(guest, "epoll"), clients(guest, 20) as some:
        for _ in range(5):
            some.rounds(4)
            with clients(guest, 3):
                some.rounds(1)
        asleep(guest)
        state = sums(guest)
        assert state["events"] >= 20 * 26 and state["sleeps"] > 0
        assert state["empty_wakeups"] == 0, state


@pytest.mark.row("E-12", "E-16")
def test_e12_no_sleep_while_there_is_work(guest):
    """What became ready together is returned together, without a sleep in between; one message at a time costs one sleep each."""
    count = 50
    with serving(guest, "epoll") as job, clients(guest, count) as some:
        asleep(guest)
        with stopped(guest, job.pid):
            some.send()
            until(lambda: head(guest)["ready"] == str(count), "all are ready")
            before = sums(guest)
        some.receive()
        asleep(guest)
        after = sums(guest)
        assert after["events"] - before["events"] == count
        assert after["sleeps"] - before["sleeps"] <= 1  # when all was done
        # EINTR after the stop, one return with everything, and one look that finds nothing before it sleeps
        assert after["returns"] - before["returns"] <= 3
        for _ in range(10):
            some.socks[0].sendall(b"?" * bench_shapes.SIZE)
            some.socks[0].recv(bench_shapes.SIZE)
            asleep(guest)
        light = sums(guest)
        assert light["events"] - after["events"] == 10
        assert light["sleeps"] - after["sleeps"] == 10


@pytest.mark.row("E-15", "E-16", "Q-06")
def test_e16_five_clients_a_process_each_or_one(guest):
    """Five clients make six processes, or stay with one that waits for all of them, and the memory is accordingly."""
    found = {shape: bench_shapes.measure_shape(guest, shape, 5, 10) for shape in ("fork", "epoll")}
    print(found)
    assert {shape: figures["tasks"] for shape, figures in found.items()} == {"fork": 6, "epoll": 1}
    assert all(figures["requests"] >= 50 for figures in found.values())
    assert found["fork"]["KiB"] > found["epoll"]["KiB"]


@pytest.mark.row("W-17", "E-17")
def test_w17_switches_of_both_models(guest):
    """100 connections with one message each, all at once: a process per connection sleeps and wakes for each, an event loop does not."""
    count = 100
    with serving(guest, "fork") as job:
        with clients(guest, count) as some:
            some.rounds(1)
        fork = ended(guest, job)
    with serving(guest, "epoll", bench_shapes.PORT + 1) as job:
        with clients(guest, count, bench_shapes.PORT + 1) as some:
            asleep(guest)
            before = guest.task(job.pid)["voluntary"]
            with stopped(guest, job.pid):
                some.send()
                until(lambda: head(guest)["ready"] == str(count), "all are ready")
            some.receive()
            asleep(guest)
            epoll = guest.task(job.pid)["voluntary"] - before
        assert ended(guest, job)["tasks"] == 1
    print(f"voluntary switches: fork {fork['voluntary']} for {fork['requests']} messages, epoll {epoll} for {count}")
    assert fork["tasks"] == count + 1 and fork["requests"] == 2 * count
    assert fork["voluntary"] >= fork["requests"]
    assert epoll < count // 2  # the looks at its insides make it wait for them now and then


@pytest.mark.row("E-15", "E-17")
def test_e17_every_shape_serves(guest):
    """The same clients on the server in each of its shapes: all are answered; the report of the bench."""
    table = bench_shapes.table_of(guest, "Softnet", 12, 5)
    table.show()
    assert set(table.rows) == set(bench_shapes.SHAPES)
    assert all(figures["requests"] >= 60 for figures in table.rows.values())
    tasks = {shape: figures["tasks"] for shape, figures in table.rows.items()}
    assert tasks == {"fork": 13, "thread": 13, "select": 1, "poll": 1, "epoll": 1, "epoll-et": 1, "reuseport": 2, "shared": 2,
                     "exclusive": 2}


@pytest.mark.row("W-13")
@pytest.mark.parametrize("mode, woken", [("accept", 1), ("epoll", 1), ("recv", 4)])
def test_w13_whom_one_arrival_wakes(guest, mode, woken):
    """Four threads in accept or in epoll_wait: one is woken for a connection. Four in recv on one TCP socket: all."""
    with guest.background(f"sleepers {mode} 6560 4", ready=r"listening 6560") as job, contextlib.ExitStack() as stack:
        if mode == "recv":
            client = stack.enter_context(contextlib.closing(Clients(guest.ip, 6560, 1)))
        until(lambda: len(re.findall(r"^thread \d+", job.output(), re.M)) == 4, "four threads")
        pids = re.findall(r"^thread (\d+)", job.output(), re.M)
        until(lambda: all(guest.task(int(pid))["state"] == "S" for pid in pids), "all asleep")
        with guest.trace("wake_func") as trace:
            if mode == "recv":
                client.send()
            else:
                stack.enter_context(contextlib.closing(Clients(guest.ip, 6560, 1)))
            job.wait_for(r"^woken \d+")
        assert len({record["pid"] for record in trace.of("wake_func", woken=1) if record["pid"] in pids}) == woken


@pytest.mark.linux
@pytest.mark.row("X-05", "X-06")
def test_x05_x06_reuseport_program(guest):
    """Who may share a port, and how arrivals are spread, judged by a program in the guest."""
    status, output = guest.status("reuseport")
    assert status == 0 and "all ok" in output, "\n".join(line for line in output.splitlines() if line.startswith("FAIL")) or output


@pytest.mark.row("X-07")
@pytest.mark.parametrize("shape, woken", [("reuseport", 1), ("shared", 4), ("exclusive", 1)])
def test_x07_wakeups_per_connection(guest, shape, woken):
    """Four reactors: with a listening socket each one is woken for a connection, with a common one all, with EPOLLEXCLUSIVE one."""
    with serving(guest, shape, reactors=4), contextlib.ExitStack() as stack:
        asleep(guest, 4)
        for _ in range(5):
            before = sums(guest)
            stack.enter_context(contextlib.closing(Clients(guest.ip, bench_shapes.PORT, 1)))
            until(lambda: sums(guest)["items"] == before["items"] + 1, "it is accepted")
            asleep(guest, 4)
            assert sums(guest)["wakeups"] - before["wakeups"] == woken


@pytest.mark.linux
@pytest.mark.row("E-04", "Z-02")
def test_a_hundred_thousand_descriptors(guests):
    """The limits of a process and of a user, and 100,000 descriptors in one epoll."""
    status, output = guests.get(smp=2, memory="512M").status("manyfds", 300)
    assert status == 0 and "all ok" in output, "\n".join(line for line in output.splitlines() if line.startswith("FAIL")) or output


@pytest.mark.linux
@pytest.mark.row("E-18", "E-19", "E-20", "E-21", "E-22", "E-23", "E-24", "E-25", "E-28", "E-29", "E-30", "E-31", "E-32")
def test_program(guest):
    """What epoll_ctl and epoll_wait promise a program, on every kind of file."""
    status, output = guest.status("epolls")
    assert status == 0, "\n".join(line for line in output.splitlines() if line.startswith("FAIL")) or output


def test_programs_debug(debug_guest):
    """The same under the kernel's own checks; nothing is left."""
    for program in ("epolls", "reuseport"):
        status, output = debug_guest.status(program, 2 * PATIENCE)
        assert status == 0, "\n".join(line for line in output.splitlines() if line.startswith("FAIL")) or output
    assert epolls(debug_guest) == []
