"""What may happen to a rollout in a hostile world, as acts that hypothesis strings together and a Town lives through.

An act is a tuple of its name and its arguments, so that a failing history reads like a story.
"""

from __future__ import annotations

import itertools
from datetime import timedelta
from typing import Any

from hypothesis import strategies as st

from modelrollout.api.status import Arm
from modelrollout.kube import Refused, Unreachable
from modelrollout.objects.manifests import APPLIED, MODEL
from modelrollout.objects.resources import DEPLOYMENTS, HTTP_ROUTES, SERVICES
from modelrollout.traffic.plain_service import WEIGHT
from tests import builders
from tests.fakes.cluster import READS, FakeCluster, Killed, merged
from tests.fakes.town import Town
from tests.fakes.witness import Broken, Witness, workloads_that_can_serve

Act = tuple[Any, ...]

STAGES: tuple[Any, ...] = (
    [{"name": "canary", "canary": {"weights": [5, 25, 50, 100], "hold": "20s"}}],
    [{"name": "canary", "canary": {"weights": [10, 50], "hold": "0s"}}],
    [{"name": "all", "canary": {"weights": [100], "hold": "10s"}}],
    [{"name": "one", "canary": {"weights": [30], "hold": "15s"}}],
    [
        {"name": "small", "canary": {"steps": [{"weight": 1}, {"weight": 5, "hold": "30s"}], "hold": "10s"}},
        {"name": "canary", "canary": {"weights": [5, 40], "hold": "10s"}},
    ],
    [
        builders.shadow(methods=["POST"], hold="10s"),
        builders.canary(20, hold="10s"),
        builders.blue_green(preview={"header": {"name": "x-preview", "value": "1"}}, previewHold="10s", hold="10s"),
    ],
    [
        builders.blue_green(
            "first",
            smoke=[builders.smoke()],
            mirror={"methods": ["POST"], "percent": 50},
            previewHold="10s",
            hold="10s",
        ),
        builders.canary(20, hold="10s"),  # weights fall from one stage to the next
    ],
)
PROMOTIONS: tuple[Any, ...] = (
    {"bake": "30s", "keepOld": "60s"},
    {"bake": "0s", "keepOld": "0s"},
    {"bake": "0s", "keepOld": "30s"},
)
ANALYSES: tuple[Any, ...] = (
    {"interval": "10s", "metrics": [builders.ERRORS]},
    {"interval": "10s", "metrics": [builders.ERRORS], "onInconclusive": "promote", "stepDeadline": "40s"},
    {"interval": "10s", "metrics": [builders.ERRORS], "onInconclusive": "rollback", "stepDeadline": "40s"},
    {"readinessOnly": True},
)
TRAFFICS: tuple[Any, ...] = (
    {"port": 8080, "gatewayAPI": {"parentRefs": [{"name": "inference-gateway"}]}},
    {"port": 8080, "service": {}},
)
SPOILS: tuple[Any, ...] = (
    {"analysis": {"interval": "often", "metrics": [builders.ERRORS]}},
    {"workload": {"template": {"kind": "Deployment", "spec": {"template": {"spec": {}}}}}},
    {"traffic": {"port": 8080}},
    {"promotion": {"bakee": "1m"}},
)


def by_services(stage: dict[str, Any]) -> dict[str, Any]:
    """The stage as plain Services can have it: they neither copy requests nor look into them."""
    if "shadow" in stage:
        return builders.canary(10, name=stage["name"], hold=stage["shadow"]["hold"])
    if "blueGreen" not in stage:
        return stage
    kept = {name: value for name, value in stage["blueGreen"].items() if name != "mirror"}
    return builders.blue_green(stage["name"], **{**kept, "preview": {}})


ARMS = ("stable", "candidate")
GARBAGE = ("", "{", "null", "[]", '{"revision": 1}', "NaN", "-7", "ä")

