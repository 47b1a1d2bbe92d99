# SPDX-License-Identifier: Apache-2.0
"""`sonde report`: the document, the file it is written to, and what a person sees meanwhile."""
import os
import pathlib
import signal
import subprocess
import time

from conftest import ENV, SONDE, Report, running


def report(*argv, **kwargs):
    return subprocess.run([SONDE, "report", "tcp", *map(str, argv)], env=ENV, text=True, timeout=60,
                          stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                          **kwargs)


# ---- the file ----

ON_A_SMALL_DISK = """
set -eu
mount -t tmpfs -o size=64k,mode=0755 small "$1"
cp "$2" "$1/r.json"
chown 65534:65534 "$1/r.json"
chmod 0640 "$1/r.json"
[ "$3" = empty ] || head -c 1M /dev/zero 2>/dev/null >"$1/full" || :
status=0
"$4" report tcp --duration 100ms --output "$1/r.json" || status=$?
ls -A "$1" >"$5/names"
stat -c '%u:%g %a' "$1/r.json" >"$5/owner"
cp "$1/r.json" "$5/after"
exit $status
"""


def on_a_small_disk(tmp_path, fill):
    """Writes over an old document on a disk of 64 KiB; exit status and what is there then."""
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
