# SPDX-License-Identifier: Apache-2.0
"""Where the time of TCP exchanges went, how connections are used, and what is special about some."""
import contextlib
import fcntl
import socket
import struct
import subprocess
import sys
import termios
import time

import pytest

from conftest import WORK, measuring, running, tcp_pair
from test_tcp_life import ABORT, CONNECTION, COUNTED, RETRANSMITS, inside, listener, namespace

CLIENT = "tcp.client.exchange.duration"
SERVER = "tcp.server.exchange.duration"
CLIENT_STAGE = "tcp.client.exchange.stage.duration"
SERVER_STAGE = "tcp.server.exchange.stage.duration"
TOTAL = "tcp.client.exchange.total.duration"
AMBIGUOUS = "tcp.exchange.ambiguous"
SIOCOUTQNSD = 0x894b


def ns(series):
    return round(series["sum_us"] * 1000)


def stages(report, **where):
    """{(stage, method): series} of clients."""
    return {(s["attributes"]["tcp.stage"], s["attributes"].get("tcp.stage.method")): s
            for s in report.series(CLIENT_STAGE, **where)}


def check_parts(report, method, n, **where):
    """The parts make up the whole, to the nanosecond."""
    found = stages(report, **where)
    network, remote, queue = (found[key] for key in (
        ("network", method), ("remote", method), ("receive_queue", None)))
    assert len(found) == 3
    whole = report.one(CLIENT, **where)
    assert [s["count"] for s in (network, remote, queue, whole)] == [n] * 4
    assert ns(network) + ns(remote) + ns(queue) == ns(whole)
    assert ns(report.one(TOTAL, **where)) == ns(whole)
    return network, remote


@pytest.mark.parametrize("family", [[], ["-6"]])
def test_parts_of_an_exchange_between_two_of_this_machine(family):
    with measuring("tcp", "--tcp.detail") as finish:
        own = tcp_pair(*family, "--exchanges", 200, "--delay", 1000, "--read-delay", 500)
        report = finish()
    where = {"service": "tcp_pair", "server__port": own["client"]["port"]}
    _, remote = check_parts(report, "measured", 200, **where)
    assert ns(remote) == ns(report.one(SERVER, **where))
    answering = report.one(SERVER_STAGE, tcp__stage="application", **where)
    assert answering["count"] == 200
    # From the last read to the send is within what the program saw of itself.
    assert 200 * 1000 * 1000 <= ns(answering) <= own["server"]["residence"]["sum_ns"] + ns(
        report.one(SERVER, **where))


def test_parts_of_an_exchange_are_estimated_for_older_sockets(tmp_path):
    """Whose other end is not known to be here: the least round trip stands for the network."""
    from test_tcp import wait_established
    go = tmp_path / "go"
    with running(WORK / "tcp_pair", "--exchanges", 50, "--delay", 1000, "--wait-for", go) as pair:
        wait_established(pair.pid)
        with measuring("tcp", "--tcp.detail") as finish:
            go.touch()
            assert pair.process.wait(30) == 0
            report = finish()
        pair.stop()
    network, _ = check_parts(report, "rtt_min", 50, service="tcp_pair")
    least = report.one("system.network.tcp.rtt.min", "tcp_pair", tcp__role="client")
    assert network["max_us"] <= 1e6 and least["value"] > 0


def test_several_sends_are_timed_from_the_first_too():
    pause = 0.03
    with listener() as server, measuring("tcp", "--tcp.detail") as finish:
        port = server.getsockname()[1]
        with socket.create_connection(server.getsockname()) as client, server.accept()[0] as peer:
            client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            client.sendall(b"a")
            time.sleep(pause)
            client.sendall(b"b")
            assert peer.recv(2, socket.MSG_WAITALL) == b"ab"
            peer.sendall(b"c")
            assert client.recv(1) == b"c"
        report = finish()
    whole, last = report.one(TOTAL, server__port=port), report.one(CLIENT, server__port=port)
    assert ns(whole) - ns(last) >= pause * 1e9
    # Which of the two was answered cannot be said.
    assert set(stages(report, server__port=port)) == {("receive_queue", None)}


