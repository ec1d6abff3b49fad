"""The replies of the three services: plain functions from a request to (status, headers, body)."""

import json
import zlib
from dataclasses import dataclass
from urllib.parse import parse_qsl

from upstreams.state import Fault, State

TAX_RATES = {"DE": 0.19, "FR": 0.20, "NL": 0.21, "US": 0.0}
EXCHANGE_RATES = {"EUR": 1.0, "USD": 1.1, "GBP": 0.85}
CARRIERS = {"post": (450, 3), "courier": (990, 1), "freight": (2900, 6)}
API_TOKEN = "carrier-secret"
API_KEY = "summary-key"
TRACKING_PAGE = 2
TRACKING_EVENTS = ["registered", "picked up", "in transit", "out for delivery", "delivered"]

Reply = tuple[int, dict[str, str], bytes]


@dataclass
class Request:
    method: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]
    body: bytes

    @classmethod
    def parse(cls, method: str, target: str, headers: dict[str, str], body: bytes) -> "Request":
        path, _, query = target.partition("?")
        return cls(method, path, dict(parse_qsl(query)) if query else {}, headers, body)


def as_json(data: object, status: int = 200, **headers: str) -> Reply:
    return status, {"Content-Type": "application/json", **headers}, json.dumps(data).encode()


def price_of(sku: str) -> int:
    return 500 + zlib.crc32(sku.encode()) % 9500


def pricing(request: Request, parts: list[str], state: State) -> Reply:
    if parts[:1] == ["prices"] and len(parts) == 2:
        if parts[1].startswith("UNKNOWN"):
            return as_json({"error": "no such sku"}, 404)
        return as_json({"sku": parts[1], "unit_price_cents": price_of(parts[1])})
    if parts == ["baskets"] and request.method == "POST":
        lines = json.loads(request.body)["lines"]
        subtotal = sum(price_of(line["sku"]) * line["quantity"] for line in lines)
        discount = subtotal // 10 if subtotal > 50_000 else 0
        return as_json({"subtotal_cents": subtotal, "discount_cents": discount})
    if parts == ["tax"]:
        rate = TAX_RATES.get(request.query.get("country", ""), 0.15)
        amount = int(request.query.get("amount_cents", "0"))
        return as_json({"rate": rate, "tax_cents": round(amount * rate)})
    if parts[:1] == ["rates"] and len(parts) == 2:
        return as_json({"currency": parts[1], "rate": EXCHANGE_RATES.get(parts[1], 1.0)})
    return as_json({"error": "not found"}, 404)


def carriers(request: Request, parts: list[str], state: State) -> Reply:
    if request.headers.get("authorization") != f"Bearer {API_TOKEN}":
        return as_json({"error": "unauthorized"}, 401)
    if len(parts) < 2 or parts[0] not in CARRIERS:
        return as_json({"error": "no such carrier"}, 404)
    code, what, rest = parts[0], parts[1], parts[2:]
    base, days = CARRIERS[code]
    if what == "health":
        return as_json({"carrier": code, "status": "up"})
    if what == "rates":
        grams = int(request.query.get("weight_grams", "0"))
        abroad = 0 if request.query.get("country") == "DE" else 600
        return as_json({"carrier": code, "price_cents": base + grams // 10 + abroad, "days": days})
    if what == "shipments" and request.method == "POST":
        order = json.loads(request.body)
        number = f"{code.upper()}-{zlib.crc32(order['reference'].encode()):08d}"
        return as_json({"tracking_number": number, "order": order}, 201)
    if what == "shipments" and request.method == "DELETE":
        return 204, {}, b""
    if what == "pickups" and request.method == "POST":
        return as_json({"pickup": "P-" + json.loads(request.body)["tracking_number"]}, 201)
    if what == "tracking" and len(rest) == 1:
        page = int(request.query.get("page", "1"))
        start = (page - 1) * TRACKING_PAGE
        events = TRACKING_EVENTS[start : start + TRACKING_PAGE]
        last = start + TRACKING_PAGE >= len(TRACKING_EVENTS)
        return as_json({"events": events, "next_page": None if last else page + 1})
    if what == "labels" and len(rest) == 1:
        body = b"%PDF-1.4\n% label " + rest[0].encode() + b"\n" + b"0123456789abcdef" * 4096
        return 200, {"Content-Type": "application/pdf"}, body
    if what == "proofs" and len(rest) == 1 and request.method == "POST":
        is_form = request.headers.get("content-type", "").startswith("multipart/form-data")
        if not is_form or b'name="photo"' not in request.body:
            return as_json({"error": "photo missing"}, 422)
        return as_json({"reference": f"POD-{rest[0]}", "bytes": len(request.body)}, 201)
    return as_json({"error": "not found"}, 404)


def summary(request: Request, parts: list[str], state: State) -> Reply:
    if parts == ["token"] and request.method == "POST":
        if json.loads(request.body).get("api_key") != API_KEY:
            return as_json({"error": "bad key"}, 403)
        return as_json({"token": "summary-token"})
    if request.headers.get("authorization") != "Bearer summary-token":
        return as_json({"error": "unauthorized"}, 401)
    if parts == ["summaries"] and request.method == "POST":
        wait = state.summary_retry_after()
        if wait is not None:
            return as_json({"error": "slow down"}, 429, **{"Retry-After": str(int(wait) + 1)})
        data = json.loads(request.body)
        words = data["text"].split()[: data.get("max_words", 12)]
        return as_json({"summary": " ".join(words), "words": len(words)})
    return as_json({"error": "not found"}, 404)


def control(request: Request, parts: list[str], state: State) -> Reply:
    if request.method == "POST":
        data = json.loads(request.body or b"{}")
        if data.get("reset"):
            state.reset(0.0, 0)
        state.latency_ms = float(data.get("latency_ms", state.latency_ms))
        state.summary_per_minute = int(data.get("summary_per_minute", state.summary_per_minute))
        for name, fault in data.get("faults", {}).items():
            state.faults[name] = Fault(**fault)
    return as_json(state.describe())


SERVICES = {"pricing": pricing, "carriers": carriers, "summary": summary}


def answer(request: Request, state: State) -> tuple[Reply, float, bool]:
    """The reply, the seconds to hold it back, and whether to drop the connection instead."""
    service, *parts = [part for part in request.path.split("/") if part] or [""]
    if service == "_control":
        return control(request, parts, state), 0.0, False
    handler = SERVICES.get(service)
    if handler is None:
        return as_json({"error": "no such service"}, 404), 0.0, False
    state.counts[service] += 1
    state.recent.append(
        {"method": request.method, "path": request.path, "query": request.query,
         "user_agent": request.headers.get("user-agent", ""), "size": len(request.body)}
    )  # fmt: skip
    delay = state.latency_ms / 1000.0
    fault = state.take_fault(service, request.path) if state.faults else None
    if fault is not None:
        delay += fault.delay_ms / 1000.0
        if fault.drop:
            return as_json({}), delay, True
        if fault.status:
            return as_json({"error": "fault injected"}, fault.status), delay, False
    try:
        return handler(request, parts, state), delay, False
    except (KeyError, ValueError, TypeError) as error:
        return as_json({"error": f"bad request: {error!r}"}, 400), delay, False
