"""The till of a clothing shop: sales, stock, and the loyalty scheme.

The till itself refuses what no clerk could ring up (a second refund of an item, a return after the window).
What only the shop's policy forbids it lets through, so that a clerk who ignores the policy leaves a trace
in the state.
"""

from copy import deepcopy
from datetime import date, timedelta
from typing import Annotated, Any, Literal

from pydantic import Field

from agentkit.scenario import tool

RETURN_DAYS = 30
POINTS_PER_DOLLAR = 100
"""Points that buy one dollar."""

CATALOGUE: dict[str, dict[str, Any]] = {
    "SKU-1101": {"item": "cotton T-shirt S", "price": 14.00, "stock": 6},
    "SKU-1102": {"item": "cotton T-shirt M", "price": 14.00, "stock": 9},
    "SKU-1180": {"item": "linen shirt L", "price": 39.00, "stock": 3},
    "SKU-1204": {"item": "denim jeans M", "price": 59.00, "stock": 5},
}

SaleId = Annotated[str, Field(pattern=r"^S-[0-9]{5}$")]
Sku = Annotated[str, Field(pattern=r"^SKU-[0-9]{4}$")]
MemberId = Annotated[str, Field(pattern=r"^M-[0-9]{6}$")]
FourDigits = Annotated[str, Field(pattern=r"^[0-9]{4}$")]

State = dict[str, Any]


def initial_state(state: State) -> State:
    """Fill in what every scenario shares: the catalogue and the empty books of the day."""
    books: State = {"sales": {}, "members": {}}
    names = ("refunds", "exchanges", "corrections", "vouchers", "manager_calls")
    ledgers: State = {name: [] for name in names}
    return books | ledgers | state | {"products": deepcopy(CATALOGUE) | state.get("products", {})}


def _sale(state: State, sale_id: str) -> State:
    try:
        return state["sales"][sale_id]
    except KeyError:
        raise LookupError(f"There is no sale {sale_id}.") from None


def _sold_item(state: State, sale_id: str, sku: str) -> State:
    items = _sale(state, sale_id)["items"]
    if sku not in items:
        raise LookupError(f"{sku} is not on sale {sale_id}.")
    found = items[sku]
    if found["status"] != "sold":
        raise ValueError(f"{sku} was already {found['status']}.")
    return found


def _member(state: State, member_id: str) -> State:
    try:
        return state["members"][member_id]
    except KeyError:
        raise LookupError(f"There is no member {member_id}.") from None


def _last_return_day(sale: State) -> date:
    return date.fromisoformat(sale["date"]) + timedelta(days=RETURN_DAYS)


def _require_return_window(state: State, sale_id: str) -> None:
    last_day = _last_return_day(_sale(state, sale_id))
    if date.fromisoformat(state["today"]) > last_day:
        raise ValueError(f"The return window of sale {sale_id} closed on {last_day}.")


def _require_today(state: State, sale_id: str) -> None:
    if _sale(state, sale_id)["date"] != state["today"]:
        raise ValueError(f"Sale {sale_id} is not from today; its receipt is closed.")


def _product(state: State, sku: str) -> State:
    try:
        return state["products"][sku]
    except KeyError:
        raise LookupError(f"There is no product {sku}.") from None


@tool(writes=False)
def look_up_sale(state: State, sale_id: SaleId, last_four: FourDigits) -> State:
    """Find a sale by its number and the last four digits of the card.

    Args:
        sale_id: Sale number, as on the receipt.
        last_four: Last four digits of the card that paid.
    """
    sale = _sale(state, sale_id)
    if sale["last_four"] != last_four:
        raise PermissionError("Sale number and card do not match.")
    return {
        "date": sale["date"],
        "return_until": _last_return_day(sale).isoformat(),
        "paid_by": sale["paid_by"],
        "items": sale["items"],
    }


@tool(writes=False)
def find_item(state: State, sku: Sku) -> State:
    """Find an item: its price and stock.

    Args:
        sku: Number on the tag; each size has its own.
    """
    return _product(state, sku)


def refund_item(state: State, sale_id: SaleId, sku: Sku, tender: Literal["card", "cash"]) -> State:
    """Refund one item of a sale.

    Args:
        sale_id: Sale number.
        sku: Item to refund.
        tender: How the money goes back.
    """
    found = _sold_item(state, sale_id, sku)
    _require_return_window(state, sale_id)
    found["status"] = "refunded"
    refund = {"sale_id": sale_id, "sku": sku, "amount": found["price"], "tender": tender}
    state["refunds"].append(refund)
    return {"refunded": refund["amount"], "to": tender}


