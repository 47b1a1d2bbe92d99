# SPDX-License-Identifier: Apache-2.0
"""What happens once in the life of a TCP connection, against those who lived it and the kernel's counts."""
import contextlib
import errno
import json
import os
import socket
import struct
import subprocess
import sys
import time

import pytest

from conftest import measuring

HANDSHAKE = "system.network.tcp.handshake.duration"
CONNECTION = "system.network.tcp.connection.duration"
RETRANSMITS = "system.network.tcp.retransmits"
RESETS = "system.network.tcp.resets"
ABORT = struct.pack("ii", 1, 0)  # SO_LINGER: close by a reset


def listener(family=socket.AF_INET):
    server = socket.socket(family)
    server.bind(("::1" if family == socket.AF_INET6 else "127.0.0.1", 0))
    server.listen(64)
    return server


def errors(found):
    """{error.type or "": count}."""
    counts = {}
    for one in found:
        kind = one["attributes"].get("error.type", "")
        counts[kind] = counts.get(kind, 0) + one["count"]
    return counts


@pytest.mark.parametrize("family", [socket.AF_INET, socket.AF_INET6])
def test_handshakes_and_durations(family):
    n, connecting, standing = 30, 0, 0
    with listener(family) as server, measuring("tcp", "--tcp.detail") as finish:
        port = server.getsockname()[1]
        for _ in range(n):
            began = time.monotonic_ns()
            with socket.socket(family) as client:
                client.connect(server.getsockname())
                connected = time.monotonic_ns()
                connecting += connected - began
                with server.accept()[0] as peer:
                    client.sendall(b"x")
                    assert peer.recv(1) == b"x"
                    time.sleep(0.002)
            standing += time.monotonic_ns() - began
        report = finish()
    for role in ("client", "server"):
        made = report.one(HANDSHAKE, server__port=port, network__tcp__handshake__role=role)
        assert made["count"] == n
        stood = report.series(CONNECTION, server__port=port, tcp__role=role)
        assert errors(stood) == {"": n}
        assert 2000 * n <= stood[0]["sum_us"] <= standing / 1000
        if role == "client":
            assert made["sum_us"] <= connecting / 1000


def test_nothing_of_it_without_detail():
    with listener() as server, measuring("tcp") as finish:
        with socket.create_connection(server.getsockname()), server.accept()[0]:
            pass
        report = finish()
    for metric in (HANDSHAKE, CONNECTION, RETRANSMITS, RESETS):
        assert not report.series(metric)


def test_round_trips():
    """What is in the histogram lies around what the socket says of itself."""
    said = []
    with listener() as server, measuring("tcp", "--tcp.detail") as finish:
        port = server.getsockname()[1]
        with socket.create_connection(server.getsockname()) as client, server.accept()[0] as peer:
            for _ in range(3):
                client.sendall(b"x")
                assert peer.recv(1) == b"x"
                peer.sendall(b"y")
                assert client.recv(1) == b"y"
                said.append(struct.unpack_from("I", client.getsockopt(
                    socket.IPPROTO_TCP, socket.TCP_INFO, 104), 68)[0])
                time.sleep(1.1)
        report = finish()
    found = report.one("system.network.tcp.rtt", server__port=port, tcp__role="client")
    assert found["count"] == 4  # one in each of three seconds, and the last
    assert found["min_us"] <= max(said) + 1
    assert found["max_us"] >= min(said) - 1


def test_connections_without_a_byte():
    """As health checks make them: they belong to who closes them."""
    n = 10
    with listener() as server, measuring("tcp", "--tcp.detail") as finish:
        port = server.getsockname()[1]
        for _ in range(n):
            with socket.create_connection(server.getsockname()):
                peer = server.accept()[0]
            assert peer.recv(1) == b""
            peer.close()
        report = finish()
    for role in ("client", "server"):
        stood = report.one(CONNECTION, server__port=port, tcp__role=role)
        assert stood["count"] == n
        assert stood["service"].startswith("python")


def test_both_ends_open():
    """A socket that is connected to itself is a client, of itself."""
    with socket.socket() as both, measuring("tcp", "--tcp.detail") as finish:
        both.bind(("127.0.0.1", 0))
        port = both.getsockname()[1]
        both.connect(both.getsockname())
        both.close()
        report = finish()
    assert report.one(HANDSHAKE, server__port=port)["attributes"][
        "network.tcp.handshake.role"] == "client"


