# SPDX-License-Identifier: Apache-2.0
"""What a report must say of the TCP exchanges that tcp_pair made and timed by itself."""
import json

# Emulation makes clocks coarse and processes late, so a tolerance would be a guess. What holds on any
# machine is what lies inside what:
#     server, by its own clock: from poll() saying that the request is there to its send()
#     server, by sonde:         from the arrival in the kernel to the same send()
#     client, by sonde:         from inside the last send() to inside the recv()
#     client, by its own clock: from before that send() to after that recv()
# Each exchange lies so by itself, and therefore their sums, their shortest and their longest do.
#
# The wait in the receive queue, from the arrival to inside the first recv(), is around what the reader
# sees of it, from poll() to the start of that recv(); and it is a part of the exchange. What the client
# saw of all exchanges has room for it beside what else was in them: for the server's wait beside the
# server's work behind its recv(), for the client's beside all that the server saw.
SLACK_US = 1  # for rounding

CASES = ("tcp4", "tcp6", "sendfile", "many", "existing")
# Both their ends came and went while sonde looked.
WHOLE_LIVES = ("tcp4", "tcp6", "sendfile", "many")
# What exchanges are made of. The details have hooks of their own, and sendfile() has one of its own on
# kernels on which it goes around the one for send().
FIGURES = ("state", "close", "arrival", "read", "send")

DIRECTIONS = (("transmit", "sent_bytes"), ("receive", "received_bytes"))


def series(report, metric, service, wanted):
    """The series of @metric of @service that have these attributes."""
    want = {key: str(value) for key, value in wanted.items()}
    return [one
            for entry in report["metrics"] if entry["name"] == metric
            for one in entry["series"]
            if one["service"] == service
            and all(str(one["attributes"].get(key)) == value for key, value in want.items())]


def total(found):
    """One histogram's {"count", "sum", "min", "max"} of several; times in us, None if there is none."""
    def pick(which, key):
        return which((one[key] for one in found if one[key] is not None), default=None)
    return {"count": sum(one["count"] for one in found), "sum": sum(one["sum_us"] for one in found),
            "min": pick(min, "min_us"), "max": pick(max, "max_us")}


def clocked(figure):
    """The same, of a program's own figure."""
    return {"count": figure["count"],
            **{key: figure[key + "_ns"] / 1e3 for key in ("sum", "min", "max")}}


def check_between(what, seen, low, high, keys=("sum", "min", "max")):
    for key in keys:
        if seen[key] is None or not low[key] - SLACK_US <= seen[key] <= high[key] + SLACK_US:
            return (f"{what}, {key} of {seen['count']}: {seen[key]} us, which is not between"
                    f" {low[key]:.0f} and {high[key]:.0f} us")
    return None


def find(report, side, metric, own, more=()):
    return series(report, f"tcp.{side}.exchange.{metric}", "tcp_pair",
                  {"server.port": own[side]["port"], **dict(more)})


def check_exchanges(report, side, own):
    """None, or a sentence when sonde's figures of one side are not between the programs' own two."""
    low, high = clocked(own["server"]["residence"]), clocked(own["client"]["exchange"])
    exchange = total(find(report, side, "duration", own))
    if exchange["count"] != low["count"]:
        return f"{side}: counted {exchange['count']}, there were {low['count']}"
    return check_between(f"{side}: exchange", exchange, low, high)


def check_queue(report, side, own):
    """The same of the wait in the receive queue; the exchanges have been found right."""
    exchange = total(find(report, side, "duration", own))
    queue = total(find(report, side, "stage.duration", own, {"tcp.stage": "receive_queue"}.items()))
    low, asked = clocked(own[side]["receive_queue"]), clocked(own["client"]["exchange"])
    beside = clocked(own["server"]["application" if side == "server" else "residence"])
    if queue["count"] != asked["count"]:
        return f"{side}: counted {queue['count']} waits, there were {asked['count']}"
    return check_between(f"{side}: wait", queue, low, exchange) or \
        check_between(f"{side}: wait", queue, low, {"sum": asked["sum"] - beside["sum"]}, ("sum",))


def check_bytes(report, side, own, lacks, whole):
    """
    Exact. Without a hook they may be none at all; and what a socket that is older than sonde moved
    before one of the hooks that are there saw it is not known.
    """
    for direction, key in DIRECTIONS:
        found = series(report, "tcp.io", "tcp_pair",
                       {"server.port": own[side]["port"], "tcp.role": side,
                        "network.io.direction": direction})
        seen = sum(one["value"] for one in found)
        if seen == own[side][key] or lacks and (not seen or not whole and seen < own[side][key]):
            continue
        return f"{side}: {seen} bytes in {direction}, there were {own[side][key]}"
    return None


