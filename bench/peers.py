# SPDX-License-Identifier: Apache-2.0
"""sonde beside other ways to watch TCP: what each costs two servers, and what it knows of their requests.

Each tool's run stands between two runs without any, and is compared with their mean: what the machine
does otherwise changes slowly, and so falls out. The server has CPU 0, the load CPU 1, the tool what is left.
"""
import contextlib
import os
import pathlib
import re
import shutil
import statistics
import subprocess
import tempfile
import time

from common import ENV, ROOT, Settings, free_port, machine_cpu, process_cpu, spread, wrk
from conftest import SONDE, Report, running
from nginx import nginx_server, nginx_worker

ROUNDS, SECONDS = 15, 2
LIBBPF_TOOLS = ROOT / ".deps/test/libbpf-tools/usr/sbin"
REDIS = ROOT / ".deps/test/redis"

# ---- loads: a server, and {requests, rate, mean_us} of what one run asked of it ----


@contextlib.contextmanager
def nginx_load(seconds):
    with tempfile.TemporaryDirectory() as folder, \
            nginx_server(pathlib.Path(folder), log=False) as (port, server):
        worker = nginx_worker(server)
        os.sched_setaffinity(worker, {0})
        yield port, worker, lambda: wrk(port, seconds, cpu=1)


def redis_benchmark(port, requests):
    out = subprocess.run(["taskset", "-c", "1", REDIS / "usr/bin/redis-benchmark", "-p", str(port), "-t",
                          "get", "-c", "20", "-n", str(requests), "--csv"], env=redis_env(), check=True,
                         stdout=subprocess.PIPE, text=True).stdout
    rate, mean_ms = re.search(r'^"GET","([\d.]+)","([\d.]+)"', out, re.M).groups()
    return {"requests": requests, "rate": float(rate), "mean_us": float(mean_ms) * 1e3}


def redis_env():
    libraries = ":".join(sorted({str(p.parent) for p in REDIS.glob("usr/lib/*/lib*.so*")}))
    return {**ENV, "LD_LIBRARY_PATH": libraries}


@contextlib.contextmanager
def redis_load(seconds):
    port = free_port()
    with tempfile.TemporaryDirectory() as folder, \
            running(REDIS / "usr/bin/redis-server", "--port", port, "--bind", "127.0.0.1", "--save", "",
                    "--appendonly", "no", "--dir", folder, env=redis_env()) as server:
        server.wait_line("Ready to accept connections", where=server.out)
        os.sched_setaffinity(server.pid, {0})
        # It takes a number of requests, not a time.
        requests = max(int(redis_benchmark(port, 20000)["rate"] * seconds), 1000)
        yield port, server.pid, lambda: redis_benchmark(port, requests)


LOADS = {"nginx (1 worker, 1 KiB), wrk -t1 -c16": (nginx_load, "wrk"),
         "redis-server, redis-benchmark -t get -c 20": (redis_load, "redis-benchmark")}

# ---- tools: attached while the block runs; yields what gives, at the end, what the tool says ----


@contextlib.contextmanager
def sonde(*argv):
    with running(SONDE, "report", "tcp", *argv) as process:
        process.wait_line("measuring")

        def finish():
            assert process.stop() == 0, process.lines
            return Report("\n".join(process.out))
        yield finish


def attached(pid):
    """Descriptors by which programs hang on the kernel."""
    count = 0
    for fd in pathlib.Path(f"/proc/{pid}/fd").glob("*"):
        with contextlib.suppress(OSError):
            count += os.readlink(fd) in ("anon_inode:[perf_event]", "anon_inode:bpf_link")
    return count


def wait_attached(process):
    """Peers do not say when they are there: until what they hold has not grown for half a second."""
    before, since, end = 0, time.monotonic(), time.monotonic() + 30
    while not before or time.monotonic() - since < 0.5:
        assert process.process.poll() is None, process.lines
        assert time.monotonic() < end, "it attached nothing in 30 s"
        now = attached(process.pid)
        if now != before:
            before, since = now, time.monotonic()
        time.sleep(0.05)


@contextlib.contextmanager
def peer(*argv):
    """In a mount namespace with tracefs, which they need and not every machine has mounted."""
    script = 'mount -t tracefs tracefs /sys/kernel/tracing; exec "$0" "$@"'
    with running("unshare", "--mount", "sh", "-c", script, *argv) as process:
        wait_attached(process)

        def finish():
            process.stop()
            return process.out
        yield finish


@contextlib.contextmanager
def empty():
    with running(ROOT / "build/bench/empty_hold") as process:
        process.wait_line("attached", where=process.out)
        yield process.stop


# ---- truth: what a tool says of the requests, as (counted, mean in us, in words) ----


def sonde_says(report, port, _):
    client, server = (report.one(f"tcp.{side}.exchange.duration", server__port=port)
                      for side in ("client", "server"))
    report.check_account()
    return (client["count"], client["sum_us"] / client["count"],
            f"{server['count']} at the server, mean {server['sum_us'] / server['count']:.1f} us there")


def bpftrace_says(lines, _, client):
    found = re.search(rf"@ns\[{client}\w*\]: count (\d+), average (\d+)", "\n".join(lines))
    return int(found[1]), int(found[2]) / 1e3, "by program; no service, peer or quantile"


