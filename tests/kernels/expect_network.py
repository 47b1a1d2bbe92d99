# SPDX-License-Identifier: Apache-2.0
"""
What a report must say of a network that takes 10 ms each way, loses and reorders, and of connections
that come to nothing in it. As in expect_tcp.py, lower bounds are what the network takes at least, upper
ones what lies around it by the clocks of the programs that took part.
"""
import json

from expect_tcp import (FIGURES, SLACK_US, check_between, check_case, clocked, find, left_out, series,
                        total)

WAY_US = 10_000  # netem's, in each direction
ROUND_TRIP_US = 2 * WAY_US

# The case, whether its connection began while sonde looked, how the network's part is known, and what
# each exchange has of it at least: what is reordered goes without delay.
CASES = (("far", True, "measured", ROUND_TRIP_US),
         ("far_old", False, "rtt_min", ROUND_TRIP_US),
         ("far_dark", True, "measured", ROUND_TRIP_US),
         ("far_syn", True, "measured", ROUND_TRIP_US),
         ("far_loss", True, "measured", 0))
# Nothing is lost of their handshake: it is a round trip.
CLEAN = ("far", "far_old", "far_dark")

HANDSHAKE = "system.network.tcp.handshake.duration"
RETRANSMITS = "system.network.tcp.retransmits"
RESETS = "system.network.tcp.resets"

# Of connections that come to nothing: how long that takes at least.
LEAST_US = {"refused": ROUND_TRIP_US, "timed_out": 1_000_000, "host_unreachable": 0, "cancelled": 0}


def ns(histogram):
    return round(histogram["sum"] * 1000)


def at_least(least):
    return {"sum": 0, "min": least, "max": least}


def check_handshakes(report, own, clean):
    for side, around in (("client", own["client"]["connect"]), ("server", own["client"]["opening"])):
        made = total(series(report, HANDSHAKE, "tcp_pair",
                            {"server.port": own[side]["port"], "network.tcp.handshake.role": side}))
        # Of an answer that was sent again the kernel may have no measure, or one of the second.
        if not made["count"] or not clean and side == "server":
            continue
        why = check_between(f"{side}: handshake", made, at_least(ROUND_TRIP_US), clocked(around))
        if why:
            return why
    return None


def check_rtt(report, own, whole):
    """The least round trip: of the network at least, and the handshake has been one."""
    for side, around in (("client", own["client"]["connect"]), ("server", own["client"]["opening"])):
        for one in series(report, "system.network.tcp.rtt.min", "tcp_pair",
                          {"server.port": own[side]["port"], "tcp.role": side}):
            least = one["value"] * 1e6
            if not ROUND_TRIP_US - SLACK_US <= least <= around["min_ns"] / 1e3 + SLACK_US:
                return f"{side}: the least round trip is {least:.0f} us"
        smoothed = total(series(report, "system.network.tcp.rtt", "tcp_pair",
                                {"server.port": own[side]["port"], "tcp.role": side}))
        if smoothed["count"] and smoothed["min"] < ROUND_TRIP_US - SLACK_US:
            return f"{side}: a round trip of {smoothed['min']} us"
        if whole and not smoothed["count"]:
            return f"{side}: no round trip"
    return None


