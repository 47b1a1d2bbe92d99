# SPDX-License-Identifier: Apache-2.0
"""`sonde report`: the document, the file it is written to, and what a person sees meanwhile."""
import json
import os
import pathlib
import pty
import re
import shutil
import signal
import socket
import statistics
import struct
import subprocess
import threading
import time

import pytest

from conftest import ENV, ROOT, SONDE, WORK, Report, measuring, running, tcp_pair
from nginx import nginx_server


def report(*argv, **kwargs):
    return subprocess.run([SONDE, "report", "tcp", *map(str, argv)], env=ENV, text=True, timeout=60,
                          stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                          **kwargs)


# ---- the document ----

def two_sides(report, port):
    """The entries of those who ask @port, and of those who answer there."""
    return (report.connections_at("destination", port), report.connections_at("source", port))


@pytest.mark.parametrize("family", [(), ("-6",)], ids=["ipv4", "ipv6"])
def test_a_connection_within_the_clocks_of_its_programs(family):
    """
    Of a client each exchange is within its own measure of it, of a server each is around it; so are
    minimum, maximum and mean, and deviations differ by no more than those of the differences.
    """
    with measuring("tcp") as finish:
        own = tcp_pair("--exchanges", 40, "--delay-step", 500, "--samples", *family)
        document = finish()
    port, host = own["client"]["port"], "[::1]" if family else "127.0.0.1"
    (client,), (server,) = two_sides(document, port)
    assert client["destination"] == server["source"] == f"{host}:{port}"
    assert client["source"] == server["destination"] and client["source"].startswith(host + ":")
    assert document.document["connections"][f"{client['source']} -> {host}:{port}"] == client
    assert (client["role"], server["role"]) == ("client", "server")
    for one, figure, sent, received in ((client, own["client"]["exchange"], 4000, 40000),
                                        (server, own["server"]["residence"], 40000, 4000)):
        side = own[one["role"]]
        assert one["service"] == "tcp_pair" and one["pid"] == side["pid"]
        assert (one["events"], one["sent_bytes"], one["received_bytes"]) == (40, sent, received)
        assert (one["open"], one["error"], one["retransmits"], one["sockets"]) == (False, None, 0, 1)
        assert one["duration_us"] > figure["sum_ns"] / 1000
        assert 0 < one["rtt_min_us"] and 0 < one["rtt_us"]
        samples = [ns / 1000 for ns in figure["samples_ns"]]
        for key, value in (("min", min(samples)), ("max", max(samples)),
                           ("avg", statistics.mean(samples))):
            ours = one[f"{key}_latency_us"]
            assert ours <= value + 0.001 if one is client else ours >= value - 0.001, key
        # Of differences from 0 to at most the longest of all: variance <= mean * maximum.
        off = abs(one["avg_latency_us"] - statistics.mean(samples))
        bound = (off * max(one["max_latency_us"], max(samples))) ** 0.5
        assert abs(one["std_dev_us"] - statistics.pstdev(samples)) <= bound + 0.3
        assert one["std_dev_us"] > 2000
    for key in ("min", "max", "avg"):
        assert server[f"{key}_latency_us"] <= client[f"{key}_latency_us"]
    assert (client["closed_by"], server["closed_by"]) == ("local", "remote")


def test_several_connections():
    with measuring("tcp") as finish:
        own = tcp_pair("--connections", 9, "--exchanges", 25, "--delay", 1100)
        report = finish()
    for entries in two_sides(report, own["client"]["port"]):
        assert [c["events"] for c in entries] == [25] * 9
        assert all(c["min_latency_us"] >= 1100 for c in entries)
    histogram = report.document["histogram"]
    assert sum(histogram[key] for key in histogram if key != "0-1ms") >= 2 * 9 * 25


def test_sockets_that_are_open_at_the_end():
    with measuring("tcp") as finish, \
            running(WORK / "tcp_pair", "--server-only", "--connections", 3) as server:
        port = int(server.wait_line(r"port (\d+)")[1])
        with running(WORK / "tcp_pair", "--client-only", "127.0.0.1", port, "--connections", 3,
                     "--exchanges", 10, "--hold", 60000) as client:
            pids = client.pid, server.pid
            settle(port, 30, *pids)
            report = finish()
    for entries, pid in zip(two_sides(report, port), pids):
        assert [c["events"] for c in entries] == [10] * 3
        assert all(c["open"] and c["closed_by"] is None and c["pid"] == pid for c in entries)
        assert all(0 < c["duration_us"] <= 1e6 * report.document["duration_seconds"] + 1e6
                   for c in entries)


