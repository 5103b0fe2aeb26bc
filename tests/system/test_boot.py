# SPDX-License-Identifier: MIT
"""Rows B-01 to B-17: what exists before the first packet arrives."""

import random
import re

import pytest
from scapy.all import ICMP, IP, UDP, Ether, Raw

from patience import until

LEVELS = ["early", "pure", "core", "postcore", "arch", "subsys", "fs", "device", "late"]

# docs/linux310-atlas.md §1
CONSTANTS = {
    "netdev_budget": 300, "dev_weight": 64, "netdev_max_backlog": 1000, "softirq_restart_max": 10, "softirq_time_ms": 2,
    "igb_default_rxd": 256, "igb_default_txd": 256, "igb_min_rxd": 80, "igb_max_rxd": 4096, "igb_rx_buffer_write": 16,
    "rmem_default": 212992, "wmem_default": 212992, "rmem_max": 212992, "wmem_max": 212992, "lo_mtu": 65536,
    "eth_tx_queue_len": 1000, "arp_retrans_ms": 1000, "arp_ucast_probes": 3, "arp_mcast_probes": 3,
    "arp_reachable_ms": 30000, "arp_delay_ms": 5000, "arp_unres_qlen_bytes": 65536, "local_port_min": 32768,
    "local_port_max": 61000,
}


@pytest.mark.row("B-01")
def test_b01_reference_version(guest):
    """The banner names Linux 3.10.0 and what is different; the constants are the atlas's."""
    assert re.search(r"Softnet \S+.*reference: Linux 3\.10\.0", guest.boot_log)
    logged = re.findall(r"deviation: (.+)$", guest.boot_log, re.M)
    listed = [line for line in guest.debug("deviations").splitlines() if line.strip()]
    assert logged and len(logged) == len(listed)
    values = dict(line.split()[:2] for line in guest.debug("constants").splitlines() if line.strip())
    assert {name: int(values.get(name, -1)) for name in CONSTANTS} == CONSTANTS


@pytest.mark.row("B-02")
def test_b02_ksoftirqd_sleeps(guest):
    """ksoftirqd/N is bound to CPU N and sleeps when idle."""
    tasks = {row["comm"]: row for row in guest.debug_rows("sched/tasks")}
    for cpu in range(2):
        task = tasks[f"ksoftirqd/{cpu}"]
        assert int(task["cpus_allowed"], 16) == 1 << cpu and task["cpu"] == str(cpu)
        until(lambda task=task: guest.task(int(task["pid"]))["state"] == "S", f"ksoftirqd/{cpu} sleeps")


@pytest.mark.row("B-02")
def test_b02_ksoftirqd_under_load(debug_guest1):
    """When polls take longer than a softirq may, ksoftirqd takes over: it is switched in and does the work."""
    guest = debug_guest1
    guest.resolve()
    pid = guest.pids("ksoftirqd/0")[0]
    frames = [bytes(Ether(dst=guest.mac, src=guest.host_mac, type=0x88b5) / bytes(50))] * 500

    def arrived():
        device = guest.netdev()
        return device["rx_packets"] + device["rx_fifo"]

    def takes_over():
        before, wanted = guest.task(pid)["voluntary"], arrived() + len(frames)
        with guest.trace("ksoftirqd_run napi_poll") as trace:
            with guest.frozen():  # all of them are there at once
                guest.send_frames(frames)
            until(lambda: arrived() >= wanted, "all frames are taken or counted as missed")
        polled = any(record["ctx"] == "ksoftirqd" for record in trace.of("napi_poll"))
        return polled and guest.task(pid)["voluntary"] > before and trace  # it has run, and has gone to sleep again

    guest.hook("slow_poll eth0 3000")
    try:
        trace = until(takes_over, "ksoftirqd polls")
    finally:
        guest.hook("slow_poll eth0 0")
    assert trace.of("ksoftirqd_run")
    polls = [record for record in trace.of("napi_poll") if record["ctx"] == "ksoftirqd"]
    assert polls and all(record["task"] == pid for record in polls)


