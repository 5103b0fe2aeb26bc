# SPDX-License-Identifier: MIT
"""The guest's serial console: a thread reads it all; commands are typed and their output is cut out by a marker."""

import os
import re
import threading
import time

from patience import PATIENCE


class ConsoleError(AssertionError):
    """The guest did not answer, died, or panicked."""


LOG_LINE = re.compile(r"(?<!>)\[ *\d+\.\d{6}\] .*\n")  # also in the middle of a line that was being written; dmesg -r has a > before it
PROMPT = "softnet# "
COMPLAINT = r"(?:Kernel panic|BUG|WARNING: |lockdep:|Oops:)"  # how a line of the kernel's begins that says that it is in trouble
PANIC = re.compile(rf"\[ *\d+\.\d{{6}}\] {COMPLAINT}")  # on the console, where programs write, too


class Console:
    """What the guest has printed so far, and a way to type."""

    def __init__(self, process, log_path):
        self.process = process
        self.text = ""
        self.changed = threading.Condition()
        self.ended = False
        self.commands = 0
        self.log = open(log_path, "wb")
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self):
        pending = ""  # the beginning of a prompt, perhaps
        while True:
            data = os.read(self.process.stdout.fileno(), 65536)
            with self.changed:
                if not data:
                    self.ended = True
                    self.log.close()
                    self.changed.notify_all()
                    return
                self.log.write(data)
                self.log.flush()
                # A prompt becomes a line, so that what a background program prints after it starts one.
                new = pending + data.decode("utf-8", "replace").replace("\r", "")
                held = next((n for n in range(len(PROMPT) - 1, 0, -1) if new.endswith(PROMPT[:n])), 0)
                pending = new[len(new) - held:]
                self.text += new[:len(new) - held].replace(PROMPT, PROMPT + "\n")
                self.changed.notify_all()

    def position(self):
        """Where the output ends now; give it to wait_for() to look only at what comes later."""
        with self.changed:
            return len(self.text)

    def wait_for(self, pattern, timeout=PATIENCE, since=0):
        """Wait until whole lines of the output from `since` on match; returns the match."""
        compiled = re.compile(pattern, re.M)
        deadline = time.monotonic() + timeout
        with self.changed:
            while True:
                found = compiled.search(self.text, since, self.text.rfind("\n") + 1)
                if found:
                    return found
                left = deadline - time.monotonic()
                if self.ended or left <= 0:
                    why = "QEMU has ended" if self.ended else f"nothing in {timeout} s"
                    raise ConsoleError(f"waiting for {pattern!r}: {why}; the console ends with\n{self.text[-2000:]}")
                self.changed.wait(left)

    def type(self, text):
        """Send text to the guest."""
        try:
            self.process.stdin.write(text.encode())
            self.process.stdin.flush()
        except (BrokenPipeError, OSError) as error:
            raise ConsoleError(f"QEMU has ended; the console ends with\n{self.text[-2000:]}") from error

    def command(self, line, timeout=PATIENCE):
        """Type a command, return (exit status, output)."""
        self.commands += 1
        begin, done = f"__begin{self.commands}", f"__done{self.commands}"
        since = self.position()
        self.type(f"echo {begin}; {line}; echo {done} $?\n")  # what the terminal echoes has other characters behind these words
        found = self.wait_for(rf"{done} (\d+)\n", timeout, since)
        output = self.text[self.text.index(f"{begin}\n", since) + len(begin) + 1:found.start()]
        output = output.replace(PROMPT + "\n", "")  # typed before the prompt was printed
        return int(found.group(1)), LOG_LINE.sub("", output)  # the kernel's own messages are in .text

    def trouble(self):
        """The first line that says the kernel itself is in trouble, or None."""
        with self.changed:
            found = PANIC.search(self.text)
            if not found:
                return None
            return self.text[found.start():found.start() + 1500]
