-- A city bike-share scheme: stations, bikes, riders and their trips.
-- Edit freely: rows in the lists below are literals, trips are derived from them.

CREATE TABLE stations (
    id INTEGER PRIMARY KEY,
    name VARCHAR NOT NULL,
    district VARCHAR NOT NULL,
    docks INTEGER NOT NULL,
    opened DATE NOT NULL,
    elevation INTEGER NOT NULL,
    has_charging BOOLEAN NOT NULL
);

CREATE TABLE bikes (
    id INTEGER PRIMARY KEY,
    name VARCHAR NOT NULL,
    kind VARCHAR NOT NULL,
    maker VARCHAR NOT NULL,
    bought DATE NOT NULL,
    price DECIMAL(7, 2) NOT NULL,
    condition VARCHAR NOT NULL,
    serviced DATE
);

CREATE TABLE riders (
    id INTEGER PRIMARY KEY,
    name VARCHAR NOT NULL,
    plan VARCHAR NOT NULL,
    birth_year INTEGER,
    home_station_id INTEGER REFERENCES stations (id),
    joined DATE NOT NULL,
    credit DECIMAL(6, 2) NOT NULL
);

CREATE TABLE trips (
    id INTEGER PRIMARY KEY,
    rider_id INTEGER NOT NULL REFERENCES riders (id),
    bike_id INTEGER NOT NULL REFERENCES bikes (id),
    start_station_id INTEGER NOT NULL REFERENCES stations (id),
    end_station_id INTEGER NOT NULL REFERENCES stations (id),
    started TIMESTAMP NOT NULL,
    minutes INTEGER NOT NULL,
    distance DECIMAL(5, 2) NOT NULL,
    charge DECIMAL(6, 2) NOT NULL,
    stars INTEGER
);

INSERT INTO stations VALUES
    (1, 'Central Station', 'Old Town', 40, DATE '2021-04-12', 18, true),
    (2, 'Harbour Gate', 'Harbour', 28, DATE '2021-04-12', 4, true),
    (3, 'Fish Market', 'Harbour', 16, DATE '2021-05-03', 3, false),
    (4, 'Cathedral Square', 'Old Town', 24, DATE '2021-05-03', 22, false),
    (5, 'University Library', 'Campus', 36, DATE '2021-06-21', 31, true),
    (6, 'Engineering Hall', 'Campus', 20, DATE '2021-09-06', 33, false),
    (7, 'Botanic Garden', 'Westpark', 18, DATE '2021-09-20', 41, false),
    (8, 'Opera House', 'Old Town', 22, DATE '2022-02-14', 16, true),
    (9, 'Riverside Mills', 'Millfield', 14, DATE '2022-03-28', 9, false),
    (10, 'Stadium North', 'Northside', 30, DATE '2022-04-25', 27, true),
    (11, 'Hillcrest Tower', 'Northside', 12, DATE '2022-06-13', 78, false),
    (12, 'General Hospital', 'Westpark', 26, DATE '2022-08-01', 52, true),
    (13, 'Ferry Terminal', 'Harbour', 32, DATE '2022-09-19', 2, true),
    (14, 'Brewery Yard', 'Millfield', 15, DATE '2023-01-30', 11, false),
    (15, 'Science Park', 'Campus', 25, DATE '2023-03-13', 36, true),
    (16, 'Lakeview Terrace', 'Westpark', 10, DATE '2023-05-22', 64, false),
    (17, 'Town Hall', 'Old Town', 27, DATE '2023-08-07', 20, false),
    (18, 'Tannery Lane', 'Millfield', 13, DATE '2023-10-16', 13, false),
    (19, 'Sports Centre', 'Northside', 21, DATE '2024-03-04', 29, true),
    (20, 'Windmill Heights', 'Northside', 8, DATE '2024-06-10', 91, false),
    (21, 'Depot East', 'Millfield', 45, DATE '2025-08-18', 7, true);

