"""Data-quality gates: Great Expectations suites derived from tables.py and the recipe's thresholds.

Belongs here: which expectations a table has, running them in one step a table, and showing failing
rows. Does not belong here: what a check's result prevents (gates).

Great Expectations is imported when a check runs. The frame goes over as pandas (there is no Polars
engine), and `batch.validate` is used rather than a stored validation, which breaks on numpy scalars.
Blocking checks only ever fail with ERROR; a warning is a check of its own that blocks nothing.
"""

from collections.abc import Callable, Iterable, Iterator
from typing import Any, NamedTuple

import dagster as dg
import polars as pl

from distill_assets.check_frames import Read, agreement_of_critics, review_of_dataset, share_by_rule, share_of_canaries
from distill_assets.config import Recipe, ThresholdSpec
from distill_assets.gates import asset_key, latest_version
from distill_assets.storage import Workspace, read_table
from distill_assets.tables import (
    CONTAMINATION_HITS,
    CORPUS_DIVERSITY,
    CURATION_MARKS,
    DUPLICATES,
    EVAL_RESULTS,
    HOLDOUT,
    JUDGE_CALIBRATION,
    JUDGED_SAMPLES,
    RAW_GENERATIONS,
    SEED_CORPUS,
    TRAINING_DATASET,
    VERDICTS,
    TableSpec,
)

MAX_FAILING_ROWS = 10
MAX_CELL_CHARS = 100


class Expectation(NamedTuple):
    """One Great Expectations expectation, by its registered type and keywords."""

    type: str
    kwargs: dict[str, Any]


class Check(NamedTuple):
    """One asset check: a named group of expectations that blocks, or only warns.

    `derive` makes the frame that is checked of the table and, through a function, of other tables' latest versions;
    None checks the table itself.
    """

    name: str
    meaning: str
    expectations: tuple[Expectation, ...]
    blocking: bool = True
    derive: Callable[[pl.DataFrame, Read], pl.DataFrame] | None = None


def expect(type_: str, **kwargs: Any) -> Expectation:
    """Shorthand for an expectation."""
    return Expectation(f"expect_{type_}", kwargs)


def shape_check(table: TableSpec) -> Check:
    """What tables.py promises: nulls, closed sets and the key."""
    expectations = [expect("column_values_to_not_be_null", column=n) for n, f in table.fields.items() if not f.nullable]
    expectations += [
        expect("column_values_to_be_in_set", column=n, value_set=list(f.allowed)) for n, f in table.fields.items() if f.allowed
    ]
    if len(table.key) == 1:
        expectations.append(expect("column_values_to_be_unique", column=table.key[0]))
    else:
        expectations.append(expect("compound_columns_to_be_unique", column_list=list(table.key)))
    return Check("shape", f"{table.name} is as tables.py says", tuple(expectations))