def established(port):
    """What ss says of each open socket of a client of @port."""
    return subprocess.run(["ss", "-tinHO", "state", "established", "dport", "=", f":{port}"], text=True,
                          check=True, stdout=subprocess.PIPE, timeout=30).stdout.splitlines()


def asleep(pid):
    return all(task.joinpath("stat").read_text().rsplit(")", 1)[1].split()[0] == "S"
               for task in pathlib.Path(f"/proc/{pid}/task").iterdir())


def until(happened, what):
    end = time.monotonic() + 60
    while not happened():
        assert time.monotonic() < end, f"{what}: not within a minute"
        time.sleep(0.02)


def settle(port, answers, *pids):
    """Until all answers of tcp_pair, 1000 bytes each, are read, and both programs wait again."""
    def read():
        sockets = established(port)
        return all(int(line.split()[0]) == 0 for line in sockets) and 1000 * answers == sum(
            int(n) for line in sockets for n in re.findall(r"bytes_received:(\d+)", line))
    until(lambda: read() and all(map(asleep, pids)), f"{answers} answers on port {port}")


@pytest.mark.parametrize("hold", [0, 60000], ids=["closed", "open"])
def test_connections_that_are_older_than_sonde(tmp_path, hold):
    go = tmp_path / "go"
    with running(WORK / "tcp_pair", "--server-only", "--connections", 2) as server:
        port = int(server.wait_line(r"port (\d+)")[1])
        with running(WORK / "tcp_pair", "--client-only", "127.0.0.1", port, "--connections", 2,
                     "--exchanges", 20, "--hold", hold, "--wait-for", go) as client:
            until(lambda: len(established(port)) == 2, "two connections")
            with measuring("tcp") as finish:
                go.write_text("")
                if hold:
                    settle(port, 40, client.pid, server.pid)
                else:
                    client.process.wait(30)
                    server.process.wait(30)
                report = finish()
    for entries in two_sides(report, port):
        assert [c["events"] for c in entries] == [20, 20]
        assert all(c["duration_us"] is None and c["open"] == bool(hold) for c in entries)
        assert all(c["source"].startswith("127.0.0.1:") for c in entries)


def test_a_connection_that_is_reset_and_kept():
    with measuring("tcp") as finish, socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        client = socket.create_connection(("127.0.0.1", port))
        server, _ = listener.accept()
        client.sendall(b"ask")
        server.recv(10)
        server.sendall(b"answer")
        client.recv(10)
        server.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        server.close()
        with pytest.raises(ConnectionResetError):
            client.recv(10)
        report = finish()
        client.close()
    (asked,), (answered,) = two_sides(report, port)
    assert (asked["events"], answered["events"]) == (1, 1)
    assert (asked["error"], asked["open"], asked["closed_by"]) == ("reset", False, "remote")


def test_connections_without_exchanges():
    with measuring("tcp") as finish, socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        socket.create_connection(("127.0.0.1", port)).close()
        listener.accept()[0].close()
        report = finish()
    for (one,) in two_sides(report, port):
        assert one["events"] == 0
        assert one["min_latency_us"] is one["avg_latency_us"] is one["std_dev_us"] is None


def answer(listener, n):
    for _ in range(n):
        peer, _ = listener.accept()
        with peer:
            if peer.recv(100):
                peer.sendall(b"answer")


def short_connections(n):
    """One exchange on each; the port."""
    with socket.create_server(("127.0.0.1", 0), backlog=100) as listener:
        port = listener.getsockname()[1]
        server = threading.Thread(target=answer, args=(listener, n), daemon=True)
        server.start()
        for _ in range(n):
            with socket.create_connection(("127.0.0.1", port)) as one:
                one.sendall(b"ask")
                assert one.recv(100) == b"answer"
        server.join()
    return port


