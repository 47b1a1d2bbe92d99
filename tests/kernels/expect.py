# SPDX-License-Identifier: Apache-2.0
"""What the documents of one run inside a virtual machine must say."""
import json

# Emulation makes clocks coarse and processes late, so a tolerance would be a guess. What holds on any
# machine is what lies inside what:
#     server, by its own clock: from poll() saying that the request is there to its send()
#     server, by sonde:         from the arrival in the kernel to the same send()
#     client, by sonde:         from inside the last send() to inside the recv()
#     client, by its own clock: from before that send() to after that recv()
SLACK_US = 1  # for rounding


def series(report, metric, service, wanted):
    """The series of @metric of @service that have these attributes."""
    want = {key: str(value) for key, value in wanted.items()}
    return [one
            for entry in report["metrics"] if entry["name"] == metric
            for one in entry["series"]
            if one["service"] == service
            and all(str(one["attributes"].get(key)) == value for key, value in want.items())]


def check_exchanges(report, side, own, server_own, client_own):
    """A sentence when sonde's figure of one side is not between the programs' own two."""
    found = series(report, f"tcp.{side}.exchange.duration", "tcp_pair",
                   {"server.port": own["port"]})
    count = sum(one["count"] for one in found)
    if count != server_own["count"]:
        return f"counted {count}, there were {server_own['count']}"
    total = sum(one["sum_us"] for one in found)
    low, high = server_own["sum_ns"] / 1e3, client_own["sum_ns"] / 1e3
    if not low - SLACK_US <= total <= high + SLACK_US:
        return (f"{count} exchanges took {total:.0f} us; by the server's clock it was {low:.0f} us,"
                f" by the client's {high:.0f} us")
    return None


def check_http(report, service, method, status, want):
    found = series(report, "http.server.request.duration", service,
                   {"http.request.method": method, "http.response.status_code": status})
    count = sum(one["count"] for one in found)
    return None if count == want else f"counted {count}, there were {want}"


def judge(documents, go_servers):
    """(case, None or why it failed) for each; @documents is {name: bytes} of one run."""
    try:
        report = json.loads(documents["report"])
        tcp = {name: json.loads(documents[name]) for name in ("tcp4", "tcp6", "existing")}
    except (KeyError, ValueError) as problem:
        yield "documents", f"no usable {problem}"
        return
    for name, own in tcp.items():
        for side in ("server", "client"):
            yield f"{name}.{side}", check_exchanges(report, side, own[side],
                                                    own["server"]["residence"],
                                                    own["client"]["exchange"])
    for service in go_servers:
        for method, status, want in (("GET", 200, 25), ("POST", 200, 10), ("GET", 404, 5)):
            yield (f"{service}.{method}.{status}",
                   check_http(report, service, method, status, want))
