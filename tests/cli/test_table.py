import pytest

from agentkit.cli.table import percent


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.0, "0 %"),
        (1.0, "100 %"),
        (1 - 1e-12, "100 %"),
        (0.814, "81 %"),
        (0.996, "99.6 %"),
        (0.0004, "0.04 %"),
        (1e-7, "<0.001 %"),
        (1 - 1e-7, ">99.999 %"),
    ],
)
def test_a_percentage_never_claims_certainty(value: float, text: str) -> None:
    assert percent(value) == text
