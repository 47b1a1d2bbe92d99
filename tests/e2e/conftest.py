# SPDX-License-Identifier: Apache-2.0
"""What the end-to-end tests share: sonde itself, and the programs that it is pointed at.

Everything runs for real and on loopback: no part is replaced by a stand-in. Counts are exact; times
are compared only as bounds that hold whatever the machine does (a part is not longer than the whole).
"""
import contextlib
import json
import os
import pathlib
import re
import signal
import subprocess
import threading
import time
import urllib.request

import jsonschema
import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
SONDE = ROOT / "build/sonde"
WORK = ROOT / "build/work"
GO_VERSIONS = sorted(path.name.split("-")[1] for path in (ROOT / ".deps/test").glob("go-*"))

MAX_CONNECTIONS = 10000  # that a report lists
SCHEMA = jsonschema.Draft202012Validator(json.loads((ROOT / "docs/report.schema.json").read_text()))

# Emptied, as sudo does: what a test wants of the environment it says.
ENV = {"PATH": os.environ["PATH"], "LANG": "C.UTF-8"}


def pytest_configure(config):
    if os.geteuid() != 0:
        pytest.exit("the end-to-end tests load BPF programs: run them as root", returncode=1)


@pytest.fixture(autouse=True)
def bounded():
    """A peer that never comes is a failure, not a test that never ends."""
    def over(*_):
        raise TimeoutError("the test took more than two minutes")
    signal.signal(signal.SIGALRM, over)
    signal.alarm(120)
    yield
    signal.alarm(0)


@pytest.fixture(scope="session", autouse=True)
def work():
    subprocess.run([ROOT / "tests/work/build"], check=True)


