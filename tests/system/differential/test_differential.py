# SPDX-License-Identifier: MIT
"""The same initramfs and the same commands on the stock Linux guest and on Softnet: their outputs must be the same."""

import difflib

import pytest

from casefile import HERE, normalise, read_cases, read_excused, read_normalisations
from rungs import ARCHIVES, RUNGS
from sidebyside import linux_results, run_cases

# The first case of an archive waits for all of its boots.
pytestmark = pytest.mark.timeout(10800)

CASES = {path.stem: read_cases(path) for path in sorted((HERE / "cases").glob("*.cases"))}
NAMES = [case.name for cases in CASES.values() for case in cases]
EXCUSED = read_excused()
NORMALISATIONS = read_normalisations()


class Run:
    """Results of all rungs that share an archive: one boot of each kernel, or with --self-check several boots of one. `sides` are
    pairs of a title and {name: Result}."""

    def __init__(self, archive, self_check):
        path, options = ARCHIVES[archive]()
        cases = [case for rung, cases in CASES.items() if RUNGS[rung] == archive for case in cases]
        self.trouble = []
        if self_check:
            kind, _, times = self_check.partition("=")
            self.sides = [(f"{kind} {number}", self.boot(kind, path, cases, options)) for number in range(1, int(times or 2) + 1)]
        else:
            self.sides = [("linux", linux_results(path, cases, **options)), ("softnet", self.boot("softnet", path, cases, options))]

    def boot(self, kind, path, cases, options):
        """Results of one boot; what the kernel complains of goes to self.trouble."""
        results, trouble = run_cases(kind, path, cases, **options)
        self.trouble += trouble
        return results


@pytest.fixture(scope="session")
def runs(pytestconfig):
    """Runs by archive, made when first asked for."""
    done = {}

    def get(archive):
        if archive not in done:
            done[archive] = Run(archive, pytestconfig.getoption("--self-check"))
        return done[archive]

    return get


@pytest.mark.parametrize("name", NAMES)
def test_same_output(runs, name, pytestconfig):
    """One command behaves on Softnet as on Linux (with --self-check: on one of them as the last time)."""
    outputs = [(title, normalise(str(results[name]), NORMALISATIONS)) for title, results in runs(RUNGS[name.partition("/")[0]]).sides]
    title, expected = outputs[0]
    other, found = next((pair for pair in outputs if pair[1] != expected), outputs[-1])
    if name in EXCUSED and not pytestconfig.getoption("--self-check"):
        assert found != expected, f"{name} is excused and yet the same on both: strike it from excused.txt"
        pytest.xfail(EXCUSED[name])
    if found != expected:
        lines = difflib.unified_diff(expected.splitlines(), found.splitlines(), title, other, lineterm="", n=2)
        pytest.fail("\n".join(lines), pytrace=False)


@pytest.mark.parametrize("archive", sorted({RUNGS[rung] for rung in CASES if rung in RUNGS}))
def test_kernel_stays_well(runs, archive):
    """No case makes the kernel complain about itself."""
    trouble = runs(archive).trouble
    assert not trouble, trouble[0]


def test_lists_are_used():
    """Every excuse names a case, and every case file a rung."""
    assert not set(EXCUSED) - set(NAMES)
    assert set(CASES) == set(RUNGS)