def plan_checks(thresholds: ThresholdSpec) -> dict[str, tuple[Check, ...]]:
    """Checks by table name."""
    t = thresholds
    return {
        SEED_CORPUS.name: (
            shape_check(SEED_CORPUS),
            _min_rows(t.min_seeds),
            *_forbidden_text(t, ("text",)),
        ),
        HOLDOUT.name: (shape_check(HOLDOUT), _min_rows(t.min_holdout_items)),
        RAW_GENERATIONS.name: (
            shape_check(RAW_GENERATIONS),
            Check(
                "error_share",
                f"at most {t.max_error_frac:.0%} of the requests ended in an error",
                (
                    expect(
                        "column_values_to_not_be_in_set",
                        column="generation_status",
                        value_set=["error"],
                        mostly=1 - t.max_error_frac,
                    ),
                ),
                blocking=False,
            ),
            Check(
                "pinned_model",
                "every reply is from the pinned model, and none from one that a proxy fell back to",
                (expect("column_values_to_not_be_in_set", column="generation_status", value_set=["other_model"]),),
                blocking=False,
            ),
        ),
        VERDICTS.name: (
            shape_check(VERDICTS),
            Check(
                "rules_reject_few",
                f"no rule on the text rejects more than {t.max_rule_reject_frac:.0%} of the generations",
                (expect("column_values_to_be_between", column="failed_frac", max_value=t.max_rule_reject_frac),),
                derive=share_by_rule,
            ),
            Check(
                "canaries_rejected",
                f"critics pass at most {t.max_canaries_passed_frac:.0%} of the known-bad answers that try to steer them",
                (expect("column_values_to_be_between", column="passed_frac", max_value=t.max_canaries_passed_frac),),
                derive=share_of_canaries,
            ),
        ),
        JUDGE_CALIBRATION.name: (
            shape_check(JUDGE_CALIBRATION),
            *_judge_agreement(t),
        ),
        JUDGED_SAMPLES.name: (
            shape_check(JUDGED_SAMPLES),
            Check(
                "accept_rate",
                f"{t.min_accept_frac:.0%} to {t.max_accept_frac:.0%} of the samples are accepted",
                (
                    expect("column_values_to_be_in_set", column="sample_status", value_set=["accepted"], mostly=t.min_accept_frac),
                    expect(
                        "column_values_to_not_be_in_set",
                        column="sample_status",
                        value_set=["accepted"],
                        mostly=round(1 - t.max_accept_frac, 9),
                    ),
                ),
            ),
            Check(
                "unscored_share",
                f"at most {t.max_unscored_frac:.0%} of the samples are unscored",
                (
                    expect(
                        "column_values_to_not_be_in_set",
                        column="sample_status",
                        value_set=["unscored"],
                        mostly=1 - t.max_unscored_frac,
                    ),
                ),
            ),
        ),
        DUPLICATES.name: (shape_check(DUPLICATES),),
        CONTAMINATION_HITS.name: (shape_check(CONTAMINATION_HITS),),
        CURATION_MARKS.name: (shape_check(CURATION_MARKS),),
        CORPUS_DIVERSITY.name: (
            shape_check(CORPUS_DIVERSITY),
            Check(
                "no_collapse",
                "what is trained on is as varied as curate.collapse asks, as a whole and by teacher, strategy and database",
                (expect("column_values_to_be_null", column="problem"),),
            ),
        ),
        TRAINING_DATASET.name: (
            shape_check(TRAINING_DATASET),
            _min_rows(t.min_training_rows),
            Check(
                "one_select",
                "each completion is one SELECT",
                (expect("column_values_to_match_regex", column="sql", regex=r"(?is)^\s*(?:select|with)\b[^;]*;?\s*$"),),
            ),
            *_forbidden_text(t, ("question", "sql")),
            *_people_looked(t),
        ),
        EVAL_RESULTS.name: (shape_check(EVAL_RESULTS),),
    }


def _min_rows(n: int) -> Check:
    return Check("enough_rows", f"at least {n} rows", (expect("table_row_count_to_be_between", min_value=n),))


def _forbidden_text(t: ThresholdSpec, columns: tuple[str, ...]) -> tuple[Check, ...]:
    if t.forbidden_pattern is None:
        return ()
    expectations = tuple(expect("column_values_to_not_match_regex", column=c, regex=t.forbidden_pattern) for c in columns)
    return (Check("no_forbidden_text", f"no row matches {t.forbidden_pattern!r}", expectations),)


def _judge_agreement(t: ThresholdSpec) -> tuple[Check, ...]:
    if t.min_judge_kappa is None:
        return ()
    expectation = expect("column_values_to_be_between", column="kappa", min_value=t.min_judge_kappa)
    words = f"critics agree with verifiers and with people by a kappa of at least {t.min_judge_kappa:g}"
    return (Check("judge_agreement", words, (expectation,), derive=agreement_of_critics(t)),)


def _people_looked(t: ThresholdSpec) -> tuple[Check, ...]:
    if t.review_above_rows is None:
        return ()
    expectations = (
        expect("column_values_to_be_between", column="n_labels_missing", max_value=0),
        expect("column_values_to_be_between", column="error_frac", max_value=t.max_review_error_frac),
    )
    words = (
        f"above {t.review_above_rows} rows, people labelled {t.min_reviewed} randomly drawn accepted samples (distill review) "
        f"and rejected at most {t.max_review_error_frac:.0%} of them"
    )
    return (Check("people_looked", words, expectations, derive=review_of_dataset(t)),)


def blocking_keys(recipe: Recipe, tables: Iterable[str]) -> list[dg.AssetCheckKey]:
    """Keys of the blocking checks on `tables`."""
    planned = plan_checks(recipe.thresholds)
    return [
        dg.AssetCheckKey(asset_key(recipe.name, table), check.name)
        for table in tables
        for check in planned.get(table, ())
        if check.blocking
    ]


def build_checks(recipe: Recipe, tables: Iterable[TableSpec]) -> list[dg.AssetChecksDefinition]:
    """One check step a table, with all its checks."""
    planned = plan_checks(recipe.thresholds)
    return [_build_table_checks(recipe, table, planned[table.name]) for table in tables if table.name in planned]


