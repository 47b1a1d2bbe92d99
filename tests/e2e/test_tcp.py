# SPDX-License-Identifier: Apache-2.0
"""TCP exchanges against the clocks of the programs that made them."""
import ctypes
import json
import os
import pathlib
import socket
import struct
import tempfile
import threading
import time

import pytest

from conftest import WORK, measuring, running, tcp_pair

CLIENT = "tcp.client.exchange.duration"
SERVER = "tcp.server.exchange.duration"
QUEUE = {"tcp__stage": "receive_queue"}


def check_pair(report, own, peer):
    """Exact counts and bytes, and durations that nest as they must."""
    where = {"network__peer__address": peer, "server__port": own["client"]["port"]}
    client, server = (report.one(name, "tcp_pair", **where) for name in (CLIENT, SERVER))
    truth = own["client"]["exchange"], own["server"]["residence"]
    assert client["count"] == truth[0]["count"]
    assert server["count"] == truth[1]["count"]
    # The program's clock stops around ours, and the client's exchange contains the server's.
    assert client["sum_us"] * 1000 <= truth[0]["sum_ns"]
    assert server["sum_us"] <= client["sum_us"]
    assert truth[1]["sum_ns"] <= server["sum_us"] * 1000
    for side, role in (("client", "client"), ("server", "server")):
        queue = report.one(f"tcp.{side}.exchange.stage.duration", "tcp_pair", **where, **QUEUE)
        assert queue["count"] == own["client"]["exchange"]["count"]
        for direction, key in (("transmit", "sent_bytes"), ("receive", "received_bytes")):
            assert report.one("tcp.io", "tcp_pair", **where, tcp__role=role,
                              network__io__direction=direction)["value"] == own[side][key]


@pytest.mark.parametrize("family,peer", [([], "127.0.0.1"), (["-6"], "::1")])
def test_counts_bytes_and_roles(family, peer):
    with measuring("tcp") as finish:
        own = tcp_pair(*family, "--exchanges", 200, "--delay", 2000, "--connections", 2)
        check_pair(finish(), own, peer)


def test_without_delay():
    with measuring("tcp") as finish:
        own = tcp_pair("--exchanges", 20000)
        check_pair(finish(), own, "127.0.0.1")


def test_large_messages():
    with measuring("tcp") as finish:
        own = tcp_pair("--exchanges", 50, "--request", 300000, "--response", 1000000)
        report = finish()
    for side in ("client", "server"):
        for direction, key in (("transmit", "sent_bytes"), ("receive", "received_bytes")):
            assert report.value("tcp.io", "tcp_pair", server__port=own["client"]["port"], tcp__role=side,
                                network__io__direction=direction) == own[side][key]


def test_receive_queue_wait():
    with measuring("tcp") as finish:
        own = tcp_pair("--exchanges", 100, "--read-delay", 3000)
        report = finish()
    check_pair(report, own, "127.0.0.1")
    queue = report.one("tcp.server.exchange.stage.duration", "tcp_pair", **QUEUE)
    assert own["server"]["receive_queue"]["sum_ns"] <= queue["sum_us"] * 1000
    assert queue["sum_us"] <= report.one(SERVER, "tcp_pair")["sum_us"]


def test_several_sends_are_told_of():
    """They are timed from the last; how many that is true of is counted, and of no other."""
    with socket.create_server(("127.0.0.1", 0)) as server, measuring("tcp") as finish:
        port = server.getsockname()[1]
        with socket.create_connection(server.getsockname()) as client, server.accept()[0] as peer:
            client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            for parts in (1, 2, 1, 5):
                for _ in range(parts):
                    client.sendall(b"x")
                assert len(peer.recv(parts, socket.MSG_WAITALL)) == parts
                peer.sendall(b"y")
                peer.sendall(b"z")
                assert client.recv(2, socket.MSG_WAITALL) == b"yz"
        report = finish()
    assert report.count(CLIENT, server__port=port) == 4
    assert report.value("tcp.exchange.ambiguous", server__port=port) == 2


