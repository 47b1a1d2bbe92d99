# SPDX-License-Identifier: Apache-2.0
"""What is chosen is measured to the last exchange, and of what is not there is nothing."""
import contextlib
import json
import pathlib
import shutil
import socket
import subprocess
import sys
import time

import pytest

from conftest import ENV, GO_VERSIONS, WORK, default_signals, go_server, http_get, measuring, running
from test_tcp import wait_established

CLIENT = "tcp.client.exchange.duration"
SERVER = "tcp.server.exchange.duration"
HANDSHAKE = "system.network.tcp.handshake.duration"
CONNECTION = "system.network.tcp.connection.duration"
N = 40


def start(*argv, exe=WORK / "tcp_pair", env=None, before=None):
    def prepare():
        default_signals()
        if before:
            before()
    return subprocess.Popen([str(a) for a in (exe, *argv)], env={**ENV, **(env or {})},
                            stdout=subprocess.PIPE, text=True, preexec_fn=prepare)


def own(pair):
    """What a pair of programs says when it is done."""
    out = pair.communicate(timeout=60)[0]
    assert pair.returncode == 0
    return json.loads(out)


def free_ports(n):
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.create_server(("127.0.0.1", 0))) for _ in range(n)]
        return [s.getsockname()[1] for s in sockets]


def check_measured(report, truth, roles=("client", "server")):
    """Counts and bytes of one pair are exact, for the ends that were chosen, and nil for the others."""
    port = truth["client"]["port"]
    for role, metric in (("client", CLIENT), ("server", SERVER)):
        n = truth["client"]["exchange"]["count"] if role in roles else 0
        assert report.count(metric, server__port=port) == n, (metric, role)
        assert report.count(f"tcp.{role}.exchange.stage.duration", server__port=port,
                            tcp__stage="receive_queue") == n
        for direction, key in (("transmit", "sent_bytes"), ("receive", "received_bytes")):
            assert report.value("tcp.io", server__port=port, tcp__role=role,
                                network__io__direction=direction) == (
                                    truth[role][key] if role in roles else 0)


def check_nothing(report, *ports):
    for metric in report.document["metrics"]:
        for series in metric["series"]:
            assert series["attributes"].get("server.port") not in ports, (metric["name"], series)


def unwanted(report, probe="tcp"):
    return report.fates(probe)["unwanted"]


# ---- connections: the kernel half decides ----

@pytest.mark.parametrize("family", [[], ["-6"]])
def test_ports(family):
    first, second, third = free_ports(3)
    with measuring("tcp", "--tcp.detail", "--port", f"{first},{third}-{third}") as finish:
        pairs = [start(*family, "--port", port, "--exchanges", N)
                 for port in (first, second, third)]
        truths = [own(pair) for pair in pairs]
        report = finish()
    check_measured(report, truths[0])
    check_measured(report, truths[2])
    check_nothing(report, second)
    for port in (first, third):
        for role in ("client", "server"):
            assert report.count(CONNECTION, server__port=port, tcp__role=role) == 1
    fates = report.fates("tcp")
    assert fates["aggregated"] == sum(report.count(m["name"]) for m in report.document["metrics"]
                                      if m["kind"] == "histogram")
    assert "unwanted" not in fates


@pytest.mark.parametrize("peers,four,six", [
    ("127.0.0.0/8", True, False), ("::1", False, True), ("::/0", False, True),
    ("10.0.0.0/8,::1/128,127.0.0.1", True, True), ("::ffff:127.0.0.0/104", True, False),
    ("127.0.0.2,fd00::/8", False, False)])
def test_peers(peers, four, six):
    with measuring("tcp", "--peer", peers) as finish:
        pairs = [start("--exchanges", N), start("-6", "--exchanges", N)]
        truths = [own(pair) for pair in pairs]
        report = finish()
    for truth, is_wanted in zip(truths, (four, six)):
        check_measured(report, truth, ("client", "server") if is_wanted else ())
        if not is_wanted:
            check_nothing(report, truth["client"]["port"])


