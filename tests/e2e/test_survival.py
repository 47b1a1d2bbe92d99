# SPDX-License-Identifier: Apache-2.0
"""However sonde ends, nothing of it stays; and two of it are both right.

How long things took is told (build/check/survival.txt), and never decides: what is waited for comes
within seconds, or not at all. Another agent may run on the machine, and probes the servers here too:
what it holds is told apart from what nobody holds.
"""
import collections
import contextlib
import json
import os
import pathlib
import random
import re
import shutil
import signal
import socket
import subprocess
import threading
import time

import pytest

from conftest import (ENV, GO_VERSIONS, SONDE, WORK, Report, fetch, go_server, http_get, measuring,
                      running, tcp_pair)
from traces import (BREAKPOINT, FIGURES, Text, is_probed, left_behind, note, probed_files, quantiles,
                    wait_until)

HTTP = "http.server.request.duration"
OLDEST, NEWEST = GO_VERSIONS[0], GO_VERSIONS[-1]
KILLS = 100
MOMENTS = ("starting", "attaching", "attached")


@pytest.fixture(scope="module", autouse=True)
def figures():
    FIGURES.unlink(missing_ok=True)


class Target:
    """A Go server, and what can be seen of breakpoints in it."""

    def __init__(self, version, process, port):
        self.name, self.process, self.port = f"gohttp-{version}", process, port
        self.exe = WORK / self.name
        self.text = Text(process.pid, self.exe)
        plan = json.loads(subprocess.run([SONDE, "plan", "--pid", str(process.pid), "--json"],
                                         check=True, env=ENV, stdout=subprocess.PIPE).stdout)
        (entry,) = plan["plan"]
        self.sites = [site["file_offset"] for site in entry["sites"]]
        assert len(self.sites) == 2

    def breakpoints(self):
        return self.text.breakpoints(self.sites)

    def served(self):
        return json.loads(fetch(f"http://127.0.0.1:{self.port}/stats"))["requests"]


@contextlib.contextmanager
def targets(*versions):
    with contextlib.ExitStack() as stack:
        yield [Target(version, *stack.enter_context(go_server(version))) for version in versions]


class Load:
    """Work that goes on in a thread until it is stopped; how much of it there was."""

    def __init__(self, turn):
        self.total, self.error = 0, None
        self._turn, self._stop = turn, threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self):
        try:
            while not self._stop.is_set():
                self.total += self._turn()
        except Exception as error:  # told by stop(), in the thread of the test
            self.error = error

    def stop(self):
        self._stop.set()
        self._thread.join(60)
        assert not self._thread.is_alive() and self.error is None, self.error
        return self.total


def requests(target, path, n):
    """One turn of load; an answer that is not there, or another, is an error of http_get's."""
    got = http_get(target.port, "-c", 8, "-n", n, path)
    assert got["status"] == {"200": n}
    return n


def exchanges(n):
    own = tcp_pair("--exchanges", n, "--delay", 200)
    assert own["client"]["exchange"]["count"] == own["server"]["residence"]["count"] == n
    return n


@contextlib.contextmanager
def under_load(servers):
    """All the while requests and exchanges, each of which is answered, or the test fails."""
    loads = [Load(lambda: requests(servers[0], "/sleep/1", 200)),
             Load(lambda: requests(servers[1], "/hello", 2000)),
             Load(lambda: exchanges(500))]
    try:
        yield
    finally:
        totals = [load.stop() for load in loads]
    for server, total in zip(servers, totals):
        assert server.served() == total > 0
        assert server.process.process.poll() is None and server.process.lines == []
    note(f"load meanwhile: {totals[0]} and {totals[1]} requests, {totals[2]} exchanges; no error")


def strays(servers):
    """Breakpoints, and other changes of text, that are no living agent's."""
    return [server.text.strays(server.sites) for server in servers]


def check_nothing_left(servers, began):
    """The seconds since @began at which no breakpoint was left, and at which nothing was."""
    took = []
    wait_until(lambda: not any(strays(servers)), told=lambda: strays(servers))
    took.append(time.monotonic() - began)
    wait_until(lambda: not left_behind(), told=left_behind)
    took.append(time.monotonic() - began)
    return took


def complaints(agent):
    """What it said, but for other programs of the machine that cannot be probed."""
    return [line for line in agent.lines if "figures are at" not in line
            and " is not probed: " not in line]


def check_attached(servers):
    """All sites hold a breakpoint, and no other byte is touched: so they can be seen."""
    for server in servers:
        assert server.text.changes() == {site: BREAKPOINT for site in server.sites}


def count(servers):
    return sum(server.breakpoints() for server in servers)


