# SPDX-License-Identifier: Apache-2.0
"""The commands as their users meet them: output, exit codes, one sentence for what went wrong."""
import contextlib
import json
import os
import pathlib
import re
import signal
import stat
import subprocess
import time

import pytest

from conftest import ENV, GO_VERSIONS, ROOT, SONDE, WORK, Report, go_server, running, tcp_pair

OK, FAILED, WRONG_USE, NOT_PERMITTED = 0, 1, 2, 3


def sonde(*argv, env=None, user=None):
    done = subprocess.run([SONDE, *map(str, argv)], env={**ENV, **(env or {})}, text=True, timeout=60,
                          stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                          user=user)
    return done.returncode, done.stdout, done.stderr


def test_version_list_help():
    version = (ROOT / "VERSION").read_text().strip()
    assert sonde("version") == (OK, f"sonde {version}\n", "")
    assert json.loads(sonde("version", "--json")[1]) == {"version": version}
    status, out, _ = sonde("list")
    assert status == OK
    for name in ("tcp.client.exchange.duration", "network.peer.address", "server.port",
                 "http.server.request.duration", "sonde.events"):
        assert name in out
    listed = json.loads(sonde("list", "--json")[1])
    assert {"tcp", "http"} <= {probe["name"] for probe in listed["probes"]}
    status, out, _ = sonde("--help")
    assert status == OK and "report" in out
    for command in ("run", "report", "doctor", "plan", "list", "compare", "version"):
        status, out, err = sonde(command, "--help")
        assert (status, err) == (OK, "") and command in out


@pytest.mark.parametrize("argv", [
    ("rnu",), ("run", "--lisen", "x"), ("run", "--listen", "nowhere"), ("report", "--duration", "soon"),
    ("report", "--tier", "best"), ("run", "--probes", "tpc"), ("run", "--otlp.endpoint", "host:1"),
    ("plan", "--pid", "0"), ("run", "--config", "/does/not/exist"),
])
def test_wrong_use_gets_one_sentence(argv):
    status, out, err = sonde(*argv)
    assert (status, out) == (WRONG_USE, "")
    assert err.startswith("sonde: ") and err.count("\n") == 1


def test_without_rights():
    for command in (("run",), ("report", "--duration", "1"), ("doctor",)):
        status, _, err = sonde(*command, user="nobody")
        assert status == NOT_PERMITTED
        if command[0] != "doctor":
            assert "sudo" in err and err.count("\n") == 1


def test_plan_without_rights_says_what_it_cannot_see():
    with go_server(GO_VERSIONS[-1]):
        status, out, _ = sonde("plan", user="nobody")
    assert status == OK
    assert re.search(r"^\d+ process(es)? could not be looked at: run it as root to see all\.$", out,
                     re.M)


def test_plan_as_root_does_not_advise_to_be_root():
    """All can be looked at, unless something keeps even root from it: a sandbox, say."""
    status, out, _ = sonde("plan")
    told = re.search(r"^(\d+) (process|processes) could not be looked at: the system refused it\.$", out,
                     re.M)
    assert status == OK and bool(told) == ("could not be looked at" in out)
    assert not told or (told[1] == "1") == (told[2] == "process")


def test_port_taken():
    with running(SONDE, "run", "--listen", "127.0.0.1:0") as first:
        port = first.wait_line(r":(\d+)/metrics")[1]
        status, _, err = sonde("run", "--listen", f"127.0.0.1:{port}")
        assert status == FAILED
        assert "--listen" in err and err.count("\n") == 1


def test_doctor():
    status, out, err = sonde("doctor")
    assert (status, err) == (OK, "")
    assert "probe tcp: works here" in out and "probe http: works here" in out
    document = json.loads(sonde("doctor", "--json")[1])
    hooks = {h["figure"]: h["tier"] for p in document["probes"] for h in p["hooks"] if h["attached"]}
    assert {"send", "arrival", "read", "state", "close"} <= set(hooks)


BPF_STATS = pathlib.Path("/proc/sys/kernel/bpf_stats_enabled")


