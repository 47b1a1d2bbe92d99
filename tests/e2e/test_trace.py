# SPDX-License-Identifier: Apache-2.0
"""`sonde trace` against sockets whose every exchange is known, each with the clock of its owner."""
import contextlib
import errno
import json
import os
import re
import signal
import socket
import subprocess
import time

import pytest

from conftest import ENV, SONDE, WORK, default_signals, running, tcp_pair
from pairs import ABORT, Pair, listener


class Traced:
    """Lines of a trace, read as they come; parsed when it is over."""

    def __init__(self, process):
        self.process = process
        self.status = None

    def stop(self, sig=signal.SIGINT):
        self.status = self.process.stop(sig)
        assert self.status == 0, self.process.lines
        assert not [line for line in self.process.lines if "error" in line]
        return [json.loads(line) for line in self.process.out]


@contextlib.contextmanager
def tracing(*argv, only=None, **kwargs):
    """`sonde trace`; of this listener's connections alone, so that nobody else's crowd them out."""
    if only:
        argv = ["--port", only.getsockname()[1], *argv]
    with running(SONDE, "trace", "tcp", "--json", *argv, **kwargs) as process:
        process.wait_line("tracing")
        yield Traced(process)


def free_port():
    with listener() as server:
        return server.getsockname()[1]


def of(events, port, event="tcp.exchange", **attributes):
    want = {"server.port": port, **{k.replace("__", "."): v for k, v in attributes.items()}}
    return [e for e in events if e["event"] == event
            and all(e["attributes"].get(key) == value for key, value in want.items())]


@pytest.mark.parametrize("family,address", [(socket.AF_INET, "127.0.0.1"),
                                            (socket.AF_INET6, "::1")])
def test_each_exchange_is_shown_once_and_within_its_own_clock(family, address):
    n = 20
    with listener(family) as server, \
            tracing("--events", "exchanges", only=server) as trace:
        port = server.getsockname()[1]
        with Pair(server) as pair:
            for i in range(n):
                pair.exchange(request=10 + i, delay=0.001 * (i % 4))
        events = trace.stop()
    clients, servers = (of(events, port, tcp__role=role) for role in ("client", "server"))
    assert (len(clients), len(servers)) == (n, n)
    assert len(of(events, port)) == 2 * n
    for i, (client, server) in enumerate(zip(clients, servers)):
        asked, answered = client["attributes"], server["attributes"]
        # The owner's clock stands around the client's exchange, that around the server's, and the
        # server's around the work.
        assert client["duration_us"] <= pair.asked[i]
        assert server["duration_us"] <= client["duration_us"]
        assert pair.worked[i] <= server["duration_us"]
        for one in (asked, answered):
            assert one["process.pid"] == os.getpid()
            assert one["tcp.request.size"] == 10 + i
            assert one["network.local.address"] == one["network.peer.address"] == address
        assert (asked["network.local.port"], asked["network.peer.port"]) == (pair.port, port)
        assert (answered["network.local.port"], answered["network.peer.port"]) == (port, pair.port)
        assert asked["tcp.exchange.sends"] == 1
        assert "tcp.exchange.sends" not in answered
        # Parts, to the nanosecond.
        queue = answered["tcp.receive_queue.duration_us"]
        assert queue + answered["tcp.application.duration_us"] == \
            pytest.approx(server["duration_us"], abs=0.002)
        parts = [asked[f"tcp.{part}.duration_us"] for part in ("receive_queue", "network", "remote")
                 if f"tcp.{part}.duration_us" in asked]
        assert sum(parts) <= client["duration_us"] + 0.003
        assert asked["tcp.exchange.total.duration_us"] == client["duration_us"]
    times = [e["time"] for e in clients]
    assert times == sorted(times)


def test_several_sends_and_stages_that_were_measured():
    with listener() as server, \
            tracing("--tcp.detail", "--events", "exchanges", only=server) as trace:
        port = server.getsockname()[1]
        with Pair(server) as pair:
            pair.client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            pair.client.sendall(b"x" * 30)
            assert len(pair.peer.recv(30)) == 30
            time.sleep(0.02)
            pair.exchange(request=70)
            pair.exchange(request=30, delay=0.01)
        events = trace.stop()
    parts, whole = of(events, port, tcp__role="client")
    about = parts["attributes"]
    assert (about["tcp.exchange.sends"], about["tcp.request.size"]) == (2, 100)
    assert about["tcp.exchange.total.duration_us"] >= parts["duration_us"] + 20000
    assert "tcp.stage.method" not in about  # it cannot be said which send was answered
    about = whole["attributes"]
    assert about["tcp.stage.method"] == "measured"
    _, answered = of(events, port, tcp__role="server")
    assert about["tcp.remote.duration_us"] == answered["duration_us"]
    assert answered["duration_us"] >= pair.worked[1]


