# SPDX-License-Identifier: Apache-2.0
"""What the documents of one machine must say, and what they say about its kernel."""
import json
import re

from expect_network import judge_network
from expect_tcp import FIGURES, check_missed, judge_tcp, series

TIER_NAMES = {"auto": "best hooks", "btf": "BTF tracepoints", "fentry": "fentry",
              "kprobe": "kprobes", "file": "best hooks, --btf FILE"}
HTTP = (("GET", 200, 25), ("POST", 200, 10), ("GET", 404, 5))


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


def figures_had(probe):
    return {hook["figure"] for hook in probe["hooks"] if hook["attached"]}


def judge_sockets(text):
    """Whether a hash by socket holds no more of them than the machine has."""
    entries, sockets = text.decode().split()
    if entries == "none":
        return "kept in the sockets"
    return say(f"{entries} are remembered, {sockets} live" if int(entries) > int(sockets) else None,
               "all")


def judge_tier(tier, documents, go, results):
    name = TIER_NAMES[tier]
    doctor = json.loads(documents["doctor"])
    probe = {one["name"]: one for one in doctor["probes"]}
    report = json.loads(documents["report"])
    have = figures_had(probe["tcp"])
    results[f"tcp, {name}"] = judge_tcp(documents, have)
    results[f"account, {name}"] = say(check_account(report) or check_missed(report, have),
                                      "complete")
    if "far" in documents:
        for case, result in judge_network(documents, have).items():
            results[f"{case}, {name}"] = result
    if have:
        results[f"tcp let go of sockets, {name}"] = judge_sockets(documents["sockets"])
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
    results["stress, tcp"] = judge_tcp(documents, FIGURES, ("tcp4",))
    results["stress, account"] = say(check_account(report) or
                                     check_missed(report, FIGURES), "complete")
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


def judge_types(documents, results):
    """What sonde said to files that are those of this kernel, and to files that are not."""
    for case, name, wrong in (("of another kernel", "wrong.task_struct", True),
                              ("of another tcp_sock", "wrong.tcp_sock", True),
                              ("of this kernel", "file.doctor", False)):
        if name not in documents:
            continue
        doctor = json.loads(documents[name])
        said = doctor.get("btf", "")
        if doctor["lockdown"] == "confidentiality":
            # Nothing of the kernel may be read, so it cannot be known whose types they are.
            right, result = "lockdown" in said and "another kernel" not in said, "lockdown"
        elif wrong:
            right, result = "another kernel" in said, "refused"
        else:
            right, result = not said, "taken"
        results[f"--btf FILE {case}"] = result if right else f"FAIL {said or 'it was taken'}"


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
    try:
        judge_types(documents, results)
    except (KeyError, ValueError) as problem:
        results["--btf FILE"] = f"FAIL no usable {problem}"
    try:
        if "stress.report" in documents:
            judge_stress({name[7:]: body for name, body in documents.items()
                          if name.startswith("stress.")}, go, results)
    except (KeyError, ValueError) as problem:
        results["stress, documents"] = f"FAIL no usable {problem}"
    results["kernel log"] = judge_log(documents.get("dmesg", b""))
    return results, budget
