"""The revisions that matter to running conversations, and what safety rollbacks among them took back."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from agentkit.records import AdapterName, Arm, ConversationId, Revision, Target, TargetKind
from agentkit.serve.lookup import RouteMap, find_route, route_map
from agentkit.serve.routes.arms import arm_of, target_of
from agentkit.serve.routes.edits import adapters_in


@dataclass(frozen=True, slots=True)
class Table:
    """One revision, ready to be looked up."""

    revision: Revision
    routes: RouteMap
    withdrawn: tuple[tuple[str, str, Target], ...]
    """(agent, step, target) that may answer nobody there who was pinned to an earlier revision."""

    @classmethod
    def of(cls, revision: Revision) -> Table:
        gone = (revision.evidence or {}).get("withdrawn", ())
        return cls(
            revision,
            route_map(revision.routes),
            tuple((it["agent"], it["step"], Target(TargetKind(it["kind"]), it["name"])) for it in gone),
        )

    def arm(self, conversation: ConversationId) -> Arm:
        """Whether the conversation is in any canary of this revision."""
        arms = (arm_of(it, conversation) for it in self.revision.routes if it.canary is not None)
        return Arm.CANARY if Arm.CANARY in arms else Arm.LIVE

    def answers(self, agent: str, step: str, conversation: ConversationId) -> Target:
        route = find_route(self.routes, agent, step)
        return target_of(route, arm_of(route, conversation))


class History:
    """Tables by number, without gaps from the first that is held to the newest. Not safe to share between threads."""

    def __init__(self, newest: Revision) -> None:
        self._tables = {newest.number: Table.of(newest)}
        self._safety: list[Table] = [it for it in self._tables.values() if it.withdrawn]
        self.first = self.last = newest.number

    @property
    def current(self) -> Table:
        return self._tables[self.last]

    def get(self, number: int) -> Table | None:
        return self._tables.get(number)

    def add(self, revisions: Iterable[Revision]) -> bool:
        """Take up what joins on at either end, and say whether there is a newer safety rollback among it."""
        last, found = self.last, [it for it in revisions if it.number not in self._tables]
        for it in sorted(found, key=lambda it: it.number):
            if it.number == self.last + 1:
                self._tables[it.number], self.last = Table.of(it), it.number
        for it in sorted(found, key=lambda it: -it.number):
            if it.number == self.first - 1:
                self._tables[it.number], self.first = Table.of(it), it.number
        self._safety = [it for _, it in sorted(self._tables.items()) if it.withdrawn]
        return any(it.revision.number > last for it in self._safety)

    def forward(self, number: int, conversation: ConversationId) -> int:
        """The revision that a conversation pinned to `number` belongs to by now: another where a safety rollback took
        back what would answer it."""
        for it in self._safety:
            table = self._tables[number]
            if it.revision.number > number and any(
                table.answers(agent, step, conversation) == target for agent, step, target in it.withdrawn
            ):
                number = it.revision.number
        return number

    def is_rollback(self, number: int) -> bool:
        """Whether that revision is an earlier table again."""
        return "restores" in (self._tables[number].revision.evidence or {})

    def tries_adapters(self, number: int) -> bool:
        """Whether a canary of that revision is an adapter."""
        return Arm.CANARY in adapters_in(self._tables[number].revision.routes).values()

    def adapters(self, number: int) -> set[AdapterName]:
        """Adapters that may answer conversations of that revision."""
        gone = {key for it in self._safety if it.revision.number > number for key in it.withdrawn}
        return {
            AdapterName(target.name)
            for route in self._tables[number].revision.routes
            for target in (route.live, route.canary)
            if target is not None
            and target.kind is TargetKind.ADAPTER
            and (route.agent, route.step, target) not in gone
        }
