"""The wheel: production's conversations, a failing step, a trained adapter, its proof, its canary, and round again.

The only package that knows every stage. See README.md beside this file.
"""
