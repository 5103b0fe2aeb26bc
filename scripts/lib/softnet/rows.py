# SPDX-License-Identifier: MIT
"""scripts/rows: every mission row with pass, fail or no test from the last run.

A test runner says what it proved by lines `ROW-ID test-name pass|fail` in any file build/rows.d/*.txt. A row passes when at least
one test names it and none of them failed.
"""

import argparse
import json
import re

from .paths import ROOT, ROWS_DIR, ROWS_JSON
from .shell import Failed, main

ROW = re.compile(r"^\| ([A-Z]-\d+) \| (.*?) \| ")


def mission_rows():
    """[(id, what it says)] in the order of docs/mission-rows.md."""
    lines = (ROOT / "docs" / "mission-rows.md").read_text(encoding="utf-8").splitlines()
    return [found.groups() for found in map(ROW.match, lines) if found]


def results():
    """{row id: {test: "pass" or "fail"}} from build/rows.d."""
    found = {}
    for path in sorted(ROWS_DIR.glob("*.txt")):
        for line in path.read_text(encoding="utf-8").splitlines():
            words = line.split()
            if len(words) != 3 or words[2] not in ("pass", "fail"):
                raise Failed(f"{path}: expected 'ROW-ID test-name pass|fail', found '{line}'")
            row, test, result = words
            tests = found.setdefault(row, {})
            tests[test] = "fail" if "fail" in (result, tests.get(test)) else "pass"
    return found


def verdict(tests):
    """One word for a row's tests."""
    if not tests:
        return "no test"
    return "fail" if "fail" in tests.values() else "pass"


def start():
    """Print the table and leave it in build/rows.json."""
    parser = argparse.ArgumentParser(prog="scripts/rows", description=__doc__.splitlines()[0])
    parser.add_argument("rows", nargs="*", metavar="ROW", help="only these rows, with their tests (R-13, or R for all of them)")
    wanted = parser.parse_args().rows
    rows, found = mission_rows(), results()
    unknown = sorted(set(found) - {row for row, _ in rows})
    if unknown:
        raise Failed(f"tests name rows that docs/mission-rows.md does not have: {' '.join(unknown)}")
    verdicts = {row: verdict(found.get(row)) for row, _ in rows}
    ROWS_JSON.parent.mkdir(exist_ok=True)
    ROWS_JSON.write_text(json.dumps({row: {"result": verdicts[row], "tests": found.get(row, {})} for row, _ in rows},
                                    indent=1) + "\n", encoding="utf-8")
    for row, text in rows:
        if wanted and row not in wanted and row[0] not in wanted:
            continue
        print(f"{row:5} {verdicts[row]:8} {text[:100]}")
        for test, result in sorted(found.get(row, {}).items()) if wanted else []:
            print(f"      {result:8} {test}")
    print(f"{sum(value == 'pass' for value in verdicts.values())} of {len(rows)} rows pass")


if __name__ == "__main__":
    main(start)
