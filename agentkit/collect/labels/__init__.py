"""Experts' judgements of captured answers: which to ask for, how far to trust them, and what is learned from them."""
