# SPDX-License-Identifier: MIT
"""Programs by others that judge the kernel, built from Debian's own packages: Linux's nolibc-test and standalone kselftests, busybox's
ash tests, python3's test modules, memcached's tests (in perl). out/judges/*.cpio are added to an initramfs that has what they need."""

import re
import subprocess
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from . import debian
from .cpio import Archive
from .paths import BUILD, JUDGES
from .shell import Failed, run, say

LINUX_SOURCE = "linux-source-6.12"
SELFTESTS = "tools/testing/selftests"
# Files of SELFTESTS that build standalone and concern what this kernel has (docs/conformance.md §1); by folder.
KSELFTESTS = {
    "futex/functional": "futex_requeue_pi futex_requeue_pi_mismatched_ops futex_requeue_pi_signal_restart "
                        "futex_wait_private_mapped_file futex_wait_timeout futex_wait_uninitialized_heap futex_wait_wouldblock",
    "timers": "nanosleep set-tz",
    "clone3": "clone3 clone3_clear_sighand",
    "sigaltstack": "sas",
    "exec": "null-argv non-regular recursion-depth load_address",
    "proc": "fd-001-lookup fd-002-posix-eq fd-003-kthread proc-loadavg-001 proc-self-isnt-kthread proc-self-syscall proc-self-wchan "
            "proc-tid0 proc-uptime-001 proc-uptime-002 proc-2-is-kthread proc-empty-vm read self thread-self",
    "mm": "mremap_test map_fixed_noreplace map_populate on-fault-limit mlock2-tests mremap_dontunmap",
    "mincore": "mincore_selftest",
    "core": "close_range_test",
    "filelock": "ofdlocks",
    "pidfd": "pidfd_open_test pidfd_poll_test pidfd_wait",
    "kcmp": "kcmp_test",
    "prctl": "set-process-name",
    "tty": "tty_tstamp_update",
    "splice": "splice_read default_file_splice_read",
    "mqueue": "mq_open_tests",
}
# Those in which a busy machine decides: threads have 10 of 30 ms to get to sleep (futex), or 100 ms (epoll); a timer may be half a second
# late (posix_timers); and two that only take their time, half a minute and two.
TIMED_KSELFTESTS = {
    "futex/functional": "futex_requeue futex_wait",
    "timers": "posix_timers threadtest inconsistency-check",
    "filesystems/epoll": "epoll_wakeup_test",
}


def kselftest_names(table):
    """["folder/name"] of one of the tables above."""
    return [f"{folder}/{name}" for folder, words in table.items() for name in words.split()]


def linux_source():
    """Directory of the part of Linux's source that the selftests need, from Debian's package."""
    package = debian.unpacked(LINUX_SOURCE)
    target = debian.STORE / f"{LINUX_SOURCE}-selftests"
    if not target.is_dir():
        with tempfile.TemporaryDirectory(dir=debian.STORE) as scratch:
            run(["tar", "-xf", package / "usr" / "src" / f"{LINUX_SOURCE}.tar.xz", "-C", scratch, "--strip-components=1",
                 f"{LINUX_SOURCE}/{SELFTESTS}", f"{LINUX_SOURCE}/tools/include"], f"unpacking {LINUX_SOURCE}")
            Path(scratch).chmod(0o755)
            (Path(scratch) / "done").touch()
            Path(scratch).rename(target)
            Path(scratch).mkdir()
    return target


def compile_one(words, target):
    """One compiler run, unless its result is there; the compiler's words on failure."""
    if target.exists():
        return ""
    done = subprocess.run(["gcc", *map(str, words), "-o", str(target)], capture_output=True, text=True, check=False)
    return done.stderr if done.returncode else ""


def compile_kselftest(source, name, target):
    """A selftest, with the kernel's own headers or (where they shadow libc's) without."""
    base = source / SELFTESTS
    common = ["-O1", "-w", "-static", "-D_GNU_SOURCE", f"-I{base}", f"-I{base}/futex/include", f"-I{base}/{Path(name).parent}"]
    words = [base / f"{name}.c", "-lpthread", "-lrt"]
    wrong = compile_one([*common, f"-I{source}/tools/include", *words], target)
    return compile_one([*common, *words], target) if wrong else wrong


