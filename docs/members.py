"""The directive ``members``: a table of what a class has, a line each, with links."""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Iterator
from typing import Any, ClassVar

from docutils import nodes
from docutils.parsers.rst import directives
from docutils.statemachine import StringList
from sphinx.application import Sphinx
from sphinx.ext.autosummary import Autosummary


def members(cls: type, strangers: set[str]) -> Iterator[str]:
    """Yield the public names that autodoc shows in a class; none that it has from strangers."""
    for name in sorted(dir(cls)):
        home = next((base for base in cls.__mro__ if name in vars(base)), object)
        foreign = home.__name__ in strangers
        if not name.startswith("_") and not foreign and inspect.getdoc(getattr(cls, name)):
            yield name


class Members(Autosummary):
    """``.. members:: courtyard.Dict``; with ``:only: get, set``, of these alone."""

    has_content = False
    required_arguments = 1
    option_spec: ClassVar[Any] = {"only": directives.unchanged_required}

    def run(self) -> list[nodes.Node]:
        module, _, name = self.arguments[0].rpartition(".")
        cls = getattr(importlib.import_module(module), name)
        strangers = self.config.autodoc_default_options["inherited-members"].split(", ")
        only = self.options.pop("only", "")
        names = only.split(", ") if only else members(cls, set(strangers))
        self.options["nosignatures"] = None
        self.content = StringList([f"~{module}.{name}.{key}" for key in names])
        return super().run()

    def get_items(self, names: list[str]) -> list[tuple[str, str | None, str, str]]:
        # The standard library's docstring of a mapping's method is a signature alone.
        return [
            (name, signature, summary or "As that of a read-only mapping.", place)
            for name, signature, summary, place in super().get_items(names)
        ]


def setup(app: Sphinx) -> dict[str, bool]:
    app.setup_extension("sphinx.ext.autosummary")
    app.add_directive("members", Members)
    return {"parallel_read_safe": True}
