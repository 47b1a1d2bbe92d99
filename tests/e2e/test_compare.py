# SPDX-License-Identifier: Apache-2.0
"""`sonde compare` on reports of real traffic, on a real proxy, and beside a real Prometheus."""
import contextlib
import http.server
import json
import subprocess
import sys
import threading
import time

import pytest

from conftest import (ENV, GO_VERSIONS, ROOT, SONDE, WORK, fetch, go_server, http_get, measuring,
                      running)
from nginx import nginx_server

CLIENT = "tcp.client.exchange.duration"
SERVER = "tcp.server.exchange.duration"
MESH = "istio_request_duration_milliseconds"
LISTEN, TIME_WAIT = "0A", "06"
# A process that is gone before sonde has looked at it has no service name; at the end of a report it
# has looked at all.
STAY = "--until", "/nonexistent/file"
PROMETHEUS = ROOT / ".deps/test/prometheus/usr/bin/prometheus"


def compare(*argv, ok=True):
    done = subprocess.run([SONDE, "compare", *map(str, argv)], env=ENV, text=True, timeout=60,
                          stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert (done.returncode == 0) == ok, done.stderr
    assert ok or (done.stderr.count("\n") == 1 and done.stdout == ""), done.stderr
    return done.stdout if ok else done.stderr


def compare_json(*argv):
    return json.loads(compare(*argv, "--json"))


@contextlib.contextmanager
def answering(service, delay, port=0):
    """The answering half of tcp_pair; yields its port."""
    with running(WORK / "tcp_pair", "--server-only", "--port", port, "--delay", delay, *STAY,
                 env={"OTEL_SERVICE_NAME": service}) as server:
        yield int(server.wait_line(r"listening on port (\d+)")[1])


@contextlib.contextmanager
def asking(port, exchanges):
    """The asking half, done but there; the other end has closed as well."""
    with running(WORK / "tcp_pair", "--client-only", "127.0.0.1", port, "--exchanges", exchanges,
                 *STAY, env={"OTEL_SERVICE_NAME": "asker"}) as client:
        client.wait_line("client has closed", timeout=60)
        deadline = time.monotonic() + 30
        while states(port) - {LISTEN, TIME_WAIT}:
            assert time.monotonic() < deadline
            time.sleep(0.02)
        yield


def states(port):
    """Those of the sockets of a local port."""
    lines = [line.split() for line in open("/proc/net/tcp")][1:]
    return {line[3] for line in lines if int(line[1].split(":")[1], 16) == port}


def save(report, path):
    path.write_text(json.dumps(report.document))
    return path


def one(document, metric, service, port):
    (found,) = [s for m in document["metrics"] if m["name"] == metric for s in m["series"]
                if s["service"] == service and s["attributes"]["server.port"] == port]
    return found


def test_two_reports_differ_by_the_delay(tmp_path):
    """The same service on the same port, without and with 20 ms of work for each answer."""
    files, reports, port = [], [], 0
    for name, delay, exchanges in (("a", 0, 100), ("b", 20000, 50)):
        with measuring("tcp") as finish:
            with answering("worker", delay, port) as port, asking(port, exchanges):
                reports.append(finish())
        files.append(save(reports[-1], tmp_path / f"{name}.json"))
    document = compare_json(*files)
    for metric, service in ((SERVER, "worker"), (CLIENT, "asker")):
        found = one(document, metric, service, port)
        own = [r.one(metric, service, server__port=port) for r in reports]
        assert found["count"] == {"a": 100, "b": 50, "difference": -50, "ratio": 0.5}
        for key in ("p50_us", "p90_us", "p95_us", "p99_us", "p999_us", "max_us"):
            # From buckets and nanoseconds again, to what the report itself had rounded.
            assert found[key]["a"] == pytest.approx(own[0][key], rel=1e-9)
            assert found[key]["b"] == pytest.approx(own[1][key], rel=1e-9)
        assert found["mean_us"]["b"] >= 20000
        assert found["mean_us"]["b"] == pytest.approx(own[1]["sum_us"] / 50, rel=1e-9)
        assert found["mean_us"]["difference"] == pytest.approx(
            found["mean_us"]["b"] - found["mean_us"]["a"])
        assert found["p50_us"]["b"] >= 20000 / 1.1
        assert "within_one_bucket" not in found["mean_us"]
    sent = [s for m in document["metrics"] if m["name"] == "tcp.io" for s in m["series"]
            if s["service"] == "worker" and s["attributes"]["network.io.direction"] == "transmit"
            and s["attributes"]["server.port"] == port]
    assert sent[0]["value"]["a"] == 100 * 1000 and sent[0]["value"]["b"] == 50 * 1000
    seconds = reports[0].document["duration_seconds"]
    assert sent[0]["rate_per_second"]["a"] == pytest.approx(100 * 1000 / seconds, rel=1e-6)
    text = compare(*files)
    assert f"worker  network.peer.address=127.0.0.1 server.port={port}\n" in text
    assert "\x1b" not in text and "\x1b[1m" in compare(*files, "--color", "always")


def test_a_report_is_like_itself_and_only_one_has_what_the_other_has_not(tmp_path):
    with measuring("tcp") as finish:
        with answering("worker", 0) as port, asking(port, 20):
            report = finish()
    whole = save(report, tmp_path / "whole.json")
    document = compare_json(whole, whole)
    found = one(document, SERVER, "worker", port)
    assert all(found[key]["within_one_bucket"] for key in ("p50_us", "p99_us", "p999_us"))
    assert found["max_us"]["difference"] == 0
    for metric in report.document["metrics"]:
        metric["series"] = [s for s in metric["series"] if s["service"] != "worker"]
    document = compare_json(whole, save(report, tmp_path / "less.json"))
    only = {m["name"]: [s for s in m["only_in_a"] if s["service"] == "worker"]
            for m in document["metrics"]}
    assert [s["count"] for s in only[SERVER]] == [20]
    assert not any(m["only_in_b"] for m in document["metrics"])
    assert "only in B: worker" in compare(tmp_path / "less.json", whole)


def test_what_a_proxy_adds(tmp_path):
    with measuring("tcp") as finish:
        with answering("backend", 2000) as port:
            with running(sys.executable, ROOT / "tests/work/tcp_proxy.py", port,
                         env={"OTEL_SERVICE_NAME": "gateway"}) as proxy:
                front = int(proxy.wait_line(r":(\d+)$", where=proxy.out)[1])
                with asking(front, 200):
                    report = finish()
    file = save(report, tmp_path / "a.json")
    document = compare_json(file)
    (found,) = [p for p in document["proxies"] if p["service"] == "gateway"]
    inbound, outbound, overhead = found["inbound"], found["outbound"], found["overhead"]
    assert found["counts_agree"] and found["count_difference"] == 0
    assert inbound["count"] == outbound["count"] == 200
    # Its exchange with the backend lies inside of that with the client, each single one.
    assert overhead["mean_is_exact"] and overhead["mean_us"]["difference"] > 0
    assert overhead["mean_us"]["difference"] == pytest.approx(
        (report.one(SERVER, "gateway", server__port=front)["sum_us"]
         - report.one(CLIENT, "gateway", server__port=port)["sum_us"]) / 200, rel=1e-6)
    assert outbound["mean_us"] >= 2000
    assert overhead["p50_us"]["difference"] == pytest.approx(
        inbound["p50_us"] - outbound["p50_us"])
    assert inbound["receive_queue_mean_us"] > 0 and outbound["receive_queue_mean_us"] > 0
    text = compare(file, "--proxy", "gateway")
    assert "gateway: what it adds" in text and "the mean is exact" in text
    assert "not the percentile of the differences" in text
    assert "did not both answer exchanges and ask" in compare(file, "--proxy", "backend", ok=False)
    assert "did you mean 'gateway'?" in compare(file, "--proxy", "gatewya", ok=False)


def test_what_nginx_adds(tmp_path):
    """One that everyone uses, with connections of its own to a server of HTTP."""
    with go_server(GO_VERSIONS[-1], service="backend") as (_, port):
        with nginx_server(tmp_path, upstream=port) as (front, _), measuring("tcp") as finish:
            assert http_get(front, "-n", 300, "/hello")["status"]["200"] == 300
            report = finish()
    # It has no name of its own: others of this machine are not meant.
    for metric in report.document["metrics"]:
        metric["series"] = [s for s in metric["series"]
                            if s["attributes"].get("server.port") in (front, port)]
    (found,) = compare_json(save(report, tmp_path / "a.json"), "--proxy", "nginx")["proxies"]
    assert found["inbound"]["count"] == found["outbound"]["count"] == 300
    assert found["overhead"]["mean_is_exact"] and found["overhead"]["mean_us"]["difference"] > 0


def test_counts_that_do_not_agree_are_told(tmp_path):
    """A proxy whose report has lost a part of one side, as one has whose connections are older."""
    with measuring("tcp") as finish:
        with answering("backend", 0) as port:
            with running(sys.executable, ROOT / "tests/work/tcp_proxy.py", port,
                         env={"OTEL_SERVICE_NAME": "gateway"}) as proxy:
                front = int(proxy.wait_line(r":(\d+)$", where=proxy.out)[1])
                with asking(front, 30):
                    report = finish()
    series = report.one(CLIENT, "gateway", server__port=port)
    counts = series["buckets"]["counts"]
    taken = 1
    series["count"] -= taken
    counts[0] -= taken
    file = save(report, tmp_path / "a.json")
    (found,) = compare_json(file, "--proxy", "gateway")["proxies"]
    assert not found["counts_agree"] and found["count_difference"] == taken
    assert not found["overhead"]["mean_is_exact"]
    assert f"30 came in, {30 - taken} went out" in compare(file, "--proxy", "gateway")


def exposition(counts, bounds=(1, 5, 10, 50)):
    """A proxy's page: @counts of requests in each bucket, the last beyond all bounds."""
    lines, total = [f"# TYPE {MESH} histogram"], 0
    labels = ('reporter="destination",source_workload="asker",destination_workload="worker-v1",'
              'destination_service_name="worker",response_code="200"')
    for bound, n in zip((*bounds, "+Inf"), counts):
        total += n
        lines.append(f'{MESH}_bucket{{{labels},le="{bound}"}} {total}')
    lines += [f"{MESH}_sum{{{labels}}} {total * 7.5}", f"{MESH}_count{{{labels}}} {total}", ""]
    return "\n".join(lines)


@contextlib.contextmanager
def page(first):
    """A real HTTP exposition; yields its port and a list whose only element is what it shows."""
    shown = [first]

    class Page(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(200)
            self.send_header("Content-Type", "text/plain; version=0.0.4")
            self.end_headers()
            self.wfile.write(shown[0].encode())

        def log_message(self, *_):
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Page) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server.server_address[1], shown
        server.shutdown()


@contextlib.contextmanager
def prometheus_of(folder, port):
    """A Prometheus that scrapes @port; yields its base URL."""
    config = folder / "prometheus.yml"
    config.write_text("global: {scrape_interval: 1s}\nscrape_configs: [{job_name: mesh, "
                      f"static_configs: [{{targets: ['127.0.0.1:{port}']}}]}}]\n")
    with running(PROMETHEUS, "--config.file", config, "--storage.tsdb.path", folder / "data",
                 "--web.listen-address", "127.0.0.1:0") as prometheus:
        listen = prometheus.wait_line(r"Listening on.*?address=127\.0\.0\.1:(\d+)")[1]
        prometheus.wait_line("ready to receive web requests")
        yield f"http://127.0.0.1:{listen}"


def wait_scraped(url, count):
    """Until Prometheus has seen @count; its answer to a query for all, which is a file to compare."""
    query = f"{url}/api/v1/query?query=%7B__name__%3D~%22{MESH}_.*%22%7D"
    for _ in range(150):
        answer = fetch(query)
        values = [s["value"][1] for s in json.loads(answer)["data"]["result"]
                  if s["metric"]["__name__"] == MESH + "_count"]
        if values == [str(count)]:
            return answer
        time.sleep(0.2)
    raise AssertionError(f"no {count} in {answer}")


def check_mesh(document, mesh, ours):
    (found,) = document["comparisons"]
    assert (found["service"], found["metric"]) == ("worker", SERVER)
    assert (found["reporter"], found["source_workloads"]) == ("destination", ["asker"])
    assert found["count"] == {"mesh": mesh, "sonde": ours["count"]}
    assert found["same_count"] == (mesh == ours["count"])
    assert found["mean_us"]["mesh"] == pytest.approx(7500)
    assert found["mean_us"]["overhead"] == pytest.approx(7500 - ours["sum_us"] / ours["count"])
    for key in ("p50_us", "p99_us"):
        assert found[key]["mesh_from"] <= found[key]["mesh"] <= (found[key]["mesh_to"] or 1e18)
        assert found[key]["sonde"] == pytest.approx(ours[key])
    return found


def test_beside_a_mesh(tmp_path):
    with page(exposition([5, 1000, 5, 5, 7])) as (port, shown), \
            prometheus_of(tmp_path, port) as url:
        wait_scraped(url, 1022)
        with measuring("tcp") as finish:
            # In the time of the report the mesh counts 60: 40 up to 5 ms, 20 up to 10 ms.
            shown[0] = exposition([5, 1040, 25, 5, 7])
            answer = wait_scraped(url, 1082)
            with answering("worker", 1000) as worker, asking(worker, 60):
                report = finish()
        ours = report.one(SERVER, "worker", server__port=worker)
        file = save(report, tmp_path / "a.json")

        found = check_mesh(compare_json(file, "--mesh", url), 60, ours)
        assert (found["p50_us"]["mesh_from"], found["p50_us"]["mesh_to"]) == (1000, 5000)
        assert found["p50_us"]["mesh"] == pytest.approx(1000 + 4000 * 30 / 40)
        assert (found["p99_us"]["mesh_from"], found["p99_us"]["mesh_to"]) == (5000, 10000)
        assert compare_json(file, "--mesh", url + "/api/v1/query")["comparisons"] == [found]
        text = compare(file, "--mesh", url, "--service", "worker")
        assert "Not the same population" not in text

    # What is saved in files is all that was ever counted, and another population.
    for name, content in (("answer.json", answer), ("page.txt", shown[0])):
        (tmp_path / name).write_text(content)
        document = compare_json(file, "--mesh", tmp_path / name)
        found = check_mesh(document, 1082, ours)
        assert found["p999_us"]["mesh_to"] is None and found["p999_us"]["mesh_from"] == 50000
        text = compare(file, "--mesh", tmp_path / name)
        assert "the mesh counted 1082 requests, sonde 60" in text


def test_a_series_that_is_new_to_prometheus_is_told(tmp_path):
    with page("") as (port, shown), prometheus_of(tmp_path, port) as url:
        with measuring("tcp") as finish:
            shown[0] = exposition([0, 10, 0, 0, 0])
            wait_scraped(url, 10)
            with answering("worker", 1000) as worker, asking(worker, 10):
                report = finish()
        file = save(report, tmp_path / "a.json")
        assert compare_json(file, "--mesh", url)["new_series"] == 1
        assert "1 of its series were not there when A began" in compare(file, "--mesh", url)


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    """A report of nothing but one service."""
    with measuring("tcp") as finish:
        with answering("worker", 0) as port, asking(port, 5):
            report = finish()
    for metric in report.document["metrics"]:
        metric["series"] = [s for s in metric["series"] if s["service"] == "worker"]
    return save(report, tmp_path_factory.mktemp("small") / "a.json")


@pytest.mark.parametrize("content,sentence", [
    ("", "no JSON"), ("{}", "no document of 'sonde report'"), ("[1]", "no document"),
    ('{"sonde": "9.9", "metrics": []}', "(written by 9.9): 'time' is missing"),
    ('{"sonde": "9.9", "time": "2026-11-21T12:34:56Z", "duration_seconds": 1, "metrics": [{}]}',
     "a metric without a kind"),
])
def test_what_is_no_document(tmp_path, small, content, sentence):
    bad = tmp_path / "bad.json"
    bad.write_text(content)
    for argv in ((bad,), (small, bad), (bad, small)):
        said = compare(*argv, ok=False)
        assert said.startswith(f"sonde: error: {bad}: ") and sentence in said


def test_errors_are_one_sentence(tmp_path, small):
    text = tmp_path / "x"
    text.write_text("nothing\n")
    large = tmp_path / "large"
    with open(large, "wb") as sparse:
        sparse.truncate((64 << 20) + 1)
    for argv, sentence in (
            ((tmp_path / "none",), "No such file or directory"),
            ((tmp_path,), "Is a directory"), ((large,), "more than 64 MB"),
            ((small,), "holds no proxy"),
            ((small, "--proxy", "x"), "service 'x' did not both"),
            ((small, "--mesh", text), "istio_request_duration_milliseconds, which is not there"),
            ((small, "--mesh", tmp_path / "none"), "No such file or directory"),
            ((small, "--mesh", "http://127.0.0.1:1"), "nothing accepts connections there"),
            ((small, "--mesh", "https://127.0.0.1:1"), "TLS is not in this version"),
            ((small, "--mesh", "http://u:sekrit@127.0.0.1:1"), "has a user name in it"),
            ((small, "--mesh", "http://127.0.0.1:1/?query=x"), "the query is sonde's"),
            ((small, "--mesh", "/dev/null"), "which is not there"),
            ((), "one or two documents"), ((small, small, "--mesh", text), "one document, not two"),
            ((small, "--proxy", "a", "--mesh", text), "ask for one"),
            ((small, "--service", "a"), "goes with --mesh"),
            ((small, small, small), "does not take")):
        said = compare(*argv, ok=False)
        assert sentence in said and "sekrit" not in said, said
    with page("no Prometheus") as (port, _):
        assert "answers 501" in compare(small, "--mesh", f"http://127.0.0.1:{port}", ok=False)
    text.write_text(exposition([1, 1, 1, 1, 1]).replace("worker", "other"))
    assert "say which one is meant by --service" in compare(small, "--mesh", text, ok=False)
    document = compare_json(small, "--mesh", text, "--service", "worker")
    assert document["comparisons"][0]["destination_service_name"] == "other"