def exchange(client, peer):
    client.sendall(b"x")
    assert peer.recv(1) == b"x"
    peer.sendall(b"y")
    assert client.recv(1) == b"y"


def test_use_of_connections():
    idle = 0.02
    with listener() as server, measuring("tcp", "--tcp.detail") as finish:
        port = server.getsockname()[1]
        for uses in (0, 0, 0, 1, 1, 4):
            with socket.create_connection(server.getsockname()) as client:
                with server.accept()[0] as peer:
                    for _ in range(uses):
                        exchange(client, peer)
                        time.sleep(idle)
        report = finish()
    ended = {s["attributes"]["tcp.pool.use"]: s["value"]
             for s in report.series("tcp.pool.ended", server__port=port)}
    assert ended == {"unused": 3, "once": 2, "reused": 1}
    made = {s["attributes"]["tcp.connection.reused"]: s["value"]
            for s in report.series("tcp.pool.exchanges", server__port=port)}
    assert made == {"false": 3, "true": 3}
    waited = report.one("tcp.pool.idle.duration", server__port=port)
    assert waited["count"] == 3 and ns(waited) >= 3 * idle * 1e9


def test_connections_that_are_there():
    """One that stands at both of its ends, one that its client does not close."""
    with listener() as server, measuring("tcp", "--tcp.detail") as finish:
        port = server.getsockname()[1]
        pairs = []
        for _ in range(3):
            client = socket.create_connection(server.getsockname())
            pairs.append((client, server.accept()[0]))
            exchange(*pairs[-1])
        pairs[0][1].close()
        time.sleep(0.1)
        report = finish()
        for pair in pairs:
            for end in pair:
                end.close()
    there = {(s["attributes"]["tcp.role"], s["attributes"]["network.connection.state"]): s["value"]
             for s in report.series("tcp.pool.connections", server__port=port)}
    assert there.pop(("server", "fin_wait_2"), 1) == 1
    assert there == {("client", "established"): 2, ("client", "close_wait"): 1,
                     ("server", "established"): 2}


def test_who_closed():
    with listener() as server, measuring("tcp", "--tcp.detail") as finish:
        port = server.getsockname()[1]
        for first in ("client", "client", "server", "abort"):
            client = socket.create_connection(server.getsockname())
            peer = server.accept()[0]
            exchange(client, peer)
            if first == "abort":
                client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, ABORT)
            ends = [peer, client] if first == "server" else [client, peer]
            ends[0].close()
            if first != "abort":
                assert ends[1].recv(1) == b""
            ends[1].close()
        report = finish()

    def closers(role):
        return {(s["attributes"].get("tcp.close.initiator"), s["attributes"].get("error.type")):
                s["count"] for s in report.series(CONNECTION, server__port=port, tcp__role=role)}

    assert closers("client") == {("local", None): 3, ("remote", None): 1}
    assert closers("server") == {("remote", None): 2, ("local", None): 1, ("remote", "reset"): 1}


def test_time_in_states():
    stands, half = 0.05, 0.08
    with listener() as server, measuring("tcp", "--tcp.detail") as finish:
        port = server.getsockname()[1]
        client = socket.create_connection(server.getsockname())
        peer = server.accept()[0]
        exchange(client, peer)
        time.sleep(stands)
        client.shutdown(socket.SHUT_WR)
        assert peer.recv(1) == b""
        time.sleep(half)
        peer.close()
        assert client.recv(1) == b""
        client.close()
        report = finish()

    def spent(role):
        return {s["attributes"]["network.connection.state"]: s["value"]
                for s in report.series("system.network.tcp.state.time", server__port=port,
                                       tcp__role=role)}

    one, other = spent("client"), spent("server")
    # The other end may take its time to acknowledge.
    assert one["established"] >= stands and one["fin_wait_1"] + one["fin_wait_2"] >= half
    assert other["established"] >= stands and other["close_wait"] >= half
    stood = report.one(CONNECTION, server__port=port, tcp__role="client")
    assert sum(v for k, v in one.items() if k != "syn_sent") <= stood["sum_us"] / 1e6 + 1e-6


