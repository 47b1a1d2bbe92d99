# SPDX-License-Identifier: Apache-2.0
"""A server that everyone runs, under the load of a client that everyone uses."""
import re
import shutil
import socket
import subprocess

import pytest

from conftest import ENV, ROOT, measuring, running

NGINX = ROOT / ".deps/test/nginx"


@pytest.fixture
def nginx(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    (tmp_path / "index.html").write_text("x" * 1024)
    config = tmp_path / "nginx.conf"
    config.write_text(f"""
daemon off; worker_processes 1; pid {tmp_path}/pid; error_log {tmp_path}/error.log;
events {{ worker_connections 256; }}
http {{
    access_log {tmp_path}/access.log; client_body_temp_path {tmp_path}/b; proxy_temp_path {tmp_path}/p;
    fastcgi_temp_path {tmp_path}/f; uwsgi_temp_path {tmp_path}/u; scgi_temp_path {tmp_path}/s;
    keepalive_requests 1000000;
    server {{ listen 127.0.0.1:{port}; location / {{ root {tmp_path}; }} }}
}}
""")
    tmp_path.chmod(0o755)
    libraries = ":".join(str(p.parent) for p in NGINX.glob("usr/lib/*/lib*.so*"))
    with running(NGINX / "usr/sbin/nginx", "-p", tmp_path, "-c", config, "-g", "user root;",
                 env={"LD_LIBRARY_PATH": libraries}) as server:
        for _ in range(100):
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", port)) == 0:
                    break
            assert server.process.poll() is None, server.lines
        yield port, tmp_path / "access.log", server


def test_every_request_of_wrk(nginx):
    port, log, server = nginx
    with measuring("tcp") as finish:
        out = subprocess.run([shutil.which("wrk"), "-t1", "-c16", "-d3", f"http://127.0.0.1:{port}/"],
                             env=ENV, check=True, stdout=subprocess.PIPE, text=True).stdout
        server.stop(3)  # SIGQUIT: requests in progress are answered, the log is complete
        report = finish()
    completed = int(re.search(r"(\d+) requests in", out)[1])
    answered = len(log.read_text().splitlines())
    counted = report.count("tcp.server.exchange.duration", "nginx", server__port=port)
    assert counted == answered >= completed > 1000
    # What wrk had sent and not read when its time was up is nobody's exchange.
    client = report.count("tcp.client.exchange.duration", "wrk", server__port=port)
    assert completed <= client <= answered
