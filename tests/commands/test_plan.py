"""`distill plan`: what a run would buy, before anything is bought; and that the run then buys just that."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from distill_assets.cli import main
from distill_assets.commands.instance import open_instance
from distill_assets.commands.plan import plan_recipe, render_plan
from distill_assets.commands.run import run_recipe
from distill_assets.config import RecipeFolder
from tests.endpoint import Endpoint, serve_endpoint
from tests.scenario import SEEDS, write_jsonl, write_scenario

PER_SEED = 5
PRICE = "price: {input_usd_per_mtok: 10, output_usd_per_mtok: 100, as_of: 2026-11-01}"


def write(folder: Path, endpoint: Endpoint, budget: str) -> RecipeFolder:
    limits = "limits: {concurrency: 2, requests_per_minute: 6000, tokens_per_minute: 600000}"
    teacher = f"teacher: {{model: asked, base_url: '{endpoint.base_url}', api_key_env: PLANTED_KEY, {PRICE}, {limits}}}"
    return write_scenario(folder, samples_per_seed=PER_SEED, extra=f"{teacher}\n{budget}")


def test_a_plan_counts_what_is_missing_and_the_run_buys_just_that(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with serve_endpoint() as endpoint:
        folder = write(tmp_path / "recipe", endpoint, "budget: {usd: 0.001, tokens: 200000}")
        monkeypatch.delenv("PLANTED_KEY", raising=False)
        plan = plan_recipe(folder)  # needs no key
        [teacher] = plan.estimates
        n = len(SEEDS) * PER_SEED
        assert (plan.n_seeds, teacher.requests, teacher.cached, teacher.missing) == (len(SEEDS), n, 0, n)
        assert not teacher.is_measured
        assert 0 < teacher.usd < teacher.at_most_usd
        assert teacher.seconds == pytest.approx(max(n / 98, (teacher.prompt_tokens + teacher.completion_tokens) / 9800))
        assert "NOT ENOUGH" in render_plan(plan) and "a rule of thumb" in render_plan(plan)
        assert endpoint.requests == []

        folder = write(tmp_path / "recipe", endpoint, "")
        monkeypatch.setenv("PLANTED_KEY", "sk-x")
        assert run_recipe(folder, open_instance(), ["raw_generations"], lambda _: None).errors == []
        assert len(endpoint.requests) == n
        done = plan_recipe(folder).estimates[0]
        assert (done.cached, done.missing, done.usd, done.seconds) == (n, 0, 0.0, 0.0)

        write_jsonl(folder.path / "seeds" / "seeds.jsonl", [*SEEDS, {**SEEDS[0], "text": "a seed more"}])
        plan = plan_recipe(folder)
        [more] = plan.estimates
        assert (more.cached, more.missing, more.is_measured) == (n, PER_SEED, True)
        assert (more.prompt_tokens, more.completion_tokens) == (PER_SEED * 100, PER_SEED * 40), "as its earlier replies"
        assert more.usd == pytest.approx(PER_SEED * (100 * 10 + 40 * 100) / 1e6)
        assert plan.spent.usd == pytest.approx(n * (100 * 10 + 40 * 100) / 1e6)
        assert "as its earlier replies" in render_plan(plan)


def test_the_command_prints_words_or_json(home: Path, tmp_path: Path) -> None:
    folder = write_scenario(tmp_path / "recipe", samples_per_seed=3)
    words = CliRunner().invoke(main, ["plan", "--recipe", str(folder.path)])
    assert words.exit_code == 0
    assert f"choir: {len(SEEDS)} seeds make {len(SEEDS) * 3} requests" in words.output
    data = json.loads(CliRunner().invoke(main, ["plan", "--recipe", str(folder.path), "--json"]).output)
    assert data["teachers"][0]["missing"] == len(SEEDS) * 3
    assert data["spent"]["usd"] == 0


def test_a_bad_seed_is_told_as_a_run_would_tell_it(home: Path, tmp_path: Path) -> None:
    folder = write_scenario(tmp_path / "recipe")
    (folder.path / "seeds" / "seeds.jsonl").write_text("{\n")
    shown = CliRunner().invoke(main, ["plan", "--recipe", str(folder.path)])
    assert shown.exit_code == 1 and "seeds.jsonl:1" in shown.output and "Traceback" not in shown.output
