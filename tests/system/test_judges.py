# SPDX-License-Identifier: MIT
"""Programs by others judge the kernel: nolibc-test, kselftests, python3's test modules, busybox's ash tests, the suites of Redis and
memcached.

A case counts where the stock Linux guest passes it in this very harness: judges/linux/JUDGE.txt lists those cases. With
--calibrate the Linux guest runs instead and the lists are written anew. judges/excused.txt names the cases that Softnet may fail,
each with its reason; a case there that passes fails the run, so the list only shrinks."""

import fnmatch
import re
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE / "differential"))

import redis_suite  # noqa: E402
from sidebyside import Boot, Case, machine_for, run_cases  # noqa: E402
from softnet import judges, paths  # noqa: E402
from softnet.cpio import Archive  # noqa: E402
from softnet.qemu import Machine  # noqa: E402

JUDGES = HERE / "judges"
ASH = ("ash-alias ash-arith ash-comm ash-getopts ash-glob ash-heredoc ash-invert ash-misc ash-parsing ash-psubst ash-quoting "
       "ash-read ash-redir ash-signals ash-standalone ash-vars ash-z_slow").split()
MEMCACHED = (JUDGES / "memcached.txt").read_text().split("\n\n")[1].split()
LOOPBACK = "busybox ifconfig lo 127.0.0.1 up; exec"


def test_path(name, directory):
    """An initramfs of Debian's packages and the judges; returns its path."""
    extra = [] if name.startswith("python") else [paths.JUDGES / ("memcached.cpio" if name == "memcached" else "extra.cpio")]
    for path in (paths.DEBIAN_ROOTFS, *extra):
        assert path.exists(), f"{path} is missing: run scripts/build debian judges"
    scripts = Archive()
    for script in ("pyjudge.py", "ash_judge.sh"):
        scripts.file(f"judge/{script}", (JUDGES / script).read_bytes(), 0o755)
    target = directory / f"{name}.cpio"
    target.write_bytes(b"".join(path.read_bytes() for path in (paths.DEBIAN_ROOTFS, *extra)) + scripts.bytes())
    return target


test_path.__test__ = False


def said(output, prefix=""):
    """{case: passed} of the "@@" lines."""
    found = {}
    for word, name in re.findall(r"@@ (ok|fail|skip) (\S+)", output):
        if word != "skip":
            found[prefix + name] = found.get(prefix + name, True) and word == "ok"
    return found


def tap(name, result):
    """{case: passed} of a kselftest: its "ok"/"not ok" lines, and its exit status as one more (4: skipped)."""
    found = {}
    for bad, text in re.findall(r"^(not )?ok \d+ ?-? ?(.*)$", result.output, re.M):
        if "# SKIP" not in text.upper():
            key = f"{name}: {re.sub(r'[0-9]{4,}|0x[0-9a-f]+', 'N', text).strip()[:90]}"
            found[key] = found.get(key, True) and not bad
    if result.end != "exit 4":
        found[f"{name}: exit"] = result.end == "exit 0"
    return found


def tried(kind, name, units, attempt):
    """({case: passed}, what was said, trouble of the kernel) of attempt(units), which judges some units and returns ({unit: {case:
    passed}}, the units that came to no end, what was said, trouble). A unit that came to no end or has a failure that counts is tried
    once more, from another boot, and what passes once passes: for programs that race by their own text (ash-psubst/bash_procsub reads a
    file without waiting for the tee that is to write it) or that give a slow machine too little time. What the kernel complained of in
    either try counts."""
    held = [] if kind == "linux" else listing(name).read_text().splitlines()
    found, text, trouble = {}, "", []
    for _ in range(2):
        verdicts, endless, said_now, complaints = attempt(units) if units else ({}, [], "", [])
        trouble += complaints
        text += said_now
        for verdict in verdicts.values():
            found.update({case: ok or found.get(case, False) for case, ok in verdict.items()})
        units = [unit for unit in units if unit in endless
                 or any(not ok and (kind == "linux" or case in held and not excused(name, case)) for case, ok in verdicts[unit].items())]
        if units:
            print(f"{name}: not everything passes in {[getattr(unit, 'name', unit) for unit in units]}")
    return found, text, trouble


