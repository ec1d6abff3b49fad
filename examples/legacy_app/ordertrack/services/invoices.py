"""Invoices of a month: one text file each, a manifest, a zip archive."""

import json
import os
import subprocess
import sys
from datetime import datetime

from sqlalchemy.orm import Session

from ordertrack.errors import NotFound, OrderTrackError, ValidationError
from ordertrack.models import Order
from ordertrack.repositories import OrderRepository

CHECKSUM = "import hashlib,sys;print(hashlib.sha256(open(sys.argv[1],'rb').read()).hexdigest())"


class ArchiveError(OrderTrackError):
    code = "archive_failed"


def month_range(month: str):
    """First day of "2024-03" and of the month after it."""
    try:
        start = datetime.strptime(month, "%Y-%m")
    except ValueError as error:
        raise ValidationError(f"not a month: {month}", "month") from error
    if start.month == 12:
        return start, start.replace(year=start.year + 1, month=1)
    return start, start.replace(month=start.month + 1)


def render_invoice(order: Order) -> str:
    lines = [f"Invoice {order.number}", f"To: {order.customer.name}", ""]
    for line in order.lines:
        lines.append(f"{line.quantity:>4} x {line.sku:<20} {line.total_cents / 100:>10.2f}")
    total = sum(line.total_cents for line in order.lines)
    lines += ["", f"Total {order.currency} {total / 100:.2f}", ""]
    return "\n".join(lines)


class InvoiceService:
    def __init__(self, session: Session, data_dir: str) -> None:
        self.orders = OrderRepository(session)
        self.root = os.path.join(data_dir, "invoices")

    def folder(self, month: str) -> str:
        return os.path.join(self.root, month)

    def write_month(self, month: str) -> dict:
        """Write all invoices of a month; returns the manifest."""
        start, end = month_range(month)
        folder = self.folder(month)
        os.makedirs(folder, exist_ok=True)
        names = []
        for order in self.orders.in_month(start, end):
            name = f"{order.number}.txt"
            with open(os.path.join(folder, name), "w", encoding="utf-8") as invoice:
                invoice.write(render_invoice(order))
            names.append(name)
        manifest = {"month": month, "invoices": names}
        with open(os.path.join(folder, "manifest.json"), "w", encoding="utf-8") as file:
            json.dump(manifest, file)
        return manifest

    def manifest(self, month: str) -> dict:
        path = os.path.join(self.folder(month), "manifest.json")
        try:
            with open(path, encoding="utf-8") as file:
                return json.loads(file.read())
        except FileNotFoundError as error:
            raise NotFound(f"no invoices for {month}") from error

    def read(self, month: str, number: str) -> str:
        if f"{number}.txt" not in self.manifest(month)["invoices"]:
            raise NotFound(f"no invoice {number} in {month}")
        with open(os.path.join(self.folder(month), f"{number}.txt"), encoding="utf-8") as file:
            return file.read()

    def pack(self, month: str) -> dict:
        """Zip the month's folder; returns the archive's path and SHA-256."""
        names = self.manifest(month)["invoices"]
        archive = os.path.join(self.root, f"{month}.zip")
        command = [sys.executable, "-m", "zipfile", "-c", archive, "manifest.json", *names]
        packed = subprocess.run(command, cwd=self.folder(month), capture_output=True, text=True)
        if packed.returncode != 0:
            raise ArchiveError(packed.stderr.strip())
        return {"path": archive, "sha256": self.checksum(archive)}

    def checksum(self, path: str) -> str:
        result = subprocess.run(
            [sys.executable, "-c", CHECKSUM, path],
            stdout=subprocess.PIPE,
            check=True,
            timeout=30,
        )
        return result.stdout.decode().strip()
