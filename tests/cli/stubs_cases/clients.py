"""Proxies of clients that others have written and typed, each in its own way."""

from __future__ import annotations

import asyncio
import io
import pathlib
import queue
import smtplib
import subprocess
import threading
import zipfile

import aiohttp
import httpx

from bridgekit.adapters.proxies import async_proxy, sync_proxy

AsyncHttp = async_proxy(httpx.Client, wrap={httpx.Response}, plain={"json"})
SyncHttp = sync_proxy(httpx.AsyncClient, wrap={httpx.Response}, plain={"json"})
SyncAiohttp = sync_proxy(aiohttp.ClientSession, context_managers={"get"})
AsyncSMTP = async_proxy(smtplib.SMTP)
AsyncQueue = async_proxy(queue.Queue, plain={"qsize"})
SyncQueue = sync_proxy(asyncio.Queue)
AsyncPath = async_proxy(pathlib.Path, iterators={"iterdir"})
AsyncZip = async_proxy(zipfile.ZipFile)
AsyncPopen = async_proxy(subprocess.Popen)
AsyncText = async_proxy(io.TextIOWrapper)
lock = async_proxy(threading.RLock())
