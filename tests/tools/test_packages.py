# SPDX-License-Identifier: Apache-2.0
"""tools/packages: pins, patterns, architectures; with an apt that only says what it was asked."""
import os
import shutil
import subprocess

import pytest

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
LISTS = ("build", "test", "build-arm64", "test-arm64")

# The suites hold these; apt's settings at a download are kept beside what was downloaded.
NAMES = ("linux-2-cloud linux-10-cloud linux-9-cloud linux-10-cloud-dbg linux-unsigned-11-cloud"
         " libx-dev")
STUBS = {
    "apt-get": """case "$*" in
        indextargets*) echo "bookworm-security main Debian mirror:/security"
                       echo "bookworm main Debian mirror:/debian" ;;
        download*) cat "$APT_CONFIG" "${APT_CONFIG%apt.conf}sources.list" >>"$ASKED"
                   for name; do :; done; echo "$name" >"$name.deb" ;;
        esac""",
    "apt-cache": f"""for name in {NAMES}; do case $name in "$2"*) echo $name ;; esac; done""",
    "dpkg-deb": """printf '%s\\t1.0\\n' "$(cat "$2")" """,
    "dpkg": """mkdir -p "$3/boot"; cp "$2" "$3/boot/" """,
}

pytestmark = pytest.mark.skipif(not shutil.which("dpkg-query"), reason="this is not Debian")


@pytest.fixture
def tree(tmp_path):
    (tmp_path / "tools/packages.d").mkdir(parents=True)
    (tmp_path / "bin").mkdir()
    shutil.copy(f"{ROOT}/tools/packages", tmp_path / "tools")
    for name in LISTS:
        (tmp_path / "tools/packages.d" / name).write_text("")
    for name, body in STUBS.items():
        (tmp_path / "bin" / name).write_text(f"#!/bin/sh\n{body}\n")
        (tmp_path / "bin" / name).chmod(0o755)
    return tmp_path


def packages(tree, row, *argv):
    (tree / "tools/packages.d/test").write_text(row)
    env = {**os.environ, "PATH": f"{tree}/bin:{os.environ['PATH']}", "ASKED": f"{tree}/asked"}
    env.pop("SONDE_SKIP_PACKAGES", None)
    return subprocess.run([tree / "tools/packages", *(argv or ["test"])], env=env, text=True,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=60)


def stamp(tree, folder):
    return (tree / ".deps" / folder / ".stamp").read_text().splitlines()


@pytest.mark.parametrize("wanted, taken", [
    ("linux-9-cloud|linux-*-cloud", "linux-9-cloud\t1.0"),
    ("linux-8-cloud|linux-[0-9]*-cloud", "linux-10-cloud\t1.0\tin place of linux-8-cloud"),
    ("linux-8-cloud|linux-7-cloud|linux-9-cloud", "linux-9-cloud\t1.0\tin place of linux-8-cloud"),
    ("linux-[0-9]*-cloud", "linux-10-cloud\t1.0"),
])
def test_a_pin_gives_way_only_when_it_is_gone(tree, wanted, taken):
    row = f"unpack test/linux bookworm-security {wanted}"
    done = packages(tree, row)
    assert done.returncode == 0, done.stdout
    assert stamp(tree, "test/linux") == [row[len("unpack "):], taken]
    assert os.listdir(tree / ".deps/test/linux/boot") == [taken.split("\t")[0] + ".deb"]
    said = "bookworm-security has no linux-8-cloud any more: " + taken.split("\t")[0]
    assert (said in done.stdout) == ("in place of" in taken)
    assert packages(tree, row).stdout == ""


def test_what_no_pattern_finds_is_an_error_and_leaves_no_folder(tree):
    done = packages(tree, "unpack test/linux bookworm-security linux-8-cloud|linux-8*-cloud")
    assert done.returncode == 1
    assert "bookworm-security has no package linux-8-cloud and no linux-8*-cloud." in done.stdout
    assert not (tree / ".deps/test/linux").exists()


def test_suites_and_architecture_of_a_row(tree):
    done = packages(tree, "unpack arm64/system bookworm,bookworm-security:arm64 \\\n\tlibx-dev\n")
    assert done.returncode == 0, done.stdout
    assert stamp(tree, "arm64/system")[0] == \
        "arm64/system bookworm,bookworm-security:arm64 libx-dev"
    asked = (tree / "asked").read_text()
    assert 'APT::Architecture "arm64";' in asked
    assert "mirror:/debian bookworm main" in asked
    assert "mirror:/security bookworm-security main" in asked


def test_a_changed_row_is_unpacked_again(tree):
    packages(tree, "unpack test/linux bookworm-security linux-9-cloud")
    packages(tree, "unpack test/linux bookworm-security linux-10-cloud")
    assert os.listdir(tree / ".deps/test/linux/boot") == ["linux-10-cloud.deb"]


@pytest.mark.parametrize("argv", [["--dry-run"], ["tests"], ["test", "-n"]])
def test_other_arguments_are_refused(tree, argv):
    assert packages(tree, "", *argv).returncode == 1


def test_a_dry_run_only_says(tree):
    done = packages(tree, "unpack test/linux sid linux-9-cloud", "all", "--dry-run")
    assert (done.returncode, "test/linux: linux-9-cloud (sid)" in done.stdout) == (0, True)
    assert not (tree / ".deps").exists()
