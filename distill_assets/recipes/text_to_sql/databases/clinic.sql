-- An outpatient clinic: doctors, patients, visits and the prescriptions written in them.
-- Edit freely: rows in the lists below are literals, visits and prescriptions are derived from them.

CREATE TABLE doctors (
    id INTEGER PRIMARY KEY,
    name VARCHAR NOT NULL,
    specialty VARCHAR NOT NULL,
    hired DATE NOT NULL,
    room VARCHAR,
    hourly_rate DECIMAL(6, 2) NOT NULL
);

CREATE TABLE patients (
    id INTEGER PRIMARY KEY,
    name VARCHAR NOT NULL,
    gender VARCHAR NOT NULL,
    born DATE NOT NULL,
    city VARCHAR NOT NULL,
    insurer VARCHAR,
    blood_type VARCHAR NOT NULL,
    registered DATE NOT NULL
);

CREATE TABLE visits (
    id INTEGER PRIMARY KEY,
    patient_id INTEGER NOT NULL REFERENCES patients (id),
    doctor_id INTEGER NOT NULL REFERENCES doctors (id),
    visited DATE NOT NULL,
    reason VARCHAR NOT NULL,
    status VARCHAR NOT NULL,
    minutes INTEGER NOT NULL,
    fee DECIMAL(7, 2)
);

CREATE TABLE prescriptions (
    id INTEGER PRIMARY KEY,
    visit_id INTEGER NOT NULL REFERENCES visits (id),
    drug VARCHAR NOT NULL,
    form VARCHAR NOT NULL,
    dose INTEGER NOT NULL,
    days INTEGER NOT NULL,
    refills INTEGER NOT NULL
);

INSERT INTO doctors VALUES
    (1, 'Dr. Helen Sorensen', 'general practice', DATE '2012-04-01', '101', 118.00),
    (2, 'Dr. Marcus Webb', 'general practice', DATE '2015-09-14', '102', 112.50),
    (3, 'Dr. Anita Joshi', 'cardiology', DATE '2010-01-11', '201', 195.00),
    (4, 'Dr. Robert Castillo', 'cardiology', DATE '2018-06-04', '202', 172.00),
    (5, 'Dr. Mei Tanaka', 'dermatology', DATE '2016-02-22', '203', 148.00),
    (6, 'Dr. Samuel Greene', 'pediatrics', DATE '2013-08-19', '104', 126.00),
    (7, 'Dr. Laila Farouk', 'pediatrics', DATE '2020-03-02', '105', 115.00),
    (8, 'Dr. Peter Lindqvist', 'orthopedics', DATE '2011-11-07', '204', 188.50),
    (9, 'Dr. Diane Whitfield', 'neurology', DATE '2014-05-26', '301', 205.00),
    (10, 'Dr. Kevin Obi', 'orthopedics', DATE '2019-10-15', '205', 164.00),
    (11, 'Dr. Carla Mendes', 'dermatology', DATE '2021-07-12', '206', 139.00),
    (12, 'Dr. Yusuf Demir', 'general practice', DATE '2022-01-17', '103', 104.00),
    (13, 'Dr. Nora Fitzgerald', 'neurology', DATE '2022-09-05', '302', 178.00),
    (14, 'Dr. Ethan Brooks', 'cardiology', DATE '2024-05-13', NULL, 158.00);

