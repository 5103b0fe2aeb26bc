# SPDX-License-Identifier: MIT
"""Netlink, packet sockets and their users: Debian's ip and tcpdump in the guest, and programs that ask without tools."""

import re
import socket

import pytest

import debian_tools
from patience import PATIENCE, until


def failed_lines(output):
    return "\n".join(line for line in output.splitlines() if line.startswith("FAIL")) or output


@pytest.mark.linux
def test_netlink_program(guest):
    """Dumps of many parts, errors, groups."""
    status, output = guest.status("nltest")
    assert status == 0 and "all ok" in output, failed_lines(output)


def test_netlink_program_debug(debug_guest):
    """The same under the kernel's own checks."""
    status, output = debug_guest.status("nltest")
    assert status == 0 and "all ok" in output, failed_lines(output)


@pytest.mark.linux
def test_packet_program(guest):
    """Taps, filters, the mapped ring."""
    status, output = guest.status("packets")
    assert status == 0 and "all ok" in output, failed_lines(output)


def test_packet_program_debug(debug_guest):
    """The same under the kernel's own checks."""
    status, output = debug_guest.status("packets")
    assert status == 0 and "all ok" in output, failed_lines(output)


@pytest.fixture(scope="module")
def tools(guests, tmp_path_factory):
    """A guest with Debian's network tools, under the kernel's own checks."""
    programs = ["/usr/sbin/ip", "/usr/bin/ss", "/usr/bin/tcpdump"]
    initrd = debian_tools.initramfs(tmp_path_factory.mktemp("debian"), programs)
    guest = guests.boot(smp=2, debug=True, initrd=initrd, memory="512M")
    yield guest
    trouble = guest.console.trouble()
    guest.close()
    assert not trouble, trouble


def test_ip_shows(tools):
    """What a fresh guest has."""
    links = tools.sh("/deb/ip -o link")
    assert re.search(r"^1: lo: <LOOPBACK,UP,LOWER_UP> mtu 65536 qdisc noqueue state UNKNOWN", links, re.M)
    assert re.search(rf"^2: eth0: <BROADCAST,MULTICAST,UP,LOWER_UP> mtu 1500 .* state UP .*link/ether {tools.mac}", links, re.M)
    addresses = tools.sh("/deb/ip -o -4 addr show")
    assert "1: lo    inet 127.0.0.1/8 scope host lo" in addresses
    assert f"2: eth0    inet {tools.ip}/24 brd" in addresses and "valid_lft forever" in addresses
    assert f"default via {tools.host_ip} dev eth0" in tools.sh("/deb/ip route")
    assert f"local {tools.ip} dev eth0 proto kernel scope host src {tools.ip}" in tools.sh("/deb/ip route show table local")
    assert f"192.0.2.1 via {tools.host_ip} dev eth0 src {tools.ip}" in tools.sh("/deb/ip route get 192.0.2.1")
    assert tools.sh("/deb/ip rule").split() == "0: from all lookup local 32766: from all lookup main 32767: from all lookup default".split()


def test_ip_changes_addresses(tools):
    """Addresses come and go with their routes; a second time is an error."""
    tools.sh("/deb/ip addr add 10.77.0.1/24 brd + dev eth0 label eth0:x")
    assert "inet 10.77.0.1/24 brd 10.77.0.255 scope global eth0:x" in tools.sh("/deb/ip addr show dev eth0")
    status, output = tools.status("/deb/ip addr add 10.77.0.1/24 dev eth0")
    assert status == 2 and "File exists" in output
    tools.sh("/deb/ip addr add 10.77.0.2/24 dev eth0")
    assert "10.77.0.2/24 scope global secondary eth0" in tools.sh("/deb/ip addr show dev eth0")
    assert "10.77.0.0/24 dev eth0 proto kernel scope link src 10.77.0.1" in tools.sh("/deb/ip route")
    tools.sh("/deb/ip addr flush to 10.77.0.0/16")
    assert "10.77" not in tools.sh("/deb/ip addr") + tools.sh("/deb/ip route")


