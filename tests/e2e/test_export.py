# SPDX-License-Identifier: Apache-2.0
"""What is measured arrives: in a real Prometheus, and in an OTLP receiver with the official stubs."""
import json
import shutil
import subprocess
import time
import urllib.parse

import pytest

from conftest import ENV, GO_VERSIONS, ROOT, SONDE, fetch, go_server, http_get, running, tcp_pair
from otlp_receiver import Receiver

PROMETHEUS = ROOT / ".deps/test/prometheus/usr/bin"
HTTP = "http_server_request_duration_seconds"


def agent(*argv, **kwargs):
    """`sonde run` on a free port; the port is in what it says."""
    return running(SONDE, "run", "--listen", "127.0.0.1:0", *argv, **kwargs)


def port_of(sonde):
    return int(sonde.wait_line(r"figures are at http://127\.0\.0\.1:(\d+)/metrics")[1])


def wait_for(condition, timeout=30):
    end = time.monotonic() + timeout
    while True:
        got = condition()
        if got or time.monotonic() > end:
            return got
        time.sleep(0.2)


def load(port):
    http_get(port, "-n", 30, "/hello")
    http_get(port, "-n", 7, "/status/404")


def samples(text, name):
    return [line for line in text.splitlines() if line.startswith(name + "{")]


