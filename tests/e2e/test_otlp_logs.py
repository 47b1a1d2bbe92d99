# SPDX-License-Identifier: Apache-2.0
"""Single events as OTLP log records, in a receiver with the official definitions."""
import errno
import os
import platform
import socket
import time

import pytest

from conftest import SONDE, running
from otlp_receiver import Receiver
from pairs import Pair, listener

SLOW_US = 50000


def agent(server, *argv, others=(), **kwargs):
    """`sonde run` of this listener's connections, and of those to other ports, alone."""
    ports = ",".join(map(str, [server.getsockname()[1], *others]))
    return running(SONDE, "run", "tcp", "--listen", "127.0.0.1:0", "--port", ports, *argv, **kwargs)


def ready(sonde):
    sonde.wait_line("figures are at")


def of(records, port):
    return [r for r in records if r["attributes"].get("server.port") == port]


def check_record(record, event, severity, began, port):
    """What all records have; its attributes."""
    about = record["attributes"]
    assert record["eventName"] == event
    assert (record["severityNumber"], record["severityText"]) == \
        (f"SEVERITY_NUMBER_{severity}", severity)
    assert began <= int(record["timeUnixNano"]) <= int(record["observedTimeUnixNano"]) <= \
        time.time_ns()
    assert record["resource"]["service.name"].startswith("python")
    assert record["resource"]["host.name"] == platform.node()
    assert record["scope"]["name"] == "sonde"
    assert about["process.pid"] == os.getpid()
    assert about["network.local.address"] == about["network.peer.address"] == "127.0.0.1"
    assert port in (about["network.local.port"], about["network.peer.port"])
    # Traces are not sonde's to invent.
    assert not {"traceId", "spanId", "flags"} & set(record)
    return about


def test_every_field_of_every_kind():
    with listener() as closed:
        refused = closed.getsockname()
    with Receiver() as receiver, listener() as server, \
            agent(server, "--otlp.endpoint", receiver.url, "--otlp.logs", "exchanges,failures,ends",
                  "--otlp.logs-slower-than", "50ms", "--otlp.logs-delay", "100ms",
                  others=[refused[1]]) as sonde:
        ready(sonde)
        port, began = server.getsockname()[1], time.time_ns()
        with Pair(server) as pair:
            pair.exchange(request=300, answer=70)
            pair.exchange(request=400, answer=80, delay=0.06)
        with socket.socket() as client:
            assert client.connect_ex(refused) == errno.ECONNREFUSED
        # They come in order: with the last of them, nothing is left to be sent in haste at the end.
        deadline = time.monotonic() + 30
        while not of(receiver.records("tcp.connect.failed"), refused[1]) or \
                len(of(receiver.records("tcp.connection"), port)) < 2:
            assert time.monotonic() < deadline
            time.sleep(0.05)
        assert sonde.stop() == 0, sonde.lines
        records = receiver.records()
        metrics = receiver.requests[-1]
    fast = pair.asked[0] < SLOW_US
    exchanges = [r for r in of(records, port) if r["eventName"] == "tcp.exchange"]
    if fast:  # by its owner's clock, which a busy machine may hold up
        assert len(exchanges) == 2
    slow = [r for r in exchanges if r["attributes"]["tcp.request.size"] == 400]
    assert {r["attributes"]["tcp.role"] for r in slow} == {"client", "server"} and len(slow) == 2
    for record in slow:
        about = check_record(record, "tcp.exchange", "WARN", began, port)
        took = about["tcp.exchange.duration"]
        assert pair.worked[1] <= took * 1e6 <= pair.asked[1]
        assert record["body"] == {"stringValue": "exchange with 127.0.0.1:"
                                  f"{about['network.peer.port']} took {took:.6f} s"}
        assert 0 <= about["tcp.receive_queue.duration"] <= took
    ends = [r for r in of(records, port) if r["eventName"] == "tcp.connection"]
    assert len(ends) == 2
    for record in ends:
        about = check_record(record, "tcp.connection", "INFO", began, port)
        sent, received = (700, 150) if about["tcp.role"] == "client" else (150, 700)
        assert (about["tcp.sent.size"], about["tcp.received.size"]) == (sent, received)
        assert about["tcp.exchanges"] == 2
        assert about["tcp.connection.duration"] >= 0.06
        assert record["body"]["stringValue"].startswith("connection with 127.0.0.1:")
    (failed,) = of(records, refused[1])
    about = check_record(failed, "tcp.connect.failed", "WARN", began, refused[1])
    assert about["error.type"] == "refused"
    assert 0 < about["tcp.connect.duration"] < 60
    assert failed["body"]["stringValue"] == \
        f"connecting to 127.0.0.1:{refused[1]} failed after {about['tcp.connect.duration']:.6f} s: refused"
    # Every record that was taken is in the account, which is sent behind the last of them.
    points = {p["attributes"]["outcome"]: int(p["asInt"])
              for p in receiver.points(metrics, "sonde.export.log_records")}
    assert points.pop("delivered") == len(records)
    assert not any(points.values())