@pytest.mark.row("B-03")
@pytest.mark.parametrize("cpus", [1, 2, 4])
def test_b03_one_ksoftirqd_per_cpu(guests, cpus):
    """N CPUs, N threads."""
    guest = guests.get(smp=cpus)
    names = sorted(line.split()[-1] for line in guest.sh("ps").splitlines() if "ksoftirqd/" in line)
    assert names == [f"ksoftirqd/{cpu}" for cpu in range(cpus)]


@pytest.mark.row("B-04", "B-05")
def test_b04_b05_initcall_order(guest):
    """Levels run in order, ksoftirqd before net core before protocols before drivers; the log says the same."""
    calls = guest.debug_rows("initcalls")
    levels = [LEVELS.index(call["level"]) for call in calls]
    assert levels == sorted(levels)
    names = [call["name"] for call in calls]
    wanted = ["spawn_ksoftirqd", "net_dev_init", "inet_init", "igb_init_module"]
    positions = [names.index(name) for name in wanted]
    assert positions == sorted(positions)
    assert [calls[at]["level"] for at in positions] == ["early", "subsys", "fs", "device"]
    logged = re.findall(r"initcall (\w+) (\w+) returned (-?\d+) after \d+ usecs", guest.boot_log)
    assert [(level, name) for level, name, _ in logged] == [(call["level"], call["name"]) for call in calls]
    assert all(result == "0" for *_, result in logged)


@pytest.mark.row("B-06")
def test_b06_softnet_data(guests):
    """One softnet_data per CPU, all zero after boot."""
    guest = guests.boot(smp=2)
    try:
        lines = guest.softnet()
        assert len(lines) == 2 and all(not any(columns) for columns in lines), lines
        for cpu, row in enumerate(guest.debug_rows("net/softnet_data")):
            assert row["cpu"] == str(cpu) and row["backlog_poll"] == "process_backlog" and row["backlog_weight"] == "64"
            for name in ("input_pkt_queue", "process_queue", "poll_list", "output_queue", "completion_queue"):
                assert row[name] == "0"
    finally:
        guest.close()


@pytest.mark.row("B-07")
def test_b07_softirq_vectors(guest):
    """Vector numbers, names and actions; /proc/softirqs has a column per CPU."""
    rows = [line.split() for line in guest.debug("net/softirq_vec").splitlines() if line.strip()]
    assert [row[1] for row in rows] == ["HI", "TIMER", "NET_TX", "NET_RX", "BLOCK", "BLOCK_IOPOLL", "TASKLET", "SCHED",
                                        "HRTIMER", "RCU"]
    assert [int(row[0]) for row in rows] == list(range(10))
    assert rows[2][2] == "net_tx_action" and rows[3][2] == "net_rx_action"
    table = guest.softirqs()
    assert list(table) == [row[1] for row in rows]
    assert all(len(counts) == 2 for counts in table.values())


@pytest.mark.row("B-08", "B-09")
def test_b08_b09_protocol_tables(guest):
    """ptype_base and inet_protos hold the handlers; an unknown protocol is answered with ICMP protocol unreachable."""
    types = {row["type"]: row for row in guest.debug_rows("net/ptype") if row["list"] == "base"}
    assert types["0x0800"]["func"] == "ip_rcv" and types["0x0800"]["bucket"] == str(0x0800 & 15)
    assert types["0x0806"]["func"] == "arp_rcv" and types["0x0806"]["bucket"] == str(0x0806 & 15)
    protos = dict(line.split()[:2] for line in guest.debug("net/inet_protos").splitlines() if line.strip())
    assert protos["1"] == "icmp_rcv" and protos["17"] == "udp_rcv"
    guest.resolve()
    before = guest.snmp()["Ip"]["InUnknownProtos"]
    answers = guest.exchange([Ether(dst=guest.mac, src=guest.host_mac)
                              / IP(src=guest.host_ip, dst=guest.ip, proto=200) / Raw(b"unknown")], 1)
    errors = [packet[ICMP] for packet in answers if ICMP in packet]
    assert [(error.type, error.code) for error in errors] == [(3, 2)]
    assert guest.snmp()["Ip"]["InUnknownProtos"] == before + 1


