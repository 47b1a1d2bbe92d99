# SPDX-License-Identifier: Apache-2.0
"""What the kernels gave when it was last looked at closely, and what changed since."""
import json
import os

from boot import ROOT
from machines import MACHINES

GOLDEN = os.path.join(ROOT, "tests/golden/kernels.json")
BUDGET = os.path.join(ROOT, "tests/golden/verifier.json")
GROWTH = 1.10  # of the verifier's work, before somebody has to look at it


def load(path):
    try:
        with open(path) as file:
            return json.load(file)
    except FileNotFoundError:
        return {}


def save(path, document):
    """Machines in the order of their table, so that a difference is where it is expected."""
    order = [machine.name for machine in MACHINES]
    document = {name: document[name] for name in order if name in document}
    with open(path, "w") as file:
        json.dump(document, file, indent=1)
        file.write("\n")


def compare(golden, results):
    """{case: None, or a sentence on what differs}."""
    verdicts = {}
    for case in {**golden, **results}:
        was, now = golden.get(case), results.get(case)
        if now is not None and now.startswith("FAIL"):
            verdicts[case] = now[5:]
        elif now is None:
            verdicts[case] = f"was '{was}', and did not come"
        elif was is None:
            verdicts[case] = f"is '{now}', and is not in the golden file"
        else:
            verdicts[case] = None if was == now else f"was '{was}', is '{now}'"
    return verdicts


def compare_budget(budget, measured):
    """{program: None, or a sentence}: each figure at most a tenth above that of the table."""
    verdicts = {}
    for program in {**budget, **measured}:
        was, now = budget.get(program), measured.get(program)
        if not was or not now:
            verdicts[program] = "is not in the table" if now else "did not load"
            continue
        if not all(now):
            verdicts[program] = "has no instructions, or none that were walked: not measured"
            continue
        grown = [f"{what} {a} -> {b}" for what, a, b in
                 zip(("instructions", "walked by the verifier"), was, now) if b > a * GROWTH]
        verdicts[program] = "grew by more than a tenth: " + ", ".join(grown) if grown else None
    return verdicts