INSERT INTO patients VALUES
    (1, 'Alice Donovan', 'female', DATE '1958-03-14', 'Portland', 'BlueShield', 'O+', DATE '2018-05-02'),
    (2, 'Benjamin Cole', 'male', DATE '1971-11-30', 'Salem', 'Medicare', 'A+', DATE '2019-01-21'),
    (3, 'Carmen Ortiz', 'female', DATE '1985-07-08', 'Portland', 'Kaiser', 'B+', DATE '2019-03-11'),
    (4, 'David Nguyen', 'male', DATE '1992-02-17', 'Eugene', 'Aetna', 'O-', DATE '2019-06-27'),
    (5, 'Eleanor Frost', 'female', DATE '1947-09-25', 'Salem', 'Medicare', 'A-', DATE '2019-08-15'),
    (6, 'Franklin Moss', 'male', DATE '1963-12-03', 'Bend', 'BlueShield', 'O+', DATE '2019-11-04'),
    (7, 'Gabriela Rojas', 'female', DATE '2012-05-19', 'Portland', 'Kaiser', 'A+', DATE '2020-01-13'),
    (8, 'Harold Jennings', 'male', DATE '1952-06-06', 'Gresham', 'Medicare', 'AB+', DATE '2020-02-24'),
    (9, 'Irene Castellano', 'female', DATE '1979-10-12', 'Eugene', NULL, 'O+', DATE '2020-06-08'),
    (10, 'Jamal Whitaker', 'male', DATE '2015-01-28', 'Portland', 'Aetna', 'B-', DATE '2020-07-30'),
    (11, 'Katherine Bloom', 'female', DATE '1990-04-04', 'Beaverton', 'Kaiser', 'O+', DATE '2020-09-17'),
    (12, 'Leonard Pike', 'male', DATE '1966-08-21', 'Salem', 'Cigna', 'A+', DATE '2020-10-29'),
    (13, 'Monica Alvarez', 'female', DATE '1974-02-09', 'Gresham', 'BlueShield', 'B+', DATE '2021-01-07'),
    (14, 'Nathan Schwartz', 'male', DATE '1983-05-23', 'Portland', 'Cigna', 'O-', DATE '2021-02-15'),
    (15, 'Olivia Brandon', 'female', DATE '2018-11-11', 'Beaverton', 'Kaiser', 'A+', DATE '2021-03-22'),
    (16, 'Patrick Dunne', 'male', DATE '1955-01-16', 'Bend', 'Medicare', 'O+', DATE '2021-05-10'),
    (17, 'Quinn Harper', 'nonbinary', DATE '1998-09-02', 'Portland', 'Aetna', 'AB-', DATE '2021-06-18'),
    (18, 'Rosa Delgado', 'female', DATE '1969-12-27', 'Salem', 'BlueShield', 'O+', DATE '2021-07-26'),
    (19, 'Stephen Kowalski', 'male', DATE '1988-03-31', 'Eugene', NULL, 'A+', DATE '2021-09-09'),
    (20, 'Teresa Malone', 'female', DATE '1961-07-15', 'Portland', 'BlueShield', 'B+', DATE '2021-10-14'),
    (21, 'Umar Sheikh', 'male', DATE '1995-10-20', 'Beaverton', 'Cigna', 'O+', DATE '2021-12-01'),
    (22, 'Valerie Stokes', 'female', DATE '1949-04-29', 'Gresham', 'Medicare', 'A+', DATE '2022-01-19'),
    (23, 'William Tate', 'male', DATE '2009-08-07', 'Salem', 'Aetna', 'O+', DATE '2022-02-28'),
    (24, 'Ximena Vargas', 'female', DATE '2001-06-13', 'Portland', 'Kaiser', 'A-', DATE '2022-04-06'),
    (25, 'Yolanda Pierce', 'female', DATE '1977-01-05', 'Bend', 'Cigna', 'O+', DATE '2022-05-16'),
    (26, 'Zachary Lowe', 'male', DATE '2016-12-18', 'Beaverton', 'BlueShield', 'B+', DATE '2022-06-23'),
    (27, 'Abigail Thorne', 'female', DATE '1993-03-03', 'Portland', NULL, 'O-', DATE '2022-08-11'),
    (28, 'Brian Sandoval', 'male', DATE '1959-05-07', 'Salem', 'Medicare', 'A+', DATE '2022-09-20'),
    (29, 'Claudia Renner', 'female', DATE '1982-11-22', 'Eugene', 'BlueShield', 'AB+', DATE '2022-11-03'),
    (30, 'Derek Huang', 'male', DATE '2020-02-14', 'Portland', 'Kaiser', 'O+', DATE '2022-12-12'),
    (31, 'Erica Lundgren', 'female', DATE '1986-08-30', 'Gresham', 'Aetna', 'A+', DATE '2023-01-25'),
    (32, 'Felix Baptiste', 'male', DATE '1973-06-24', 'Portland', 'Cigna', 'B+', DATE '2023-02-16'),
    (33, 'Georgia Palmer', 'female', DATE '1956-10-10', 'Beaverton', 'Medicare', 'O+', DATE '2023-04-03'),
    (34, 'Hector Ramos', 'male', DATE '2011-09-29', 'Salem', 'Kaiser', 'A+', DATE '2023-05-22'),
    (35, 'Isabel Chen', 'female', DATE '1997-12-15', 'Eugene', 'Aetna', 'B-', DATE '2023-06-29'),
    (36, 'Joel Ferguson', 'male', DATE '1968-02-01', 'Bend', 'BlueShield', 'O+', DATE '2023-08-08'),
    (37, 'Kendra Mills', 'female', DATE '2004-05-05', 'Portland', 'Kaiser', 'O+', DATE '2023-09-18'),
    (38, 'Lamar Jefferson', 'male', DATE '1980-07-19', 'Gresham', 'Cigna', 'A-', DATE '2023-10-30'),
    (39, 'Miriam Adler', 'female', DATE '1944-01-23', 'Portland', 'Medicare', 'AB+', DATE '2023-12-07'),
    (40, 'Noel Kapoor', 'nonbinary', DATE '1991-11-09', 'Eugene', 'BlueShield', 'B+', DATE '2024-01-31'),
    (41, 'Owen Strickland', 'male', DATE '1999-04-26', 'Salem', 'Aetna', 'O+', DATE '2024-03-14'),
    (42, 'Paula Winters', 'female', DATE '1976-09-17', 'Beaverton', NULL, 'A+', DATE '2024-04-22'),
    (43, 'Reggie Dalton', 'male', DATE '1964-03-08', 'Portland', 'Cigna', 'O-', DATE '2024-06-03'),
    (44, 'Selma Nyberg', 'female', DATE '1989-06-28', 'Bend', 'Kaiser', 'A+', DATE '2024-06-20');