@pytest.mark.row("B-08")
def test_b08_tcp_is_registered(guest):
    """inet_protos has TCP's handler."""
    protos = dict(line.split()[:2] for line in guest.debug("net/inet_protos").splitlines() if line.strip())
    assert protos.get("6") == "tcp_v4_rcv"


@pytest.mark.row("B-09")
def test_b09_taking_udp_out(debug_guest):
    """Without its inet_protos entry UDP is an unknown protocol."""
    guest = debug_guest
    guest.resolve()
    guest.hook("unregister_proto 17")
    try:
        answers = guest.exchange([guest.frame(b"x")], 1)
        assert [(p[ICMP].type, p[ICMP].code) for p in answers if ICMP in p] == [(3, 2)]
    finally:
        guest.hook("register_proto 17")
    assert guest.echo(b"back") == b"back"


@pytest.mark.row("B-10")
def test_b10_driver_registration(guests):
    """The driver is registered, matched by vendor and device id, and probed once per NIC."""
    guest = guests.boot(smp=1, extra=("-netdev", "user,id=n1,restrict=on", "-device", "igb-lite,netdev=n1,mac=52:54:00:12:34:57"))
    try:
        log = guest.boot_log
        registered = log.index("pci: driver igb registered")
        probes = [found.start() for found in re.finditer(r"igb \S+: probing device 8086:10c9", log)]
        assert len(probes) == 2 and len(set(re.findall(r"igb (\S+): probing device", log))) == 2
        assert registered >= 0
        macs = {row["addr"] for row in guest.debug_rows("net/netdev") if row.get("driver") == "igb"}
        assert macs == {"52:54:00:12:34:56", "52:54:00:12:34:57"}
    finally:
        guest.close()


@pytest.mark.row("B-11")
def test_b11_probe_result(guests):
    """After the probe: MAC read, not yet open, a NAPI context with igb_poll and weight 64 per queue."""
    guest = guests.boot(smp=2, extra=("-netdev", "user,id=n1,restrict=on", "-device", "igb-lite,netdev=n1,mac=52:54:00:12:34:57"))
    try:
        rows = guest.debug_rows("net/netdev")
        heads = {row["_"][0]: at for at, row in enumerate(rows) if "state" in row and not row["indent"]}
        closed = rows[heads["eth1"]]
        assert closed["addr"] == "52:54:00:12:34:57" and closed["state"] == "DOWN"
        assert closed["netdev_ops"] == "igb_netdev_ops"
        napis = []
        for row in rows[heads["eth1"] + 1:]:
            if not row["indent"]:
                break
            if "napi" in row:
                napis.append(row)
        assert len(napis) == 2
        assert all(row["poll"] == "igb_poll" and row["weight"] == "64" for row in napis)
    finally:
        guest.close()


@pytest.mark.row("B-12", "B-17")
def test_b12_open_through_ops(guest):
    """Devices with different ops are opened and closed by the same call; the same protocols run over both."""
    ops = {row["_"][0]: row for row in guest.debug_rows("net/netdev") if "state" in row and not row["indent"]}
    assert ops["eth0"]["open"] == "igb_open" and ops["eth0"]["start_xmit"] == "igb_xmit_frame"
    assert ops["lo"]["start_xmit"] == "loopback_xmit" and ops["lo"]["netdev_ops"] != ops["eth0"]["netdev_ops"]
    for device in ("eth0", "lo"):
        guest.sh(f"ip {device} down")
        states = {row["_"][0]: row["state"] for row in guest.debug_rows("net/netdev") if "state" in row and not row["indent"]}
        assert states[device] == "DOWN"
        guest.up(device)
        states = {row["_"][0]: row["state"] for row in guest.debug_rows("net/netdev") if "state" in row and not row["indent"]}
        assert states[device] == "UP"
    assert guest.sh("udpsend 127.0.0.1 7 over-lo").strip().endswith("over-lo")
    assert guest.sh(f"udpsend {guest.ip} 7 over-own-address").strip().endswith("over-own-address")
    assert guest.ping(1) == 1
    assert guest.echo(b"over eth0") == b"over eth0"


