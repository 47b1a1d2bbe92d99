# SPDX-License-Identifier: Apache-2.0
"""A server that everyone runs, under the load of a client that everyone uses."""
import re
import shutil
import subprocess

from conftest import ENV, measuring
from nginx import nginx_server


def test_every_request_of_wrk(tmp_path):
    with nginx_server(tmp_path) as (port, server), measuring("tcp") as finish:
        out = subprocess.run([shutil.which("wrk"), "-t1", "-c16", "-d3", f"http://127.0.0.1:{port}/"],
                             env=ENV, check=True, stdout=subprocess.PIPE, text=True).stdout
        server.stop(3)  # SIGQUIT: requests in progress are answered, the log is complete
        report = finish()
    completed = int(re.search(r"(\d+) requests in", out)[1])
    answered = len((tmp_path / "access.log").read_text().splitlines())
    counted = report.count("tcp.server.exchange.duration", "nginx", server__port=port)
    assert counted == answered >= completed > 1000
    # What wrk had sent and not read when its time was up is nobody's exchange.
    client = report.count("tcp.client.exchange.duration", "wrk", server__port=port)
    assert completed <= client <= answered
