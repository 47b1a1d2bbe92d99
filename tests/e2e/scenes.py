# SPDX-License-Identifier: Apache-2.0
"""Scenes of tests/work/tcp_scenes under sonde's eyes: for tests and benches."""
import json
import subprocess

from conftest import ENV, ROOT, WORK, measuring


def names():
    subprocess.run([ROOT / "tests/work/build", "tcp_scenes"], check=True)
    return subprocess.run([WORK / "tcp_scenes"], check=True, stdout=subprocess.PIPE,
                          text=True).stdout.split()


def perform(scene, turns, delay_us=1000, *more):
    """What the two ends of a scene noted themselves."""
    return json.loads(subprocess.run(
        [WORK / "tcp_scenes", scene, "--turns", str(turns), "--delay", str(delay_us), *more], env=ENV,
        check=True, stdout=subprocess.PIPE, timeout=60).stdout)


def play(scene, turns, delay_us=1000):
    """The same, and sonde's report of it."""
    with measuring("tcp") as finish:
        return perform(scene, turns, delay_us), finish()


def said(report, own, side):
    """What the report says of one end, in the form of that end's own notes."""
    where = {"server__port": own["port"]}

    def figure(metric, **more):
        found = report.series(metric, "tcp_scenes", **where, **more)
        return {"count": sum(s["count"] for s in found),
                "sum_ns": sum(s["sum_us"] for s in found) * 1000, "series": found}

    def number(metric, **more):
        return report.value(metric, "tcp_scenes", **where, **more)

    return {
        "exchange": figure(f"tcp.{side}.exchange.duration"),
        "receive_queue": figure(f"tcp.{side}.exchange.stage.duration", tcp__stage="receive_queue"),
        "ambiguous": number("tcp.exchange.ambiguous", tcp__exchange__ambiguity="several_sends")
                     if side == "client" else 0,
        "sent_bytes": number("tcp.io", tcp__role=side, network__io__direction="transmit"),
        "received_bytes": number("tcp.io", tcp__role=side, network__io__direction="receive"),
    }
