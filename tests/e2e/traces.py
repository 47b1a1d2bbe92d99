# SPDX-License-Identifier: Apache-2.0
"""What sonde could leave behind: programs, maps and links in the kernel, breakpoints in programs.

Other agents may run on the same machine: what counts as left behind is what no living process holds
a descriptor of. The kernel frees such objects some time after the last descriptor is gone (RCU), so
that all of it is waited for, and how long that took is told.
"""
import collections
import ctypes
import errno
import os
import pathlib
import platform
import struct
import time

from conftest import ROOT

FIGURES = ROOT / "build/check/survival.txt"
BREAKPOINT = 0xcc
PAGE = 4096

# enum bpf_cmd and bpf_link_type
PROG_GET_NEXT_ID, MAP_GET_NEXT_ID, LINK_GET_NEXT_ID = 11, 12, 31
PROG_GET_FD_BY_ID, MAP_GET_FD_BY_ID, LINK_GET_FD_BY_ID = 13, 14, 30
GET_INFO = 15
LINK_UPROBE_MULTI = 12
SYS_BPF = {"x86_64": 321, "aarch64": 280}[platform.machine()]

libc = ctypes.CDLL(None, use_errno=True)


def bpf(command, attributes):
    """0 or a descriptor; None when there is no such object (any more). Writes to @attributes."""
    buffer = (ctypes.c_char * 128).from_buffer(attributes)
    got = libc.syscall(SYS_BPF, command, buffer, 128)
    if got >= 0:
        return got
    if ctypes.get_errno() == errno.ENOENT:
        return None
    raise OSError(ctypes.get_errno(), f"bpf({command}): {os.strerror(ctypes.get_errno())}")


def attributes_of(*words):
    return bytearray(struct.pack(f"{len(words)}I", *words).ljust(128, b"\0"))


def ids(next_id):
    at = 0
    while True:
        attributes = attributes_of(at)
        if bpf(next_id, attributes) is None:
            return
        at = struct.unpack_from("I", attributes, 4)[0]
        yield at


def info_of(fd_by_id, number, path=None):
    """The head of the object's bpf_*_info; None when it is gone. @path: room for a uprobe's."""
    fd = bpf(fd_by_id, attributes_of(number))
    if fd is None:
        return None
    try:
        info = ctypes.create_string_buffer(256)
        if path:
            struct.pack_into("Q", info, 16, ctypes.addressof(path))
            struct.pack_into("I", info, 48, len(path))
        attributes = bytearray(128)
        struct.pack_into("IIQ", attributes, 0, fd, len(info), ctypes.addressof(info))
        bpf(GET_INFO, attributes)
        return info.raw
    finally:
        os.close(fd)


def text_at(info, offset):
    return info[offset:offset + 16].split(b"\0")[0].decode(errors="replace")


def in_kernel():
    """{(kind, id): name} of what has a name of sonde's, and of the links of such programs."""
    found = {}
    for number in ids(PROG_GET_NEXT_ID):
        info = info_of(PROG_GET_FD_BY_ID, number)
        if info and text_at(info, 64).startswith("sn_"):
            found["prog", number] = text_at(info, 64)
    for number in ids(MAP_GET_NEXT_ID):
        info = info_of(MAP_GET_FD_BY_ID, number)
        # A program's constants are in a map that is named after the object.
        if info and (text_at(info, 24).startswith("sn_") or text_at(info, 24).endswith(".rodata")):
            found["map", number] = text_at(info, 24)
    for number in ids(LINK_GET_NEXT_ID):
        info = info_of(LINK_GET_FD_BY_ID, number)
        program = info and struct.unpack_from("III", info)[2]
        if ("prog", program) in found:
            found["link", number] = found["prog", program]
    return found


