"""The one chat client of the program: every request to a model goes through here.

Light to import: `OpenAIChat` (httpx, tenacity) stands in `agentkit.llm.openai` and is imported from there.
"""

from agentkit.llm.budget import Budget, Totals
from agentkit.llm.chat import ChatModel, ChatRequest, ChatResponse
from agentkit.llm.fake import FakeChat
from agentkit.llm.prices import FREE, Price, Prices

__all__ = [
    "FREE",
    "Budget",
    "ChatModel",
    "ChatRequest",
    "ChatResponse",
    "FakeChat",
    "Price",
    "Prices",
    "Totals",
]
