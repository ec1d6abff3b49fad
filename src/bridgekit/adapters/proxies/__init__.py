"""Whole objects and classes of one colour made into the other."""

from bridgekit.adapters.proxies.proxying import async_proxy, sync_proxy, unwrap
from bridgekit.adapters.proxies.rules import ProxyRules
from bridgekit.adapters.proxies.to_async import AsyncProxy
from bridgekit.adapters.proxies.to_sync import SyncProxy

__all__ = ["AsyncProxy", "ProxyRules", "SyncProxy", "async_proxy", "sync_proxy", "unwrap"]
