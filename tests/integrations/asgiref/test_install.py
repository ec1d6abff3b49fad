"""`install` puts the drop-in in the place of asgiref's modules; each case in a fresh process."""

import subprocess
import sys
from textwrap import dedent

import pytest


def run(body: str) -> str:
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", dedent(body)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_every_form_of_import_yields_the_drop_in_afterwards() -> None:
    run(
        """
        from bridgekit.integrations.asgiref import install, sync, local
        report = install()
        assert report.modules == [
            "asgiref.sync", "asgiref.local", "asgiref.current_thread_executor"
        ]
        import asgiref.sync
        from asgiref import local as by_from
        from asgiref.sync import sync_to_async
        import asgiref.wsgi
        assert asgiref.sync is sync and by_from is local
        assert sync_to_async is sync.sync_to_async
        assert asgiref.wsgi.sync_to_async is sync.sync_to_async
        """
    )


def test_names_that_loaded_modules_hold_are_replaced_and_put_back() -> None:
    out = run(
        """
        import sys, types
        import asgiref.sync, asgiref.local, asgiref.wsgi
        original = asgiref.sync
        user = types.ModuleType("user")
        exec("from asgiref import sync\\nfrom asgiref.sync import async_to_sync as bridge\\n"
             "from asgiref.local import Local", user.__dict__)
        sys.modules["user"] = user
        from bridgekit.integrations import asgiref as drop_in
        report = drop_in.install()
        print(report)
        assert user.sync is drop_in.installing.sync
        assert user.bridge is drop_in.installing.sync.async_to_sync
        assert user.Local is drop_in.installing.local.Local
        assert asgiref.wsgi.AsyncToSync is drop_in.installing.sync.AsyncToSync
        assert drop_in.install() == report, "the second call finds nothing to do"
        drop_in.uninstall()
        assert sys.modules["asgiref.sync"] is original is asgiref.sync is user.sync
        assert user.bridge is original.async_to_sync
        assert asgiref.wsgi.AsyncToSync is original.AsyncToSync
        drop_in.uninstall()
        """
    )
    assert "user.bridge" in out
    assert "asgiref.sync" in out


def test_it_does_not_load_the_original_nor_need_it() -> None:
    run(
        """
        import sys
        class Absent:
            def find_spec(self, name, path=None, target=None):
                if name.partition(".")[0] == "asgiref":
                    raise AssertionError(f"{name} was looked for")
        from bridgekit.integrations import asgiref as drop_in
        saved = drop_in.installing.importlib.util.find_spec
        drop_in.installing.importlib.util.find_spec = lambda name: None  # not installed
        sys.meta_path.insert(0, Absent())
        drop_in.install()
        from asgiref.sync import async_to_sync, sync_to_async
        from asgiref.local import Local
        async def double(value):
            return await sync_to_async(lambda: value * 2)()
        assert async_to_sync(double)(21) == 42
        drop_in.uninstall()
        assert "asgiref" not in sys.modules and "asgiref.sync" not in sys.modules
        """
    )


def test_coroutine_marks_of_the_standard_library_are_left_alone() -> None:
    run(
        """
        import asyncio, inspect
        import asgiref.sync
        marks = asyncio.iscoroutinefunction, inspect.iscoroutinefunction
        from bridgekit.integrations.asgiref import install
        install()
        assert (asyncio.iscoroutinefunction, inspect.iscoroutinefunction) == marks
        assert asgiref.sync.iscoroutinefunction(asgiref.sync.sync_to_async(print))
        assert not asgiref.sync.iscoroutinefunction(asgiref.sync.sync_to_async)
        """
    )


@pytest.mark.parametrize("application", ["flask.Flask", "bridgekit.integrations.flask.Flask"])
def test_async_views_of_flask_share_one_loop(application: str) -> None:
    pytest.importorskip("flask")
    module, _, name = application.rpartition(".")
    run(
        f"""
        import asyncio
        from bridgekit.integrations.asgiref import install
        install()
        from {module} import {name} as Application
        from flask import g, request
        app = Application(__name__)
        loops = []
        @app.before_request
        async def before():
            g.seen = request.path
        @app.get("/<int:number>")
        async def view(number):
            loops.append(asyncio.get_running_loop())
            await asyncio.sleep(0)
            return f"{{g.seen}} {{request.path}} {{number}}"
        client = app.test_client()
        assert [client.get(f"/{{n}}").text for n in (1, 2)] == ["/1 /1 1", "/2 /2 2"]
        assert loops[0] is loops[1]
        """
    )


def test_flask_modules_that_are_loaded_already_are_served_too() -> None:
    pytest.importorskip("flask")
    run(
        """
        import asyncio
        import asgiref.sync
        import flask
        app = flask.Flask(__name__)
        loops = []
        @app.get("/")
        async def view():
            loops.append(asyncio.get_running_loop())
            return "ok"
        client = app.test_client()
        client.get("/")
        from bridgekit.integrations.asgiref import install
        install()
        client.get("/"), client.get("/")
        assert loops[0] is not loops[1] is loops[2]
        """
    )
