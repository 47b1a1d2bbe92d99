# SPDX-License-Identifier: Apache-2.0
"""How near sonde's figures are to the clocks of programs, for each way of using a socket.

A scene's own notes (tests/work/tcp_scenes) have for each exchange what the program itself would say. Of
a server's that is a range: its request came while the client's call was under way. Bars: a mean within
20 us or 1 % of it, below 100 us within 2 us or 10 %, whichever is more; a quantile within one bucket.
"""
import os
import statistics

from common import Settings, missed
from conftest import measuring
from scenes import names, perform, said

ROUNDS = 3
QUANTILES = (("p50_us", 0.5), ("p90_us", 0.9), ("p99_us", 0.99))
# (the server's work in us, turns)
RUNS = ((2000, 50), (0, 200))
# What is not seen, or is as long as docs/probes/tcp.md says it is: nothing to compare.
LIMITS = {("splice-out", "client"), ("splice-some", "client"), ("splice-out-server", "server"),
          ("zerocopy-read", "client"), ("fast-open", "client"), ("fast-open", "server"),
          ("mmsg", "client"), ("sendfile-upload", "client"), ("urgent-last", "server")}


def bar(mean_us):
    return max(20, mean_us / 100) if mean_us >= 100 else max(2, mean_us / 10)


def beyond(value, low, high):
    """How far @value is outside of a range."""
    return min(0, value - low) or max(0, value - high)


def quantiles_hold(samples, one):
    """Whether each is within a bucket, and the bar of means, of the values between which it lies."""
    late, early = (sorted(sample[i] / 1000 for sample in samples) for i in (0, 1))
    width = 2 ** (2 ** -one["buckets"]["scale"])
    for key, q in QUANTILES:
        at = q * (len(late) - 1)
        low, high = late[int(at)], early[min(int(at) + 1, len(early) - 1)]
        if not (low - bar(low)) / width <= one[key] <= (high + bar(high)) * width:
            return False
    return True


def compare(own, ours):
    """One end of one scene: (exchanges, counted, own mean in us from and to, sonde's, quantiles hold)."""
    low, high = (own[key] / own["count"] / 1e3 for key in ("sum_ns", "early_ns"))
    sonde = ours["sum_ns"] / max(1, ours["count"]) / 1e3
    return (own["count"], ours["count"], low, high, sonde,
            len(ours["series"]) == 1 and quantiles_hold(own["samples_ns"], ours["series"][0]))


def one_round(scenes_, delay, turns):
    """{(scene, end): compare()} of all scenes, each at a port of its own, while one sonde looks on."""
    with measuring("tcp") as finish:
        notes = {}
        for scene in scenes_:
            notes[scene] = perform(scene, turns, delay, "--cpus", "1")
        report = finish()
    ports = [own["port"] for own in notes.values()]
    return {(scene, side): compare(own[side]["exchange"], said(report, own, side)["exchange"])
            for scene, own in notes.items() for side in ("client", "server")
            if (scene, side) not in LIMITS and own[side]["exchange"]["count"]
            and ports.count(own["port"]) == 1}


def chosen():
    """Threads that poll, one at each end, would take the ends' processors."""
    return [name for name in names() if name != "uring-polled" or os.cpu_count() >= 4]


def row(key, rounds):
    runs = sorted((r[key] for r in rounds if key in r), key=lambda r: abs(beyond(r[4], r[2], r[3])))
    made, counted, low, high, sonde, _ = runs[len(runs) // 2]
    off = beyond(sonde, low, high)
    good = abs(off) <= bar(high) and all(r[0] == r[1] for r in runs)
    steady = sum(r[5] for r in runs) * 2 > len(runs)
    if not good or not steady:
        missed.append(", ".join(key))
    own = f"{low:.1f}" if high - low < 0.05 else f"{low:.1f} .. {high:.1f}"
    print(f"| {key[0]} | {key[1]} | {made} | {counted} | {own} | {sonde:.1f} | "
          f"{off:+.1f} us, {100 * off / high:+.2f} %{'' if good else ' **missed**'} | "
          f"{'hold' if steady else '**missed**'} |")
    return abs(off)


def scenes():
    """Prints a table for each of RUNS."""
    n = Settings.rounds or ROUNDS
    print("### Accuracy, for each way of using a socket\n")
    print(f"Mean durations of exchanges, the median of {n} runs by their difference. Client and server "
          "are two processes, each on its own processor; when a request came is known to a call. Bars: 20 "
          "us or 1 %, below 100 us 2 us or 10 %, whichever is more; p50, p90 and p99 within one bucket.\n")
    for delay, turns in RUNS:
        print(f"{turns} turns, {f'{delay / 1000:g} ms of work' if delay else 'answered at once'}:\n")
        print("| scene | end | exchanges | counted | own mean, us | sonde, us | difference | quantiles |")
        print("|---|---|---|---|---|---|---|---|")
        rounds = [one_round(chosen(), delay, turns) for _ in range(n)]
        errors = [row(key, rounds) for key in rounds[0]]
        print(f"\nMedian difference {statistics.median(errors):.1f} us, largest {max(errors):.1f} us.\n")
