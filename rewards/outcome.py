"""What does the completion lead to? After it, the rest of the scenario is played, and what then succeeds is counted.

The golden agent plays on. It does what is due after the completion and puts nothing right that the completion got
wrong. What counts is what a completion can change: the world's state at later steps, later calls that the world
accepts, and the outcome; each against what the golden completion leads to. So it says nothing at steps that nothing
depends on. Use it beside rewards for the step itself: a right end can be come to by accident.
"""

from agentkit.grade import counterfactual

what_follows = counterfactual(points=20)
"""The share of what succeeds afterwards; in `agentkit tune` alone."""