def queued(sock, unsent=False):
    """Bytes of a socket that were not acknowledged yet, or not even sent."""
    answer = bytearray(4)
    fcntl.ioctl(sock, SIOCOUTQNSD if unsent else termios.TIOCOUTQ, answer)
    return struct.unpack("i", answer)[0]


def test_windows_that_are_used_up():
    """One who does not read: his own window, and the other end's for who sends to him."""
    turns = 5
    with listener() as server, measuring("tcp", "--tcp.detail") as finish:
        port = server.getsockname()[1]
        server.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        with socket.create_connection(server.getsockname()) as client, server.accept()[0] as peer:
            client.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 20)
            client.setblocking(False)
            peer.setblocking(False)
            for _ in range(turns):
                before = None
                # Full, and the receiver takes no more of it.
                while before != (before := queued(client)) or not before:
                    with contextlib.suppress(BlockingIOError):
                        while client.send(b"x" * 65536):
                            pass
                    time.sleep(0.05)
                deadline = time.monotonic() + 20
                while queued(client):
                    assert time.monotonic() < deadline
                    with contextlib.suppress(BlockingIOError):
                        while peer.recv(65536):
                            pass
                    time.sleep(0.001)
        report = finish()
    found = report.series("system.network.tcp.zero_windows", server__port=port)
    assert {(s["attributes"]["tcp.role"], s["attributes"]["network.io.direction"]) for s in found} == {
        ("client", "transmit"), ("server", "receive")}
    # Before its first read a server's socket has no owner: "unknown" has the first of them.
    windows = {(s["service"], s["attributes"]["tcp.role"] == "server"): s["value"] for s in found}
    for by_us in (False, True):
        assert sum(n for key, n in windows.items() if key[1] == by_us) >= turns
    said = [f for f in report.document["findings"]
            if f["kind"] == "zero_window" and f.get("port") == port]
    assert {(f["service"], f["evidence"]["by_us"]): f["evidence"]["times"] for f in said} == {
        key: n for key, n in windows.items() if n >= 3}
    assert {f["evidence"]["by_us"] for f in said} == {False, True}
    for f in said:
        assert ("its receive window" in f["text"]) == f["evidence"]["by_us"]


@pytest.mark.parametrize("nodelay", [0, 1])
def test_exchanges_that_nagle_held_up(nodelay):
    """What waited is between bounds by our clock; what the kernel holds back, it has not sent."""
    sure = possible = turns = 0
    with listener() as server, measuring("tcp", "--tcp.detail") as finish:
        port = server.getsockname()[1]
        with socket.create_connection(server.getsockname()) as client, server.accept()[0] as peer:
            client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, nodelay)
            # On a busy machine some take longer than the delay that is looked for.
            while turns < 20 or (not nodelay and not sure and turns < 500):
                client.sendall(b"a")
                before = time.monotonic()
                client.sendall(b"b")
                sent = time.monotonic()
                held = queued(client, unsent=True) == 1
                assert peer.recv(2, socket.MSG_WAITALL) == b"ab"
                answered = time.monotonic()
                peer.sendall(b"c")
                assert client.recv(1) == b"c"
                least, most = answered - sent, time.monotonic() - before
                sure += held and least >= 0.038 and most <= 0.045
                possible += least <= 0.045 and most >= 0.038
                turns += 1
        report = finish()
    delayed = report.value("tcp.exchange.delayed", server__port=port, tcp__delay__reason="nagle")
    if nodelay:
        assert delayed == 0
    else:
        assert sure <= delayed <= possible
        assert sure > 0, "this kernel delays no acknowledgement: nothing was tested"


