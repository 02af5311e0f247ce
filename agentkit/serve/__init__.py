"""Model servers on this machine: the embedded model, and a real vLLM that serves it or any other."""