def run_nolibc(kind):
    """One boot with nolibc-test as process 1, as `attempt` of tried()."""
    machine = machine_for(kind, paths.JUDGES / "nolibc.cpio", memory="512M")
    machine = Machine(**{**machine.__dict__, "append": "quiet loglevel=1 panic=-1"})
    boot = Boot(machine, [])
    boot.run()
    found, part = {}, ""
    for line in boot.text.splitlines():
        if match := re.search(r"Running test '(\w+)'", line):
            part = match.group(1)
        elif match := re.search(r"^(\d+) (\S+) .*\[ *(OK|FAIL|SKIPPED) *\]\s*$", line):
            if match.group(3) != "SKIPPED":
                found[f"{part} {match.group(1)} {match.group(2)}"] = match.group(3) == "OK"
    endless = [] if "Total number of errors" in boot.text else ["nolibc"]
    return {"nolibc": found}, endless, boot.text, [boot.trouble] if boot.trouble else []


def judge_nolibc(kind, directory):
    """nolibc-test, a whole."""
    del directory
    return tried(kind, "nolibc", ["nolibc"], lambda units: run_nolibc(kind))


def in_guest(kind, directory, name, cases, read):
    """Cases by caserunner; `read` turns each Result into {case: passed}."""
    base = test_path(name, directory)

    def attempt(some):
        # Softnet has IPv4 only: what a test would try with IPv6, it is not to try on Linux either
        results, trouble = run_cases(kind, base, some, memory="1G", append="ipv6.disable=1")
        text = "".join(f"=== {case.name}\n{results[case.name]}\n" for case in some)
        endless = [case for case in some if results[case.name].end in ("timeout", "died")]
        return {case: read(case.name, results[case.name]) for case in some}, endless, text, trouble

    return tried(kind, name, cases, attempt)


def selftests(kind, directory, name, table):
    """Standalone kselftests of a table, one after the other."""
    cases = [Case(test, ("/bin/busybox", "sh", "-c", f"cd /kselftest/{test.rpartition('/')[0]} && exec ./{test.rpartition('/')[2]}"),
                  120) for test in judges.kselftest_names(table)]
    return in_guest(kind, directory, name, cases, tap)


def judge_kselftest(kind, directory):
    """The kselftests whose verdict does not depend on how busy the machine is."""
    return selftests(kind, directory, "kselftest", judges.KSELFTESTS)


def judge_kselftest_timed(kind, directory):
    """The others."""
    return selftests(kind, directory, "kselftest_timed", judges.TIMED_KSELFTESTS)


def judge_ash(kind, directory):
    """busybox's ash tests, a directory at a time."""
    cases = [Case(name, ("/bin/busybox", "sh", "/judge/ash_judge.sh", name), 900) for name in ASH]
    return in_guest(kind, directory, "ash", cases, lambda name, result: said(result.output))


def python_tests(kind, directory, name):
    """python3's test modules of judges/NAME.txt, each in an interpreter of its own."""
    lines = [line for line in (JUDGES / f"{name}.txt").read_text().splitlines() if line and not line.startswith("#")]
    cases = [Case(line.split()[0], ("/bin/busybox", "sh", "-c", f"{LOOPBACK} python3 /judge/pyjudge.py {line}"), 600) for line in lines]
    return in_guest(kind, directory, name, cases,
                    lambda case, result: said(result.output) | {f"{case} exit": result.end == "exit 0"})


def judge_python(kind, directory):
    """Those whose verdict does not depend on how busy the machine is."""
    return python_tests(kind, directory, "python")


