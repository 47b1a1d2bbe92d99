# SPDX-License-Identifier: Apache-2.0
"""Requests of real Go servers against what their clients sent."""
import collections
import json
import shutil
import subprocess
import time

import pytest

from conftest import ENV, GO_VERSIONS, SONDE, WORK, go_server, http_get, measuring, running

METRIC = "http.server.request.duration"


def requests(port):
    """65 requests of four kinds; {(method, status): n}."""
    http_get(port, "-n", 40, "/hello")
    http_get(port, "-n", 10, "-m", "POST", "-b", 100, "/hello")
    http_get(port, "-n", 10, "/status/404")
    http_get(port, "-n", 5, "-m", "BREW", "/status/503")
    return {("GET", 200): 40, ("POST", 200): 10, ("GET", 404): 10, ("_OTHER", 503): 5}


def counts(report, service):
    return {(s["attributes"]["http.request.method"], s["attributes"]["http.response.status_code"]):
            s["count"] for s in report.series(METRIC, service)}


@pytest.mark.parametrize("version", GO_VERSIONS)
def test_running_before(version):
    """Stripped binaries of the oldest to the newest Go."""
    with go_server(version, service=f"shop-{version}") as (_, port):
        with measuring("http") as finish:
            want = requests(port)
            assert counts(finish(), f"shop-{version}") == want


@pytest.mark.parametrize("version", GO_VERSIONS[-1:])
def test_started_later_and_restarted(version):
    """A file that has been seen is probed for all who run it: from the first request on."""
    with measuring("http", "--log-level", "debug") as finish:
        with go_server(version, service="late") as (_, port):
            wait_probed(port)
            want = requests(port)
        for _ in range(3):
            with go_server(version, service="late") as (_, port):
                requests(port)
        report = finish()
    # A process that lives for some milliseconds is gone before its environment is read: its requests
    # are then under the name of its executable.
    got = collections.Counter(counts(report, "late"))
    got.update(counts(report, f"gohttp-{version}"))
    assert got.pop(("GET", 202), 0) >= 1
    assert got == {key: 4 * n for key, n in want.items()}


def wait_probed(port):
    """Long enough for an exec to be noticed and the file to be attached to."""
    for _ in range(20):
        http_get(port, "-n", 1, "/status/202")
        time.sleep(0.05)


def test_durations_nest():
    """Our clock runs between the client's and the handler's own."""
    with go_server(GO_VERSIONS[-1]) as (_, port):
        with measuring("http") as finish:
            seen = http_get(port, "-n", 20, "/sleep/5")
            s = finish().one(METRIC)
    assert s["count"] == 20
    assert s["min_us"] >= 5000
    assert s["sum_us"] * 1000 <= seen["sum_ns"]


def test_replaced_while_running(tmp_path):
    """An upgrade in place is another file: both are probed, the deleted one too."""
    exe = tmp_path / "shop"
    shutil.copy(WORK / f"gohttp-{GO_VERSIONS[0]}", exe)
    with go_server(None, exe=exe) as (_, old):
        exe.unlink()
        shutil.copy(WORK / f"gohttp-{GO_VERSIONS[-1]}", exe)
        with go_server(None, exe=exe) as (_, new):
            with measuring("http") as finish:
                requests(old)
                want = requests(new)
                assert counts(finish(), "shop") == {key: 2 * n for key, n in want.items()}


def test_a_file_that_changes_its_mode_is_the_same_file(tmp_path):
    """Or it would be probed twice, and each request have two starts."""
    exe = tmp_path / "shop"
    shutil.copy(WORK / f"gohttp-{GO_VERSIONS[-1]}", exe)
    with go_server(None, exe=exe) as (_, port):
        with measuring("http") as finish:
            exe.chmod(0o700)
            (tmp_path / "another-name").hardlink_to(exe)
            with go_server(None, exe=exe):  # an exec makes sonde look
                time.sleep(0.5)
                want = requests(port)
            report = finish()
    assert counts(report, "shop") == want
    assert report.value("sonde.events.missed", sonde__probe="http") == 0


