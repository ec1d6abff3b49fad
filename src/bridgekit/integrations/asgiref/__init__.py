"""A drop-in for asgiref's bridges, with this package's engine under them.

``install()`` puts it in the place of ``asgiref.sync`` and ``asgiref.local`` for the whole process;
the same names can be imported from :mod:`.sync` and :mod:`.local` instead.
"""

from __future__ import annotations

from bridgekit.integrations.asgiref.installing import Replaced, install, uninstall

__all__ = ["Replaced", "install", "uninstall"]
