# SPDX-License-Identifier: Apache-2.0
"""The machines that tests/kernels boots: a kernel, how it is started, and what is run in it."""
from dataclasses import dataclass

# Every tier by itself, what the verifier says, every kind of site, and what is left behind.
FULL = ("programs", "sites", "kill", "auto", "btf", "fentry", "kprobe")

@dataclass
class Machine:
    name: str
    kernel: str  # .deps/test/linux-KERNEL
    suites: tuple  # of test.sh
    boot: str = ""  # on the kernel's command line
    arch: str = "x86_64"
    gates: bool = True  # False: what differs from the golden file is shown, and no failure
    types: bool = True  # False: its BTF is hidden
    # Tiers that measure a network that delays and loses too. It takes modules, which the newest kernel
    # has in a package of their own. Kprobes are left out sooner there than on loopback, and not every
    # kernel counts that (6.7): on those before, what is missing could not be told from what is wrong.
    network: tuple = ()


MACHINES = (
    Machine("5.10", "5.10", FULL, network=("auto",)),
    Machine("6.1", "6.1", FULL, network=("auto",)),
    Machine("6.12", "6.12", FULL, network=("auto", "kprobe")),
    Machine("6.1-rt", "6.1-rt", FULL + ("stress",)),
    Machine("newest", "newest", FULL, gates=False),
    Machine("6.1 preempt=full", "6.1", ("stress",), "preempt=full"),
    Machine("6.12 preempt=full", "6.12", ("stress",), "preempt=full"),
    Machine("newest preempt=full", "newest", ("stress",), "preempt=full", gates=False),
    Machine("5.10 lockdown=integrity", "5.10", ("auto",), "lockdown=integrity"),
    Machine("5.10 lockdown=confidentiality", "5.10", ("auto",), "lockdown=confidentiality"),
    Machine("6.12 lockdown=integrity", "6.12", ("auto",), "lockdown=integrity"),
    Machine("6.12 lockdown=confidentiality", "6.12", ("auto",), "lockdown=confidentiality"),
    Machine("5.10 without BTF", "5.10", ("programs", "auto", "file"), types=False),
    Machine("6.12 without BTF", "6.12", ("programs", "auto", "file"), types=False),
    Machine("6.12 without BTF lockdown=confidentiality", "6.12", ("auto", "file"),
            "lockdown=confidentiality", types=False),
    Machine("6.1 arm64", "6.1-arm64", FULL, arch="aarch64"),
    Machine("6.12 arm64", "6.12-arm64", FULL, arch="aarch64"),
    Machine("6.12 arm64 preempt=full", "6.12-arm64", ("stress",), "preempt=full", arch="aarch64"),
)
