# SPDX-License-Identifier: MIT
"""strace in the kernel: the log has the calls of the processes that were chosen, and of no others."""

import re

from patience import until


def log_of(guest):
    """The strace lines of the kernel's log: [(pid, text)]."""
    lines = re.findall(r"\[pid (\d+)\] ([a-z].*)$", guest.kernel_log(), re.M)
    return [(int(pid), text.rstrip()) for pid, text in lines]


def test_strace_of_one_process(guest):
    guest.write("/sys/kernel/debug/strace", "calls open,openat,execve,exit_group,mkdir,write")
    before = len(log_of(guest))
    guest.sh("busybox sh -c 'echo $$ > /sys/kernel/debug/strace; echo traced; busybox mkdir /tmp/straced; "
             "busybox cat /tmp/nowhere; exit 3'", check=False)
    guest.sh("busybox mkdir /tmp/unseen")
    guest.write("/sys/kernel/debug/strace", "calls all")
    text = [line for _, line in log_of(guest)[before:]]
    assert 'write(1, "traced\\n", 7) = 7' in text
    assert any(re.fullmatch(r'execve\("/[a-z/]*", \["busybox", "mkdir", "/tmp/straced"\], 0x[0-9a-f]+\) = 0', line)
               for line in text), text
    assert 'mkdir("/tmp/straced", 0777) = 0' in text
    assert any(re.fullmatch(r'open(?:at)?\((?:AT_FDCWD, )?"/tmp/nowhere", O_RDONLY.*\) = -1 ENOENT', line) for line in text), text
    assert text[-1] == "exit_group(3) = ?"
    assert not any("unseen" in line for line in text)


def test_strace_refuses_what_it_does_not_know(guest):
    for words in ("calls open,frobnicate", "-5", "12x", ""):
        status, _ = guest.status(f"echo '{words}' > /sys/kernel/debug/strace")
        assert status != 0, words
    status, _ = guest.status("echo 99999 > /sys/kernel/debug/strace")
    assert status != 0


def test_delays_around_calls(guest):
    """Injected delays put whom they hit to sleep, and end when they are switched off."""
    def sleeps():
        return int(re.search(r"^voluntary_ctxt_switches:\s*(\d+)", guest.sh("busybox cat /proc/self/status"), re.M).group(1))
    quiet = sleeps()
    guest.write("/sys/kernel/debug/syscall_delay", "1,1,10000")
    try:
        assert guest.cat("/sys/kernel/debug/syscall_delay").strip() == "1,1,10000"
        # A short delay can be over on a busy machine before the task sleeps; the next run draws others.
        until(lambda: sleeps() >= quiet + 8, "what it does before it reads its own status is delayed")
    finally:
        guest.write("/sys/kernel/debug/syscall_delay", "0")
    assert sleeps() < quiet + 8


def test_delays_refuse_what_they_do_not_know(guest):
    for words in ("", "x", "1,0", "1,2,0", "1,2,1000001", "1;2", "1,2,3x"):
        assert guest.status(f"echo '{words}' > /sys/kernel/debug/syscall_delay")[0] != 0, words
    assert guest.cat("/sys/kernel/debug/syscall_delay").startswith("0,")