def test_slower_than_shows_each_slow_one_and_no_fast_one():
    """One exchange on each connection, so that its port says which it is."""
    bound_us, slow, fast = 50000, {}, {}
    with listener() as server, tracing("--slower-than", "50ms", only=server) as trace:
        port = server.getsockname()[1]
        for i in range(24):
            with Pair(server) as pair:
                pair.exchange(delay=0.06 if i % 3 == 0 else 0)
                (slow if i % 3 == 0 else fast)[pair.port] = pair.asked[0]
        events = trace.stop()
    shown = of(events, port)
    assert all(e["duration_us"] >= bound_us for e in shown)
    clients = [e["attributes"]["network.local.port"] for e in of(events, port, tcp__role="client")]
    servers = [e["attributes"]["network.peer.port"] for e in of(events, port, tcp__role="server")]
    # What was slow by its owner's clock without having been told to be may be shown or not.
    held_up = {p for p, us in fast.items() if us >= bound_us}
    for ports in (clients, servers):
        assert len(ports) == len(set(ports))
        assert set(slow) <= set(ports) <= set(slow) | held_up
    assert not of(events, port, "tcp.connection")  # slow ones are asked for, not ends


def test_failed_connects_by_cause():
    with listener() as closed:
        refused = closed.getsockname()
    net = f"sonde-trace-{os.getpid()}"
    subprocess.run(["ip", "netns", "add", net], check=True)
    try:
        for line in ("link set lo up", "link add silent type veth peer deaf", "link set deaf up",
                     "addr add 10.99.0.1/24 dev silent", "link set silent up",
                     "neigh add 10.99.0.2 lladdr 02:00:00:00:00:02 dev silent",
                     "route add unreachable 10.97.0.0/24"):
            subprocess.run(["ip", "-n", net, *line.split()], check=True)
        with tracing("--events", "failures") as trace:
            began = time.monotonic_ns()
            with socket.socket() as client:
                assert client.connect_ex(refused) == errno.ECONNREFUSED
            took = (time.monotonic_ns() - began) / 1000
            subprocess.run(["ip", "netns", "exec", net, "/usr/bin/python3", "-c", """
import errno, socket
s = socket.socket()
s.setsockopt(socket.IPPROTO_TCP, socket.TCP_SYNCNT, 1)
assert s.connect_ex(("10.99.0.2", 7010)) == errno.ETIMEDOUT
s = socket.socket()
s.setblocking(False)
assert s.connect_ex(("10.99.0.2", 7013)) == errno.EINPROGRESS
s.close()
"""], check=True, timeout=60)
            events = trace.stop()
    finally:
        subprocess.run(["ip", "netns", "del", net], check=True)
    (one,) = of(events, refused[1], "tcp.connect.failed")
    assert one["attributes"]["error.type"] == "refused"
    assert one["attributes"]["process.pid"] == os.getpid()
    assert one["attributes"]["network.peer.address"] == "127.0.0.1"
    assert 0 < one["duration_us"] <= took
    (late,) = of(events, 7010, "tcp.connect.failed")
    assert late["attributes"]["error.type"] == "timed_out"
    assert late["attributes"]["network.peer.address"] == "10.99.0.2"
    assert late["duration_us"] >= 1000000  # a second passes before a SYN is sent again
    (given_up,) = of(events, 7013, "tcp.connect.failed")
    assert given_up["attributes"]["error.type"] == "cancelled"
    assert {e["event"] for e in events} == {"tcp.connect.failed"}


