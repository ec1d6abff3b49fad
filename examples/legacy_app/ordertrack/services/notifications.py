"""Mails to customers. Sending is slow, so it happens behind the request's back."""

import json
import logging
import os
import threading

from flask import Flask

from ordertrack.models import Order, OrderEvent

log = logging.getLogger("ordertrack.notifications")


class Notifier:
    """Writes mails to the outbox folder, from where the mail daemon takes them."""

    def __init__(self, app: Flask) -> None:
        self.app = app
        self.outbox = os.path.join(app.config["DATA_DIR"], "outbox.jsonl")
        self.threads: list[threading.Thread] = []

    def notify_later(self, order_id: int, subject: str) -> None:
        """Fire and forget; the caller has committed the order."""
        thread = threading.Thread(target=self._deliver, args=(order_id, subject), daemon=True)
        self.threads = [item for item in self.threads if item.is_alive()]
        self.threads.append(thread)
        thread.start()

    def wait(self, timeout: float = 5.0) -> None:
        for thread in self.threads:
            thread.join(timeout)

    def _deliver(self, order_id: int, subject: str) -> None:
        with self.app.app_context():
            session = self.app.extensions["database"].session()
            try:
                order = session.get(Order, order_id)
                if order is None:
                    return
                mail = {"to": order.customer.email, "subject": subject, "order": order.number}
                os.makedirs(os.path.dirname(self.outbox), exist_ok=True)
                with open(self.outbox, "a", encoding="utf-8") as outbox:
                    outbox.write(json.dumps(mail) + "\n")
                session.add(OrderEvent(order_id=order_id, kind="mail", message=subject))
                session.commit()
            except Exception:
                log.exception("mail for order %s was not sent", order_id)
            finally:
                session.close()

    def sent(self) -> list[dict]:
        """The mails in the outbox, oldest first."""
        if not os.path.exists(self.outbox):
            return []
        with open(self.outbox, encoding="utf-8") as outbox:
            return [json.loads(line) for line in outbox.readlines()]
