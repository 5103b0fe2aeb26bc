# SPDX-License-Identifier: MIT
"""What strangers take the guest for: p0f listens to its handshakes, nmap asks its stack questions. Both know Linux 3.10."""

import re
import subprocess
import xml.etree.ElementTree as xml

import pytest
from scapy.all import wrpcap
from test_tcp_connections import dial, serving


def p0f(packets, path):
    """p0f's verdicts on a capture: {(address, what it saw): system}."""
    wrpcap(str(path), packets)
    text = subprocess.run(["p0f", "-f", "/etc/p0f/p0f.fp", "-r", str(path)], capture_output=True, text=True, check=True).stdout
    verdicts = {}
    for kind, block in re.findall(r"\((syn|syn\+ack)\) \]-\n(.*?)\n`----", text, re.S):
        found = re.search(r"\| (?:client|server) += (\S+)/\d+\n.*?\| os += (.*?)\n", block, re.S)
        side = re.search(r"\| (client|server) ", block).group(1)
        assert (side == "client") == (kind == "syn")
        verdicts[found.group(1), kind] = found.group(2).strip()
    return verdicts


@pytest.mark.row("C-04", "H-01")
def test_p0f_hears_linux_3(guest, tmp_path):
    """SYN: TTL 64, ten segments of window, options in 3.10's order, an identification; SYN-ACK alike."""
    with guest.sniff(only_guest=False) as packets, serving(guest) as server:
        with guest.background(f"tcppeer connect {guest.host_ip} {server.getsockname()[1]}", ready=r"connected (\d+)"):
            server.accept()[0].close()
        with guest.background("tcppeer echo 6190", ready=r"listening 6190"):
            dial(guest, 6190).close()
    verdicts = p0f(packets, tmp_path / "handshakes.pcap")
    assert verdicts[guest.ip, "syn"] == "Linux 3.1-3.10"
    assert verdicts[guest.ip, "syn+ack"].startswith("Linux 3")


def test_nmap_guesses_linux_3(guest):
    """Answers to odd segments, to UDP at a closed port and to ICMP; sequence numbers, identifications, timestamps."""
    def best_guesses():
        report = subprocess.run(["nmap", "-n", "-Pn", "-O", "-p", "6191,6192", "-oX", "-", guest.ip],
                                capture_output=True, text=True, check=True, timeout=300).stdout
        guesses = {match.get("name"): int(match.get("accuracy")) for match in xml.fromstring(report).iter("osmatch")}
        return [name for name, accuracy in guesses.items() if accuracy == max(guesses.values())]

    with guest.background("tcppeer echo 6191", ready=r"listening 6191"):
        for _ in range(3):  # some of its questions are about time: a busy host may spoil the answers
            names = best_guesses()
            if any(re.match(r"Linux (2\.6\.32|3)", name) for name in names):
                return
    raise AssertionError(names)
