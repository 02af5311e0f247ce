"""The bookshop's till: one tool, and a note of every receipt that was looked up."""

from typing import Any

from players import conversation as talk


def lookup_sale(state: dict[str, Any], sale_id: str) -> dict[str, Any]:
    """Look up one sale by the number printed on its receipt.

    Args:
        sale_id: The number printed on the receipt, such as R-10442.
    """
    state["looked_up"].append(sale_id)
    return talk.sale(sale_id)


TOOLS = [lookup_sale]
