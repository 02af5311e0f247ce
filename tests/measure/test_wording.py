import pytest

from agentkit.measure.wording import percent


@pytest.mark.parametrize(
    ("value", "text", "with_a_decimal"),
    [
        (None, "–", "–"),
        (0.0, "0 %", "0 %"),
        (1.0, "100 %", "100 %"),
        (1 - 1e-12, "100 %", "100 %"),
        (0.814, "81 %", "81.4 %"),
        (0.8, "80 %", "80 %"),
        (0.996, "99.6 %", "99.6 %"),
        (0.9996, "99.96 %", "99.96 %"),
        (0.0004, "0.04 %", "0.04 %"),
        (1e-7, "<0.001 %", "<0.001 %"),
        (1 - 1e-7, ">99.999 %", ">99.999 %"),
    ],
)
def test_a_percentage_never_claims_certainty(value: float | None, text: str, with_a_decimal: str) -> None:
    assert percent(value) == text
    assert percent(value, decimals=1) == with_a_decimal


def test_the_space_of_a_percentage_can_be_one_that_does_not_break() -> None:
    assert percent(0.5, space="\xa0") == "50\xa0%"
