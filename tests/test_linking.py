"""Which values, columns and tables a question mentions, on a database made for it."""

from __future__ import annotations

import duckdb
import pytest

from distill_assets.linking import MAX_HINTS, MAX_WORDS, LinkIndex, build_index, link_question, stem

SCRIPT = """
create table doctors (id integer primary key, name varchar, specialty varchar, hourly_rate integer, grade varchar);
comment on table doctors is 'a doctor of the clinic; also: physician, practitioner';
comment on column doctors.hourly_rate is 'pay for an hour; also: wage, hourly pay; unit: USD';
create table rooms (id integer primary key, floor varchar);
create table visits (
  id integer primary key, doctor_id integer references doctors (id), deputy_doctor_id integer references doctors (id),
  "visit reason" varchar, note varchar
);
comment on column visits.deputy_doctor_id is 'the doctor who stood in; also: substitute';
create table bills (id integer primary key, visit_id integer references visits (id), amount integer);
insert into doctors values (1, 'Ann Lee', 'dermatology', 90, 'A'), (2, 'Bo O''Neil', 'cardiology', 80, 'B+');
insert into visits values (1, 1, null, 'follow-up', 'A'), (2, 2, 1, 'check-up', null), (3, 2, null, 'dermatology', repeat('word ', 5000));
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


def test_foreign_keys_follow_where_two_tables_are_mentioned(index: LinkIndex) -> None:
    assert link_question(index, "bills of each visit") == ["bills.visit_id = visits.id"]
    assert link_question(index, "rooms and doctors") == []


def test_the_way_between_tables_goes_through_those_in_between(index: LinkIndex) -> None:
    assert link_question(index, "bills of Ann Lee's substitute") == [
        "doctors.name = 'Ann Lee'",
        "bills.visit_id = visits.id",
        "visits.deputy_doctor_id = doctors.id",
    ]


def test_of_two_keys_between_the_same_tables_the_named_one_is_shown_else_both(index: LinkIndex) -> None:
    assert link_question(index, "visits by deputy doctor")[-1] == "visits.deputy_doctor_id = doctors.id"
    assert link_question(index, "visits by doctor")[-1] == "visits.doctor_id or visits.deputy_doctor_id = doctors.id"


def test_a_value_is_linked_by_its_last_words_unless_they_name_something_else(index: LinkIndex) -> None:
    assert "doctors.name = 'Ann Lee'" in link_question(index, "what does dr lee earn")


@pytest.mark.parametrize("word", ["cardiology-trained", "non-cardiology"])
def test_a_part_of_a_word_with_a_hyphen_is_linked(index: LinkIndex, word: str) -> None:
    assert link_question(index, f"{word} staff") == ["doctors.specialty = 'cardiology'"]


def test_a_value_with_a_hyphen_stays_whole(index: LinkIndex) -> None:
    assert link_question(index, "anything for a check-up") == ["visits.visit reason = 'check-up'"]


def test_texts_too_long_to_stand_in_a_question_are_not_indexed(index: LinkIndex) -> None:
    assert max(len(phrase.split()) for phrase in index.values) <= MAX_WORDS
