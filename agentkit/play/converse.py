"""The conversation of a trial, to its end: what its graph left behind, and what went wrong on the way."""

from __future__ import annotations

from typing import Any, cast

from langchain_core.runnables import RunnableConfig

from agentkit.errors import BudgetExhausted, WorldError
from agentkit.play.conversation import Conversation, Stage, State, start_state, superstep_limit
from agentkit.play.trouble import agent_trouble
from agentkit.play.user import NotRecorded, UserStopped
from agentkit.records import Verdict
from agentkit.tracing import attributes as names


async def converse(stage: Stage, conversation: Conversation, branch: State | None = None) -> tuple[State, str]:
    """The final state, and in words what went wrong in the harness itself ('' where nothing did).

    It begins with the user's first word; or at the agent's next move after a checkpoint of another conversation.
    """
    config: RunnableConfig = {
        "configurable": {"thread_id": stage.conversation_id},
        "recursion_limit": superstep_limit(stage),
    }
    try:
        start = branch or await start_state(stage)
    except WorldError as error:  # the world could not even be made: nobody need be asked anything
        stage.trouble = str(error)
        return State(turn=0, moves=0, messages=(), world=b"", grades=(), stop=None, reason=""), stage.trouble
    try:
        if branch is not None:
            await conversation.aupdate_state(config, branch, as_node="user")
        final = await conversation.ainvoke(None if branch else start, config, context=stage)
        return cast(State, final), ""
    except (BudgetExhausted, NotRecorded):
        stage.span.finish(Verdict.INVALID, (), names.ABANDONED)
        raise
    except UserStopped as error:
        said = cast(State, (await conversation.aget_state(config)).values or start)
        return {**said, "stop": error.stop, "reason": str(error)}, ""
    except Exception as error:  # a defect of ours or of a world: this trial is lost, the run goes on
        if isinstance(error, WorldError):
            stage.trouble = stage.trouble or str(error)
        reached = (await conversation.aget_state(config)).values or start
        return cast(State, reached), agent_trouble(error)[1]
    finally:
        assert conversation.checkpointer not in (None, True, False)
        await conversation.checkpointer.adelete_thread(stage.conversation_id)  # type: ignore[union-attr]


async def final_state(stage: Stage) -> Any:
    """The world at the end, plain JSON; None where its server failed, then or before."""
    if stage.trouble:
        return None
    try:
        return await stage.world.state()
    except WorldError as error:
        stage.trouble = str(error)
        return None