def test_metrics_page_and_promtool():
    with go_server(GO_VERSIONS[-1], service='sh"op\n') as (_, go), agent() as sonde:
        port = port_of(sonde)
        wait_probed(go, port)
        load(go)
        text = fetch(f"http://127.0.0.1:{port}/metrics")
        (line,) = [s for s in samples(text, HTTP + "_count") if 'status_code="404"' in s]
        assert line.endswith(" 7")
        assert r'service_name="sh\"op\n"' in line
        check = subprocess.run([PROMETHEUS / "promtool", "check", "metrics"], input=text, text=True,
                               stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        assert (check.returncode, check.stdout) == (0, "")
        assert sonde.stop() == 0


def wait_probed(go, port):
    """Until requests are counted: with a status that the tests do not use."""
    def seen():
        http_get(go, "-n", 1, "/status/299")
        return samples(fetch(f"http://127.0.0.1:{port}/metrics"), HTTP + "_count")
    assert wait_for(seen)


def test_prometheus_scrapes(tmp_path):
    with go_server(GO_VERSIONS[-1], service="shop") as (_, go), agent() as sonde:
        port = port_of(sonde)
        wait_probed(go, port)
        config = tmp_path / "prometheus.yml"
        config.write_text("global: {scrape_interval: 1s}\n"
                          "scrape_configs: [{job_name: sonde, static_configs: "
                          f"[{{targets: ['127.0.0.1:{port}']}}]}}]\n")
        with running(PROMETHEUS / "prometheus", "--config.file", config, "--storage.tsdb.path",
                     tmp_path / "data", "--web.listen-address", "127.0.0.1:0") as prometheus:
            listen = prometheus.wait_line(r"Listening on.*?address=127\.0\.0\.1:(\d+)")[1]
            load(go)
            own = tcp_pair("--exchanges", 25, "--delay", 1000)
            tcp = f'tcp_client_exchange_duration_seconds_count{{service_name="tcp_pair",server_port="{own["client"]["port"]}"}}'

            def query(expression):
                url = f"http://127.0.0.1:{listen}/api/v1/query?query=" + urllib.parse.quote(expression)
                result = json.loads(fetch(url))["data"]["result"]
                return [float(sample["value"][1]) for sample in result]

            assert wait_for(lambda: query(tcp) == [25]), query(tcp)
            assert wait_for(lambda: query(
                f'{HTTP}_count{{service_name="shop",http_response_status_code="200"}}') == [30])
            # The quantile that a dashboard would ask for; its bounds are powers of two.
            (p50,) = query(f'histogram_quantile(0.5, tcp_client_exchange_duration_seconds_bucket'
                           f'{{server_port="{own["client"]["port"]}"}})')
            mean = own["client"]["exchange"]["sum_ns"] / 25 / 1e9
            assert mean / 4 < p50 < mean * 4


def otlp_service(request, name):
    for resource in request["body"]["resourceMetrics"]:
        for attribute in resource["resource"]["attributes"]:
            if attribute["key"] == "service.name" and attribute["value"]["stringValue"] == name:
                return {metric["name"]: metric for scope in resource["scopeMetrics"]
                        for metric in scope["metrics"]}
    return {}


def histogram_counts(metric):
    return sorted(int(point["count"]) for point in
                  metric.get("exponentialHistogram", {}).get("dataPoints", []))


def test_otlp_arrives():
    with Receiver() as receiver, go_server(GO_VERSIONS[-1], service="shop") as (_, go), \
            agent("--otlp.endpoint", receiver.url, "--otlp.interval", "1s") as sonde:
        wait_probed(go, port_of(sonde))
        load(go)

        def arrived():
            last = [r for r in receiver.requests if r["body"]][-1:]
            metric = otlp_service(last[0], "shop").get("http.server.request.duration", {}) if last else {}
            return {30, 7} <= set(histogram_counts(metric)) and metric
        metric = wait_for(arrived)
        assert metric, [r["body"] for r in receiver.requests[-1:]]
        assert metric["unit"] == "s"
        for point in metric["exponentialHistogram"]["dataPoints"]:
            counts = sum(map(int, point["positive"]["bucketCounts"])) + int(point.get("zeroCount", 0))
            assert counts == int(point["count"])
            assert point["scale"] == 3
        assert sonde.stop() == 0


@pytest.mark.parametrize("probe", ["http", "tcp"])
def test_the_last_figures_are_sent_at_the_end(probe):
    """The interval is an hour: what arrives behind the first export is the one of the end."""
    with Receiver() as receiver, running(SONDE, "run", probe, "--listen", "off", "--otlp.endpoint",
                                         receiver.url, "--otlp.interval", "1h") as sonde:
        assert wait_for(lambda: receiver.requests)
        before = len(receiver.requests)
        assert sonde.stop() == 0, sonde.lines
        assert len(receiver.requests) == before + 1
        # Nobody there any more: it ends all the same.
    with running(SONDE, "run", probe, "--listen", "off", "--otlp.endpoint", "http://127.0.0.1:9") as sonde:
        time.sleep(1)
        assert sonde.stop() == 0, sonde.lines


def test_otlp_receiver_that_fails_and_comes_back():
    """Failures are counted and told once; what came meanwhile is in the next export."""
    with Receiver(status=503, retry_after=1, times=2) as receiver, \
            agent("--otlp.endpoint", receiver.url, "--otlp.interval", "500ms") as sonde:
        port_of(sonde)
        own = tcp_pair("--exchanges", 11)
        assert wait_for(lambda: [r for r in receiver.requests if r["status"] == 200])

        def arrived():
            metric = otlp_service(receiver.requests[-1], "tcp_pair").get("tcp.client.exchange.duration", {})
            return histogram_counts(metric) == [11]
        assert wait_for(arrived), own
        assert sonde.stop() == 0
        assert len([line for line in sonde.lines if "503" in line]) <= 1


def test_endpoint_from_the_environment_and_from_a_file(tmp_path):
    with Receiver() as receiver:
        config = tmp_path / "sonde.yaml"
        config.write_text(f"otlp:\n  endpoint: {receiver.url}\n  interval: 500ms\nlisten: off\n")
        for argv, env in ((["--config", config], {}),
                          (["--listen", "off"], {"OTEL_EXPORTER_OTLP_ENDPOINT": receiver.url,
                                                 "OTEL_METRIC_EXPORT_INTERVAL": "500"})):
            before = len(receiver.requests)
            with running(SONDE, "run", *argv, env=env) as sonde:
                assert wait_for(lambda: len(receiver.requests) > before)
                assert sonde.stop() == 0


def test_scrapes_under_load_never_tear():
    """In each page every histogram's count is the sum of its buckets, and nothing goes back."""
    with go_server(GO_VERSIONS[-1], service="shop") as (_, go), agent() as sonde:
        port = port_of(sonde)
        wait_probed(go, port)
        with running(shutil.which("wrk"), "-t1", "-c8", "-d3", f"http://127.0.0.1:{go}/hello") as wrk:
            last = 0
            while wrk.process.poll() is None:
                text = fetch(f"http://127.0.0.1:{port}/metrics")
                inf = {s.rsplit(" ", 1)[0].replace(',le="+Inf"', "").replace("_bucket{", "{"):
                       s.rsplit(" ", 1)[1] for s in text.splitlines() if 'le="+Inf"' in s}
                counts = {s.rsplit(" ", 1)[0].replace("_count{", "{"): s.rsplit(" ", 1)[1]
                          for s in text.splitlines() if "_seconds_count{" in s}
                assert inf == counts
                now = sum(float(s.rsplit(" ", 1)[1]) for s in samples(text, HTTP + "_count"))
                assert now >= last
                last = now
        assert last > 1000
        assert sonde.stop() == 0
        assert not [line for line in sonde.lines if "bug in sonde" in line]