def statistics_held():
    """Descriptors of all processes that have the kernel count the runs of BPF programs."""
    held = 0
    for fd in pathlib.Path("/proc").glob("[0-9]*/fd/*"):
        with contextlib.suppress(OSError):
            held += os.readlink(fd) == "anon_inode:bpf-stats"
    return held


def check_cost(document):
    probe = next(p for p in document["probes"] if p["name"] == "tcp")
    hot = {h["figure"]: h for h in probe["hooks"] if "ns_per_run" in h}
    assert set(hot) == {"arrival", "read", "send"} and all(h["attached"] for h in hot.values())
    assert all(h["ns_per_run"] > 0 and 1 <= h["runs_per_exchange"] <= 1.1 for h in hot.values())
    return probe["cost"], sum(h["ns_per_run"] * h["runs_per_exchange"] for h in hot.values())


def test_doctor_measures_what_the_hooks_cost():
    enabled, held = BPF_STATS.read_text(), statistics_held()
    out = sonde("doctor")[1]
    for figure in ("arrival", "read", "send"):
        assert re.search(rf"ok  {figure} .* 1\.\d\d x +[1-9]\d* ns$", out, re.M), out
    cost = re.search(r"cost: default set: about (\S+) us per exchange and side; "
                     r"with --tcp.detail: (\S+) us$", out, re.M)
    assert cost and float(cost[1]) > 0 and float(cost[2]) > 0
    for argv, mine, other in (((), "default_ns", "detail_ns"),
                              (("--tcp.detail",), "detail_ns", "default_ns")):
        cost, of_hooks = check_cost(json.loads(sonde("doctor", "--json", *argv)[1]))
        assert cost["why"] == "" and cost[other] > 0
        assert abs(cost[mine] - of_hooks) < 1e-6 * of_hooks
    assert (BPF_STATS.read_text(), statistics_held()) == (enabled, held)


def test_doctor_measures_among_other_exchanges():
    """Runs that are others' are no runs of an exchange."""
    with running(WORK / "tcp_pair", "--connections", 4, "--exchanges", 1000000):
        cost, _ = check_cost(json.loads(sonde("doctor", "--json")[1]))
    assert cost["why"] == "" and cost["default_ns"] > 0


def test_doctor_says_why_it_does_not_measure():
    """Statistics need more than probes do; a hook that is not there has no cost."""
    without_admin = ["setpriv", "--bounding-set=-sys_admin", "--inh-caps=-sys_admin"]
    done = subprocess.run([*without_admin, SONDE, "doctor", "--json", "--probes", "tcp"], env=ENV,
                          check=True, stdout=subprocess.PIPE)
    probe = json.loads(done.stdout)["probes"][0]
    assert probe["works"] and set(probe["cost"]) == {"why"}
    assert "run statistics" in probe["cost"]["why"] and "CAP_SYS_ADMIN" in probe["cost"]["why"]
    assert not any("ns_per_run" in h for h in probe["hooks"])
    probe = json.loads(sonde("doctor", "--json", "--probes", "tcp", "--tier", "kprobe")[1])["probes"][0]
    assert probe["works"] or "hook" in probe["cost"]["why"]


def test_report_ends_by_itself_and_by_ctrl_c(tmp_path):
    out = tmp_path / "report.json"
    begin = time.monotonic()
    status, _, err = sonde("report", "tcp", "--duration", "1s", "--output", out)
    assert status == OK and time.monotonic() - begin >= 1
    assert Report(out.read_text()).document["duration_seconds"] >= 1
    for sig in (signal.SIGINT, signal.SIGTERM):
        with running(SONDE, "report", "tcp", "--duration", "1h", "--output", out) as report:
            report.wait_line("measuring")
            own = tcp_pair("--exchanges", 7)
            assert report.stop(sig) == OK
            done = Report(out.read_text())
            assert done.count("tcp.client.exchange.duration", "tcp_pair",
                              server__port=own["client"]["port"]) == 7
    assert os.listdir(tmp_path) == ["report.json"]


