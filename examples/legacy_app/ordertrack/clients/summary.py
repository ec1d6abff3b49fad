"""Text summaries. The service allows 30 calls a minute and says 429 to the 31st."""

import requests

from ordertrack.decorators import retry
from ordertrack.errors import RateLimited, UpstreamError, UpstreamTimeout


class SummaryClient:
    def __init__(self, base_url: str, api_key: str, timeout: float = 30.0) -> None:
        self.base_url = base_url.rstrip("/")
        self.timeout = timeout
        response = requests.post(
            f"{self.base_url}/token", json={"api_key": api_key}, timeout=timeout
        )
        if response.status_code == 403:
            raise UpstreamError("summary", "the API key was refused")
        response.raise_for_status()
        self.token = response.json()["token"]

    @retry(on=UpstreamTimeout, times=2, delay=0.05)
    def summarise(self, text: str, max_words: int = 12) -> str:
        headers = {"Authorization": f"Bearer {self.token}"}
        try:
            response = requests.post(
                f"{self.base_url}/summaries",
                json={"text": text, "max_words": max_words},
                headers=headers,
                timeout=self.timeout,
            )
        except requests.Timeout as error:
            raise UpstreamTimeout("summary", "no reply in time") from error
        except requests.RequestException as error:
            raise UpstreamError("summary", "cannot connect") from error
        if response.status_code == 429:
            raise RateLimited("summary", float(response.headers.get("Retry-After", "1")))
        if response.status_code >= 400:
            raise UpstreamError("summary", f"{response.status_code} {response.reason}")
        return response.json()["summary"]