def test_ip_changes_routes(tools):
    """add, replace, del, and the kernel's refusals."""
    gateway = tools.host_ip
    tools.sh(f"/deb/ip route add 10.88.0.0/16 via {gateway} metric 5 mtu 1300")
    assert f"10.88.0.0/16 via {gateway} dev eth0 metric 5 mtu 1300" in tools.sh("/deb/ip route")
    status, output = tools.status(f"/deb/ip route add 10.88.0.0/16 via {gateway} metric 5")
    assert status == 2 and "File exists" in output
    tools.sh("/deb/ip route replace unreachable 10.88.0.0/16 metric 5")
    assert "unreachable 10.88.0.0/16" in tools.sh("/deb/ip route")
    status, output = tools.status("/deb/ip route get 10.88.1.1")
    assert status == 2 and "No route to host" in output
    tools.sh("/deb/ip route del 10.88.0.0/16 metric 5")
    status, output = tools.status("/deb/ip route del 10.88.0.0/16")
    assert status == 2 and "No such process" in output
    status, output = tools.status("/deb/ip route add 10.89.0.0/16 via 172.31.0.1")
    assert status == 2 and "Network is unreachable" in output


def test_ip_changes_neighbours(tools):
    """Permanent entries, learned ones, deletion."""
    tools.sh("/deb/ip neigh add 10.9.200.9 lladdr 02:00:00:00:00:01 dev eth0 nud permanent")
    assert "10.9.200.9 dev eth0 lladdr 02:00:00:00:00:01 PERMANENT" in tools.sh("/deb/ip neigh")
    status, output = tools.status("/deb/ip neigh add 10.9.200.9 lladdr 02:00:00:00:00:02 dev eth0")
    assert status == 2 and "File exists" in output
    tools.sh("/deb/ip neigh replace 10.9.200.9 lladdr 02:00:00:00:00:02 dev eth0 nud permanent")
    assert "02:00:00:00:00:02 PERMANENT" in tools.sh("/deb/ip neigh")
    tools.sh("/deb/ip neigh del 10.9.200.9 dev eth0")
    assert "02:00:00:00:00:02" not in tools.sh("/deb/ip neigh")
    assert tools.ping(1)
    assert re.search(rf"{tools.host_ip} dev eth0 lladdr {tools.host_mac} (REACHABLE|STALE|DELAY|PROBE)", tools.sh("/deb/ip neigh"))


def test_ip_changes_links(tools):
    """MTU, queue length, down and up; kinds of links that do not exist."""
    tools.sh("/deb/ip link set eth0 mtu 1400 txqueuelen 500")
    assert re.search(r"mtu 1400 .*qlen 500", tools.sh("/deb/ip link show eth0"))
    tools.sh("/deb/ip link set eth0 mtu 1500 txqueuelen 1000")
    tools.answers()  # a new MTU takes the link down for a while
    status, output = tools.status("/deb/ip link set eth0 mtu 10")
    assert status == 2 and "Invalid argument" in output
    status, output = tools.status("/deb/ip link del eth0")
    assert status == 2 and "not supported" in output
    tools.sh("/deb/ip link set lo down")
    assert "state DOWN" in tools.sh("/deb/ip link show lo")
    tools.sh("/deb/ip link set lo up")
    counters = tools.sh("/deb/ip -s link show eth0").split("RX:")[1].split()
    assert int(counters[6]) > 0 and int(counters[7]) > 0  # bytes and packets received


def test_ip_monitor(tools):
    """Groups: what changes is told to those who listen."""
    with tools.background("/deb/ip -t monitor address route > /tmp/monitor"):
        until(lambda: re.search(r" [0-9a-f]{6}50 ", tools.cat("/proc/net/netlink")), "it listens to the groups")  # 0x10 and 0x40
        tools.sh("/deb/ip addr add 10.78.0.1/24 dev eth0")
        tools.sh("/deb/ip addr del 10.78.0.1/24 dev eth0")
        for told in (r"inet 10.78.0.1/24 scope global eth0", r"Deleted .*inet 10.78.0.1/24",
                     r"10.78.0.0/24 dev eth0 proto kernel scope link src 10.78.0.1"):
            until(lambda told=told: re.search(told, tools.cat("/tmp/monitor")), f"the monitor tells of {told}")


