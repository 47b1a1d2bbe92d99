# SPDX-License-Identifier: Apache-2.0
"""A kernel that shows no types, and files that describe it, or do not.

The kernel's own are hidden in a mount namespace: to sonde it is then one without.
"""
import json
import pathlib
import shutil
import struct
import subprocess

import pytest

from conftest import ENV, SONDE

KERNEL = pathlib.Path("/sys/kernel/btf/vmlinux")
HIDDEN = 'mount -t tmpfs none /sys/kernel/btf && exec "$@"'

# What follows the twelve bytes of a type of each kind, beside its members.
EXTRA = {1: 4, 3: 12, 14: 4, 17: 4}
EACH = {4: 12, 5: 12, 6: 8, 13: 8, 15: 12, 19: 12}
STRUCT = 4


def shifted(btf, name, member, by):
    """That BTF with every member of struct @name, from @member on, @by bytes further."""
    data = bytearray(btf)
    header, types, _, strings, length = struct.unpack_from("<IIIII", data, 4)
    end = header + strings
    at = header + types

    def text(offset):
        begin = header + strings + offset
        return data[begin:data.index(b"\0", begin)].decode()

    while at < end:
        label, info, _ = struct.unpack_from("<III", data, at)
        kind, count = info >> 24 & 0x1f, info & 0xffff
        if kind == STRUCT and text(label) == name:
            found = False
            for k in range(count):
                field = at + 12 + 12 * k
                what, _, bits = struct.unpack_from("<III", data, field)
                found = found or text(what) == member
                if found:
                    struct.pack_into("<I", data, field + 8, bits + 8 * by)
            assert found, f"{name} has no {member}"
            return bytes(data)
        at += 12 + EXTRA.get(kind, 0) + EACH.get(kind, 0) * count
    raise AssertionError(f"no struct {name}")


def without_types(*argv):
    return subprocess.run(["unshare", "-m", "sh", "-c", HIDDEN, "sh", SONDE, *map(str, argv)],
                          env=ENV, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE, text=True, timeout=60)


def doctor(*argv):
    return json.loads(without_types("doctor", "--json", *argv).stdout)


@pytest.fixture(scope="module")
def own(tmp_path_factory):
    if not KERNEL.exists():
        pytest.skip("this kernel shows no types")
    return pathlib.Path(shutil.copy(KERNEL, tmp_path_factory.mktemp("btf") / "own"))


def test_without_any(own):
    said = doctor()
    tcp, http = said["probes"]
    assert not said["features"]["kernel type information (BTF)"]
    assert not tcp["works"] and http["works"]
    assert all(hook["attached"] or "BTF" in hook["why"] for hook in tcp["hooks"]
               if hook["tier"] != "kprobe")


def test_its_own(own):
    said = doctor("--btf", own)
    assert "btf" not in said
    raw = [hook for hook in said["probes"][0]["hooks"] if hook["tier"] == "raw_tp"]
    assert len(raw) == 3 and all(hook["attached"] for hook in raw)


@pytest.mark.parametrize("name,member,by", [
    ("task_struct", "pid", 8), ("signal_struct", "live", 64), ("sock_common", "skc_family", 8),
    ("sock", "sk_type", 16), ("tcp_sock", "write_seq", 8), ("tcp_sock", "rcv_nxt", 8),
    ("tcp_sock", "copied_seq", 8), ("tcp_sock", "srtt_us", 8), ("net", "ns", 8),
    ("tcp_sock", "tcp_clock_cache", 8), ("tcp_sock", "rtt_min", 4), ("inet_sock", "inet_sport", 4),
    ("sock_common", "skc_v6_rcv_saddr", 4),
])
def test_another_kernels(own, tmp_path, name, member, by):
    file = tmp_path / "other"
    file.write_bytes(shifted(own.read_bytes(), name, member, by))
    assert "describes another kernel" in doctor("--btf", file)["btf"]
    done = without_types("report", "tcp", "--duration", "100ms", "--btf", file)
    assert done.returncode == 1
    assert "describes another kernel" in done.stderr


@pytest.mark.parametrize("content,said", [(b"", "cannot be used"), (b"\x7fELF" + b"x" * 99, "cannot be used"),
                                          (b"\x9f\xeb\x01\x00", "cannot be used"), (None, "No such file")])
def test_no_types_at_all(own, tmp_path, content, said):
    file = tmp_path / "nothing"
    if content is not None:
        file.write_bytes(content)
    assert said in doctor("--btf", file)["btf"]


def test_a_kernel_that_has_types_needs_no_file(tmp_path):
    done = subprocess.run([SONDE, "doctor", "--json", "--btf", tmp_path / "none"], env=ENV,
                          stdout=subprocess.PIPE, text=True, timeout=60, check=True)
    assert "btf" not in json.loads(done.stdout)