def test_a_mapped_peer_is_an_ipv4_one():
    with socket.socket(socket.AF_INET6) as server, \
            measuring("tcp", "--peer", "127.0.0.0/8") as finish:
        server.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        server.bind(("::", 0))
        server.listen()
        port = server.getsockname()[1]
        with socket.create_connection(("127.0.0.1", port)) as client, server.accept()[0] as peer:
            talk(client, peer, 7)
        report = finish()
    assert report.count(SERVER, server__port=port) == report.count(CLIENT, server__port=port) == 7


@pytest.mark.parametrize("role", ["client", "server"])
def test_roles(role):
    with measuring("tcp", "--tcp.detail", "--role", role) as finish:
        truth = own(start("--exchanges", N))
        report = finish()
    check_measured(report, truth, (role,))
    port = truth["client"]["port"]
    assert {s["attributes"]["tcp.role"] for s in report.series(CONNECTION, server__port=port)} == {
        role}
    assert {s["attributes"]["network.tcp.handshake.role"]
            for s in report.series(HANDSHAKE, server__port=port)} == {role}


def test_connections_older_than_sonde(tmp_path):
    """They are found by their next use, and then chosen like all others."""
    go, ports = tmp_path / "go", free_ports(2)
    pairs = [start("--port", port, "--exchanges", N, "--delay", 500, "--wait-for", go)
             for port in ports]
    for pair in pairs:
        wait_established(pair.pid)
    with measuring("tcp", "--port", ports[0], "--role", "server") as finish:
        go.touch()
        truths = [own(pair) for pair in pairs]
        report = finish()
    check_measured(report, truths[0], ("server",))
    check_nothing(report, ports[1])


def test_an_address_used_again_is_decided_anew():
    """What is remembered of a socket goes with it, and with each new connection of the same."""
    wanted, other = free_ports(2)
    with measuring("tcp", "--port", wanted) as finish, contextlib.ExitStack() as stack:
        servers = {port: stack.enter_context(socket.create_server(("127.0.0.1", port)))
                   for port in (wanted, other)}
        for turn in range(200):
            port = (wanted, other)[turn % 2]
            with socket.create_connection(("127.0.0.1", port)) as client, \
                    servers[port].accept()[0] as peer:
                talk(client, peer, 1)
        report = finish()
    assert report.count(CLIENT, server__port=wanted) == 100
    assert report.count(SERVER, server__port=wanted) == 100
    check_nothing(report, other)


def talk(client, peer, n):
    for _ in range(n):
        client.sendall(b"x" * 10)
        assert len(peer.recv(10, socket.MSG_WAITALL)) == 10
        peer.sendall(b"y" * 20)
        assert len(client.recv(20, socket.MSG_WAITALL)) == 20


@pytest.mark.parametrize("share,least,most", [("0.5", 120, 280), ("1", 400, 400),
                                              ("0.0000000003", 0, 5)])
def test_samples(share, least, most):
    """All of a connection or nothing: with three exchanges in each, their number tells of both ends."""
    n = 400
    with measuring("tcp", "--tcp.detail", "--sample", share) as finish:
        with socket.create_server(("127.0.0.1", 0)) as server:
            port = server.getsockname()[1]
            for _ in range(n):
                with socket.create_connection(server.getsockname()) as client, \
                        server.accept()[0] as peer:
                    talk(client, peer, 3)
        report = finish()
    for role, metric in (("client", CLIENT), ("server", SERVER)):
        drawn = report.count(CONNECTION, server__port=port, tcp__role=role)
        assert least <= drawn <= most
        assert report.count(metric, server__port=port) == 3 * drawn
        assert report.value("tcp.io", server__port=port, tcp__role=role) == 3 * 30 * drawn


# ---- processes: user space decides, the kernel half is told ----

def copies(tmp_path):
    """The same program under two names."""
    names = tmp_path / "wanted_pair", tmp_path / "other_pair"
    for name in names:
        shutil.copy(WORK / "tcp_pair", name)
    return names