def default_signals():
    """A background job of a script ignores Ctrl-C, and so would its children."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


class Process:
    """A child whose lines of standard error are read as they come."""

    def __init__(self, *argv, env=None, cwd=None):
        self.process = subprocess.Popen([str(a) for a in argv], env={**ENV, **(env or {})}, cwd=cwd,
                                        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                        stderr=subprocess.PIPE, text=True,
                                        preexec_fn=default_signals)
        self.pid = self.process.pid
        self.lines = []
        self.out = []
        self._changed = threading.Condition()
        self._threads = [threading.Thread(target=self._read, args=args, daemon=True)
                         for args in ((self.process.stderr, self.lines),
                                      (self.process.stdout, self.out))]
        for thread in self._threads:
            thread.start()

    def _read(self, pipe, lines):
        for line in pipe:
            with self._changed:
                lines.append(line.rstrip("\n"))
                self._changed.notify_all()

    def wait_line(self, pattern, timeout=30, where=None):
        """The first line of standard error (or of @where) that matches."""
        lines = self.lines if where is None else where
        end = time.monotonic() + timeout
        with self._changed:
            while True:
                for line in lines:
                    found = re.search(pattern, line)
                    if found:
                        return found
                if time.monotonic() > end or self.process.poll() is not None:
                    raise AssertionError(f"no line like {pattern!r} in {lines}")
                self._changed.wait(0.1)

    def stop(self, sig=signal.SIGINT, timeout=30):
        """Ends it, if it still runs; its exit status."""
        if self.process.poll() is None:
            self.process.send_signal(sig)
        status = self.process.wait(timeout)
        for thread in self._threads:
            thread.join(5)
        return status


@contextlib.contextmanager
def running(*argv, **kwargs):
    process = Process(*argv, **kwargs)
    try:
        yield process
    finally:
        process.stop(signal.SIGKILL)


def not_a_number(text):
    raise ValueError(f"{text} is not JSON")


class Report:
    """A document of `sonde report`, held to its schema and to the sums that it promises."""

    def __init__(self, text, by_process=False):
        self.document = json.loads(text, parse_constant=not_a_number)
        self.by_process = by_process
        SCHEMA.validate(self.document)
        self.check_sums()

    def check_sums(self):
        if "total_events" not in self.document:
            return
        total = self.document["total_events"]
        counts = {f"{side}_exchange": self.count(f"tcp.{side}.exchange.duration")
                  for side in ("client", "server")}
        assert self.document["event_type_breakdown"] == counts
        assert sum(counts.values()) == total
        # A socket that a chosen process left to another is not among the connections.
        told = sum(self.document["histogram"].values())
        assert told <= total if self.by_process else told == total
        omitted, listed = self.document["connections_omitted"], self.connections()
        assert sum(c["events"] for c in listed) + omitted["events"] == total
        if omitted["count"]:
            assert sum(c["sockets"] for c in listed) == MAX_CONNECTIONS
        else:
            assert omitted["events"] == total - told
        for side in ("client", "server"):
            of_side = sum(c["events"] for c in listed if c["role"] == side)
            assert 0 <= counts[f"{side}_exchange"] - of_side <= omitted["events"]

    def connections(self, **wanted):
        return [c for c in self.document["connections"].values()
                if all(c[key] == value for key, value in wanted.items())]

    def series(self, metric, service=None, **attributes):
        want = {key.replace("__", "."): value for key, value in attributes.items()}
        return [s for m in self.document["metrics"] if m["name"] == metric for s in m["series"]
                if service in (None, s["service"])
                and all(s["attributes"].get(k) == v for k, v in want.items())]

    def connections_at(self, end, port):
        """The entries whose source or destination has this port."""
        return [c for c in self.connections() if c[end].endswith(f":{port}")]

    def one(self, metric, service=None, **attributes):
        found = self.series(metric, service, **attributes)
        assert len(found) == 1, f"{metric} {service} {attributes}: {found}"
        return found[0]

    def count(self, metric, service=None, **attributes):
        return sum(s["count"] for s in self.series(metric, service, **attributes))

    def value(self, metric, service=None, **attributes):
        return sum(s["value"] for s in self.series(metric, service, **attributes))

    def fates(self, probe):
        return {s["attributes"]["sonde.event.fate"]: s["value"]
                for s in self.series("sonde.events", sonde__probe=probe)}

    def check_account(self):
        """Nothing is lost without a count, and nothing at all is lost."""
        for s in self.series("sonde.events.unaccounted"):
            assert s["value"] == 0, s
        for s in self.series("sonde.events"):
            if s["attributes"]["sonde.event.fate"].startswith("dropped"):
                assert s["value"] == 0, s


@contextlib.contextmanager
def measuring(*argv, **kwargs):
    """`sonde report` around a block; yields a function that ends it and gives its Report."""
    with running(SONDE, "report", *argv, **kwargs) as sonde:
        sonde.wait_line("measuring")

        def finish(sig=signal.SIGINT):
            status = sonde.stop(sig)
            assert status == 0, sonde.lines
            report = Report("\n".join(sonde.out), by_process=bool(
                {"--pid", "--command", "--service", "--container", "--cgroup"} & set(argv)))
            report.check_account()
            return report

        yield finish


def tcp_pair(*argv):
    """Runs a pair of TCP programs to its end; what both measured themselves."""
    return json.loads(subprocess.run([WORK / "tcp_pair", *map(str, argv)], check=True, env=ENV,
                                     stdout=subprocess.PIPE, timeout=60).stdout)


@contextlib.contextmanager
def go_server(version, *argv, service=None, exe=None):
    """A Go server of tests/work/gohttp; yields (process, port)."""
    env = {"OTEL_SERVICE_NAME": service} if service else {}
    with running(exe or WORK / f"gohttp-{version}", *argv, env=env) as server:
        port = int(server.wait_line(r"listening on 127\.0\.0\.1:(\d+)", where=server.out)[1])
        yield server, port


def http_get(port, *argv):
    """Requests to a server of ours; counts by status, as the client saw them."""
    return json.loads(subprocess.run([WORK / "http_get", *map(str, argv[:-1]), "127.0.0.1",
                                      str(port), argv[-1]], check=True, env=ENV,
                                     stdout=subprocess.PIPE, timeout=60).stdout)


def fetch(url, **headers):
    with urllib.request.urlopen(urllib.request.Request(url, headers=headers), timeout=10) as answer:
        return answer.read().decode()


def cpu_seconds(pid):
    fields = (pathlib.Path("/proc") / str(pid) / "stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