TICK = st.tuples(st.just("tick"), st.integers(1, 60))
RELEASES = st.one_of(
    st.tuples(st.just("wish"), st.sampled_from(["1", "2", "2", "3", "4"])),
    st.tuples(st.just("stages"), st.sampled_from(range(len(STAGES)))),
    st.tuples(st.just("promotion"), st.sampled_from(range(len(PROMOTIONS)))),
    st.tuples(st.just("analysis"), st.sampled_from(range(len(ANALYSES)))),
    st.tuples(st.just("replicas"), st.sampled_from([1, 3, 4, 6])),
)
OTHER_ROUTER = st.tuples(st.just("traffic"), st.sampled_from(range(len(TRAFFICS))))
AUTOSCALER = st.one_of(
    st.tuples(st.just("replicas"), st.none()),
    st.tuples(st.just("autoscale"), st.sampled_from(ARMS), st.integers(1, 9)),
)
WRONG_SPECS = st.tuples(st.just("spoil"), st.sampled_from(range(len(SPOILS))))
PODS_SUFFER = st.one_of(
    st.tuples(st.sampled_from(["break", "limp", "mend"]), st.sampled_from(ARMS)),
    st.tuples(st.sampled_from(["crash", "mend"]), st.just("candidate")),
)
METRICS = st.tuples(st.just("metrics"), st.sampled_from(["good", "bad", "silent", "down", "idle", "late"]))
BAD_METRICS = st.tuples(st.just("metrics"), st.sampled_from(["good", "bad"]))
HANDS = st.one_of(
    st.tuples(st.just("remove"), st.sampled_from(["route", "candidate", "stable", "service"])),
    st.tuples(st.just("weights"), st.integers(0, 100)),
    st.tuples(st.just("scribble"), st.sampled_from([MODEL, APPLIED, WEIGHT]), st.sampled_from(GARBAGE)),
)
OUTAGES = st.one_of(
    st.tuples(st.just("kill"), st.integers(0, 14), st.sampled_from(["before", "after"])),
    st.tuples(st.just("unreachable"), st.integers(0, 14), st.integers(1, 12)),
    st.tuples(st.just("conflict"), st.integers(1, 2)),
    st.tuples(st.just("refuse"), st.sampled_from(["httproutes", "services", "deployments"])),
    st.tuples(st.just("accept")),
    st.tuples(st.just("restart")),
    st.tuples(st.just("gateway"), st.sampled_from(["down", "up"])),
    st.tuples(st.just("clock back"), st.integers(1, 5)),
)
MEANWHILE = st.tuples(st.just("meanwhile"), st.one_of(RELEASES, PODS_SUFFER, METRICS))


@st.composite
def worlds(draw: st.DrawFn) -> list[Act]:
    """How a rollout is set up before anything happens to it."""
    return [
        ("traffic", draw(st.sampled_from([0, 0, 1]))),
        ("stages", draw(st.sampled_from(range(len(STAGES))))),
        ("promotion", draw(st.sampled_from(range(len(PROMOTIONS))))),
        ("analysis", draw(st.sampled_from([0, 0, 1, 2, 3]))),
        ("slow", draw(st.sampled_from([0, 0, 7]))),
        ("tick", 30),
        ("wish", "2"),
    ]


def histories(*acts: st.SearchStrategy[Act], most: int = 20) -> st.SearchStrategy[list[Act]]:
    """A release of version 2 over version 1, and what comes between; time passes after every act."""
    pairs = st.lists(st.tuples(st.one_of(*acts), TICK), min_size=4, max_size=most)
    return st.tuples(worlds(), pairs).map(lambda both: [*both[0], *itertools.chain(*both[1])])


