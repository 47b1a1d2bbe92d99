# SPDX-License-Identifier: Apache-2.0
"""Debian's nginx, unpacked, on a port of its own: for tests and benches."""
import contextlib
import pathlib
import socket
import time

from conftest import ROOT, running

NGINX = ROOT / ".deps/test/nginx"


@contextlib.contextmanager
def nginx_server(folder, log=True, upstream=None):
    """
    Serves 1 KiB at every path below @folder, or passes on to the port @upstream; yields (port,
    process). @log: folder/access.log.
    """
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    (folder / "index.html").write_text("x" * 1024)
    serve = "try_files /index.html =404;" if upstream is None else \
        'proxy_pass http://up; proxy_http_version 1.1; proxy_set_header Connection "";'
    backend = "" if upstream is None else f"upstream up {{ server 127.0.0.1:{upstream}; keepalive 8; }}"
    config = folder / "nginx.conf"
    config.write_text(f"""
daemon off; worker_processes 1; pid {folder}/pid; error_log {folder}/error.log;
events {{ worker_connections 256; }}
http {{
    access_log {f'{folder}/access.log' if log else 'off'};
    client_body_temp_path {folder}/b; proxy_temp_path {folder}/p; fastcgi_temp_path {folder}/f;
    uwsgi_temp_path {folder}/u; scgi_temp_path {folder}/s; keepalive_requests 100000000;
    {backend}
    server {{ listen 127.0.0.1:{port}; root {folder}; location / {{ {serve} }} }}
}}
""")
    folder.chmod(0o755)
    libraries = ":".join(str(p.parent) for p in NGINX.glob("usr/lib/*/lib*.so*"))
    with running(NGINX / "usr/sbin/nginx", "-p", folder, "-c", config, "-g", "user root;",
                 env={"LD_LIBRARY_PATH": libraries}) as server:
        for _ in range(100):
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", port)) == 0:
                    break
            assert server.process.poll() is None, server.lines
        try:
            yield port, server
        finally:
            server.stop(3)  # SIGQUIT ends its worker too


def nginx_worker(server):
    """The pid of its one worker, which is there a little later than the port."""
    children = pathlib.Path(f"/proc/{server.pid}/task/{server.pid}/children")
    for _ in range(100):
        if children.read_text().split():
            return int(children.read_text().split()[0])
        time.sleep(0.05)
    raise AssertionError(f"nginx started no worker: {server.lines}")
