"""What the Kubernetes client does with an API server's answers, good and bad; the server here speaks a script."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import yaml
from aiohttp import web

from modelrollout import kube
from modelrollout.kube import errors, watching
from modelrollout.objects.resources import MODEL_ROLLOUTS, NODES, PODS, Resource

Answer = Callable[[web.Request], Awaitable[web.StreamResponse]]
CLOSING = web.AppKey("closing", asyncio.Event)


@dataclass
class Server:
    """Answers each request with the next line of its script, the last one for ever; remembers what was asked."""

    script: list[Answer]
    asked: list[web.Request] = field(default_factory=list)
    url: str = ""

    async def handle(self, request: web.Request) -> web.StreamResponse:
        await request.read()
        self.asked.append(request)
        answer = self.script.pop(0) if len(self.script) > 1 else self.script[0]
        return await answer(request)


@asynccontextmanager
async def serving(*script: Answer) -> AsyncIterator[Server]:
    server = Server(list(script))
    app = web.Application()
    app[CLOSING] = asyncio.Event()
    app.router.add_route("*", "/{path:.*}", server.handle)
    runner = web.AppRunner(app)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        server.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
        yield server
    finally:
        app[CLOSING].set()
        await runner.cleanup()


@pytest.fixture
def kubeconfig(tmp_path: Path) -> Callable[..., Path]:
    def write(url: str, **user: Any) -> Path:
        path = tmp_path / "kubeconfig"
        config = {
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": "here",
            "contexts": [{"name": "here", "context": {"cluster": "here", "user": "me"}}],
            "clusters": [{"name": "here", "cluster": {"server": url}}],
            "users": [{"name": "me", "user": user or {"token": "first"}}],
        }
        path.write_text(yaml.safe_dump(config))
        return path

    return write


def says(body: dict[str, Any], status: int = 200) -> Answer:
    async def answer(_: web.Request) -> web.StreamResponse:
        return web.json_response(body, status=status)

    return answer


def fails(status: int, reason: str = "", message: str = "no", **more: Any) -> Answer:
    return says({"kind": "Status", "code": status, "reason": reason, "message": message, **more}, status)


def says_text(text: str, status: int = 200) -> Answer:
    async def answer(_: web.Request) -> web.StreamResponse:
        return web.Response(text=text, status=status)

    return answer


def streams(*events: tuple[str, dict[str, Any]], then_wait: bool = False) -> Answer:
    async def answer(request: web.Request) -> web.StreamResponse:
        reply = web.StreamResponse()
        await reply.prepare(request)
        for kind, item in events:
            await reply.write(json.dumps({"type": kind, "object": item}).encode() + b"\n")
        if then_wait:
            await request.app[CLOSING].wait()
        return reply

    return answer


async def hangs(request: web.Request) -> web.StreamResponse:
    await request.app[CLOSING].wait()
    return web.Response()


def pod(name: str, version: int, uid: str = "u1", **more: Any) -> dict[str, Any]:
    return {"metadata": {"name": name, "namespace": "ml", "uid": uid, "resourceVersion": str(version)}, **more}


def pods(version: int, *items: dict[str, Any], proceed: str = "") -> Answer:
    return says({"metadata": {"resourceVersion": str(version), "continue": proceed}, "items": list(items)})


async def take(count: int, events: Any) -> list[tuple[str, str, str]]:
    seen: list[tuple[str, str, str]] = []
    async with aclosing(events):
        async for event in events:
            meta = event.object["metadata"]
            seen.append((event.type, meta["name"], meta["resourceVersion"]))
            if len(seen) == count:
                break
    return seen


DEPLOYMENT = {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "fraud", "namespace": "ml"}}


@pytest.mark.parametrize(
    ("resource", "where", "path"),
    [
        (PODS, ("ml", "a"), "/api/v1/namespaces/ml/pods/a"),
        (PODS, (), "/api/v1/pods"),
        (NODES, (None, "n"), "/api/v1/nodes/n"),
        (NODES, ("ml", "n"), "/api/v1/nodes/n"),
        (
            MODEL_ROLLOUTS,
            ("ml", "x", "status"),
            "/apis/modelrollout.dev/v1alpha1/namespaces/ml/modelrollouts/x/status",
        ),
    ],
)
def test_a_resource_knows_its_path(resource: Resource, where: tuple[str | None, ...], path: str) -> None:
    assert resource.path(*where) == path


FIELD_CONFLICT = {"details": {"causes": [{"reason": "FieldManagerConflict"}]}}


@pytest.mark.parametrize(
    ("status", "body", "expected"),
    [
        (409, {"reason": "AlreadyExists"}, kube.AlreadyExists),
        (409, {"reason": "Conflict"}, kube.Conflict),
        (409, {"reason": "Conflict", **FIELD_CONFLICT}, kube.Refused),
        (410, {"reason": "Expired"}, kube.Gone),
        (400, {}, kube.Refused),
        (403, {"reason": "Forbidden"}, kube.Refused),
        (422, {"reason": "Invalid"}, kube.Refused),
        (429, {}, kube.Unreachable),
        (500, {}, kube.Unreachable),  # a proxy's
        (500, {"kind": "Status"}, kube.Failed),
        (500, {"kind": "Status", "reason": "ServerTimeout"}, kube.Unreachable),
        (507, {"kind": "Status"}, kube.Failed),
        (503, {"kind": "Status", "reason": "ServiceUnavailable"}, kube.Unreachable),
        (504, {"kind": "Status", "reason": "Timeout"}, kube.Unreachable),
    ],
)
def test_an_error_says_whose_move_it_is(status: int, body: dict[str, Any], expected: type[Exception]) -> None:
    error = errors.from_answer(status, json.dumps({"message": "because", **body}), "/pods", "pods of v1")
    assert type(error) is expected
    assert "because" in str(error)


async def test_a_kind_that_is_left_alone_is_not_asked_for(kubeconfig: Callable[..., Path]) -> None:
    async with serving(says({})) as server:
        path = kubeconfig(server.url)
        async with kube.Cluster.connect(path, left_alone={PODS: "pods", NODES: "nodes"}) as cluster:
            with pytest.raises(kube.LeftAlone, match="started with --without nodes"):
                await cluster.list(NODES)
            with pytest.raises(kube.LeftAlone, match="started with --without pods"):
                async with aclosing(cluster.watch(PODS, since=kube.Listing([], "1"))) as events:
                    await anext(events)
    assert server.asked == []


@pytest.mark.parametrize("answer", ["404 page not found", '{"kind": "Status", "reason": "NotFound", "details": {}}'])
def test_an_unknown_kind_is_not_taken_for_a_missing_object(answer: str) -> None:
    error = errors.from_answer(404, answer, "/x", "httproutes of gateway.networking.k8s.io/v1")
    assert type(error) is kube.Refused
    assert "is the CRD installed?" in str(error)


def test_a_gap_is_bridged_by_events_made_from_the_difference() -> None:
    before = [pod("kept", 1), pod("changed", 2), pod("gone", 3), pod("anew", 4, uid="u1")]
    after = [pod("kept", 1), pod("changed", 7), pod("anew", 8, uid="u2"), pod("new", 9)]
    events = watching.differences(watching.by_key(before), watching.by_key(after))
    assert sorted((e.type, e.object["metadata"]["name"], e.object["metadata"]["resourceVersion"]) for e in events) == [
        ("ADDED", "anew", "8"),
        ("ADDED", "new", "9"),
        ("DELETED", "anew", "4"),
        ("DELETED", "gone", "3"),
        ("MODIFIED", "changed", "7"),
    ]


async def test_an_object_that_is_not_there_reads_as_none(kubeconfig: Callable[..., Path]) -> None:
    async with (
        serving(fails(404, "NotFound", details={"name": "a"})) as server,
        kube.Cluster.connect(kubeconfig(server.url)) as cluster,
    ):
        assert await cluster.read(PODS, "ml", "a") is None


async def test_a_list_is_read_in_pages_and_its_items_say_what_they_are(kubeconfig: Callable[..., Path]) -> None:
    async with (
        serving(pods(5, pod("a", 1), proceed="next"), pods(5, pod("b", 2))) as server,
        kube.Cluster.connect(kubeconfig(server.url)) as cluster,
    ):
        listing = await cluster.list(
            PODS, "ml", labels={"app": "fraud", "arm": "stable"}, fields="status.phase=Running"
        )
        assert [(i["apiVersion"], i["kind"], i["metadata"]["name"]) for i in listing.items] == [
            ("v1", "Pod", "a"),
            ("v1", "Pod", "b"),
        ]
        assert listing.resource_version == "5"
        assert [dict(r.query).get("continue") for r in server.asked] == [None, "next"]
        assert server.asked[0].query["labelSelector"] == "app=fraud,arm=stable"
        assert server.asked[0].query["fieldSelector"] == "status.phase=Running"


async def test_a_list_that_expires_between_two_pages_is_read_in_one_piece(kubeconfig: Callable[..., Path]) -> None:
    script = pods(5, pod("a", 1), proceed="next"), fails(410, "Expired"), pods(6, pod("a", 1), pod("b", 2))
    async with serving(*script) as server, kube.Cluster.connect(kubeconfig(server.url)) as cluster:
        assert len((await cluster.list(PODS)).items) == 2
        assert "limit" not in server.asked[-1].query


async def test_applying_names_its_manager_and_forces_unless_told_not_to(kubeconfig: Callable[..., Path]) -> None:
    async with serving(says({})) as server, kube.Cluster.connect(kubeconfig(server.url)) as cluster:
        await cluster.apply(DEPLOYMENT, manager="modelrollout-workload")
        await cluster.apply(DEPLOYMENT, manager="modelrollout-workload", force=False)
        forced, unforced = server.asked
        assert (forced.method, forced.path) == ("PATCH", "/apis/apps/v1/namespaces/ml/deployments/fraud")
        assert forced.content_type == "application/apply-patch+yaml"
        assert dict(forced.query) == {"fieldManager": "modelrollout-workload", "force": "true"}
        assert unforced.query["force"] == "false"
        assert await forced.json() == DEPLOYMENT


async def test_requests_are_counted_by_verb_and_resource(kubeconfig: Callable[..., Path]) -> None:
    async with serving(says({})) as server, kube.Cluster.connect(kubeconfig(server.url)) as cluster:
        await cluster.read(PODS, "ml", "a")
        assert cluster.writes == 0
        await cluster.replace_status(DEPLOYMENT)
        await cluster.patch(PODS, "ml", "a", {"metadata": {"labels": None}})
        assert cluster.requests == {("get", "pods"): 1, ("update", "deployments/status"): 1, ("patch", "pods"): 1}
        assert cluster.writes == 2


async def test_requests_that_fail_are_counted_by_the_code_of_their_answer(kubeconfig: Callable[..., Path]) -> None:
    for answer, code in ((fails(403), "403"), (fails(409), "409"), (fails(503), "503"), (says_text("<html>"), "none")):
        async with serving(answer) as server, kube.Cluster.connect(kubeconfig(server.url)) as cluster:
            with pytest.raises(kube.KubeError):
                await cluster.patch(PODS, "ml", "a", {})
            assert cluster.failures == {("patch", "pods", code): 1}


async def test_deleting_what_is_gone_already_is_fine(kubeconfig: Callable[..., Path]) -> None:
    async with (
        serving(fails(404, "NotFound", details={"name": "a"})) as server,
        kube.Cluster.connect(kubeconfig(server.url)) as cluster,
    ):
        await cluster.delete(PODS, "ml", "a")
        assert len(server.asked) == 1


async def test_deleting_by_uid_leaves_a_newer_object_of_that_name_alone(kubeconfig: Callable[..., Path]) -> None:
    script = fails(409, "Conflict", "uid"), says(pod("a", 9, uid="newer"))
    async with serving(*script) as server, kube.Cluster.connect(kubeconfig(server.url)) as cluster:
        await cluster.delete(PODS, "ml", "a", uid="older", grace=0)
        asked = await server.asked[0].json()
        assert (asked["preconditions"], asked["gracePeriodSeconds"]) == ({"uid": "older"}, 0)


async def test_deleting_by_uid_reports_a_conflict_over_the_very_object(kubeconfig: Callable[..., Path]) -> None:
    script = fails(409, "Conflict", "busy"), says(pod("a", 9, uid="same"))
    async with serving(*script) as server, kube.Cluster.connect(kubeconfig(server.url)) as cluster:
        with pytest.raises(kube.Conflict, match="busy"):
            await cluster.delete(PODS, "ml", "a", uid="same")


@pytest.mark.parametrize(
    ("manifest", "gap"),
    [
        ({**DEPLOYMENT, "metadata": {"name": "fraud"}}, "lacks metadata.namespace"),
        ({**DEPLOYMENT, "metadata": {"namespace": "ml"}}, "lacks metadata.name"),
        ({**DEPLOYMENT, "kind": "Deploymint"}, "has no apps/v1 Deploymint"),
    ],
)
async def test_a_manifest_with_a_gap_is_not_sent(
    kubeconfig: Callable[..., Path], manifest: dict[str, Any], gap: str
) -> None:
    async with serving(says({})) as server, kube.Cluster.connect(kubeconfig(server.url)) as cluster:
        with pytest.raises(ValueError, match=gap):
            await cluster.apply(manifest, manager="m")
        assert server.asked == []


async def test_an_api_server_that_hangs_is_given_up_on(kubeconfig: Callable[..., Path]) -> None:
    async with serving(hangs) as server, kube.Cluster.connect(kubeconfig(server.url), timeout=0.1) as cluster:
        with pytest.raises(kube.Unreachable, match="did not answer in time"):
            await cluster.read(PODS, "ml", "a")


async def test_an_api_server_that_is_not_there_is_unreachable(kubeconfig: Callable[..., Path]) -> None:
    async with serving(says({})) as server:
        nobody_home = kubeconfig(server.url)
    async with kube.Cluster.connect(nobody_home) as cluster:
        with pytest.raises(kube.Unreachable, match="/api/v1/pods"):
            await cluster.list(PODS)


async def test_an_answer_that_is_not_json_is_the_worlds_trouble(kubeconfig: Callable[..., Path]) -> None:
    async with (
        serving(says_text("<html>welcome")) as server,
        kube.Cluster.connect(kubeconfig(server.url)) as cluster,
    ):
        with pytest.raises(kube.Unreachable, match="is a proxy in between"):
            await cluster.read(PODS, "ml", "a")


async def test_a_proxy_from_the_environment_is_not_asked_for_this_machine(
    kubeconfig: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    monkeypatch.delenv("no_proxy", raising=False)
    async with serving(says({})) as server, kube.Cluster.connect(kubeconfig(server.url)) as cluster:
        assert await cluster.read(PODS, "ml", "a") == {}


async def test_a_rotated_token_is_read_again(kubeconfig: Callable[..., Path], tmp_path: Path) -> None:
    token = tmp_path / "token"
    token.write_text("first")

    async def wants_the_second(request: web.Request) -> web.StreamResponse:
        token.write_text("second")
        right = request.headers["Authorization"] == "Bearer second"
        return web.json_response({"kind": "Status", "message": "who?"}, status=200 if right else 401)

    async with (
        serving(wants_the_second) as server,
        kube.Cluster.connect(kubeconfig(server.url, tokenFile=str(token))) as cluster,
    ):
        await asyncio.gather(*(cluster.read(PODS, "ml", "a") for _ in range(5)))
        assert {r.headers["Authorization"] for r in server.asked} == {"Bearer first", "Bearer second"}


async def test_a_token_comes_from_an_exec_plugin(kubeconfig: Callable[..., Path], tmp_path: Path) -> None:
    api_version = "client.authentication.k8s.io/v1"
    credential = {"apiVersion": api_version, "kind": "ExecCredential", "status": {"token": "minted"}}
    plugin = {"apiVersion": api_version, "command": "echo", "args": [json.dumps(credential)]}
    async with (
        serving(says({})) as server,
        kube.Cluster.connect(kubeconfig(server.url, exec=plugin)) as cluster,
    ):
        await cluster.read(PODS, "ml", "a")
        assert server.asked[0].headers["Authorization"] == "Bearer minted"


async def test_a_token_that_stays_wrong_is_refused(kubeconfig: Callable[..., Path]) -> None:
    async with (
        serving(fails(401, "Unauthorized", "who are you?")) as server,
        kube.Cluster.connect(kubeconfig(server.url)) as cluster,
    ):
        with pytest.raises(kube.Refused, match=r"who are you\? \(401\)"):
            await cluster.read(PODS, "ml", "a")
        assert len(server.asked) == 2


async def test_without_a_kubeconfig_the_error_names_the_place_that_was_looked_at(tmp_path: Path) -> None:
    with pytest.raises(kube.NoCluster, match=f"no kubeconfig at {tmp_path}/nothing"):
        async with kube.Cluster.connect(tmp_path / "nothing"):
            pass


async def test_a_broken_kubeconfig_is_the_users_to_mend(tmp_path: Path) -> None:
    (tmp_path / "kubeconfig").write_text("contexts: [unclosed")
    with pytest.raises(kube.NoCluster, match="cannot be used"):
        async with kube.Cluster.connect(tmp_path / "kubeconfig"):
            pass


async def test_an_unknown_context_is_the_users_to_mend(kubeconfig: Callable[..., Path]) -> None:
    with pytest.raises(kube.NoCluster, match="elsewhere"):
        async with kube.Cluster.connect(kubeconfig("http://127.0.0.1:1"), "elsewhere"):
            pass


async def test_a_watch_starts_with_all_that_is_there(kubeconfig: Callable[..., Path]) -> None:
    script = pods(5, pod("a", 1), pod("b", 2)), streams(("DELETED", pod("a", 6)), then_wait=True)
    async with serving(*script) as server, kube.Cluster.connect(kubeconfig(server.url)) as cluster:
        events = await take(3, cluster.watch(PODS, "ml", labels="app=fraud"))
        assert events == [("ADDED", "a", "1"), ("ADDED", "b", "2"), ("DELETED", "a", "6")]
        assert server.asked[-1].query["resourceVersion"] == "5"
        assert server.asked[-1].query["labelSelector"] == "app=fraud"


async def test_a_watch_resumes_after_the_last_bookmark_when_cut_off(kubeconfig: Callable[..., Path]) -> None:
    script = (
        pods(5, pod("a", 1)),
        streams(("MODIFIED", pod("a", 6)), ("BOOKMARK", {"metadata": {"resourceVersion": "40"}})),
        fails(503),
        streams(("MODIFIED", pod("a", 41)), then_wait=True),
    )
    async with serving(*script) as server, kube.Cluster.connect(kubeconfig(server.url)) as cluster:
        events = await take(2, cluster.watch(PODS, since=await cluster.list(PODS)))
        assert events == [("MODIFIED", "a", "6"), ("MODIFIED", "a", "41")]
        assert [r.query.get("resourceVersion") for r in server.asked] == [None, "5", "40", "40"]


@pytest.mark.parametrize(
    "expiry", [streams(("ERROR", {"code": 410, "message": "too old"})), fails(410, "Expired", "too old")]
)
async def test_a_watch_lists_again_when_history_has_expired(kubeconfig: Callable[..., Path], expiry: Answer) -> None:
    script = (
        pods(5, pod("a", 1), pod("b", 2)),
        expiry,
        pods(90, pod("b", 70)),
        streams(("ADDED", pod("c", 91)), then_wait=True),
    )
    async with serving(*script) as server, kube.Cluster.connect(kubeconfig(server.url)) as cluster:
        events = await take(3, cluster.watch(PODS, since=await cluster.list(PODS)))
        assert events == [("DELETED", "a", "1"), ("MODIFIED", "b", "70"), ("ADDED", "c", "91")]


async def test_a_watch_takes_objects_larger_than_any_buffer(kubeconfig: Callable[..., Path]) -> None:
    script = pods(5), streams(("ADDED", pod("a", 6, data="x" * 5_000_000)), then_wait=True)
    async with serving(*script) as server, kube.Cluster.connect(kubeconfig(server.url)) as cluster:
        assert await take(1, cluster.watch(PODS)) == [("ADDED", "a", "6")]


async def test_a_watch_that_is_not_allowed_says_so(kubeconfig: Callable[..., Path]) -> None:
    async with (
        serving(fails(403, "Forbidden", "not you")) as server,
        kube.Cluster.connect(kubeconfig(server.url)) as cluster,
    ):
        with pytest.raises(kube.Refused, match="not you"):
            await take(1, cluster.watch(PODS))
