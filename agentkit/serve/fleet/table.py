"""What answers for which target, by what the replicas are doing."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence

from agentkit.records import Target, TargetKind
from agentkit.serve.engine import Endpoint
from agentkit.serve.fleet.replica import Replica
from agentkit.serve.fleet.state import State
from agentkit.serve.upstream import Upstream

BASE = Target(TargetKind.BASE)


def upstreams_of(
    replicas: Sequence[Replica], elsewhere: Mapping[str, Upstream]
) -> Mapping[Target, tuple[Upstream, ...]]:
    """Target → what answers for it now. An adapter that a replica has in its weights is answered for by such replicas
    alone, since they are quicker."""
    hot: defaultdict[Target, list[Upstream]] = defaultdict(list)
    merged: defaultdict[Target, list[Upstream]] = defaultdict(list)
    for replica in replicas:
        if replica.state is not State.READY or replica.endpoint is None:
            continue
        if replica.merged is None:
            hot[BASE].append(_upstream(replica.name, replica.endpoint))
        for name in replica.attested:
            target = Target(TargetKind.ADAPTER, name)
            if replica.merged is None:
                hot[target].append(_upstream(replica.name, replica.endpoint, name))
            else:
                merged[target].append(_upstream(replica.name, replica.endpoint))
    found = {target: tuple(them) for target, them in (hot | merged).items()}
    return found | {Target(TargetKind.UPSTREAM, name): (it,) for name, it in elsewhere.items()}


def _upstream(name: str, endpoint: Endpoint, model: str | None = None) -> Upstream:
    return Upstream(name=name, base_url=endpoint.base_url, model=model or endpoint.model, api_key=endpoint.api_key)