def test_refused():
    with listener() as server:
        address = server.getsockname()
    with measuring("tcp", "--tcp.detail") as finish:
        for _ in range(25):
            with socket.socket() as client:
                assert client.connect_ex(address) == errno.ECONNREFUSED
        report = finish()
    assert errors(report.series(HANDSHAKE, server__port=address[1])) == {"refused": 25}
    assert not report.series(CONNECTION, server__port=address[1])


def test_resets():
    n = 10
    with listener() as server, measuring("tcp", "--tcp.detail") as finish:
        port = server.getsockname()[1]
        for _ in range(n):
            with socket.create_connection(server.getsockname()) as client:
                with server.accept()[0] as peer:
                    peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, ABORT)
                    client.sendall(b"x")
                    assert peer.recv(1) == b"x"
                with pytest.raises(ConnectionResetError):
                    client.recv(1)
        report = finish()
    assert report.value(RESETS, server__port=port, tcp__role="client",
                        network__io__direction="receive") == n
    assert report.value(RESETS, server__port=port, tcp__role="server",
                        network__io__direction="transmit") == n
    assert errors(report.series(CONNECTION, server__port=port, tcp__role="client")) == {"reset": n}


def stray(source, port):
    """An acknowledgement of nothing, from @source to @port of loopback."""
    head = struct.pack("!HHIIBBHHH", source, port, 1, 1, 5 << 4, 0x10, 1024, 0, 0)
    pseudo = socket.inet_aton("127.0.0.1") * 2 + struct.pack("!BBH", 0, socket.IPPROTO_TCP, len(head))
    words = sum(struct.unpack("!16H", pseudo + head))
    words = (words & 0xffff) + (words >> 16)
    return head[:16] + struct.pack("!H", 0xffff - (words & 0xffff) - (words >> 16)) + head[18:]


def test_resets_of_no_connection():
    """A listener answers them like a port that nobody has; neither is a connection's."""
    with measuring("tcp", "--tcp.detail") as finish:
        with listener() as server, socket.socket() as source, socket.socket(
                socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_TCP) as raw:
            port = server.getsockname()[1]
            source.bind(("127.0.0.1", 0))
            raw.settimeout(5)
            raw.sendto(stray(source.getsockname()[1], port), ("127.0.0.1", 0))
            while True:
                answer = raw.recv(100)[20:]
                if struct.unpack("!HH", answer[:4]) == (port, source.getsockname()[1]):
                    break
            assert answer[13] & 4, "no reset"
        report = finish()
    assert not report.series(RESETS, server__port=port)


def test_a_crowd_leaves_room_for_names():
    """More processes than the kernel half remembers fail to connect; who comes behind has a name."""
    with listener() as closed:
        address = closed.getsockname()
    with listener() as server, measuring("tcp", "--tcp.detail") as finish:
        for _ in range(4500):
            child = os.fork()
            if not child:
                with socket.socket() as client:
                    os._exit(client.connect_ex(address) != errno.ECONNREFUSED)
            assert os.waitpid(child, 0)[1] == 0
        port = server.getsockname()[1]
        short = subprocess.Popen(["bash", "-c", f"exec 3<>/dev/tcp/127.0.0.1/{port}; echo >&3; read -u 3"])
        with server.accept()[0] as peer:
            assert peer.recv(1) == b"\n"
            peer.sendall(b"\n")
            assert short.wait(20) == 0
        report = finish()
    # Whatever else the machine connected meanwhile came on top; and the overflow series has no port.
    assert report.count(HANDSHAKE) >= 4502
    assert report.one("tcp.client.exchange.duration", server__port=port)["service"] == "bash"


@contextlib.contextmanager
def namespace(name):
    """A network of its own, by name; with its counters of TCP."""
    subprocess.run(["ip", "netns", "add", name], check=True)
    try:
        subprocess.run(["ip", "-n", name, "link", "set", "lo", "up"], check=True)
        yield name
    finally:
        subprocess.run(["ip", "netns", "del", name], check=True)


def inside(name, code):
    """What a Python program says on a line of JSON in that network."""
    done = subprocess.run(["ip", "netns", "exec", name, sys.executable, "-c", code], check=True,
                          stdout=subprocess.PIPE, text=True, timeout=90)
    return json.loads(done.stdout)


# Segments that the kernel counts as sent again, of the network that this is in.
COUNTED = """
import json, socket, time
def counted(file="snmp", group="Tcp:", name="RetransSegs"):
    lines = [l.split() for l in open("/proc/net/" + file) if l.startswith(group)]
    return int(dict(zip(*lines))[name])
"""

