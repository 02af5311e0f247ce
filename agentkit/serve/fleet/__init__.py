"""Model servers behind the router: replicas, the adapters they serve, and what else may answer."""

from agentkit.serve.fleet.build import fleet_of
from agentkit.serve.fleet.fleet import Fleet
from agentkit.serve.fleet.follow import Follower
from agentkit.serve.fleet.state import Pace, ReplicaView, State

__all__ = ["Fleet", "Follower", "Pace", "ReplicaView", "State", "fleet_of"]
