"""From the graph's tables to rows of the ledger.

Belongs here: what of a table is kept for ever, as the SELECTs that the ledger runs under its lock. Does not belong here: writing
(ledger), when (assets) or reading it back (audits).

No text goes in: rows are named by salted ids. Each SELECT leaves out what the ledger has, so that recording the same table again
adds nothing. Endpoints are what answered, with the terms that held when it did: other terms make another endpoint.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

import polars as pl

# Columns of raw_generations that say who answered.
SERVED = ("teacher", "provider", "served_model", "upstream", "system_fingerprint", "endpoint_headers")
GENERATION_FACTS = (
    "generation_id", "request_id", "seed_id", "sample_ix", "strategy", "prompt_id", "generation_status", "prompt_tokens",
    "completion_tokens", *SERVED,
)  # fmt: skip
TERMS = {
    "teacher": pl.String, "family": pl.String, "base_lineage": pl.List(pl.String), "licence": pl.String, "terms_url": pl.String,
    "terms_sha256": pl.String, "terms_accepted_on": pl.String,
}  # fmt: skip
PEOPLE, REAL = "people", "real"


class Recording(NamedTuple):
    """One event: its kind, SELECTs by segment kind, the frames that they read, and facts of the whole."""

    kind: str
    segments: dict[str, str]
    frames: dict[str, pl.DataFrame]
    facts: dict[str, Any]


class Terms(NamedTuple):
    """What is known of a teacher or critic beside what it says itself; `name` is the one in the tables."""

    name: str
    family: str | None = None
    base_lineage: tuple[str, ...] = ()
    licence: str | None = None
    terms_url: str | None = None
    terms_sha256: str | None = None
    terms_accepted_on: str | None = None


_TERMS = "family, base_lineage, licence, terms_url, terms_sha256, terms_accepted_on"
_ENDPOINT_ID = """salted(concat_ws(chr(31), 'endpoint', {role}, coalesce(provider, ''), requested_model, coalesce(served_model, ''),
  coalesce(upstream, ''), coalesce(system_fingerprint, ''), coalesce(headers, ''), coalesce(family, ''),
  coalesce(array_to_string(base_lineage, ','), ''), coalesce(licence, ''), coalesce(terms_url, ''), coalesce(terms_sha256, ''),
  coalesce(terms_accepted_on, '')))"""
_ENDPOINT_COLUMNS = "endpoint_id, role, provider, requested_model, served_model, upstream, system_fingerprint, headers, " + _TERMS
_PROMPT_KEY = "salted('prompt' || chr(31) || prompt_id || chr(31) || strategy)"


def build_terms(terms: Iterable[Terms]) -> pl.DataFrame:
    """Terms as a frame of TERMS."""
    rows = [{**item._asdict(), "teacher": item.name, "base_lineage": list(item.base_lineage)} for item in terms]
    return pl.DataFrame([{name: row[name] for name in TERMS} for row in rows], schema=TERMS, orient="row")


def record_seeds(seeds: pl.DataFrame, recipe: str) -> Recording:
    """Seeds with their source and licence; one of which either was put right is recorded anew.

    Args:
        seeds: seed_corpus.
    """
    rows = seeds.select("seed_id", "kind", "licence", source="source_file")
    select = _select_seeds(f"(select salted(seed_id) as seed_id, {_quote(recipe)} as recipe, source, kind, licence from seeds_in)")
    return Recording("seeds", {"seed": select}, {"seeds_in": rows}, {"n_seeds": rows.height})


def _select_seeds(seeds: str) -> str:
    return f"""select n.*, getvariable('event_seq')::integer as event_seq from {seeds} n
      anti join (select seed_id, recipe, max_by({{'source': source, 'kind': kind, 'licence': licence}}, event_seq) as told
        from seed group by seed_id, recipe) k
      on k.seed_id = n.seed_id and k.recipe = n.recipe and k.told.source = n.source and k.told.kind = n.kind
        and k.told.licence is not distinct from n.licence"""


def record_real_samples(samples: pl.DataFrame, recipe: str) -> Recording:
    """Samples that people wrote, as generations of the endpoint `people`, each its own seed.

    Args:
        samples: real_samples.
    """
    rows = samples.select("sample_id", "licence", source="source_file")
    endpoint = f"""select {_ENDPOINT_ID.format(role="role")} as endpoint_id, * from (select distinct 'people' as role,
      null::varchar as provider, 'people' as requested_model, null::varchar as served_model, null::varchar as upstream,
      null::varchar as system_fingerprint, null::varchar as headers, null::varchar as family, []::varchar[] as base_lineage,
      licence, null::varchar as terms_url, null::varchar as terms_sha256, null::varchar as terms_accepted_on from real_in)"""
    new = "real_in where salted(sample_id) not in (select generation_id from generation)"
    segments = {
        "endpoint": f"select * from ({endpoint}) where endpoint_id not in (select endpoint_id from endpoint)",
        "prompt": _select_prompts("(select 'none' as prompt_id, 'real' as strategy from real_in limit 1)"),
        "seed": _select_seeds(
            f"(select salted(sample_id) as seed_id, {_quote(recipe)} as recipe, source, 'sample' as kind, licence from real_in)"
        ),
        "generation": f"""select salted(sample_id) as generation_id, salted(sample_id) as request_id, e.endpoint_id,
          salted('prompt' || chr(31) || 'none' || chr(31) || 'real') as prompt_key, 'ok' as status, 0::integer as sample_ix,
          0::integer as prompt_tokens, 0::integer as completion_tokens, getvariable('event_seq')::integer as event_seq
          from (select * from {new}) r join ({endpoint}) e on e.licence is not distinct from r.licence""",
        "derivation": f"select salted(sample_id) as child, salted(sample_id) as parent, 'seed' as role from {new}",
    }
    return Recording("generations", segments, {"real_in": rows}, {"n_generations": rows.height, "written_by": PEOPLE})


def record_generations(generations: pl.DataFrame, terms: pl.DataFrame, derivations: pl.DataFrame | None = None) -> Recording:
    """Who answered what, from which seeds.

    Args:
        generations: of raw_generations, its ids, SERVED, prompt, strategy, status, sample_ix and tokens. terms: as build_terms makes it.
        derivations: child, parent, role where a generation comes from more than its seed; None derives each from its seed alone.
    """
    answered = """(select distinct 'teacher' as role, g.provider, g.teacher as requested_model, g.served_model, g.upstream,
      g.system_fingerprint, g.endpoint_headers as headers, t.family, coalesce(t.base_lineage, []::varchar[]) as base_lineage, t.licence,
      t.terms_url, t.terms_sha256, t.terms_accepted_on from generations_in g left join terms_in t on t.teacher = g.teacher)"""
    endpoints = f"(select {_ENDPOINT_ID.format(role='role')} as endpoint_id, * from {answered})"
    same = " and ".join(
        f"e.{theirs} is not distinct from g.{ours}"
        for ours, theirs in zip(SERVED, ("requested_model", "provider", "served_model", "upstream", "system_fingerprint", "headers"), strict=True)
    )  # fmt: skip
    # By joins and from distinct prompts, so that an id is salted once: that is most of what recording costs.
    new = """(select n.* from (select *, salted(generation_id) as id from generations_in) n
      anti join generation k on k.generation_id = n.id)"""
    prompts = f"(select *, {_PROMPT_KEY} as prompt_key from (select distinct prompt_id, strategy from generations_in))"
    edges = "select generation_id as child, seed_id as parent, 'seed' as role from generations_in"
    edges = edges if derivations is None else "select child, parent, role from derivations_in"
    parents = f"(select parent, salted(parent) as id from (select distinct parent from ({edges})))"
    segments = {
        "endpoint": f"select {_ENDPOINT_COLUMNS} from {endpoints} where endpoint_id not in (select endpoint_id from endpoint)",
        "prompt": _select_prompts("generations_in"),
        "generation": f"""select g.id as generation_id, salted(g.request_id) as request_id, e.endpoint_id,
          p.prompt_key, g.generation_status as status, g.sample_ix::integer as sample_ix, g.prompt_tokens::integer as prompt_tokens,
          g.completion_tokens::integer as completion_tokens, getvariable('event_seq')::integer as event_seq
          from {new} g join {endpoints} e on {same} join {prompts} p on p.prompt_id = g.prompt_id and p.strategy = g.strategy""",
        "derivation": f"""select g.id as child, p.id as parent, d.role from ({edges}) d join {new} g on g.generation_id = d.child
          join {parents} p on p.parent = d.parent""",
    }
    frames = {"generations_in": generations, "terms_in": terms}
    if derivations is not None:
        frames["derivations_in"] = derivations
    return Recording("generations", segments, frames, {"n_generations": generations.height})


def _select_prompts(source: str) -> str:
    return f"""select * from (select {_PROMPT_KEY} as prompt_key, * from (select distinct prompt_id, strategy from {source}))
      where prompt_key not in (select prompt_key from prompt)"""


def record_judgments(
    samples: pl.DataFrame, verdicts: pl.DataFrame, terms: pl.DataFrame, quality: pl.DataFrame | None = None
) -> Recording:
    """How each sample was settled, and by which judges together; a judgment that differs from the last one is recorded anew.

    Args:
        samples: judged_samples. verdicts: of this build; canaries are left out. terms: of the critics. quality: quality_scores,
        where the recipe has a learned filter.
    """
    counted = verdicts.filter(~pl.col("is_canary") & (pl.col("verdict_status") != "unscored"))
    judges = [counted.select("generation_id", "layer", "judge")]
    if quality is not None:
        scored = quality.filter(pl.col("is_good").is_not_null())
        judges.append(scored.select("generation_id", layer=pl.lit("filter"), judge="scorer"))
    panels, members = find_panels(pl.concat(judges))
    rows = samples.select("sample_id", "sample_status", "label", score=pl.col("critic_score").cast(pl.Float32))
    rows = rows.join(panels, left_on="sample_id", right_on="generation_id", how="left").with_columns(
        pl.col("panel").fill_null(NOBODY)
    )
    critics = members.filter(pl.col("layer") == "critic")["judge"].unique().sort()
    endpoint = f"""select {_ENDPOINT_ID.format(role="role")} as endpoint_id, * from (select distinct 'judge' as role,
      null::varchar as provider, j.judge as requested_model, null::varchar as served_model, null::varchar as upstream,
      null::varchar as system_fingerprint, null::varchar as headers, t.family, coalesce(t.base_lineage, []::varchar[]) as base_lineage,
      t.licence, t.terms_url, t.terms_sha256, t.terms_accepted_on from critics_in j left join terms_in t on t.teacher = j.judge)"""
    segments = {
        "endpoint": f"select {_ENDPOINT_COLUMNS} from ({endpoint}) where endpoint_id not in (select endpoint_id from endpoint)",
        "panel": f"""select * from (select salted('panel' || chr(31) || panel) as panel_id, m.judge, m.layer, e.endpoint_id
          from members_in m left join ({endpoint}) e on e.requested_model = m.judge)
          where panel_id not in (select panel_id from panel)""",
        "judgment": """select j.* from (select salted(sample_id) as generation_id, p.panel_id, sample_status as status, score,
          label is not null as by_people, getvariable('event_seq')::integer as event_seq from judged_in
          join (select panel, salted('panel' || chr(31) || panel) as panel_id from (select distinct panel from judged_in)) p using (panel)) j
          anti join (select generation_id, max_by({'panel_id': panel_id, 'status': status, 'score': score, 'by_people': by_people},
            event_seq) as told from judgment group by generation_id) k on k.generation_id = j.generation_id
          and k.told.panel_id = j.panel_id and k.told.status = j.status and k.told.score is not distinct from j.score
          and k.told.by_people = j.by_people""",
    }
    frames = {
        "judged_in": rows, "members_in": members, "critics_in": pl.DataFrame({"judge": critics}),
        "terms_in": terms,
    }  # fmt: skip
    counts = dict(samples["sample_status"].value_counts().iter_rows())
    return Recording("verdicts", segments, frames, {"n_samples": samples.height, "by_status": dict(sorted(counts.items()))})


NOBODY = "\x1e"  # the panel of a sample that no judge settled
_BITS = 63


def find_panels(judges: pl.DataFrame) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Who settled each generation together.

    Args:
        judges: generation_id, layer, judge; a judge may have several rows of a generation.

    Returns:
        generation_id and panel; and the members: panel, layer, judge. A panel is named by its judges, sorted by layer and judge.
    """
    known = judges.select("layer", "judge").unique().sort("layer", "judge")
    # A judge is a bit: grouping numbers takes a tenth of the time and memory of grouping names.
    words = [f"bits_{word}" for word in range(known.height // _BITS + 1)]
    known = known.with_columns(
        pl.Series(name, [1 << i % _BITS if i // _BITS == word else 0 for i in range(known.height)], dtype=pl.Int64)
        for word, name in enumerate(words)
    )
    marked = judges.lazy().join(known.lazy(), on=["layer", "judge"]).group_by("generation_id")
    masks = marked.agg(pl.col(words).bitwise_or()).collect()
    members = masks.select(words).unique().join(known, how="cross", suffix="_own")
    own = pl.any_horizontal((pl.col(word) & pl.col(f"{word}_own")) != 0 for word in words)
    members = members.filter(own).sort("layer", "judge")
    named = members.group_by(words).agg(
        panel=pl.concat_str("layer", "judge", separator="\x1e").sort_by("layer", "judge").str.join("\x1f")
    )
    return masks.join(named, on=words).select("generation_id", "panel"), members.join(named, on=words).select(
        "panel", "layer", "judge"
    )


def record_duplicates(duplicates: pl.DataFrame, version: str, rules: Mapping[str, Any]) -> Recording:
    """Who stands for whom; `rules` is the spec that said so."""
    rows = duplicates.select("sample_id", "duplicate_of", "duplicate_kind").unique()
    select = f"""select salted(sample_id) as generation_id, salted(duplicate_of) as stands_for, duplicate_kind,
      salted({_quote(version)}) as run from duplicates_in where salted({_quote(version)}) not in (select run from duplicate)"""
    return Recording("duplicates", {"duplicate": select}, {"duplicates_in": rows}, {"rules": dict(rules), "n_marks": rows.height})


def record_hits(hits: pl.DataFrame, version: str, benchmarks: list[dict[str, Any]], rules: Mapping[str, Any]) -> Recording:
    """What leaks, and what was looked for: benchmarks with their digests. No hit and this record are the proof of a clean row."""
    select = f"""select salted(sample_id) as generation_id, benchmark, salted(item_id) as item, rule, action,
      salted({_quote(version)}) as run from hits_in where salted({_quote(version)}) not in (select run from hit)"""
    rows = hits.select("sample_id", "benchmark", "item_id", "rule", "action")
    facts = {"benchmarks": benchmarks, "rules": dict(rules), "n_hits": hits.height}
    return Recording("decontamination", {"hit": select}, {"hits_in": rows}, facts)


def record_dataset(dataset: pl.DataFrame, dropped: pl.DataFrame, version: str, facts: Mapping[str, Any]) -> Recording:
    """The rows that a student is trained on, each with the digest of what it learns, and how many left for which reason.

    Args:
        dataset: training_dataset. dropped: dropped_samples. facts: the versions of the tables that it was selected from.
    """
    snapshot = f"salted({_quote(version)})"
    rows = dataset.select("sample_id", "split", text=pl.concat_str("prompt", pl.lit("\x1e"), "completion"))
    is_new = f"{snapshot} not in (select distinct snapshot_id from snapshot_row)"
    segments = {
        "snapshot_row": f"""select {snapshot} as snapshot_id, salted(sample_id) as generation_id, salted(text) as row_digest, split,
          getvariable('event_seq')::integer as event_seq from dataset_in where {is_new}""",
        "dropped": f"""select {snapshot} as snapshot_id, {ORIGINS}, r.reason, count(*) as n_rows
          from (select salted(sample_id) as generation_id, drop_reason as reason from dropped_in) r
          {_join_origins("getvariable('event_seq')")} where {is_new} group by all""",
    }
    frames = {"dataset_in": rows, "dropped_in": dropped.select("sample_id", "drop_reason")}
    counted = dict(sorted(dropped["drop_reason"].value_counts().iter_rows()))
    known = {
        "data_version": version,
        "n_rows": rows.height,
        "dropped": counted,
        "by_split": dict(sorted(rows["split"].value_counts().iter_rows())),
    }
    return Recording("dataset", segments, frames, {**known, **facts})


# Where a row comes from. One of several sources counts: the one whose id is the smallest; the others stay in the derivations.
ORIGINS = "g.endpoint_id, g.prompt_key, j.panel_id, s.licence, s.source"


def _join_origins(before: str) -> str:
    """Joins that give a relation r of generation_id its ORIGINS, by what was known and judged up to an event."""
    return f"""left join generation g on g.generation_id = r.generation_id
      left join (select generation_id, arg_max(panel_id, event_seq) as panel_id from judgment
        where event_seq <= {before} group by generation_id) j on j.generation_id = r.generation_id
      left join (select child, min(parent) as parent from derivation where role = 'seed' group by child) d on d.child = r.generation_id
      left join (select seed_id, told.licence, told.source from (
        select seed_id, max_by({{'licence': licence, 'source': source}}, event_seq) as told from seed
        where event_seq <= {before} group by seed_id)) s on s.seed_id = d.parent"""


def record_checkpoint(
    exposure: pl.DataFrame | None, checkpoint_id: str, dataset_version: str, facts: Mapping[str, Any]
) -> Recording:
    """What the optimizer saw of each row, and the roll-up that audits read.

    Args:
        exposure: sample_id, n_times, n_tokens, n_loss_tokens, is_truncated, first_step; None for a checkpoint that nobody counted.
    """
    seen = pl.DataFrame(schema=EXPOSURE) if exposure is None else exposure.select(*EXPOSURE).cast(EXPOSURE)
    checkpoint = f"salted({_quote(checkpoint_id)})"
    seen_now = "(select salted(sample_id) as generation_id, n_times, n_tokens, n_loss_tokens from exposure_in)"
    is_new = f"{checkpoint} not in (select distinct checkpoint_id from mix)"
    segments = {
        "exposure": f"""select {checkpoint} as checkpoint_id, salted(sample_id) as generation_id, n_times, n_tokens, n_loss_tokens,
          is_truncated, first_step from exposure_in where n_times > 0 and {is_new}""",
        "mix": f"""select {checkpoint} as checkpoint_id, * from ({select_mix(f"salted({_quote(dataset_version)})", seen_now)})
          where {is_new}""",
    }
    return Recording(
        "checkpoint", segments, {"exposure_in": seen}, {"checkpoint": checkpoint_id, "data_version": dataset_version, **facts}
    )


EXPOSURE = {
    "sample_id": pl.String, "n_times": pl.Int32, "n_tokens": pl.Int64, "n_loss_tokens": pl.Int64, "is_truncated": pl.Boolean,
    "first_step": pl.Int32,
}  # fmt: skip


def select_mix(snapshot: str, exposure: str) -> str:
    """A SELECT of the roll-up of a snapshot's train split: who wrote, asked how, judged by whom, from which source.

    Args:
        snapshot: an SQL expression. exposure: a relation of generation_id, n_times, n_tokens, n_loss_tokens.
    """
    return f"""select {snapshot} as snapshot_id, {ORIGINS},
      count(*) as n_rows, count(*) filter (coalesce(x.n_times, 0) > 0) as n_rows_seen,
      coalesce(sum(x.n_tokens), 0)::bigint as n_tokens, coalesce(sum(x.n_loss_tokens), 0)::bigint as n_loss_tokens
      from (select generation_id from snapshot_row where snapshot_id = {snapshot} and split = 'train') r
      {_join_origins(f"(select min(event_seq) from snapshot_row where snapshot_id = {snapshot})")}
      left join {exposure} x on x.generation_id = r.generation_id
      group by all"""


def record_evaluations(evaluations: pl.DataFrame, checkpoint_id: str) -> Recording:
    """Figures of a checkpoint, each with the benchmark's version and digest."""
    select = f"""select * from (select salted(evaluation_id) as evaluation_id, salted({_quote(checkpoint_id)}) as checkpoint_id,
      * exclude (evaluation_id) from evaluations_in) where evaluation_id not in (select evaluation_id from evaluation)"""
    facts = {"checkpoint": checkpoint_id, "evaluations": evaluations.to_dicts()}
    return Recording("evaluation", {"evaluation": select}, {"evaluations_in": evaluations}, facts)


def _quote(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"
