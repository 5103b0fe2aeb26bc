# SPDX-License-Identifier: MIT
"""Rows K-01 to K-06 for UDP, and T-01: what a socket is made of."""

import pytest

from patience import steady, until


@pytest.mark.row("K-01")
def test_k01_creation_chain(guest1):
    """sock_create → __sock_create → sock_alloc → inet_create, found by family."""
    guest = guest1
    families = dict(line.split()[:2] for line in guest.debug("net/net_families").splitlines() if line.strip())
    assert families["2"] == "inet_create"
    with guest.trace("sock_create sys_*") as trace:
        guest.sh("udpsend 127.0.0.1 7 x")
    steps = [record["step"] for record in trace.of("sock_create", type=2)]
    assert steps[:4] == ["sock_create", "__sock_create", "sock_alloc", "inet_create"]
    trace.order(("sys_enter", {"name": "socket"}), ("sock_create", {"step": "inet_create"}), ("sys_exit", {"name": "socket"}))


@pytest.mark.row("K-02")
def test_k02_inetsw(guest):
    """inetsw gives ops and proto by type; sockets of both kinds carry theirs."""
    table = {row["type"]: row for row in guest.debug_rows("net/inetsw") if row["protocol"] in ("6", "17")}
    assert (table["2"]["ops"], table["2"]["prot"]) == ("inet_dgram_ops", "udp_prot")
    with guest.background("socks udp 1 5800", ready=r"open \d+"):
        sock = guest.sockets(5800)[0]
        assert (sock["ops"], sock["prot"]) == ("inet_dgram_ops", "udp_prot")


@pytest.mark.row("K-02")
def test_k02_stream(guest):
    """The same for SOCK_STREAM."""
    table = {row["type"]: row for row in guest.debug_rows("net/inetsw")}
    assert (table["1"]["ops"], table["1"]["prot"]) == ("inet_stream_ops", "tcp_prot")
    with guest.background("socks tcp 1 5801", ready=r"open \d+"):
        sock = guest.sockets(5801)[0]
        assert (sock["ops"], sock["prot"]) == ("inet_stream_ops", "tcp_prot")


@pytest.mark.row("K-03", "K-05")
def test_k03_k05_callbacks_and_graph(guest):
    """sock_init_data's callbacks; the pointers between file, socket and sock agree."""
    with guest.background("socks udp 2 5810", ready=r"open (\d+)") as job:
        for port in (5810, 5811):
            sock = guest.sockets(port)[0]
            assert sock["data_ready"] == "sock_def_readable"
            assert sock["state_change"] == "sock_def_wakeup"
            assert sock["write_space"] == "sock_def_write_space"
            assert sock["error_report"] == "sock_def_error_report"
            assert sock["socket_sk"] == sock["sk"]
            assert sock["sk_socket"] == sock["socket"] == sock["private_data"]
            assert sock["wq"] == sock["sk_wq"] != "-"
            assert sock["file"] != "-" and sock["pid"] == job.found.group(1)
            assert (sock["rcvbuf"], sock["sndbuf"]) == ("212992", "212992")


@pytest.mark.row("K-04")
def test_k04_objects_of_one_handle(guest):
    """One socket() is a file, a dentry, a socket inode and a sock; close() gives them back."""
    count = 50
    caches = ("filp", "dentry", "sock_inode_cache", "UDP")

    def objects():
        slabs = guest.slabs()
        return {name: slabs[name] for name in caches}

    guest.freed()  # what earlier tests closed
    before = steady(objects, "memory")
    with guest.background(f"socks udp {count} 20000", ready=r"open \d+"):
        opened = steady(objects, "memory")
    guest.freed()
    closed = steady(objects, "memory")
    for name in caches:
        grown = opened[name] - before[name]
        # The program itself costs a few files and names, the same number whatever it opens.
        assert count <= grown <= count + (0 if name in ("UDP", "sock_inode_cache") else 16), (name, grown)
        assert closed[name] <= before[name] + 2, (name, before[name], closed[name])


@pytest.mark.row("K-06")
def test_k06_hash_table(guest):
    """Sockets are found in a hash table with chains: lengths sum up, a lookup looks at about one entry however many there are."""
    guest.resolve()

    def state():
        rows = guest.debug_rows("net/udp_table")
        return rows[0], [row for row in rows[1:] if "slot" in row]

    head, chains = state()
    base = int(head["sockets"])
    costs = {}
    for count in (1, 200):
        with guest.background(f"socks udp {count} 21000", ready=r"open \d+"):
            head, chains = state()
            assert int(head["sockets"]) == base + count == sum(int(chain["len"]) for chain in chains)
            assert all(int(chain["len"]) == len(chain["ports"].split(",")) for chain in chains)
            for number in range(20):
                guest.echo(b"%d" % number)
            after, _ = state()
            lookups = int(after["lookups"]) - int(head["lookups"])
            assert lookups >= 20
            costs[count] = (int(after["examined"]) - int(head["examined"])) / lookups
    assert costs[200] <= costs[1] + 3, costs
    assert int(state()[0]["sockets"]) == base


@pytest.mark.row("T-01")
def test_t01_send_is_sendto(guest1):
    """send and sendto reach sock_sendmsg with the socket and the message; then inet_sendmsg, udp_sendmsg."""
    guest = guest1
    with guest.trace("sys_* sock_sendmsg udp_sendmsg skb_copy_from_user net_dev_queue") as trace:
        guest.sh("udpsend 127.0.0.1 7 hello")
    trace.order(("sys_enter", {"name": "sendto"}), ("sock_sendmsg", {"ops": "inet_sendmsg", "prot": "udp_sendmsg", "size": 5}),
                ("udp_sendmsg", {"len": 5}), ("skb_copy_from_user", {"len": 5}), "net_dev_queue",
                ("sys_exit", {"name": "sendto", "ret": 5}))


@pytest.mark.linux
def test_unix_program(guest):
    """AF_UNIX, judged by a program in the guest that says the same on Linux."""
    status, output = guest.status("unixsock /tmp/unixsock")
    assert status == 0 and "all ok" in output, "\n".join(x for x in output.splitlines() if x.startswith("FAIL")) or output


def test_unix_program_debug(debug_guest):
    """The same under the kernel's own checks; no socket is left, even those that only held each other."""
    status, output = debug_guest.status("unixsock /tmp/unixsock")
    assert status == 0 and "all ok" in output, "\n".join(x for x in output.splitlines() if x.startswith("FAIL")) or output
    until(lambda: len(debug_guest.cat("/proc/net/unix").strip().splitlines()) == 1, "no socket is left")
