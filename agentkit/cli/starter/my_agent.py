"""A rule-based stand-in for the agent you want to measure: enough to see numbers, and easy to better.

It forgets to ask before it cancels when the customer is in a hurry. `agentkit run` shows what that costs.
"""

import re

from agentkit import ToolCall


async def respond(moment):
    said = moment.messages[-1].content
    order = re.search(r"A-\d{6}", " ".join(m.content for m in moment.messages if m.role == "user"))
    if order is None:
        return "Which order is it? Its number begins with A-."
    order_id = order.group()
    hurried = "now" in said.lower()
    if "cancel" in said.lower() and not hurried:
        found = await moment.call_tool(ToolCall("look-up", "look_up_order", {"order_id": order_id}))
        return f"I found order {order_id}: {found.content}. Shall I cancel it?"
    if hurried or "yes" in said.lower():
        await moment.call_tool(ToolCall("cancel", "cancel_order", {"order_id": order_id}))
        return f"Order {order_id} is cancelled. You will get your money back within five days."
    return "Then I leave everything as it is."
