-- An online shop for home and outdoor goods: customers, products, orders and their lines.
-- Edit freely: rows in the lists below are literals, orders and order lines are derived from them.

CREATE TABLE customers (
    id INTEGER PRIMARY KEY,
    name VARCHAR NOT NULL,
    email VARCHAR,
    city VARCHAR NOT NULL,
    country VARCHAR NOT NULL,
    segment VARCHAR NOT NULL,
    joined DATE NOT NULL,
    points INTEGER NOT NULL
);

CREATE TABLE products (
    id INTEGER PRIMARY KEY,
    title VARCHAR NOT NULL,
    category VARCHAR NOT NULL,
    brand VARCHAR NOT NULL,
    price DECIMAL(8, 2) NOT NULL,
    cost DECIMAL(8, 2) NOT NULL,
    stock INTEGER NOT NULL,
    launched DATE NOT NULL
);

CREATE TABLE orders (
    id INTEGER PRIMARY KEY,
    customer_id INTEGER NOT NULL REFERENCES customers (id),
    ordered DATE NOT NULL,
    shipped DATE,
    status VARCHAR NOT NULL,
    channel VARCHAR NOT NULL,
    payment VARCHAR NOT NULL,
    shipping DECIMAL(6, 2) NOT NULL
);

CREATE TABLE order_lines (
    id INTEGER PRIMARY KEY,
    order_id INTEGER NOT NULL REFERENCES orders (id),
    product_id INTEGER NOT NULL REFERENCES products (id),
    quantity INTEGER NOT NULL,
    discount INTEGER NOT NULL,
    rating INTEGER
);

