# SPDX-License-Identifier: MIT
"""The system tests' fixtures. The whole run lives in a network namespace of its own (made here, before anything else), so
TAP devices and sockets need no names that others could have, and nothing is left behind.

Options: --stock-linux runs the tests marked `linux` against a stock Linux guest instead (to check the tests themselves).
"""

import contextlib
import os
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(Path(__file__).parent), str(ROOT / "scripts" / "lib")]

from softnet import netns, paths  # noqa: E402
from softnet.shell import Failed  # noqa: E402


def pytest_addoption(parser):
    """Our options."""
    parser.addoption("--calibrate", action="store_true", help="let the stock Linux guest say anew what the judges' cases are")
    parser.addoption("--self-check", metavar="KERNEL=N", help="run the differential cases N times on one kernel (linux, softnet, debug) "
                     "and hold the runs to each other")
    parser.addoption("--stock-linux", action="store_true", help="run against a stock Linux guest (out/linux)")


def pytest_configure(config):
    """Marks, and the namespace."""
    config.addinivalue_line("markers", "row(*ids): the mission rows that this test proves (docs/mission-rows.md)")
    config.addinivalue_line("markers", "linux: makes sense for a stock Linux guest too")
    if config.option.collectonly:
        return
    try:
        netns.enter_new()
    except Failed as error:
        raise pytest.UsageError(str(error)) from error
    with contextlib.suppress(OSError):
        Path("/proc/sys/net/ipv4/icmp_ratelimit").write_text("0")  # this host tells each guest of each error
    os.environ.setdefault("XDG_CONFIG_HOME", "/tmp")


def pytest_collection_modifyitems(config, items):
    """On Linux only the tests that make sense there."""
    if config.getoption("--stock-linux"):
        for item in items:
            if not item.get_closest_marker("linux"):
                item.add_marker(pytest.mark.skip(reason="not for a stock Linux"))


# --- mission rows --------------------------------------------------------------------------------------------------

_results = {}


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    """Note what each test says about its rows; a test that failed in any phase failed."""
    report = (yield).get_result()
    for mark in item.iter_markers("row"):
        for row in mark.args:
            key = (row, item.nodeid)
            if report.failed:
                _results[key] = "fail"
            elif report.when == "call" and report.passed:
                _results.setdefault(key, "pass")


def pytest_sessionfinish(session):
    """Leave the results for scripts/rows."""
    if session.config.option.collectonly or session.config.getoption("--stock-linux") or not _results:
        return
    paths.ROWS_DIR.mkdir(parents=True, exist_ok=True)
    name = os.environ.get("SOFTNET_ROWS_FILE", "system.txt")
    target = paths.ROWS_DIR / name
    kept = []
    ran = {test for _, test in _results}
    if target.exists():  # a run of some tests leaves what the others said
        kept = [line for line in target.read_text().splitlines() if line.split()[1:2] and line.split()[1] not in ran]
    lines = [f"{row} {test.replace(' ', '_')} {result}" for (row, test), result in sorted(_results.items())]
    target.write_text("\n".join(kept + lines) + "\n")


# --- guests --------------------------------------------------------------------------------------------------------


class Guests:
    """Boots guests on demand and keeps one of each kind for the session."""

    def __init__(self, linux):
        self.linux = linux
        self.kept = {}

    def boot(self, **options):
        """A fresh guest of these options; the caller closes it."""
        from guest import Guest  # scapy is slow to import: only when needed
        if self.linux:
            options.update(kernel=paths.LINUX_KERNEL, initrd=paths.LINUX_INITRD, nic="igb", memory="512M")
            options.pop("debug", None)
        elif options.pop("debug", False):
            options["kernel"] = paths.DEBUG_KERNEL
        kernel = options.get("kernel", paths.KERNEL)
        if not Path(kernel).exists():
            pytest.fail(f"{kernel} is missing: run scripts/build")
        return Guest(**options)

    def get(self, **options):
        """The session's guest of these options, booted again if it has died."""
        key = tuple(sorted(options.items()))
        guest = self.kept.get(key)
        if guest is None or guest.process.poll() is not None or guest.broken:
            if guest is not None:
                guest.close()
            guest = self.kept[key] = self.boot(**options)
            guest.answers()
        return guest

    def close(self):
        """End them all."""
        for guest in self.kept.values():
            guest.close()


@pytest.fixture(scope="session")
def guests(pytestconfig):
    """The booter of guests."""
    pool = Guests(pytestconfig.getoption("--stock-linux"))
    yield pool
    pool.close()


def _use(guests, request, **options):
    """A session guest for one test; it must have survived the test, and a test that failed gets no second use of it."""
    guest = guests.get(**options)
    trouble_before = guest.console.trouble()
    failed_before = request.session.testsfailed
    yield guest
    if request.session.testsfailed > failed_before:
        guest.broken = True
    assert guest.process.poll() is None, f"QEMU has ended: {guest.console.text[-2000:]}"
    assert guest.console.trouble() == trouble_before, f"the kernel is in trouble: {guest.console.trouble()}"


@pytest.fixture(scope="session", params=["stable", "backports"])
def linux_kernel(request, tmp_path_factory):
    """Debian's kernel of a suite on igb-lite, to judge it; all tests of one kernel have one guest."""
    from linux_driver import LinuxGuest
    from softnet import linux_guest
    if linux_guest.unpacked(request.param) is None:
        pytest.skip(f"apt has no {request.param} suite here")
    guest = LinuxGuest(tmp_path_factory.mktemp("linux"), request.param)
    guest.resolve()
    yield guest
    guest.close()


@pytest.fixture
def linux(linux_kernel):
    """That guest for one test, which must leave it in good health: answering, and without a complaint of its kernel."""
    yield linux_kernel
    assert linux_kernel.process.poll() is None, f"QEMU has ended: {linux_kernel.console.text[-2000:]}"
    assert linux_kernel.complaints() == []


@pytest.fixture
def guest(guests, request):
    """The usual guest: release kernel, 2 CPUs, igb-lite."""
    yield from _use(guests, request, smp=2)


@pytest.fixture
def debug_guest(guests, request):
    """The kernel with checks and test hooks, 2 CPUs."""
    yield from _use(guests, request, smp=2, debug=True)


@pytest.fixture
def guest1(guests, request):
    """One CPU: what happens in one place happens in one order."""
    yield from _use(guests, request, smp=1)


@pytest.fixture
def debug_guest1(guests, request):
    """One CPU, with checks and test hooks."""
    yield from _use(guests, request, smp=1, debug=True)