INSERT INTO bikes VALUES
    (1, 'Heron', 'classic', 'Velora', DATE '2021-03-01', 620.00, 'worn', DATE '2025-02-11'),
    (2, 'Kestrel', 'classic', 'Velora', DATE '2021-03-01', 620.00, 'good', DATE '2025-06-03'),
    (3, 'Magpie', 'classic', 'Velora', DATE '2021-03-01', 625.00, 'worn', DATE '2024-11-20'),
    (4, 'Puffin', 'classic', 'Velora', DATE '2021-03-15', 625.00, 'broken', DATE '2024-08-29'),
    (5, 'Robin', 'classic', 'Tandem Works', DATE '2021-06-07', 580.00, 'good', DATE '2025-05-14'),
    (6, 'Swift', 'electric', 'Ampère', DATE '2021-08-16', 1850.00, 'worn', DATE '2025-01-23'),
    (7, 'Falcon', 'electric', 'Ampère', DATE '2021-08-16', 1850.00, 'good', DATE '2025-07-01'),
    (8, 'Wren', 'classic', 'Tandem Works', DATE '2021-11-29', 585.00, 'worn', DATE '2024-10-08'),
    (9, 'Pelican', 'cargo', 'Haulwell', DATE '2022-02-07', 2400.00, 'good', DATE '2025-03-19'),
    (10, 'Lapwing', 'classic', 'Velora', DATE '2022-03-21', 640.00, 'good', DATE '2025-04-30'),
    (11, 'Osprey', 'electric', 'Ampère', DATE '2022-05-09', 1920.00, 'good', DATE '2025-06-18'),
    (12, 'Plover', 'classic', 'Tandem Works', DATE '2022-05-09', 595.00, 'broken', DATE '2024-07-12'),
    (13, 'Raven', 'electric', 'Norvolt', DATE '2022-07-18', 1740.00, 'worn', DATE '2024-12-04'),
    (14, 'Stork', 'cargo', 'Haulwell', DATE '2022-09-05', 2450.00, 'worn', DATE '2025-02-26'),
    (15, 'Finch', 'classic', 'Velora', DATE '2022-10-24', 650.00, 'good', DATE '2025-05-27'),
    (16, 'Harrier', 'electric', 'Norvolt', DATE '2023-01-16', 1765.00, 'good', DATE '2025-07-09'),
    (17, 'Curlew', 'classic', 'Tandem Works', DATE '2023-02-27', 610.00, 'good', DATE '2025-01-08'),
    (18, 'Merlin', 'electric', 'Ampère', DATE '2023-04-17', 1990.00, 'broken', DATE '2025-03-05'),
    (19, 'Gannet', 'cargo', 'Haulwell', DATE '2023-06-12', 2520.00, 'good', DATE '2025-04-16'),
    (20, 'Sparrow', 'classic', 'Velora', DATE '2023-07-31', 665.00, 'new', DATE '2025-06-25'),
    (21, 'Kingfisher', 'electric', 'Norvolt', DATE '2023-09-18', 1790.00, 'good', DATE '2025-07-22'),
    (22, 'Dipper', 'classic', 'Velora', DATE '2023-11-06', 670.00, 'good', NULL),
    (23, 'Goshawk', 'electric', 'Ampère', DATE '2024-02-12', 2050.00, 'good', DATE '2025-05-06'),
    (24, 'Crane', 'cargo', 'Norvolt', DATE '2024-04-22', 2890.00, 'new', NULL),
    (25, 'Starling', 'electric', 'Norvolt', DATE '2024-07-01', 1835.00, 'new', DATE '2025-07-15'),
    (26, 'Linnet', 'classic', 'Tandem Works', DATE '2024-09-09', 630.00, 'new', NULL),
    (27, 'Avocet', 'electric', 'Ampère', DATE '2025-01-20', 2120.00, 'new', NULL),
    (28, 'Bittern', 'cargo', 'Haulwell', DATE '2025-07-28', 2680.00, 'new', NULL);

