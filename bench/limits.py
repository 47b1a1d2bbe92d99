# SPDX-License-Identifier: Apache-2.0
"""sonde at the limits: the most exchanges that the machine gives, and thousands of standing connections."""
import contextlib
import json
import os
import pathlib
import re
import subprocess
import tempfile
import time

from common import Settings, free_port, missed, process_cpu, verdict
from conftest import SONDE, WORK, Report, fetch, running

# ---- the highest rate ----

CALIBRATION = 50000


def pairs(exchanges):
    """One pair in one thread on each CPU: nothing waits to be woken. What they say, and how long they took."""
    begin = time.monotonic()
    with contextlib.ExitStack() as stack:
        processes = [stack.enter_context(running("taskset", "-c", cpu, WORK / "tcp_pair", "--solo",
                                                 "--exchanges", exchanges))
                     for cpu in range(os.cpu_count())]
        for process in processes:
            assert process.process.wait() == 0, process.lines
        took = time.monotonic() - begin
        for process in processes:
            process.stop()
        return [json.loads("\n".join(process.out)) for process in processes], took


def losses(report):
    """{what: how many} of all that keeps an exchange from being in a series of its own."""
    lost = {fate: n for fate, n in report.fates("tcp").items() if fate != "aggregated"}
    for s in report.series("sonde.events.missed", sonde__probe="tcp"):
        lost[s["attributes"]["sonde.event.reason"]] = s["value"]
    for s in report.series("sonde.events.unaccounted", sonde__probe="tcp"):
        lost["unaccounted"] = s["value"]
    return lost


def at_full_rate(*argv):
    with running(SONDE, "report", "tcp", *argv) as sonde:
        sonde.wait_line("measuring")
        first, took = pairs(CALIBRATION)
        cpu = process_cpu(sonde.pid)
        said, took = pairs(int(CALIBRATION / took * Settings.rate_seconds))
        cpu = (process_cpu(sonde.pid) - cpu) / took
        assert sonde.stop() == 0, sonde.lines
        report = Report("\n".join(sonde.out))
    made = sum(one["client"]["exchange"]["count"] for one in said)
    counted = {side: sum(report.count(f"tcp.{side}.exchange.duration", "tcp_pair",
                                      server__port=one[side]["port"]) for one in said)
               for side in ("client", "server")}
    return made, took, counted, losses(report), cpu


def rate():
    print(f"### The most exchanges that the machine gives, for {Settings.rate_seconds} s: nothing is lost\n")
    print(f"tcp_pair --solo on each of {os.cpu_count()} CPUs: an exchange is counted twice, once for each "
          "end.\n")
    print("| | exchanges/s | made | counted, client | counted, server | lost or out of place | "
          "sonde's own CPU |")
    print("|---|---|---|---|---|---|---|")
    for argv in ((), ("--tcp.detail",)):
        made, took, counted, lost, cpu = at_full_rate(*argv)
        good = all(n == made for n in counted.values()) and not any(lost.values())
        if not good:
            missed.append(" ".join(("rate", *argv)))
        print(f"| {' '.join(('sonde', *argv))} | {made / took:.0f} | {made} | {counted['client']} | "
              f"{counted['server']} | {', '.join(f'{k} {v:g}' for k, v in sorted(lost.items()) if v) or '0'}"
              f"{'' if good else ' **missed**'} | {100 * cpu:.2f} % of one CPU |")
    print()


# ---- standing connections ----

EACH, EXCHANGES = 1000, 5


@contextlib.contextmanager
def standing(n, folder):
    """@n connections, 1000 to a pair of processes; yields (their ports, what begins their exchanges)."""
    go = pathlib.Path(folder) / "go"
    with contextlib.ExitStack() as stack:
        ports = []
        for first in range(0, n, EACH):
            k, port = min(EACH, n - first), free_port()
            process = stack.enter_context(running(
                "prlimit", "--nofile=4096", WORK / "tcp_pair", "--port", port, "--connections", k,
                "--exchanges", EXCHANGES, "--wait-for", go, "--hold", 600000))
            wait_until(lambda: len(os.listdir(f"/proc/{process.pid}/fd")) > k, "connections")
            ports.append(port)
        yield ports, go.touch


