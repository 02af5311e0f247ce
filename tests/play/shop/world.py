"""Three tools over a dict; `explode` always raises."""

from typing import Annotated, Any

from pydantic import Field

from agentkit import tool

OrderId = Annotated[str, Field(pattern=r"^A-[0-9]{4}$")]


@tool(writes=False)
def look_up(state: dict[str, Any], order_id: OrderId) -> dict[str, Any]:
    """Find an order."""
    return dict(state["orders"][order_id])


def ship(state: dict[str, Any], order_id: OrderId, express: bool = False) -> str:
    """Ship an order."""
    state["orders"][order_id]["status"] = "shipped"
    state["orders"][order_id]["express"] = express
    return "shipped"


def explode(state: dict[str, Any]) -> None:
    """Always fails."""
    raise RuntimeError("the till is on fire")


TOOLS = [look_up, ship, explode]