@contextlib.contextmanager
def standing(go, cases):
    """Pairs that are connected and wait for the file @go: of (exe, environment, before, port)."""
    pairs = [start("--exchanges", N, "--port", port, "--wait-for", go, exe=exe, env=env, before=before)
             for exe, env, before, port in cases]
    try:
        for pair in pairs:
            wait_established(pair.pid)
        yield pairs
    finally:
        for pair in pairs:
            pair.kill()
            pair.wait()


def check_two(report, wanted, other):
    check_measured(report, wanted)
    check_nothing(report, other["client"]["port"])


@pytest.mark.parametrize("pattern", ["wanted_pair", "no-such-thing,wanted*", "w?nted_[op]air"])
def test_commands(tmp_path, pattern):
    wanted, other = copies(tmp_path)
    with measuring("tcp", "--tcp.detail", "--command", pattern) as finish:
        pairs = [start("--exchanges", 3000, exe=exe) for exe in (wanted, other)]
        truths = [own(pair) for pair in pairs]
        report = finish()
    check_two(report, *truths)


def test_the_name_of_the_executable_is_a_command_too(tmp_path):
    """A script's process is called after the script, and runs python."""
    script = tmp_path / "script"
    script.write_text(f"#!{sys.executable}\n" + ECHO_PAIR)
    script.chmod(0o755)
    for pattern in ("python*", "script"):
        with measuring("tcp", "--command", pattern) as finish:
            port = own(start("5", exe=script))["port"]
            report = finish()
        assert report.count(CLIENT, server__port=port) == 5


# Both ends in one process: so many exchanges, and the port as JSON.
ECHO_PAIR = """
import json, socket, sys
with socket.create_server(("127.0.0.1", 0)) as l:
    a, b = socket.create_connection(l.getsockname()), l.accept()[0]
    for _ in range(int(sys.argv[1])):
        a.sendall(b"x"); b.recv(1); b.sendall(b"y"); a.recv(1)
    print(json.dumps({"port": l.getsockname()[1]}))
"""


def test_services(tmp_path):
    go = tmp_path / "go"
    cases = [(WORK / "tcp_pair", {"OTEL_SERVICE_NAME": name}, None, 0)
             for name in ("checkout", "catalog")]
    with standing(go, cases) as pairs, measuring("tcp", "--service", "check*,nobody") as finish:
        go.touch()
        truths = [own(pair) for pair in pairs]
        report = finish()
    check_two(report, *truths)
    assert report.one(CLIENT, server__port=truths[0]["client"]["port"])["service"] == "checkout"


def test_services_that_start_later(tmp_path):
    """What they are called stands in their environment: they are to be there when it is looked at."""
    go = tmp_path / "go"
    with contextlib.ExitStack() as stack:
        finish = stack.enter_context(measuring("tcp", "--service", "check*,nobody"))
        pairs = [stack.enter_context(running(WORK / "tcp_pair", "--exchanges", N, "--until", go,
                                             env={"OTEL_SERVICE_NAME": name}))
                 for name in ("checkout", "catalog")]
        for pair in pairs:
            pair.wait_line("client has closed")
            pair.wait_line("server has closed")
        report = finish()
        go.touch()
        for pair in pairs:
            pair.process.wait(30)
            assert pair.stop() == 0
        truths = [json.loads("\n".join(pair.out)) for pair in pairs]
    check_two(report, *truths)


def test_pids(tmp_path):
    """Each end is a process; one of four is asked for."""
    go = tmp_path / "go"
    pairs = [start("--exchanges", N, "--delay", 500, "--wait-for", go) for _ in range(2)]
    for pair in pairs:
        wait_established(pair.pid)
    with measuring("tcp", "--pid", f"4194304,{pairs[0].pid}") as finish:
        go.touch()
        truths = [own(pair) for pair in pairs]
        report = finish()
    role, = (role for role in ("client", "server") if truths[0][role]["pid"] == pairs[0].pid)
    check_measured(report, truths[0], (role,))
    check_nothing(report, truths[1]["client"]["port"])