@pytest.mark.parametrize("after", [0, 0.02, 0.05, 0.1, 0.2, 0.3])
def test_interrupted_at_any_moment_it_ends(after):
    """Also before everything is in place: what is there then is a complete document."""
    with running(SONDE, "report") as report:
        time.sleep(after)
        assert report.stop(timeout=10) in (OK, -signal.SIGINT)
        if report.process.returncode == OK:
            assert Report("\n".join(report.out))


def test_a_tier_that_is_not_there_is_told():
    """This machine may have all tiers: then nothing is missing, and nothing said."""
    hooks = json.loads(sonde("doctor", "--probes", "tcp", "--tier", "kprobe", "--json")[1])["probes"][0]
    status, _, err = sonde("report", "tcp", "--tier", "kprobe", "--duration", "100ms")
    if hooks["works"]:
        assert (status, err.count("warning")) == (OK, 0)
    else:
        assert "does not let kprobes attach" in err


def test_report_into_what_is_no_file(tmp_path):
    """A device, a pipe or a link is written to, and never replaced by a file."""
    null, link, real = tmp_path / "null", tmp_path / "link", tmp_path / "real"
    os.mknod(null, 0o666 | stat.S_IFCHR, os.makedev(1, 3))
    real.write_text("old")
    link.symlink_to(real)
    assert sonde("report", "tcp", "--duration", "100ms", "--output", null)[0] == OK
    assert stat.S_ISCHR(null.stat().st_mode)
    assert sonde("report", "tcp", "--duration", "100ms", "--output", link)[0] == OK
    assert link.is_symlink() and Report(real.read_text())
    with open(real, "w", encoding="utf-8") as log:
        log.write("mine\n")
        log.flush()
        subprocess.run([SONDE, "report", "tcp", "--duration", "100ms"], env=ENV, stdout=log, check=True)
    assert real.read_text().startswith("mine\n{")
    piped = subprocess.run([SONDE, "report", "tcp", "--duration", "100ms", "--output", "/dev/stdout"],
                           env=ENV, stdout=subprocess.PIPE, check=True)
    assert Report(piped.stdout)


def test_report_into_the_folder_of_another_user(tmp_path):
    """As with sudo: the rights to write there are given up before the document is written."""
    os.chown(tmp_path, 65534, 65534)
    tmp_path.chmod(0o755)
    assert sonde("report", "tcp", "--duration", "100ms", "--output", tmp_path / "r.json")[0] == OK
    (tmp_path / "r.json").write_text("x" * 1000000)
    assert sonde("report", "tcp", "--duration", "100ms", "--output", tmp_path / "r.json")[0] == OK
    assert Report((tmp_path / "r.json").read_text())


def test_report_that_cannot_be_written_says_so_at_once():
    begin = time.monotonic()
    status, _, err = sonde("report", "--duration", "1h", "--output", "/does/not/exist/r.json")
    assert status == FAILED and time.monotonic() - begin < 10
    assert "/does/not/exist/r.json" in err and err.count("\n") == 1


def test_probes_that_were_not_asked_for_are_not_there():
    with go_server(GO_VERSIONS[-1]):
        status, out, _ = sonde("report", "tcp", "--duration", "100ms")
    assert status == OK
    assert not Report(out).series("sonde.events", sonde__probe="http")


def test_privileges_are_given_up():
    with running(SONDE, "run", "--listen", "127.0.0.1:0") as agent:
        agent.wait_line("figures are at")
        status = open(f"/proc/{agent.pid}/status", encoding="utf-8").read()
        fields = dict(line.split(":", 1) for line in status.splitlines() if ":" in line)
        assert int(fields["NoNewPrivs"]) == 1
        # BPF 39, PERFMON 38, SYS_PTRACE 19, DAC_READ_SEARCH 2; this kernel has uprobe_multi.
        assert int(fields["CapEff"], 16) == 1 << 39 | 1 << 38 | 1 << 19 | 1 << 2
        assert int(fields["VmRSS"].split()[0]) <= 15 * 1024