def test_ends_that_found_the_ring_full():
    """Sonde is held up while 30,000 sockets end, for which 8 MiB are no room: their exchanges are counted."""
    n = 15000
    with running(SONDE, "report", "tcp") as sonde:
        sonde.wait_line("measuring")
        os.kill(sonde.pid, signal.SIGSTOP)
        try:
            port = short_connections(n)
        finally:
            os.kill(sonde.pid, signal.SIGCONT)
        assert sonde.stop() == 0, sonde.lines
    report = Report("\n".join(sonde.out), by_process=True)
    for side in ("client", "server"):
        assert report.count(f"tcp.{side}.exchange.duration", server__port=port) == n
    lost = report.fates("tcp")["dropped_ring_full"]
    warned = [re.search(r"(\d+) connections ended .* told: (\d+) exchanges", line)
              for line in sonde.lines]
    (warned,) = filter(None, warned)
    untold = report.document["total_events"] - sum(report.document["histogram"].values())
    assert [int(warned[1]), int(warned[2])] == [lost, untold]
    assert 0 < lost < 2 * n and untold > 0
    assert report.document["connections_omitted"]["events"] >= untold


def test_five_thousand_short_connections():
    n = 5000
    with measuring("tcp") as finish:
        port = short_connections(n)
        report = finish()
    omitted = report.document["connections_omitted"]["count"]
    for side, entries in zip(("client", "server"), two_sides(report, port)):
        assert report.count(f"tcp.{side}.exchange.duration", server__port=port) == n
        sockets = sum(c["sockets"] for c in entries)
        assert sockets <= n <= sockets + omitted
        assert all(c["events"] == c["sockets"] for c in entries)


def written(pid):
    """Calls of write() and the like."""
    return int(re.search(r"^syscw: (\d+)", pathlib.Path(f"/proc/{pid}/io").read_text(), re.M)[1])


@pytest.mark.parametrize("headers", [(), ("-H", "Connection: close")], ids=["kept", "short"])
def test_the_end_amid_traffic(tmp_path, headers):
    """Sums agree, whatever was under way and whatever ended while hooks were taken off."""
    with nginx_server(tmp_path, log=False) as (port, _), measuring("tcp") as finish, \
            running(shutil.which("wrk"), "-t1", "-c16", "-d60", *headers,
                    f"http://127.0.0.1:{port}/") as wrk:
        # Each of its connections had its turn: it asks on one after the other.
        until(lambda: written(wrk.pid) > 100 * 16 and (headers or len(established(port)) == 16),
              "1600 requests of wrk")
        report = finish()
    asked, answered = two_sides(report, port)
    assert report.count("tcp.server.exchange.duration", "nginx", server__port=port) > 100
    assert all(c["service"] == "wrk" for c in asked)
    assert all(c["role"] == "server" for c in answered)
    if not headers:
        # One more it makes and closes, to see whether somebody is there.
        for entries in (asked, answered):
            assert sum(c["open"] for c in entries) == 16 and len(entries) == 17


def test_the_share_that_was_asked_for():
    document = Report(report("--duration", "100ms", "--sample", "0.25").stdout).document
    assert document["sampling_rate"] == 0.25
    assert Report(report("--duration", "100ms").stdout).document["sampling_rate"] == 1


def test_only_what_was_measured():
    document = json.loads(report_http())
    assert "total_events" not in document and "connections" not in document
    Report(json.dumps(document))


def report_http():
    return subprocess.run([SONDE, "report", "http", "--duration", "100ms"], env=ENV, timeout=60,
                          check=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE).stdout


def test_time():
    """What the figures cover: at least what was asked for, and no more than there was."""
    begin = time.monotonic()
    done = report("--duration", "1500ms")
    whole = time.monotonic() - begin
    document = Report(done.stdout).document
    assert 1.5 <= document["duration_seconds"] <= whole
    assert document["time"] == document["timestamp"]


def test_documents_of_the_unit_tests_are_by_the_schema():
    goldens = sorted((ROOT / "tests/golden").glob("report*.json"))
    assert len(goldens) >= 3
    for golden in goldens:
        text = golden.read_text(encoding="utf-8", errors="replace")
        Report(text.replace("@VERSION@", "1.2.3"))


# ---- what a person sees ----

