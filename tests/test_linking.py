"""Which values, columns and tables a question mentions, on a database made for it."""

from __future__ import annotations

import duckdb
import pytest

from distill_assets.linking import MAX_HINTS, LinkIndex, build_index, link_question, stem

SCRIPT = """
create table doctors (id integer primary key, name varchar, specialty varchar, hourly_rate integer, grade varchar);
comment on table doctors is 'a doctor of the clinic; also: physician, practitioner';
comment on column doctors.hourly_rate is 'pay for an hour; also: wage, hourly pay; unit: USD';
create table visits (id integer primary key, doctor_id integer references doctors (id), "visit reason" varchar, note varchar);
insert into doctors values (1, 'Ann Lee', 'dermatology', 90, 'A'), (2, 'Bo O''Neil', 'cardiology', 80, 'B+');
insert into visits values (1, 1, 'follow-up', 'A'), (2, 2, 'check-up', null), (3, 2, 'dermatology', null);
"""


@pytest.fixture(scope="module")
def index(tmp_path_factory: pytest.TempPathFactory) -> LinkIndex:
    file = tmp_path_factory.mktemp("linking") / "clinic.duckdb"
    with duckdb.connect(str(file)) as con:
        con.execute(SCRIPT)
    return build_index(file)


def test_a_value_is_linked_in_its_stored_case_with_its_quotes_doubled(index: LinkIndex) -> None:
    assert link_question(index, "what does bo o'neil earn?")[0] == "doctors.name = 'Bo O''Neil'"


def test_a_value_that_two_columns_hold_names_both(index: LinkIndex) -> None:
    assert link_question(index, "anything about dermatology")[0] == "doctors.specialty or visits.visit reason = 'dermatology'"


def test_names_and_documented_synonyms_are_linked_in_singular_and_plural(index: LinkIndex) -> None:
    assert link_question(index, "wages of all physicians") == ["doctors.hourly_rate", "doctors"]
    assert link_question(index, "highest hourly pay") == ["doctors.hourly_rate"]


def test_a_word_near_a_value_is_linked_to_it(index: LinkIndex) -> None:
    assert link_question(index, "our cardiologists") == ["doctors.specialty = 'cardiology'"]
    assert link_question(index, "our cardigans") == []


def test_a_short_value_is_linked_only_as_it_is_written(index: LinkIndex) -> None:
    assert link_question(index, "is there a physician") == ["doctors"]
    assert "doctors.grade = 'B+'" in link_question(index, "doctors with grade B+")


def test_a_table_called_by_its_own_name_needs_no_hint(index: LinkIndex) -> None:
    assert link_question(index, "how many doctors are there") == []


def test_keys_are_never_linked(index: LinkIndex) -> None:
    assert link_question(index, "the id of the thing") == []


def test_the_longest_phrase_wins_and_hints_are_bounded(index: LinkIndex) -> None:
    assert link_question(index, "Ann Lee") == ["doctors.name = 'Ann Lee'"]
    assert len(link_question(index, "doctor visit name specialty grade note wage physician visit reason")) <= MAX_HINTS


@pytest.mark.parametrize(
    ("word", "expected"),
    [("Cities", "city"), ("bosses", "boss"), ("class", "class"), ("bus", "bus"), ("orders", "order"), ("Anna's", "anna")],
)
def test_stems_meet_singular_and_plural(word: str, expected: str) -> None:
    assert stem(word) == expected