def wait_until(done, what):
    end = time.monotonic() + 60
    while not done():
        assert time.monotonic() < end, f"no {what} within a minute"
        time.sleep(0.1)


def counted(page_port, ports):
    """Exchanges with services at @ports, by sonde's page: (client, server)."""
    page = fetch(f"http://127.0.0.1:{page_port}/metrics")
    return tuple(sum(int(float(n)) for port, n in re.findall(
        rf'^tcp_{side}_exchange_duration_seconds_count{{[^}}]*server_port="(\d+)"[^}}]*}} (\S+)$',
        page, re.M) if int(port) in ports) for side in ("client", "server"))


SK_STORAGE = "24"  # BPF_MAP_TYPE_SK_STORAGE


def maps_of(pid):
    """{id: what the kernel says of it} of the maps that a process holds."""
    maps = {}
    with contextlib.suppress(OSError):  # it may end meanwhile
        for info in pathlib.Path(f"/proc/{pid}/fdinfo").glob("*"):
            with contextlib.suppress(OSError):
                fields = dict(re.findall(r"^(\w+):\s+(\d+)$", info.read_text(), re.M))
                if {"map_id", "map_type", "memlock"} <= fields.keys():
                    maps[fields["map_id"]] = fields
    return maps


def map_bytes(pid):
    return sum(int(fields["memlock"]) for fields in maps_of(pid).values())


def others_store(pid):
    """Whether another process keeps something in sockets too, which is charged to them as well."""
    return any(fields["map_type"] == SK_STORAGE
               for other in pathlib.Path("/proc").glob("[0-9]*") if int(other.name) != pid
               for fields in maps_of(other.name).values())


def socket_bytes():
    """What is charged to the machine's TCP sockets for storage in them: the `o` of ss, bytes."""
    out = subprocess.run(["ss", "-Htanm"], check=True, stdout=subprocess.PIPE, text=True).stdout
    return sum(map(int, re.findall(r"skmem:\([^)]*,o(\d+)", out)))


def status_mib(pid, key):
    status = pathlib.Path(f"/proc/{pid}/status").read_text()
    return int(re.search(rf"{key}:\s+(\d+)", status)[1]) / 1024


def with_connections(n, *argv):
    with tempfile.TemporaryDirectory() as folder, \
            running(SONDE, "run", "tcp", "--listen", "127.0.0.1:0", *argv) as sonde:
        port = sonde.wait_line(r":(\d+)/metrics")[1]
        empty = socket_bytes()
        with standing(n, folder) as (ports, go):
            go()
            wait_until(lambda: min(counted(port, ports)) >= n * EXCHANGES, "figures of all exchanges")
            client, server = counted(port, ports)
            return {"client": client, "server": server, "others": others_store(sonde.pid),
                    "rss": status_mib(sonde.pid, "VmRSS"), "maps": map_bytes(sonde.pid) / 2 ** 20,
                    "sockets": (socket_bytes() - empty) / 2 ** 20}


def connections():
    n = Settings.connections
    print(f"### {n} standing connections, {EXCHANGES} exchanges on each\n")
    for argv in ((), ("--tcp.detail",)):
        name = " ".join(("sonde", *argv))
        found = with_connections(n, *argv)
        exact = found["client"] == found["server"] == n * EXCHANGES
        if not exact:
            missed.append(f"{name}, {n} connections: exchanges counted")
        print(f"- {name}: {n * EXCHANGES} exchanges made, {found['client']} counted at the client, "
              f"{found['server']} at the server{'' if exact else ' **missed**'}")
        print(f"  - resident memory: {verdict(f'{name}, RSS', found['rss'], 18, 'MiB')}")
        memory = found["maps"] + found["sockets"]
        # The bar is of what everybody has; details are asked for, and shown.
        kernel = f"{memory:.2f} MiB" if argv else verdict(f"{name}, maps", memory, 16, "MiB")
        print(f"  - memory in the kernel: {kernel}: maps "
              f"{found['maps']:.2f} MiB, and {found['sockets']:.2f} MiB in {2 * n} sockets, "
              f"{found['sockets'] * 2 ** 20 / 2 / n:.0f} bytes each"
              f"{', others than sonde in them: run it alone' if found['others'] else ''}")
    print()
