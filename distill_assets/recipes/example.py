"""A small world of a recipe's own: two tables, five topics, six items with their right queries.

Belongs here: what `distill new-recipe NAME` writes when no database is given, so that the recipe runs as
it is. Does not belong here: making text about a person's own database (suggestions).
"""

from __future__ import annotations

EXAMPLE_DATABASE = """\
-- A gardening school: its courses and who enrolled in them. Replace it by your own database.
-- Comments have the form '<what it is>[; also: synonym, synonym][; unit: USD][; note]'.

CREATE TABLE courses (
    id INTEGER PRIMARY KEY,
    title VARCHAR NOT NULL,
    subject VARCHAR NOT NULL,
    starts DATE NOT NULL,
    price INTEGER NOT NULL
);

CREATE TABLE enrolments (
    id INTEGER PRIMARY KEY,
    course_id INTEGER NOT NULL REFERENCES courses (id),
    student VARCHAR NOT NULL,
    city VARCHAR NOT NULL,
    enrolled DATE NOT NULL,
    paid INTEGER
);

COMMENT ON TABLE courses IS 'a course of the school; also: class';
COMMENT ON COLUMN courses.id IS 'course number';
COMMENT ON COLUMN courses.title IS 'title of the course; also: name';
COMMENT ON COLUMN courses.subject IS 'subject of the course; also: topic, field';
COMMENT ON COLUMN courses.starts IS 'date the course starts; also: start date, first day';
COMMENT ON COLUMN courses.price IS 'price of the course; also: cost, fee; unit: USD';
COMMENT ON TABLE enrolments IS 'an enrolment of a student in a course; also: registration, sign-up';
COMMENT ON COLUMN enrolments.id IS 'enrolment number';
COMMENT ON COLUMN enrolments.course_id IS 'course of the enrolment';
COMMENT ON COLUMN enrolments.student IS 'full name of the student';
COMMENT ON COLUMN enrolments.city IS 'city the student lives in; also: town';
COMMENT ON COLUMN enrolments.enrolled IS 'date the student enrolled; also: enrolment date';
COMMENT ON COLUMN enrolments.paid IS 'amount paid so far; also: payment; unit: USD; empty when nothing was paid yet';

INSERT INTO courses
SELECT i,
       ['Apple Trees', 'Balcony Herbs', 'Compost', 'Dry Walls', 'Early Greens', 'Ferns', 'Grafting', 'Hedges'][1 + i % 8]
           || [' for Beginners', ' in Practice', ' at Weekends'][1 + i % 3],
       ['trees', 'vegetables', 'soil', 'design'][1 + (i * 3) % 4],
       DATE '2023-02-01' + CAST(i * 29 AS INTEGER),
       40 + (i * 35) % 200
FROM range(1, 25) AS numbers (i);

INSERT INTO enrolments
SELECT i,
       1 + (i * 7) % 24,
       ['Ana', 'Ben', 'Chen', 'Dora', 'Eli', 'Fatma', 'Goran'][1 + i % 7] || ' '
           || ['Adler', 'Brook', 'Costa', 'Dunn', 'Evans'][1 + i % 5],
       ['Bristol', 'Leeds', 'York', 'Cardiff', 'Dover'][1 + (i * 3) % 5],
       DATE '2023-01-03' + CAST((i * 5) % 700 AS INTEGER),
       CASE WHEN i % 6 = 0 THEN NULL ELSE 20 + (i * 15) % 180 END
FROM range(1, 141) AS numbers (i);
"""

EXAMPLE_TOPICS = (
    "courses by subject and their prices",
    "when courses start, by year",
    "enrolments per course",
    "enrolments by city of the student",
    "what students paid, in total and on average",
)

EXAMPLE_HOLDOUT = {
    "how many people signed up from York": "SELECT COUNT(*) FROM enrolments WHERE city = 'York'",
    "average price of the soil courses?": "SELECT AVG(price) FROM courses WHERE subject = 'soil'",
    "which class got the most sign-ups": (
        "SELECT c.title FROM courses c JOIN enrolments e ON e.course_id = c.id"
        " GROUP BY c.id, c.title ORDER BY COUNT(*) DESC, c.id LIMIT 1"
    ),
    "how much has been paid altogether": "SELECT SUM(paid) FROM enrolments",
    "sign-ups per town": "SELECT city, COUNT(*) FROM enrolments GROUP BY city",
    "who has not paid anything yet": "SELECT student FROM enrolments WHERE paid IS NULL",
}
# Five seeds at tiny's three samples would leave too few rows to train on.
EXAMPLE_SETTINGS = {"generate": {"samples_per_seed": 24}}
