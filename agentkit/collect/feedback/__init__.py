"""What users and LLM judges say of captured answers: taken in, and given to the step that it is about."""