def build_nolibc(source, directory):
    """nolibc-test: a static binary without any libc, to be process 1."""
    tests, include = source / SELFTESTS / "nolibc", source / "tools" / "include" / "nolibc"
    compiler = run(["gcc", "-print-file-name=include"], "asking gcc", capture_output=True, text=True).stdout.strip()
    wrong = compile_one(["-Os", "-w", "-static", "-nostdlib", "-nostdinc", "-isystem", compiler, "-fno-stack-protector",
                         "-include", include / "nolibc.h", "-I/usr/include", "-I/usr/include/x86_64-linux-gnu",
                         tests / "nolibc-test.c", tests / "nolibc-test-linkage.c", "-lgcc"], directory / "nolibc-test")
    if wrong:
        raise Failed(f"nolibc-test does not build: {wrong.splitlines()[0]}")


def build_kselftests(source, directory, archive):
    """The selftests into /kselftest."""
    names = kselftest_names(KSELFTESTS) + kselftest_names(TIMED_KSELFTESTS)

    def one(name):
        target = directory / "kselftest" / name
        target.parent.mkdir(parents=True, exist_ok=True)
        return compile_kselftest(source, name, target)

    with ThreadPoolExecutor(2) as pool:
        for name, wrong in zip(names, pool.map(one, names)):
            if wrong:
                raise Failed(f"kselftest {name} does not build: {wrong.splitlines()[0]}")
    for name in names:
        archive.file(f"kselftest/{name}", (directory / "kselftest" / name).read_bytes(), 0o755)


def add_ash_tests(directory, archive):
    """busybox's ash_test tree, with its three helper programs."""
    tree = debian.source("busybox") / "shell" / "ash_test"
    for helper in ("printenv", "recho", "zecho"):
        wrong = compile_one(["-O1", "-w", "-static", tree / f"{helper}.c"], directory / helper)
        if wrong:
            raise Failed(f"ash_test's {helper} does not build: {wrong.splitlines()[0]}")
        archive.file(f"ash_test/{helper}", (directory / helper).read_bytes(), 0o755)
    for path in sorted(tree.glob("*/*")):
        if path.is_file():
            archive.file(f"ash_test/{path.relative_to(tree)}", path.read_bytes(), path.stat().st_mode & 0o777)


def build_memcached(directory):
    """memcached.cpio: Debian's memcached and perl, and in /memcached the tests of memcached's source with what they look for beside
    them: the server by the name memcached-debug, and timedrun, which ends it should it not end. Only a server built for debugging,
    which Debian's is not, knows the option relaxed_privileges that they give it."""
    source = debian.source("memcached")
    perl = re.findall(r" (perl-modules-\S+|libperl\S+)$", debian.depends(["perl"]).get("perl", ""), re.M)
    archive = Archive()
    for name in debian.closure(["memcached", "perl-base", *perl]):
        debian.add_tree(archive, debian.unpacked(name))
    wrong = compile_one(["-O1", "-w", "-static", source / "timedrun.c"], directory / "timedrun")
    if wrong:
        raise Failed(f"memcached's timedrun does not build: {wrong.splitlines()[0]}")
    archive.file("memcached/timedrun", (directory / "timedrun").read_bytes(), 0o755)
    archive.symlink("memcached/memcached-debug", "/usr/bin/memcached")
    for path in sorted([*source.glob("t/*.t"), *source.glob("t/lib/**/*.pm")]):
        text = path.read_bytes().replace(b'$args .= " -o relaxed_privileges";', b"")
        archive.file(f"memcached/{path.relative_to(source)}", text, 0o644)
    (JUDGES / "memcached.cpio").write_bytes(archive.bytes())


def build():
    """out/judges: nolibc.cpio (alone), extra.cpio and memcached.cpio (to be put behind another initramfs)."""
    directory = BUILD / "judges"
    directory.mkdir(parents=True, exist_ok=True)
    JUDGES.mkdir(parents=True, exist_ok=True)
    debian.source("redis")  # for its suite, which runs on this machine
    source = linux_source()
    build_nolibc(source, directory)
    nolibc = Archive()
    for name in ("dev", "proc", "sys", "tmp", "root"):
        nolibc.directory(name)
    nolibc.character_device("dev/console", 5, 1, 0o600)
    nolibc.file("init", (directory / "nolibc-test").read_bytes(), 0o755)
    (JUDGES / "nolibc.cpio").write_bytes(nolibc.bytes())
    extra = Archive()
    build_kselftests(source, directory, extra)
    add_ash_tests(directory, extra)
    (JUDGES / "extra.cpio").write_bytes(extra.bytes())
    build_memcached(directory)
    say(f"judges: {len(extra.entries)} files")
