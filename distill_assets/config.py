"""What a recipe says, and the process's few environment settings.

Belongs here: the frozen recipe model, reading recipe.yaml with errors that name file and line, the
`scale` dial, and every read of the environment. Does not belong here: what is done with it.

A function elsewhere takes the narrow spec that it needs; only definitions takes a whole recipe.
Endpoints, key names, paths, threads and concurrency decide no result, so they are in no fingerprint.
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any, Literal, NamedTuple

import yaml
from pydantic import Field, ValidationError, model_validator

from distill_assets.curation import CurateSpec
from distill_assets.errors import RecipeError
from distill_assets.judging import JudgeSpec
from distill_assets.teachers import NAME_PATTERN, BudgetSpec, GenerateSpec, Spec, TeacherSpec, find_routing_problem

MAX_RECIPE_BYTES = 1 << 20
BUILT_IN_RECIPE = "text_to_sql"


# Fields that checkpoints were named without: at their default they leave the weights, and so the name, as they were.
LATER_TRAIN_FIELDS = ("packing", "accumulation_steps", "long_rows")


class TrainSpec(Spec):
    """How the student is trained. Learning rate in 1/step; lengths in tokens.

    `frozen_frac` is the share of a pretrained model's layers, from the bottom, that stay as they are,
    with the embeddings; a model from scratch is never frozen. With `packing` several rows share one line of up to
    `max_length` tokens, none of which sees another, and `batch_size` counts lines. A step takes `accumulation_steps`
    batches, and its gradient is that of the mean over all their labelled tokens.
    """

    epochs: int = Field(1, ge=1, le=100)
    batch_size: int = Field(8, ge=1)
    learning_rate: float = Field(4e-4, gt=0)
    warmup_frac: float = Field(0.05, ge=0, lt=1)
    max_length: int = Field(256, ge=16)
    frozen_frac: float = Field(0.1, ge=0, lt=1)
    save_every_steps: int = Field(90, ge=1)
    dtype: Literal["auto", "float32", "bfloat16"] = "auto"
    seed: int = 17
    packing: bool = False
    accumulation_steps: int = Field(1, ge=1)
    long_rows: Literal["drop", "truncate"] = "drop"

    def identity(self, *leave_out: str) -> dict[str, Any]:
        """The literals that decide the weights; a later field counts only when it is used, so that older checkpoints keep their id."""
        unused = [name for name in LATER_TRAIN_FIELDS if getattr(self, name) == type(self).model_fields[name].default]
        return super().identity(*leave_out, *unused)


class StudentSpec(Spec):
    """Which model learns: smollm2-135m-instruct, tiny, a local folder or a hub id with @revision."""

    base_model: str = "smollm2-135m-instruct"
    train: TrainSpec = TrainSpec()
    threads: int | None = Field(None, ge=1)


class EvaluateSpec(Spec):
    """What is measured: items of the synthetic held-out split, the longest answer in tokens, and who is asked.

    A teacher that cannot answer, as the embedded one, is left out; `prompt` is what another one is asked with.
    """

    max_synthetic_items: int = Field(120, ge=0)
    max_new_tokens: int = Field(72, ge=4)
    models: tuple[Literal["student", "base", "teacher"], ...] = ("student", "base", "teacher")
    prompt: str = "answer_question.v1"


class ThresholdSpec(Spec):
    """Bounds that gate each materialization; fractions of rows.

    `min_judge_kappa` is the least agreement of a critic with verifiers and with people, each with at least
    `min_judge_samples` samples of both kinds. Nothing is trained on more than `review_above_rows` rows before people
    labelled `min_reviewed` randomly drawn accepted samples and rejected at most `max_review_error_frac` of them.
    """

    min_seeds: int = Field(3, ge=1)
    min_holdout_items: int = Field(5, ge=1)
    max_error_frac: float = Field(0.05, ge=0, le=1)
    max_unscored_frac: float = Field(0.2, ge=0, le=1)
    min_accept_frac: float = Field(0.5, ge=0, le=1)
    max_accept_frac: float = Field(1.0, ge=0, le=1)
    max_rule_reject_frac: float = Field(0.5, ge=0, le=1)
    max_canaries_passed_frac: float = Field(0.0, ge=0, le=1)
    min_judge_kappa: float | None = Field(None, ge=-1, le=1)
    min_judge_samples: int = Field(20, ge=1)
    review_above_rows: int | None = Field(None, ge=0)
    min_reviewed: int = Field(50, ge=1)
    max_review_error_frac: float = Field(0.1, ge=0, le=1)
    min_training_rows: int = Field(50, ge=1)
    forbidden_pattern: str | None = None


# One dial sets the rest: what a scale changes against the defaults above. Sizes are measured in
# benchmarks/README.md; a field that the recipe writes itself wins over the dial.
SCALES: dict[str, dict[str, dict[str, Any]]] = {
    "full": {},
    "small": {"generate": {"samples_per_seed": 8}, "curate": {"max_samples": 960}},
    "tiny": {
        "generate": {"samples_per_seed": 3},
        "curate": {"max_samples": 400, "heldout_frac": 0.1},
        "student": {
            "base_model": "tiny",
            "threads": 1,
            "train": {"epochs": 1, "batch_size": 16, "learning_rate": 3e-3, "save_every_steps": 5},
        },
        "evaluate": {"max_synthetic_items": 20, "max_new_tokens": 24},
        "thresholds": {"min_training_rows": 10},
    },
}


class Recipe(Spec):
    """One distillation: a folder with recipe.yaml, seeds, holdout, prompts and databases."""

    name: str = Field(pattern=NAME_PATTERN)
    description: str = ""
    owners: tuple[str, ...] = ("team:distill",)
    task: Literal["text_to_sql"] = "text_to_sql"
    scale: Literal["tiny", "small", "full"] = "full"
    databases: dict[str, str] = Field(min_length=1)
    seeds: tuple[str, ...] = Field(("seeds/*",), min_length=1)
    seed_licence: str = "unspecified"
    holdout: str = "holdout.jsonl"
    instances: int = Field(2, ge=1, le=10)
    teacher: TeacherSpec = TeacherSpec()
    teachers: tuple[TeacherSpec, ...] = ()
    budget: BudgetSpec = BudgetSpec()
    generate: GenerateSpec = GenerateSpec()
    judge: JudgeSpec = JudgeSpec()
    curate: CurateSpec = CurateSpec()
    student: StudentSpec = StudentSpec()
    evaluate: EvaluateSpec = EvaluateSpec()
    thresholds: ThresholdSpec = ThresholdSpec()

    @model_validator(mode="before")
    @classmethod
    def turn_the_dial(cls, data: Any) -> Any:
        """Lay the recipe's own fields over the chosen scale's."""
        if not isinstance(data, dict):
            return data
        return _overlay(SCALES.get(str(data.get("scale", "full")), {}), data)

    @model_validator(mode="after")
    def check_names(self) -> Recipe:
        """Refuse database names that cannot be a table prefix or a file name."""
        bad = [name for name in self.databases if not re.match(NAME_PATTERN, name)]
        if bad:
            raise ValueError(f"database name {bad[0]!r} must match {NAME_PATTERN}")
        return self

    @model_validator(mode="after")
    def check_selector(self) -> Recipe:
        """Refuse to select by a figure that nobody takes."""
        if self.curate.prefer == "difficult" and self.judge.quality is None:
            raise ValueError("curate.prefer: difficult needs the local model's reading; add judge: {quality: {}}")
        return self

    @model_validator(mode="after")
    def check_teachers(self) -> Recipe:
        """Refuse teachers that routing could not tell apart or would never reach."""
        if self.teachers and "teacher" in self.model_fields_set:
            raise ValueError("write either teacher (one) or teachers (several), not both")
        problem = find_routing_problem(self.list_teachers(), set(self.generate.list_strategies()))
        if problem:
            raise ValueError(problem)
        return self

    def list_teachers(self) -> tuple[TeacherSpec, ...]:
        """All teachers, in the recipe's order; the first one also answers the holdout."""
        return self.teachers or (self.teacher,)


