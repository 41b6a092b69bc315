"""The waves of a run: parents first, and nothing reads what is about to be rebuilt."""

from __future__ import annotations

import dagster as dg

from distill_assets.automation import INPUT_VERSION_TAG
from distill_assets.commands.run import plan_wave
from distill_assets.gates import CODE_VERSION_TAG, DATA_VERSION_TAG

NAMES = ("labels", "samples", "dataset")
KEYS = [dg.AssetKey(name) for name in NAMES]


def build_graph():
    """labels -> samples -> dataset."""
    specs = [dg.AssetSpec(name, code_version="1", deps=list(NAMES[max(0, i - 1) : i])) for i, name in enumerate(NAMES)]

    @dg.multi_asset(specs=specs)
    def build():
        pass

    return dg.Definitions([build]).resolve_implicit_global_asset_job_def().asset_layer.asset_graph


def report(instance: dg.DagsterInstance, name: str, code_version: str = "1", **inputs: str) -> None:
    tags = {DATA_VERSION_TAG: f"{name}1", CODE_VERSION_TAG: code_version}
    tags |= {INPUT_VERSION_TAG + parent: version for parent, version in inputs.items()}
    instance.report_runless_asset_event(dg.AssetMaterialization(name, tags=tags))


def test_what_was_never_made_is_made_in_one_wave() -> None:
    with dg.DagsterInstance.ephemeral() as instance:
        assert plan_wave(instance, build_graph(), set(KEYS)) == KEYS


def test_what_was_never_made_waits_for_an_asset_that_is_fresh_only_for_now() -> None:
    with dg.DagsterInstance.ephemeral() as instance:
        report(instance, "labels", code_version="0")
        report(instance, "samples", labels="labels1")
        assert plan_wave(instance, build_graph(), set(KEYS)) == KEYS[:1]
        report(instance, "labels")
        assert plan_wave(instance, build_graph(), set(KEYS)) == KEYS[2:]
        report(instance, "dataset", samples="samples1")
        assert plan_wave(instance, build_graph(), set(KEYS)) == []