def check_parts(report, own, method, least_us):
    """A client's exchange: each part has one of each exchange, and they make up the whole, to the ns."""
    whole = total(find(report, "client", "duration", own))
    parts = {stage: total(find(report, "client", "stage.duration", own, more.items()))
             for stage, more in (("network", {"tcp.stage": "network", "tcp.stage.method": method}),
                                 ("remote", {"tcp.stage": "remote", "tcp.stage.method": method}),
                                 ("receive_queue", {"tcp.stage": "receive_queue"}))}
    for stage, part in parts.items():
        if part["count"] != whole["count"]:
            return f"client: {stage} counted {part['count']}, of {whole['count']}"
    if sum(map(ns, parts.values())) != ns(whole):
        return f"client: parts of {sum(map(ns, parts.values()))} ns, the whole is {ns(whole)} ns"
    if ns(total(find(report, "client", "total.duration", own))) != ns(whole):
        return "client: the total is not the exchange, and each was one send"
    if parts["network"]["min"] < least_us - SLACK_US:
        return f"client: the network took {parts['network']['min']} us"
    if method == "measured":
        residence = total(find(report, "server", "duration", own))
        if ns(parts["remote"]) != ns(residence):
            return f"client: remote {ns(parts['remote'])} ns, the server had {ns(residence)} ns"
        return None
    # The estimate is the least round trip, which is no more than the handshake's; the rest is remote.
    excess = own["client"]["connect"]["max_ns"] / 1e3 - ROUND_TRIP_US
    server = clocked(own["server"]["residence"])
    # The first of them is the first that was looked at, and what was seen later is less or the same.
    seen = min(one["value"] * 1e6 for one in series(
        report, "system.network.tcp.rtt.min", "tcp_pair",
        {"server.port": own["client"]["port"], "tcp.role": "client"}))
    if not seen - SLACK_US <= parts["network"]["max"] <= ROUND_TRIP_US + excess + SLACK_US:
        return f"client: the network is said to take {parts['network']['max']} us"
    return check_between("client: remote", parts["remote"],
                         {"sum": server["sum"] - excess * server["count"],
                          "min": server["min"] - excess, "max": server["max"] - excess}, whole)


def check_application(report, own):
    """A server's: from inside its last recv() to inside its send()."""
    application = total(find(report, "server", "stage.duration", own,
                             {"tcp.stage": "application"}.items()))
    if application["count"] != own["client"]["exchange"]["count"]:
        return f"server: application counted {application['count']}"
    return check_between("server: application", application, clocked(own["server"]["application"]),
                         total(find(report, "server", "duration", own)))


def check_exchanges(report, own, case, have):
    name, whole, method, least_us = case
    for side in ("server", "client"):
        if left_out(report):
            # Which end a connection is may be what was left out, and then all of its exchanges are.
            count = total(find(report, side, "duration", own))["count"]
            want = own["client"]["exchange"]["count"]
            why = f"{side}: counted {count}, there were {want}" if count > want else None
        else:
            why = check_case(report, side, own, whole, have)
        if why:
            return why
    if left_out(report):
        return None
    if "state" in have:
        why = check_handshakes(report, own, name in CLEAN) if whole else None
        why = why or (check_rtt(report, own, whole and not lacking(have)) if name in CLEAN else None)
    if why or lacking(have):
        return why
    return check_parts(report, own, method, least_us) or check_application(report, own)


def lacking(have):
    return [figure for figure in FIGURES if figure not in have]


def about(report, found, want):
    """Whether no more is missing than runs of programs were left out, and nothing is there too often."""
    return want - left_out(report) <= found <= want


def check_failures(report, ends, have):
    """Every connection that came to nothing, by what it came to, and how long that took its owner."""
    if "state" not in have:
        return None
    for kind, least in LEAST_US.items():
        found = series(report, HANDSHAKE, "inside", {"server.port": ends[kind]["port"]})
        errors = {one["attributes"].get("error.type"): one["count"] for one in found}
        if set(errors) - {kind} or not about(report, errors.get(kind, 0),
                                             ends[kind]["time"]["count"]):
            return f"{kind}: {errors}, there were {ends[kind]['time']['count']}"
        if not errors:
            continue
        why = check_between(kind, total(found), at_least(least), clocked(ends[kind]["time"]),
                            ("min", "max") if left_out(report) else ("sum", "min", "max"))
        if why:
            return why
    return None