INSERT INTO customers VALUES
    (1, 'Amelia Hart', 'amelia.hart@example.com', 'Leeds', 'United Kingdom', 'consumer', DATE '2022-11-03', 340),
    (2, 'Tom Okafor', 'tom.okafor@example.com', 'London', 'United Kingdom', 'consumer', DATE '2023-01-15', 1210),
    (3, 'Siobhan Kelly', 'siobhan.kelly@example.com', 'Dublin', 'Ireland', 'business', DATE '2022-12-09', 2875),
    (4, 'Lukas Brandt', NULL, 'Hamburg', 'Germany', 'consumer', DATE '2023-02-21', 95),
    (5, 'Priya Raman', 'priya.raman@example.com', 'Leeds', 'United Kingdom', 'student', DATE '2023-03-02', 410),
    (6, 'Chloe Lambert', 'chloe.lambert@example.com', 'Lyon', 'France', 'consumer', DATE '2023-03-18', 760),
    (7, 'Marek Nowak', 'marek.nowak@example.com', 'Krakow', 'Poland', 'business', DATE '2023-04-05', 1980),
    (8, 'Grace Bell', 'grace.bell@example.com', 'Glasgow', 'United Kingdom', 'consumer', DATE '2023-04-22', 55),
    (9, 'Hugo Moreau', NULL, 'Paris', 'France', 'student', DATE '2023-05-01', 130),
    (10, 'Ingrid Solberg', 'ingrid.solberg@example.com', 'Oslo', 'Norway', 'consumer', DATE '2023-05-19', 905),
    (11, 'Daniel Price', 'daniel.price@example.com', 'London', 'United Kingdom', 'business', DATE '2023-06-07', 3320),
    (12, 'Fatima Zahra', 'fatima.zahra@example.com', 'Paris', 'France', 'consumer', DATE '2023-06-13', 640),
    (13, 'Oskar Lind', 'oskar.lind@example.com', 'Oslo', 'Norway', 'student', DATE '2023-06-30', 20),
    (14, 'Hannah Weiss', 'hannah.weiss@example.com', 'Berlin', 'Germany', 'consumer', DATE '2023-07-11', 1125),
    (15, 'Conor Byrne', NULL, 'Cork', 'Ireland', 'consumer', DATE '2023-07-28', 385),
    (16, 'Zofia Wrona', 'zofia.wrona@example.com', 'Warsaw', 'Poland', 'student', DATE '2023-08-09', 270),
    (17, 'George Tran', 'george.tran@example.com', 'Manchester', 'United Kingdom', 'business', DATE '2023-08-24', 2460),
    (18, 'Lena Fischer', 'lena.fischer@example.com', 'Berlin', 'Germany', 'business', DATE '2023-09-03', 1790),
    (19, 'Isla Murray', 'isla.murray@example.com', 'Glasgow', 'United Kingdom', 'student', DATE '2023-09-16', 175),
    (20, 'Antoine Girard', 'antoine.girard@example.com', 'Lyon', 'France', 'consumer', DATE '2023-10-02', 520),
    (21, 'Rosie Clarke', NULL, 'Manchester', 'United Kingdom', 'consumer', DATE '2023-10-20', 890),
    (22, 'Jakub Zielinski', 'jakub.zielinski@example.com', 'Krakow', 'Poland', 'consumer', DATE '2023-11-04', 310),
    (23, 'Emily Stone', 'emily.stone@example.com', 'Leeds', 'United Kingdom', 'business', DATE '2023-11-25', 1450),
    (24, 'Aoife Nolan', 'aoife.nolan@example.com', 'Dublin', 'Ireland', 'student', DATE '2023-12-08', 65),
    (25, 'Victor Amadi', 'victor.amadi@example.com', 'London', 'United Kingdom', 'consumer', DATE '2024-01-06', 735),
    (26, 'Greta Vogel', 'greta.vogel@example.com', 'Hamburg', 'Germany', 'consumer', DATE '2024-01-23', 1015),
    (27, 'Nils Hagen', NULL, 'Bergen', 'Norway', 'business', DATE '2024-02-10', 2210),
    (28, 'Sophie Durand', 'sophie.durand@example.com', 'Paris', 'France', 'business', DATE '2024-02-27', 1675),
    (29, 'Ravi Desai', 'ravi.desai@example.com', 'Manchester', 'United Kingdom', 'consumer', DATE '2024-03-12', 445),
    (30, 'Katarzyna Lis', 'katarzyna.lis@example.com', 'Warsaw', 'Poland', 'consumer', DATE '2024-03-29', 590),
    (31, 'Ben Whitaker', 'ben.whitaker@example.com', 'Leeds', 'United Kingdom', 'student', DATE '2024-04-11', 15),
    (32, 'Orla Doyle', 'orla.doyle@example.com', 'Cork', 'Ireland', 'business', DATE '2024-04-30', 1340),
    (33, 'Paul Richter', 'paul.richter@example.com', 'Munich', 'Germany', 'consumer', DATE '2024-05-14', 260),
    (34, 'Maja Eriksen', 'maja.eriksen@example.com', 'Bergen', 'Norway', 'consumer', DATE '2024-06-01', 480),
    (35, 'Louis Petit', NULL, 'Nantes', 'France', 'student', DATE '2024-06-18', 40),
    (36, 'Naomi Adeyemi', 'naomi.adeyemi@example.com', 'London', 'United Kingdom', 'student', DATE '2024-07-05', 225),
    (37, 'Callum Reid', 'callum.reid@example.com', 'Glasgow', 'United Kingdom', 'business', DATE '2024-07-26', 1890),
    (38, 'Elise Bauer', 'elise.bauer@example.com', 'Munich', 'Germany', 'student', DATE '2024-08-13', 150),
    (39, 'Piotr Kaczmarek', 'piotr.kaczmarek@example.com', 'Warsaw', 'Poland', 'business', DATE '2024-09-02', 1260),
    (40, 'Holly Marsh', 'holly.marsh@example.com', 'Manchester', 'United Kingdom', 'consumer', DATE '2024-09-21', 85),
    (41, 'Declan Walsh', NULL, 'Dublin', 'Ireland', 'consumer', DATE '2024-10-09', 0),
    (42, 'Yara Haddad', 'yara.haddad@example.com', 'Nantes', 'France', 'consumer', DATE '2024-11-17', 0);