def test_one_send_is_one_send():
    """However it is cut into pieces on its way into the socket, by its size or by where it lies."""
    with socket.create_server(("127.0.0.1", 0)) as server, measuring("tcp") as finish:
        port = server.getsockname()[1]
        with socket.create_connection(server.getsockname()) as client, server.accept()[0] as peer:
            for size in [3000] * 300 + [200000] * 5:
                client.sendall(b"x" * size)
                assert len(peer.recv(size, socket.MSG_WAITALL)) == size
                peer.sendall(b"y")
                assert client.recv(1) == b"y"
        report = finish()
    assert report.count(CLIENT, server__port=port) == 305
    assert report.value("tcp.exchange.ambiguous", server__port=port) == 0


def test_a_send_that_blocks_counts_from_its_start():
    size, pause = 8 << 20, 0.3
    with socket.create_server(("127.0.0.1", 0)) as server, measuring("tcp") as finish:
        port = server.getsockname()[1]
        with socket.create_connection(server.getsockname()) as client, server.accept()[0] as peer:
            sender = threading.Thread(target=client.sendall, args=(b"x" * size,))
            sender.start()
            time.sleep(pause)
            left = size
            while left:
                left -= len(peer.recv(min(left, 1 << 20)))
            sender.join()
            peer.sendall(b"y")
            assert client.recv(1) == b"y"
        report = finish()
    assert report.one(CLIENT, server__port=port)["min_us"] >= pause * 1e6
    assert report.value("tcp.exchange.ambiguous", server__port=port) == 0


def test_sockets_older_than_sonde(tmp_path):
    go = tmp_path / "go"
    with running(WORK / "tcp_pair", "--exchanges", 50, "--delay", 1000, "--wait-for", go) as pair:
        wait_established(pair.pid)
        with measuring("tcp") as finish:
            go.touch()
            assert pair.process.wait(30) == 0
            report = finish()
        pair.stop()
        check_pair(report, json.loads("".join(pair.out)), "127.0.0.1")


def wait_established(pid):
    """Until a process has an established connection of its own."""
    for _ in range(200):
        for fd in pathlib.Path(f"/proc/{pid}/fd").iterdir():
            try:
                name = str(fd.readlink())
            except OSError:
                continue
            inode = name[8:-1] if name.startswith("socket:[") else None
            for line in pathlib.Path("/proc/net/tcp").read_text().splitlines()[1:]:
                fields = line.split()
                if fields[9] == inode and fields[3] == "01":
                    return
        time.sleep(0.05)
    raise AssertionError("no connection")


def test_quantiles_within_one_bucket():
    with measuring("tcp") as finish:
        own = tcp_pair("--exchanges", 500, "--delay", 3000, "--samples")
        client = finish().one(CLIENT, "tcp_pair", server__port=own["client"]["port"])
    samples = sorted(own["client"]["exchange"]["samples_ns"])
    buckets = client["buckets"]
    for key, q in (("p50_us", 0.5), ("p90_us", 0.9), ("p99_us", 0.99)):
        truth = samples[min(len(samples) - 1, int(q * len(samples)))] / 1e9
        width = 2 ** (2 ** -buckets["scale"])
        # Our clock runs inside the program's: allow for the 20 us of the two system calls.
        assert (truth - 20e-6) / width <= client[key] / 1e6 <= truth * width, key


def test_one_exchange_deviates_from_nothing():
    with measuring("tcp") as finish:
        port = tcp_pair("--exchanges", 1)["client"]["port"]
        report = finish()
    (client,), (server,) = (report.connections_at(end, port) for end in ("destination", "source"))
    for one in (client, server):
        assert one["events"] == 1 and one["std_dev_us"] == 0
        assert one["min_latency_us"] == one["max_latency_us"] == one["avg_latency_us"]


def exchanges(n, script):
    """One connection between two threads of this process; @script(client, server) is one turn."""
    listener = socket.create_server(("127.0.0.1", 0))
    client = socket.create_connection(listener.getsockname())
    server, _ = listener.accept()
    # Or Nagle's algorithm holds the second of two small sends back until the first is acknowledged.
    client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    port = listener.getsockname()[1]
    listener.close()
    for _ in range(n):
        script(client, server)
    client.close()
    server.close()
    return port