INSERT INTO riders VALUES
    (1, 'Anders Holm', 'annual', 1984, 1, DATE '2021-04-20', 12.50),
    (2, 'Bianca Ferri', 'annual', 1991, 2, DATE '2021-05-11', 0.00),
    (3, 'Cyril Dubois', 'monthly', 1978, 4, DATE '2021-06-30', 4.20),
    (4, 'Dora Szabo', 'student', 2001, 5, DATE '2021-10-04', 7.75),
    (5, 'Emil Varga', 'student', 2002, 5, DATE '2021-10-12', 1.10),
    (6, 'Freya Nilsen', 'annual', 1969, 8, DATE '2022-01-17', 22.00),
    (7, 'Goran Petrov', 'casual', NULL, NULL, DATE '2022-03-03', 0.00),
    (8, 'Helga Brunn', 'annual', 1958, 1, DATE '2022-04-08', 15.30),
    (9, 'Iker Salas', 'monthly', 1995, 13, DATE '2022-05-24', 3.60),
    (10, 'Jana Kovac', 'student', 2003, 6, DATE '2022-09-28', 0.90),
    (11, 'Kofi Mensah', 'monthly', 1988, 10, DATE '2022-10-19', 6.40),
    (12, 'Lotte Visser', 'annual', 1993, 9, DATE '2022-11-30', 9.00),
    (13, 'Mateo Rios', 'casual', 1999, NULL, DATE '2023-02-02', 0.00),
    (14, 'Nadia Rahimi', 'monthly', 1982, 12, DATE '2023-03-15', 11.85),
    (15, 'Otto Keller', 'annual', 1964, 7, DATE '2023-04-11', 30.00),
    (16, 'Petra Novotna', 'student', 2004, 15, DATE '2023-09-25', 2.35),
    (17, 'Quentin Roche', 'casual', 1990, 2, DATE '2023-10-06', 0.00),
    (18, 'Rania Aziz', 'monthly', 1997, 8, DATE '2023-11-13', 5.15),
    (19, 'Soren Dahl', 'annual', 1975, 11, DATE '2024-01-09', 18.60),
    (20, 'Tessa Moreno', 'monthly', 2000, 14, DATE '2024-02-20', 0.45),
    (21, 'Ugo Bianchi', 'casual', NULL, NULL, DATE '2024-03-28', 0.00),
    (22, 'Vera Lindholm', 'annual', 1986, 17, DATE '2024-04-16', 13.40),
    (23, 'Wim Janssen', 'monthly', 1972, 1, DATE '2024-05-21', 8.05),
    (24, 'Xenia Pappas', 'student', 2005, 5, DATE '2024-09-23', 1.95),
    (25, 'Yannick Faure', 'casual', 1994, 13, DATE '2024-10-10', 0.00),
    (26, 'Zara Malik', 'annual', 1998, 19, DATE '2024-11-05', 25.70),
    (27, 'Arne Bakke', 'monthly', 1961, 16, DATE '2025-01-27', 4.80),
    (28, 'Belen Castro', 'student', 2006, 6, DATE '2025-02-18', 0.25),
    (29, 'Casper Vos', 'monthly', 1987, 18, DATE '2025-04-07', 6.95),
    (30, 'Dilara Aydin', 'annual', 1979, 10, DATE '2025-05-19', 16.20),
    (31, 'Erik Sand', 'casual', 1996, NULL, DATE '2025-07-30', 0.00),
    (32, 'Fiona Grady', 'student', 2007, 15, DATE '2025-08-25', 5.00);

