"""report.json: how each release ended and how many users it harmed, computed from the chronicle. Pure.

A *user* is one request. Times are measured where users stand, at the load generator, against the clock of one machine:

- `usersHarmed`: users of the time from this release to the next who got an error or a wrong answer that stable would
  not have given them.
- `requestsFailedBySwitch`: requests of that time that failed though no model server said so (no connection, a broken
  one, no answer in time, an error made by the gateway). Moving traffic is the first suspect then.
- `maxWeight`: the largest share, in percent, that the route ever gave to this version in that time.
- `secondsToDetect`: from the moment when the first harmed user had this version's answer to the operator's decision:
  the route without this version, or phase RollingBack, whichever was seen first. The first is the first write of the
  pass that decides.
- `secondsToRestore`: from that same moment to the last answer of this version that any user got, good or bad: then
  the new weight is in force at the gateway. Never before the decision, after which nobody may have been asking.

Both are None unless a release was taken back and had harmed somebody.

Where an experiment drew people, who have names and come again, `peopleWhoMetIt` counts those who met this version in it
and `peopleWhoWentBack` those of them who met another one after it, before the operator had decided.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from demo.chronicle import Chronicle, ReleaseStart
from demo.story import TOURS, Tour, complaints
from localcluster.load import Outcome, versions_met
from modelrollout.api.status import ModelRolloutStatus, Phase

DEFINITIONS = {
    "usersHarmed": "Requests answered with an error, or wrongly where the stable version would have been right.",
    "usersHelpedByIt": "Requests answered rightly where the stable version would have been wrong.",
    "requestsFailedBySwitch": "Requests that failed although no model server said so.",
    "maxWeight": "Largest percentage of traffic that the route ever gave to this version.",
    "secondsToDetect": "From the first bad answer that a user got to the operator's decision to take it back.",
    "secondsToRestore": "From the first bad answer that a user got to the last answer of this version to anybody.",
}
FAILURES = 20  # told one by one
FOLLOWED = 1.0  # seconds until a gateway follows a route that is written
ENDINGS = ("Installed", "Promoted", "RolledBack")


def report(chronicle: Chronicle, tour: Tour = TOURS["canary"], interrupted: str | None = None) -> dict[str, Any]:
    """The whole document; `interrupted` says why the story was broken off, if it was."""
    facts, rows = chronicle.facts, [row(chronicle, begun) for begun in chronicle.releases]
    wrong = ([interrupted] if interrupted else []) + list(complaints(rows, tour.releases))
    return {
        "title": tour.title,
        "releases": rows,
        "asTold": not wrong,
        "complaints": wrong,
        "details": [_details(chronicle, begun) for begun in chronicle.releases],
        "requests": _requests(chronicle),
        "apiServer": {"kind": facts.api_server, "version": facts.api_version},
        "commandsBy": facts.commands_by,
        "startedAt": datetime.fromtimestamp(facts.started, UTC).isoformat(timespec="seconds"),
        "secondsToPrepare": round(facts.prepared - facts.started, 1),
        "seconds": round(facts.ended - facts.started, 1),
        "definitions": DEFINITIONS,
    }


def row(chronicle: Chronicle, begun: ReleaseStart) -> dict[str, Any]:
    """One release, in exactly the keys that are promised."""
    users, outcome = of_release(chronicle, begun), outcome_of(chronicle, begun.name)
    detected, restored = _times(chronicle, begun, users) if outcome == "RolledBack" else (None, None)
    return {
        "name": begun.name,
        "outcome": outcome,
        "maxWeight": max_weight(chronicle, begun),
        "usersHarmed": sum(user.harmed for user in users),
        "requestsFailedBySwitch": sum(_is_by_switch(user) for user in users),
        "secondsToDetect": detected,
        "secondsToRestore": restored,
    }


def outcome_of(chronicle: Chronicle, version: str) -> str | None:
    """How the version's release ended, in the words of the resource's own history; None while it has not."""
    for turn in reversed(chronicle.turns):
        for entry in turn.status.history:
            if entry.model.version == version and entry.outcome in ENDINGS:
                return entry.outcome
    return None


def max_weight(chronicle: Chronicle, begun: ReleaseStart) -> int:
    workload, until = chronicle.workloads.get(begun.name, ""), chronicle.until(begun)
    return max((split.shares.get(workload, 0) for split in chronicle.splits if begun.at <= split.at < until), default=0)


def of_release(chronicle: Chronicle, begun: ReleaseStart) -> list[Outcome]:
    """The users of the time from this release to the next, whichever version served them."""
    until = chronicle.until(begun)
    return [user for user in chronicle.outcomes if begun.at <= user.at < until]


def answered_at(user: Outcome) -> float:
    return user.at + user.latency


def decided_at(chronicle: Chronicle, begun: ReleaseStart) -> float | None:
    """When the operator was first seen to take this version back."""
    workload, until = chronicle.workloads.get(begun.name), chronicle.until(begun)
    had, seen = False, []
    for split in chronicle.splits:
        if not begun.at <= split.at < until or workload is None:
            continue
        if split.shares.get(workload, 0) > 0:
            had = True
        elif had:
            seen.append(split.at)
            break
    seen += [turn.at for turn in chronicle.turns if begun.at <= turn.at < until and _takes_back(turn.status, begun)][:1]
    return min(seen, default=None)


def _takes_back(status: ModelRolloutStatus, begun: ReleaseStart) -> bool:
    candidate = status.candidate
    return status.phase is Phase.ROLLING_BACK and candidate is not None and candidate.model.version == begun.name


def _times(chronicle: Chronicle, begun: ReleaseStart, users: Sequence[Outcome]) -> tuple[float | None, float | None]:
    mine = [user for user in users if user.version == begun.name]
    first = min((answered_at(user) for user in mine if user.harmed), default=None)
    decided = decided_at(chronicle, begun)
    if first is None or decided is None or decided < first:
        return None, None
    restored = max(decided, *map(answered_at, mine))
    return round(decided - first, 2), round(restored - first, 2)


def _details(chronicle: Chronicle, begun: ReleaseStart) -> dict[str, Any]:
    users = of_release(chronicle, begun)
    mine = [user for user in users if user.version == begun.name]
    ended, why = _end(chronicle, begun)
    return {
        "name": begun.name,
        "command": begun.command,
        "requests": len(users),
        "requestsAnsweredByIt": len(mine),
        "usersHarmedByIt": sum(user.harmed for user in mine),
        "usersHelpedByIt": sum(user.right and not user.stable_right for user in mine),
        **_people(chronicle, begun),
        "verdicts": _verdicts(chronicle, begun),
        "seconds": round(ended - begun.at, 1) if ended is not None else None,
        "reason": why,
    }


def _people(chronicle: Chronicle, begun: ReleaseStart) -> dict[str, int]:
    """How many users met this version while it was tried on those who were drawn; nothing where nobody was."""
    turns = [turn for turn in chronicle.turns if begun.at <= turn.at < chronicle.until(begun)]
    drawn = [turn.at for turn in turns if _has_drawn(turn.status, begun)]
    if not drawn:
        return {}
    over = [turn.at for turn in turns if turn.at > drawn[-1]] + [chronicle.until(begun)]
    until = min(over[0], decided_at(chronicle, begun) or over[0])
    tried = [user for user in chronicle.outcomes if drawn[0] + FOLLOWED <= user.at and answered_at(user) < until]
    met = [versions for versions in versions_met(tried).values() if begun.name in versions]
    back = [versions for versions in met if versions[-1] != begun.name or versions.count(begun.name) > 1]
    return {"peopleWhoMetIt": len(met), "peopleWhoWentBack": len(back)}


def _verdicts(chronicle: Chronicle, begun: ReleaseStart) -> list[str]:
    """A sentence for each metric on which this version was promoted; nothing where it was not."""
    for turn in chronicle.turns:
        status = turn.status
        if status.phase is Phase.PROMOTING and status.candidate and status.candidate.model.version == begun.name:
            return [verdict.message for verdict in status.verdicts]
    return []


def _has_drawn(status: ModelRolloutStatus, begun: ReleaseStart) -> bool:
    candidate, stage = status.candidate, status.stage
    return candidate is not None and candidate.model.version == begun.name and stage is not None and bool(stage.asked)


def _end(chronicle: Chronicle, begun: ReleaseStart) -> tuple[float | None, str | None]:
    for turn in chronicle.turns:
        for entry in turn.status.history:
            if entry.model.version == begun.name and entry.outcome in ENDINGS:
                return turn.at, entry.message
    return None, None


def _requests(chronicle: Chronicle) -> dict[str, Any]:
    users = chronicle.outcomes
    return {
        "perSecond": chronicle.facts.rate,
        "perSecondSent": _rate(users),
        "total": len(users),
        "errors": sum(user.failure is not None for user in users),
        "wrong": sum(user.failure is None and not user.right for user in users),
        "harmed": sum(user.harmed for user in users),
        "failedBySwitch": sum(_is_by_switch(user) for user in users),
        "failures": [_failure(chronicle, user) for user in users if _is_by_switch(user)][:FAILURES],
    }


def _failure(chronicle: Chronicle, user: Outcome) -> dict[str, Any]:
    """A request that no model server answered, with all that may explain it."""
    return {
        "second": round(user.at - chronicle.facts.started, 2),
        "why": user.failure,
        "status": user.status,
        "latency": round(user.latency, 3),
        "said": user.detail,
    }


def _rate(users: Sequence[Outcome]) -> float | None:
    """The rate that was really sent: on a busy machine it is lower than planned."""
    moments = [user.at for user in users]
    return round((len(moments) - 1) / (max(moments) - min(moments)), 1) if len(set(moments)) > 1 else None


def _is_by_switch(user: Outcome) -> bool:
    return user.failure is not None and user.failure.is_by_switch
