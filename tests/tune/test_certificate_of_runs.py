"""From runs in a store to a certificate, a page and regression scenarios: the scripted agent before and after."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from agentkit.gate import Recorded
from agentkit.gate.rows import recorded
from agentkit.scenario import load
from agentkit.store import Store
from agentkit.tune.certificate import CertificateSettings, Promotion, certify
from agentkit.tune.page import render
from agentkit.tune.regress import keep, mended
from tests.cli.conftest import Cli, bare

__all__ = ["bare"]

pytestmark = pytest.mark.slow

SHIPPED = Path(__file__).parents[2] / "scenarios" / "point_of_sale"
AGENTS: Mapping[str, Mapping[str, float]] = {
    "base": {"refund": 0.3},
    "tuned": {"refund": 0.9},
    "spoilt": {"refund": 0.9, "say_amount": 0.4},
}
INSTANCES = 100
Side = Callable[[str], Recorded]


@pytest.fixture
def suite(tmp_path: Path) -> Path:
    return shutil.copytree(SHIPPED, tmp_path / "scenarios" / "point_of_sale",
                           ignore=shutil.ignore_patterns("__pycache__"))  # fmt: skip


@pytest.fixture
def side(bare: Cli, suite: Path, tmp_path: Path) -> Side:
    """Plays an agent on the refund and reads its run as the gate does."""
    tables = [
        f'[tool.agentkit.agents.{name}]\nkind = "scripted"\naccuracy = 0.97\n'
        f"[tool.agentkit.agents.{name}.steps]\n" + "".join(f"{step} = {p}\n" for step, p in steps.items())
        for name, steps in AGENTS.items()
    ]
    (tmp_path / "pyproject.toml").write_text("\n".join(tables))

    def played(agent: str) -> Recorded:
        file = suite / "refund.yaml"
        done = bare("run", str(file), "--agent", agent, "--trials", str(INSTANCES), "--seed", "4000000")
        assert done.returncode == 0, done.stderr
        with Store.open(f"sqlite:///{tmp_path}/.agentkit/agentkit.db") as store:
            run = store.run("last")
            return recorded(run, store.grades(run.id))

    return played


def test_a_certificate_of_real_plays_promotes_refuses_and_leaves_regressions(side: Side, suite: Path, bare: Cli):
    before, after, spoilt = side("base"), side("tuned"), side("spoilt")
    settings = CertificateSettings(ask_general=False)
    good = certify("refund", before, after, hashes={"data": "none"}, settings=settings)
    assert good.verdict is Promotion.PROMOTE, good.sentence
    assert (good.target.pairs, good.target.instances) == (4 * INSTANCES, INSTANCES)
    assert good.target.difference.low > 0.2
    assert good.end_to_end["compounded"].compared.difference.low > 0
    assert "Promote" in render(good.document())

    bad = certify("refund", before, spoilt, hashes={}, settings=settings)
    assert bad.verdict is Promotion.REFUSE, bad.sentence
    assert "point_of_sale/refund#say_amount" in [one.name for one in bad.others if one.outcome.value == "fail"]

    kept = keep(mended(before, after, good.steps), load([suite]))
    assert len(kept.files) == 3
    assert len({file.name.split("_refund_")[0] for file in kept.files}) == 3  # one of each variant
    audited = bare("audit", *map(str, kept.files))
    assert audited.returncode == 0, audited.stdout + audited.stderr
    failed, passed = (bare("run", *map(str, kept.files), "--agent", f"scripted:{p}") for p in (0.0, 1.0))
    assert failed.returncode == passed.returncode == 0
