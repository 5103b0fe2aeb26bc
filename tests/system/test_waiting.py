# SPDX-License-Identifier: MIT
"""Rows W-01 to W-20 for UDP: wait queues, sleeping, waking."""

import re
import time

import pytest

from patience import PATIENCE, until

PATH_EVENTS = ("sys_* sock_* udp_* irq_handler_entry napi_schedule softirq_entry softirq_exit igb_clean_rx netif_receive_skb ip_rcv "
               "wake_func sched_wakeup sched_switch sched_sleep skb_*")


@pytest.mark.row("W-02", "W-10")
def test_w02_w10_two_switches_per_message(guest1):
    """A message costs the waiting task one switch out and one in."""
    guest = guest1
    guest.resolve()
    pid = guest.pids("udpecho")[0]
    rounds = 20
    guest.echo(b"settle")
    until(lambda: guest.task(pid)["state"] == "S", "the server sleeps")
    before = guest.task(pid)

    def sleeps():
        """Asked with few switches, which all are in the trace: every key that is typed makes some."""
        status = guest.sh(f"busybox grep ^vol /proc/{pid}/status")
        return int(status.split()[1])

    with guest.trace("sched_switch") as trace:
        for number in range(rounds):
            guest.echo(b"%d" % number)
            until(lambda number=number: sleeps() > before["voluntary"] + number, "the server sleeps again")
    after = guest.task(pid)
    slept = after["voluntary"] - before["voluntary"]
    assert slept == rounds
    switched_in = len(trace.of("sched_switch", next_pid=pid))
    switched_out = len(trace.of("sched_switch", prev_pid=pid))
    preempted = after["involuntary"] - before["involuntary"]
    assert slept <= switched_in <= slept + preempted and slept <= switched_out <= slept + preempted


@pytest.mark.row("W-03", "R-21", "Q-04")
def test_w03_the_nine_steps(guest1):
    """socket, wait, frame, DMA, hard IRQ, softirq, protocol, queue, wake: one trace, in order."""
    guest = guest1
    guest.resolve()
    with guest.trace(PATH_EVENTS) as trace:
        with guest.background("udpwait 5900 1", ready=r"waiting (\d+)") as job:
            pid = job.found.group(1)
            until(lambda: guest.task(int(pid))["state"] == "S", "it sleeps")
            with guest.udp(connect=5900) as sock:
                sock.send(b"nine")
            job.wait_for(rf"got {pid} 4")
    steps = trace.order(
        ("sys_enter", {"name": "socket"}), ("sys_enter", {"name": "recvfrom"}), ("sched_sleep", {"pid": pid}),
        ("irq_handler_entry", {"handler": "igb_msix_ring"}), "napi_schedule", ("softirq_entry", {"vec": 3}), "igb_clean_rx",
        "netif_receive_skb", "ip_rcv", ("udp_rcv", {"dport": 5900}), "sock_queue_rcv", "sock_def_readable",
        ("wake_func", {"pid": pid}), ("sched_switch", {"next_pid": pid}), "skb_recv_datagram", "skb_copy_datagram",
        ("sys_exit", {"name": "recvfrom", "ret": 4}))
    times = [step["time"] for step in steps]
    assert times == sorted(times)


@pytest.mark.row("W-04")
def test_w04_two_parts(guest):
    """The process's part runs in process context as the receiver; the packet's part in interrupt context, borrowed or not."""
    guest.resolve()
    pid = guest.pids("udpecho")[0]
    with guest.trace(PATH_EVENTS) as trace:
        for number in range(10):
            guest.echo(b"%d" % number)
    interrupt_part = trace.of("igb_clean_rx", "netif_receive_skb", "ip_rcv", "udp_rcv", "sock_queue_rcv", "sock_def_readable")
    received = {record["skb"] for record in trace.of("igb_clean_rx")}
    interrupt_part = [record for record in interrupt_part if record.get("skb") in received or record["event"] == "sock_def_readable"]
    assert interrupt_part and all(record["ctx"] in ("softirq", "ksoftirqd") for record in interrupt_part)
    process_part = trace.of("skb_recv_datagram", "skb_copy_datagram", "udp_recvmsg")
    assert process_part and all(record["ctx"] == "process" and record["task"] == pid for record in process_part)
    assert all(record["ctx"] == "hardirq" for record in trace.of("irq_handler_entry"))


@pytest.mark.row("W-05")
def test_w05_recv_is_recvfrom(guest1):
    """The C library's recv and send are the system calls recvfrom and sendto."""
    guest = guest1
    with guest.trace("sys_enter") as trace:
        guest.sh("udpsend 127.0.0.1 7 hello")
    calls = [record["name"] for record in trace.of("sys_enter") if record["comm"] == "udpsend"]
    assert "recvfrom" in calls and "sendto" in calls and "recv" not in calls and "send" not in calls


@pytest.mark.row("W-08", "W-09", "W-18")
def test_w08_w09_wait_entry(guest):
    """A blocked reader has one entry with function and pid on the socket's queue; the state was set with it."""
    with guest.background("udpwait 5910 1", ready=r"waiting (\d+)") as job:
        sock = until(lambda: (row := guest.sockets(5910)[0])["wq_entries"] == "1" and row, "it waits")
        assert sock["wq"] != "-" and len(sock["waits"]) == 1
        entry = sock["waits"][0]
        assert entry["func"] in ("receiver_wake_function", "autoremove_wake_function")
        assert entry["pid"] == job.found.group(1)
        assert entry["wait"] != "-" and "flags" in entry
        assert guest.task(int(entry["pid"]))["state"] == "S"


