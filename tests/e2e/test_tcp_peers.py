# SPDX-License-Identifier: Apache-2.0
"""Servers, proxies and judges that everyone uses: exact counts against their own."""
import contextlib
import json
import re
import shutil
import signal
import socket
import subprocess
import time

import pytest

from conftest import ENV, ROOT, WORK, http_get, measuring, running
from nginx import nginx_server
from test_tcp_life import HANDSHAKE, errors, inside, namespace

CLIENT = "tcp.client.exchange.duration"
SERVER = "tcp.server.exchange.duration"
REDIS = ROOT / ".deps/test/redis"
SOCAT = ROOT / ".deps/test/socat"
INFO = b"*2\r\n$4\r\nINFO\r\n$3\r\nall\r\n"


def libraries(*folders):
    found = {str(path.parent) for folder in folders for path in folder.rglob("lib*.so.*")}
    return {"LD_LIBRARY_PATH": ":".join(sorted(found))}


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as free:
        return free.getsockname()[1]


# ---- redis ----

@contextlib.contextmanager
def redis_server(folder):
    port = free_port()
    with running(REDIS / "usr/bin/redis-server", "--port", port, "--bind", "127.0.0.1", "--save", "",
                 "--appendonly", "no", "--dir", folder, env=libraries(REDIS)) as server:
        server.wait_line("Ready to accept connections", where=server.out)
        yield port


def redis_info(port):
    """What it has counted, this question not included, though it is one more exchange."""
    with socket.create_connection(("127.0.0.1", port)) as s, s.makefile("rb") as answer:
        s.sendall(INFO)
        text = answer.read(int(answer.readline()[1:])).decode()
        answer.readline()
    return dict(line.split(":", 1) for line in text.splitlines() if ":" in line)


@pytest.mark.parametrize("pipeline", [1, 16])
def test_redis(tmp_path, pipeline):
    """Commands that are read together are one exchange: as many as redis has written answers."""
    n = 8000
    with redis_server(tmp_path) as port, measuring("tcp") as finish:
        subprocess.run([REDIS / "usr/bin/redis-benchmark", "-p", str(port), "-n", str(n), "-c", "8",
                        "-P", str(pipeline), "-t", "get", "--csv"], check=True, timeout=60,
                       env={**ENV, **libraries(REDIS)}, stdout=subprocess.DEVNULL)
        info = redis_info(port)
        report = finish()
    assert re.search(r"calls=(\d+)", info["cmdstat_get"])[1] == str(n)
    turns = int(info["total_writes_processed"])
    assert turns == n // pipeline + 1  # and what the benchmark asks first, in one go
    assert report.count(SERVER, server__port=port) == turns + 1
    assert report.count(CLIENT, "redis-benchmark", server__port=port) == turns
    assert report.value("tcp.exchange.ambiguous", "redis-benchmark", server__port=port) == 0
    sent, received = (report.value("tcp.io", "redis-benchmark", server__port=port,
                                   network__io__direction=direction)
                      for direction in ("transmit", "receive"))
    assert sent + len(INFO) == int(info["total_net_input_bytes"])
    assert received == int(info["total_net_output_bytes"])


# ---- proxies ----

def check_proxy(report, n, proxy, front, back):
    """Each of its exchanges holds the one behind it, and is held by the one before it."""
    chain = [report.one(CLIENT, server__port=front), report.one(SERVER, proxy, server__port=front),
             report.one(CLIENT, proxy, server__port=back), report.one(SERVER, server__port=back)]
    assert [one["count"] for one in chain] == [n] * 4
    for outer, inner in zip(chain, chain[1:]):
        assert outer["sum_us"] >= inner["sum_us"]


def test_nginx_between(tmp_path):
    n = 500
    folders = [tmp_path / name for name in ("back", "front")]
    for folder in folders:
        folder.mkdir()
    with nginx_server(folders[0]) as (back, _), \
            nginx_server(folders[1], upstream=back) as (front, proxy), measuring("tcp") as finish:
        assert http_get(front, "-n", n, "/")["status"] == {"200": n}
        proxy.stop(3)
        report = finish()
    check_proxy(report, n, "nginx", front, back)


