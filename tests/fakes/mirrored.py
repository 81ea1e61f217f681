"""Towns whose operator reads from memory, through watches that withhold, lose, repeat and reorder what they tell."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

from hypothesis import strategies as st

from modelrollout.kube import KubeError, WatchEvent
from modelrollout.shell.mirrors import Mirrors
from tests.fakes.fate import Act, Life
from tests.fakes.town import Town, run
from tests.fakes.watched import Stream, settle

RESYNC = timedelta(minutes=5)
ROUTES = ("httproutes", "services")
WORKLOADS = ("deployments", "pods")
WATCHED = (*ROUTES, *WORKLOADS)


def watches(*plurals: str) -> st.SearchStrategy[Act]:
    """What may happen to the watches of these kinds."""
    return st.one_of(
        st.tuples(st.just("withhold"), st.sampled_from(plurals)),
        st.tuples(st.just("tell"), st.sampled_from(plurals), st.sampled_from(["in order", "twice", "backwards"])),
        st.tuples(st.just("lose"), st.sampled_from(plurals)),
        st.tuples(st.just("break"), st.sampled_from(plurals)),
    )


class MirroredTown(Town):
    """As a Town, but passes find the world in mirrors; these are told what happened before every pass."""

    mirrors: Mirrors | None = None
    was_deaf: bool = False  # something of a workload was never told, and nothing was read anew since

    @property
    def hears_of_workloads(self) -> bool:  # type: ignore[override]
        return not self.was_deaf and not any(stream.is_holding for stream in self.streams(*WORKLOADS))

    def make_reader(self, cluster: Any) -> Mirrors:
        if self.mirrors is not None:
            run(self.mirrors.stop())
        self._looked: datetime | None = None
        self._sleeping: list[asyncio.Event] = []
        self.mirrors = Mirrors(cluster, lambda _: self.poke(), resync=RESYNC, clock=self._seconds, sleep=self._sleep)
        return self.mirrors

    def streams(self, *plurals: str) -> Iterator[Stream]:
        """The open watches of these kinds."""
        return (stream for resource, stream in self.cluster.streams if resource.plural in plurals)

    def withhold(self, *plurals: str) -> None:
        for stream in self.streams(*plurals):
            stream.hold()

    def tell(self, *plurals: str) -> None:
        for stream in self.streams(*plurals):
            stream.release()

    async def passing(self) -> timedelta | None:
        self._poked = asyncio.Event()
        for sleeping in self._sleeping:
            sleeping.set()
        self._sleeping.clear()
        await settle()
        if self._looked is None or self.now - self._looked >= RESYNC:
            await self._look()
        return await super().passing()

    async def _look(self) -> None:
        """The resync, which goes by the clock of the town here."""
        assert self.mirrors is not None
        try:
            await self.mirrors.look()
        except KubeError:
            return  # it tries again before the next pass
        self._looked, self.was_deaf = self.now, False

    def _seconds(self) -> float:
        return self.now.timestamp()

    async def _sleep(self, seconds: float) -> None:
        self._sleeping.append(woken := asyncio.Event())
        await woken.wait()


class MirroredLife(MirroredTown, Life):
    """As a Life, in which watches fail as well."""

    def happen(self, act: Act) -> None:
        match act:
            case ("withhold", plural):
                self.withhold(plural)
            case ("tell", plural, order):
                for stream in self.streams(plural):
                    stream.release(_ordered(stream.held, order))
            case ("lose", plural):
                for stream in self.streams(plural):
                    stream.lose()
                self.was_deaf |= plural in WORKLOADS
            case ("break", plural) if plural in WATCHED:
                for stream in self.streams(plural):
                    stream.fail(ConnectionResetError(plural))
            case _:
                super().happen(act)

    def heal(self) -> None:
        self.tell(*WATCHED)
        super().heal()

    @property
    def _was_disturbed(self) -> bool:
        return super()._was_disturbed or any(stream.is_holding for stream in self.streams(*WATCHED))


def _ordered(events: list[WatchEvent], order: str) -> list[WatchEvent]:
    return {"in order": events, "twice": events * 2, "backwards": events[::-1]}[order]