def held_by(pid):
    """(kind, id) of what a process has descriptors of."""
    held = set()
    try:
        for fd in os.listdir(f"/proc/{pid}/fd"):
            if not os.readlink(f"/proc/{pid}/fd/{fd}").startswith("anon_inode:bpf"):
                continue
            for line in open(f"/proc/{pid}/fdinfo/{fd}", encoding="utf-8"):
                kind, _, number = line.partition(":")
                if kind in ("prog_id", "map_id", "link_id"):
                    held.add((kind[:-3], int(number)))
                    # The first identifies the descriptor; a link's program is not held by it alone.
                    if kind == "link_id":
                        break
    except OSError:
        pass  # it ended meanwhile, or closed a file
    return held


def probed_files(pid):
    """{path: links} of the files that an agent has attached a program to: one for each, with all sites."""
    files = collections.Counter()
    for kind, number in held_by(pid):
        if kind == "link":
            info = info_of(LINK_GET_FD_BY_ID, number)
            if info and struct.unpack_from("I", info)[0] == LINK_UPROBE_MULTI:
                path = ctypes.create_string_buffer(4096)
                info_of(LINK_GET_FD_BY_ID, number, path)
                files[path.value.decode()] += 1
    return files


def processes():
    return filter(str.isdigit, os.listdir("/proc"))


def left_behind():
    """What is in the kernel and nobody's."""
    found = in_kernel()
    if found:
        for pid in processes():
            for key in held_by(pid):
                found.pop(key, None)
            if not found:
                break
    return found


def is_probed(path):
    """Whether a living process has attached a program to this file."""
    return any(probed_files(pid)[str(path)] for pid in processes())


def wait_until(condition, timeout=20, pause=0.001, told=lambda: ""):
    """The seconds until @condition holds: a machine that is slow is no failure, never is."""
    began = time.monotonic()
    while not condition():
        assert time.monotonic() - began < timeout, f"not within {timeout} s: {told()}"
        time.sleep(pause)
    return time.monotonic() - began


class Text:
    """The executable mapping of a program in a process, next to its file."""

    def __init__(self, pid, exe):
        self.pid, self.exe = pid, exe
        for line in open(f"/proc/{pid}/maps", encoding="utf-8"):
            fields = line.split()
            if "x" in fields[1] and len(fields) > 5 and os.path.samefile(fields[5], exe):
                self.start, end = (int(x, 16) for x in fields[0].split("-"))
                self.offset = int(fields[2], 16)
                break
        else:
            raise AssertionError(f"{exe} is not mapped in {pid}")
        data = pathlib.Path(exe).read_bytes()[self.offset:][:end - self.start]
        self.file = data.ljust(end - self.start, b"\0")

    def changes(self):
        """{file offset: byte} wherever memory differs from the file."""
        with open(f"/proc/{self.pid}/mem", "rb", buffering=0) as memory:
            memory.seek(self.start)
            now = memory.read(len(self.file))
        assert len(now) == len(self.file)
        return {self.offset + i: now[i] for page in range(0, len(now), PAGE)
                if now[page:page + PAGE] != self.file[page:page + PAGE]
                for i in range(page, min(page + PAGE, len(now))) if now[i] != self.file[i]}

    def breakpoints(self, offsets):
        """How many of the bytes at these places of the file are breakpoints now: cheap."""
        with open(f"/proc/{self.pid}/mem", "rb", buffering=0) as memory:
            return sum(os.pread(memory.fileno(), 1, self.start + at - self.offset)[0] == BREAKPOINT
                       for at in offsets)

    def strays(self, offsets):
        """
        The changes that nobody has made: all, but for breakpoints at these places of the file while
        an agent is attached to it, as another one of the same machine may be.
        """
        changes = self.changes()
        if set(changes) <= set(offsets) and changes and is_probed(self.exe):
            return {}
        return changes


def quantiles(name, seconds):
    """A line with how long something took; kept in build/check/survival.txt too."""
    ms = sorted(s * 1000 for s in seconds)
    line = (f"{name}: {len(ms)} times, median {ms[len(ms) // 2]:.0f} ms,"
            f" 95 % {ms[int(len(ms) * 0.95)]:.0f} ms, at most {ms[-1]:.0f} ms")
    note(line)


def note(line):
    print(line)
    FIGURES.parent.mkdir(parents=True, exist_ok=True)
    with open(FIGURES, "a", encoding="utf-8") as out:
        print(line, file=out)
