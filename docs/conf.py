"""Sphinx configuration."""

import sys
from importlib.metadata import version as version_of
from pathlib import Path
from typing import TypeVar

from courtyard.aio import _queue

sys.path.append(str(Path(__file__).parent))  # members.py

_queue._T = TypeVar("_T")  # in a program it is a placeholder: importing typing costs too much there

project = "courtyard"
author = "The courtyard developers"
project_copyright = author
release = version = version_of("courtyard")

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon", "members"]
default_role = "code"  # of `this` in a docstring
autosummary_generate = False  # the tables link to what autodoc shows
napoleon_use_ivar = True  # the attributes of dataclasses stand in the docstring alone
myst_enable_extensions = ["colon_fence"]
myst_heading_anchors = 3
autodoc_default_options = {
    "members": True,
    "inherited-members": "object, Exception, BaseException, MemoryError",
}
autodoc_member_order = "groupwise"
autodoc_typehints = "description"

# Furo uses the fonts of the reader's system: the pages load nothing from elsewhere.
html_theme = "furo"
html_title = "courtyard"