def _build_table_checks(recipe: Recipe, table: TableSpec, checks: tuple[Check, ...]) -> dg.AssetChecksDefinition:
    key = asset_key(recipe.name, table.name)
    specs = [dg.AssetCheckSpec(c.name, asset=key, description=c.meaning, blocking=c.blocking) for c in checks]

    @dg.multi_asset_check(name=f"{recipe.name}__{table.name}__checks", specs=specs, can_subset=True)
    def run_checks(context: dg.AssetCheckExecutionContext, workspace: dg.ResourceParam[Workspace]) -> Iterator[dg.AssetCheckResult]:
        version = latest_version(context.instance, key)
        frame = read_table(workspace, recipe.name, table, str(version))
        wanted = {check_key.name for check_key in context.selected_asset_check_keys}
        read = lambda other: _read_latest(context.instance, workspace, recipe, other)  # noqa: E731
        chosen = [check for check in checks if check.name in wanted]
        results = validate_frame(frame, table, [check for check in chosen if check.derive is None])
        for check in chosen:
            if check.derive is not None:
                results |= validate_frame(check.derive(frame, read), table, [check], key=())
            yield _report_check(key, check, results[check.name])

    return run_checks


def _read_latest(instance: dg.DagsterInstance, workspace: Workspace, recipe: Recipe, table: TableSpec) -> pl.DataFrame:
    return read_table(workspace, recipe.name, table, str(latest_version(instance, asset_key(recipe.name, table.name))))


def validate_frame(
    frame: pl.DataFrame, table: TableSpec, checks: list[Check], key: tuple[str, ...] | None = None
) -> dict[str, list[dict[str, Any]]]:
    """Run `checks` on `frame`; return the plain results of each check's expectations.

    Args:
        key: columns that name a failing row; None is the table's key, () all columns of the frame.
    """
    named_by = list(frame.columns if key == () else key or table.key)
    import great_expectations as gx
    from great_expectations.data_context.types.base import ProgressBarsConfig
    from great_expectations.expectations.registry import get_expectation_impl

    gx_context = gx.get_context(mode="ephemeral")
    gx_context.enable_analytics(False)
    gx_context.variables.progress_bars = ProgressBarsConfig(globally=False)
    batch = (
        gx_context.data_sources.add_pandas("frames").add_dataframe_asset(table.name).add_batch_definition_whole_dataframe("all")
    ).get_batch({"dataframe": frame.to_pandas()})
    out: dict[str, list[dict[str, Any]]] = {}
    for check in checks:
        suite = gx.ExpectationSuite(name=f"{table.name}.{check.name}")
        for item in check.expectations:
            suite.add_expectation(get_expectation_impl(item.type)(**item.kwargs))
        outcome = batch.validate(suite, result_format={"result_format": "COMPLETE", "unexpected_index_column_names": named_by})
        out[check.name] = [result.to_json_dict() for result in outcome.results]
    return out


def _report_check(key: dg.AssetKey, check: Check, results: list[dict[str, Any]]) -> dg.AssetCheckResult:
    failed = [result for result in results if not result["success"]]
    unexpected = sum(int(result["result"].get("unexpected_count") or 0) for result in failed)
    metadata: dict[str, Any] = {
        "n_expectations": len(results),
        "n_failed_expectations": len(failed),
        "n_failing_rows": unexpected,
        "expectations": dg.MetadataValue.table([_show_expectation(result) for result in results]),
    }
    if rows := _failing_rows(failed):
        metadata["failing_rows"] = dg.MetadataValue.table(rows)
    return dg.AssetCheckResult(
        passed=not failed,
        asset_key=key,
        check_name=check.name,
        severity=dg.AssetCheckSeverity.ERROR if check.blocking else dg.AssetCheckSeverity.WARN,
        metadata=metadata,
        description=check.meaning if not failed else f"not so: {check.meaning}",
    )


def _show_expectation(result: dict[str, Any]) -> dg.TableRecord:
    config, outcome = result["expectation_config"], result["result"]
    on = config["kwargs"].get("column") or ", ".join(config["kwargs"].get("column_list", ())) or "table"
    observed = outcome.get("observed_value")
    return dg.TableRecord(
        {
            "expectation": config["type"].removeprefix("expect_"),
            "on": on,
            "passed": bool(result["success"]),
            "unexpected_rows": int(outcome.get("unexpected_count") or 0),
            "observed": "" if observed is None else str(observed)[:MAX_CELL_CHARS],
        }
    )


def _failing_rows(failed: list[dict[str, Any]]) -> list[dg.TableRecord]:
    rows = []
    for result in failed:
        column = result["expectation_config"]["kwargs"].get("column", "")
        for row in (result["result"].get("unexpected_index_list") or [])[:MAX_FAILING_ROWS]:
            key = ", ".join(str(value) for name, value in row.items() if name != column)
            rows.append(dg.TableRecord({"row": key, "column": column, "value": str(row.get(column))[:MAX_CELL_CHARS]}))
    return rows[:MAX_FAILING_ROWS]