def check_resets(report, ends, have):
    one, want = ends["reset"], ends["reset"]["time"]["count"]
    for hook, role, direction in (("reset in", "client", "receive"), ("reset out", "server", "transmit")):
        # Without hooks that see who uses it, a server's socket has no owner.
        found = sum(s["value"] for service in ("inside", "unknown")
                    for s in series(report, RESETS, service,
                                    {"server.port": one["port"], "tcp.role": role,
                                     "network.io.direction": direction}))
        if not about(report, found, want) if hook in have else found:
            return f"{role}: {found} resets in {direction}, there were {want}"
    if "state" in have:
        ended = {(s["attributes"].get("tcp.close.initiator"), s["attributes"].get("error.type")):
                 s["count"] for s in series(report, "system.network.tcp.connection.duration", "inside",
                                            {"server.port": one["port"], "tcp.role": "client"})}
        if ended != {("remote", "reset"): want} and not left_out(report):
            return f"connections that were reset ended as {ended}"
    return None


def kinds_of(found):
    kinds = {}
    for one in found:
        kind = one["attributes"]["network.tcp.retransmit.type"]
        kinds[kind] = kinds.get(kind, 0) + one["value"]
    return kinds


def check_left(report, left, have):
    """Connections that are there at the end, by their state."""
    if lacking(have) or left_out(report):
        return None
    found = {(one["attributes"]["tcp.role"], one["attributes"]["network.connection.state"]): one["value"]
             for one in series(report, "tcp.pool.connections", "inside",
                               {"server.port": left["port"]})}
    want = {(role, state): left[key] for role, state, key in (
        ("client", "established", "established"), ("client", "close_wait", "ended"),
        ("server", "established", "established"), ("server", "fin_wait_2", "ended"))}
    # A state that they had when somebody looked before is told to have none now.
    if {key: n for key, n in found.items() if n} != want:
        return f"connections are said to be {found}, they are {want}"
    return None


def counts_of(text):
    """{name: how often} of /proc/net/{snmp,netstat} of several networks."""
    counts, names = {}, []
    for line in text.decode().splitlines():
        group, *fields = line.split()
        if names and names[0] == group:
            for name, n in zip(names[1:], fields):
                counts[name] = counts.get(name, 0) + int(n)
            names = []
        else:
            names = [group, *fields]
    return counts


def check_retransmits(report, documents, have):
    """By kind, against what the kernels of all networks counted meanwhile."""
    before, after = (counts_of(documents[name]) for name in ("before", "after"))
    counted = {name: after[name] - n for name, n in before.items()}
    every = [one for entry in report["metrics"] if entry["name"] == RETRANSMITS
             for one in entry["series"]]
    kinds = kinds_of(every)
    if "retransmit" not in have:
        return f"{kinds} sent again, and no hook for it" if kinds else None
    wants = {"all": (sum(kinds.values()), counted["RetransSegs"]),
             "fast": (kinds.get("fast", 0), counted["TCPFastRetrans"]),
             "syn and syn_ack": (kinds.get("syn", 0) + kinds.get("syn_ack", 0),
                                 counted["TCPSynRetrans"])}
    for what, (found, want) in wants.items():
        if not want or found > want or found < want and not left_out(report):
            return f"{what}: {found} segments sent again, there were {want} ({kinds})"
    for case, kind in (("far_dark", "timeout"), ("far_syn", "syn_ack"), ("far_loss", "fast")):
        port = json.loads(documents[case])["client"]["port"]
        again = kinds_of(one for one in every if one["attributes"].get("server.port") == port)
        if not again.get(kind) and not left_out(report):
            return f"{case}: no {kind} among {again}"
    return None


def judge_network(documents, have):
    """Results {case: result} of one tier."""
    report = json.loads(documents["report"])
    why = [f"{case[0]}: {said}" for case in CASES
           if (said := check_exchanges(report, json.loads(documents[case[0]]), case, have))]
    ends = json.loads(documents["ends"])

    left = json.loads(documents["left"])

    def say(why):
        return f"FAIL {why}" if why else "exact"

    return {"network, exchanges": say("; ".join(why)),
            "network, failures": say(check_failures(report, ends, have) or
                                     check_resets(report, ends, have)),
            "network, states": say(check_left(report, left, have)),
            "network, retransmits": say(check_retransmits(report, documents, have))}