class Terminal:
    """A command on a terminal of 100 columns."""

    def __init__(self, *argv, env=None, stdout=None):
        ours, theirs = pty.openpty()
        self.process = subprocess.Popen([SONDE, "report", *map(str, argv)], env={**ENV, **(env or {})},
                                        stdin=subprocess.DEVNULL, stdout=stdout or theirs,
                                        stderr=theirs)
        os.close(theirs)
        self.data = b""
        self.ours = ours

    @property
    def text(self):
        return self.data.decode(errors="replace").replace("\r\n", "\n")

    def read(self):
        """Takes what has come since; false at the end."""
        try:
            self.data += os.read(self.ours, 65536)
        except OSError:  # how a terminal ends
            return False
        return True

    def wait(self, pattern):
        while not re.search(pattern, plain(self.text), re.M):
            assert self.read(), self.text

    def finish(self, sig=None):
        if sig:
            self.process.send_signal(sig)
        while self.read():
            pass
        os.close(self.ours)
        return self.process.wait(30), self.text


def plain(text):
    """Without colours, and what is drawn in place as lines."""
    return re.sub(r"\x1b\[[0-9;]*[mK]", "", text).replace("\r", "\n")


def test_a_terminal_gets_a_summary():
    terminal = Terminal("tcp", "--duration", "60s")
    terminal.wait("measuring")
    tcp_pair("--exchanges", 20)
    terminal.wait("s to go")
    status, text = terminal.finish(signal.SIGINT)
    assert status == 0 and "\x1b[" in text and '"metrics"' not in text
    text = plain(text)
    assert "s to go (Ctrl-C ends it now)" in text and "--tcp.detail" in text
    assert re.search(r"^tcp_pair +(client|server) +127\.0\.0\.1 +\d+ +\d+ ", text, re.M)
    for title in ("EXCHANGES", "TIME TO THE ANSWER", "TCP SERVICE", "SLOWEST SOCKETS"):
        assert re.search(rf"^{title}", text, re.M)


def test_a_terminal_without_colours():
    status, text = Terminal("tcp", "--duration", "100ms", env={"NO_COLOR": "1"}).finish()
    assert status == 0 and not re.search(r"\x1b\[[0-9;]*m", text) and "sonde " in text


def test_json_on_a_terminal():
    status, text = Terminal("tcp", "--duration", "100ms", "--json").finish()
    assert status == 0
    Report(next(line[line.index("{"):] for line in text.splitlines() if "{" in line))


def test_a_file_leaves_the_summary_to_standard_output(tmp_path):
    out = tmp_path / "r.json"
    done = report("--duration", "100ms", "--output", out)
    assert done.stdout.startswith("sonde ") and "\x1b" not in done.stdout + done.stderr
    Report(out.read_text())
    assert report("--duration", "100ms", "--output", out, "--json").stdout == ""
    Report(report("--duration", "100ms", "--output", "/dev/stdout").stdout)


@pytest.mark.parametrize("env", [{}, {"NO_COLOR": "1"}], ids=["colours", "none"])
def test_progress(env):
    """On a terminal, and in colours of its own: standard output is none."""
    terminal = Terminal("tcp", env=env, stdout=subprocess.DEVNULL)
    with running(SONDE, "report", "tcp", "--duration", "12s") as piped:
        terminal.wait("measuring")
        piped.wait_line("measuring")
        tcp_pair("--exchanges", 20)
        terminal.wait(r"^sonde: \d+s: [\d.]+( [kM])? exchanges, [\d.]+ [kM]?/s, "
                      r"p50 [\d.]+ [µm]?s, p99 [\d.]+ [µm]?s$")
        status, text = terminal.finish(signal.SIGINT)
        assert status == 0
        assert piped.process.wait(30) == 0 and piped.stop() == 0
    assert bool(re.search(r"\x1b\[[0-9;]*m", text)) == (not env)
    assert not [line for line in piped.lines if "exchanges" in line or "to go" in line]


# ---- the file ----

ON_A_SMALL_DISK = """
set -eu
mount -t tmpfs -o size=8m,mode=0755 small "$1"
cp "$2" "$1/r.json"
chown 65534:65534 "$1/r.json"
chmod 0640 "$1/r.json"
[ "$3" = empty ] || head -c 9M /dev/zero 2>/dev/null >"$1/full" || :
status=0
"$4" report tcp --duration 100ms --output "$1/r.json" || status=$?
ls -A "$1" >"$5/names"
stat -c '%u:%g %a' "$1/r.json" >"$5/owner"
cp "$1/r.json" "$5/after"
exit $status
"""


