"""Model servers as smoke requests find them: what each version answers, and who was asked what."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from modelrollout.comparer.answers import Answer, Failure, Reply, Trouble
from modelrollout.trial.smoke import SmokeRound

if TYPE_CHECKING:
    from tests.fakes.town import Town


def answer(body: str = '{"label": "cat", "score": 0.93}', status: int = 200, seconds: float = 0.1) -> Answer:
    return Answer(status, "application/json", body.encode(), seconds)


GOOD, WRONG, LOADING = answer(), answer('{"label": "dog", "score": 0.93}'), answer("the model is loading", 503)
UNREACHABLE = Failure(Trouble.UNREACHABLE, 5.0)


@dataclass
class Answers:
    """`says`: by version, what its candidate answers to everything; otherwise it is as good as any."""

    town: Town
    says: dict[str, Reply] = field(default_factory=dict)
    asked: list[tuple[str, tuple[str, ...]]] = field(default_factory=list)  # revision and names of requests
    meanwhile: Callable[[], None] | None = None  # happens once while an answer is on its way

    async def ask(self, asked: SmokeRound) -> Mapping[str, Reply]:
        self.town.cluster.hook("before", "ask", "candidate", "")
        self.asked.append((asked.revision, tuple(request.name for request in asked.requests)))
        candidate = self.town.status.candidate
        assert self.town.pods(asked.revision), "a candidate that is not ready was asked"
        reply = self.says.get(candidate.model.version if candidate else "", GOOD)
        if (happens := self.meanwhile) is not None:
            self.meanwhile = None
            happens()
            await self.town.looked_around()
        self.town.cluster.hook("after", "ask", "candidate", "")
        return {request.name: reply for request in asked.requests}