def lines_with_port(what):
    def says(lines, port, _):
        return None, None, f"{sum(str(port) in line.split() for line in lines)} {what}; no requests"
    return says


def nothing(*_):
    return None, None, "nothing"


# name: (context manager, its arguments, what it says)
TOOLS = {
    "three empty programs": (empty, (), nothing),
    "sonde": (sonde, (), sonde_says),
    "sonde --tcp.detail": (sonde, ("--tcp.detail",), sonde_says),
    "tcplife": (peer, (LIBBPF_TOOLS / "tcplife",), lines_with_port("ends of connections")),
    "tcpstates": (peer, (LIBBPF_TOOLS / "tcpstates",), lines_with_port("changes of state")),
    "bpftrace, send to receive": (peer, ("bpftrace", "-q", ROOT / "bench/send_receive.bt"),
                                  bpftrace_says),
}

# ---- measuring ----


def one_run(pid, ask):
    machine, server = machine_cpu(), process_cpu(pid)
    run = ask()
    run["server_us"] = (process_cpu(pid) - server) / run["requests"] * 1e6
    run["machine_us"] = (machine_cpu() - machine) / run["requests"] * 1e6
    return run


FIGURES = ("server_us", "machine_us", "rate")


def ratios(run, before, after):
    return {f: run[f] / statistics.mean((before[f], after[f])) for f in FIGURES}


def with_tool(name, port, pid, ask, client):
    open_, argv, says = TOOLS[name]
    with open_(*argv) as finish:
        run = one_run(pid, ask)
        said = finish()
    run["counted"], run["said_us"], run["words"] = says(said, port, client)
    return run


def in_turns(port, pid, ask, client):
    """([runs without], {tool: [(run, its ratios)]}); every round begins with another tool."""
    rounds, names = Settings.rounds or ROUNDS, list(TOOLS)
    without, results = [one_run(pid, ask)], {name: [] for name in names}
    for i in range(rounds):
        for name in names[i % len(names):] + names[:i % len(names)]:
            run = with_tool(name, port, pid, ask, client)
            without.append(one_run(pid, ask))
            results[name].append((run, ratios(run, *without[-2:])))
    return without, results


# ---- tables ----


def print_costs(without, results):
    print("| | CPU of the server per request | CPU of the machine per request | requests/s |")
    print("|---|---|---|---|")
    forms = {"server_us": ("{:.2f}", " us"), "machine_us": ("{:.2f}", " us"), "rate": ("{:.0f}", "")}
    print("| without | " + " | ".join(spread([run[f] for run in without], forms[f][0]) + forms[f][1]
                                      for f in FIGURES) + " |")
    for name, runs in results.items():
        print(f"| {name} | " + " | ".join("x " + spread([ratio[f] for _, ratio in runs], "{:.3f}")
                                          for f in FIGURES) + " |")
    print()


def print_truth(results, client):
    print(f"| | requests counted / made | its mean / {client}'s own | the last run: it says |")
    print("|---|---|---|---|")
    for name, runs in results.items():
        counted = [run["counted"] / run["requests"] for run, _ in runs if run["counted"] is not None]
        mean = [run["said_us"] / run["mean_us"] for run, _ in runs if run["said_us"] is not None]
        last = runs[-1][0]
        says = last["words"] if last["counted"] is None else (
            f"{last['counted']} of {last['requests']} requests, mean {last['said_us']:.1f} us where "
            f"{client} says {last['mean_us']:.1f}; {last['words']}")
        print(f"| {name} | {spread(counted, '{:.6f}') if counted else 'none'} | "
              f"{spread(mean, '{:.3f}') if mean else 'none'} | {says} |")
    print()


def missing():
    """What is not here, in words, or None."""
    for program in (LIBBPF_TOOLS / "tcplife", REDIS / "usr/bin/redis-server", "bpftrace", "unshare"):
        if not shutil.which(program):
            return f"{pathlib.Path(program).name} is not here: run tools/packages test"
    return "it takes two CPUs" if os.cpu_count() < 2 else None


def peers():
    print("### Beside other tools: what they cost, and what they know\n")
    reason = missing()
    if reason:
        print(f"Not measured: {reason}.\n")
        return
    subprocess.run(["ninja", "-C", ROOT / "build", "bench/empty_hold"], check=True,
                   stdout=subprocess.DEVNULL)
    print(f"{Settings.rounds or ROUNDS} pairs of {Settings.seconds or SECONDS} s for each tool: medians "
          "of the ratios to the mean of the two runs without that stand before and behind, their spread "
          "in parentheses. Server on CPU 0, load on CPU 1.\n")
    print("When wrk ends, a request of each connection is under way: the server answers 16 that wrk does "
          "not count. redis-benchmark asks for the server's configuration first, and does not count that. "
          "wrk's own mean is connections / rate.\n")
    for title, (load, client) in LOADS.items():
        print(f"#### {title}\n")
        with load(Settings.seconds or SECONDS) as (port, pid, ask):
            ask()
            without, results = in_turns(port, pid, ask, client)
        print_costs(without, results)
        print_truth(results, client)
