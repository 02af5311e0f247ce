"""What every player plays: one user text, one tool call, one tool result and one reply a turn.

The mock model decides by what it sees last, as a real one would: after a user's message it asks
for the tool, after a tool's result it replies. Nothing here imports a framework.
"""

from __future__ import annotations

from dataclasses import dataclass

SYSTEM = (
    "You work at the till of a bookshop. Look every sale up before you say anything about it, "
    "never guess an amount, and answer in one or two sentences."
)
TOOL_NAME = "lookup_sale"
TOOL_DESCRIPTION = "Look up one sale by the number printed on its receipt."
TOOL_ARGUMENT = "sale_id"
TOOL_ARGUMENT_DESCRIPTION = "The number printed on the receipt, such as R-10442."
CALLS_PER_TURN = 2
INPUT_TOKENS, OUTPUT_TOKENS = 120, 20
"""What the mock model reports as its usage, so that no player needs a tokenizer."""


@dataclass(frozen=True, slots=True)
class Turn:
    """One turn: `user` is said, `sale_id` is looked up, `reply` is what the mock model answers."""

    user: str
    sale_id: str
    reply: str


TURNS = (
    Turn(
        "Hello, I bought two books last week. Can you find receipt R-10442 for me?",
        "R-10442",
        "I found receipt R-10442: two books for 41.80, paid by card on 4 March.",
    ),
    Turn(
        "One was a present. Is the other receipt, R-10467, on the same loyalty account?",
        "R-10467",
        "Yes, receipt R-10467 is on the same loyalty account, and it earned 18 points.",
    ),
    Turn(
        "I would like to bring the atlas back. It is on R-10471, and I have not opened it.",
        "R-10471",
        "The atlas on receipt R-10471 is unopened and within 30 days, so I can refund 29.90.",
    ),
    Turn(
        "Could I exchange the novel on R-10480 for the paperback edition instead?",
        "R-10480",
        "The novel on R-10480 can be exchanged; the paperback is 6.00 less, which I will refund.",
    ),
    Turn(
        "Thank you. Last one: was the gift wrap on R-10495 charged twice?",
        "R-10495",
        "No, receipt R-10495 shows one charge of 2.50 for the gift wrap.",
    ),
)

_TURN_OF_TEXT = {turn.user: turn for turn in TURNS}
_TURN_OF_SALE = {turn.sale_id: turn for turn in TURNS}
_CALL_IDS = {turn.sale_id: f"call_{index}" for index, turn in enumerate(TURNS)}


def sale_for(user_text: str) -> str:
    """The `sale_id` that the mock model looks up after this user text."""
    return _TURN_OF_TEXT[user_text].sale_id


def call_id_for(sale_id: str) -> str:
    """The id of the tool call that looks `sale_id` up."""
    return _CALL_IDS[sale_id]


def reply_for(call_id: str) -> str:
    """What the mock model answers once it has the result of the call `call_id`."""
    return TURNS[int(call_id.removeprefix("call_"))].reply


def sale(sale_id: str) -> dict[str, str | float]:
    """The tool itself: a small record of one sale."""
    turn = _TURN_OF_SALE[sale_id]
    return {"sale_id": turn.sale_id, "status": "paid", "total": 41.8, "currency": "EUR"}
