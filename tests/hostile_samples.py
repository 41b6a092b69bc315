"""What the hostile server says: texts drawn from a hash, over the little database of scenario.py.

Belongs here: drawing literals, questions and queries, and filling a JSON schema. Does not belong here: the
envelope around the text and what is done to it (hostile_answers.py), or HTTP (hostile_server.py).
"""

from __future__ import annotations

import datetime
import hashlib
import json
from typing import Any

HALLS = ("Grand Hall", "Opera House", "Town Square")
COUNTRIES = ("Norway", "Brazil", "Japan", "Kenya")
FIRST_DAY = datetime.date(2022, 1, 5)

# (question, reasoning, query): all of them run on the scenario's database, most find something there.
TEMPLATES = (
    (
        "how many concerts at the {hall} sold between {low} and {high} seats since {date}",
        "Take concerts. Keep the hall, the range of seats and the date. COUNT the rows.",
        "SELECT COUNT(*) FROM concerts WHERE hall = '{hall}' AND \"seats sold\" BETWEEN {low} AND {high} AND held >= DATE '{date}'",
    ),
    (
        "total seats sold at the {hall} between {date} and {until} at concerts that sold more than {low} seats",
        "Take concerts. Keep the hall, the dates and the seats. SUM the seats sold.",
        "SELECT SUM(\"seats sold\") FROM concerts WHERE hall = '{hall}' AND held BETWEEN DATE '{date}' AND DATE '{until}' "
        'AND "seats sold" > {low}',
    ),
    (
        "average seats sold at concerts by singers from {country} born after {year} that sold more than {low} seats by {until}",
        "Join concerts with singers. Keep country, birth, seats and date. AVG the seats sold.",
        "SELECT AVG(c.\"seats sold\") FROM concerts AS c JOIN singers AS s ON c.singer_id = s.id WHERE s.country = '{country}' "
        "AND s.born > {year} AND c.\"seats sold\" > {low} AND c.held <= DATE '{until}'",
    ),
    (
        "names of the singers born before {later} who gave a concert at the {hall} with more than {low} seats sold since {date}",
        "Join singers with concerts. Keep birth, hall, seats and date. List each name once.",
        "SELECT DISTINCT s.name FROM singers AS s JOIN concerts AS c ON c.singer_id = s.id WHERE s.born < {later} "
        "AND c.hall = '{hall}' AND c.\"seats sold\" > {low} AND c.held >= DATE '{date}' ORDER BY s.name",
    ),
    (
        "how many singers gave a concert at the {hall} after {date} that sold fewer than {high} seats",
        "Take concerts. Keep the hall, the date and the seats. COUNT each singer once.",
        "SELECT COUNT(DISTINCT singer_id) FROM concerts WHERE hall = '{hall}' AND held > DATE '{date}' AND \"seats sold\" < {high}",
    ),
    (
        "concerts per hall that sold more than {low} seats between {date} and {until}",
        "Take concerts. Keep the seats and the dates. COUNT the rows of each hall.",
        "SELECT hall, COUNT(*) FROM concerts WHERE \"seats sold\" > {low} AND held BETWEEN DATE '{date}' AND DATE '{until}' "
        "GROUP BY hall",
    ),
    (
        "largest number of seats sold at one concert held between {date} and {until} by a singer born after {year}",
        "Join concerts with singers. Keep the dates and the birth. MAX the seats sold.",
        'SELECT MAX(c."seats sold") FROM concerts AS c JOIN singers AS s ON c.singer_id = s.id WHERE s.born > {year} '
        "AND c.held BETWEEN DATE '{date}' AND DATE '{until}'",
    ),
    (
        "how many concerts with {low} to {high} seats sold did singers from {country} give since {date}",
        "Join concerts with singers. Keep country, seats and date. COUNT the rows.",
        "SELECT COUNT(*) FROM concerts AS c JOIN singers AS s ON c.singer_id = s.id WHERE s.country = '{country}' "
        "AND c.\"seats sold\" BETWEEN {low} AND {high} AND c.held >= DATE '{date}'",
    ),
)