def test_ends_with_exact_bytes():
    with listener() as server, tracing("--events", "ends", only=server) as trace:
        port = server.getsockname()[1]
        began = time.monotonic_ns()
        with Pair(server) as first:
            for _ in range(5):
                first.exchange(request=3000, answer=700)
            first.client.close()
            assert first.peer.recv(1) == b""
        first_us = (time.monotonic_ns() - began) / 1000
        with Pair(server) as second:
            second.exchange(request=11, answer=7)
            second.peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, ABORT)
            second.peer.close()
            with pytest.raises(ConnectionResetError):
                second.client.recv(1)
        events = trace.stop()

    def ended(pair):
        (client,) = of(events, port, "tcp.connection", network__local__port=pair.port)
        (peer,) = of(events, port, "tcp.connection", network__peer__port=pair.port)
        return client, peer

    client, peer = ended(first)
    for one, sent, received, closer in ((client, 15000, 3500, "local"),
                                        (peer, 3500, 15000, "remote")):
        about = one["attributes"]
        assert about["tcp.exchanges"] == 5
        assert (about["tcp.sent.size"], about["tcp.received.size"]) == (sent, received)
        assert about["tcp.close.initiator"] == closer
        assert about["tcp.retransmits"] == 0
        assert "error.type" not in about
        assert 0 < one["duration_us"] <= first_us
        assert about["process.pid"] == os.getpid()
    client, peer = ended(second)
    assert (client["attributes"]["tcp.sent.size"], client["attributes"]["tcp.received.size"]) == \
        (11, 7)
    assert client["attributes"]["error.type"] == "reset"
    assert (peer["attributes"]["tcp.sent.size"], peer["attributes"]["tcp.received.size"]) == (7, 11)
    assert peer["attributes"]["tcp.close.initiator"] == "local"
    assert not of(events, port, "tcp.exchange")


def test_json_has_the_keys_that_it_promises():
    with listener() as server, tracing() as trace:
        with Pair(server) as pair:
            pair.exchange()
        with socket.socket() as client:
            client.connect_ex(("127.0.0.1", 1))
        trace.process.wait_line("tcp.connect.failed", where=trace.process.out)
        events = trace.stop()
    assert {e["event"] for e in events} >= {"tcp.exchange", "tcp.connect.failed", "tcp.connection"}
    numbers = {"process.pid", "network.local.port", "network.peer.port", "server.port",
               "tcp.exchange.sends", "tcp.request.size", "tcp.exchanges", "tcp.sent.size",
               "tcp.received.size", "tcp.retransmits"}
    for event in events:
        assert list(event) == ["time", "event", "service", "duration_us", "attributes"]
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z", event["time"])
        assert isinstance(event["duration_us"], float) and event["service"]
        for key, value in event["attributes"].items():
            assert isinstance(value, int if key in numbers else float if key.endswith("_us") else str)


def test_lines_for_people():
    name = "evil\x1b[2J\nname"
    port = free_port()
    with running(SONDE, "trace", "tcp", "--port", port) as process:
        process.wait_line("tracing")
        subprocess.run([WORK / "tcp_pair", "--exchanges", "10", "--delay", "50000", "--port",
                        str(port)], check=True, stdout=subprocess.PIPE, timeout=60,
                       env={**ENV, "OTEL_SERVICE_NAME": name})
        process.wait_line(r"closed", where=process.out)
        assert process.stop() == 0
    mine = process.out
    assert all(c.isprintable() for line in mine for c in line)
    assert all(line.split(maxsplit=1)[1].startswith("evil?[2J?name[") for line in mine)
    exchanges = [line for line in mine if "queue " in line]
    assert len([line for line in exchanges if re.search(rf"\] +client .* -> 127.0.0.1:{port} ", line)]) == 10
    assert len([line for line in exchanges if re.search(rf"\] +server +127.0.0.1:{port} <- ", line)]) == 10
    assert len([line for line in mine if "closed" in line]) == 2


def test_colour_is_asked_for():
    with listener() as server:
        for argv, env, want in ((["--color", "always"], {}, True), ([], {}, False),
                                (["--color", "auto"], {"NO_COLOR": "1"}, False)):
            with running(SONDE, "trace", "tcp", "--port", server.getsockname()[1], *argv,
                         env=env) as process:
                process.wait_line("tracing")
                with Pair(server) as pair:
                    pair.exchange(delay=0.11)
                process.wait_line(f":{pair.port} .*closed", where=process.out)
                assert process.stop() == 0
            assert any("\x1b" in line for line in process.out) == want


def test_count_and_duration_end_it():
    with listener() as server:
        with running(SONDE, "trace", "tcp", "--count", "3", "--port",
                     server.getsockname()[1]) as process:
            process.wait_line("tracing")
            with Pair(server) as pair:
                for _ in range(5):
                    pair.exchange()
            assert process.process.wait(30) == 0
            assert process.stop() == 0
            assert process.lines[-1] == "sonde: 3 shown"
        assert len(process.out) == 3
        with running(SONDE, "trace", "tcp", "--duration", "500ms") as process:
            assert process.process.wait(30) == 0


