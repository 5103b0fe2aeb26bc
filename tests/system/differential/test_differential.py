# SPDX-License-Identifier: MIT
"""The same initramfs and the same commands on the stock Linux guest and on Softnet: their outputs must be the same."""

import difflib

import pytest

from casefile import HERE, normalise, read_cases, read_excused, read_normalisations
from rungs import ARCHIVES, RUNGS
from sidebyside import linux_results, run_cases

CASES = {path.stem: read_cases(path) for path in sorted((HERE / "cases").glob("*.cases"))}
NAMES = [case.name for cases in CASES.values() for case in cases]
EXCUSED = read_excused()
NORMALISATIONS = read_normalisations()


class Run:
    """Both kernels' results of all rungs that share an archive: one boot each."""

    def __init__(self, archive):
        path, options = ARCHIVES[archive]()
        cases = [case for rung, cases in CASES.items() if RUNGS[rung] == archive for case in cases]
        self.linux = linux_results(path, cases, **options)
        self.softnet, self.trouble = run_cases("softnet", path, cases, **options)


@pytest.fixture(scope="session")
def runs():
    """Runs by archive, made when first asked for."""
    done = {}

    def get(archive):
        if archive not in done:
            done[archive] = Run(archive)
        return done[archive]

    return get


@pytest.mark.timeout(1200)
@pytest.mark.parametrize("name", NAMES)
def test_same_output(runs, name):
    """One command behaves on Softnet as on Linux."""
    run = runs(RUNGS[name.partition("/")[0]])
    linux, softnet = (normalise(str(results[name]), NORMALISATIONS) for results in (run.linux, run.softnet))
    if name in EXCUSED:
        assert linux != softnet, f"{name} is excused and yet the same on both: strike it from excused.txt"
        pytest.xfail(EXCUSED[name])
    if linux != softnet:
        lines = difflib.unified_diff(linux.splitlines(), softnet.splitlines(), "linux", "softnet", lineterm="", n=2)
        pytest.fail("\n".join(lines), pytrace=False)


@pytest.mark.timeout(1200)
@pytest.mark.parametrize("archive", sorted({RUNGS[rung] for rung in CASES if rung in RUNGS}))
def test_kernel_stays_well(runs, archive):
    """No case makes the kernel complain about itself."""
    trouble = runs(archive).trouble
    assert not trouble, trouble[0]


def test_lists_are_used():
    """Every excuse names a case, and every case file a rung."""
    assert not set(EXCUSED) - set(NAMES)
    assert set(CASES) == set(RUNGS)