UNANSWERED = COUNTED + """
codes = []
for _ in range(2):
    s = socket.socket()
    s.setsockopt(socket.IPPROTO_TCP, socket.TCP_SYNCNT, 1)
    codes.append(s.connect_ex(("10.99.0.2", 7010)))
    s.close()
print(json.dumps({"codes": codes, "counted": counted()}))
"""


def test_unanswered_connections():
    """Segments go to an address that nobody has."""
    with namespace("sonde-test-a") as net:
        for line in ("link add silent type veth peer deaf", "link set deaf up",
                     "addr add 10.99.0.1/24 dev silent", "link set silent up",
                     "neigh add 10.99.0.2 lladdr 02:00:00:00:00:02 dev silent"):
            subprocess.run(["ip", "-n", net, *line.split()], check=True)
        with measuring("tcp", "--tcp.detail") as finish:
            own = inside(net, UNANSWERED)
            # It is gone before anybody could look, and its failure comes to another's time.
            subprocess.run(["ip", "netns", "exec", net, "sh", "-c", "echo 1 >/proc/sys/net/ipv4/"
                            "tcp_syn_retries; exec bash -c ': </dev/tcp/10.99.0.2/7012'"],
                           stderr=subprocess.DEVNULL, timeout=60)
            report = finish()
    assert own["codes"] == [errno.ETIMEDOUT] * 2
    gone = report.one(HANDSHAKE, server__port=7012)
    assert (gone["service"], gone["count"]) == ("bash", 1)
    assert errors(report.series(HANDSHAKE, server__port=7010)) == {"timed_out": 2}
    again = report.series(RETRANSMITS, server__port=7010)
    assert {one["attributes"]["network.tcp.retransmit.type"] for one in again} == {"syn"}
    assert sum(one["value"] for one in again) == own["counted"] > 0


# The other end's address leads to nobody for a while: what was sent is sent again.
SENDER = COUNTED + """
import subprocess
s = socket.create_connection(("10.98.0.2", 7011))
for i in range(20):
    s.sendall(b"x" * 1000)
    assert s.recv(1000)
lead = lambda mac: subprocess.run(["ip", "neigh", "replace", "10.98.0.2", "lladdr", mac, "dev",
                                   "near", "nud", "permanent"], check=True)
mac = json.loads(subprocess.check_output(["ip", "-j", "neigh", "show", "10.98.0.2"]))[0]["lladdr"]
for k in range(3):
    lead("02:00:00:00:00:99")
    s.sendall(b"y" * 5000)
    time.sleep(1.5)
    lead(mac)
    left = 5000
    while left:
        left -= len(s.recv(left))
# The first of some segments is lost, and those behind it say so.
s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
for k in range(5):
    lead("02:00:00:00:00:99")
    s.sendall(b"a" * 500)
    lead(mac)
    for _ in range(10):
        s.sendall(b"b" * 500)
    left = 5500
    while left:
        left -= len(s.recv(left))
s.close()
time.sleep(0.3)
print(json.dumps({"counted": counted(), "fast": counted("netstat", "TcpExt:", "TCPFastRetrans")}))
"""

ECHO = """
import socket
l = socket.socket()
l.bind(("10.98.0.2", 7011))
l.listen()
print("ready", flush=True)
s = l.accept()[0]
while (data := s.recv(65536)):
    s.sendall(data)
"""


def test_segments_sent_again():
    with namespace("sonde-test-b") as near, namespace("sonde-test-c") as far:
        subprocess.run(["ip", "-n", near, "link", "add", "near", "type", "veth", "peer", "far",
                        "netns", far], check=True)
        for net, end, address in ((near, "near", "10.98.0.1/24"), (far, "far", "10.98.0.2/24")):
            subprocess.run(["ip", "-n", net, "addr", "add", address, "dev", end], check=True)
            subprocess.run(["ip", "-n", net, "link", "set", end, "up"], check=True)
        with subprocess.Popen(["ip", "netns", "exec", far, sys.executable, "-c", ECHO],
                              stdout=subprocess.PIPE, text=True) as server:
            assert server.stdout.readline() == "ready\n"
            with measuring("tcp", "--tcp.detail") as finish:
                own = inside(near, SENDER)
                report = finish()
            assert server.wait(20) == 0
    again = report.series(RETRANSMITS, server__port=7011, tcp__role="client")
    kinds = {one["attributes"]["network.tcp.retransmit.type"]: one["value"] for one in again}
    assert sum(kinds.values()) == own["counted"] > 0
    assert kinds.get("timeout", 0) > 0
    assert kinds.get("fast", 0) == own["fast"] > 0
    assert not kinds.get("syn")
