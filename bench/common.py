# SPDX-License-Identifier: Apache-2.0
"""What the benches share: settings, bars, medians, and the clocks of processes and of the machine."""
import contextlib
import os
import pathlib
import re
import shutil
import socket
import statistics
import subprocess
import sys
import time

ROOT = pathlib.Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tests/e2e"))
from conftest import ENV  # noqa: E402

STATS = pathlib.Path("/proc/sys/kernel/bpf_stats_enabled")
missed = []


class Settings:
    """From the command line; None: each section's own."""
    rounds = None
    seconds = None
    rate_seconds = 60
    connections = 10000


@contextlib.contextmanager
def bpf_stats(value):
    before = STATS.read_text()
    STATS.write_text(value)
    try:
        yield
    finally:
        STATS.write_text(before)


def verdict(what, figure, bar, unit):
    good = figure <= bar
    if not good:
        missed.append(what)
    return f"{figure:.2f} {unit} (bar: at most {bar:g}; {'met' if good else '**missed**'})"


def spread(values, form="{:.2f}"):
    return (f"{form.format(statistics.median(values))} "
            f"({form.format(min(values))} .. {form.format(max(values))})")


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as free:
        return free.getsockname()[1]


def process_cpu(pid):
    """CPU time of all threads of a process, in seconds, by its own clock: nanoseconds, not ticks."""
    return time.clock_gettime((~pid << 3) | 2)


def machine_cpu():
    """CPU time that was not idle, of all CPUs, in seconds: ticks of 10 ms."""
    user, nice, system, _, _, irq, softirq = map(
        int, pathlib.Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:8])
    return (user + nice + system + irq + softirq) / os.sysconf("SC_CLK_TCK")


def wrk(port, seconds, connections=16, cpu=None):
    """
    {requests, rate, mean_us} of @seconds of load. The mean is by Little's law, with what wrk needs between
    an answer and its next request: the mean that wrk itself prints is "corrected" by times that it did
    not measure.
    """
    pinned = [] if cpu is None else ["taskset", "-c", str(cpu)]
    out = subprocess.run([*pinned, shutil.which("wrk"), "-t1", f"-c{connections}", f"-d{seconds}",
                          f"http://127.0.0.1:{port}/hello"], env=ENV, check=True,
                         stdout=subprocess.PIPE, text=True).stdout
    per_second = float(re.search(r"Requests/sec:\s+([\d.]+)", out)[1])
    return {"requests": int(re.search(r"(\d+) requests in", out)[1]), "rate": per_second,
            "mean_us": connections / per_second * 1e6}
