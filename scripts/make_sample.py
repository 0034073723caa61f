"""Writes the samples' bronze seeds: what three APIs sent, with everything that real payloads do, and the tables that the
customer analytics read.

The same rows come out on every machine: random numbers start from a fixed seed and nothing reads a clock.
The rows that tell the story are written out by hand, each with what it is there for; the rest are ordinary
rows around them, so that the counts of a run look like counts.

    python scripts/make_sample.py [--output seeds/sample]
"""

import argparse
import csv
import json
import random
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

RANDOM_SEED = 12345
FIRST_LOAD = datetime(2024, 3, 1, 6, 0, tzinfo=UTC)
LOADS = 6
ORDINARY_ORDERS = 280
ORDINARY_CUSTOMERS = 60

# Units of US dollars for one unit of the currency.
FX_RATES = {"USD": "1.00", "EUR": "1.07", "GBP": "1.27", "CHF": "1.12", "CAD": "0.74", "SEK": "0.09"}
FX_RATE_DATE = "2024-02-29"

PRODUCTS = [
    ("SKU-100", "Notebook, ruled", "4.50"),
    ("SKU-101", "Fountain pen", "32.00"),
    ("SKU-102", "Ink, royal blue", "9.90"),
    ("SKU-103", "Desk lamp", "59.00"),
    ("SKU-104", "Pencil case", "12.25"),
    ("SKU-105", "Paper, 500 sheets", "7.80"),
    ("SKU-106", "Drawing board", "119.00"),
]
FIRST_NAMES = ["Ada", "Chinua", "Emmy", "Gabriel", "Hedy", "Ibn", "Jorge", "Katherine", "Lise", "Murasaki"]
LAST_NAMES = ["Álvarez", "Bergström", "Chen", "Dubois", "Eze", "Fischer", "Gruber", "Haddad", "Ito", "Jansen"]
ANALYTICS_CUSTOMERS = 40
ANALYTICS_ORDERS = 120
ANALYTICS_EVENTS = 300
# Weighted as customers behave.
EVENT_TYPES = ["page_view"] * 6 + ["product_view"] * 4 + ["Add_To_Cart"] * 2 + ["checkout", "support_chat"]
COUNTRIES = ["DE", "FR", "GB", "SE", "US", "CA", "CH"]

HOSTILE_TEXT = "It's \"fragile\"; don't use C:\\temp\\new 🚚\nsecond line, 50% off -- /* not a comment */ || {{ x }}"


@dataclass
class Feed:
    """Rows of one bronze table. A payload is an object, or text where it is to be sent as it stands."""

    rows: list[tuple[datetime, str]] = field(default_factory=list)

    def add(self, load: int, payload: dict[str, Any] | str) -> None:
        text = payload if isinstance(payload, str) else json.dumps(payload, ensure_ascii=False)
        self.rows.append((FIRST_LOAD + timedelta(days=load), text))

    def sorted(self) -> Iterator[tuple[str, str]]:
        """The rows in the order in which they arrived."""
        for loaded_at, payload in sorted(self.rows, key=lambda row: row[0]):
            yield payload, timestamp(loaded_at)


