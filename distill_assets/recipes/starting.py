"""recipe.yaml to start from: every field of the recipe model with its default and one-line meaning.

Belongs here: making that text. Does not belong here: what else is in the folder (suggestions, example)
and writing it (commands/new_recipe).

The text is made from config.Recipe, so it cannot drift from it: a field without a meaning here is an
error. What has a default stands as a comment, because a field that a recipe writes itself wins over
the `scale` dial.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

from pydantic import BaseModel

from distill_assets.config import Recipe
from distill_assets.teachers import Spec

HEAD = """\
# Recipe {name}: see it with `distill check-recipe {folder}`, build it with `distill run --recipe {folder}`.
# A line such as `#field: value` shows a default. To change one, take away its `#` (and that of its section).
# Defaults are those of scale full; tiny and small change some of them.
"""

MEANINGS = {
    "name": "prefix of the recipe's assets: letters, digits and _",
    "description": "one line for people",
    "owners": "owners shown in the UI: e-mail addresses or team:NAME",
    "task": "the only task there is",
    "scale": "tiny (checks the plumbing in minutes, learns little) | small | full; sets sizes, model and training together",
    "databases": "name -> SQL script, DuckDB or SQLite file; document tables and columns with COMMENT ON",
    "seeds": "files of topics, questions or documents that the teacher starts from",
    "seed_licence": "licence of seeds that name none",
    "holdout": "real questions with their right query; never trained on",
    "instances": "differently filled copies of each database that answers are compared on",
    "teacher": "who writes the training data",
    "teacher.name": "name that routes, fallbacks and provenance use; null is the model's",
    "teacher.model": "embedded/sql-grammar (rules, no key) or a model of an OpenAI-compatible endpoint",
    "teacher.endpoint": "compatible | openai | azure | openrouter | vllm | llama_cpp | litellm | gemini | anthropic | deepseek; null: by base_url",
    "teacher.base_url": "address of the endpoint; null is that of its kind",
    "teacher.api_version": "azure only: version of its dated API; null: the v1 API",
    "teacher.api_key_env": "environment variable that holds the key",
    "teacher.mode": "json_schema | tools | json | md_json: how the answer's form is asked for; null: as its kind takes it",
    "teacher.temperature": "0 to 2; null sends none",
    "teacher.max_tokens": "longest answer, in tokens",
    "teacher.extra_body": "further parameters of each request, as the endpoint names them",
    "teacher.error_frac": "errors that the embedded teacher plants, so that judging can be measured; 0 to 1",
    "teacher.max_reasks": "how often an answer of the wrong form is asked for again, with the error",
    "teacher.retry_truncated": "ask once more, with twice max_tokens, for an answer that was cut short",
    "teacher.retry_outcomes": "outcomes to ask for once more: invalid, truncated, refused, rejected, other_model",
    "teacher.batch": "use the endpoint's batch API: half the price, up to a day",
    "teacher.weight": "share of the requests among several teachers",
    "teacher.strategies": "strategies that it serves; empty: all",
    "teacher.fallback": "name of the teacher to ask where this one fails",
    "teacher.pin": "{served_model: NAME, otherwise: stop | warn}: the model that must have answered",
    "teacher.terms": "what it is, and under which terms its outputs may be used",
    "teacher.terms.family": "model family, such as llama or gpt",
    "teacher.terms.licence": "licence of its outputs",
    "teacher.terms.base_lineage": "models that it was made from, such as [meta-llama/Llama-3.1-8B]",
    "teacher.terms.checkpoint": "id of a checkpoint of yours that this teacher is",
    "teacher.terms.url": "where the terms stand",
    "teacher.terms.sha256": "SHA-256 of the terms as text, on the day they were accepted",
    "teacher.terms.accepted_on": "day on which they were accepted, as 2026-11-21",
    "teacher.price": "{input_usd_per_mtok: 0, output_usd_per_mtok: 0, as_of: 2026-11-21}; null: from the price table",
    "teacher.limits": "how hard the endpoint is asked; decides no result",
    "teacher.limits.concurrency": "most requests at a time; the number in use adapts",
    "teacher.limits.requests_per_minute": "the endpoint's limit; null: as it tells, else learnt",
    "teacher.limits.tokens_per_minute": "the endpoint's limit; null: as it tells",
    "teacher.limits.enqueued_tokens": "most prompt tokens in batches at once; null: as many as there are",
    "teacher.limits.timeout_s": "longest wait for a whole answer, in seconds",
    "teacher.limits.max_tries": "tries of a call that fails in passing",
    "teacher.limits.first_wait_s": "wait before the second try; doubles from try to try",
    "teachers": "several teachers instead of one, each with fields as under teacher",
    "budget": "the most that this recipe may ever spend on its teachers, over all runs",
    "budget.usd": "in USD; null: no bound",
    "budget.tokens": "in tokens read and written; null: no bound",
    "generate": "how seeds become requests",
    "generate.samples_per_seed": "requests for each seed",
    "generate.prompt": "file in prompts/, without .md",
    "generate.strategies": "several ways instead of prompt: NAME: {prompt: FILE, samples_per_seed: 5, kinds: [topic]}",
    "generate.seed": "another number, other samples",
    "judge": "what a sample is judged by",
    "judge.heuristics": "rules on the text, and bounds beyond which a sample is rejected",
    "judge.heuristics.disabled": "names of rules that are not applied",
    "judge.heuristics.min_question_chars": "shortest question, in characters",
    "judge.heuristics.max_question_chars": "longest question, in characters",
    "judge.heuristics.min_trace_chars": "shortest reasoning, in characters",
    "judge.heuristics.max_trace_chars": "longest reasoning, in characters",
    "judge.heuristics.min_answer_chars": "shortest answer, in characters",
    "judge.heuristics.max_sql_chars": "longest query or other answer, in characters",
    "judge.heuristics.answer_form": "sql | python | json | text: what an answer must be, without prose or fences",
    "judge.heuristics.answer_pattern": "regular expression that every answer must match somewhere; null: none",
    "judge.heuristics.language": "en | de | fr | es | it | pt | nl | ru | ar | zh | ja | ko: language of the questions; null: any",
    "judge.heuristics.doubt_words": "further words or phrases that mark an unsure answer",
    "judge.heuristics.min_overlap_frac": "least share of the answer's words that the question holds; null: no bound",
    "judge.heuristics.max_overlap_frac": "most of the answer that may be copied from the question, in runs of 3 words; null: no bound",
    "judge.heuristics.max_repeated_frac": "most of a text that may be repeated runs of 5 words; null: no bound",
    "judge.heuristics.max_compression_ratio": "how many times smaller a text may get when compressed; null: no bound",
    "judge.query_timeout_s": "longest run of a query, in seconds",
    "judge.sandbox": "where model-written code is run",
    "judge.sandbox.minimum": "weakest sandbox that it may run in; less stops the step",
    "judge.sandbox.cpu_s": "most processor time of one run, in seconds",
    "judge.sandbox.wall_s": "longest run by the clock, in seconds",
    "judge.sandbox.memory_mb": "most memory of one run, in MiB",
    "judge.shortcut": "what a right answer from a wrong derivation is: reject or mark",
    "judge.critics": "models that judge by a rubric",
    "judge.critics.judges": "endpoints, each with fields as under teacher, and use_logprobs",
    "judge.critics.rubric": "file in rubrics/, without .yaml",
    "judge.critics.prompt": "file in prompts/ that a critic is asked with, without .md",
    "judge.critics.pair_prompt": "file in prompts/ for comparing two samples, without .md",
    "judge.critics.threshold": "lowest score that passes, 0 to 1; null: the rubric's",
    "judge.critics.aggregate": "what several critics' scores become: mean | median | min | majority",
    "judge.critics.quorum": "fewest critics that must have scored",
    "judge.critics.ask_failed_frac": "share of samples that failed a cheaper check and is asked about all the same",
    "judge.critics.n_canaries": "known-bad answers that try to steer the judge, mixed in",
    "judge.critics.n_pairs": "pairs of samples compared in both orders",
    "judge.critics.same_family": "a critic of the teacher's or student's model family: flag or refuse",
    "judge.critics.families": "model families beside the known ones: part of a name -> family",
    "judge.review": "which samples people are shown, and when their labels overrule",
    "judge.review.accepted": "how many accepted samples are drawn",
    "judge.review.rejected": "how many rejected ones",
    "judge.review.unscored": "how many unscored ones",
    "judge.review.min_reviewers": "fewest people whose majority overrules the judges",
    "judge.review.seed": "another number, another drawing",
    "judge.quality": "a filter learnt from labels: {keep_frac: 0.8} or {target_precision: 0.95}; null: none",
    "curate": "what is marked in the accepted samples, and which are selected",
    "curate.duplicates": "samples that say the same",
    "curate.duplicates.fields": "what is compared, each by itself: question, answer, both",
    "curate.duplicates.jaccard": "share of word n-grams from which two samples are near duplicates; 0 to 1",
    "curate.duplicates.review_jaccard": "from here on they are only shown side by side",
    "curate.duplicates.shingle_words": "words in an n-gram",
    "curate.duplicates.literals": "strict: queries with other literals are never duplicates | free",
    "curate.duplicates.method": "exact: all pairs | minhash: for corpora beyond memory, can miss some",
    "curate.duplicates.engine": "auto | duckdb | compiled | daft; decides no result",
    "curate.duplicates.semantic_cosine": "cosine of embeddings from which two are duplicates (needs curate.embedding); null: none",
    "curate.contamination": "samples that leak a holdout or benchmark item",
    "curate.contamination.fields": "what is compared, each by itself: question, answer, both",
    "curate.contamination.rule": "cover | gpt3 | llama | phi4 | tulu3 | open_r1: which n-gram overlap counts",
    "curate.contamination.ngram": "words in a row that a sample must share with an item",
    "curate.contamination.min_coverage": "share of the item from which the sample is dropped; less is shown",
    "curate.contamination.abstract_numbers": "compare with numbers taken out as well",
    "curate.contamination.cosine": "cosine of embeddings from which a sample is dropped (needs curate.embedding)",
    "curate.contamination.review_cosine": "from here on the arbiter is asked, or without one people can look",
    "curate.contamination.n_neighbours": "nearest items that a sample is held against",
    "curate.contamination.arbiter": "endpoint that is asked whether two texts are the same item, as under teacher; null: none",
    "curate.contamination.prompt": "file in prompts/ that the arbiter is asked with, without .md",
    "curate.contamination.benchmarks": "NAME: {file: FILE, question: COLUMN} or {hub: OWNER/NAME, revision: COMMIT}",
    "curate.embedding": "model that turns texts into vectors: {model: minilm-l6-v2}; null: none",
    "curate.mix": "what the selected samples are made of",
    "curate.mix.quotas": "bounds on shares, as [{by: difficulty, value: easy, max_frac: 0.4}]",
    "curate.mix.max_per_template": "most samples of one template; null: no bound",
    "curate.mix.min_real_frac": "least share of samples that people wrote",
    "curate.mix.real_samples": "files of samples that people wrote: database, question, sql",
    "curate.collapse": "bounds on variety, beyond which nothing is trained; null: no bound",
    "curate.collapse.max_repeated_frac": "samples that repeat another one's question",
    "curate.collapse.max_compression_ratio": "how many times smaller the questions get when they are compressed",
    "curate.collapse.max_head_frac": "samples whose questions hold the same four words",
    "curate.collapse.max_opening_frac": "samples whose questions begin with the same four words",
    "curate.collapse.max_nearest_frac": "samples that share half of their word pairs with another one",
    "curate.collapse.max_template_frac": "samples of the most common template",
    "curate.collapse.min_template_effective_frac": "how varied templates are, as a share of the samples",
    "curate.collapse.max_loss_frac": "how much less varied than the seeds the samples may be",
    "curate.best_of": "samples kept for each prompt, the best first; null: all",
    "curate.max_samples": "most samples in the dataset",
    "curate.max_tokens": "most tokens in the dataset; null: no bound",
    "curate.prefer": "which samples stay when there are more: any | difficult (needs judge.quality) | best",
    "curate.order": "order of training: any | easy_first | hard_first",
    "curate.heldout_frac": "fraction of samples kept for the synthetic evaluation",
    "curate.seed": "another number, another choice",
    "student": "who learns",
    "student.base_model": "smollm2-135m-instruct | tiny | a local folder | a hub id with @revision",
    "student.train": "how it is trained",
    "student.train.epochs": "passes over the dataset",
    "student.train.batch_size": "rows a batch, or lines when packing; accumulation_steps batches make a step",
    "student.train.learning_rate": "highest rate, 1/step",
    "student.train.warmup_frac": "fraction of the steps in which the rate rises",
    "student.train.max_length": "longest row, or line when packing, in tokens",
    "student.train.frozen_frac": "share of a pretrained model's layers, from the bottom, that stay as they are",
    "student.train.save_every_steps": "steps between checkpoints to resume from",
    "student.train.dtype": "auto | float32 | bfloat16",
    "student.train.seed": "another number, another order of rows",
    "student.train.packing": "several rows in one line of up to max_length tokens; none sees another",
    "student.train.accumulation_steps": "batches whose gradients make one step",
    "student.train.long_rows": "a row longer than max_length: drop (left out and counted) | truncate (cut there)",
    "student.threads": "processor threads for training; null is all",
    "evaluate": "what is measured",
    "evaluate.max_synthetic_items": "most items of the synthetic held-out split",
    "evaluate.max_new_tokens": "longest answer, in tokens",
    "evaluate.models": "who answers the holdout",
    "evaluate.prompt": "file in prompts/ that a real teacher is asked with, without .md",
    "thresholds": "bounds that gate each step; a fraction is 0 to 1",
    "thresholds.min_seeds": "fewest seeds",
    "thresholds.min_holdout_items": "fewest holdout items",
    "thresholds.max_error_frac": "most requests that may fail",
    "thresholds.max_unscored_frac": "most samples that may stay unjudged",
    "thresholds.min_accept_frac": "fewest samples that must be accepted",
    "thresholds.max_accept_frac": "most samples that may be accepted; below 1 it notices judges that pass all",
    "thresholds.max_rule_reject_frac": "most samples that one rule may reject",
    "thresholds.max_canaries_passed_frac": "most known-bad answers that critics may pass",
    "thresholds.min_judge_kappa": "least agreement of critics with verifiers and people, as Cohen's kappa; null: no gate",
    "thresholds.min_judge_samples": "fewest samples that such an agreement is judged on",
    "thresholds.review_above_rows": "rows from which people must have looked before training; null: never",
    "thresholds.min_reviewed": "fewest randomly drawn accepted samples that they labelled",
    "thresholds.max_review_error_frac": "most of those that they may have rejected",
    "thresholds.min_training_rows": "fewest rows to train on",
    "thresholds.forbidden_pattern": "regular expression that no question or query may match",
}
# Words that YAML 1.1 does not read as text.
YAML_WORDS = ("null", "true", "false", "yes", "no", "on", "off", "y", "n")


def render_recipe(name: str, folder: str, databases: Mapping[str, str], settings: Mapping[str, Any]) -> str:
    """Return recipe.yaml: `settings` as they are, every other field with its default as a comment.

    Args:
        databases: name -> path in the folder. settings: fields to write, nested like the recipe.
    """
    written = {"name": name, "scale": "tiny", "databases": dict(databases), **settings}
    return HEAD.format(name=name, folder=folder) + "\n" + "\n".join(_render_fields(Recipe, written, "", "")) + "\n"


def _render_fields(model: type[BaseModel], written: Mapping[str, Any], place: str, indent: str) -> Iterator[str]:
    for name, field in model.model_fields.items():
        path = f"{place}{name}"
        mark = "" if name in written else "#"
        meaning = f"  # {MEANINGS[path]}"
        kind = field.annotation
        if isinstance(kind, type) and issubclass(kind, Spec):
            yield f"{mark}{indent}{name}:{meaning}"
            yield from _render_fields(kind, written.get(name, {}), f"{path}.", f"{indent}  ")
        elif name in written and isinstance(written[name], dict):
            yield f"{indent}{name}:{meaning}"
            yield from (f"{indent}  {key}: {_render_value(value)}" for key, value in written[name].items())
        else:
            yield f"{mark}{indent}{name}: {_render_value(written.get(name, field.default))}{meaning}"


def _render_value(value: object) -> str:
    """One value as JSON, which YAML reads; plain words without quotes."""
    if isinstance(value, str) and re.fullmatch(r"[A-Za-z][\w/.-]*", value) and value.lower() not in YAML_WORDS:
        return value
    return json.dumps(list(value) if isinstance(value, tuple) else value, ensure_ascii=False)