def end_at(agent, moment, servers, chance):
    """Waits for a moment of a start; how many breakpoints there were then."""
    everything = sum(len(server.sites) for server in servers)
    if moment == "starting":
        time.sleep(chance.uniform(0, 0.3))
    elif moment == "attaching":
        wait_until(lambda: count(servers), pause=0)
        time.sleep(chance.uniform(0, 0.02))
    else:
        wait_until(lambda: count(servers) == everything)
        check_attached(servers)
        time.sleep(chance.uniform(0, 0.05))
    assert agent.process.poll() is None, agent.lines
    return count(servers)


def check_measures(servers):
    """A normal start is right, whatever went before."""
    with measuring() as finish:
        for server in servers:
            requests(server, "/hello", 300)
        own = tcp_pair("--exchanges", 200)
        report = finish()
    for server in servers:
        assert report.count(HTTP, server.name) == 300
    for side in ("client", "server"):
        assert report.count(f"tcp.{side}.exchange.duration", "tcp_pair",
                            server__port=own["client"]["port"]) == 200


def test_killed_under_load():
    """SIGKILL at any moment of its life: the kernel takes all of it away, and no target notices."""
    chance = random.Random(100)
    took, placed = {moment: [] for moment in MOMENTS}, collections.Counter()
    with targets(OLDEST, NEWEST) as servers:
        check_nothing_left(servers, time.monotonic())
        with under_load(servers):
            for i in range(KILLS):
                moment = MOMENTS[i % 3]
                with running(SONDE, "run", "--listen", "127.0.0.1:0") as agent:
                    placed[end_at(agent, moment, servers, chance)] += 1
                    began = time.monotonic()
                    agent.stop(signal.SIGKILL)
                    took[moment].append(check_nothing_left(servers, began))
        check_measures(servers)
        check_nothing_left(servers, time.monotonic())
    note("killed with so many breakpoints in place: "
         + ", ".join(f"{n}: {placed[n]} times" for n in sorted(placed)))
    for moment in MOMENTS:
        for what, seconds in zip(("no breakpoint", "nothing"), zip(*took[moment])):
            quantiles(f"from SIGKILL, {moment}, under load until {what} was left", seconds)