def timestamp(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")


def without_nones(value: Any) -> Any:
    """These APIs leave out what they do not know."""
    if isinstance(value, dict):
        return {key: without_nones(item) for key, item in value.items() if item is not None}
    return value


def customer_key(number: int) -> str:
    return f"003A{number:08d}"


def customer(
    key: str | None,
    name: str | None,
    email: str | None,
    *,
    phone: str | None = None,
    country: str | None = "DE",
    record_type: str | None = "Customer",
    signed_up_on: str | None = "2023-05-17",
    deleted: bool = False,
    modified_at: str = "2024-02-20T12:00:00Z",
) -> dict[str, Any]:
    return without_nones(
        {
            "attributes": {"type": "Contact"},
            "Id": key,
            "RecordType": record_type,
            "Name": name,
            "Email": email,
            "Phone": phone,
            "MailingCountry": country,
            "SignupDate__c": signed_up_on,
            "IsDeleted": deleted,
            "LastModifiedDate": modified_at,
        }
    )


def order(
    key: str | None,
    amount: Any,
    currency: str | None = "EUR",
    *,
    buyer: str | None = None,
    status: str | None = "shipped",
    created_at: str | None = "2024-02-29T14:03:21Z",
    note: str | None = None,
    test: bool | None = None,
) -> dict[str, Any]:
    return {
        "order": without_nones(
            {
                "id": key,
                "customer": {"id": buyer or customer_key(1)},
                "status": status,
                "created_at": created_at,
                "amount": {"value": amount, "currency": currency},
                "note": note,
                "test": test,
            }
        )
    }


def order_item(
    order_key: str | None,
    line: int | None,
    quantity: Any = 1,
    unit_price: str = "4.50",
    *,
    sku: str = "SKU-100",
    title: str = "Notebook, ruled",
    discount: str | None = None,
    sample: bool | None = None,
) -> dict[str, Any]:
    return {
        "item": without_nones(
            {
                "order_id": order_key,
                "line": line,
                "sku": sku,
                "title": title,
                "quantity": quantity,
                "unit_price": unit_price,
                "discount": discount,
                "free_sample": sample,
            }
        )
    }


def make_customers(rng: random.Random) -> Feed:
    feed = Feed()
    for number in range(1, ORDINARY_CUSTOMERS + 1):
        first, last = rng.choice(FIRST_NAMES), rng.choice(LAST_NAMES)
        signed_up_on = FIRST_LOAD - timedelta(days=rng.randrange(30, 900))
        feed.add(
            0,
            customer(
                customer_key(number),
                f"{first} {last}",
                f"customer{number}@example.com",
                phone=f"+1 555 0{rng.randrange(100, 200)}",
                country=rng.choice(COUNTRIES),
                signed_up_on=signed_up_on.strftime("%Y-%m-%d"),
                modified_at=timestamp(FIRST_LOAD - timedelta(hours=rng.randrange(20, 400))),
            ),
        )

    # A newer version of a customer: the older one is refused as duplicate_key.
    for number in (3, 8, 21):
        feed.add(
            3,
            customer(
                customer_key(number),
                f"{rng.choice(FIRST_NAMES)} Married-{rng.choice(LAST_NAMES)}",
                f"moved{number}@example.com",
                phone="+1 555 0199",
                country=rng.choice(COUNTRIES),
                modified_at="2024-03-03T22:10:00Z",
            ),
        )

    # Texts that break careless SQL, and an address as people type it.
    feed.add(0, customer(customer_key(101), "Siobhán O'Brien", "siobhan.o'brien@example.com", country="GB"))
    feed.add(1, customer(customer_key(102), 'Robert "Bob" Tables 😀', "  Bob.Tables@Example.COM "))
    feed.add(1, customer(customer_key(103), "ACME\\Sales\nOffice 2", "sales@example.com", country="US"))
    # No country: the default rule. Deleted at the source: kept, not active. One letter: a warning.
    feed.add(1, customer(customer_key(104), "Noor Haddad", "noor@example.com", country=None))
    feed.add(2, customer(customer_key(105), "Lise Chen", "lise@example.com", deleted=True))
    feed.add(2, customer(customer_key(106), "X", "x@example.com"))
    # No address is no error; text that is none is one.
    feed.add(2, customer(customer_key(107), "Jorge Ito", None, phone="+1 555 0123"))
    feed.add(2, customer(customer_key(108), "Emmy Eze", "ask my assistant"))
    # No key, a date that does not exist, and records that are no customers.
    feed.add(3, customer(None, "Ghost Account", "ghost@example.com"))
    feed.add(3, customer(customer_key(109), "Hedy Fischer", "hedy@example.com", signed_up_on="2023-02-30"))
    feed.add(3, customer(customer_key(110), "Partner Ltd", "partner@example.com", record_type="Partner"))
    feed.add(3, customer(customer_key(111), "Old Import", "import@example.com", record_type=None))
    return feed


def make_orders(rng: random.Random) -> Feed:
    feed = Feed()

    # The order that the documentation follows: 100 euros at 1.07 are 107.00 dollars.
    feed.add(0, order("12345", 100, "EUR", buyer=customer_key(7)))

    for number in range(12001, 12001 + ORDINARY_ORDERS):
        load = rng.randrange(LOADS)
        created_at = FIRST_LOAD + timedelta(days=load) - timedelta(seconds=rng.randrange(600, 86400))
        currency = rng.choice(["EUR", "EUR", "EUR", "USD", "USD", "GBP", "CHF", "CAD", "SEK"])
        content = order(
            str(number),
            rng.randrange(5, 900),
            currency,
            buyer=customer_key(rng.randrange(1, ORDINARY_CUSTOMERS + 1)),
            status=rng.choice(["placed", "shipped", "shipped", "delivered", "cancelled"]),
            created_at=timestamp(created_at),
        )
        feed.add(load, content)
        # Some orders are sent again: as they were, or with what has changed since.
        if load < LOADS - 1 and rng.random() < 0.05:
            again = json.loads(json.dumps(content))
            again["order"]["status"] = rng.choice([content["order"]["status"], "delivered"])
            feed.add(load + 1, again)

    # Sent twice, and changed in between: 80 became 85.
    feed.add(0, order("12346", 80, "USD", status="placed"))
    feed.add(2, order("12346", 85, "USD", status="shipped"))
    # The same message twice in one load.
    feed.add(1, order("12347", 60, "GBP"))
    feed.add(1, order("12347", 60, "GBP"))

    # Keys and texts that break careless SQL, careless CSV and careless concatenation.
    feed.add(1, order("EU||2047", 150, "EUR", buyer=customer_key(102)))
    feed.add(1, order("O'Brien-11", 42, "GBP", buyer=customer_key(101), note="Leave it at O'Brien's door"))
    feed.add(1, order("12348", 75, "USD", note=HOSTILE_TEXT))
    feed.add(1, order("12349", 30, "EUR", note="Füße, 東京, العربية, 👩‍👩‍👧"))
    # Written by hand: line breaks between the members, and an escaped emoji.
    feed.add(2, json.dumps(order("12350", 20, "EUR", note="pretty 🎁"), indent=2))

    # No currency (the default rule), and one in lower case.
    for key, amount in (("12351", 55), ("12352", 18), ("12353", 240)):
        feed.add(2, order(key, amount, None))
    feed.add(2, order("12354", 90, "eur"))

    # Acceptable, and worth a look: warnings.
    feed.add(2, order("12355", 250000, "EUR"))
    feed.add(3, order("12356", 48000, "USD", status="on its way"))
    feed.add(3, order("12357", 64, "CAD", status="teleported"))
    feed.add(3, order("12358", 0, "USD", status=None))

    # Test orders, to be filtered; the last of them would not have passed the rules.
    feed.add(3, order("TEST-1", 1, "USD", test=True))
    feed.add(3, order("TEST-2", 999999, "EUR", test=True))
    feed.add(4, order("TEST-3", "abc", "EUR", test=True))
    feed.add(4, order("12359", 33, "EUR", test=False))

    # Refused: no key.
    feed.add(4, order(None, 70, "EUR"))
    feed.add(4, order(None, 15, "USD", note="who sent this?"))
    # Refused: an amount that is no number, or none at all (left out, or an explicit null).
    feed.add(4, order("12360", "n/a", "EUR"))
    feed.add(4, order("12361", "1,250", "USD"))
    feed.add(4, order("12362", "", "USD"))
    feed.add(4, order("12363", None, "EUR"))
    explicit_null = order("12369", None, "EUR")
    explicit_null["order"]["amount"]["value"] = None
    feed.add(4, explicit_null)
    # Refused: a currency that nobody quotes, and a fraction where the API promises whole units.
    feed.add(4, order("12364", 500, "XXX"))
    feed.add(4, order("12370", 12.5, "EUR"))
    # Refused: negative; once with nothing else wrong, once with more.
    feed.add(5, order("12365", -25, "EUR"))
    feed.add(5, order("12366", -1, "USD", created_at="yesterday", status="lost"))
    feed.add(5, order(None, -3, "EUR", note="everything at once"))
    # Refused: a date that does not exist.
    feed.add(5, order("12367", 77, "EUR", created_at="2024-02-30T10:00:00Z"))
    # Refused: the message was cut off, so that nothing in it can be read.
    feed.add(5, '{"order": {"id": "12368", "amount": {"value": 1')
    return feed


def make_order_items(rng: random.Random, orders: Feed) -> Feed:
    feed = Feed()
    seen = set()
    for loaded_at, payload in orders.rows:
        load = (loaded_at - FIRST_LOAD).days
        try:
            order_key = json.loads(payload)["order"].get("id")
        except json.JSONDecodeError:
            continue
        if order_key is None or order_key in seen:
            continue
        seen.add(order_key)
        for line in range(1, rng.choice([1, 1, 2, 2, 3]) + 1):
            sku, title, unit_price = rng.choice(PRODUCTS)
            discount = rng.choice([None, None, "0.00", "1.50"])
            content = order_item(
                order_key, line, rng.randrange(1, 6), unit_price, sku=sku, title=title, discount=discount
            )
            feed.add(load, content)
            # A line is corrected later; the table keeps the newest.
            if load < LOADS - 1 and rng.random() < 0.03:
                again = json.loads(json.dumps(content))
                again["item"]["quantity"] += 1
                feed.add(load + 1, again)

    # From here on line 11 or 1 of an order that has fewer lines: keys and texts that break careless SQL.
    feed.add(1, order_item("EU||2047", 11, 2, "32.00", sku="SKU||101", title="Pen || ink"))
    feed.add(1, order_item("O'Brien-11", 11, 1, "9.90", sku="O'B-1", title=HOSTILE_TEXT))
    # Free samples are no sales: filtered.
    feed.add(1, order_item("12345", 11, 1, "0.00", sku="SKU-900", title="Sample card", sample=True))
    feed.add(2, order_item("12346", 11, 1, "0.00", sku="SKU-900", title="Sample card", sample=True))
    # Warnings: nothing to pay, and a very large line.
    feed.add(2, order_item("12347", 11, 1, "0.00", title="Gift"))
    feed.add(3, order_item("12348", 11, 400, "119.00", sku="SKU-106", title="Drawing board"))
    # Refused: no key or half a key, a quantity that is no number, and one that makes no sense.
    feed.add(3, order_item(None, 1, 1))
    feed.add(3, order_item("12349", None, 3))
    feed.add(4, order_item("12350", 11, "two"))
    feed.add(4, order_item("12351", 11, 0))
    feed.add(4, order_item("12352", 11, -4, "7.80", sku="SKU-105", title="Paper, 500 sheets"))
    feed.add(4, order_item("12353", 11, 1, "on request"))
    # The correction of a good line is refused: the good line stays.
    feed.add(3, order_item("12354", 11, 3, "4.50"))
    feed.add(5, order_item("12354", 11, "three", "4.50"))
    return feed


def make_customer_analytics(rng: random.Random) -> dict[str, list[dict[str, Any]]]:
    """The tables of the customer analytics, by their names."""
    day = timedelta(days=1)
    customers = []
    for number in range(1, ANALYTICS_CUSTOMERS + 1):
        first, last = rng.choice(FIRST_NAMES), rng.choice(LAST_NAMES)
        customers.append(
            {
                "customer_id": number,
                "full_name": f"{first} {last}",
                # As people type them.
                "email": rng.choice(["", "", " "]) + rng.choice([first, first.lower()]) + f".{number}@example.com",
                "country": rng.choice(COUNTRIES),
                "updated_at": timestamp(FIRST_LOAD - rng.randrange(1, 400) * day),
            }
        )
    products = [
        {
            "product_id": number,
            "product_name": title,
            "category": category,
            "updated_at": timestamp(FIRST_LOAD - 400 * day),
        }
        for number, ((_, title, _), category) in enumerate(
            zip(PRODUCTS, ["paper", "writing", "writing", "furniture", "writing", "paper", "furniture"], strict=True), 1
        )
    ]
    prices = [Decimal(price) for _, _, price in PRODUCTS]
    orders = []
    for number in range(1, ANALYTICS_ORDERS + 1):
        product = rng.randrange(len(PRODUCTS))
        ordered_at = FIRST_LOAD - timedelta(minutes=rng.randrange(90 * 24 * 60))
        orders.append(
            {
                "order_id": 5000 + number,
                # The last five customers have not ordered anything yet.
                "customer_id": rng.randrange(1, ANALYTICS_CUSTOMERS - 4),
                "product_id": product + 1,
                "ordered_at": timestamp(ordered_at),
                "amount": f"{prices[product] * rng.randrange(1, 6):.4f}",
                "updated_at": timestamp(ordered_at + day),
            }
        )
    events = []
    for number in range(1, ANALYTICS_EVENTS + 1):
        event = {
            "event_id": 90000 + number,
            # Some visitors have not signed in.
            "customer_id": rng.randrange(1, ANALYTICS_CUSTOMERS + 1) if rng.random() < 0.95 else None,
            "event_type": rng.choice(EVENT_TYPES),
            "event_at": timestamp(FIRST_LOAD - timedelta(minutes=rng.randrange(14 * 24 * 60))),
        }
        # A topic may deliver an event twice.
        events += [event] * (2 if rng.random() < 0.03 else 1)
    return {
        "raw_customers": customers,
        "raw_products": products,
        "raw_orders": sorted(orders, key=lambda row: row["ordered_at"]),
        "raw_customer_events": sorted(events, key=lambda row: row["event_at"]),
    }


def write_csv(path: Path, header: list[str], rows: Iterator[tuple[str, ...]]) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(header)
        writer.writerows(rows)


def main() -> None:
    parser = argparse.ArgumentParser(description="Writes the sample's bronze seeds.")
    default = Path(__file__).resolve().parent.parent / "seeds" / "sample"
    parser.add_argument("--output", type=Path, default=default, help="folder of the seeds")
    output = parser.parse_args().output
    output.mkdir(parents=True, exist_ok=True)

    # A generator per feed: another customer leaves orders and items as they were.
    orders = make_orders(random.Random(RANDOM_SEED))
    feeds = {
        "bronze_customers_raw": make_customers(random.Random(RANDOM_SEED + 1)),
        "bronze_orders_raw": orders,
        "bronze_order_items_raw": make_order_items(random.Random(RANDOM_SEED + 2), orders),
    }
    for name, feed in feeds.items():
        write_csv(output / f"{name}.csv", ["payload", "loaded_at"], feed.sorted())
    write_csv(
        output / "fx_rates.csv",
        ["currency_code", "fx_rate", "rate_date"],
        ((currency, rate, FX_RATE_DATE) for currency, rate in FX_RATES.items()),
    )
    (output / "customer_analytics").mkdir(exist_ok=True)
    for name, rows in make_customer_analytics(random.Random(RANDOM_SEED + 3)).items():
        write_csv(output / "customer_analytics" / f"{name}.csv", list(rows[0]), (tuple(row.values()) for row in rows))


if __name__ == "__main__":
    main()
