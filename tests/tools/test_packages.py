# SPDX-License-Identifier: Apache-2.0
"""tools/packages: pins, patterns, architectures, what is optional; with an apt that only says what it was asked."""
import os
import shutil
import subprocess

import pytest

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
LISTS = ("build", "test", "build-arm64", "test-arm64")

# The suites hold these; apt's settings at a download are kept beside what was downloaded.
NAMES = ("linux-2-cloud linux-10-cloud linux-9-cloud linux-10-cloud-dbg linux-unsigned-11-cloud"
         " libx-dev broken unpackable")
STUBS = {
    "apt-get": """case "$*" in
        indextargets*) echo "bookworm-security main Debian mirror:/security"
                       echo "bookworm main Debian mirror:/debian" ;;
        update*) ! grep "gone-security" "${APT_CONFIG%apt.conf}sources.list" >/dev/null ||
                   { echo "E: no Release file." >&2; echo update >>"$ASKED"; exit 100; } ;;
        *broken*) echo "E: 404." >&2; exit 100 ;;
        download*) cat "$APT_CONFIG" "${APT_CONFIG%apt.conf}sources.list" >>"$ASKED"
                   for name; do :; done; echo "$name" >"$name.deb" ;;
        esac""",
    "apt-cache": f"""for name in {NAMES}; do case $name in "$2"*) echo $name ;; esac; done""",
    "dpkg-deb": """printf '%s\\t1.0\\n' "$(cat "$2")" """,
    "dpkg": """! grep -q unpackable "$2" || exit 2; mkdir -p "$3/boot"; cp "$2" "$3/boot/" """,
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


GONE = [
    ("bookworm-security linux-8-cloud", "bookworm-security has no package linux-8-cloud."),
    ("gone-security linux-9-cloud", "the package list of gone-security could not be read:"
                                    " E: no Release file."),
    ("bookworm broken", "broken could not be downloaded: E: 404."),
    ("bookworm unpackable", "unpackable could not be unpacked."),
]


@pytest.mark.parametrize("row, why", GONE)
def test_what_is_optional_is_left_out_in_one_sentence_and_tried_again(tree, row, why):
    text = f"optional test/linux {row}\nunpack test/libx bookworm libx-dev\n"
    for _ in range(2):
        done = packages(tree, text)
        assert done.returncode == 0, done.stdout
        told = [line for line in done.stdout.splitlines() if line.startswith("packages: ")]
        assert told == [f"packages: going on without test/linux: {why}"]
        assert "E: " not in done.stdout.replace(told[0], "")
        assert os.listdir(tree / ".deps/test") == ["libx"]
    # Without a cause for it any more, it is like any other.
    row = "test/linux bookworm-security linux-9-cloud"
    assert packages(tree, f"optional {row}").returncode == 0
    assert stamp(tree, "test/linux") == [row, "linux-9-cloud\t1.0"]
    assert packages(tree, f"optional {row}\nunpack {row}").stdout == ""


@pytest.mark.parametrize("row, why", GONE)
def test_what_is_not_optional_is_an_error(tree, row, why):
    done = packages(tree, f"unpack test/linux {row}\nunpack test/libx bookworm libx-dev\n")
    assert done.returncode != 0
    assert f"packages: {why}\n" in done.stdout
    assert not (tree / ".deps/test/linux").exists() and not (tree / ".deps/test/libx").exists()


def test_an_older_one_stays_when_the_new_one_cannot_be_had(tree):
    packages(tree, "optional test/linux bookworm-security linux-9-cloud")
    done = packages(tree, "optional test/linux bookworm-security linux-8-cloud")
    assert done.returncode == 0
    assert "packages: going on with the older test/linux that is there: " in done.stdout
    assert os.listdir(tree / ".deps/test/linux/boot") == ["linux-9-cloud.deb"]


def test_a_suite_that_is_gone_is_asked_for_once(tree):
    rows = "".join(f"optional test/linux-{n} gone-security linux-{n}-cloud\n" for n in (2, 9))
    assert packages(tree, rows).stdout.count("packages: going on without test/linux-") == 2
    assert (tree / "asked").read_text() == "update\n"


def test_a_build_does_without_nothing(tree):
    (tree / "tools/packages.d/build").write_text("optional build bookworm libx-dev")
    done = packages(tree, "", "build")
    assert done.returncode == 1 and "tools/packages.d/build: " in done.stdout


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
