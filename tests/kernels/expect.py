# SPDX-License-Identifier: Apache-2.0
"""What the documents of one machine must say, and what they say about its kernel."""
import json
import re

# Emulation makes clocks coarse and processes late, so a tolerance would be a guess. What holds on any
# machine is what lies inside what:
#     server, by its own clock: from poll() saying that the request is there to its send()
#     server, by sonde:         from the arrival in the kernel to the same send()
#     client, by sonde:         from inside the last send() to inside the recv()
#     client, by its own clock: from before that send() to after that recv()
SLACK_US = 1  # for rounding

TIER_NAMES = {"auto": "best hooks", "btf": "BTF tracepoints", "fentry": "fentry",
              "kprobe": "kprobes", "file": "best hooks, --btf FILE"}
HTTP = (("GET", 200, 25), ("POST", 200, 10), ("GET", 404, 5))


def series(report, metric, service, wanted):
    """The series of @metric of @service that have these attributes."""
    want = {key: str(value) for key, value in wanted.items()}
    return [one
            for entry in report["metrics"] if entry["name"] == metric
            for one in entry["series"]
            if one["service"] == service
            and all(str(one["attributes"].get(key)) == value for key, value in want.items())]


def check_exchanges(report, side, own):
    """None, or a sentence when sonde's figure of one side is not between the programs' own two."""
    server_own, client_own = own["server"]["residence"], own["client"]["exchange"]
    found = series(report, f"tcp.{side}.exchange.duration", "tcp_pair",
                   {"server.port": own[side]["port"]})
    count = sum(one["count"] for one in found)
    if count != server_own["count"]:
        return f"{side}: counted {count}, there were {server_own['count']}"
    total = sum(one["sum_us"] for one in found)
    low, high = server_own["sum_ns"] / 1e3, client_own["sum_ns"] / 1e3
    if not low - SLACK_US <= total <= high + SLACK_US:
        return (f"{side}: {count} exchanges took {total:.0f} us; by the server's clock it was"
                f" {low:.0f} us, by the client's {high:.0f} us")
    return None


def check_absent(report, side, own):
    """A figure that cannot be had may be missing, or be right all the same; never in between."""
    found = series(report, f"tcp.{side}.exchange.duration", "tcp_pair",
                   {"server.port": own[side]["port"]})
    return check_exchanges(report, side, own) if sum(one["count"] for one in found) else None


def check_requests(report, service, wanted):
    for method, status, want in wanted:
        found = series(report, "http.server.request.duration", service,
                       {"http.request.method": method, "http.response.status_code": status})
        count = sum(one["count"] for one in found)
        if count != want:
            return f"{method} {status}: counted {count}, there were {want}"
    return None


def check_account(report):
    """Nothing that was produced may have gone without a trace."""
    for one in series(report, "sonde.events.unaccounted", "", {}):
        if one["value"]:
            return f"{one['value']} events of {one['attributes']['sonde.probe']} are unaccounted"
    return None


def say(why, right="exact"):
    return right if why is None else f"FAIL {why}"


def judge_tcp(documents, missing):
    """Result of each TCP case; with figures @missing, none of them may be wrong."""
    report = json.loads(documents["report"])
    check = check_absent if missing else check_exchanges
    why = [f"{name}: {said}" for name in ("tcp4", "tcp6", "existing") if name in documents
           for side in ("server", "client")
           if (said := check(report, side, json.loads(documents[name])))]
    if why:
        return "FAIL " + "; ".join(why)
    return f"without {missing}" if missing else "exact"


def missing_figures(probe):
    """Names of the figures that no hook gives, in the order of the probe."""
    have = {hook["figure"] for hook in probe["hooks"] if hook["attached"]}
    return ", ".join(dict.fromkeys(hook["figure"] for hook in probe["hooks"]
                                   if hook["figure"] not in have))


def judge_tier(tier, documents, go, results):
    name = TIER_NAMES[tier]
    doctor = json.loads(documents["doctor"])
    probe = {one["name"]: one for one in doctor["probes"]}
    report = json.loads(documents["report"])
    results[f"tcp, {name}"] = judge_tcp(documents, missing_figures(probe["tcp"]) or
                                        ("" if probe["tcp"]["works"] else "all of it"))
    results[f"account, {name}"] = say(check_account(report), "complete")
    for hook in probe["tcp"]["hooks"]:
        if hook["attached"] and tier in ("auto", "file"):
            results[f"tcp {hook['figure']}, {name}"] = hook["tier"]
        elif not hook["attached"] and not hook["why"]:
            results[f"tcp {hook['figure']}, {name}"] = "FAIL no reason is given"
    if tier in ("auto", "file"):
        for version in go:
            results[f"http Go {version}, {name}"] = say(
                check_requests(report, "gohttp-" + version, HTTP))
    if tier == "auto":
        for feature, has in doctor["features"].items():
            results[f"feature {feature}"] = "yes" if has else "no"
        results["lockdown"] = doctor["lockdown"]


def judge_stress(documents, go, results):
    report, requests = json.loads(documents["report"]), int(documents["requests"])
    results["stress, tcp"] = judge_tcp(documents, "")
    results["stress, account"] = say(check_account(report), "complete")
    for version in go:
        results[f"stress, http Go {version}"] = say(
            check_requests(report, "gohttp-" + version, (("GET", 200, requests),)))
    if not requests:
        results["stress, requests"] = "FAIL there were none"


def judge_log(text):
    """What the kernel itself complained of. Lockups are those of an emulated, busy machine."""
    for line in text.decode(errors="replace").splitlines():
        if re.search(r"BUG:|Oops|WARNING:|general protection", line) and "lockup" not in line:
            return f"FAIL {line}"
    return "quiet"


def judge_lines(console, results):
    """The lines of `inside`; returns {program: (instructions, walked)}."""
    budget = {}
    for name, status, rest in re.findall(r"^PROGRAM (\S+) (ok|no) (.*)$", console, re.M):
        results[f"program {name}"] = "loads" if status == "ok" else rest
        if status == "ok":
            budget[name] = tuple(map(int, rest.split()))
    for name, status, rest in re.findall(r"^SITE (\S+) (ok|FAIL)(.*)$", console, re.M):
        results["stress, sites" if name == "all" else f"site {name}"] = \
            "exact" if status == "ok" else "FAIL" + rest
    for line in re.findall(r"^GONE (.*)$", console, re.M):
        results["nothing left of a killed agent"] = \
            "FAIL " + line if "never" in line or "before" in line else "nothing"
    return budget


def judge(documents, console, go):
    """({case: result}, {program: (instructions, walked)}); a result that begins with FAIL is one."""
    results = {}
    budget = judge_lines(console, results)
    for tier in TIER_NAMES:
        mine = {name[len(tier) + 1:]: body for name, body in documents.items()
                if name.startswith(tier + ".")}
        if not mine:
            continue
        try:
            judge_tier(tier, mine, go, results)
        except (KeyError, ValueError) as problem:
            results[f"documents, {TIER_NAMES[tier]}"] = f"FAIL no usable {problem}"
    if "other.doctor" in documents:
        said = json.loads(documents["other.doctor"]).get("btf", "")
        results["--btf FILE of another kernel"] = \
            "refused" if "another kernel" in said else f"FAIL {said or 'it was taken'}"
    try:
        if "stress.report" in documents:
            judge_stress({name[7:]: body for name, body in documents.items()
                          if name.startswith("stress.")}, go, results)
    except (KeyError, ValueError) as problem:
        results["stress, documents"] = f"FAIL no usable {problem}"
    results["kernel log"] = judge_log(documents.get("dmesg", b""))
    return results, budget
