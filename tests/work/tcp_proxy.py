#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""tcp_proxy.py PORT: a proxy of TCP to 127.0.0.1:PORT; says where it listens.

It passes bytes on as they come, so that each exchange with a client holds one with the server, and
nothing is shared or asked again.
"""
import contextlib
import socket
import sys
import threading


def pump(source, sink):
    with contextlib.suppress(OSError):
        while data := source.recv(65536):
            sink.sendall(data)
        sink.shutdown(socket.SHUT_WR)


def main():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        print(f"listening on 127.0.0.1:{listener.getsockname()[1]}", flush=True)
        while True:
            client, _ = listener.accept()
            server = socket.create_connection(("127.0.0.1", int(sys.argv[1])))
            for one, other in ((client, server), (server, client)):
                one.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                threading.Thread(target=pump, args=(one, other), daemon=True).start()


main()
