# ruff: noqa: E501 (reasonings read best one a line)
"""Reasonings: sums, queries within, and what is said of the final query; unknown words prove nothing."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from distill_assets.clients.sql_grammar.writer import write_sample
from distill_assets.databases import read_schema
from distill_assets.verifiers.registry import STATUSES
from distill_assets.verifiers.sql.execution import SqlRunner
from distill_assets.verifiers.steps.arithmetic import check_equations
from distill_assets.verifiers.steps.split import split_steps
from distill_assets.verifiers.steps.verify import verify_steps

REVENUE = (
    "SELECT c.name, SUM(o.total) AS revenue FROM customers c JOIN orders o ON o.customer_id = c.id"
    " WHERE o.status = 'delivered' AND EXTRACT(YEAR FROM o.placed_at) = 2024 AND o.total > 20"
    " GROUP BY c.id, c.name HAVING COUNT(*) >= 3 ORDER BY revenue DESC, c.name LIMIT 5"
)


OTHER_WORDS = [
    (
        "The user wants the number of orders per city in 2023, so we group orders by city and count. We filter on the year of the order date.",
        "SELECT city, COUNT(*) FROM orders WHERE year(order_date) = 2023 GROUP BY city",
    ),
    (
        "To get the cheapest product I look for the minimum price. I order by price and take the first row.",
        "SELECT name FROM products ORDER BY price LIMIT 1",
    ),
    (
        "We need the most recent order for each customer. Use a window function ordering by order_date descending, keep row number 1.",
        "SELECT * FROM (SELECT *, ROW_NUMBER() OVER (PARTITION BY customer_id ORDER BY order_date DESC) AS rn FROM orders) WHERE rn = 1",
    ),
    (
        "Total revenue = quantity * unit_price summed over lines. Join order_lines to products on product_id. Group by products.category. Sort by the total in descending order.",
        "SELECT p.category, SUM(l.quantity * p.unit_price) AS total FROM order_lines l JOIN products p ON l.product_id = p.id GROUP BY p.category ORDER BY total DESC",
    ),
    (
        "Customers who never ordered: keep customers whose id is not in orders. Use NOT EXISTS.",
        "SELECT name FROM customers c WHERE NOT EXISTS (SELECT 1 FROM orders o WHERE o.customer_id = c.id)",
    ),
    (
        "Count distinct customers: COUNT(DISTINCT customer_id). Filter with status = 'paid'.",
        "SELECT COUNT(DISTINCT customer_id) FROM orders WHERE status = 'paid'",
    ),
    (
        "The average order value is SUM(total) / COUNT(*). So compute the average of total.",
        "SELECT SUM(total) / COUNT(*) FROM orders",
    ),
    (
        "Find patients older than 60, i.e. born before 1965-01-01. Select their names.",
        "SELECT name FROM patients WHERE birth_date < '1965-01-01'",
    ),
    (
        "I take the top 3 doctors by number of visits: group by doctor, count visits, order by count desc, limit 3.",
        "SELECT d.name FROM visits v JOIN doctors d ON d.id = v.doctor_id GROUP BY d.id, d.name ORDER BY COUNT(*) DESC LIMIT 3",
    ),
    (
        "Step 1: filter trips with distance > 5. Step 2: compute average minutes. Step 3: return the average.",
        "SELECT AVG(minutes) FROM trips WHERE distance > 5",
    ),
    (
        "We compare each product's price with the average price, computed with a subquery: SELECT AVG(price) FROM products. Then return products above it.",
        "SELECT name FROM products WHERE price > (SELECT AVG(price) FROM products)",
    ),
    (
        "Orders between January and March 2024: order_date >= '2024-01-01' AND order_date < '2024-04-01'. Count them.",
        "SELECT COUNT(*) FROM orders WHERE order_date BETWEEN '2024-01-01' AND '2024-03-31'",
    ),
    (
        "Sum the amounts; NULL amounts are ignored by SUM. There is no need to filter on amount IS NOT NULL.",
        "SELECT SUM(amount) FROM payments",
    ),
    (
        "Return the city with the highest number of stations. Group by city, order by COUNT(*) desc, limit to 1.",
        "SELECT city FROM stations GROUP BY city ORDER BY COUNT(*) DESC LIMIT 1",
    ),
    (
        "For every category, list the maximum and minimum price. MAX(price), MIN(price), GROUP BY category.",
        "SELECT category, MAX(price), MIN(price) FROM products GROUP BY category",
    ),
    (
        "The status column has values 'open', 'closed'. We want closed ones, so status = 'closed'.",
        "SELECT COUNT(*) FROM tickets WHERE status = 'closed'",
    ),
    (
        "We want tickets that are open or pending: status = 'open' OR status = 'pending'.",
        "SELECT COUNT(*) FROM tickets WHERE status IN ('open', 'pending')",
    ),
    ("Only bikes that are not electric: is_electric = false.", "SELECT name FROM bikes WHERE NOT is_electric"),
    (
        "Return name and email of customers from Spain sorted alphabetically by name.",
        "SELECT name, email FROM customers WHERE country = 'Spain' ORDER BY name",
    ),
    (
        "Order dates come from orders.order_date. Rank customers by total spent.",
        "SELECT c.name FROM customers c JOIN orders o ON o.customer_id = c.id WHERE o.order_date >= '2024-01-01' GROUP BY c.name ORDER BY SUM(o.total) DESC",
    ),
    (
        "We count the rows per month using date_trunc('month', placed_at), ordered chronologically.",
        "SELECT date_trunc('month', placed_at) AS m, COUNT(*) FROM orders GROUP BY 1 ORDER BY 1",
    ),
    (
        "The percentage is 100.0 * COUNT(CASE WHEN late THEN 1 END) / COUNT(*).",
        "SELECT 100.0 * SUM(CASE WHEN late THEN 1 ELSE 0 END) / COUNT(*) FROM deliveries",
    ),
    (
        "Each doctor may have zero visits, so use a LEFT JOIN and count visits.id. Keep doctors with fewer than 2 visits: HAVING COUNT(v.id) < 2.",
        "SELECT d.name FROM doctors d LEFT JOIN visits v ON v.doctor_id = d.id GROUP BY d.id, d.name HAVING COUNT(v.id) <= 1",
    ),
    (
        "Find the largest order: take the maximum total. Return that order's id.",
        "SELECT id FROM orders ORDER BY total DESC LIMIT 1",
    ),
    (
        "First, get the average salary; then select employees with salary > average. Return names.",
        "SELECT name FROM employees WHERE salary > (SELECT AVG(salary) FROM employees)",
    ),
    ("Select product names whose stock is 0. Return the name only.", "SELECT name FROM products WHERE stock = 0"),
    ("Show the first 10 customers by signup date, oldest first.", "SELECT name FROM customers ORDER BY signup_date LIMIT 10"),
    (
        "Show the newest 10 customers: sort by signup_date, newest first. Return 10.",
        "SELECT name FROM customers ORDER BY signup_date DESC LIMIT 10",
    ),
    (
        "Prices above 100: price > 100. Count them all. For comparison, price > 50 holds for many more.",
        "SELECT COUNT(*) FROM products WHERE price > 100",
    ),
    (
        "Get the total of each customer's payments and return the customer with the greatest total.",
        "SELECT customer_id FROM payments GROUP BY customer_id ORDER BY SUM(amount) DESC LIMIT 1",
    ),
    ("Count the different cities in customers.", "SELECT COUNT(DISTINCT city) FROM customers"),
    ("Group the rows by year(joined) and count each group.", "SELECT year(joined), COUNT(*) FROM riders GROUP BY year(joined)"),
    ("Return the difference between the highest and lowest fee.", "SELECT MAX(fee) - MIN(fee) FROM visits"),
    ("Filter the ones with name starting with A: name LIKE 'A%'.", "SELECT name FROM riders WHERE name LIKE 'A%'"),
    (
        "We use COALESCE(discount, 0) so that missing discounts count as zero, and average them.",
        "SELECT AVG(COALESCE(discount, 0)) FROM orders",
    ),
    (
        "Take the largest order total per customer and keep those over 500.",
        "SELECT customer_id FROM orders GROUP BY customer_id HAVING MAX(total) > 500",
    ),
    (
        "Select the top 5 products. Group by product and sum quantity. Sort descending.",
        "SELECT product_id, SUM(quantity) AS q FROM order_lines GROUP BY product_id ORDER BY q DESC LIMIT 5",
    ),
]


def judge(trace: str, sql: str = REVENUE) -> str:
    return verify_steps(trace, sql, None, None).status


@pytest.mark.parametrize(
    "trace",
    [
        "I need to join customers with orders on customer_id. Then filter to delivered orders in 2024 with total above 20. Group by"
        " customer, sum the totals, and sort descending by revenue, taking the top 5.",
        "First, we filter orders where `status = 'delivered'` and `total > 20`. Next we compute SUM(total) per customer. Finally, we"
        " order by revenue in descending order and limit to 5.",
        "1. Join `customers` and `orders`.\n2. WHERE o.status = 'delivered' AND year(o.placed_at) = 2024.\n3. GROUP BY c.id, c.name.\n"
        "4. HAVING COUNT(*) >= 3.\n5. ORDER BY revenue DESC LIMIT 5.",
        "- Filter: status is 'delivered', orders.total > 20\n- Aggregate: SUM(orders.total)\n- Sort: revenue, highest first\n- Limit: 5",
        "Instead of AVG(o.total) we use SUM(o.total). We keep groups with COUNT(*) >= 3, i.e. at least three orders.",
        "We should not use o.status <> 'delivered'. Only delivered orders (o.status = 'delivered') count. The total must exceed 20: o.total > 20.",
        "Restrict to orders.status IN ('delivered') and o.total >= 21 (whole dollars). Add up orders.total for each customer. Rank by"
        " revenue from high to low and return the top five.",
        "If we took MAX(total) we would get one order only. So sum up o.total. Sort by revenue descending.",
        "The average is not needed. Return the name and the revenue of each customer, sorted by SUM(o.total) descending, first 5 only.",
        "Count the orders per customer and keep customers with three or more. Then total up o.total, and order by revenue desc.",
        "First I thought of o.total < 20. It has to be o.total > 20. Sum o.total.",
        "Order the customers alphabetically in case of ties. Sort by revenue desc, then by name.",
        "Use EXTRACT(YEAR FROM placed_at) = 2024. Select name, sum(total).",
        "We take each customer's orders, sum their totals, sort from largest to smallest, and keep 5. HAVING COUNT(*) >= 3.",
        "The total is not less than 20 and status equals 'delivered'.",
    ],
)  # fmt: skip
def test_right_reasonings_in_many_wordings(trace: str) -> None:
    assert judge(trace) == "passed"


@pytest.mark.parametrize(("trace", "sql"), OTHER_WORDS)
def test_right_reasonings_of_other_queries(trace: str, sql: str) -> None:
    assert judge(trace, sql) != "failed"


@pytest.mark.parametrize(
    ("trace", "words"),
    [
        ("Filter where o.status = 'cancelled' and sum the totals.", "status = delivered"),
        ("1. Join customers and orders. 2. Keep orders.total < 20. 3. Sum.", "total > 20"),
        ("Only orders whose total is below 20.", "total > 20"), ("The status is 'open' for these.", "status = delivered"),
        ("Use AVG(o.total) to get the typical revenue.", "no AVG"), ("We compute the average of o.total per customer.", "no AVG"),
        ("Sort by revenue ascending and keep the top 5.", "sorts downwards"), ("Order them by revenue, smallest first.", "sorts downwards"),
        ("Sort by o.placed_at descending.", "sorts by sum(total)"), ("Take the top 10.", "keeps 5"), ("LIMIT 50 at the end.", "keeps 5"),
        ("Group by orders.status and sum.", "group by orders.status"), ("HAVING COUNT(*) < 3 keeps the small ones.", "count(*) >= 3"),
        ("Return customers.email and the sum.", "customers.email"), ("Filter on year(o.placed_at) = 2023.", "= 2024"),
        ("Only keep rows where orders.region = 'EU'.", "no region"), ("Exclude them: o.status <> 'delivered'.", "status = delivered"),
        ("Add up orders.discount for each customer.", "SUM of total"), ("Filter on o.status NOT IN ('delivered').", "status = delivered"),
        ("Filter on o.total BETWEEN 5 AND 20 and o.total <= 20.", "total > 20"),
    ],
)  # fmt: skip
def test_reasonings_that_contradict_their_query(trace: str, words: str) -> None:
    verdict = verify_steps(trace, REVENUE, None, None)
    assert (verdict.status, verdict.score) == ("failed", 0.0) and words in verdict.reason
    assert any(step["state"] == "wrong" for step in verdict.evidence["steps"])


@pytest.mark.parametrize(
    ("trace", "sql", "status"),
    [
        ("Filter on NOT s.charging.", "SELECT s.n FROM s WHERE NOT s.charging", "passed"),
        ("Filter on s.charging.", "SELECT s.n FROM s WHERE NOT s.charging", "failed"),
        ("Only rows with s.charging count.", "SELECT s.n FROM s WHERE s.charging = FALSE", "failed"),
        ("Keep rows where s.a IS NULL.", "SELECT s.n FROM s WHERE s.a IS NOT NULL", "failed"),
        ("s.a >= 1 and s.a <= 5", "SELECT 1 FROM s WHERE s.a BETWEEN 1 AND 5", "passed"),
        ("s.a BETWEEN 1 AND 5", "SELECT 1 FROM s WHERE s.a NOT BETWEEN 1 AND 5", "failed"),
        ("s.a = 'x'", "SELECT 1 FROM s WHERE s.a IN ('x', 'y')", "passed"), ("s.a = 'z'", "SELECT 1 FROM s WHERE s.a IN ('x', 'y')", "failed"),
        ("s.a LIKE '%x'", "SELECT 1 FROM s WHERE s.a NOT LIKE '%x'", "failed"), ("s.a = 'X'", "SELECT 1 FROM s WHERE lower(s.a) = 'x'", "passed"),
        ("s.id IN (SELECT t.s FROM t)", "SELECT 1 FROM s WHERE s.id NOT IN (SELECT t.s FROM t)", "failed"),
        ("s.p < (SELECT AVG(s.p) FROM s). Return s.id.", "SELECT s.id FROM s WHERE s.p < (SELECT AVG(s.p) FROM s)", "passed"),
        ("Count the different s.a.", "SELECT COUNT(s.a) FROM s", "failed"), ("Count the rows.", "SELECT COUNT(DISTINCT s.a) FROM s", "failed"),
        ("Take the largest s.a.", "SELECT s.a FROM s ORDER BY s.a DESC LIMIT 1", "passed"), ("Take the largest s.a.", "SELECT MIN(s.a) FROM s", "failed"),
        ("Group by s.a.", "SELECT s.a, COUNT(*) FROM s GROUP BY 1", "passed"), ("Group by s.a.", "SELECT s.a FROM s", "failed"),
        ("Return each different s.a.", "SELECT s.a FROM s", "failed"), ("Sort by s.a.", "SELECT s.b FROM s", "failed"),
        ("Look at the data and think.", "SELECT s.a FROM s", "unscored"), ("", "SELECT s.a FROM s", "unscored"),
        ("Return s.a.", "SELECT FROM", "unscored"), ("Filter on s.a < 3. Then return s.b.", "SELECT s.b FROM s WHERE s.a > 3", "failed"),
        ("1. Use s. 2. Filter on s.a < 3. 3. Then return s.b.", "SELECT s.b FROM s WHERE s.a > 3", "failed"),
    ],
)  # fmt: skip
def test_conditions_aggregates_and_shape(trace: str, sql: str, status: str) -> None:
    assert judge(trace, sql) == status


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("3 * 4 = 12", [True]), ("3*4=13", [False]), ("so 3 apples * 4 dollars = 12 dollars, and 12 + 5 = 17.", [True, True]),
        ("x = 3*4 = 12 = 13 - 1", [True, True]), ("3 + 4 = 7 = 2 * 4", [True, False]), ("20% of 50 = 10", [True]), ("50 + 10% = 55", [True]),
        ("10/3 = 3.33", [True]), ("10/3 = 3", [False]), ("10/3 ≈ 3", [True]), ("10/3 = 3.4", [True]), ("10/3 = 3.50", [False]),
        ("2x + 3 = 7", []), ("n + 3 = 5", []), ("f(3) + 2 = 7", []), ("(2+3)*4 = 20", [True]), ("2^10 = 1024", [True]), ("1,000 * 3 = 3,000", [True]),
        ("$5 * 3 = $15", [True]), ("1.5 million * 2 = 3 million", [True]), ("price > 20", []), ("COUNT(*) = 5", []), ("step 3 = 5", []),
        ("A has 3 + 4 = 7, B has 7 - 2 = 4.", [True, False]), ("1/3 = 33.3%", [True]), ("9**9**9 = 3", []), ("1/0 = 3", []), ("-3 + 5 = 2", [True]),
        ("20% of 50 is 20% * 50 = 10", [True]), ("12 x 3 = 36", [True]), ("3 plus 4 = 8", [False]),
    ],
)  # fmt: skip
def test_equations(text: str, found: list[bool]) -> None:
    assert [equation.is_right for equation in check_equations(text)] == found


@given(st.integers(0, 10**6), st.integers(1, 10**6), st.sampled_from("+-*"), st.integers(-2, 2))
def test_an_equation_holds_exactly_when_it_does(a: int, b: int, op: str, off: int) -> None:
    result = {"+": a + b, "-": a - b, "*": a * b}[op] + off
    assert [e.is_right for e in check_equations(f"We get {a} {op} {b} = {result} of them.")] == [abs(off) <= 1e-9 * abs(result)]


@pytest.mark.parametrize(
    ("trace", "answer", "status"),
    [
        ("He buys 3 apples at 4 dollars: 3 * 4 = 12. Then 12 + 5 = 17.", "17", "passed"), ("3*4=13. So 13+5=18.", "18", "failed"),
        ("3*4=12. 12+5=17.", "The answer is 18", "failed"), ("10/3 = 3.333", "3.33", "passed"), ("0.45 * 1 = 0.45", "45%", "passed"),
        ("It is obvious.", "4", "unscored"), ("", "4", "unscored"),
    ],
)  # fmt: skip
def test_numeric_answers(trace: str, answer: str, status: str) -> None:
    assert verify_steps(trace, answer, None, None, None).status == status


@pytest.mark.parametrize(
    ("trace", "status"),
    [
        ("Run `SELECT COUNT(*) FROM customers` = 0 first. Then count the rows.", "failed"),
        ("Run `SELECT COUNT(*) FROM customers WHERE 1 = 0` which gives 0. Then count the rows.", "passed"),
        ("Try ```sql\nSELECT id FROM customers LIMIT 3\n``` returns 3 rows. Count the rows.", "passed"),
        ("Try ```sql\nSELECT id FROM customers LIMIT 3\n``` returns 4 rows. Count the rows.", "failed"),
        ("`SELECT nothing FROM customers` gives 3 rows. Count the rows.", "failed"),
        ("`SELECT id FROM customers WHERE 1 = 0` returns no rows. Count the rows.", "passed"),
        ("`SELECT 10 / 3.0` gives 3.33. Count the rows.", "passed"),
    ],
)
def test_queries_in_a_reasoning_are_run(trace: str, status: str, instances: dict[str, list[Path]]) -> None:
    with SqlRunner({"shop": instances["shop"][0]}) as runner:
        assert verify_steps(trace, "SELECT COUNT(*) FROM customers", runner, "shop").status == status
    assert verify_steps(trace, "SELECT COUNT(*) FROM customers", None, None).status == "passed"


def test_steps_are_split_by_number_line_or_sentence() -> None:
    assert [s.text for s in split_steps("1. Use a. 2. Keep a.b < 3. 3. Count.")] == ["1. Use a.", "2. Keep a.b < 3.", "3. Count."]
    assert [s.text for s in split_steps("Step 1: use a\nStep 2: count")] == ["Step 1: use a", "Step 2: count"]
    assert [s.text for s in split_steps("- use a\n- count")] == ["- use a", "count"]
    assert [s.text for s in split_steps("Ask Dr. Who. Then count.")] == ["Ask Dr. Who.", "Then count."]
    assert split_steps("So: SELECT a FROM t WHERE b = 1")[0].queries[0][0] == "SELECT a FROM t WHERE b = 1"
    assert split_steps(" ") == []


@given(st.text(), st.text())
def test_no_text_breaks_it(trace: str, answer: str) -> None:
    for dialect in ("duckdb", None):
        verdict = verify_steps(trace, answer, None, None, dialect)
        assert verdict.status in STATUSES
        json.dumps(verdict.evidence)


@given(
    st.lists(
        st.sampled_from(
            ["a.b ", "= ", "'x' ", "NOT ", "3 ", "IN (", ") ", "sort by ", "AND ", ". ", "SUM(", "> ", "\n", "return "]
        ),
        max_size=40,
    )
)
def test_pieces_of_claims_break_nothing(pieces: list[str]) -> None:
    assert verify_steps("".join(pieces), REVENUE, None, None).status in STATUSES


@pytest.mark.parametrize(
    "piece",
    [
        "(",
        "a(",
        "return a, ",
        "'",
        "`",
        "SELECT x FROM ",
        "1. ",
        "a.b = ",
        "3 + ",
        "(3 * ",
        "sort by ",
        "a.b IN (1,",
        '"a',
        "not ",
        "\n",
        "a ",
    ],
)
def test_long_hostile_reasonings_end_soon(piece: str) -> None:
    assert verify_steps(piece * (40_000 // len(piece)), REVENUE, None, None).status in STATUSES


def test_planted_contradictions_of_the_embedded_teacher_are_caught_and_right_reasonings_pass(
    instances: dict[str, list[Path]],
) -> None:
    n_right = n_planted = n_caught = 0
    for name, files in instances.items():
        schema = read_schema(name, files[0])
        for seed in range(150):
            right, wrong = (write_sample(schema, "", "topic", seed, frac) for frac in (0.0, 1.0))
            assert judge(right.reasoning, right.sql) == "passed", right
            n_right += 1
            if wrong.planted_error == "contradicting_reasoning":
                n_planted += 1
                n_caught += judge(wrong.reasoning, wrong.sql) == "failed"
    assert n_right == 450 and n_planted > 40
    assert n_caught >= 0.95 * n_planted
