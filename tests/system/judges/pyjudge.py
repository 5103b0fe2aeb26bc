# SPDX-License-Identifier: MIT
"""In the guest: runs tests of python3's own test package and prints one line "@@ ok|fail|skip ID" for each. Arguments: module or
module:Class names; "-NAME" leaves out tests whose method or class has that name."""

import os
import sys
import time
import unittest


class Result(unittest.TestResult):
    """Says each test's result at once, so that a crash loses only what comes later."""

    def say(self, word, test):
        os.write(3, f"@@ {word} {test.id()} {time.monotonic() - self.begin:.2f}\n".encode())
        self.said = True

    def startTest(self, test):
        super().startTest(test)
        self.begin, self.said = time.monotonic(), False

    def addSuccess(self, test):
        self.say("ok", test)

    def addExpectedFailure(self, test, err):
        self.say("ok", test)

    def addSkip(self, test, reason):
        self.begin = getattr(self, "begin", time.monotonic())
        self.say("skip", test)

    def addError(self, test, err):
        super().addError(test, err)
        self.begin = getattr(self, "begin", time.monotonic())
        self.say("fail", test)
        print(self.errors[-1][1][-1500:], flush=True)

    def addFailure(self, test, err):
        super().addFailure(test, err)
        self.say("fail", test)
        print(self.failures[-1][1][-1500:], flush=True)

    def addSubTest(self, test, subtest, err):
        if err:
            self.say("fail", test)
            print(f"{subtest}: {err[0].__name__}: {err[1]}"[:1500], flush=True)


def tests_of(suite):
    """All single tests of a suite."""
    for item in suite:
        if isinstance(item, unittest.TestSuite):
            yield from tests_of(item)
        else:
            yield item


def left_out(test, names):
    """Whether a name that was asked to be left out is part of the test's id."""
    return any(part in names for part in test.id().split("."))


def main():
    """Run what the arguments name; everything the tests print goes to the case's output, results to a copy of stdout."""
    os.dup2(1, 3)
    names = [word[1:] for word in sys.argv[1:] if word.startswith("-")]
    os.chdir(os.environ.get("TMPDIR", "/tmp"))
    for word in sys.argv[1:]:
        if word.startswith("-"):
            continue
        module, _, class_name = word.partition(":")
        suite = unittest.defaultTestLoader.loadTestsFromName(f"test.{module}" + (f".{class_name}" if class_name else ""))
        kept = suite if not names else unittest.TestSuite(test for test in tests_of(suite) if not left_out(test, names))
        kept.run(Result())


main()