-- Station 21, bikes 27 and 28 and riders 31 and 32 came too late for a trip in this extract.
-- The first rows of each list are used more than the last.
INSERT INTO trips
WITH draws AS (
    SELECT
        i::INTEGER AS id,
        1 + floor(30 * pow(((i * 617) % 1013) / 1013.0, 1.3))::INTEGER AS rider_id,
        1 + floor(26 * pow(((i * 443 + 29) % 971) / 971.0, 1.15))::INTEGER AS bike_id,
        1 + floor(20 * pow(((i * 523 + 7) % 1019) / 1019.0, 1.3))::INTEGER AS start_station_id,
        1 + floor(20 * pow(((i * 349 + 61) % 953) / 953.0, 1.25))::INTEGER AS end_station_id,
        TIMESTAMP '2024-01-05 00:00:00'
            + to_days(((i * 555) // 540 + (i * 19) % 5)::INTEGER)
            + to_hours(6 + floor(16 * ((i * 239) % 409) / 409.0)::INTEGER)
            + to_minutes(((i * 43) % 60)::INTEGER) AS started,
        4 + floor(70 * pow(((i * 307) % 887) / 887.0, 2.1))::INTEGER AS minutes,
        (i * 67) % 101 AS opinion
    FROM range(1, 541) AS t (i)
)
SELECT
    d.id, d.rider_id, d.bike_id, d.start_station_id, d.end_station_id, d.started, d.minutes,
    round(d.minutes * CASE b.kind WHEN 'electric' THEN 0.29 WHEN 'cargo' THEN 0.17 ELSE 0.21 END + ((d.id * 11) % 10) * 0.07, 2),
    CASE r.plan WHEN 'annual' THEN 0 WHEN 'casual' THEN round(1.5 + 0.18 * d.minutes, 2) ELSE round(0.06 * d.minutes, 2) END,
    CASE WHEN d.opinion < 5 THEN 1 WHEN d.opinion < 12 THEN 2 WHEN d.opinion < 25 THEN 3 WHEN d.opinion < 48 THEN 4 WHEN d.opinion < 66 THEN 5 END
FROM draws AS d
JOIN bikes AS b ON b.id = d.bike_id
JOIN riders AS r ON r.id = d.rider_id;

COMMENT ON TABLE stations IS 'a docking station of the scheme; also: stop, dock';
COMMENT ON COLUMN stations.id IS 'station number';
COMMENT ON COLUMN stations.name IS 'name of the station';
COMMENT ON COLUMN stations.district IS 'district of the city the station is in; also: neighbourhood, area, quarter';
COMMENT ON COLUMN stations.docks IS 'number of docks; also: capacity, parking spaces, size';
COMMENT ON COLUMN stations.opened IS 'date the station opened; also: opening date';
COMMENT ON COLUMN stations.elevation IS 'height above sea level; also: altitude, height; unit: m';
COMMENT ON COLUMN stations.has_charging IS 'whether electric bikes can be charged there; also: charging, charger';
COMMENT ON TABLE bikes IS 'a bike of the fleet; also: bicycle, cycle';
COMMENT ON COLUMN bikes.id IS 'bike number';
COMMENT ON COLUMN bikes.name IS 'name painted on the frame';
COMMENT ON COLUMN bikes.kind IS 'kind of bike; also: type';
COMMENT ON COLUMN bikes.maker IS 'maker of the bike; also: manufacturer, brand';
COMMENT ON COLUMN bikes.bought IS 'date the bike was bought; also: purchase date';
COMMENT ON COLUMN bikes.price IS 'what the bike cost; also: purchase price, cost; unit: EUR';
COMMENT ON COLUMN bikes.condition IS 'present condition; also: state';
COMMENT ON COLUMN bikes.serviced IS 'date of the last service; also: last maintenance, last check; empty when never serviced';
COMMENT ON TABLE riders IS 'a person registered with the scheme; also: member, user, cyclist, customer';
COMMENT ON COLUMN riders.id IS 'rider number';
COMMENT ON COLUMN riders.name IS 'full name of the rider';
COMMENT ON COLUMN riders.plan IS 'plan the rider is on; also: subscription, membership, tariff';
COMMENT ON COLUMN riders.birth_year IS 'year of birth; also: born; empty when not given';
COMMENT ON COLUMN riders.home_station_id IS 'station the rider named as home; also: home station; empty when none was named';
COMMENT ON COLUMN riders.joined IS 'date the rider joined; also: sign-up date, registration date';
COMMENT ON COLUMN riders.credit IS 'prepaid credit on the account; also: balance; unit: EUR';
COMMENT ON TABLE trips IS 'a trip on a bike from one station to another; also: ride, journey, rental, hire';
COMMENT ON COLUMN trips.id IS 'trip number';
COMMENT ON COLUMN trips.rider_id IS 'rider who took the trip';
COMMENT ON COLUMN trips.bike_id IS 'bike that was used';
COMMENT ON COLUMN trips.start_station_id IS 'station where the trip started; also: start station, origin, from';
COMMENT ON COLUMN trips.end_station_id IS 'station where the trip ended; also: end station, destination, to';
COMMENT ON COLUMN trips.started IS 'time the trip started; also: start time, date of the trip';
COMMENT ON COLUMN trips.minutes IS 'length of the trip in time; also: duration, time; unit: minutes';
COMMENT ON COLUMN trips.distance IS 'distance ridden; also: length; unit: km';
COMMENT ON COLUMN trips.charge IS 'what the rider paid; also: fare, cost, price, amount; unit: EUR';
COMMENT ON COLUMN trips.stars IS 'stars the rider gave the trip; also: rating; 1 to 5, empty when not rated';
