# SPDX-License-Identifier: Apache-2.0
"""Writes docs/COMPATIBILITY.md from the golden files."""
import os
import re

import golden
from boot import ROOT
from expect import TIER_NAMES
from machines import MACHINES

PAGE = os.path.join(ROOT, "docs/COMPATIBILITY.md")

INTRO = """# Compatibility

Written by `tests/kernels/run --update` from what was found when sonde ran in these kernels; do not
edit. `make check-kernels` and `make check-arm64` boot them again in qemu, let sonde measure programs
that count and time themselves, and fail when a result on this page is different, or when a program
costs the verifier more than a tenth above what stands here. Times of a killed agent fail nothing as
long as everything goes. The kernels are Debian's own, pinned to a version; the newest one runs beside
them, and a difference there is shown and fails nothing.

*exact*: every exchange, request, byte, handshake and end of a connection was counted; the sum, the
shortest and the longest of the times lie between the clocks of the two programs that took part; and
no event is unaccounted for. Where the kernel left a program out because it had interrupted the same
one, which it counts, no more is missing than that. *without ...*: these figures cannot be had, `sonde doctor`
names them, and what is left was exact or absent. A dash: not tried there.

Emulation says what works. It says nothing about costs: see [PERFORMANCE.md](PERFORMANCE.md) for what
was measured natively. sonde never looks at a version number; a kernel that is not on this page gives
what `sonde doctor` says.
"""


def table(head, rows):
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    lines += ["| " + " | ".join(row) + " |" for row in rows]
    return "\n".join(lines) + "\n"


def results_table(title, machines, kept, cases):
    """Rows are [(what a reader sees, case)]; rows that no machine has are left out."""
    rows = [[text, *(kept[name]["results"].get(case, "-") for name in machines)]
            for text, case in cases]
    return table([title, *machines], [row for row in rows if set(row[1:]) != {"-"}])


def cases_with(machines, kept, prefix):
    found = {case: None for name in machines for case in kept[name]["results"]
             if case.startswith(prefix)}
    return [(case[len(prefix):], case) for case in found]


def kernels(kept, base):
    arches = {machine.name: machine.arch for machine in MACHINES}
    return table(["", "Debian's kernel", "processor"],
                 [[name, kept[name]["release"], arches[name]] for name in base])


def tcp_cases(machines, kept, tier):
    """Which hook each figure of the probe came from."""
    suffix = ", " + TIER_NAMES[tier]
    found = {case: None for name in machines for case in kept[name]["results"]
             if case.startswith("tcp ") and case.endswith(suffix)}
    return [(case[4:-len(suffix)], case) for case in found]


def refusals(kept, base):
    """One row for each reason, with the programs and the kernels that it holds for."""
    reasons = {}
    for name in base:
        for case, result in kept[name]["results"].items():
            if case.startswith("program ") and result != "loads":
                reasons.setdefault((case[8:], result), []).append(name)
    return table(["program", "why not", "on"],
                 [[f"`{program}`", why, ", ".join(names)]
                  for (program, why), names in sorted(reasons.items())])


def gone_table(base, kept):
    found = [dict(re.findall(r"(\w+) (\d+)", kept[name]["gone"])) for name in base]
    return table(["", *base], [[what, *(one.get(what, "-") for one in found)]
                               for what in ("breakpoints", "programs", "maps")])


def budget_table(base, budget):
    programs = sorted({program for name in base for program in budget.get(name, {})})
    rows = []
    for program in programs:
        cells = [budget.get(name, {}).get(program) for name in base]
        rows.append([f"`{program}`", *(f"{cell[0]} / {cell[1]}" if cell else "-"
                                       for cell in cells)])
    return table(["program", *base], rows)


def page():
    kept, budget = golden.load(golden.GOLDEN), golden.load(golden.BUDGET)
    names = [machine.name for machine in MACHINES if machine.name in kept]
    base = [machine.name for machine in MACHINES
            if machine.name in kept and "kprobe" in machine.suites]
    special = [machine.name for machine in MACHINES
               if machine.name in kept and (machine.boot.startswith("lockdown")
                                            or not machine.types)]
    stress = [name for name in names if "stress, tcp" in kept[name]["results"]]
    x86 = [name for name in base if "arm64" not in name]
    arm64 = [name for name in base if "arm64" in name]
    tiers = [(f"tcp, {TIER_NAMES[tier]}", f"tcp, {TIER_NAMES[tier]}") for tier in TIER_NAMES]
    http = [(f"http, Go {case.split()[2][:-1]}{' with --btf FILE' if 'FILE' in case else ''}", case)
            for _, case in cases_with(names, kept, "http ")]
    parts = [
        INTRO,
        "## The kernels\n", kernels(kept, base),
        "## What they let sonde do\n",
        "What is lost without each is said by `sonde doctor`.\n",
        results_table("", base, kept, cases_with(base, kept, "feature ")),
        "## What is measured\n",
        "With the best hooks that the kernel has, and held to one kind of hook at a time"
        " (`--tier`).\n",
        results_table("", base, kept, tiers + http),
        "The same, and the details, through a network that takes 10 ms each way, loses and reorders:"
        " the parts of exchanges make up the whole, failures and resets are as many as there were, and"
        " segments are sent again as often as the kernel counts, of each kind:\n",
        results_table("", base, kept, cases_with(base, kept, "network, ")),
        "Where the tcp probe has its state in a hash, whether that holds no socket that is gone, after"
        " 300 connections:\n",
        results_table("", base, kept, cases_with(base, kept, "tcp let go of sockets, ")),
        "The hook that each figure of the tcp probe was taken from:\n",
        results_table("", base, kept, tcp_cases(base, kept, "auto")),
        "## Locked down, or without types\n",
        "`lockdown=` on the kernel's command line; BTF hidden from programs, and then given by"
        " `--btf`.\n",
        results_table("", special, kept, tiers + http + [
            ("BTF " + case, "--btf FILE " + case)
            for case in ("of this kernel", "of another kernel", "of another tcp_sock")]),
        results_table("hook", special, kept,
                      tcp_cases(special, kept, "auto")),
        results_table("hook, with `--btf`", special, kept, tcp_cases(special, kept, "file")),
        "## Preemptible kernels\n",
        "Half a minute of requests to probed Go programs and of TCP exchanges, while four threads run"
        " through every kind of probed instruction.\n",
        results_table("", stress, kept, cases_with(stress, kept, "stress, ")
                      + [("kernel log", "kernel log")]),
        "## Probed instructions\n",
        "Calls of a probed function against hits of its probe, and its results against those"
        " without.\n",
        results_table("x86-64", x86, kept, cases_with(x86, kept, "site ")),
        results_table("arm64", arm64, kept, cases_with(arm64, kept, "site ")),
        "## A killed agent\n",
        "Milliseconds after `kill -9` until the kernel held no program, map or breakpoint of sonde's"
        " any more, two Go programs being probed, all under emulation. [PERFORMANCE.md]"
        "(PERFORMANCE.md) has the native figures.\n",
        gone_table(base, kept),
        "## What the programs cost the verifier\n",
        "Instructions of the program / instructions that the verifier walked. One that grows by more"
        " than a tenth fails the tests.\n",
        budget_table(base, budget),
        "Programs that a kernel does not take, and the reason that `sonde doctor` gives:\n",
        refusals(kept, base),
    ]
    return "\n".join(parts)


def write():
    with open(PAGE, "w") as out:
        out.write(page())