def _overlay(under: dict[str, Any], over: dict[str, Any]) -> dict[str, Any]:
    merged = dict(under)
    for key, value in over.items():
        both_maps = isinstance(value, dict) and isinstance(merged.get(key), dict)
        merged[key] = _overlay(merged[key], value) if both_maps else value
    return merged


class RecipeFolder(NamedTuple):
    """A recipe and the folder that its relative paths start from."""

    recipe: Recipe
    path: Path


def load_recipe(folder: Path) -> RecipeFolder:
    """Read `folder`/recipe.yaml.

    Raises:
        RecipeError: naming file, line, field and value of the first five mistakes.
    """
    folder = folder.resolve()
    file = folder / "recipe.yaml" if folder.is_dir() else folder
    text = _read_recipe_text(file)
    try:
        data = yaml.load(text, _RecipeLoader)  # a safe loader
    except RecursionError as error:
        raise RecipeError(f"{file}:1: not YAML that a recipe needs: nested too deeply. Nothing was run.") from error
    except yaml.YAMLError as error:
        line = getattr(getattr(error, "problem_mark", None), "line", 0) + 1
        raise RecipeError(f"{file}:{line}: not YAML: {getattr(error, 'problem', error)}. Nothing was run.") from error
    if not isinstance(data, dict):
        raise RecipeError(f"{file}:1: expected a mapping of fields, got {type(data).__name__}. Nothing was run.")
    try:
        return RecipeFolder(Recipe.model_validate(data), file.parent)
    except ValidationError as error:
        raise RecipeError(_explain(file, text, error)) from error


