# SPDX-License-Identifier: Apache-2.0
"""Connections with both ends in the process of the test, so that each exchange has its own clock."""
import socket
import struct
import time

ABORT = struct.pack("ii", 1, 0)  # SO_LINGER: close by a reset


def listener(family=socket.AF_INET):
    server = socket.socket(family)
    server.bind(("::1" if family == socket.AF_INET6 else "127.0.0.1", 0))
    server.listen(64)
    return server


class Pair:
    """Both ends of a connection in this process; each exchange with the clocks around it, in us."""

    def __init__(self, server):
        self.client = socket.socket(server.family)
        self.client.connect(server.getsockname())
        self.peer = server.accept()[0]
        self.port = self.client.getsockname()[1]
        self.asked, self.worked = [], []

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.client.close()
        self.peer.close()

    def exchange(self, request=100, answer=50, delay=0.0):
        began = time.monotonic_ns()
        self.client.sendall(b"x" * request)
        left = request
        while left:
            left -= len(self.peer.recv(left))
        received = time.monotonic_ns()
        time.sleep(delay)
        sends = time.monotonic_ns()
        self.peer.sendall(b"y" * answer)
        assert self.client.recv(answer, socket.MSG_WAITALL) == b"y" * answer
        self.asked.append((time.monotonic_ns() - began) / 1000)
        self.worked.append((sends - received) / 1000)
