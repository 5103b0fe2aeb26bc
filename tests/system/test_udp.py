# SPDX-License-Identifier: MIT
"""Rows U-01 to U-10: UDP input, sockets' queues, blocking."""

import re
import time

import pytest
from scapy.all import ICMP, IP, UDP, Ether

from patience import until


EVERY_ERROR = ("ipv4/icmp_ratelimit", "0")  # is told, whatever earlier tests have used up of the limit


@pytest.mark.linux
@pytest.mark.row("U-01")
def test_u01_the_specific_socket_receives(guest):
    """Two sockets on one port, one on the wildcard and one on the address: the specific one receives."""
    guest.ping(1)
    with guest.background("scorecheck 5410 " + guest.ip, ready=r"listening") as job:
        with guest.udp(connect=5410) as sock:
            sock.send(b"whose?")
            assert job.wait_for(r"scorecheck: (\w+) got 6").group(1) == "specific"


@pytest.mark.linux
@pytest.mark.row("U-02")
def test_u02_closed_port(guest):
    """ICMP 3/3 that quotes the datagram, NoPorts + 1; nothing for broadcast."""
    guest.ping(1)
    before = guest.snmp()
    frame = guest.frame(b"nobody", dport=4999, sport=4321)
    broadcast = Ether(dst="ff:ff:ff:ff:ff:ff", src=guest.host_mac) / \
        IP(src=guest.host_ip, dst=guest.ip.rsplit(".", 1)[0] + ".255") / UDP(sport=4321, dport=4999) / b"all"
    with guest.setting(*EVERY_ERROR):
        answers = [packet for packet in guest.exchange([frame], 1) if ICMP in packet]
        after = guest.snmp()
        assert not [packet for packet in guest.exchange([broadcast]) if ICMP in packet]
    assert [(p[ICMP].type, p[ICMP].code) for p in answers] == [(3, 3)]
    quoted = bytes(answers[0][ICMP].payload)
    assert quoted[:20][12:20] == bytes(frame[IP])[12:20] and quoted[20:28] == bytes(frame[UDP])[:8]
    assert after["Udp"]["NoPorts"] == before["Udp"]["NoPorts"] + 1
    assert after["Icmp"]["OutDestUnreachs"] > before["Icmp"]["OutDestUnreachs"]  # there may be one about an address of an earlier test's


@pytest.mark.linux
@pytest.mark.row("U-02")
def test_u02_refused(guest):
    """A connected UDP socket gets ECONNREFUSED, on either side."""
    guest.ping(1)
    with guest.setting(*EVERY_ERROR), guest.udp(connect=4998) as sock:
        sock.send(b"anybody?")
        with pytest.raises(ConnectionRefusedError):
            sock.recv(10)
    output = guest.sh(f"connrefused {guest.host_ip} 4997")
    assert "all ok" in output, output


@pytest.mark.row("U-03")
def test_u03_call_chain(guest1):
    """udp_rcv, the lookup, the queue."""
    guest = guest1
    guest.resolve()
    with guest.trace("udp_* sock_queue_rcv") as trace:
        guest.echo(b"chain")
    skb = trace.of("udp_rcv", dport=7)[0]["skb"]
    assert [record["event"] for record in trace.packet(skb)][:4] == ["udp_rcv", "udp_lookup", "udp_queue_rcv_skb",
                                                                    "sock_queue_rcv"]
    lookup = trace.one("udp_lookup", skb=skb)
    assert lookup["sk"] == guest.sockets(7)[0]["sk"]


@pytest.mark.row("U-04", "U-05")
def test_u04_u05_backlog(debug_guest):
    """While a system call owns the socket, packets go to the backlog; release_sock moves them on, in order, in its context."""
    guest = debug_guest
    guest.resolve()
    with guest.background("udphold 5500 5501", ready=r"holding \d+"):
        with guest.trace("udp_queue_rcv_skb sk_* sock_queue_rcv") as trace:
            guest.sh("echo 'hold_sock 5500 600000' > /sys/kernel/debug/test/hooks &")
            holder = guest.sh("echo $!").strip().splitlines()[-1]
            until(lambda: guest.sockets(5500)[0]["owned"] == "1", "the socket is owned")
            with guest.udp(connect=5500) as sock:
                for number in range(3):
                    sock.send(b"%d" % number)
            held = until(lambda: (row := guest.sockets(5500)[0])["backlog"] == "3" and row, "three packets are in the backlog")
            guest.sh(f"kill {holder}; wait {holder}", check=False)
            released = guest.sockets(5500)[0]
        assert (held["backlog"], held["rxq"], held["owned"]) == ("3", "0", "1")
        assert (released["backlog"], released["rxq"], released["owned"]) == ("0", "3", "0")
        added = [record["skb"] for record in trace.of("sk_add_backlog")]
        moved = trace.of("sk_backlog_rcv")
        assert len(added) == 3 and [record["skb"] for record in moved] == added
        assert all(record["ctx"] == "process" and str(record["task"]) == holder for record in moved)
        assert [record["skb"] for record in trace.of("sock_queue_rcv") if record["skb"] in added] == added