def test_tcpdump(tools):
    """Debian's tcpdump captures by filter what comes and goes; the interface is promiscuous meanwhile."""
    with tools.background("/deb/tcpdump -Z root -n -e -c 2 -i eth0 icmp", ready="listening on eth0") as job:
        assert tools.ping(1)
        job.wait_for(r"2 packets captured")
        text = job.output()
    assert re.search(rf"{tools.host_mac} > {tools.mac}, ethertype IPv4 .*: {tools.host_ip} > {tools.ip}: ICMP echo request", text)
    assert re.search(rf"{tools.mac} > {tools.host_mac}, ethertype IPv4 .*: {tools.ip} > {tools.host_ip}: ICMP echo reply", text)


def says(tools, line, pattern):
    """Run a line until its output matches; the match."""
    return until(lambda: re.search(pattern, tools.sh(line), re.M), lambda: f"{pattern} in what {line} says: {tools.sh(line)}")


def test_ss_tcp(tools):
    """Debian's ss lists connections over netlink, with what /proc/net does not tell; the addresses and inodes are those of /proc/net."""
    with tools.background("tcppeer echo 4001 5", ready="listening 4001") as job:
        with socket.create_connection((tools.ip, 4001), timeout=PATIENCE) as peer:
            peer.sendall(b"x")
            assert peer.recv(1) == b"x"
            owner = rf'users:\(\("tcppeer",pid={job.pid},fd=\d+\)\)'
            listens = says(tools, "/deb/ss -tanopeim", rf"^LISTEN +0 +5 +0\.0\.0\.0:4001 +0\.0\.0\.0:\* +{owner} .*ino:(\d+)")
            there = rf"^ESTAB +0 +0 +{tools.ip}:4001 +{tools.host_ip}:{peer.getsockname()[1]} +{owner} .*ino:(\d+).*\n"
            there += r"\s+skmem:\(r0,rb\d+,t0,tb\d+,f\d+,w0,o0,bl0.* cubic .*wscale:\d+,\d+ rto:\d+"
            connected = says(tools, "/deb/ss -tanopeim", there)
            inodes = {row.split()[9] for row in tools.cat("/proc/net/tcp").splitlines()[1:]}
            assert {listens.group(1), connected.group(1)} <= inodes
            says(tools, "/deb/ss -s", r"^TCP: +\d+ \(estab 1,")
            assert "4001" not in tools.sh("/deb/ss -tan state established sport = 5")
        tools.sh("/bin/busybox nc 127.0.0.1 4001 < /dev/null")
        says(tools, "/deb/ss -tano state time-wait", r"127\.0\.0\.1:\d+ +127\.0\.0\.1:4001 +timer:\(timewait,")


def test_ss_udp(tools):
    """A dump of more packets than one."""
    before = len(tools.udp_sockets())
    with tools.background("socks udp 150 20000", ready=r"open \d+"):
        lines = tools.sh("/deb/ss -uanH").splitlines()
        assert any(re.match(r"UNCONN +0 +0 +0\.0\.0\.0:7 +0\.0\.0\.0:\*", line) for line in lines)
        assert len(lines) == len(tools.udp_sockets()) == before + 150


def test_ss_unix(tools):
    """Names, peers and queues of AF_UNIX sockets."""
    with tools.background("/bin/busybox syslogd -n -O /tmp/messages"):
        inode = says(tools, "/deb/ss -xan", r"^u_dgr +UNCONN +0 +0 +/dev/log (\d+) +\* 0").group(1)
        assert re.search(rf" {inode} /dev/log$", tools.cat("/proc/net/unix"), re.M)
