"""The words under the grammar: forms of English, and a card's documentation read as phrases."""

from __future__ import annotations

import pytest

from distill_assets.clients.sql_grammar import english
from distill_assets.clients.sql_grammar.lexicon import read_lexicon
from distill_assets.clients.sql_grammar.query import Edge, Item, Query, Ref, Test, quote_where_needed, render
from distill_assets.databases import Column, Schema, Table


@pytest.mark.parametrize(
    ("one", "many"),
    [
        ("order", "orders"),
        ("city", "cities"),
        ("kind of bike", "kinds of bike"),
        ("day", "days"),
        ("bus", "buses"),
        ("person", "people"),
        ("points", "points"),
        ("branch", "branches"),
    ],
)
def test_plurals(one, many):
    assert english.pluralize(one) == many


@pytest.mark.parametrize(
    ("many", "one"),
    [
        ("order lines", "order line"),
        ("cities", "city"),
        ("branches", "branch"),
        ("people", "person"),
        ("addresses", "address"),
        ("staff", "staff"),
    ],
)
def test_singulars(many, one):
    assert english.singularize(many) == one


@pytest.mark.parametrize(
    ("past", "base"),
    [
        ("signed up", "sign up"),
        ("went on sale", "go on sale"),
        ("hired", "hire"),
        ("registered", "register"),
        ("shipped", "ship"),
        ("placed", "place"),
        ("took", "take"),
        ("applied", "apply"),
        ("started", "start"),
    ],
)
def test_base_forms(past, base):
    assert english.base_form(past) == base


@pytest.mark.parametrize(
    ("name", "words"), [("order_date", "order date"), ("OrderDate", "order date"), ("Unit Price (€)", "unit price"), ("x", "x")]
)
def test_names_become_words(name, words):
    assert english.split_name(name) == words


def make_column(name, type_, doc="", values=("1",), n=10, references=None):
    """Make a column of a card."""
    return Column(name, type_, doc, values, n, name == "id", references)


def test_documentation_gives_clauses_units_and_notes():
    card = Schema(
        "d",
        (
            Table("clients", "a person", 10, (make_column("id", "INTEGER"), make_column("name", "VARCHAR"))),
            Table(
                "sales", "a sale; also: deal", 90,
                (
                    make_column("id", "INTEGER"),
                    make_column("client_id", "INTEGER", "client who made the sale", references="clients.id"),
                    make_column("closed", "DATE", "date the sale was closed; also: closing date; empty when not closed", ("2024-01-31",)),
                    make_column("amount", "DOUBLE", "what was paid; unit: EUR"),
                ),
            ),
        ),
    )  # fmt: skip
    things = read_lexicon(card).things
    sale = things["sales"]
    columns = {c.ref.column: c for c in sale.columns}
    assert things["clients"].is_person and things["clients"].label.ref.column == "name"
    assert sale.nouns == ("sale", "deal") and not sale.has_label
    assert (columns["closed"].clause, columns["closed"].null_words, columns["closed"].nouns) == (
        "was closed",
        "not closed",
        ("closing date",),
    )
    assert (columns["amount"].family, columns["amount"].unit) == ("price", "EUR")
    assert sale.links[0].actor_verb == "made"


def test_a_key_to_a_table_outside_the_card_is_no_link():
    card = Schema("d", (Table("sales", "", 9, (make_column("id", "INTEGER"), make_column("x_id", "INTEGER", references="xs.id"))),))
    assert read_lexicon(card).things["sales"].links == ()


def test_a_query_has_one_form():
    fee, name = Ref("visits", "fee"), Ref("doctors", "name")
    query = Query(
        (Item("", name), Item("AVG", fee)), "visits", (Edge(Ref("visits", "doctor_id"), Ref("doctors", "id")),),
        (Test(Item("year", Ref("visits", "visited")), "=", "2024"),), group=(Item("", name),), order=Item("AVG", fee), descending=True, limit=3,
    )  # fmt: skip
    assert render(query) == (
        "SELECT doctors.name, AVG(visits.fee) FROM visits JOIN doctors ON visits.doctor_id = doctors.id"
        " WHERE year(visits.visited) = 2024 GROUP BY doctors.name ORDER BY AVG(visits.fee) DESC LIMIT 3"
    )


@pytest.mark.parametrize(
    ("name", "written"), [("fee", "fee"), ("Fee", '"Fee"'), ("order", '"order"'), ('a"b', '"a""b"'), ("2x", '"2x"')]
)
def test_identifiers_are_quoted_only_where_needed(name, written):
    assert quote_where_needed(name) == written