class Life(Town):
    """A town that acts happen to, with a witness to every pass."""

    def __init__(self) -> None:
        super().__init__(FakeCluster(hook=self._call))
        self._kill_at: tuple[int, str] | None = None
        self._unreachable: tuple[int, int] = (0, 0)  # from which call of the pass on, and how many of them
        self._conflicts = 0
        self._refused: set[str] = set()
        self._calls = 0
        self._spec: dict[str, Any] = {"version": "1", "progressDeadline": "2m"}
        self.replicas: int | None = 4
        self._apply_spec()
        self.witness = Witness(self)

    def live(self, history: list[Act]) -> Life:
        for act in history:
            self.happen(act)
        return self

    def happen(self, act: Act) -> None:  # noqa: C901 - a list of what may happen, one line each
        match act:
            case ("tick", seconds):
                self.run(seconds=seconds)
            case ("wish", version):
                self._spec["version"] = version
                self._apply_spec()
            case ("traffic", number):
                self._edit("traffic", TRAFFICS[number])
            case ("stages", number):
                self._edit("stages", STAGES[number])
            case ("promotion", number):
                self._edit("promotion", PROMOTIONS[number])
            case ("analysis", number):
                self._edit("analysis", ANALYSES[number])
            case ("replicas", number):
                self.replicas = number
                self._apply_spec()
            case ("autoscale", side, number):
                self._autoscale(side, number)
            case ("spoil", number):
                self._apply_spec(**SPOILS[number])
            case ("slow", seconds):
                self.cluster.slow = timedelta(seconds=seconds)
            case ("break" | "limp" | "crash" | "mend" as what, side):
                self._pods(what, side)
            case ("metrics", mode):
                self._metrics(mode)
            case ("meanwhile", inner):
                self.metrics.meanwhile = lambda: self.happen(inner)
            case ("remove", what):
                self._remove(what)
            case ("weights", weight):
                self._edit_weights(weight)
            case ("scribble", annotation, text):
                self._scribble(annotation, text)
            case ("kill", call, moment):
                self._kill_at = (call, moment)
            case ("unreachable", first, count):
                self._unreachable = (first, count)
            case ("conflict", times):
                self._conflicts = times
            case ("refuse", plural):
                self._refused.add(plural)
            case ("accept",):
                self._refused.clear()
            case ("restart",):
                self.restart()
            case ("gateway", how):
                self.cluster.is_gateway_down = how == "down"
            case ("clock back", seconds):
                self.now -= timedelta(seconds=seconds)
                self._due = self.now
            case _:
                raise ValueError(act)
        self.witness.look()

    def heal(self) -> None:
        """Everything is well again, and the spec asks for a version that nobody rejected."""
        self.cluster.broken, self.cluster.slow = set(), timedelta()
        self.cluster.limping.clear()
        self.cluster.crashing.clear()
        self._kill_at, self._unreachable, self._conflicts, self.metrics.meanwhile = None, (0, 0), 0, None
        self._refused.clear()
        self.cluster.is_gateway_down = False
        self._metrics("good")
        self._apply_spec()

    def settle(self) -> None:
        """On, in a world where all is well, until nothing is left to do. Raises Broken when that never comes."""
        self.heal()
        if (stable := self.status.stable) and self.cluster.get(DEPLOYMENTS, stable.workload) is None:
            self.happen(("wish", stable.model.version))  # what somebody deleted, only its own spec can bring back
        for _ in range(60):
            before = self.cluster.writes
            self.run(minutes=2)
            if self.cluster.writes == before:
                return
        raise Broken(f"9: it never came to rest: {self.status.phase} {self.status.message}")

    # Passes

    def pass_(self) -> timedelta | None:
        self._calls = 0
        could_serve = workloads_that_can_serve(self)
        due = super().pass_()
        if not self._refused and not self._was_disturbed:
            self.witness.passed(could_serve)
        return due

    @property
    def _was_disturbed(self) -> bool:
        return self._conflicts > 0 or self.metrics.meanwhile is not None

    def _call(self, moment: str, verb: str, plural: str, name: str) -> None:
        """The hook of the cluster."""
        number, self._calls = self._calls, self._calls + (moment == "after")
        if self._kill_at == (number, moment):
            self._kill_at = None
            raise Killed
        first, left = self._unreachable
        if left and number >= first and moment == "before":
            self._unreachable = (0, left - 1)
            raise Unreachable(f"{plural}/{name}: time-out")
        if moment == "before" and verb not in (*READS, "status", "create", "ask") and plural in self._refused:
            raise Refused(422, "admission webhook denied the request", f"{plural}/{name}")
        if (moment, verb) == ("before", "status") and self._conflicts:
            self._conflicts -= 1
            touched = {"metadata": {"annotations": {"example.com/touched": f"{self.now}"}}}
            self.cluster.put(merged(self.manifest, touched))

    # Acts

    def _edit(self, field: str, value: Any) -> None:
        self._spec[field] = value
        self._apply_spec()

    def _apply_spec(self, **spoiled: Any) -> None:
        changes = {"promotion": PROMOTIONS[0], "analysis": ANALYSES[0], "stages": STAGES[0], **self._spec}
        if "service" in changes.get("traffic", TRAFFICS[0]):
            changes["stages"] = [*map(by_services, changes["stages"])]
        version = changes.pop("version")
        template = builders.spec(version)["workload"]["template"]
        template["spec"] |= {} if self.replicas is None else {"replicas": self.replicas}
        self.wish(version, **{"workload": {"template": template}, **changes, **spoiled})

    def _arm(self, side: str) -> Arm | None:
        return self.status.stable if side == "stable" else self.status.candidate

    def _pods(self, what: str, side: str) -> None:
        if (arm := self._arm(side)) is None:
            return
        version = arm.model.version
        match what:
            case "break":
                self.cluster.broken.add(version)
            case "limp":
                self.cluster.limping[version] = 1
            case "crash" if self.cluster.get(DEPLOYMENTS, arm.workload):
                self.cluster.crash(arm.workload, 3)
            case "mend":
                self.cluster.broken.discard(version)
                self.cluster.limping.pop(version, None)
                if self.cluster.get(DEPLOYMENTS, arm.workload):
                    self.cluster.crash(arm.workload, 0)

    def _autoscale(self, side: str, number: int) -> None:
        arm = self._arm(side)
        if self.replicas is None and arm and (deployment := self.cluster.get(DEPLOYMENTS, arm.workload)):
            self.cluster.put(merged(deployment, {"spec": {"replicas": number}}))

    def _metrics(self, mode: str) -> None:
        metrics = self.metrics
        metrics.is_down, metrics.is_silent, metrics.bad = mode == "down", mode == "silent", {}
        metrics.rps = 0 if mode == "idle" else 100
        metrics.lag = timedelta(seconds=30 if mode == "late" else 0)
        if mode == "bad" and (candidate := self.status.candidate):
            metrics.bad = {candidate.model.version: 0.5}

    def _remove(self, what: str) -> None:
        arm = self._arm("stable" if what == "stable" else "candidate")
        match what:
            case "route":
                self.cluster.remove(HTTP_ROUTES, "fraud")
                self.cluster.remove(SERVICES, "fraud")
            case "candidate" | "stable" if arm is not None:
                self.cluster.remove(DEPLOYMENTS, arm.workload)
            case "service" if arm is not None:
                self.cluster.remove(SERVICES, arm.workload)

    def _edit_weights(self, weight: int) -> None:
        """Somebody thinks to know better, for as long as it takes."""
        route, status = self.cluster.get(HTTP_ROUTES, "fraud"), self.status
        if route is None or status.stable is None or status.candidate is None:
            return
        shares = {status.stable.workload: 100 - weight, status.candidate.workload: weight}
        backends = [{"name": name, "port": 80, "weight": share} for name, share in shares.items()]
        self.cluster.put(merged(route, {"spec": {"rules": [{"backendRefs": backends}]}}))

    def _scribble(self, annotation: str, text: str) -> None:
        status = self.status
        names = {"fraud", *(arm.workload for arm in (status.stable, status.candidate) if arm)}
        for (plural, namespace, name), manifest in list(self.cluster.objects.items()):
            if plural in ("httproutes", "services", "deployments") and namespace == "ml" and name in names:
                self.cluster.put(merged(manifest, {"metadata": {"annotations": {annotation: text}}}))