def test_a_peek_is_no_read():
    def turn(client, server):
        client.sendall(b"x" * 100)
        assert len(server.recv(100, socket.MSG_PEEK)) == 100
        assert len(server.recv(100)) == 100
        server.sendall(b"y" * 10)
        assert len(client.recv(10, socket.MSG_PEEK)) == 10
        assert len(client.recv(10)) == 10

    with measuring("tcp") as finish:
        port = exchanges(30, turn)
        report = finish()
    assert report.count(CLIENT, server__port=port) == 30
    assert report.count(SERVER, server__port=port) == 30
    assert report.value("tcp.io", server__port=port, tcp__role="server",
                        network__io__direction="receive") == 3000


def test_a_splice_leaves_no_wait_behind():
    """Reads by splice pass the hook by; the next answer's wait is its own all the same."""
    pipe_out, pipe_in = os.pipe()

    def turn(client, server):
        client.sendall(b"ask")
        server.recv(10)
        server.sendall(b"y" * 44)
        assert len(client.recv(4)) == 4
        assert os.splice(client.fileno(), pipe_in, 40) == 40
        os.read(pipe_out, 40)
        time.sleep(0.05)

    with measuring("tcp") as finish:
        port = exchanges(10, turn)
        report = finish()
    queue = report.one("tcp.client.exchange.stage.duration", server__port=port, **QUEUE)
    assert queue["count"] == 10
    assert queue["sum_us"] <= report.one(CLIENT, server__port=port)["sum_us"]


def test_half_close():
    """The answer comes when the connection is half gone: recorded at the read, not later."""
    with measuring("tcp") as finish:
        listener = socket.create_server(("127.0.0.1", 0))
        port = listener.getsockname()[1]
        for _ in range(20):
            client = socket.create_connection(("127.0.0.1", port))
            server, _ = listener.accept()
            client.sendall(b"question")
            client.shutdown(socket.SHUT_WR)
            while server.recv(100):
                pass
            server.sendall(b"answer")
            server.close()
            data = b""
            while chunk := client.recv(100):
                data += chunk
            assert data == b"answer"
            client.close()
        report = finish()
    assert report.count(CLIENT, server__port=port) == 20
    assert report.count(SERVER, server__port=port) == 20
    for role, direction, n in (("client", "transmit", 8), ("client", "receive", 6),
                               ("server", "transmit", 6), ("server", "receive", 8)):
        assert report.value("tcp.io", server__port=port, tcp__role=role,
                            network__io__direction=direction) == 20 * n


def test_server_speaks_first():
    """A banner is no exchange; the command behind it is one."""
    with measuring("tcp") as finish:
        listener = socket.create_server(("127.0.0.1", 0))
        port = listener.getsockname()[1]
        for _ in range(20):
            client = socket.create_connection(("127.0.0.1", port))
            server, _ = listener.accept()
            server.sendall(b"hello")
            client.recv(100)
            client.sendall(b"command")
            server.recv(100)
            server.sendall(b"done")
            client.recv(100)
            client.close()
            server.close()
        report = finish()
    assert report.count(CLIENT, server__port=port) == 20
    assert report.count(SERVER, server__port=port) == 20


def test_pipelined_requests_wait_on():
    """The second of two requests has been there since the first was: that is its residence."""
    def turn(client, server):
        client.sendall(b"1")
        threading.Event().wait(0.001)
        client.sendall(b"2")
        threading.Event().wait(0.001)
        for _ in range(2):
            server.recv(1)
            threading.Event().wait(0.005)
            server.sendall(b"y")
        assert len(client.recv(2, socket.MSG_WAITALL)) == 2

    with measuring("tcp") as finish:
        port = exchanges(10, turn)
        report = finish()
    server = report.one(SERVER, server__port=port)
    assert server["count"] == 20
    # 5 ms for the first of each pair; at least 10 for the second, which waited meanwhile.
    assert server["sum_us"] >= 10 * (5000 + 10000)