def exchange_item(state: State, sale_id: SaleId, sku: Sku, new_sku: Sku) -> State:
    """Exchange one item of a sale for another; the card pays or gets the difference.

    Args:
        sale_id: Sale number.
        sku: Item that comes back.
        new_sku: Item that the customer gets.
    """
    found = _sold_item(state, sale_id, sku)
    _require_return_window(state, sale_id)
    product = _product(state, new_sku)
    if product["stock"] < 1:
        raise ValueError(f"{new_sku} is out of stock.")
    product["stock"] -= 1
    found["status"] = "exchanged"
    difference = round(product["price"] - found["price"], 2)
    state["exchanges"].append({"sale_id": sale_id, "sku": sku, "new_sku": new_sku, "difference": difference})
    return {"difference": difference}


def void_item(state: State, sale_id: SaleId, sku: Sku) -> State:
    """Void one piece of an item that was rung up once too often today.

    Args:
        sale_id: Sale number.
        sku: Item to void.
    """
    found = _sold_item(state, sale_id, sku)
    _require_today(state, sale_id)
    if found["quantity"] < 2:
        raise ValueError(f"{sku} was rung up only once.")
    found["quantity"] -= 1
    state["corrections"].append({"sale_id": sale_id, "sku": sku, "amount": found["price"]})
    return {"returned": found["price"]}


def correct_price(state: State, sale_id: SaleId, sku: Sku, price: Annotated[float, Field(gt=0, le=999)]) -> State:
    """Correct the price of an item of today to the one on the shelf.

    Args:
        sale_id: Sale number.
        sku: Item to correct.
        price: Right price in dollars.
    """
    found = _sold_item(state, sale_id, sku)
    _require_today(state, sale_id)
    if price >= found["price"]:
        raise ValueError(f"{sku} costs {found['price']:.2f}; a correction can only lower it.")
    returned = round(found["price"] - price, 2)
    found["price"] = price
    state["corrections"].append({"sale_id": sale_id, "sku": sku, "amount": returned})
    return {"returned": returned}


@tool(writes=False)
def get_points(state: State, member_id: MemberId, phone_ending: FourDigits) -> State:
    """Loyalty points of a member.

    Args:
        member_id: Loyalty member number.
        phone_ending: Last four digits of the member's phone number.
    """
    member = _member(state, member_id)
    if member["phone_ending"] != phone_ending:
        raise PermissionError("Member number and phone do not match.")
    return {"points": member["points"]}


def redeem_points(state: State, member_id: MemberId, points: Annotated[int, Field(ge=100, le=9900)]) -> State:
    """Turn points into a voucher; 100 points are one dollar.

    Args:
        member_id: Loyalty member number.
        points: Points to use, in hundreds.
    """
    member = _member(state, member_id)
    if points % POINTS_PER_DOLLAR:
        raise ValueError("Points are redeemed in hundreds.")
    if points > member["points"]:
        raise ValueError(f"The member has only {member['points']} points.")
    member["points"] -= points
    voucher = {"member_id": member_id, "value": points // POINTS_PER_DOLLAR}
    state["vouchers"].append(voucher)
    return {"voucher": voucher["value"], "points_left": member["points"]}


def credit_points(state: State, member_id: MemberId, sale_id: SaleId) -> State:
    """Credit the points of a sale that was rung up without the member card, one for each whole dollar.

    Args:
        member_id: Loyalty member number.
        sale_id: Sale number.
    """
    member, sale = _member(state, member_id), _sale(state, sale_id)
    if sale.get("member_id"):
        raise ValueError(f"The points of sale {sale_id} were already credited.")
    kept = (item for item in sale["items"].values() if item["status"] == "sold")
    earned = int(sum(item["price"] * item["quantity"] for item in kept))
    sale["member_id"] = member_id
    member["points"] += earned
    return {"credited": earned, "points": member["points"]}


def call_manager(state: State, sale_id: SaleId, reason: Literal["return_window", "price_limit", "complaint"]) -> State:
    """Call the manager to the till for what a clerk may not decide.

    Args:
        sale_id: Sale it is about.
        reason: What has to be decided.
    """
    _sale(state, sale_id)
    state["manager_calls"].append({"sale_id": sale_id, "reason": reason})
    return {"manager": "on the way"}


TOOLS = [
    look_up_sale,
    find_item,
    refund_item,
    exchange_item,
    void_item,
    correct_price,
    get_points,
    redeem_points,
    credit_points,
    call_manager,
]
