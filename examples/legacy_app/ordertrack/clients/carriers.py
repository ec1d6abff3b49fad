"""The carriers' gateway: rates, shipments, tracking, labels and proofs of delivery."""

import os

import requests
from requests.adapters import HTTPAdapter
from urllib3.util.retry import Retry

from ordertrack.errors import NotFound, UpstreamError, UpstreamTimeout

CHUNK_SIZE = 16 * 1024


class BearerAuth(requests.auth.AuthBase):
    def __init__(self, token: str) -> None:
        self.token = token

    def __call__(self, request):
        request.headers["Authorization"] = f"Bearer {self.token}"
        return request


class CarrierClient:
    def __init__(
        self,
        base_url: str,
        token: str,
        timeout: float = 10.0,
        retries: int = 2,
        pool_size: int = 10,
    ) -> None:
        self.base_url = base_url.rstrip("/")
        self.timeout = timeout
        self.session = requests.Session()
        self.session.auth = BearerAuth(token)
        self.session.headers.update({"User-Agent": "ordertrack/3.4"})
        retry = Retry(
            total=retries,
            backoff_factor=0.01,
            status_forcelist=(502, 503),
            allowed_methods=("GET",),
            raise_on_status=False,
        )
        adapter = HTTPAdapter(max_retries=retry, pool_maxsize=pool_size)
        self.session.mount("http://", adapter)
        self.session.mount("https://", adapter)

    def _request(self, method: str, path: str, **kwargs) -> requests.Response:
        kwargs.setdefault("timeout", self.timeout)
        try:
            response = self.session.request(method, f"{self.base_url}/{path}", **kwargs)
            response.raise_for_status()
        except requests.exceptions.Timeout as error:
            raise UpstreamTimeout("carriers", f"{path}: no reply in time") from error
        except requests.exceptions.ConnectionError as error:
            raise UpstreamError("carriers", f"{path}: cannot connect") from error
        except requests.exceptions.HTTPError as error:
            if error.response.status_code == 404:
                raise NotFound(f"carriers: {path}") from error
            raise UpstreamError("carriers", f"{path}: {error.response.status_code}") from error
        return response

    def rate(self, carrier: str, weight_grams: int, country: str) -> dict:
        """What one parcel costs with one carrier, and how many days it takes."""
        params = {"weight_grams": weight_grams, "country": country}
        return self._request("GET", f"{carrier}/rates", params=params).json()

    def is_up(self, carrier: str) -> bool:
        try:
            return self.session.get(f"{self.base_url}/{carrier}/health", timeout=2).ok
        except requests.RequestException:
            return False

    def register(self, carrier: str, reference: str, weight_grams: int, country: str) -> str:
        """Register a parcel; returns its tracking number."""
        parcel = {"reference": reference, "weight_grams": weight_grams, "country": country}
        response = self._request("POST", f"{carrier}/shipments", json=parcel)
        return response.json()["tracking_number"]

    def order_pickup(self, carrier: str, tracking_number: str) -> str:
        body = {"tracking_number": tracking_number}
        return self._request("POST", f"{carrier}/pickups", json=body).json()["pickup"]

    def tracking(self, carrier: str, tracking_number: str, page: int = 1) -> list[str]:
        """All events of a parcel, oldest first; the service hands them out in pages."""
        path = f"{carrier}/tracking/{tracking_number}"
        data = self._request("GET", path, params={"page": page}).json()
        if data["next_page"] is None:
            return data["events"]
        return data["events"] + self.tracking(carrier, tracking_number, data["next_page"])

    def download_label(self, carrier: str, tracking_number: str, path: str) -> int:
        """Stream the label PDF into the file `path`; returns its size."""
        url = f"{self.base_url}/{carrier}/labels/{tracking_number}"
        size = 0
        try:
            with self.session.get(url, stream=True, timeout=self.timeout) as response:
                response.raise_for_status()
                with open(path, "wb") as label:
                    for chunk in response.iter_content(CHUNK_SIZE):
                        label.write(chunk)
                        size += len(chunk)
        except requests.exceptions.RequestException as error:
            if os.path.exists(path):
                os.remove(path)
            raise UpstreamError("carriers", f"no label for {tracking_number}") from error
        return size

    def upload_proof(self, carrier: str, tracking_number: str, path: str) -> str:
        """Send the photo taken at the door; returns the carrier's reference."""
        url = f"{self.base_url}/{carrier}/proofs/{tracking_number}"
        with open(path, "rb") as photo:
            files = {"photo": (os.path.basename(path), photo, "image/jpeg")}
            response = self.session.post(url, files=files)
        if not response.ok:
            raise UpstreamError("carriers", f"proof refused: {response.status_code}")
        return response.json()["reference"]

    def close(self) -> None:
        self.session.close()
