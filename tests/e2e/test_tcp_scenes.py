# SPDX-License-Identifier: Apache-2.0
"""The ways in which programs use sockets, each against what the program says of itself.

Both ends of a scene note their calls on one clock. Counts and bytes are compared exactly, durations
with what must be part of them and with what they must be part of. How near they are is a matter for
`bench/run scenes`.
"""
import pytest

from conftest import measuring
from scenes import names, perform, play, said

TURNS = 20
UNSEEN = {"exchange": 0, "receive_queue": 0, "received_bytes": 0}

# What sonde says instead, where docs/probes/tcp.md has a limit. An end that is not here is told of
# exactly as it tells of itself.
LIMITS = {
    ("splice-out", "client"): UNSEEN,
    ("splice-out-server", "server"): UNSEEN,
    ("zerocopy-read", "client"): UNSEEN,
    # Of every other answer it is not seen that it was read: its request and the next are one run.
    ("splice-some", "client"): {"exchange": TURNS // 2, "receive_queue": TURNS // 2,
                                "ambiguous": TURNS // 2},
    # The kernel takes a file in pieces of 64 KiB, and each is a send.
    ("sendfile-upload", "client"): {"ambiguous": TURNS},
    # Two exchanges on each connection: the first is lost where its request came with the SYN, as all
    # but one do, which fetches the cookie.
    ("fast-open", "client"): {"exchange": TURNS + 1, "sent_bytes": (TURNS + 1) * 100},
    ("fast-open", "server"): {"exchange": TURNS + 1, "receive_queue": TURNS + 1,
                              "received_bytes": None},
    # The last byte is taken out of the stream's order, and is passed over by the read that follows.
    ("urgent-last", "server"): {"received_bytes": TURNS * 100 - 1},
}
# What waits includes a byte that nobody will read: it can be longer than it was.
TOO_LONG = {("urgent-last", "server")}


# What else keeps a turn from being a request with its response, of the client.
ODD = {"half-close": {"half_close": TURNS}, "server-first": {"server_first": TURNS},
       # The limit of LIMITS: what answers a request that was not seen.
       "fast-open": {"server_first": TURNS - 1}}


def check_figure(ours, own, count, bounded, told):
    assert ours["count"] == count, told
    if count == own["count"]:
        assert own["least_ns"] <= ours["sum_ns"] + 1
    if bounded:
        assert ours["sum_ns"] <= own["most_ns"] + 1


def check(scene, notes, report):
    told = [(m["name"], s["service"], s["attributes"], s.get("count"), s.get("value"))
            for m in report.document["metrics"] for s in m["series"]
            if s["attributes"].get("server.port") == notes["port"]]
    for side in ("client", "server"):
        own, ours = notes[side], said(report, notes, side)
        limits = LIMITS.get((scene, side), {})
        for figure in ("exchange", "receive_queue"):
            check_figure(ours[figure], own[figure], limits.get(figure, own[figure]["count"]),
                         (scene, side) not in TOO_LONG, told)
        for number in ("ambiguous", "sent_bytes", "received_bytes"):
            if limits.get(number, own[number]) is None:
                assert ours[number] <= own[number], number
            else:
                assert ours[number] == limits.get(number, own[number]), (side, number, told)


@pytest.mark.parametrize("scene", names())
def test_scene(scene):
    notes, report = play(scene, TURNS)
    check(scene, notes, report)
    odd = {one["attributes"]["tcp.exchange.ambiguity"]: one["value"] for one in
           report.series("tcp.exchange.ambiguous", "tcp_scenes", server__port=notes["port"])}
    odd.pop("several_sends", None)
    assert odd == ODD.get(scene, {})


def test_all_of_them_with_details():
    """One sonde that looks closer, at all scenes one behind the other: it says the same."""
    with measuring("tcp", "--tcp.detail") as finish:
        played = [(scene, perform(scene, TURNS)) for scene in names()]
        report = finish()
    ports = [notes["port"] for _, notes in played]
    for scene, notes in played:
        if ports.count(notes["port"]) > 1:
            continue  # one in some hundred runs
        check(scene, notes, report)
        exchange = said(report, notes, "client")["exchange"]
        total = report.series("tcp.client.exchange.total.duration", "tcp_scenes",
                              server__port=notes["port"])
        assert sum(one["count"] for one in total) == exchange["count"], scene
        assert sum(one["sum_us"] for one in total) * 1000 + 1 >= exchange["sum_ns"], scene


def test_long_poll():
    """A server that answers when it likes: later than sonde looks into its maps."""
    notes, report = play("epoll", 2, 2500000)
    check("epoll", notes, report)
    assert said(report, notes, "server")["exchange"]["sum_ns"] >= 2 * 2.5e9


def test_scenes_do_what_they_say():
    """Their own notes, of which all else depends: a scene that does nothing would be right too."""
    for scene, exchanges, answers in (("blocking", 5, 5), ("pipelined", 5, 20), ("push", 5, 5),
                                      ("server-first", 5, 5), ("abort", 0, 0)):
        notes = perform(scene, 5)
        assert notes["client"]["exchange"]["count"] == exchanges, scene
        assert notes["server"]["exchange"]["count"] == answers, scene


def test_v4_mapped_peers_are_ipv4():
    notes, report = play("mapped", 3)
    for side in ("client", "server"):
        for one in said(report, notes, side)["exchange"]["series"]:
            assert one["attributes"]["network.peer.address"] == "127.0.0.1"


def test_who_waits_for_all_hears_of_it_late():
    """Behind SO_RCVLOWAT a request has come when there is so much that its reader is told."""
    notes, report = play("lowat", TURNS)
    server = said(report, notes, "server")
    # The client lets 2 ms go by between the two parts; sonde's wait begins behind them.
    assert notes["server"]["receive_queue"]["most_ns"] >= TURNS * 2e6
    assert server["receive_queue"]["sum_ns"] <= notes["server"]["receive_queue"]["most_ns"] - TURNS * 2e6