@pytest.mark.row("W-09", "W-19", "W-16")
@pytest.mark.parametrize("cpus", ["0 0", "0 1"])
def test_w09_w19_no_lost_wakeup(guests, cpus):
    """A datagram passed to and fro 50,000 times, on one CPU and across two, is never lost; the cost of a switch is printed. Where the
    host's other work makes each wake-up of another CPU take milliseconds, what a few minutes allow must do."""
    guest = guests.get(smp=2)
    wanted, piece, done, deadline = 50_000, 5_000, 0, time.monotonic() + PATIENCE
    while done < wanted and (not done or time.monotonic() < deadline):
        output = guest.sh(f"pingpong {piece} {cpus}", timeout=2 * PATIENCE)
        print(output)
        assert re.search(rf"rounds {piece} of {piece} voluntary \d+ involuntary \d+ status 0", output), output
        assert re.search(r"us per switch: mean [\d.]+ p50 [\d.]+ p90 [\d.]+ p99 [\d.]+ max [\d.]+ \(notes: 3 to 5 us\)", output)
        done += piece


@pytest.mark.row("W-12")
def test_w12_no_waiter_no_wakeup(guest1):
    """sock_def_readable with nobody on the queue calls nobody; with a waiter one."""
    guest = guest1
    guest.resolve()
    with guest.background("udphold 5920 5921", ready=r"holding \d+") as job:
        sk = guest.sockets(5920)[0]["sk"]
        with guest.trace("sock_def_readable wake_func sched_wakeup") as trace:
            with guest.udp(connect=5920) as sock:
                sock.send(b"nobody waits")
            until(lambda: guest.udp_socket(5920)["rx_queue"] > 0, "it is queued")
        assert [record["waiters"] for record in trace.of("sock_def_readable", sk=sk)] == ["0"]
        waiter = until(lambda: (row := guest.sockets(5921)[0])["waits"] and row, "it waits for the word")
        with guest.trace("sock_def_readable wake_func sched_wakeup sched_switch") as trace:
            with guest.udp(connect=5921) as sock:
                sock.send(b"go")
            job.wait_for("drained 1 ")
        assert [record["waiters"] for record in trace.of("sock_def_readable", sk=waiter["sk"])] == ["1"]
        pid = waiter["waits"][0]["pid"]
        runs = trace.records.index(trace.of("sched_switch", next_pid=pid)[0])  # then it prints, and may have to wait for the terminal
        assert len([record for record in trace.records[:runs] if record["event"] == "wake_func" and record["pid"] == pid]) == 1


@pytest.mark.row("W-14", "W-15")
def test_w14_w15_wake_and_switch(guest1):
    """The entry's function → try_to_wake_up → the task is switched in; afterwards the queue is empty."""
    guest = guest1
    guest.resolve()
    pid = guest.pids("udpecho")[0]
    with guest.trace(PATH_EVENTS) as trace:
        guest.echo(b"wake")
    wakeup, func, switch = None, None, None
    for record in trace.records:
        if record["event"] == "sched_wakeup" and record["pid"] == str(pid) and wakeup is None:
            wakeup = record
        elif record["event"] == "wake_func" and record["pid"] == str(pid) and func is None:
            func = record
        elif record["event"] == "sched_switch" and record["next_pid"] == str(pid) and switch is None:
            switch = record
    assert wakeup["success"] == "1" and func["woken"] == "1"
    assert wakeup["time"] <= func["time"] <= switch["time"]
    print(f"from wake-up to switch: {(switch['time'] - wakeup['time']) * 1e6:.0f} us")
    with guest.background("udphold 5930 5931", ready=r"holding \d+"):
        assert guest.sockets(5930)[0]["wq_entries"] == "0"


@pytest.mark.linux
@pytest.mark.row("W-20")
def test_w20_bytes_are_what_was_sent(guest):
    """After a wake-up the reader takes the data from the queue: every byte, in order, whatever else woke it."""
    guest.ping(1)
    count = 60
    with guest.background(f"recvseq 5940 {count}", ready=r"receiving \d+") as job:
        with guest.udp(connect=5940) as sock:
            for number in range(count):
                sock.send(b"message-%d" % number)
                if number % 7 == 0:
                    guest.ping()
        job.wait_for("received all")
        found = re.findall(r"^data (\d+) (\S+)$", job.output(), re.M)
    assert found == [(str(number), f"message-{number}") for number in range(count)]


@pytest.mark.linux
def test_programs(guest):
    """Processes, memory, files and clocks, judged by a program in the guest."""
    status, output = guest.status("proccheck")
    assert status == 0 and "all ok" in output, output


@pytest.mark.linux
def test_hostile_program(guest):
    """What a program must not get away with ends that program only."""
    status, output = guest.status("hostile")
    assert status == 0 and "all ok" in output, "\n".join(line for line in output.splitlines() if line.startswith("FAIL"))
    assert guest.echo(b"still here") == b"still here"


def test_hostile_program_debug(debug_guest):
    """The same under the kernel's own checks."""
    status, output = debug_guest.status("hostile")
    assert status == 0 and "all ok" in output, "\n".join(line for line in output.splitlines() if line.startswith("FAIL"))
