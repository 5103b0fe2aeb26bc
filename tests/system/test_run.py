# SPDX-License-Identifier: MIT
"""scripts/run as a person uses it, and what it says when something is wrong."""

import contextlib
import os
import re
import socket
import subprocess

import pytest

from console import Console
from patience import PATIENCE, until
from softnet import paths

RUN = paths.ROOT / "scripts" / "run"
ENV = dict(os.environ, SOFTNET_SETUP="skip")


class Running:
    """scripts/run in the background, with what it said on standard error."""

    def __init__(self, tmp_path, *options):
        self.stderr = tmp_path / "stderr"
        self.process = subprocess.Popen([RUN, *options], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                        stderr=open(self.stderr, "wb"), env=ENV)
        self.console = Console(self.process, tmp_path / "console.log")

    def __enter__(self):
        try:
            self.console.wait_for("^softnet# ")
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        if self.process.poll() is None:
            self.process.terminate()
            self.process.wait()

    def said(self):
        """Standard error so far."""
        return self.stderr.read_text()


def test_user_net(tmp_path):
    """--net user: the echo server behind a port of 127.0.0.1, as printed; poweroff ends QEMU."""
    pcap = tmp_path / "wire.pcap"
    with Running(tmp_path, "--net", "user", "--smp", "1", "--pcap", pcap) as machine:
        port = int(re.search(r"UDP echo: 127\.0\.0\.1:(\d+)", machine.said()).group(1))
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
            sock.settimeout(1)

            def echo():
                sock.sendto(b"through NAT", ("127.0.0.1", port))
                with contextlib.suppress(TimeoutError):
                    return sock.recv(100)

            assert until(echo, "the echo server answers") == b"through NAT"
        machine.console.type("poweroff\n")
        assert machine.process.wait(PATIENCE) == 0
    assert pcap.stat().st_size > 24


def test_telnet_and_http(tmp_path):
    """As printed, with nothing to be typed in the guest: a shell on a pseudo terminal, with job control, and a page."""
    with Running(tmp_path, "--smp", "1") as machine:
        shell, page = re.search(r"a shell: telnet (\S+ \d+)   a page: curl (\S+)", machine.said()).groups()

        def session():
            with subprocess.Popen(["telnet", *shell.split()], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as client:
                client.stdin.write(b"tty; sleep 100 &\njobs; kill %1; exit\n")
                client.stdin.flush()
                said = client.stdout.read().decode(errors="replace")
            return "tty" in said and said

        text = until(session, "telnetd serves")  # QEMU's NAT takes the connection before it listens, and ends it
        assert re.search(r"/dev/pts/\d", text) and re.search(r"\[1\].*sleep 100", text), text
        done = subprocess.run(["curl", "-sS", "--retry", "20", "--retry-all-errors", "-m", str(PATIENCE), page], capture_output=True,
                              text=True, check=True)
        assert "<title>Softnet</title>" in done.stdout


def test_tap_net(tmp_path):
    """--net tap: the printed nsenter lines reach the guest."""
    with Running(tmp_path, "--net", "tap", "--smp", "2") as machine:
        line = next(line for line in machine.said().splitlines() if " ping " in line)
        words = line.split()
        words[words.index("ping"):] = ["ping", "-c", "1", "-W", "5", words[-1]]
        until(lambda: "1 received" in subprocess.run(words, capture_output=True, text=True, check=False).stdout, f"an answer to {words}")


def test_debug_kernel(tmp_path):
    """--debug boots the kernel with the test hooks."""
    with Running(tmp_path, "--debug", "--smp", "2") as machine:
        status, text = machine.console.command("cat /sys/kernel/debug/test/hooks")
        assert status == 0 and "stall_poll" in text


@pytest.mark.parametrize("options, wanted", [
    (["--dry-run", "--smp", "3", "--net", "tap", "--nic", "igb"], r"-smp 3 .*-device igb,netdev=n0"),
    (["--dry-run", "--gdb", "--accel", "kvm", "--append", "quiet panic=1"], r"-accel kvm .*quiet panic=1.* -s -S"),
    (["--dry-run", "--debug"], r"-kernel \S*out/debug/softnet-x86_64\.elf"),
    (["--dry-run", "--kernel", "/k", "--initrd", "/i", "--pcap", "/p"], r"-kernel /k -initrd /i .*file=/p"),
])
def test_dry_run(options, wanted):
    """The printed command has what the options ask for."""
    done = subprocess.run([RUN, *options], capture_output=True, text=True, env=ENV, check=False)
    assert done.returncode == 0 and re.search(wanted, done.stdout), done.stdout + done.stderr


@pytest.mark.parametrize("options, wanted", [
    (["--kernel", "/no/such", "--initrd", "/no/such"], "cannot read /no/such"),
    (["--smp", "0"], "--smp must be"),
])
def test_one_clear_line(options, wanted):
    """A mistake is one line, without a traceback."""
    done = subprocess.run([RUN, *options], capture_output=True, text=True, env=ENV, check=False)
    assert done.returncode != 0 and wanted in done.stderr and "Traceback" not in done.stderr


def test_dhcp(tmp_path):
    """ip=dhcp takes address and gateway from QEMU's server."""
    from softnet.qemu import Machine
    machine = Machine(netdev="user,net=10.0.2.0/24", address="")
    process = subprocess.Popen(machine.command(), stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    try:
        console = Console(process, tmp_path / "console.log")
        console.wait_for("^softnet# ")
        assert "inet 10.0.2.15" in console.command("ip")[1]
        assert re.search(r"^eth0\s+00000000\s+0202000A", console.command("cat /proc/net/route")[1], re.M)
    finally:
        process.terminate()
        process.wait()