def resets_received(report, side, own):
    """
    Behind both closes a connection can still be reset, and no program sees that: a segment that comes
    late finds the listener, whose answer ends the other end's wait in TIME_WAIT (RFC 1337), and what is
    sent again to that end is answered by a reset. It is rare, of machines that are slow.
    """
    return sum(one["value"] for one in series(report, "system.network.tcp.resets", "tcp_pair",
                                              {"server.port": own[side]["port"], "tcp.role": side,
                                               "network.io.direction": "receive"}))


def check_lives(report, side, own, whole, have):
    """Handshakes and ended connections: all that sonde saw begin, and none of the others."""
    # A server's socket has an owner from its first send or read on, and its figures wait for that.
    sees = "state" in have and (side == "client" or "send" in have or "read" in have)
    want = own[side]["connections"] if whole else 0
    for metric, role in (("handshake", "network.tcp.handshake.role"), ("connection", "tcp.role")):
        found = series(report, f"system.network.tcp.{metric}.duration", "tcp_pair",
                       {"server.port": own[side]["port"], role: side})
        errors = {}
        for one in found:
            error = one["attributes"].get("error.type")
            if error:
                errors[error] = errors.get(error, 0) + one["count"]
        if errors.pop("reset", 0) > resets_received(report, side, own) or errors:
            return f"{side}: {metric} ended with errors, and none did"
        count = total(found)["count"]
        if count != want and (count or sees):
            return f"{side}: {metric} counted {count}, there were {want}"
    return None


def left_out(report):
    """
    Runs of the tcp probe's programs that the kernel left out, and counted: it interrupted, or preempted,
    the same program on the same CPU. It is rare and can happen on every kernel.
    """
    return sum(one["value"] for one in series(report, "sonde.events.missed", "",
                                              {"sonde.probe": "tcp",
                                               "sonde.event.reason": "recursion"}))


def check_counts(report, side, own, missing):
    """No more exchanges may be missing than runs of programs were left out."""
    count = total(find(report, side, "duration", own))["count"]
    want = own["client"]["exchange"]["count"]
    if want - missing <= count <= want:
        return None
    return f"{side}: counted {count}, there were {want}, and the kernel left out {missing:.0f}"


def check_case(report, side, own, whole, have):
    lacks = [figure for figure in FIGURES if figure not in have]
    why = None
    missing = left_out(report)
    if missing:
        return check_counts(report, side, own, own["client"]["exchange"]["count"] if lacks
                            else missing)
    # A figure that cannot be had may be missing, or be right all the same; never in between. How many
    # waits there were depends on the other hooks, so without one of them there is no saying.
    if not lacks or find(report, side, "duration", own):
        why = check_exchanges(report, side, own)
    if not lacks:
        why = why or check_queue(report, side, own)
    why = why or check_bytes(report, side, own, lacks, whole)
    return why or check_lives(report, side, own, whole, have)


def judge_tcp(documents, have, names=CASES):
    """Result of all TCP cases, given the figures that the machine has hooks for."""
    report = json.loads(documents["report"])
    why = [f"{name}: {said}" for name in names
           for side in ("server", "client")
           if (said := check_case(report, side, json.loads(documents[name]),
                                 name in WHOLE_LIVES, have))]
    if why:
        return "FAIL " + "; ".join(why[:3]) + (f"; {len(why) - 3} more" if why[3:] else "")
    lacks = [figure for figure in FIGURES if figure not in have]
    return "without " + ", ".join(lacks) if lacks else "exact"


def check_missed(report, have):
    """
    What sonde saw and could make no event of: nothing, as a rule. Nobody has bytes waiting or a request
    under way when it starts, not even on the socket that is older than it; all that begins ends before
    it does; and there is room for all. But:
      recursion     what the kernel left out is not ours; it is counted, and left_out() reckons with it
      tcp no_start  what was left out may have been an arrival; and without a hook that sees arrivals,
                    every wait that ends began unseen
    """
    missed = {(one["attributes"]["sonde.probe"], one["attributes"]["sonde.event.reason"]): one["value"]
              for one in series(report, "sonde.events.missed", "", {})}
    excuse = left_out(report)
    for (probe, reason), n in missed.items():
        excused = reason == "recursion" or \
            (probe, reason) == ("tcp", "no_start") and ("arrival" not in have or n <= excuse)
        if n and not excused:
            return f"{probe} missed {n:.0f} events: {reason}"
    return None