@pytest.mark.row("B-13")
def test_b13_open_order(guests):
    """Rings, buffers, interrupts, NAPI, transmit queues, in this order; the tail is count-1 and the vectors are listed."""
    guest = guests.boot(smp=2, append="loglevel=8")
    try:
        steps = ["rings allocated", "receive buffers posted", "interrupts requested", "NAPI enabled, interrupts unmasked",
                 "transmit queues started"]
        positions = [guest.boot_log.index(f"open: {step}") for step in steps]
        assert positions == sorted(positions)
        rings = [row for row in guest.debug_rows("net/rings") if row["_"][:2] == ["eth0", "rx"]]
        assert len(rings) == 2
        assert all(int(ring["tail"]) == int(ring["count"]) - 1 == int(ring["ntu"]) for ring in rings)
        names = list(guest.interrupts())
        assert {"eth0", "eth0-TxRx-0", "eth0-TxRx-1"} <= set(names)
    finally:
        guest.close()


@pytest.mark.row("B-14")
def test_b14_ring_arrays(guest):
    """256 descriptors by default, 80 to 4096 allowed; two arrays a ring, the descriptors' rounded to 4 KiB."""
    text = guest.sh("ethtool -g eth0")
    sizes = {name: int(value) for name, value in re.findall(r"^([\w ]+): (\d+)$", text, re.M)}
    assert sizes == {"max rx": 4096, "max tx": 4096, "rx": 256, "tx": 256}
    for ring in guest.debug_rows("net/rings"):
        if "desc" in ring:
            assert int(ring["desc_bytes"]) == 4096 and int(ring["desc_dma"], 16) % 4096 == 0
            assert ring["desc"] != ring["info"] and int(ring["info_bytes"]) > 0
    for wanted, got in ((1, 80), (100000, 4096), (512, 512)):
        guest.sh(f"ethtool -G eth0 rx {wanted}")
        assert f"rx: {got}" in guest.sh("ethtool -g eth0").splitlines()
        guest.answers()  # the link comes up again
        counts = {ring["count"] for ring in guest.debug_rows("net/rings") if ring["_"][:2] == ["eth0", "rx"]}
        assert counts == {str(got)}
    guest.sh("ethtool -G eth0 rx 256")
    guest.answers()


@pytest.mark.row("B-15")
def test_b15_arrays_agree(guest):
    """Descriptor i and buffer_info i have the same DMA address."""
    guest.resolve()  # and no frame comes while they are read
    compared = 0
    ring = None
    for row in guest.debug_rows("net/rings"):
        if not row["indent"]:
            ring = row["_"]
        elif ring[1] == "rx":
            compared += 1
            assert row["addr"] == row["info_dma"]
    assert compared >= 2 * 255


@pytest.mark.row("B-16")
@pytest.mark.parametrize("nic", ["igb-lite", "igb"])
def test_b16_vector_per_queue(guests, nic):
    """A vector per queue pair, and one for other causes; flows raise counters on different vectors."""
    guest = guests.get(smp=4, nic=nic)
    guest.resolve()
    queues = [name for name in guest.interrupts() if re.fullmatch(r"eth0-TxRx-\d", name)]
    assert sorted(queues) == [f"eth0-TxRx-{n}" for n in range(4)]
    before = guest.interrupts()
    # The hash covers addresses (and ports for TCP only, as Linux sets it up): flows of many hosts; the bad checksum keeps them quiet.
    # From all over, not one after the other: the hash is linear, and its random key may map a few bits to two queues only.
    chance = random.Random(16)
    hosts = [f"10.{chance.randrange(100, 200)}.{chance.randrange(256)}.{chance.randrange(1, 255)}" for _ in range(64)]
    guest.send_frames([Ether(dst=guest.mac, src=guest.host_mac) / IP(src=host, dst=guest.ip) / UDP(dport=7, chksum=1) / b"flow"
                       for host in hosts], gap=0.005)

    def moved():
        after = guest.interrupts()
        return [name for name in queues if sum(after[name]) > sum(before[name])]

    until(lambda: moved() == queues, lambda: f"all of {queues} move, not only {moved()}")