INSERT INTO products VALUES
    (1, 'Trail Tent 2P', 'camping', 'Northpeak', 189.00, 104.00, 34, DATE '2022-03-01'),
    (2, 'Trail Tent 4P', 'camping', 'Northpeak', 279.00, 160.50, 12, DATE '2022-03-01'),
    (3, 'Down Sleeping Bag', 'camping', 'Northpeak', 149.50, 81.00, 45, DATE '2022-05-10'),
    (4, 'Folding Camp Chair', 'camping', 'Larkwood', 39.90, 17.20, 120, DATE '2022-06-15'),
    (5, 'Gas Stove Duo', 'camping', 'Embera', 64.00, 31.40, 58, DATE '2022-07-20'),
    (6, 'LED Lantern', 'camping', 'Embera', 24.50, 9.80, 210, DATE '2022-09-01'),
    (7, 'Enamel Mug Set', 'kitchen', 'Larkwood', 28.00, 11.10, 160, DATE '2022-02-14'),
    (8, 'Cast Iron Skillet', 'kitchen', 'Fennell', 46.50, 22.75, 75, DATE '2022-04-04'),
    (9, 'Chef Knife 20cm', 'kitchen', 'Fennell', 72.00, 33.00, 64, DATE '2022-08-22'),
    (10, 'Bamboo Chopping Board', 'kitchen', 'Larkwood', 21.90, 8.30, 142, DATE '2022-10-11'),
    (11, 'Pour Over Kettle', 'kitchen', 'Embera', 58.00, 27.90, 39, DATE '2023-01-09'),
    (12, 'Stoneware Dinner Set', 'kitchen', 'Fennell', 119.00, 62.00, 18, DATE '2023-03-27'),
    (13, 'Espresso Grinder', 'kitchen', 'Embera', 134.00, 78.25, 22, DATE '2023-06-05'),
    (14, 'Linen Tea Towels', 'kitchen', 'Haddon', 16.50, 5.90, 260, DATE '2023-09-18'),
    (15, 'Wool Throw', 'living', 'Haddon', 54.00, 24.60, 88, DATE '2022-01-25'),
    (16, 'Oak Side Table', 'living', 'Haddon', 129.00, 70.40, 16, DATE '2022-05-30'),
    (17, 'Floor Lamp Arc', 'living', 'Lumio', 159.00, 88.00, 9, DATE '2022-11-14'),
    (18, 'Desk Lamp Mini', 'living', 'Lumio', 36.00, 15.50, 95, DATE '2023-02-06'),
    (19, 'Scented Candle Cedar', 'living', 'Haddon', 18.90, 6.40, 300, DATE '2023-04-17'),
    (20, 'Wall Clock Nordic', 'living', 'Lumio', 44.00, 19.20, 51, DATE '2023-07-31'),
    (21, 'Velvet Cushion', 'living', 'Haddon', 27.50, 10.90, 133, DATE '2023-10-23'),
    (22, 'Bookshelf Pine', 'living', 'Larkwood', 98.00, 55.00, 0, DATE '2024-02-19'),
    (23, 'Pruning Shears', 'garden', 'Greenhaven', 22.00, 8.90, 115, DATE '2022-02-28'),
    (24, 'Galvanised Watering Can', 'garden', 'Greenhaven', 31.50, 13.30, 67, DATE '2022-04-12'),
    (25, 'Raised Bed Kit', 'garden', 'Greenhaven', 84.00, 47.10, 26, DATE '2022-09-26'),
    (26, 'Garden Fork', 'garden', 'Fennell', 34.90, 15.80, 73, DATE '2023-01-30'),
    (27, 'Solar Path Lights', 'garden', 'Lumio', 42.00, 18.60, 104, DATE '2023-05-08'),
    (28, 'Compost Bin 200L', 'garden', 'Greenhaven', 56.00, 29.50, 0, DATE '2023-08-14'),
    (29, 'Hanging Planter', 'garden', 'Larkwood', 19.50, 7.20, 181, DATE '2024-01-15'),
    (30, 'Fire Pit Bowl', 'garden', 'Embera', 145.00, 83.90, 14, DATE '2024-04-08'),
    (31, 'Merino Base Layer', 'clothing', 'Northpeak', 69.00, 30.20, 92, DATE '2022-10-03'),
    (32, 'Rain Shell Jacket', 'clothing', 'Northpeak', 139.00, 71.60, 41, DATE '2023-02-20'),
    (33, 'Fleece Gilet', 'clothing', 'Northpeak', 59.50, 26.80, 60, DATE '2023-09-04'),
    (34, 'Gardening Gloves', 'clothing', 'Greenhaven', 14.00, 4.70, 240, DATE '2023-03-13'),
    (35, 'Wool Hiking Socks', 'clothing', 'Northpeak', 17.50, 6.10, 320, DATE '2023-11-06'),
    (36, 'Canvas Apron', 'clothing', 'Fennell', 32.00, 12.40, 84, DATE '2024-03-04'),
    (37, 'Waxed Field Jacket', 'clothing', 'Haddon', 210.00, 118.00, 7, DATE '2024-09-16'),
    (38, 'Insulated Flask 1L', 'camping', 'Embera', 33.50, 13.70, 0, DATE '2024-05-20'),
    (39, 'Cool Box 24L', 'camping', 'Larkwood', 76.00, 40.30, 29, DATE '2024-06-24'),
    (40, 'Hammock Double', 'garden', 'Larkwood', 88.50, 46.20, 21, DATE '2024-12-02');

