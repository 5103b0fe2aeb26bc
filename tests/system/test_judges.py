# SPDX-License-Identifier: MIT
"""Programs by others judge the kernel: nolibc-test, kselftests, python3's test modules, busybox's ash tests, Redis's suite.

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
from console import PANIC  # noqa: E402
from sidebyside import Boot, Case, machine_for, run_cases  # noqa: E402
from softnet import judges, paths  # noqa: E402
from softnet.cpio import Archive  # noqa: E402
from softnet.qemu import Machine  # noqa: E402

JUDGES = HERE / "judges"
ASH = ("ash-alias ash-arith ash-comm ash-getopts ash-glob ash-heredoc ash-invert ash-misc ash-parsing ash-psubst ash-quoting "
       "ash-read ash-redir ash-signals ash-standalone ash-vars ash-z_slow").split()
# Modules of python3's test package, and what of them is left out because it only takes time (interpreters started one after the
# other) or needs more memory than the guest has.
PYTHON = [line for line in (JUDGES / "python.txt").read_text().splitlines() if line and not line.startswith("#")]


def test_path(name, directory):
    """An initramfs of Debian's packages and the judges; returns its path."""
    for path in (paths.DEBIAN_ROOTFS, paths.JUDGES / "extra.cpio"):
        assert path.exists(), f"{path} is missing: run scripts/build debian judges"
    scripts = Archive()
    for script in ("pyjudge.py", "ash_judge.sh"):
        scripts.file(f"judge/{script}", (JUDGES / script).read_bytes(), 0o755)
    target = directory / f"{name}.cpio"
    extra = b"" if name == "python" else (paths.JUDGES / "extra.cpio").read_bytes()
    target.write_bytes(paths.DEBIAN_ROOTFS.read_bytes() + extra + scripts.bytes())
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


def judge_nolibc(kind, directory):
    """nolibc-test as process 1."""
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
    return found, boot.text, PANIC.findall(boot.text)


def in_guest(kind, directory, name, cases, read):
    """Cases by caserunner; `read` turns each Result into {case: passed}."""
    results, trouble = run_cases(kind, test_path(name, directory), cases, memory="1G")
    found, text = {}, ""
    for case in cases:
        result = results[case.name]
        found.update(read(case.name, result))
        text += f"=== {case.name}\n{result}\n"
    return found, text, trouble


def twice(kind, directory, name, cases, read):
    """As in_guest; a command with a failure runs once more in another boot, and what passes once passes. For programs that race by
    their own text: ash-psubst/bash_procsub reads a file without waiting for the tee that is to write it."""
    found, text, trouble = in_guest(kind, directory, name, cases, read)
    again = [case for case in cases if not all(ok for key, ok in found.items() if key.startswith(f"{case.name}/"))]
    if again:
        print(f"{name}: once more: {[case.name for case in again]}")
        second, more, also = in_guest(kind, directory, name, again, read)
        found.update({key: ok or found.get(key, False) for key, ok in second.items()})
        text, trouble = text + more, trouble + also
    return found, text, trouble


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
    return twice(kind, directory, "ash", cases, lambda name, result: said(result.output))


def judge_python(kind, directory):
    """python3's test modules, each in an interpreter of its own."""
    cases = [Case(line.split()[0], ("/usr/bin/python3", "/judge/pyjudge.py", *line.split()), 600) for line in PYTHON]
    return in_guest(kind, directory, "python", cases,
                    lambda name, result: said(result.output) | {f"{name} exit": result.end == "exit 0"})


ALL = {"nolibc": judge_nolibc, "kselftest": judge_kselftest, "kselftest_timed": judge_kselftest_timed, "ash": judge_ash,
       "python": judge_python, "redis": redis_suite.run}
# Those whose verdict a run must bear out. The others are run by name (-k kselftest): kselftest has not run often enough to be held,
# kselftest_timed is for a calm machine, and python has no list of Linux's passes yet.
HELD = ("nolibc", "ash", "redis")


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


@pytest.mark.timeout(2400)
@pytest.mark.parametrize("judge", ALL)
def test_judge(judge, request, tmp_path):
    """Softnet passes what the stock Linux guest passes, but for what is excused."""
    if judge not in HELD and judge not in request.config.getoption("-k"):
        pytest.skip(f"{judge} is not held to its list yet; run it with -k {judge}")
    listing = JUDGES / "linux" / f"{judge}.txt"
    if request.config.getoption("--calibrate"):
        found, text, _ = ALL[judge]("linux", tmp_path)
        (paths.BUILD / f"judge-{judge}-linux.txt").write_text(text)
        passed = sorted(case for case, ok in found.items() if ok)
        listing.parent.mkdir(exist_ok=True)
        listing.write_text("\n".join(passed) + "\n")
        pytest.skip(f"calibrated: Linux passes {len(passed)} of {len(found)}")
    counting = listing.read_text().splitlines()
    found, text, trouble = ALL[judge]("softnet", tmp_path)
    (paths.BUILD / f"judge-{judge}.txt").write_text(text)
    failed = [case for case in counting if not found.get(case)]
    print(f"\n{judge}: Softnet passes {len(counting) - len(failed)} of the {len(counting)} cases that Linux passes")
    wrong, used = [], set()
    for case in failed:
        matching = [pattern for pattern, _ in excuses(judge) if fnmatch.fnmatchcase(case, pattern)]
        used.update(matching)
        if not matching:
            wrong.append(case)
    healed = [case for case in counting if case not in failed
              and any(fnmatch.fnmatchcase(case, pattern) for pattern, _ in excuses(judge))]
    unused = [pattern for pattern, _ in excuses(judge) if pattern not in used]
    assert not wrong, f"{len(wrong)} cases fail that Linux passes (output: build/judge-{judge}.txt):\n" + "\n".join(wrong)
    assert not healed and not unused, f"these pass and are excused, strike them: {healed or unused}"
    assert not trouble, trouble[0]