def test_processes_that_run_already_cost_no_event(tmp_path):
    """They are known before their first byte: the kernel half never begins with them."""
    go, (port,) = tmp_path / "go", free_ports(1)
    pair = start("--port", port, "--exchanges", 500, "--wait-for", go)
    wait_established(pair.pid)
    with measuring("tcp", "--port", port, "--command", "nobody-is-called-so") as finish:
        go.touch()
        own(pair)
        report = finish()
    check_nothing(report, port)
    assert unwanted(report) == 0


def test_children_are_found_out():
    """They have no exec that tells of them; what they had counted is in no figure, and accounted for."""
    program = """
import os, sys
if os.fork():
    sys.exit(os.waitstatus_to_exitcode(os.wait()[1]))
""" + ECHO_PAIR
    with measuring("tcp", "--service", "nobody") as finish:
        port = own(start("-c", program, "25", exe=sys.executable))["port"]
        report = finish()
    check_nothing(report, port)
    assert unwanted(report) >= 100


def test_short_processes_are_known_by_what_is_left(tmp_path):
    """Gone before anybody looked: by its name all the same."""
    with socket.create_server(("127.0.0.1", 0)) as server, \
            measuring("tcp", "--command", "bash") as finish:
        port = server.getsockname()[1]
        short = [subprocess.Popen(["bash", "-c", f"exec 3<>/dev/tcp/127.0.0.1/{port}; echo >&3; "
                                   "read -u 3"]) for _ in range(20)]
        for _ in short:
            with server.accept()[0] as peer:
                assert peer.recv(1) == b"\n"
                peer.sendall(b"\n")
        assert [one.wait(20) for one in short] == [0] * 20
        report = finish()
    assert report.count(CLIENT, server__port=port) == 20
    assert report.count(SERVER, server__port=port) == 0


def test_the_lists_all_have_to_fit(tmp_path):
    wanted, other = copies(tmp_path)
    go, ports = tmp_path / "go", free_ports(4)
    cases = [(exe, {"OTEL_SERVICE_NAME": service}, None, port) for exe, service, port in zip(
        (wanted, wanted, wanted, other), ("a", "c", "b", "a"), ports)]
    with standing(go, cases) as pairs, \
            measuring("tcp", "--command", "wanted_pair", "--service", "a,b", "--port",
                      f"{ports[0]},{ports[1]},{ports[3]}") as finish:
        go.touch()
        truths = [own(pair) for pair in pairs]
        report = finish()
    check_measured(report, truths[0])
    check_nothing(report, *(truth["client"]["port"] for truth in truths[1:]))


def test_the_environment_chooses_as_well(tmp_path):
    wanted, other = copies(tmp_path)
    with measuring("tcp", env={"SONDE_COMMAND": "wanted_pair"}) as finish:
        truths = [own(start("--exchanges", N, exe=exe)) for exe in (wanted, other)]
        report = finish()
    check_two(report, *truths)


# A program that talks for a while and becomes another, which talks on, on the same connection.
TURNING = """
import os, socket, sys, time
s = socket.socket(fileno=int(sys.argv[1]))
n, then = int(sys.argv[2]), sys.argv[3:]
time.sleep(0.7)
for _ in range(n):
    s.sendall(b"x" * 10)
    assert s.recv(20, socket.MSG_WAITALL)
if then:
    os.set_inheritable(s.fileno(), True)
    os.execv(then[0], [then[0], __file__, sys.argv[1], *then[1:]])
"""


@pytest.mark.parametrize("name,expected", [("first", 11), ("second", 23), ("third", 37)])
def test_a_process_becomes_another(tmp_path, name, expected):
    """Each part of one connection belongs to the program that used it."""
    exes = {}
    for one in ("first", "second", "third"):
        exes[one] = tmp_path / one
        exes[one].symlink_to(sys.executable)
    script = tmp_path / "turning.py"
    script.write_text(TURNING)
    with socket.create_server(("127.0.0.1", 0)) as server, \
            measuring("tcp", "--command", name) as finish:
        port = server.getsockname()[1]
        with socket.create_connection(server.getsockname()) as client, server.accept()[0] as peer:
            child = subprocess.Popen([exes["first"], script, str(client.fileno()), "11",
                                      exes["second"], "23", exes["third"], "37"],
                                     pass_fds=[client.fileno()])
            for _ in range(11 + 23 + 37):
                assert len(peer.recv(10, socket.MSG_WAITALL)) == 10
                peer.sendall(b"y" * 20)
            assert child.wait(20) == 0
        report = finish()
    assert report.count(CLIENT, server__port=port) == expected
    assert report.count("tcp.client.exchange.stage.duration", server__port=port) == expected
    for direction, size in (("transmit", 10), ("receive", 20)):
        assert report.value("tcp.io", server__port=port, tcp__role="client",
                            network__io__direction=direction) == size * expected
    assert report.count(SERVER, server__port=port) == 0