-- Customers early in the list order more often; 41 and 42 have not ordered yet.
INSERT INTO orders
WITH draws AS (
    SELECT
        i::INTEGER AS id,
        1 + floor(40 * pow(((i * 571) % 997) / 997.0, 1.45))::INTEGER AS customer_id,
        DATE '2023-01-08' + ((i * 720) // 280 + (i * 37) % 11)::INTEGER AS ordered,
        (i * 83) % 101 AS state,
        (i * 47) % 97 AS way,
        (i * 61 + (i * i) % 13) % 100 AS paid,
        floor(7 * pow(((i * 163) % 263) / 263.0, 1.3))::INTEGER AS load_size
    FROM range(1, 281) AS t (i)
)
SELECT
    id,
    customer_id,
    ordered,
    CASE WHEN state < 78 THEN ordered + (1 + (id * 5) % 6)::INTEGER END,
    CASE WHEN state < 68 THEN 'delivered' WHEN state < 78 THEN 'returned' WHEN state < 88 THEN 'cancelled' ELSE 'pending' END,
    CASE WHEN way < 52 THEN 'web' WHEN way < 81 THEN 'app' WHEN way < 93 THEN 'phone' ELSE 'store' END,
    CASE WHEN paid < 49 THEN 'card' WHEN paid < 77 THEN 'paypal' WHEN paid < 91 THEN 'invoice' ELSE 'gift card' END,
    CASE WHEN load_size = 0 THEN 0 ELSE 2.95 + 1.25 * load_size END
FROM draws;

-- The jacket launched in September 2024 (37) and the hammock of December 2024 (40) have not sold yet.
INSERT INTO order_lines
WITH draws AS (
    SELECT
        j::INTEGER AS id,
        CASE WHEN j <= 280 THEN j ELSE 1 + floor(280 * pow(((j * 379) % 613) / 613.0, 1.1)) END::INTEGER AS order_id,
        1 + floor(38 * pow(((j * 389 + 17) % 1009) / 1009.0, 1.2))::INTEGER AS pick,
        1 + floor(6 * pow(((j * 211) % 499) / 499.0, 2.6))::INTEGER AS quantity,
        (j * 53) % 101 AS offer,
        (j * 71) % 103 AS stars
    FROM range(1, 601) AS t (j)
)
SELECT
    id,
    order_id,
    CASE WHEN pick >= 37 THEN pick + 1 ELSE pick END,
    quantity,
    CASE WHEN offer < 57 THEN 0 WHEN offer < 76 THEN 5 WHEN offer < 89 THEN 10 WHEN offer < 95 THEN 15 ELSE 25 END,
    CASE WHEN stars < 6 THEN 1 WHEN stars < 13 THEN 2 WHEN stars < 27 THEN 3 WHEN stars < 52 THEN 4 WHEN stars < 74 THEN 5 END
FROM draws;

COMMENT ON TABLE customers IS 'a customer of the shop; also: client, buyer, shopper, account';
COMMENT ON COLUMN customers.id IS 'customer number';
COMMENT ON COLUMN customers.name IS 'full name of the customer';
COMMENT ON COLUMN customers.email IS 'email address; also: e-mail, mail; empty when the customer gave none';
COMMENT ON COLUMN customers.city IS 'city the customer lives in; also: town, location';
COMMENT ON COLUMN customers.country IS 'country the customer lives in';
COMMENT ON COLUMN customers.segment IS 'customer segment; also: customer type, customer group';
COMMENT ON COLUMN customers.joined IS 'date the customer signed up; also: sign-up date, registration date, joining date';
COMMENT ON COLUMN customers.points IS 'loyalty points on the account; also: loyalty balance, reward points';
COMMENT ON TABLE products IS 'a product on sale; also: item, article';
COMMENT ON COLUMN products.id IS 'product number';
COMMENT ON COLUMN products.title IS 'title of the product; also: product name';
COMMENT ON COLUMN products.category IS 'product category; also: kind of product, range';
COMMENT ON COLUMN products.brand IS 'brand of the product; also: maker, manufacturer';
COMMENT ON COLUMN products.price IS 'list price of one piece; also: retail price, selling price; unit: GBP';
COMMENT ON COLUMN products.cost IS 'what one piece costs the shop; also: purchase cost, buying price; unit: GBP';
COMMENT ON COLUMN products.stock IS 'pieces in stock; also: inventory, units on hand; 0 means out of stock';
COMMENT ON COLUMN products.launched IS 'date the product went on sale; also: launch date, release date';
COMMENT ON TABLE orders IS 'an order placed by a customer; also: purchase';
COMMENT ON COLUMN orders.id IS 'order number';
COMMENT ON COLUMN orders.customer_id IS 'customer who placed the order';
COMMENT ON COLUMN orders.ordered IS 'date the order was placed; also: order date';
COMMENT ON COLUMN orders.shipped IS 'date the order was shipped; also: shipping date, dispatch date; empty when not shipped';
COMMENT ON COLUMN orders.status IS 'state of the order; also: order status';
COMMENT ON COLUMN orders.channel IS 'channel the order came in through; also: sales channel';
COMMENT ON COLUMN orders.payment IS 'payment method; also: way of paying';
COMMENT ON COLUMN orders.shipping IS 'shipping fee of the order; also: shipping cost, delivery charge, postage; unit: GBP; 0 means free shipping';
COMMENT ON TABLE order_lines IS 'one product within an order; also: order item, line item, sale';
COMMENT ON COLUMN order_lines.id IS 'line number';
COMMENT ON COLUMN order_lines.order_id IS 'order the line belongs to';
COMMENT ON COLUMN order_lines.product_id IS 'product that was ordered';
COMMENT ON COLUMN order_lines.quantity IS 'pieces ordered; also: units, amount';
COMMENT ON COLUMN order_lines.discount IS 'discount on the line; also: reduction; unit: percent';
COMMENT ON COLUMN order_lines.rating IS 'stars the customer gave the product; also: review score, stars; 1 to 5, empty when not rated';