@pytest.mark.linux
@pytest.mark.row("U-06")
def test_u06_receive_buffer_full(guest):
    """What does not fit in sk_rcvbuf is dropped and counted: received plus dropped is sent."""
    guest.resolve()  # deliver() counts what the driver takes
    sent = 600
    with guest.background("udphold 5600 5601", ready=r"holding \d+") as job:
        before = guest.snmp()["Udp"]
        frame = guest.frame(bytes(1000), dport=5600)
        for _ in range(0, sent, 50):  # never more than a ring has room for
            guest.deliver([frame] * 50)
        row = guest.udp_socket(5600)
        after = guest.snmp()["Udp"]
        assert row["drops"] > 0
        assert after["InErrors"] - before["InErrors"] == row["drops"]
        assert row["rx_queue"] <= 212992 + 4096
        with guest.udp(connect=5601) as go:
            go.send(b"go")
        found = job.wait_for(r"drained (\d+) (\d+) ")
        assert int(found.group(1)) + row["drops"] == sent
        assert int(found.group(2)) == 1000 * int(found.group(1))
        assert guest.udp_socket(5600)["rx_queue"] == 0


@pytest.mark.row("U-07")
def test_u07_two_levels(guest1):
    """recvfrom → inet_recvmsg (first level) → udp_recvmsg (second) → __skb_recv_datagram."""
    guest = guest1
    guest.resolve()
    server = guest.pids("udpecho")[0]
    with guest.trace("sys_* sock_recvmsg udp_recvmsg skb_* sched_sleep") as trace:
        for _ in range(2):
            guest.echo(b"levels")
            guest.asleep(server, "wait_for_more_packets")
    trace.order(("sys_enter", {"name": "recvfrom"}), ("sock_recvmsg", {"ops": "inet_recvmsg", "prot": "udp_recvmsg"}),
                "udp_recvmsg", ("sched_sleep", {"wchan": "wait_for_more_packets"}), "skb_recv_datagram", "skb_copy_datagram",
                ("sys_exit", {"name": "recvfrom"}))


@pytest.mark.linux
@pytest.mark.row("U-08", "K-01", "K-02", "T-01", "U-02")
def test_sockcheck(guest):
    """The socket calls' results and errors, judged by a program in the guest."""
    status, output = guest.status("sockcheck")
    assert status == 0 and "all ok" in output, "\n".join(line for line in output.splitlines() if not line.startswith("ok "))


@pytest.mark.linux
@pytest.mark.row("U-08", "U-10", "W-01")
def test_u08_u10_blocking(guest):
    """A blocked task sleeps, in state S, in wait_for_more_packets, and uses no CPU until a datagram comes."""
    guest.ping(1)
    with guest.background("udpwait 5700 1", ready=r"waiting (\d+)") as job:
        pid = int(job.found.group(1))
        guest.asleep(pid, "wait_for_more_packets")
        first = guest.task(pid)
        time.sleep(1)
        second = guest.task(pid)
        assert first["state"] == second["state"] == "S"
        assert second["wchan"].lstrip("_").endswith("wait_for_more_packets")
        assert (first["utime"], first["stime"], first["voluntary"]) == (second["utime"], second["stime"], second["voluntary"])
        if not guest.machine.nic == "igb":
            assert {row["pid"]: row for row in guest.debug_rows("sched/tasks")}[str(pid)]["on_rq"] == "0"
        with guest.udp(connect=5700) as sock:
            sock.send(b"wake up")
        job.wait_for(rf"got {pid} 7")
        until(lambda: guest.task(pid)["voluntary"] >= second["voluntary"] + 1, "it sleeps again")


@pytest.mark.row("U-09", "W-13", "W-18")
def test_u09_w13_exclusive_waiters(guest):
    """Four tasks wait on one UDP socket: exclusive entries at the tail; one datagram wakes exactly one."""
    guest.resolve()
    with guest.background("udpwait 5710 4", ready=r"waiting \d+") as job:
        def waiting():
            return sorted(int(pid) for pid in re.findall(r"waiting (\d+)\n", job.output()))

        until(lambda: len(waiting()) == 4, "all have started")  # before the dump, which their lines would fall into
        pids = waiting()
        sock = until(lambda: (row := guest.sockets(5710)[0])["wq_entries"] == "4" and row, "all wait")
        try:
            assert sock["wq_entries"] == "4" and len(sock["waits"]) == 4
            assert all(int(wait["flags"], 16) & 1 for wait in sock["waits"])
            assert sorted(int(wait["pid"]) for wait in sock["waits"]) == pids
            for expected in (sock["waits"][0]["pid"], sock["waits"][1]["pid"]):
                with guest.trace("wake_func sched_wakeup") as trace:
                    with guest.udp(connect=5710) as host:
                        host.send(b"one")
                    job.wait_for(rf"got {expected} 3")
                # One whose line must wait for the console is woken for that, too.
                woken = [record for record in trace.of("wake_func", func=sock["waits"][0]["func"]) if int(record["pid"]) in pids]
                assert [record["pid"] for record in woken] == [expected]
                assert woken[0]["woken"] == "1"
            until(lambda: len(guest.sockets(5710)[0]["waits"]) == 4, "all wait again")
        finally:
            guest.sh("kill -9 " + " ".join(map(str, pids)), check=False)
