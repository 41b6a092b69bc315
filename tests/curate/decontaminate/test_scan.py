"""The scan: independent of order and chunks, equal to plain Python, with evidence that stands in the text."""

from __future__ import annotations

import random

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from distill_assets.curate.decontaminate import build_item_index, find_overlaps, scan_documents
from distill_assets.curate.decontaminate import scan as scan_module
from distill_assets.curate.decontaminate.streams import NUMBER_WORDS, PARTING_MARKS, read_streams
from distill_assets.curate.decontaminate.tables import build_table, list_grams, scan_stream
from distill_assets.curate.words import hash_words, normalise
from distill_assets.curation import ContaminationSpec
from tests.curate.decontaminate.world import count_words, make_documents, make_items

FEW_WORDS = st.lists(st.sampled_from(["a", "b", "c"]), max_size=14).map(" ".join)
ITEMS = make_items(
    count_words(0, 30),
    count_words(20, 50),
    "What is coring?",
    "neural networks",
    "A man buys 3 pens and 40 cups for $5 each, how many?",
)
RULES = ("cover", "gpt3", "llama", "phi4", "tulu3", "open_r1")


def mix_documents(n: int = 60) -> pl.DataFrame:
    """Documents with pieces of items in them, some with letters beyond ASCII."""
    chance = random.Random(3)
    pieces = [
        *ITEMS["question"],
        "Ünïcode wörds",
        "lorem ipsum dolor.",
        "plain words\nof no item:",
        count_words(5, 20),
        count_words(22, 45),
    ]
    return make_documents(*(" ".join(chance.choices(pieces, k=chance.randint(0, 6))) for _ in range(n)))


@pytest.mark.parametrize("rule", RULES)
def test_order_and_chunks_decide_nothing(rule: str, monkeypatch: pytest.MonkeyPatch):
    documents, spec = mix_documents(), ContaminationSpec(rule=rule)
    whole = find_overlaps(ITEMS, documents, spec)
    assert whole.height > 20
    assert find_overlaps(ITEMS.reverse(), documents.sample(fraction=1, shuffle=True, seed=1), spec).equals(whole)
    index = build_item_index(ITEMS, spec)
    assert pl.concat([scan_documents(index, documents.slice(at, 7)) for at in range(0, 60, 7)]).equals(whole)
    monkeypatch.setattr(scan_module, "CHUNK_BYTES", 100)
    assert scan_documents(index, documents).equals(whole)


@pytest.mark.parametrize("rule", RULES)
def test_spans_stand_in_the_document_and_shares_are_shares(rule: str):
    documents = mix_documents()
    texts = dict(documents.iter_rows())
    for hit in find_overlaps(ITEMS, documents, ContaminationSpec(rule=rule)).iter_rows(named=True):
        text = (
            " ".join(texts[hit["document_id"]].lower().split())
            if hit["rule"] == "open_r1"
            else normalise(texts[hit["document_id"]])
        )
        assert hit["span"] in text
        assert 0 < len(hit["span"]) <= 200
        assert 0 < hit["coverage_frac"] <= 1


@settings(deadline=None)  # the first example compiles
@given(st.lists(FEW_WORDS, max_size=5), st.lists(FEW_WORDS, max_size=5), st.integers(1, 4))
def test_the_compiled_scan_finds_what_plain_python_finds(items: list[str], texts: list[str], n: int):
    table = build_table(*list_grams(read_streams(pl.Series(items, dtype=pl.String), {"words"})["words"], n), n)
    found = scan_stream(table, read_streams(pl.Series(texts, dtype=pl.String), {"words"})["words"], is_first_only=False)
    grams = {tuple(item.split()[at : at + n]) for item in items for at in range(len(item.split()) - n + 1)}
    expected = [
        (number, at)
        for number, text in enumerate(texts)
        for at in range(len(text.split()) - n + 1)
        if tuple(text.split()[at : at + n]) in grams
    ]
    assert [(int(text), int(at)) for text, at, _ in found] == expected


