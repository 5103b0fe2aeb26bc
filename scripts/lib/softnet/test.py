# SPDX-License-Identifier: MIT
"""scripts/test: builds what is missing and runs every test, or the stages that are named."""

import argparse
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
import xml.etree.ElementTree as ElementTree

from . import lint
from .build import build
from .paths import BUILD, LIB, OUT, ROOT, ROWS_DIR
from .shell import Failed, main, say

FUZZ_SECONDS = 30
FUZZ_NIC_RUNS = 10000
NIC_FUZZER = OUT / "qemu" / "fuzz_igb_lite"
SYSTEM_LIMIT_SECONDS = 5400  # some fifteen minutes are usual; a slow or busy machine may need several times as long


class Tally:
    """Tests passed, failed and skipped."""

    def __init__(self, passed=0, failed=0, skipped=0):
        self.passed, self.failed, self.skipped = passed, failed, skipped

    def __iadd__(self, other):
        self.passed += other.passed
        self.failed += other.failed
        self.skipped += other.skipped
        return self

    def __str__(self):
        return f"{self.passed} passed, {self.failed} failed" + (f", {self.skipped} skipped" if self.skipped else "")


def of(result):
    """A tally of one test."""
    return Tally(passed=1) if result else Tally(failed=1)


def junit(path):
    """Count the cases of a JUnit file."""
    tally = Tally()
    for case in ElementTree.parse(path).iter("testcase"):
        kinds = {child.tag for child in case}
        if kinds & {"failure", "error"}:
            tally.failed += 1
        elif "skipped" in kinds:
            tally.skipped += 1
        else:
            tally.passed += 1
    return tally


def stage_format(_):
    """clang-format finds nothing to change, and scripts compile."""
    return of(lint.check_format())


def stage_lint(_):
    """clang-tidy over what the host build compiles."""
    build("host")
    passed, failed, skipped = lint.check_tidy(BUILD / "host")
    return Tally(passed, failed, skipped)


def write_unit_rows(path):
    """Rows that unit tests prove: tests/unit/rows.map has lines `ROW-ID name-of-the-test`, by whole name or part of it."""
    mapping = ROOT / "tests" / "unit" / "rows.map"
    if not mapping.exists():
        return
    cases = {}
    for case in ElementTree.parse(path).iter("testcase"):
        name = f"{case.get('classname', '')}.{case.get('name')}".replace(" ", "_")
        cases[name] = "fail" if {child.tag for child in case} & {"failure", "error"} else "pass"
    lines = []
    for line in mapping.read_text(encoding="utf-8").splitlines():
        words = line.split("#")[0].split()
        for row, part in zip(words[:1], words[1:2]):
            found = [(name, result) for name, result in cases.items() if part in name]
            lines += [f"{row} unit:{name} {result}" for name, result in found] or [f"{row} unit:{part} fail"]
    ROWS_DIR.mkdir(parents=True, exist_ok=True)
    (ROWS_DIR / "unit.txt").write_text("\n".join(lines) + "\n", encoding="utf-8")


def stage_unit(_):
    """CMocka tests of the kernel as a process, under ASan and UBSan."""
    build("host")
    env = dict(os.environ, ASAN_OPTIONS="detect_stack_use_after_return=0:abort_on_error=1",
               UBSAN_OPTIONS="print_stacktrace=1:halt_on_error=1")
    done = subprocess.run(["meson", "test", "-C", BUILD / "host", "--no-rebuild", "--print-errorlogs", "-q"],
                          env=env, check=False)
    report = BUILD / "host" / "meson-logs" / "testlog.junit.xml"
    if not report.exists():
        say("unit: there are no unit tests")
        return of(done.returncode == 0)
    write_unit_rows(report)
    tally = junit(report)
    if done.returncode and not tally.failed:
        tally.failed += 1
    return tally


def run_fuzzer(program, limit, corpora, env=None):
    """One fuzzer, on its corpora and as many ideas of its own as the limit lets it have."""
    log = BUILD / f"{program.name}.log"
    with open(log, "wb") as out:
        done = subprocess.run([program, limit, "-timeout=120", f"-artifact_prefix={BUILD}/{program.name}-", *corpora],
                              stdout=out, stderr=out, env=dict(os.environ, **(env or {})), check=False)
    if done.returncode:
        print(f"fuzz: {program.name} failed, see {log}\n" + log.read_text(errors="replace")[-3000:])
    return of(done.returncode == 0)