def test_socat_between():
    n = 200
    front = free_port()
    with running(WORK / "tcp_pair", "--server-only", "--exchanges", n, "--delay", 500) as server, \
            measuring("tcp") as finish:
        back = int(server.wait_line(r"listening on port (\d+)")[1])
        with running(SOCAT / "usr/bin/socat", "-d", "-d", f"TCP-LISTEN:{front},bind=127.0.0.1,nodelay",
                     f"TCP:127.0.0.1:{back},nodelay", env=libraries(SOCAT)) as proxy:
            proxy.wait_line("listening on")
            subprocess.run([WORK / "tcp_pair", "--client-only", "127.0.0.1", str(front),
                            "--exchanges", str(n)], check=True, env=ENV, timeout=60,
                           stdout=subprocess.DEVNULL)
            assert proxy.process.wait(30) == 0
        assert server.process.wait(30) == 0
        report = finish()
    check_proxy(report, n, "socat", front, back)


# ---- judges ----

def ss(port):
    """{is the client's: what ss says of that end's connection}, of two ends on this machine."""
    out = subprocess.run(["ss", "-tinHO", "state", "established",
                          f"( sport = :{port} or dport = :{port} )"], check=True,
                         stdout=subprocess.PIPE, text=True).stdout
    ends = {}
    for line in out.splitlines():
        words = line.split()
        numbers = dict(re.findall(r"\b([a-z_]+):(\d+(?:\.\d+)?)", line))
        ends[words[3].endswith(f":{port}")] = {key: float(value) for key, value in numbers.items()}
    return ends


def test_bytes_and_round_trips_by_ss():
    n, request, response = 300, 700, 3000
    with running(WORK / "tcp_pair", "--exchanges", n, "--request", request, "--response", response,
                 "--server-only") as server, \
            measuring("tcp", "--tcp.detail") as finish:
        port = int(server.wait_line(r"listening on port (\d+)")[1])
        with running(WORK / "tcp_pair", "--client-only", "127.0.0.1", port, "--exchanges", n,
                     "--request", request, "--response", response, "--hold", 60000) as client:
            deadline = time.monotonic() + 30
            # The last answer is acknowledged some time later.
            while (ends := ss(port)).get(False, {}).get("bytes_acked") != n * response:
                assert time.monotonic() < deadline, ends
                time.sleep(0.02)
            client.stop(signal.SIGKILL)
        assert server.process.wait(30) == 0
        report = finish()
    for is_client, role in ((True, "client"), (False, "server")):
        told = ends[is_client]
        sent, received = (report.value("tcp.io", "tcp_pair", server__port=port, tcp__role=role,
                                       network__io__direction=direction)
                          for direction in ("transmit", "receive"))
        assert sent == told["bytes_sent"] - told.get("bytes_retrans", 0)
        # A client's SYN is acknowledged too.
        assert sent == told["bytes_acked"] - is_client
        assert received == told["bytes_received"]
        # A smoothed value is not less than the least that went into it.
        rtt = report.one("system.network.tcp.rtt", "tcp_pair", server__port=port, tcp__role=role)
        assert rtt["max_us"] + 1 >= told.get("minrtt", 0) * 1000


PLAY = """
import errno, json, socket
server = socket.create_server(("127.0.0.1", 0))
closed = socket.create_server(("127.0.0.1", 0))
address = closed.getsockname()
closed.close()
for _ in range(30):
    client = socket.create_connection(server.getsockname())
    peer = server.accept()[0]
    client.sendall(b"x")
    assert peer.recv(1) == b"x"
    client.close()
    peer.close()
for _ in range(7):
    assert socket.socket().connect_ex(address) == errno.ECONNREFUSED
print(json.dumps([server.getsockname()[1], address[1]]))
"""


def test_connections_by_nstat():
    with namespace("sonde-test-n") as net, measuring("tcp", "--tcp.detail") as finish:
        ports = inside(net, PLAY)
        counted = json.loads(subprocess.run(["ip", "netns", "exec", net, shutil.which("nstat"), "-asj"],
                                            check=True, stdout=subprocess.PIPE).stdout)["kernel"]
        report = finish()
    made = [one for port in ports for one in report.series(HANDSHAKE, server__port=port)
            if one["service"].startswith("python")]
    by = {role: errors([one for one in made
                        if one["attributes"]["network.tcp.handshake.role"] == role])
          for role in ("client", "server")}
    assert sum(by["client"].values()) == counted["TcpActiveOpens"] == 37
    assert by["client"]["refused"] == counted["TcpAttemptFails"] == 7
    assert by["server"] == {"": counted["TcpPassiveOpens"]}