def judge_python_timed(kind, directory):
    """The others."""
    return python_tests(kind, directory, "python_timed")


def judge_memcached(kind, directory):
    """memcached's tests, in perl: each starts the server with options of its own and talks to it over AF_UNIX or lo. A file counts as
    a whole (perl ends with the number of failures): names and number of its checks depend on chance."""
    cases = [Case(name, ("/bin/busybox", "sh", "-c", f"cd /memcached; {LOOPBACK} perl t/{name}.t"), 600) for name in MEMCACHED]
    return in_guest(kind, directory, "memcached", cases, lambda name, result: {name: result.end == "exit 0"})


def judge_redis(kind, directory):
    """Redis's own suite, run on this machine against its server in the guest."""
    redis_suite.prepare(directory, kind)
    units, left_out = redis_suite.listed()
    return tried(kind, "redis", units, lambda some: redis_suite.run(kind, directory, some, left_out))


ALL = {"nolibc": judge_nolibc, "kselftest": judge_kselftest, "kselftest_timed": judge_kselftest_timed, "ash": judge_ash,
       "python": judge_python, "python_timed": judge_python_timed, "redis": judge_redis, "memcached": judge_memcached}
# Those whose verdict a run must bear out. The others are run by name (-k kselftest_timed): they are for a calm machine.
HELD = ("nolibc", "kselftest", "ash", "redis", "python", "memcached")


def excuses(judge):
    """[(pattern of case names, reason)] of one judge: lines `JUDGE | PATTERN | REASON`."""
    found = []
    for line in (JUDGES / "excused.txt").read_text().splitlines():
        if line and not line.startswith("#"):
            name, pattern, reason = (part.strip() for part in line.split(" | "))
            assert name in ALL and reason, line
            if name == judge:
                found.append((pattern, reason))
    return found


def listing(judge):
    """The file with the cases that Linux passes."""
    return JUDGES / "linux" / f"{judge}.txt"


def excused(judge, case):
    """The patterns that excuse a case."""
    return [pattern for pattern, _ in excuses(judge) if fnmatch.fnmatchcase(case, pattern)]


@pytest.mark.timeout(3600)
@pytest.mark.parametrize("judge", ALL)
def test_judge(judge, request, tmp_path):
    """Softnet passes what the stock Linux guest passes, but for what is excused."""
    if judge not in HELD and judge not in request.config.getoption("-k"):
        pytest.skip(f"{judge} is not held to its list yet; run it with -k {judge}")
    if request.config.getoption("--calibrate"):
        found, text, _ = ALL[judge]("linux", tmp_path)
        (paths.BUILD / f"judge-{judge}-linux.txt").write_text(text)
        passed = sorted(case for case, ok in found.items() if ok)
        listing(judge).parent.mkdir(exist_ok=True)
        listing(judge).write_text("\n".join(passed) + "\n")
        pytest.skip(f"calibrated: Linux passes {len(passed)} of {len(found)}")
    counting = listing(judge).read_text().splitlines()
    found, text, trouble = ALL[judge]("softnet", tmp_path)
    (paths.BUILD / f"judge-{judge}.txt").write_text(text)
    failed = [case for case in counting if not found.get(case)]
    print(f"\n{judge}: Softnet passes {len(counting) - len(failed)} of the {len(counting)} cases that Linux passes")
    wrong, used = [], set()
    for case in failed:
        matching = excused(judge, case)
        used.update(matching)
        if not matching:
            wrong.append(case)
    healed = [case for case in counting if case not in failed and excused(judge, case)]
    unused = [pattern for pattern, _ in excuses(judge) if pattern not in used]
    assert not wrong, f"{len(wrong)} cases fail that Linux passes (output: build/judge-{judge}.txt):\n" + "\n".join(wrong)
    assert not healed and not unused, f"these pass and are excused, strike them: {healed or unused}"
    assert not trouble, trouble[0]
