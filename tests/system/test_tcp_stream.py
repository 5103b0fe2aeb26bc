# SPDX-License-Identifier: MIT
"""TCP as programs see it: the stream, blocking, buffers, options, limits, heartbeats."""

import signal
import socket

import pytest
from scapy.all import TCP, Ether

from patience import PATIENCE, until


@pytest.mark.linux
@pytest.mark.row("W-07", "W-21", "T-02", "X-08", "X-10", "N-01", "N-02", "H-05", "Z-02", "A-03")
def test_a_program_judges(guest):
    """tcpcheck's verdicts, most of them in the names of rows."""
    output = guest.sh("tcpcheck", 2 * PATIENCE)
    assert "all ok" in output, output


@pytest.mark.linux
@pytest.mark.row("A-04", "A-05")
def test_a_stopped_program_is_found_by_its_own_heartbeat(guest):
    """The program is stopped: its kernel still answers keepalive, so the connection lives; only a heartbeat of the programs' own tells."""
    with guest.background("tcppeer echo 6400", ready=r"listening 6400") as job, \
            socket.create_connection((guest.ip, 6400), PATIENCE) as sock:
        sock.sendall(b"beat")
        assert sock.recv(10) == b"beat"
        guest.sh(f"kill -{signal.SIGSTOP.value} {job.pid}")
        for option, value in ((socket.TCP_KEEPIDLE, 1), (socket.TCP_KEEPINTVL, 1), (socket.TCP_KEEPCNT, 60)):
            sock.setsockopt(socket.IPPROTO_TCP, option, value)
        since = guest.wire_position()

        def answers():
            return [frame[TCP] for frame in map(Ether, guest.wire(since, to_guest=False)) if TCP in frame and frame[TCP].sport == 6400]

        sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        until(lambda: len([answer for answer in answers() if answer.flags == "A"]) >= 3, "keepalive is answered")
        assert not [answer for answer in answers() if set(str(answer.flags)) & set("SFR")]
        sock.sendall(b"beat")
        sock.settimeout(1)
        with pytest.raises(TimeoutError):
            sock.recv(10)
        guest.sh(f"kill -{signal.SIGCONT.value} {job.pid}")
        sock.settimeout(PATIENCE)
        assert sock.recv(10) == b"beat"


def in_use(guest, wanted):
    """Bytes in use of those slab caches: {name: bytes}."""
    sizes = {}
    for line in guest.cat("/proc/slabinfo").splitlines():
        words = line.split()
        if words and words[0] in wanted:
            sizes[words[0]] = int(words[1]) * int(words[3])
    return sizes


@pytest.mark.row("Y-03", "Y-04", "Y-05", "Y-06")
def test_memory_by_state(guest):
    """Objects of 100 connections: all of them while they are established, a small stand-in each in TIME_WAIT."""
    caches = ("TCP", "sock_inode_cache", "filp", "dentry", "tw_sock_TCP", "request_sock_TCP")
    assert "Normal" in guest.cat("/proc/buddyinfo") or "DMA" in guest.cat("/proc/buddyinfo")
    count = 100
    until(lambda: not in_use(guest, ("tw_sock_TCP",))["tw_sock_TCP"], "TIME_WAIT of earlier tests ends")

    def settle(name, wanted):
        """The bytes per connection once cache `name` has grown by so many."""
        now = until(lambda: abs((found := in_use(guest, caches))[name] - before[name] - wanted) < count // 10 * size[name] and found,
                    f"{name} grows by {wanted} from {before[name]}")
        return {cache: (now[cache] - before[cache]) / count for cache in caches}

    with guest.background("tcppeer hold 6401 128", ready=r"listening 6401") as job:
        size = {line.split()[0]: int(line.split()[3]) for line in guest.cat("/proc/slabinfo").splitlines()
                if line.split()[0] in caches}
        before = in_use(guest, caches)
        socks = [socket.create_connection((guest.ip, 6401), PATIENCE) for _ in range(count)]
        job.wait_for(r"held 100\b")
        established = settle("TCP", count * size["TCP"])
    # The program is gone: its ends were closed first, so they wait in the guest when the host closes too.
    for sock in socks:
        sock.close()
    waiting = settle("tw_sock_TCP", count * size["tw_sock_TCP"])
    print(f"per connection: established {established}, TIME_WAIT {waiting}; "
          f"30,000 in TIME_WAIT: {30000 * size['tw_sock_TCP'] >> 10} KiB")
    assert size["tw_sock_TCP"] <= 256 and sum(established.values()) <= 2048
    settle("TCP", 0)  # the sockets are freed after a grace period
