"""The tools of the shop: plain typed functions. The first parameter is the state, the others are what an agent sees."""

from typing import Annotated

from pydantic import Field

from agentkit import tool

OrderId = Annotated[str, Field(pattern=r"^A-[0-9]{6}$")]


@tool(writes=False)
def look_up_order(state: dict, order_id: OrderId) -> dict:
    """Find an order.

    Args:
        order_id: Number of the order.
    """
    return state["orders"][order_id]


def cancel_order(state: dict, order_id: OrderId) -> str:
    """Cancel an order that has not been shipped.

    Args:
        order_id: Number of the order.
    """
    order = state["orders"][order_id]
    if order["status"] == "shipped":
        raise ValueError("a shipped order cannot be cancelled")
    order["status"] = "cancelled"
    return "cancelled"


TOOLS = [look_up_order, cancel_order]
