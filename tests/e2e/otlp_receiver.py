#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""A receiver of OTLP metrics and logs over HTTP that keeps what it gets, and misbehaves when told to.

Decodes with the official stubs of Debian's python3-opentelemetry-proto, installed or unpacked below
.deps by tools/packages, so that nothing of sonde checks itself. Each request taken is one line of
JSON in --output; a request that it was told to refuse is a line, too, with its status.

    otlp_receiver.py --output got.jsonl                        prints "listening on 127.0.0.1:PORT"
    otlp_receiver.py --output got.jsonl --status 503 --retry-after 7 --times 2

From a test:

    with Receiver() as receiver:
        run("sonde run --otlp-endpoint " + receiver.url)
        requests = receiver.wait(2)
        receiver.points(requests[-1], "http.server.request.duration")
        receiver.records("tcp.exchange")
"""

import argparse
import gzip
import http.server
import json
import pathlib
import sys
import threading
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.append(str(ROOT / ".deps/test/opentelemetry-proto/usr/lib/python3/dist-packages"))

from google.protobuf.json_format import MessageToDict  # noqa: E402
from google.protobuf.message import DecodeError  # noqa: E402
from opentelemetry.proto.collector.logs.v1 import logs_service_pb2 as logs  # noqa: E402
from opentelemetry.proto.collector.metrics.v1 import metrics_service_pb2 as metrics  # noqa: E402

MAX_BODY_BYTES = 64 << 20

SIGNALS = {
    "/v1/metrics": (metrics.ExportMetricsServiceRequest, metrics.ExportMetricsServiceResponse,
                    "rejected_data_points"),
    "/v1/logs": (logs.ExportLogsServiceRequest, logs.ExportLogsServiceResponse,
                 "rejected_log_records"),
}


class Receiver:
    """Listens from the start of a `with` block to its end.

    status, retry_after: what the first `times` requests are answered with (all of them: -1).
    rejected: data points or log records that are said to be refused in an answer of 200.
    hang: requests are read and never answered, until close().
    """

    def __init__(self, port=0, output=None, status=200, retry_after=None, times=-1, rejected=0,
                 hang=False):
        self.status, self.retry_after, self.times = status, retry_after, times
        self.rejected, self.hang = rejected, hang
        # dicts: time, status, headers, body (as OTLP's JSON has it, or None); logs apart
        self.requests, self.log_requests = [], []
        self._changed = threading.Condition()
        self._closed = threading.Event()
        self._output = open(output, "w", encoding="utf-8") if output else None
        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", port), self._handler())
        self._server.daemon_threads = True
        self.port = self._server.server_address[1]
        self.url = f"http://127.0.0.1:{self.port}"
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        self._closed.set()
        self._server.shutdown()
        self._server.server_close()
        if self._output:
            self._output.close()
            self._output = None

    def wait(self, n, timeout=30):
        """The first n requests, refused ones included, or fewer when the time is over."""
        with self._changed:
            self._changed.wait_for(lambda: len(self.requests) >= n, timeout)
            return self.requests[:n]

    @staticmethod
    def points(request, name):
        """All data points of a metric, each with the attributes of its Resource in "resource"."""
        found = []
        for resource in (request["body"] or {}).get("resourceMetrics", []):
            about = attributes(resource.get("resource", {}))
            for scope in resource.get("scopeMetrics", []):
                for metric in scope.get("metrics", []):
                    if metric["name"] != name:
                        continue
                    for kind in ("sum", "gauge", "histogram", "exponentialHistogram"):
                        for point in metric.get(kind, {}).get("dataPoints", []):
                            found.append(dict(point, resource=about, attributes=attributes(point)))
        return found

    def records(self, event=None):
        """All log records that were taken, each with the attributes of its Resource in "resource"."""
        found = []
        for request in [r for r in self.log_requests if r["status"] == 200]:
            for resource in request["body"].get("resourceLogs", []):
                about = attributes(resource.get("resource", {}))
                for scope in resource.get("scopeLogs", []):
                    for record in scope.get("logRecords", []):
                        if event in (None, record.get("eventName")):
                            found.append(dict(record, resource=about, scope=scope["scope"],
                                              attributes=attributes(record)))
        return found

    def _record(self, path, request):
        with self._changed:
            (self.log_requests if path == "/v1/logs" else self.requests).append(request)
            if self._output:
                print(json.dumps(request), file=self._output, flush=True)
            self._changed.notify_all()

    def _answer(self):
        """The status for the next request, counted down; 200 once the misbehaviour is over."""
        with self._changed:
            if self.times == 0:
                return 200, False
            if self.times > 0:
                self.times -= 1
            return self.status, self.hang

    def _handler(receiver):  # noqa: N805: the handler's own self is the connection
        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            timeout = 60

            def do_POST(self):
                length = int(self.headers.get("Content-Length", -1))
                if self.path not in SIGNALS:
                    return self.reply(404)
                if not 0 <= length <= MAX_BODY_BYTES:
                    return self.reply(413)
                body = self.rfile.read(length)
                if self.headers.get("Content-Encoding") == "gzip":
                    body = gzip.decompress(body)
                if self.headers.get("Content-Type") != "application/x-protobuf":
                    return self.reply(415)
                message = SIGNALS[self.path][0]()
                try:
                    message.ParseFromString(body)
                except DecodeError:
                    receiver._record(self.path, self.entry(400, None))
                    return self.reply(400)
                status, hang = receiver._answer()
                receiver._record(self.path, self.entry(status, MessageToDict(message)))
                if hang:
                    receiver._closed.wait()
                    self.close_connection = True
                    return None
                return self.reply(status)

            def entry(self, status, body):
                return {
                    "time": time.time(),
                    "status": status,
                    "connection": self.client_address[1],
                    "headers": {k.lower(): v for k, v in self.headers.items()},
                    "body": body,
                }

            def reply(self, status):
                data = b""
                if status == 200:
                    _, response, rejected = SIGNALS[self.path]
                    answer = response()
                    if receiver.rejected:
                        setattr(answer.partial_success, rejected, receiver.rejected)
                        answer.partial_success.error_message = "refused as it was told to"
                    data = answer.SerializeToString()
                self.send_response(status)
                self.send_header("Content-Type", "application/x-protobuf")
                self.send_header("Content-Length", str(len(data)))
                if status != 200 and receiver.retry_after is not None:
                    self.send_header("Retry-After", str(receiver.retry_after))
                self.end_headers()
                self.wfile.write(data)

            def log_message(self, *_):
                pass

        return Handler


def attributes(holder):
    """{key: value} of a Resource or a data point; whole numbers become int."""
    plain = {}
    for pair in holder.get("attributes", []):
        value = pair.get("value", {})
        if "intValue" in value:
            plain[pair["key"]] = int(value["intValue"])
        else:
            plain[pair["key"]] = next(iter(value.values()), None)
    return plain


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--port", type=int, default=0, help="0, the default: any free one")
    parser.add_argument("--output", required=True, help="file for one line of JSON per request")
    parser.add_argument("--status", type=int, default=200, help="what requests are answered with")
    parser.add_argument("--retry-after", help="seconds or an HTTP-date, sent with --status")
    parser.add_argument("--times", type=int, default=-1, help="only the first K requests misbehave")
    parser.add_argument("--rejected", type=int, default=0, help="data points said to be refused")
    parser.add_argument("--hang", action="store_true", help="take requests and never answer")
    args = parser.parse_args()
    with Receiver(args.port, args.output, args.status, args.retry_after, args.times, args.rejected,
                  args.hang) as receiver:
        print(f"listening on 127.0.0.1:{receiver.port}", flush=True)
        try:
            threading.Event().wait()
        except KeyboardInterrupt:
            pass


if __name__ == "__main__":
    main()