-- Patients 42 to 44 are registered but have not come yet; doctor 14 starts after the last visit.
INSERT INTO visits
WITH draws AS (
    SELECT
        i::INTEGER AS id,
        1 + floor(41 * pow(((i * 613) % 991) / 991.0, 1.35))::INTEGER AS patient_id,
        1 + floor(13 * pow(((i * 277 + 41) % 983) / 983.0, 1.3))::INTEGER AS doctor_id,
        DATE '2022-07-04' + ((i * 700) // 360 + (i * 41) % 9)::INTEGER AS visited,
        ['check-up', 'follow-up', 'pain', 'infection', 'injury', 'vaccination', 'rash', 'headache']
            [1 + floor(8 * pow(((i * 433) % 769) / 769.0, 1.5))::INTEGER] AS reason,
        (i * 89) % 103 AS state,
        10 + 5 * floor(11 * pow(((i * 359) % 601) / 601.0, 1.8))::INTEGER AS minutes,
        (i * 23) % 17 AS extra
    FROM range(1, 361) AS t (i)
)
SELECT
    d.id, d.patient_id, d.doctor_id, d.visited, d.reason,
    CASE WHEN d.state < 81 THEN 'completed' WHEN d.state < 91 THEN 'cancelled' ELSE 'no-show' END,
    d.minutes,
    CASE WHEN d.state < 81 THEN round(o.hourly_rate * d.minutes / 60 + 4 * d.extra, 2) END
FROM draws AS d
JOIN doctors AS o ON o.id = d.doctor_id;

INSERT INTO prescriptions
WITH drugs (n, drug, form, base) AS (
    VALUES
        (1, 'ibuprofen', 'tablet', 200), (2, 'amoxicillin', 'capsule', 250), (3, 'lisinopril', 'tablet', 10),
        (4, 'metformin', 'tablet', 500), (5, 'atorvastatin', 'tablet', 20), (6, 'hydrocortisone', 'cream', 10),
        (7, 'azithromycin', 'capsule', 250), (8, 'sumatriptan', 'tablet', 50), (9, 'albuterol', 'inhaler', 90),
        (10, 'cetirizine', 'syrup', 5), (11, 'paracetamol', 'syrup', 120), (12, 'metoprolol', 'tablet', 25)
),
seen AS (
    SELECT id, row_number() OVER (ORDER BY id) AS n, count(*) OVER () AS n_seen
    FROM visits WHERE status = 'completed'
),
draws AS (
    SELECT
        j::INTEGER AS id,
        1 + floor(0.97 * (SELECT max(n_seen) FROM seen) * ((j * 531) % 859) / 859.0)::INTEGER AS pick,
        1 + floor(12 * pow(((j * 331 + 5) % 643) / 643.0, 1.4))::INTEGER AS drug_no,
        1 + (j * 17) % 3 AS strength,
        [5, 7, 10, 14, 30, 60, 90][1 + floor(7 * ((j * 127) % 211) / 211.0)::INTEGER] AS days,
        floor(5 * pow(((j * 191) % 307) / 307.0, 2.2))::INTEGER AS refills
    FROM range(1, 281) AS t (j)
)
SELECT d.id, s.id, g.drug, g.form, (g.base * d.strength)::INTEGER, d.days, d.refills
FROM draws AS d
JOIN seen AS s ON s.n = d.pick
JOIN drugs AS g ON g.n = d.drug_no;

COMMENT ON TABLE doctors IS 'a doctor of the clinic; also: physician, practitioner';
COMMENT ON COLUMN doctors.id IS 'doctor number';
COMMENT ON COLUMN doctors.name IS 'full name of the doctor, with title';
COMMENT ON COLUMN doctors.specialty IS 'medical specialty; also: field, speciality';
COMMENT ON COLUMN doctors.hired IS 'date the doctor was hired; also: hire date, starting date';
COMMENT ON COLUMN doctors.room IS 'consulting room; also: office; empty when none is assigned yet';
COMMENT ON COLUMN doctors.hourly_rate IS 'hourly rate of the doctor; also: rate, pay per hour; unit: USD';
COMMENT ON TABLE patients IS 'a person registered as a patient; also: client';
COMMENT ON COLUMN patients.id IS 'patient number';
COMMENT ON COLUMN patients.name IS 'full name of the patient';
COMMENT ON COLUMN patients.gender IS 'gender of the patient; also: sex';
COMMENT ON COLUMN patients.born IS 'date of birth; also: birth date, birthday';
COMMENT ON COLUMN patients.city IS 'city the patient lives in; also: town, home city';
COMMENT ON COLUMN patients.insurer IS 'health insurer; also: insurance company, insurance; empty when uninsured';
COMMENT ON COLUMN patients.blood_type IS 'blood type; also: blood group';
COMMENT ON COLUMN patients.registered IS 'date the patient registered; also: registration date, sign-up date';
COMMENT ON TABLE visits IS 'a visit of a patient to a doctor; also: appointment, consultation';
COMMENT ON COLUMN visits.id IS 'visit number';
COMMENT ON COLUMN visits.patient_id IS 'patient of the visit';
COMMENT ON COLUMN visits.doctor_id IS 'doctor of the visit';
COMMENT ON COLUMN visits.visited IS 'date of the visit; also: visit date, appointment date';
COMMENT ON COLUMN visits.reason IS 'reason for the visit; also: complaint, purpose';
COMMENT ON COLUMN visits.status IS 'outcome of the appointment; also: state';
COMMENT ON COLUMN visits.minutes IS 'booked length of the visit; also: duration, time; unit: minutes';
COMMENT ON COLUMN visits.fee IS 'fee charged for the visit; also: cost, price, charge; unit: USD; empty when the visit did not take place';
COMMENT ON TABLE prescriptions IS 'a drug prescribed during a visit; also: script, medication order';
COMMENT ON COLUMN prescriptions.id IS 'prescription number';
COMMENT ON COLUMN prescriptions.visit_id IS 'visit in which the drug was prescribed';
COMMENT ON COLUMN prescriptions.drug IS 'name of the drug; also: medicine, medication';
COMMENT ON COLUMN prescriptions.form IS 'form of the drug; also: dosage form';
COMMENT ON COLUMN prescriptions.dose IS 'single dose; also: strength, dosage; unit: mg';
COMMENT ON COLUMN prescriptions.days IS 'length of the treatment; also: duration, supply; unit: days';
COMMENT ON COLUMN prescriptions.refills IS 'number of refills allowed; also: repeats';