def test_off_unless_asked_for():
    with Receiver() as receiver, listener() as server, \
            agent(server, "--otlp.endpoint", receiver.url) as sonde:
        ready(sonde)
        with Pair(server) as pair:
            pair.exchange(delay=0.15)
        assert sonde.stop() == 0
        assert receiver.requests and not receiver.log_requests


def test_a_receiver_of_their_own():
    """By the variables of the logs signal; headers of metrics do not go there."""
    with Receiver() as receiver, Receiver() as figures, listener() as server, \
            agent(server, "--otlp.logs", "ends", env={
                "OTEL_EXPORTER_OTLP_ENDPOINT": figures.url,
                "OTEL_EXPORTER_OTLP_LOGS_ENDPOINT": receiver.url + "/v1/logs",
                "OTEL_EXPORTER_OTLP_LOGS_HEADERS": "x-whose=logs",
                "OTEL_EXPORTER_OTLP_METRICS_HEADERS": "x-secret=metrics"}) as sonde:
        ready(sonde)
        with Pair(server):
            pass
        assert sonde.stop() == 0
        assert figures.requests and not figures.log_requests and not receiver.requests
        assert figures.requests[0]["headers"]["x-secret"] == "metrics"
        for request in receiver.log_requests:
            assert request["headers"]["x-whose"] == "logs"
            assert "x-secret" not in request["headers"]
        assert len(of(receiver.records("tcp.connection"), server.getsockname()[1])) == 2


@pytest.mark.parametrize("misbehaviour", [{"status": 503, "retry_after": 1, "times": 1},
                                          {"rejected": 1, "times": 0}])
def test_what_a_receiver_does_with_them_is_counted(misbehaviour):
    with Receiver() as figures, Receiver(**misbehaviour) as receiver, listener() as server, \
            agent(server, "--otlp.logs", "ends", "--otlp.metrics-endpoint",
                  figures.url + "/v1/metrics", "--otlp.logs-endpoint", receiver.url + "/v1/logs",
                  "--otlp.logs-delay", "1ms") as sonde:
        ready(sonde)
        port = server.getsockname()[1]
        with Pair(server):
            pass
        deadline = time.monotonic() + 30
        while not of(receiver.records(), port):
            assert time.monotonic() < deadline
            time.sleep(0.1)
        assert sonde.stop() == 0
        records = receiver.records("tcp.connection")
        points = {p["attributes"]["outcome"]: int(p["asInt"])
                  for p in figures.points(figures.requests[-1], "sonde.export.log_records")}
    assert len(of(records, port)) == 2  # tried again, and not there twice
    taken = [r for r in receiver.log_requests if r["status"] == 200]
    assert points["rejected"] == (len(taken) if "rejected" in misbehaviour else 0)
    assert points["delivered"] + points["rejected"] == len(records) == 2


def test_no_endpoint_is_told():
    with listener() as server, agent(server, "--otlp.logs", "ends") as sonde:
        sonde.wait_line("otlp.logs asks for log records, but there is no endpoint")
        ready(sonde)
        assert sonde.stop() == 0