class _RecipeLoader(yaml.SafeLoader):
    """YAML's safe loader, which refuses a field that stands twice instead of taking the last one."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict:
        """Build a mapping; its keys differ."""
        seen: set[str] = set()
        for key, _ in node.value:
            if isinstance(key, yaml.ScalarNode) and key.value in seen:
                raise yaml.constructor.ConstructorError(problem=f"field {key.value!r} stands twice", problem_mark=key.start_mark)
            seen.add(key.value if isinstance(key, yaml.ScalarNode) else "")
        return super().construct_mapping(node, deep)


def _read_recipe_text(file: Path) -> str:
    try:
        if file.stat().st_size > MAX_RECIPE_BYTES:
            raise RecipeError(f"{file}: {file.stat().st_size} bytes is more than a recipe can be ({MAX_RECIPE_BYTES}).")
        return file.read_text(encoding="utf-8")
    except OSError as error:
        raise RecipeError(
            f"{file}: cannot be read ({error.strerror}). Nothing was run. Make one with: distill new-recipe NAME"
        ) from error
    except UnicodeDecodeError as error:
        raise RecipeError(f"{file}: byte {error.start} is not UTF-8. Save the file as UTF-8.") from error


def _explain(file: Path, text: str, error: ValidationError) -> str:
    lines = []
    for item in error.errors()[:5]:
        where = [str(part) for part in item["loc"]]
        is_whole = item["type"] == "missing" or (item["type"] == "value_error" and isinstance(item["input"], dict))
        shown = "" if is_whole else f" (got {str(item['input'])[:60]!r})"
        message = "unknown field" if item["type"] == "extra_forbidden" else item["msg"].removeprefix("Value error, ")
        lines.append(f"{file}:{find_line(text, where)}: {'.'.join(where) or 'recipe'}: {message}{shown}")
    more = error.error_count() - len(lines)
    return "\n".join([*lines, *([f"and {more} more"] if more > 0 else []), "Nothing was run."])


def find_line(text: str, where: list[str]) -> int:
    """Return the 1-based line on which the field at path `where` stands, or of its nearest parent."""
    try:
        node = yaml.compose(text)
    except yaml.YAMLError:
        return 1
    line = 1
    for part in where:
        pairs = getattr(node, "value", None)
        if isinstance(node, yaml.MappingNode):
            match = [(key, value) for key, value in pairs if key.value == part]
            if not match:
                return line
            line, node = match[0][0].start_mark.line + 1, match[0][1]
        elif isinstance(node, yaml.SequenceNode) and part.isdigit() and int(part) < len(pairs):
            node = pairs[int(part)]
            line = node.start_mark.line + 1
    return line


# --- the environment: read here and nowhere else -------------------------------------------------


def home_folder() -> Path:
    """The workspace folder: $DISTILL_HOME, else .distill in the current folder."""
    return Path(os.environ.get("DISTILL_HOME") or ".distill").absolute()


def dagster_home() -> Path:
    """Dagster's own folder: $DAGSTER_HOME, else inside the workspace."""
    return Path(os.environ.get("DAGSTER_HOME") or home_folder() / "dagster").absolute()


def cache_folder() -> Path:
    """Where base models are kept: $DISTILL_CACHE, else distill_assets in the person's cache, one for all workspaces."""
    named = os.environ.get("DISTILL_CACHE")
    return Path(named or Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "distill_assets").absolute()


def read_secret(variable: str) -> str | None:
    """The value of the environment variable that holds a key; never stored, never logged."""
    return os.environ.get(variable)


def find_proxy(url: str) -> str | None:
    """The proxy that the environment names for an address ($HTTPS_PROXY, $HTTP_PROXY, $NO_PROXY), or None."""
    from urllib.parse import urlsplit
    from urllib.request import getproxies, proxy_bypass

    parts = urlsplit(url)
    return None if not parts.hostname or proxy_bypass(parts.hostname) else getproxies().get(parts.scheme)


def find_recipe_folders() -> list[Path]:
    """Recipe folders to load: $DISTILL_RECIPES, else the built-in one and ./recipes/*."""
    named = os.environ.get("DISTILL_RECIPES")
    if named:
        return [Path(part) for part in named.split(os.pathsep) if part]
    own = sorted(file.parent for file in Path("recipes").glob("*/recipe.yaml"))
    return [built_in_recipe(BUILT_IN_RECIPE), *own]


def built_in_recipe(name: str) -> Path:
    """Folder of a recipe that comes with the package."""
    return Path(__file__).parent / "recipes" / name


def count_cores() -> int:
    """Processors that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def count_free_bytes() -> int:
    """Memory that can be taken without swapping, in bytes, by the kernel's own estimate."""
    try:
        fields = dict(line.split(":", 1) for line in Path("/proc/meminfo").read_text(encoding="ascii").splitlines())
        return int(fields["MemAvailable"].split()[0]) * 1024
    except (OSError, KeyError, ValueError):  # not Linux: half of all there is
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 2


def export_setting(variable: str, value: str) -> None:
    """Set an environment variable for libraries and child processes that read it."""
    os.environ[variable] = value