def test_what_is_special():
    with listener() as server, measuring("tcp") as finish:
        port = server.getsockname()[1]
        with socket.create_connection(server.getsockname()) as client, server.accept()[0] as peer:
            peer.sendall(b"hello")
            assert client.recv(5) == b"hello"
            exchange(client, peer)
            for _ in range(2):
                time.sleep(0.15)
                peer.sendall(b"more")
                assert client.recv(4) == b"more"
            client.sendall(b"last")
            client.shutdown(socket.SHUT_WR)
            assert peer.recv(4) == b"last" and peer.recv(1) == b""
            peer.sendall(b"bye")
            assert client.recv(3) == b"bye"
        with socket.create_connection(server.getsockname()) as client, server.accept()[0] as peer:
            client.sendall(b"x")
            assert peer.recv(1) == b"x"
            time.sleep(10.1)
            peer.sendall(b"y")
            assert client.recv(1) == b"y"
        report = finish()
    found = {s["attributes"]["tcp.exchange.ambiguity"]: s["value"]
             for s in report.series(AMBIGUOUS, server__port=port)}
    assert found == {"server_first": 1, "push": 2, "half_close": 1, "long_wait": 1}
    assert report.count(CLIENT, server__port=port) == 3


SYN = """
import socket
s = socket.socket()
s.settimeout(4)
print(s.connect_ex(("10.97.0.2", 7020)))
"""

LISTEN = COUNTED + """
import sys
l = socket.socket()
l.bind(("10.97.0.2", 7020))
l.listen()
print("ready", flush=True)
sys.stdin.readline()
print(counted(), flush=True)
"""


def test_answers_to_connections_that_are_sent_again():
    """The listener's answers lead to nobody."""
    with namespace("sonde-test-d") as near, namespace("sonde-test-e") as far:
        subprocess.run(["ip", "-n", near, "link", "add", "near", "type", "veth", "peer", "far",
                        "netns", far], check=True)
        for net, end, address in ((near, "near", "10.97.0.1/24"), (far, "far", "10.97.0.2/24")):
            subprocess.run(["ip", "-n", net, "addr", "add", address, "dev", end], check=True)
            subprocess.run(["ip", "-n", net, "link", "set", end, "up"], check=True)
        subprocess.run(["ip", "-n", far, "neigh", "add", "10.97.0.1", "lladdr", "02:00:00:00:00:77",
                        "dev", "far", "nud", "permanent"], check=True)
        with measuring("tcp", "--tcp.detail") as finish:
            with subprocess.Popen(["ip", "netns", "exec", far, sys.executable, "-c", LISTEN],
                                  stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as server:
                assert server.stdout.readline() == "ready\n"
                inside(near, SYN)
                server.stdin.write("\n")
                server.stdin.flush()
                counted = int(server.stdout.readline())
            report = finish()
    again = report.series(RETRANSMITS, server__port=7020, network__tcp__retransmit__type="syn_ack")
    assert sum(s["value"] for s in again) == counted > 0
    assert all(s["service"].startswith("python") for s in again)


def test_what_the_figures_say():
    with listener() as server, measuring("tcp", "--tcp.detail") as finish:
        address = server.getsockname()
        for _ in range(25):
            with socket.create_connection(address) as client, server.accept()[0] as peer:
                client.sendall(b"x")
                assert peer.recv(1) == b"x"
                time.sleep(0.002)
                peer.sendall(b"y")
                assert client.recv(1) == b"y"
        server.close()
        for _ in range(2):
            with socket.socket() as client:
                assert client.connect_ex(address)
        report = finish()
    said = {f["kind"]: f for f in report.document["findings"] if f.get("port") == address[1]}
    assert set(said) == {"where_time_goes", "pool_churn", "connect_failed"}
    parts = said["where_time_goes"]["evidence"]
    assert parts["exchanges"] == 25 and parts["remote_share"] > 0.5
    assert abs(sum(parts[f"{p}_share"] for p in ("network", "remote", "receive_queue")) - 1) < 1e-9
    assert said["pool_churn"]["evidence"] == {"connections": 25, "connections_in_all": 25}
    assert said["connect_failed"]["evidence"] == {"connections": 2, "connections_in_all": 27}