def test_more_peers_than_series():
    """Beyond the bound of the map totals stay right, in the overflow series."""
    n = 6000
    with measuring("tcp", "--max-series", "1000") as finish:
        listener = socket.create_server(("0.0.0.0", 0))
        port = listener.getsockname()[1]
        for i in range(n):
            client = socket.socket()
            client.bind((f"127.1.{i >> 8}.{i & 255}", 0))
            client.connect(("127.0.0.1", port))
            server, _ = listener.accept()
            client.sendall(b"x")
            server.recv(10)
            server.sendall(b"y")
            client.recv(10)
            client.close()
            server.close()
        report = finish()
    mine = report.count(SERVER, server__port=port)
    overflow = report.count(SERVER, otel__metric__overflow=True)
    assert mine <= 1000
    # Other programs of the machine that come when the bound is reached share that series...
    assert mine + overflow >= n
    # ... but nothing is in it that did not happen: all series together are all events.
    fates = report.fates("tcp")
    counted = sum(report.count(f"tcp.{side}.exchange.{what}") for side in ("client", "server")
                  for what in ("duration", "stage.duration"))
    assert counted == fates["aggregated"] + fates["aggregated_overflow"]
    assert report.fates("tcp")["aggregated_overflow"] > 0


def test_nothing_is_lost_when_series_are_let_go():
    """The sweep of every ten seconds takes the series of ended processes out of the kernel's map."""
    with measuring("tcp") as finish:
        ports = [tcp_pair("--exchanges", 7)["client"]["port"]]
        time.sleep(21)
        ports.append(tcp_pair("--exchanges", 5)["client"]["port"])
        report = finish()
    for port, n in zip(ports, (7, 5)):
        for name in (CLIENT, SERVER):
            assert report.count(name, "tcp_pair", server__port=port) == n


def test_processes_that_are_gone_have_a_name():
    with measuring("tcp") as finish:
        own = tcp_pair("--exchanges", 3)
        report = finish()
    assert report.count(CLIENT, "tcp_pair", server__port=own["client"]["port"]) == 3
    assert not [s for s in report.series(CLIENT) if s["service"].startswith("pid ")]


def test_resets_move_no_bytes():
    """A reset and a disconnect move sequence numbers at will: none of that is a byte."""
    with measuring("tcp") as finish:
        listener = socket.create_server(("127.0.0.1", 0))
        port = listener.getsockname()[1]
        for _ in range(50):
            client = socket.create_connection(("127.0.0.1", port))
            server, _ = listener.accept()
            client.sendall(b"x" * 10)
            server.recv(10)
            client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            client.close()
            server.close()
        report = finish()
    for role, direction in (("client", "transmit"), ("server", "receive")):
        assert report.value("tcp.io", server__port=port, tcp__role=role,
                            network__io__direction=direction) == 500
    assert report.value("tcp.io", server__port=port) == 1000


def test_a_socket_that_is_connected_again():
    """Its second life owes nothing to its first: what that had asked is not answered here."""
    libc = ctypes.CDLL(None, use_errno=True)
    with measuring("tcp") as finish:
        first, second = (socket.create_server(("127.0.0.1", 0)) for _ in range(2))
        ports = [listener.getsockname()[1] for listener in (first, second)]
        client = socket.create_connection(("127.0.0.1", ports[0]))
        one, _ = first.accept()
        client.sendall(b"x" * 7)
        assert libc.connect(client.fileno(), struct.pack("H14x", socket.AF_UNSPEC), 16) == 0
        client.connect(("127.0.0.1", ports[1]))
        two, _ = second.accept()
        two.sendall(b"hello")
        assert client.recv(10) == b"hello"
        for s in (client, one, two):
            s.close()
        report = finish()
    assert report.count(CLIENT, server__port=ports[0]) == 0
    assert report.count(CLIENT, server__port=ports[1]) == 0
    assert report.value("tcp.io", server__port=ports[0], tcp__role="client") == 7
    assert report.value("tcp.io", server__port=ports[1], tcp__role="client") == 5


