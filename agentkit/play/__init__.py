"""Play: a LangGraph runner that lets agents meet users, and records what happened."""
