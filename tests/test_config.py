"""recipe.yaml: frozen, strict, named by file and line; one dial sets the rest."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import ValidationError

from distill_assets.config import SCALES, Recipe, built_in_recipe, cache_folder, find_recipe_folders, load_recipe
from distill_assets.errors import RecipeError
from distill_assets.teachers import GenerateSpec

GOOD = "name: mine\ndatabases:\n  shop: shop.sql\n"


def load(folder: Path, text: str | bytes):
    (folder / "recipe.yaml").write_bytes(text if isinstance(text, bytes) else text.encode())
    return load_recipe(folder)


def test_the_folder_or_the_file_may_be_named(tmp_path: Path):
    found = load(tmp_path, GOOD)
    assert found.path == tmp_path.resolve()
    assert load_recipe(tmp_path / "recipe.yaml") == found


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (GOOD + "scales: tiny\n", r"recipe.yaml:4: scales: unknown field"),
        (GOOD + "generate:\n  samples_per_seed: 3\n  sample: 4\n", r"recipe.yaml:6: generate.sample: unknown field"),
        (GOOD + "student:\n  train:\n    epochs: 0\n", r"recipe.yaml:6: student.train.epochs: .*equal to 1 \(got '0'\)"),
        (GOOD + "teachers: [{model: m}, {model: m}]\n", r"two teachers are called 'm'; give each a name\nNothing was run"),
        (GOOD + "teachers: [{model: m, fallback: n}]\n", r"teacher 'm' falls back to 'n', which is no other teacher"),
        (GOOD + "teachers: [{model: m, fallback: m}]\n", r"teacher 'm' falls back to 'm', which is no other teacher"),
        (GOOD + "teachers: [{model: m, strategies: [hard]}]\n", r"serves the strategy 'hard'; known are write_sample"),
        (
            GOOD + "teachers: [{model: m, strategies: [a]}]\n"
            "generate: {strategies: {a: {prompt: p, samples_per_seed: 1}, b: {prompt: p, samples_per_seed: 1}}}\n",
            r"no teacher serves the strategy 'b'",
        ),
        (GOOD + "teacher: {model: m}\nteachers: [{model: n}]\n", r"either teacher \(one\) or teachers \(several\), not both"),
        (GOOD + "teacher:\n  model: m\n  endpoint: azure\n", r"recipe.yaml:4: teacher: endpoint azure needs base_url"),
        (
            GOOD + "teacher: {model: m, endpoint: openai, api_version: 2024-10-21x}\n",
            r"api_version is a parameter of endpoint azure only",
        ),
        (GOOD + "teacher: {batch: true}\n", r"the embedded teacher has no batch API"),
        (GOOD + "budget: {usd: 0}\n", r"recipe.yaml:4: budget.usd: .*greater than 0 \(got '0'\)"),
        (GOOD + "generate:\n  samples_per_seed: many\n", r"recipe.yaml:5: generate.samples_per_seed: .*\(got 'many'\)"),
        (GOOD + "scale: huge\n", r"recipe.yaml:4: scale: .*\(got 'huge'\)"),
        (GOOD + "generate: 3\n", r"recipe.yaml:4: generate: "),
        (GOOD + "generate:\n", r"recipe.yaml:4: generate: "),
        (GOOD + "seeds: []\n", r"recipe.yaml:4: seeds: "),
        (GOOD + "seeds: [1]\n", r"recipe.yaml:4: seeds.0: "),
        (GOOD + "evaluate:\n  models: [student, parrot]\n", r"recipe.yaml:5: evaluate.models.1: "),
        ("databases: {a: a.sql}\n", r"recipe.yaml:1: name: Field required"),
        ("name: mine\ndatabases: {}\n", r"recipe.yaml:2: databases: "),
        ("name: a b\ndatabases: {a: a.sql}\n", r"recipe.yaml:1: name: .*\(got 'a b'\)"),
        ("name: ../up\ndatabases: {a: a.sql}\n", r"recipe.yaml:1: name: "),
        ("name: mine\ndatabases: {'a b': a.sql}\n", r"database name 'a b'"),
        ("name: mine\n  bad: [\n", r"recipe.yaml:2: not YAML"),
        ("name: [\n", r"recipe.yaml:2: not YAML"),
        ("- a\n- b\n", r"recipe.yaml:1: expected a mapping of fields, got list"),
        ("", r"recipe.yaml:1: expected a mapping of fields, got NoneType"),
        (b"name: \xff\n", r"recipe.yaml: byte 6 is not UTF-8"),
        ("name: mine\nname: other\ndatabases: {a: a.sql}\n", r"recipe.yaml:2: not YAML: field 'name' stands twice"),
        ("name: !!python/object/apply:os.system ['true']\n", r"recipe.yaml:1: not YAML"),
        ("a: &a [x,x,x,x,x,x,x,x]\nname: " + "[" * 5000 + "\n", r"recipe.yaml:\d+: not YAML.*nested too deeply"),
    ],
)
def test_a_mistake_is_named_by_file_and_line(tmp_path: Path, text: str | bytes, words: str):
    with pytest.raises(RecipeError, match=words):
        load(tmp_path, text)


def test_all_mistakes_are_told_at_once_up_to_five(tmp_path: Path):
    with pytest.raises(RecipeError) as caught:
        load(tmp_path, GOOD + "".join(f"field{i}: 1\n" for i in range(7)))
    lines = str(caught.value).splitlines()
    assert [line.split(": ")[1] for line in lines[:5]] == [f"field{i}" for i in range(5)]
    assert lines[5:] == ["and 2 more", "Nothing was run."]


def test_a_missing_recipe_says_how_to_make_one(tmp_path: Path):
    with pytest.raises(RecipeError, match=r"cannot be read \(No such file.*distill new-recipe"):
        load_recipe(tmp_path / "nowhere")


def test_a_recipe_of_a_megabyte_is_refused(tmp_path: Path):
    with pytest.raises(RecipeError, match="is more than a recipe can be"):
        load(tmp_path, GOOD + "#" * (1 << 20))


def test_yaml_that_grows_when_read_is_no_memory_bomb(tmp_path: Path):
    layers = "".join(f"l{i}: &l{i} [{', '.join([f'*l{i - 1}'] * 9) if i else 'x'}]\n" for i in range(12))
    with pytest.raises(RecipeError):
        load(tmp_path, layers)


def test_a_recipe_is_frozen():
    with pytest.raises(ValidationError):
        Recipe(name="a", databases={"a": "a.sql"}).name = "b"


@pytest.mark.parametrize("scale", SCALES)
def test_the_dial_sets_the_rest_and_what_is_written_wins(tmp_path: Path, scale: str):
    plain = load(tmp_path, GOOD + f"scale: {scale}\n").recipe
    dialled = SCALES[scale].get("generate", {})
    assert plain.generate.samples_per_seed == dialled.get("samples_per_seed", GenerateSpec().samples_per_seed)
    own = load(tmp_path, GOOD + f"scale: {scale}\ngenerate: {{samples_per_seed: 5}}\nstudent: {{train: {{epochs: 9}}}}\n").recipe
    assert (own.generate.samples_per_seed, own.student.train.epochs) == (5, 9)
    assert own.student.train.learning_rate == plain.student.train.learning_rate
    assert own.student.base_model == plain.student.base_model


def test_only_literals_that_decide_a_result_are_an_identity():
    spec = Recipe(name="a", databases={"a": "a.sql"}).curate
    assert set(spec.identity("max_samples")) == set(type(spec).model_fields) - {"max_samples"}


def test_recipes_are_found_in_the_folder_or_named_by_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("DISTILL_RECIPES", raising=False)
    for name in ("b", "a"):
        (tmp_path / "recipes" / name).mkdir(parents=True)
        (tmp_path / "recipes" / name / "recipe.yaml").write_text(GOOD)
    (tmp_path / "recipes" / "notes").mkdir()
    assert find_recipe_folders() == [built_in_recipe("text_to_sql"), Path("recipes/a"), Path("recipes/b")]
    monkeypatch.setenv("DISTILL_RECIPES", "/x/one:/x/two")
    assert find_recipe_folders() == [Path("/x/one"), Path("/x/two")]


def test_the_built_in_recipe_loads():
    assert load_recipe(built_in_recipe("text_to_sql")).recipe.name == "text_to_sql"


def test_base_models_lie_in_one_place_for_all_workspaces_unless_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.delenv("DISTILL_CACHE", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    folders = set()
    for workspace in ("one", "two"):
        monkeypatch.setenv("DISTILL_HOME", str(tmp_path / workspace))
        folders.add(cache_folder())
    assert folders == {tmp_path / "cache" / "distill_assets"}
    monkeypatch.setenv("DISTILL_CACHE", str(tmp_path / "mine"))
    assert cache_folder() == tmp_path / "mine"
