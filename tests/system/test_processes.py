# SPDX-License-Identifier: MIT
"""Processes: timers, signals, rights, limits and memory shortage, judged by programs in the guest that say the same on Linux."""

import pytest


def failed_lines(output):
    """What a program complained of."""
    return "\n".join(line for line in output.splitlines() if line.startswith("FAIL")) or output


@pytest.mark.linux
@pytest.mark.parametrize("program", ["proc_timers", "proc_rights", "sysv_ipc", "posix_mq"])
def test_process_program(guest, program):
    """Timers and clocks; ids, capabilities, limits and scheduling classes."""
    status, output = guest.status(program)
    assert status == 0 and "all ok" in output, failed_lines(output)


@pytest.mark.parametrize("program", ["proc_timers", "proc_rights", "sysv_ipc", "posix_mq"])
def test_process_program_debug(debug_guest, program):
    """The same under the kernel's own checks."""
    status, output = debug_guest.status(program, 240)
    assert status == 0 and "all ok" in output, failed_lines(output)


def test_out_of_memory(guests):
    """The process that eats all memory is killed, another one is not, and the kernel serves on."""
    guest = guests.boot(smp=2)
    try:
        status, output = guest.status("eatmemory")
        assert status == 0 and "the eater: signal 9" in output, output
        assert guest.echo(b"still here") == b"still here"
        log = guest.kernel_log()
        assert "Out of memory: Kill process" in log and "(eatmemory) score" in log
        assert "Killed process" in log
    finally:
        guest.close()


def test_signals_find_another_thread(debug_guest):
    """Delays around system calls make a thread block a signal, or exit, after it was woken for it: another thread takes it. And
    one that exits while the others stop does not keep the parent from being told."""
    debug_guest.write("/sys/kernel/debug/syscall_delay", "7,2,3000")
    try:
        status, output = debug_guest.status("signal_handover")
    finally:
        debug_guest.write("/sys/kernel/debug/syscall_delay", "0")
    assert status == 0, failed_lines(output)
