"""Type variables, casts and `isinstance` tests: what they say of a receiver."""

from __future__ import annotations

from typing import Any

_REPOSITORIES = {
    "app/__init__.py": "",
    "app/base.py": """
        from typing import Any, Generic, TypeVar

        class Model:
            def save(self): ...

        M = TypeVar("M", bound=Model)
        K = TypeVar("K")

        class Reader(Generic[M]):
            kind: type[M]
            latest: M
            def get(self, key: int) -> M: ...
            def list(self, lazy: bool = False) -> list[M]: ...
            def pages(self) -> "dict[str, M]": ...

        class Repository(Reader[M], Generic[K, M]):
            def find(self, key: K) -> M | None: ...
    """,
    "app/orders.py": """
        from app import base

        class Order(base.Model):
            def ship(self): ...

        class Parcel(base.Model):
            def ship(self): ...

        class Orders(base.Repository[int, Order]): ...
        class Parcels(base.Repository[int, Parcel]): ...

        def use(orders: Orders, named: base.Repository[str, Parcel], bare: base.Repository):
            orders.get(1).ship()
            orders.find(2).ship()
            orders.list()[0].ship()
            orders.pages()["a"].ship()
            orders.latest.ship()
            named.get("b").ship()
            bare.get(3).save()
            bare.get(4).ship()
    """,
}


def _ship(name: str) -> set[tuple[str, str]]:
    return {(f"app.orders.{name}.ship", "method")}


def _found(loaded: Any, text: str) -> set[tuple[str, str]]:
    return {(t.function.qualname, t.grade) for t in loaded.site(text).targets}


def test_a_subclass_says_what_its_bases_variables_stand_for(build: Any) -> None:
    loaded = build(_REPOSITORIES)
    for text in ("get(1)", "find(2)", "list()[0]", "pages()['a']".replace("'", '"'), "latest"):
        assert _found(loaded, f"orders.{text}.ship()") == _ship("Order"), text


def test_an_annotation_says_what_the_variables_stand_for(build: Any) -> None:
    assert _found(build(_REPOSITORIES), 'named.get("b").ship()') == _ship("Parcel")


def test_an_open_variable_means_its_bound(build: Any) -> None:
    loaded = build(_REPOSITORIES)
    assert _found(loaded, "bare.get(3).save()") == {("app.base.Model.save", "method")}
    assert {g for _, g in _found(loaded, "bare.get(4).ship()")} <= {"override", "guess"}


def test_arguments_solve_the_variables_of_a_function(build: Any) -> None:
    loaded = build(
        """
        from typing import TypeVar
        T = TypeVar("T")

        class Order:
            def ship(self): ...
        class Parcel:
            def ship(self): ...

        def load(kind: type[T], key: int) -> T: ...
        def same(value: T) -> T: return value
        def maker() -> T: ...

        def use():
            load(Order, 1).ship()
            load(key=2, kind=Parcel).ship()
            same(Parcel()).ship()
            maker().ship()
        """
    )
    assert _found(loaded, "load(Order, 1).ship()") == {("m.Order.ship", "method")}
    assert _found(loaded, "load(key=2, kind=Parcel).ship()") == {("m.Parcel.ship", "method")}
    assert _found(loaded, "same(Parcel()).ship()") == {("m.Parcel.ship", "method")}
    assert _found(loaded, "maker().ship()") == set()


def test_a_cast_to_a_variable_keeps_the_wrapper(build: Any) -> None:
    loaded = build(
        """
        import functools
        from typing import Any, Callable, TypeVar, cast

        F = TypeVar("F", bound=Callable[..., Any])

        def guarded(kind: type) -> Callable[[F], F]:
            def wrap(f: F) -> F:
                @functools.wraps(f)
                def wrapper(*args: Any) -> Any:
                    return f(*args)
                return cast(F, wrapper)
            return wrap

        class Order:
            def ship(self): ...

        @guarded(ValueError)
        def fetch() -> Order: ...

        def use(thing):
            fetch().ship()
            cast(Order, thing).ship()
            cast("Order", thing).ship()
        """
    )
    program = loaded.program
    (wrapper,) = program.wrappers_of(program.functions["m.fetch"])
    assert wrapper.qualname.endswith("wrapper")
    for text in ("fetch()", "cast(Order, thing)", 'cast("Order", thing)'):
        assert _found(loaded, f"{text}.ship()") == {("m.Order.ship", "method")}, text


def test_leaving_after_a_failed_isinstance_narrows_the_rest(build: Any) -> None:
    loaded = build(
        """
        class Order:
            def ship(self): ...

        def compare(other):
            if other is None or not isinstance(other, Order):
                return NotImplemented
            return other.ship(1)

        def go_on(other):
            if not isinstance(other, Order):
                print(other)
            return other.ship(2)
        """
    )
    assert _found(loaded, "other.ship(1)") == {("m.Order.ship", "method")}
    assert _found(loaded, "other.ship(2)") == set()


def test_an_isinstance_test_says_nothing_outside_its_branch(build: Any) -> None:
    loaded = build(
        """
        class Attribute:
            def load(self): ...
        class File(Attribute):
            def load(self): ...
        class Text(Attribute):
            def load(self): ...

        def use(kinds):
            for kind in kinds:
                attribute = kind()
                if isinstance(attribute, File):
                    attribute.load(1)
                    continue
                if isinstance(attribute, Attribute):
                    attribute.load(2)
                attribute.load(3)
        """
    )
    assert _found(loaded, "attribute.load(1)") == {("m.File.load", "method")}
    assert _found(loaded, "attribute.load(2)") == {
        ("m.Attribute.load", "method"),
        ("m.File.load", "override"),
        ("m.Text.load", "override"),
    }
    assert _found(loaded, "attribute.load(3)") == set()


def test_an_isinstance_test_keeps_what_was_known(build: Any) -> None:
    loaded = build(
        """
        class Order:
            def ship(self): ...
        class Page:
            def __iter__(self): ...

        def orders() -> Page | list[Order]: ...

        def use():
            found = orders()
            found[0].ship()
            assert isinstance(found, list)
            found[1].ship()
        """
    )
    assert _found(loaded, "found[0].ship()") == {("m.Order.ship", "method")}
    assert _found(loaded, "found[1].ship()") == {("m.Order.ship", "method")}


def test_what_doubles_hold_is_not_what_the_program_holds(build: Any) -> None:
    loaded = build(
        {
            "app.py": """
                class Order:
                    def __init__(self): ...
                class Loader:
                    kind: type[Order] = Order
                    def load(self):
                        return self.kind()
            """,
            "tests/test_app.py": """
                from app import Loader

                class FakeLoader(Loader):
                    kind = object
            """,
        }
    )
    assert _found(loaded, "self.kind()") == {("app.Order.__init__", "exact")}