def test_panic_and_hijack_are_counted_as_unfinished():
    """Neither ends where requests end: no duration is made up, and both are told of."""
    with go_server(GO_VERSIONS[-1]) as (server, port):
        with measuring("http") as finish:
            for _ in range(3):
                subprocess.run([WORK / "http_get", "127.0.0.1", str(port), "/panic"], env=ENV,
                               stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            want = requests(port)
            server.stop()
            # The sweep that finds them comes every ten seconds.
            time.sleep(12)
            report = finish()
    assert counts(report, f"gohttp-{GO_VERSIONS[-1]}") == want
    missed = {s["attributes"]["sonde.event.reason"]: s["value"]
              for s in report.series("sonde.events.missed", sonde__probe="http")}
    assert missed["no_end"] == 3
    assert missed["no_start"] == 0


def test_load_of_many_connections():
    with go_server(GO_VERSIONS[-1]) as (_, port):
        with measuring("http") as finish:
            got = http_get(port, "-c", 32, "-n", 20000, "/hello")
            report = finish()
    assert got["requests"] == 20000
    assert report.count(METRIC) == 20000


@pytest.mark.parametrize("version", [v for v in GO_VERSIONS if int(v.split(".")[1]) < 23])
def test_a_function_that_is_entered_twice_is_one_request(version):
    """Go's preemption enters it again, as growing its stack does. Where the site is the jump of the
    stack's check that is two hits, of which GO_WILL_RESTART() leaves out one."""
    with running(WORK / f"gohttp-{version}", "-preempt",
                 env={"GODEBUG": "asyncpreemptoff=1"}) as server:
        port = int(server.wait_line(r"listening on 127\.0\.0\.1:(\d+)", where=server.out)[1])
        with measuring("http") as finish:
            got = http_get(port, "-c", 4, "-n", 4000, "/hello")
            server.stop()
            report = finish()
    assert got["status"] == {"200": 4000}
    assert counts(report, f"gohttp-{version}") == {("GET", 200): 4000}
    missed = {s["attributes"]["sonde.event.reason"]: s["value"]
              for s in report.series("sonde.events.missed", sonde__probe="http")}
    assert (missed["no_start"], missed["no_end"]) == (0, 0)


def test_plan_tells_what_and_why():
    with go_server(GO_VERSIONS[0]) as (server, _):
        plan = json.loads(subprocess.run([SONDE, "plan", "--pid", str(server.pid), "--json"],
                                         check=True, env=ENV, stdout=subprocess.PIPE).stdout)
    (entry,) = plan["plan"]
    assert entry["attach"] and entry["stripped"]
    assert entry["version"].startswith(f"go{GO_VERSIONS[0]}")
    assert {site["kind"] for site in entry["sites"]} <= {"push", "jcc", "b.cond"}
    assert len(entry["sites"]) == 2


def test_a_broken_binary_costs_a_line(tmp_path):
    """A Go program whose tables are cut off runs no worse, and is named."""
    whole = (WORK / f"gohttp-{GO_VERSIONS[-1]}").read_bytes()
    exe = tmp_path / "broken"
    exe.write_bytes(spoil_pclntab(whole))
    exe.chmod(0o755)
    with running(exe, "-listen", "127.0.0.1:0") as server:
        with go_server(GO_VERSIONS[-1]) as (_, port):
            with measuring("http") as finish:
                want = requests(port)
                assert counts(finish(), f"gohttp-{GO_VERSIONS[-1]}") == want
        server.stop()


def test_a_name_cannot_speak_to_the_terminal(tmp_path):
    exe = tmp_path / "a\x1b]0;owned\ab"
    exe.write_bytes(spoil_pclntab((WORK / f"gohttp-{GO_VERSIONS[-1]}").read_bytes()))
    exe.chmod(0o755)
    with running(exe, "-listen", "127.0.0.1:0"):
        with measuring("http", "--log-level", "debug"):
            pass
        with running(SONDE, "report", "http", "--duration", "100ms") as sonde:
            told = sonde.wait_line("is not probed")[0]
            assert told
            sonde.process.wait(10)
            assert not any(c < " " for line in sonde.lines for c in line)


def spoil_pclntab(elf):
    """Behind the magic of Go's table of functions stands their number: now it is absurd."""
    at = elf.index(b"\xf1\xff\xff\xff\x00\x00\x01\x08") + 8
    return elf[:at] + b"\xff" * 8 + elf[at + 8:]