def test_a_program_is_measured_from_its_first_byte(tmp_path):
    """Also where the process was left alone as what it was: the kernel takes that back with the exec.
    Of two in a row, user space is told of the second only after a pause."""
    wanted, _ = copies(tmp_path)
    go = tmp_path / "go"
    code = ("import os, sys, time\nprint('there', flush=True)\n"
            "while not os.path.exists(sys.argv[1]): time.sleep(0.01)\n"
            "os.execv('/usr/bin/env', ['env', *sys.argv[2:]])")
    turning = start("-c", code, go, wanted, "--exchanges", N, exe=sys.executable)
    assert turning.stdout.readline() == "there\n"
    with measuring("tcp", "--command", "wanted_pair") as finish:
        go.touch()
        truth = own(turning)
        report = finish()
    check_measured(report, truth)


# ---- containers and cgroups ----

def cgroup_roots():
    """{"v1" or "v2": where a folder makes a cgroup that processes can be put into}."""
    found = {}
    for line in pathlib.Path("/proc/mounts").read_text().splitlines():
        _, path, kind, options, *_ = line.split()
        # Controllers ask for settings before they take a process; a hierarchy without any does not.
        if kind == "cgroup2" or (kind == "cgroup" and
                                 {"pids", "freezer", "name=systemd"} & set(options.split(","))):
            found["v2" if kind == "cgroup2" else "v1"] = pathlib.Path(path)
    return found


@contextlib.contextmanager
def cgroup(root, name):
    path = root / name
    path.mkdir()
    try:
        yield path
    finally:
        for _ in range(100):
            with contextlib.suppress(OSError):
                path.rmdir()
                return
            time.sleep(0.05)
        path.rmdir()


CONTAINER_ID = "3fa9" + "0123456789abcdef" * 3 + "0123456789ab"


@pytest.mark.parametrize("version", ["v1", "v2"])
@pytest.mark.parametrize("options", [("--cgroup", "*/docker-3fa9*"), ("--container", "3fa9"),
                                     ("--container", CONTAINER_ID + ",00000")])
def test_cgroups(tmp_path, version, options):
    root = cgroup_roots().get(version)
    if not root:
        pytest.skip(f"no cgroup {version} is mounted")
    with cgroup(root, f"docker-{CONTAINER_ID}.scope") as inside, \
            cgroup(root, "docker-" + CONTAINER_ID[::-1] + ".scope") as beside:
        def enter(path):
            return lambda: (path / "cgroup.procs").write_text("0")

        go = tmp_path / "go"
        cases = [(WORK / "tcp_pair", None, enter(path), 0) for path in (inside, beside)]
        with standing(go, cases) as pairs, measuring("tcp", *options) as finish:
            go.touch()
            truths = [own(pair) for pair in pairs]
            report = finish()
    check_two(report, *truths)


# ---- other probes ----

def test_requests_of_unwanted_services_are_in_no_figure():
    version = GO_VERSIONS[-1]
    with go_server(version, service="cart") as (_, cart), \
            go_server(version, service="shop") as (_, shop), \
            measuring("http", "tcp", "--service", "cart") as finish:
        for port in (cart, shop):
            http_get(port, "-n", 30, "/hello")
        report = finish()
    requests = report.series("http.server.request.duration")
    assert {one["service"] for one in requests} == {"cart"}
    assert sum(one["count"] for one in requests) == 30
    assert unwanted(report, "http") >= 30
    assert report.count(SERVER, server__port=cart) == 30
    check_nothing(report, shop)
