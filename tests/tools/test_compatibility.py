# SPDX-License-Identifier: Apache-2.0
"""docs/COMPATIBILITY.md is what its generator makes of the golden files."""
import os
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path.insert(0, os.path.join(ROOT, "tests/kernels"))

import compatibility  # noqa: E402
import golden  # noqa: E402
from machines import MACHINES  # noqa: E402


def test_page_is_current():
    with open(compatibility.PAGE) as page:
        assert page.read() == compatibility.page(), "run tests/kernels/run --update"


def test_every_machine_has_its_row():
    names = [machine.name for machine in MACHINES]
    assert list(golden.load(golden.GOLDEN)) == names
    for name, one in golden.load(golden.GOLDEN).items():
        bad = [case for case, result in one["results"].items() if result.startswith("FAIL")]
        assert not bad, f"{name}: a failure was kept as what is expected: {bad}"


def test_a_difference_is_seen():
    was = {"a": "exact", "b": "yes", "c": "no"}
    now = {"a": "exact", "b": "no", "d": "yes"}
    verdicts = golden.compare(was, now)
    assert [case for case, why in verdicts.items() if why] == ["b", "c", "d"]
    assert golden.compare({"a": "FAIL x"}, {"a": "FAIL x"})["a"] == "x"


def test_growth_is_seen():
    budget = {"p": [100, 1000], "q": [100, 1000], "gone": [1, 1], "r": [1, 1], "s": [1, 1]}
    measured = {"p": (110, 1100), "q": (100, 1101), "r": (0, 1), "s": (1, 0), "new": (1, 1)}
    verdicts = golden.compare_budget(budget, measured)
    assert [program for program, why in verdicts.items() if why] == ["q", "gone", "r", "s", "new"]
