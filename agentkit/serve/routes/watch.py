"""Looks at every canary again and again, and takes back one that is worse."""

from __future__ import annotations

import asyncio
import logging
import time

from agentkit.config.serving import CanarySettings
from agentkit.errors import StoreError, UsageError
from agentkit.records import Revision, Route
from agentkit.serve.canary import CanaryVerdict, Judgement, look
from agentkit.serve.lookup import route_name
from agentkit.serve.routes.changes import end_canary
from agentkit.serve.routes.table import RouteTable
from agentkit.store import Store

_SHARE = 0.05
"""Of the time, what looking may take; a look that takes long is followed by a longer rest."""
_log = logging.getLogger("agentkit.canary")


class CanaryWatch:
    """Judges the canaries of the newest revision every few seconds, as long as it runs.

    One with an alarm is taken off its route at once: a new revision without it, to which running conversations that it
    would answer are moved, with the judgement as evidence; its adapter is a candidate again. Several processes may
    watch the same table. Nothing is promoted here.
    """

    def __init__(self, store: Store, table: RouteTable, settings: CanarySettings | None = None) -> None:
        self._store, self._table = store, table
        self._settings = settings or CanarySettings()
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Look again and again, in the background."""
        self._task = asyncio.create_task(self.run(), name="agentkit-canary")

    async def stop(self) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
            self._task = None

    async def run(self) -> None:
        """Look until cancelled. A store in trouble is waited for."""
        while True:
            began = time.monotonic()
            try:
                await asyncio.to_thread(self.look_once)
            except (StoreError, UsageError) as error:
                _log.warning("the canaries could not be judged: %s", error)
            await asyncio.sleep(max(self._settings.every, (time.monotonic() - began) / _SHARE))

    def look_once(self) -> list[Revision]:
        """Judge every canary now, and take back those that are worse; give the revisions that this made. Blocking."""
        self._table.refresh()
        made = []
        for route in self._table.current.routes:
            if route.canary is None:
                continue
            judgement = look(self._store, self._table.current, route.agent, route.step, self._settings)
            if judgement is None or judgement.verdict is not CanaryVerdict.ROLL_BACK:
                continue
            if revision := self._take_back(route, judgement):
                made.append(revision)
        if made:
            self._table.refresh()
        return made

    def _take_back(self, route: Route, judgement: Judgement) -> Revision | None:
        name = route_name(route.agent, route.step)
        try:
            revision = end_canary(
                self._store,
                route.agent,
                route.step,
                by="canary",
                why=f"{route.canary} is worse than {route.live}: {judgement.reasons[0]}",
                evidence=judgement.document(),
                repin=True,
                target=route.canary,
            )
        except UsageError as error:
            if isinstance(error, StoreError):
                raise
            _log.info("%s: somebody else has ended the canary: %s", name, error)
            return None
        _log.warning(
            "%s: canary %s was taken back in revision %d: %s", name, route.canary, revision.number, revision.why
        )
        return revision