@settings(deadline=None)  # the first example compiles
@given(FEW_WORDS.filter(lambda text: len(text.split()) >= 3), FEW_WORDS)
def test_tulu_covers_what_plain_python_covers(item: str, text: str):
    """With words drawn from three, grams repeat in item and text; Tulu's share needs neither order nor place."""
    n, item_words = 3, item.split()
    grams = {tuple(text.split()[at : at + n]) for at in range(len(text.split()) - n + 1)}
    covered = {at + step for at in range(len(item_words) - n + 1) if tuple(item_words[at : at + n]) in grams for step in range(n)}
    from distill_assets.curate.decontaminate import cover_kernels

    stream = read_streams(pl.Series([item]), {"words"})["words"]
    table = build_table(*list_grams(stream, n), n)
    found = scan_stream(table, read_streams(pl.Series([text]), {"words"})["words"])
    widths = pl.Series([1000]).to_numpy()
    covers = cover_kernels.cover_variants(found, table.starts, table.posting_texts, table.posting_places, widths, n)
    assert [int(row[2]) for row in covers] == ([len(covered)] if covered else [])


@settings(deadline=None)  # the first example compiles
@given(st.text(alphabet="ab1 2,.’é\u200b\n", max_size=40))
def test_streams_part_words_as_the_normaliser_does(text: str):
    streams = read_streams(pl.Series([text]), {"words", "numbers", "spaced"})
    assert streams["words"].hashes.tolist() == hash_words(pl.Series([normalise(text)])).hashes.tolist()
    numbers = [word for word in normalise(text).split() if any(letter in "12" for letter in word)]
    places = streams["numbers"].places.tolist()
    assert places == sorted(places)
    assert (len(places) < len(normalise(text).split())) <= (len(numbers) > 1)
    assert len(streams["spaced"].hashes) == len(text.lower().split())


@pytest.mark.parametrize("mark", list(PARTING_MARKS))
def test_parting_marks_part_words_whatever_stands_beside_them(mark: str):
    assert [normalise(f"{left}{mark}{right}") for left, right in ("ab", "1b", "12", "éa")] == ["a b", "1 b", "1 2", "é a"]


def test_texts_are_left_as_they_were():
    texts = pl.Series(["Ünïcode “quoted” wörds", "plain"])
    before = texts.to_list()
    read_streams(texts, {"words", "numbers", "spaced"})
    assert texts.to_list() == before


def test_number_words_are_numbers():
    streams = read_streams(pl.Series([NUMBER_WORDS, "four 5 six x2 tens"]), {"numbers"})
    assert [int(size) for size in pl.Series(streams["numbers"].offsets).diff(null_behavior="drop")] == [1, 2]


def test_a_document_that_holds_a_whole_benchmark_names_the_best_and_says_how_many():
    questions = [count_words(at * 10, at * 10 + 10) for at in range(30)]
    hits = find_overlaps(make_items(*questions), make_documents("\n".join(questions), questions[3]), ContaminationSpec())
    assert hits.group_by("document_id").len().sort("document_id").rows() == [("d0000", 20), ("d0001", 1)]
    assert hits["n_hits"].to_list() == [30] * 20 + [1]


@pytest.mark.parametrize("rule", ["cover", "open_r1"])
def test_odd_texts_neither_fail_nor_take_for_ever(rule: str):
    item = count_words(0, 30)
    odd = [
        "",
        " ",
        "word",
        "\u200b",
        "?!",
        "ש" * 300,
        "שלום עולם " * 50,
        "ａｂｃ",
        "а" * 10,
        "\x00",
        "a" * 100_000,
        "\u202eabc\u202c",
        "\ud7ff",
    ]
    huge = [
        "lorem ipsum " * 400_000 + item + " dolor" * 800_000,  # 10 MB
        "what is " * 1_000_000,
        (item + " ") * 50_000,
        "neural networks. " * 500_000,
    ]
    hits = find_overlaps(
        make_items(item, "What is coring?", "neural networks"),
        make_documents(*odd, *huge),
        ContaminationSpec(rule=rule),
    )
    found = dict(hits.select("document_id", "item_id").rows())
    assert found["d0013"] == "i0"
    assert found["d0015"] == "i0"
    assert not any(f"d{number:04}" in found for number in range(13))


def test_lookalikes_and_unseen_marks_hide_nothing():
    item = "which pump does the company move to the pond on monday evening"
    hidden = item.replace("o", "о").replace("p", "p\u200b")
    assert find_overlaps(make_items(item), make_documents(hidden), ContaminationSpec())["action"].to_list() == ["drop"]


def test_a_missing_text_and_no_documents_are_clean():
    assert find_overlaps(
        ITEMS, pl.DataFrame({"document_id": ["d"], "text": [None]}, schema_overrides={"text": pl.String}), ContaminationSpec()
    ).is_empty()
    assert find_overlaps(ITEMS, make_documents().cast(pl.String), ContaminationSpec()).is_empty()