@pytest.mark.parametrize("sig", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_stopped_it_takes_everything_along(sig):
    """In good order: no breakpoint is left when it has ended, not some time later."""
    chance = random.Random(sig)
    ended, gone = [], []
    with targets(OLDEST, NEWEST) as servers:
        for i in range(9):
            moment = MOMENTS[i % 3]
            with running(SONDE, "run", "--listen", "127.0.0.1:0") as agent:
                end_at(agent, moment, servers, chance)
                began = time.monotonic()
                status = agent.stop(sig)
                ended.append(time.monotonic() - began)
                # Before it has its handlers, a signal ends it as it ends any other program.
                killed = moment == "starting" or sig == signal.SIGKILL
                assert status == 0 or (killed and status == -sig)
                assert status != 0 or not any(strays(servers))
                assert not complaints(agent)
                gone.append(check_nothing_left(servers, began)[1])
    quantiles(f"from {sig.name} to the end of sonde", ended)
    quantiles(f"from {sig.name} until nothing was left", gone)


@pytest.mark.parametrize("sig", [signal.SIGINT, signal.SIGKILL])
def test_many_programs_are_left_together(sig, tmp_path):
    """Each link waits for the kernel when it goes; in good order they wait at the same time."""
    n = 40
    with contextlib.ExitStack() as stack:
        agent = stack.enter_context(running(SONDE, "run", "--listen", "127.0.0.1:0"))
        files = [tmp_path / f"shop-{i}" for i in range(n)]
        texts = []
        for file in files:
            shutil.copy(WORK / f"gohttp-{NEWEST}", file)
            server, _ = stack.enter_context(go_server(None, exe=file))
            texts.append(Text(server.pid, file))
        wait_until(lambda: all(probed_files(agent.pid)[str(file)] == 1 for file in files), pause=0.1)
        assert all(len(text.changes()) == 2 for text in texts)
        began = time.monotonic()
        assert agent.stop(sig) == (0 if sig == signal.SIGINT else -sig)
        note(f"from {sig.name} to the end of sonde with {n} programs probed:"
             f" {1000 * (time.monotonic() - began):.0f} ms")
        assert not any(text.changes() and not is_probed(text.exe) for text in texts)
        wait_until(lambda: not left_behind(), told=left_behind)


def test_started_again_while_the_kernel_tidies_up():
    """What is left of the one before for some milliseconds is in no figure of the next."""
    with targets(OLDEST, NEWEST) as servers:
        for _ in range(8):
            with running(SONDE, "run", "--listen", "127.0.0.1:0") as agent:
                wait_until(lambda: count(servers) == 4)
                agent.stop(signal.SIGKILL)
            check_measures(servers)
        check_nothing_left(servers, time.monotonic())


def test_commands_that_end_leave_nothing():
    ended, gone = [], []
    with targets(NEWEST) as servers:
        for argv in (["doctor"], ["plan"], ["report", "--duration", "100ms"]) * 5:
            began = time.monotonic()
            subprocess.run([SONDE, *argv], check=True, env=ENV, stdout=subprocess.DEVNULL,
                           stderr=subprocess.DEVNULL)
            if argv == ["doctor"]:
                ended.append(time.monotonic() - began)
            began = time.monotonic()
            gone.append(check_nothing_left(servers, began)[1])
    quantiles("sonde doctor, from start to end", ended)
    quantiles("from the end of a command until nothing was left", gone)


def helpers_of(pid):
    """The processes that a process, by any of its threads, has forked."""
    return [int(child) for task in pathlib.Path(f"/proc/{pid}/task").iterdir()
            for child in (task / "children").read_text().split()]


def wait_probing(agent, servers):
    """Until an agent has attached both its programs to each server's file, and is at rest."""
    agent.wait_line("figures are at")
    wait_until(lambda: all(probed_files(agent.pid)[str(server.exe)] == 1 for server in servers),
               told=lambda: probed_files(agent.pid))


def sample(sonde, name, **labels):
    """The sum of the samples of a Prometheus name whose labels have these values."""
    port = sonde.wait_line(r"figures are at http://127\.0\.0\.1:(\d+)/metrics")[1]
    return sum(float(line.rsplit(" ", 1)[1])
               for line in fetch(f"http://127.0.0.1:{port}/metrics").splitlines()
               if line.startswith(name + "{")
               and all(f'{key}="{value}"' in line for key, value in labels.items()))


def served(sonde, server):
    return sample(sonde, "http_server_request_duration_seconds_count", service_name=server.name)


def exchanged(sonde, own):
    return [sample(sonde, f"tcp_{side}_exchange_duration_seconds_count", service_name="tcp_pair",
                   server_port=own["client"]["port"]) for side in ("client", "server")]


def test_two_agents_see_the_same():
    """Both count every request; when one dies, the other's probes are still in place."""
    run = (SONDE, "run", "--listen", "127.0.0.1:0")
    for sig in (signal.SIGKILL, signal.SIGINT):
        with targets(OLDEST, NEWEST) as servers, running(*run) as one, running(*run) as other:
            for agent in (one, other):
                wait_probing(agent, servers)
            for server in servers:
                requests(server, "/hello", 300)
            own = tcp_pair("--exchanges", 100)
            for agent in (one, other):
                assert [served(agent, server) for server in servers] == [300, 300]
                assert exchanged(agent, own) == [100, 100]
            one.stop(sig)
            wait_until(lambda: not left_behind(), told=left_behind)
            check_attached(servers)
            for server in servers:
                requests(server, "/hello", 50)
            own = tcp_pair("--exchanges", 70)
            assert [served(other, server) for server in servers] == [350, 350]
            assert exchanged(other, own) == [70, 70]
            check_attached(servers)
            assert other.stop() == 0
            check_nothing_left(servers, time.monotonic())


def test_run_and_report_at_once():
    """A report of HTTP alone beside an agent that measures everything."""
    with targets(OLDEST, NEWEST) as servers, \
            running(SONDE, "run", "--listen", "127.0.0.1:0") as agent:
        wait_probing(agent, servers)
        for server in servers:
            requests(server, "/hello", 40)
        with measuring("http") as finish:
            for server in servers:
                requests(server, "/hello", 200)
            report = finish()
        for server in servers:
            assert report.count(HTTP, server.name) == 200
            requests(server, "/hello", 60)
            assert served(agent, server) == 300
        assert not report.series("tcp.client.exchange.duration")


def test_the_default_port_of_a_second_agent():
    """Two started in the same way: the second says in a sentence what is wrong and what to do."""
    with contextlib.ExitStack() as stack:
        with contextlib.suppress(OSError):  # as good when somebody else has it
            stack.enter_context(socket.create_server(("127.0.0.1", 9477)))
        second = subprocess.run([SONDE, "run"], env=ENV, stdout=subprocess.PIPE, text=True,
                                stderr=subprocess.PIPE, timeout=30)
    assert (second.returncode, second.stdout) == (1, "")
    assert re.fullmatch(r"sonde: error: 127\.0\.0\.1:9477 is taken by another program:"
                        r" choose another with --listen .*\n", second.stderr)


def descriptors(agent):
    """What an agent holds, by kind, but for links: other programs of the machine have theirs."""
    names = collections.Counter()
    for fd in pathlib.Path(f"/proc/{agent.pid}/fd").iterdir():
        with contextlib.suppress(OSError):
            names[re.sub(r"\d+", "N", str(fd.readlink()))] += 1
    del names["anon_inode:bpf_link"]
    return names


def test_programs_that_end_while_they_are_attached_to(tmp_path):
    """Each is a file of its own, so that each is read and attached to; none lives for long."""
    chance = random.Random(200)
    files = []
    with targets(OLDEST, NEWEST) as servers, \
            running(SONDE, "run", "--listen", "127.0.0.1:0") as agent:
        wait_probing(agent, servers)
        time.sleep(1)  # the walk that found them is over, and has closed what it opened
        before = descriptors(agent)
        most = 0

        def short_lived():
            return [path for path in probed_files(agent.pid) if path.startswith(str(tmp_path))]

        for i in range(200):
            exe, other = (tmp_path / f"{name}-{i}" for name in ("first", "second"))
            shutil.copy(WORK / chance.choice([s.name for s in servers]), exe)
            argv = [exe, "-life", f"{chance.uniform(0.1, 60):.1f}ms"]
            if i % 2:
                shutil.copy(WORK / servers[-1].name, other)
                argv += [other, "-life", f"{chance.uniform(0.1, 30):.1f}ms"]
            with running(*argv) as program:
                assert program.process.wait(30) == 0, program.lines
            for file in (exe, other):
                file.unlink(missing_ok=True)
            most = max(most, len(short_lived()))
        assert most > 0  # some lived long enough to be attached to
        note(f"300 programs of short life: up to {most} of them probed at once")
        settled = wait_until(lambda: not short_lived() and descriptors(agent) == before, timeout=60,
                             pause=0.1, told=lambda: (before, descriptors(agent), short_lived()))
        note(f"let go of all of them {settled:.1f} s later")
        check_attached(servers)
        for server in servers:
            requests(server, "/hello", 100)
        assert [served(agent, server) for server in servers] == [100, 100]
        assert agent.stop() == 0 and not complaints(agent), agent.lines
        check_nothing_left(servers, time.monotonic())


def helper_of(agent):
    """The process that reads executables for an agent, which any of its threads may have started."""
    (helper,) = [int(child) for task in pathlib.Path(f"/proc/{agent.pid}/task").iterdir()
                 for child in (task / "children").read_text().split()]
    return helper


def status_of(pid):
    text = pathlib.Path(f"/proc/{pid}/status").read_text()
    return dict(line.split(":\t", 1) for line in text.splitlines())


@pytest.mark.parametrize("sig", [signal.SIGKILL, signal.SIGSTOP])
def test_the_reader_of_executables_is_started_again(sig, tmp_path):
    """By exec, with nothing of the agent's in its memory, its descriptors or its rights."""
    with running(SONDE, "run", "--listen", "127.0.0.1:0",
                 env={"OTEL_EXPORTER_OTLP_HEADERS": "key=secret"}) as agent:
        with targets(OLDEST) as servers:
            wait_probing(agent, servers)
        first = helper_of(agent)
        os.kill(first, sig)
        with targets(NEWEST) as servers:
            wait_probing(agent, servers)
            agent.wait_line("reads foreign files .*: it was started again")
            again = helper_of(agent)
            assert again != first and not pathlib.Path(f"/proc/{first}").exists()
            status = status_of(again)
            assert int(status["CapPrm"], 16) == int(status["CapEff"], 16) == 0
            assert int(status["NoNewPrivs"]) == 1
            # Two more while it has a file to read, and a child that reads it.
            wait_until(lambda: len(os.listdir(f"/proc/{again}/fd")) == 4)
            assert pathlib.Path(f"/proc/{again}/environ").read_bytes() == b""
            assert "bpf" not in pathlib.Path(f"/proc/{again}/maps").read_text()
            requests(servers[0], "/hello", 20)
            assert served(agent, servers[0]) == 20
        # It ends with the agent, as the first one does.
        agent.stop(signal.SIGKILL)
        wait_until(lambda: not pathlib.Path(f"/proc/{again}").exists())


def test_a_reader_that_is_always_ended_is_not_started_for_ever(tmp_path):
    """Three times a minute; the fourth program waits, and a person is told once."""
    with running(SONDE, "run", "--listen", "127.0.0.1:0") as agent:
        with targets(OLDEST) as servers:
            wait_probing(agent, servers)
        for i in range(4):
            os.kill(helper_of(agent), signal.SIGKILL)
            exe = tmp_path / f"shop-{i}"
            shutil.copy(WORK / f"gohttp-{NEWEST}", exe)
            with go_server(None, exe=exe):
                if i < 3:
                    wait_until(lambda: probed_files(agent.pid)[str(exe)] == 1)
                else:
                    agent.wait_line("is not started again for a minute")
                    assert probed_files(agent.pid)[str(exe)] == 0
        assert len([line for line in agent.lines if "was started again" in line]) == 3
        assert len([line for line in agent.lines if "for a minute" in line]) == 1
        assert agent.stop() == 0