def stage_fuzz(_):
    """Each fuzzer on its corpus and some ideas of its own: of the network path some seconds, of igb-lite a number of runs."""
    build("fuzz", "fuzz-nic")
    seeds = ROOT / "tests" / "fuzz" / "corpus"
    tally = Tally()
    for fuzzer in sorted((BUILD / "fuzz" / "tests" / "fuzz").glob("fuzz_*")):
        if not fuzzer.is_file() or not os.access(fuzzer, os.X_OK):
            continue
        corpus = BUILD / "corpus" / fuzzer.name
        corpus.mkdir(parents=True, exist_ok=True)
        seconds = os.environ.get("SOFTNET_FUZZ_SECONDS", str(FUZZ_SECONDS))
        own = [path for path in [seeds / fuzzer.name] if path.is_dir()]
        tally += run_fuzzer(fuzzer, f"-max_total_time={seconds}", ["-rss_limit_mb=4096", corpus, *own])
    # The same runs every time; leaks are looked for once, at the end: QEMU frees later than libFuzzer expects.
    with tempfile.TemporaryDirectory() as corpus:
        runs = os.environ.get("SOFTNET_FUZZ_NIC_RUNS", str(FUZZ_NIC_RUNS))
        tally += run_fuzzer(NIC_FUZZER, f"-runs={runs}", ["-seed=1", "-max_len=1024", "-detect_leaks=0", "-rss_limit_mb=3072", corpus,
                                                          seeds / NIC_FUZZER.name],
                            {"ASAN_OPTIONS": "quarantine_size_mb=16:detect_leaks=1",
                             "UBSAN_OPTIONS": "halt_on_error=1:print_stacktrace=1"})
    return tally


def run_qtests(*options):
    """tests/qtest/run, counted."""
    done = subprocess.run([ROOT / "tests" / "qtest" / "run", *options], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                          check=False)
    sums = re.findall(r"^(\d+) passed, (\d+) failed$", done.stdout, re.M)
    passed, failed = map(int, sums[-1]) if sums else (0, 0)
    if done.returncode or failed:
        print(done.stdout[-6000:])
    if (done.returncode or not passed) and not failed:
        failed = 1
    return Tally(passed, failed)


def stage_qtest(_):
    """The device without a guest, and QEMU's stock igb where the two differ."""
    build("qemu")
    tally = run_qtests()
    tally += run_qtests("--stock")
    return tally


def stage_system(selection):
    """Softnet under QEMU, seen from outside."""
    # Linux, which judges igb-lite, is fetched here: the tests' own network namespace reaches no mirror.
    build("qemu", "kernel", "debug", "rootfs", "linux", "debian", "judges", "servers")
    report = BUILD / "system.xml"
    report.unlink(missing_ok=True)
    if not selection:  # a whole run says everything anew
        (ROWS_DIR / "system.txt").unlink(missing_ok=True)
    env = dict(os.environ, PYTHONPATH=str(LIB), PYTHONDONTWRITEBYTECODE="1")
    command = ["/usr/bin/python3", "-m", "pytest", "-c", ROOT / "tests" / "system" / "pytest.ini",
               f"--junit-xml={report}", *(selection or [ROOT / "tests" / "system"])]
    try:
        done = subprocess.run(list(map(str, command)), env=env, cwd=ROOT, timeout=SYSTEM_LIMIT_SECONDS, check=False)
    except subprocess.TimeoutExpired:
        print(f"system: not finished after {SYSTEM_LIMIT_SECONDS} s")
        return Tally(failed=1)
    if not report.exists():
        return Tally(failed=1)
    tally = junit(report)
    if done.returncode and not tally.failed:
        tally.failed += 1
    return tally


STAGES = {"format": stage_format, "unit": stage_unit, "fuzz": stage_fuzz, "qtest": stage_qtest, "system": stage_system,
          "lint": stage_lint}


def start():
    """Run the stages and close with one line of sums."""
    what = "\n".join(f"  {name:8} {function.__doc__}" for name, function in STAGES.items())
    parser = argparse.ArgumentParser(
        prog="scripts/test", formatter_class=argparse.RawDescriptionHelpFormatter,
        description="Builds what is missing and runs the tests.", epilog=f"STAGE is one of\n{what}\n\n"
        "Words after -- go to pytest: scripts/test system -- tests/system/test_receive.py -k r12")
    parser.add_argument("stages", nargs="*", metavar="STAGE", help="which stages (all)")
    words = sys.argv[1:]
    selection = []
    if "--" in words:
        selection = words[words.index("--") + 1:]
        words = words[:words.index("--")]
    names = parser.parse_args(words).stages or list(STAGES)
    for name in names:
        if name not in STAGES:
            parser.error(f"there is no stage '{name}'")
    if names == list(STAGES):
        shutil.rmtree(ROWS_DIR, ignore_errors=True)
    total = Tally()
    summary = []
    for name in names:
        print(f"=== {name}: {STAGES[name].__doc__}", flush=True)
        begin = time.monotonic()
        try:
            tally = STAGES[name](selection)
        except Failed as error:
            print(f"{name}: {error}")
            tally = Tally(failed=1)
        summary.append(f"{name:8} {tally} ({time.monotonic() - begin:.0f} s)")
        total += tally
    print("=== " + "\n=== ".join(summary))
    print(total, flush=True)
    return 1 if total.failed else 0


if __name__ == "__main__":
    main(start)