def test_a_reader_that_ends_is_a_quiet_end():
    """As in `| head`: with lines on their way, and with none."""
    with listener() as server:
        chosen = [SONDE, "trace", "tcp", "--port", str(server.getsockname()[1])]
        with subprocess.Popen(chosen, env=ENV, stdout=subprocess.PIPE,
                              stderr=subprocess.PIPE, text=True) as sonde:
            assert "tracing" in sonde.stderr.readline()
            with Pair(server) as pair:
                pair.exchange()
                assert sonde.stdout.readline().endswith("\n")
                sonde.stdout.close()
                pair.exchange()
            assert sonde.wait(30) == 0
            assert sonde.stderr.read() == ""
        with subprocess.Popen(chosen, env=ENV, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                              text=True) as sonde:
            assert "tracing" in sonde.stderr.readline()
            sonde.stdout.close()
            assert sonde.wait(30) == 0


def test_a_reader_that_is_slow_holds_nothing_up():
    """Nobody reads: more lines than fit anywhere, and the end comes when it is asked for."""
    n, port = 20000, free_port()
    with subprocess.Popen([SONDE, "trace", "tcp", "--events", "exchanges", "--json", "--port",
                           str(port)], env=ENV, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                          text=True, preexec_fn=default_signals) as sonde:
        assert "tracing" in sonde.stderr.readline()
        tcp_pair("--exchanges", n, "--port", port)
        sonde.send_signal(signal.SIGINT)
        told = sonde.stderr.read()
        assert sonde.wait(30) == 0
        lines = sonde.stdout.read().splitlines(keepends=True)
    shown, lost = re.search(r"(\d+) shown(?:, (\d+) lost)?", told).groups("0")
    unread = re.search(r"(\d+) not shown: whoever reads the output was too slow", told)
    # The last line may be a part of one.
    whole = [json.loads(line) for line in lines if line.endswith("\n")]
    assert len(whole) == int(shown) and len(lines) <= len(whole) + 1
    assert int(unread[1]) > 0
    assert int(shown) + int(unread[1]) + int(lost) == 2 * n


def test_silence_is_explained():
    for _ in range(10):
        began = time.monotonic()
        with listener() as server, \
                tracing("--slower-than", "1h", "--events", "exchanges", only=server) as trace:
            with Pair(server) as pair:
                for _ in range(4):
                    pair.exchange()
            # It is told three seconds after the start, which on a busy machine may be before.
            in_time = time.monotonic() - began < 3
            if in_time:
                why = trace.process.wait_line(
                    r"nothing to show so far: (\d+) exchanges have ended since the "
                    r"start, the slowest in .*: none took 1h \(--slower-than\)")
                assert int(why[1]) == 8
            assert trace.stop() == []
        if in_time:
            break
    assert in_time, "this machine is too slow: nothing was tested"
    with listener() as server, tracing(only=server) as trace:
        trace.process.wait_line("nothing to show so far: no exchange that --port lets through has ended")
        assert trace.stop() == []


def test_what_does_not_fit_is_counted():
    """A trace that is stopped reads nothing; what the ring had no room for is told at the end."""
    n, port = 15000, free_port()
    with tracing("--events", "exchanges", "--port", port) as trace:
        trace.process.process.send_signal(signal.SIGSTOP)
        tcp_pair("--exchanges", n, "--port", port)
        trace.process.process.send_signal(signal.SIGCONT)
        events = trace.stop()
    told = trace.process.wait_line(r"(\d+) shown, (\d+) lost")
    shown, lost = int(told[1]), int(told[2])
    assert lost > 0
    assert shown == len(events)
    assert shown + lost == 2 * n


def test_wrong_use():
    for argv, sentence in ((["http"], "probe http has no single events"),
                           (["tcp", "--events", "all"], "is not a list of exchanges, failures, ends"),
                           (["tcp", "--slower-than", "fast"], "is not a duration")):
        done = subprocess.run([SONDE, "trace", *argv], env=ENV, stdout=subprocess.PIPE,
                              stderr=subprocess.PIPE, text=True, timeout=30)
        assert done.returncode == 2
        assert sentence in done.stderr