def test_two_threads_on_one_socket():
    """One sends while the other reads: no duration is negative, and none is lost."""
    def pump(sock, stop):
        while not stop.is_set():
            sock.sendall(b"x" * 64)

    def drain(sock):
        try:
            while sock.recv(64):
                pass
        except OSError:
            pass

    with measuring("tcp") as finish:
        listener = socket.create_server(("127.0.0.1", 0))
        port = listener.getsockname()[1]
        client = socket.create_connection(("127.0.0.1", port))
        server, _ = listener.accept()
        stop = threading.Event()
        pumps = [threading.Thread(target=pump, args=(s, stop)) for s in (client, server)]
        drains = [threading.Thread(target=drain, args=(s,)) for s in (client, server)]
        for thread in pumps + drains:
            thread.start()
        time.sleep(1.5)
        stop.set()
        for thread in pumps:
            thread.join()
        for s in (client, server):
            s.shutdown(socket.SHUT_WR)
        for thread in drains:
            thread.join()
        client.close()
        server.close()
        report = finish()  # which holds the account to be exact
    for name in (CLIENT, SERVER):
        for s in report.series(name, server__port=port):
            assert s["max_us"] < 10e6
    sent = report.value("tcp.io", server__port=port, network__io__direction="transmit")
    assert sent == report.value("tcp.io", server__port=port, network__io__direction="receive")


def test_a_program_that_becomes_another_has_its_name():
    """Exchanges behind an exec are the new program's."""
    script = ("import os, socket, sys, time\n"
              "c = socket.create_connection(('127.0.0.1', int(sys.argv[1])))\n"
              "c.sendall(b'x'); c.recv(1); time.sleep(1.5)\n"
              "if sys.argv[2] == '0':\n"
              "    os.environ['OTEL_SERVICE_NAME'] = 'second'\n"
              "    os.execv(sys.executable, [sys.executable, '-c', open(sys.argv[3]).read(),"
              " sys.argv[1], '1', sys.argv[3]])\n")
    with tempfile.NamedTemporaryFile("w", suffix=".py") as file, measuring("tcp") as finish:
        file.write(script)
        file.flush()
        listener = socket.create_server(("127.0.0.1", 0))
        port = listener.getsockname()[1]
        with running("/usr/bin/python3", "-c", script, port, "0", file.name,
                     env={"OTEL_SERVICE_NAME": "first"}) as process:
            for _ in range(2):
                server, _ = listener.accept()
                server.recv(1)
                server.sendall(b"y")
                server.recv(1)
            process.process.wait(10)
        report = finish()
    assert report.count(CLIENT, "first", server__port=port) == 1
    assert report.count(CLIENT, "second", server__port=port) == 1


def test_both_directions_at_once():
    """Two threads at each end, one sending and one reading: whoever moves bytes into the series, once."""
    size, chunk = 200 << 20, 1 << 18
    with socket.create_server(("127.0.0.1", 0)) as server, measuring("tcp") as finish:
        port = server.getsockname()[1]
        with socket.create_connection(server.getsockname()) as client, server.accept()[0] as peer:
            def send(end):
                block = b"x" * chunk
                for _ in range(size // chunk):
                    end.sendall(block)

            def read(end):
                left = size
                while left:
                    left -= len(end.recv(chunk))

            threads = [threading.Thread(target=do, args=(end,))
                       for end in (client, peer) for do in (send, read)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
        report = finish()
    for role in ("client", "server"):
        for direction in ("transmit", "receive"):
            assert report.value("tcp.io", server__port=port, tcp__role=role,
                                network__io__direction=direction) == size


def test_what_begins_while_hooks_come():
    """Exchanges go on all the time; none is made up of several, at the beginning or at the end."""
    longest = []
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        client = socket.create_connection(server.getsockname())
        peer = server.accept()[0]
        over = threading.Event()

        def answer():
            while request := peer.recv(10):
                time.sleep(0.002)
                peer.sendall(request)

        def ask():
            while not over.is_set():
                began = time.monotonic_ns()
                client.sendall(b"x" * 10)
                assert client.recv(10)
                longest.append(time.monotonic_ns() - began)
            client.close()

        threads = [threading.Thread(target=do) for do in (answer, ask)]
        for thread in threads:
            thread.start()
        for _ in range(3):
            with measuring("tcp") as finish:
                time.sleep(0.3)
                report = finish()
            for metric in (CLIENT, SERVER):
                figure = report.one(metric, server__port=port)
                assert figure["count"] > 10
                assert figure["max_us"] * 1000 <= max(longest)
        over.set()
        for thread in threads:
            thread.join()
        peer.close()