class Draw:
    """Numbers drawn from a text, one after the other: the same text gives the same numbers."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.pool = int.from_bytes(hashlib.sha256(text.encode()).digest(), "big")

    def below(self, n: int) -> int:
        """A number from 0 to n - 1."""
        if self.pool < 1 << 64:
            self.pool = int.from_bytes(hashlib.sha256(f"{self.text}+{self.pool}".encode()).digest(), "big")
        self.pool, value = divmod(self.pool, n)
        return value

    def word(self) -> str:
        """Eight letters."""
        return "".join("abcdefghijklmnopqrstuvwxyz"[self.below(26)] for _ in range(8))


def share(text: str) -> float:
    """A number from 0 to 1 that depends on nothing but the text."""
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") / 2**64


def draw_sample(draw: Draw) -> dict[str, str]:
    """A question, the way to its query, and the query."""
    low, year, day = 50 + draw.below(200), 1962 + draw.below(28), draw.below(400)
    literals = {
        "hall": HALLS[draw.below(3)],
        "country": COUNTRIES[draw.below(4)],
        "low": low,
        "high": low + 60 + draw.below(140),
        "year": year,
        "later": year + 5 + draw.below(20),
        "date": FIRST_DAY + datetime.timedelta(days=day),
        "until": FIRST_DAY + datetime.timedelta(days=day + 120 + draw.below(300)),
    }
    question, reasoning, sql = (text.format_map(literals) for text in TEMPLATES[draw.below(len(TEMPLATES))])
    return {"question": question, "reasoning": reasoning, "sql": sql}


def fill_schema(schema: dict[str, Any], draw: Draw) -> Any:
    """A value that the schema accepts; properties named question, reasoning and sql belong together."""
    return _fill(schema, schema.get("$defs") or schema.get("definitions") or {}, draw, "text", None)


def _fill(schema: dict[str, Any], defs: dict[str, Any], draw: Draw, name: str, sample: dict[str, str] | None) -> Any:
    if "$ref" in schema:
        return _fill(defs[schema["$ref"].rpartition("/")[2]], defs, draw, name, sample)
    if "const" in schema:
        return schema["const"]
    if "enum" in schema:
        return schema["enum"][draw.below(len(schema["enum"]))]
    for key in ("anyOf", "oneOf", "allOf"):
        if key in schema:
            return _fill(_first_that_is_not_null(schema[key]), defs, draw, name, sample)
    kind = schema.get("type") or ("object" if "properties" in schema else "string")
    if isinstance(kind, list):
        kind = next((k for k in kind if k != "null"), "null")
    if kind == "object":
        own = draw_sample(draw)
        return {key: _fill(part, defs, draw, key, own) for key, part in schema.get("properties", {}).items()}
    if kind == "array":
        return [_fill(schema.get("items") or {}, defs, draw, name, sample) for _ in range(max(1, schema.get("minItems", 1)))]
    return _fill_scalar(kind, schema, draw, name, sample)


def _first_that_is_not_null(options: list[dict[str, Any]]) -> dict[str, Any]:
    return next((option for option in options if option.get("type") != "null"), options[0])


def _fill_scalar(kind: str, schema: dict[str, Any], draw: Draw, name: str, sample: dict[str, str] | None) -> Any:
    if kind == "string":
        text = sample[name] if sample and name in sample else f"{name} {draw.word()}"
        return text.ljust(schema.get("minLength", 0), ".")[: schema.get("maxLength")]
    if kind == "boolean":
        return draw.below(2) == 1
    if kind == "null":
        return None
    low = schema.get("minimum", schema.get("exclusiveMinimum", -1) + 1)
    high = schema.get("maximum", schema.get("exclusiveMaximum", low + 101) - 1)
    if kind == "integer":
        return int(low) + draw.below(max(1, int(high) - int(low) + 1))
    return low + (high - low) * draw.below(1001) / 1000


def wanted_schema(body: dict[str, Any]) -> tuple[dict[str, Any] | None, str | None]:
    """The schema that a request asks to be filled, and the tool that it is to be handed to."""
    tools = body.get("tools") or []
    if tools and body.get("tool_choice") != "none":
        function = tools[0]["function"]
        return function.get("parameters") or {"type": "object"}, function["name"]
    form = body.get("response_format") or {}
    return (form.get("json_schema") or {}).get("schema"), None


def write_text(body: dict[str, Any], draw: Draw) -> str:
    """The JSON text that answers a request; without a schema, a sample."""
    schema, _ = wanted_schema(body)
    return json.dumps(draw_sample(draw) if schema is None else fill_schema(schema, draw))
