"""Which model answers which step: the route table, its revisions, and the conversations pinned to them. See README.md
beside this file."""

from agentkit.serve.lookup import route_name
from agentkit.serve.routes.change import newest
from agentkit.serve.routes.changes import end_canaries, end_canary, promote, rollback, set_canary, set_live, set_several
from agentkit.serve.routes.conditions import Refused, parse_target
from agentkit.serve.routes.edits import parse_route
from agentkit.serve.routes.table import Resolved, RouteTable
from agentkit.serve.routes.watch import CanaryWatch

__all__ = [
    "CanaryWatch",
    "Refused",
    "Resolved",
    "RouteTable",
    "end_canaries",
    "end_canary",
    "newest",
    "parse_route",
    "parse_target",
    "promote",
    "rollback",
    "route_name",
    "set_canary",
    "set_live",
    "set_several",
]