def on_a_small_disk(tmp_path, fill):
    """Writes over an old document on a disk of 8 MiB; exit status and what is there then."""
    disk, old = tmp_path / "disk", tmp_path / "old"
    disk.mkdir()
    old.write_text('{"old": true}')
    done = subprocess.run(["unshare", "-m", "sh", "-c", ON_A_SMALL_DISK, "sh", disk, old, fill, SONDE,
                           tmp_path], env=ENV, text=True, timeout=60, stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE, check=False)
    return done, (tmp_path / "names").read_text().split()


def test_a_full_disk_leaves_the_old_document(tmp_path):
    done, names = on_a_small_disk(tmp_path, "full")
    assert done.returncode == 1 and "No space left" in done.stderr, done.stderr
    assert done.stdout.startswith("sonde ")
    assert (tmp_path / "after").read_text() == (tmp_path / "old").read_text()
    assert names == ["full", "r.json"]


def test_a_document_takes_the_place_of_the_old_one(tmp_path):
    """Owner and mode are the old one's, and nothing else is left behind."""
    done, names = on_a_small_disk(tmp_path, "empty")
    assert done.returncode == 0, done.stderr
    Report((tmp_path / "after").read_text()).check_account()
    assert (tmp_path / "owner").read_text() == "65534:65534 640\n"
    assert names == ["r.json"]


def test_a_file_with_two_names_keeps_both(tmp_path):
    one, two = tmp_path / "one", tmp_path / "two"
    one.write_text("old")
    os.link(one, two)
    assert report("--duration", "100ms", "--output", one).returncode == 0
    assert one.read_text() == two.read_text()
    Report(one.read_text()).check_account()


def test_killed_it_leaves_the_old_document_and_nothing_else(tmp_path):
    out = tmp_path / "r.json"
    out.write_text("old")
    with running(SONDE, "report", "tcp", "--output", out) as sonde:
        sonde.wait_line("measuring")
        keeper = child_of(sonde.pid, "sonde-output")
        sonde.stop(signal.SIGKILL)
        end = time.monotonic() + 30
        while os.path.exists(f"/proc/{keeper}") and time.monotonic() < end:
            time.sleep(0.01)
        assert not os.path.exists(f"/proc/{keeper}")
    assert os.listdir(tmp_path) == ["r.json"] and out.read_text() == "old"


def test_without_what_replaces_the_file_there_is_a_summary(tmp_path):
    out = tmp_path / "r.json"
    out.write_text("old")
    with running(SONDE, "report", "tcp", "--output", out) as sonde:
        sonde.wait_line("measuring")
        os.kill(child_of(sonde.pid, "sonde-output"), signal.SIGKILL)
        assert sonde.stop() == 1
    assert sonde.out[0].startswith("sonde ")
    assert f"cannot write {out}: the process that writes the file has ended" in sonde.lines[-1]
    assert out.read_text() == "old"


def test_a_pipe_with_a_name(tmp_path):
    """Of somebody else, in a folder like /tmp."""
    tmp_path.chmod(0o1777)
    out = tmp_path / "r.json"
    os.mkfifo(out)
    os.chown(out, 65534, 65534)
    with running("cat", out) as reader, running(SONDE, "report", "tcp", "--output", out) as sonde:
        sonde.wait_line("measuring")
        assert sonde.stop() == 0 and reader.process.wait(30) == 0
        assert reader.stop() == 0
        Report("\n".join(reader.out)).check_account()


def child_of(pid, name):
    """The child of that name."""
    for child in map(int, pathlib.Path(f"/proc/{pid}/task/{pid}/children").read_text().split()):
        if pathlib.Path(f"/proc/{child}/comm").read_text() == name + "\n":
            return child
    raise AssertionError(f"{pid} has no child {name}")


def test_what_replaces_the_file_has_no_other_rights(tmp_path):
    with running(SONDE, "report", "tcp", "--output", tmp_path / "r.json") as sonde:
        sonde.wait_line("measuring")
        keeper = child_of(sonde.pid, "sonde-output")
        status = pathlib.Path(f"/proc/{keeper}/status").read_text()
        fields = dict(line.split(":", 1) for line in status.splitlines() if ":" in line)
        assert int(fields["NoNewPrivs"]) == 1
        # CHOWN 0, DAC_OVERRIDE 1, FOWNER 3, FSETID 4.
        assert int(fields["CapEff"], 16) == int(fields["CapPrm"], 16) == 1 << 0 | 1 << 1 | 1 << 3 | 1 << 4
        assert sonde.stop() == 0
    assert os.listdir(tmp_path) == ["r.json"]
