"""Configuration of Sphinx: ``tox -e docs`` builds the site."""

import runpy

# The gallery links what examples import, also those that it does not run (plot_gallery=0).
from sklearn.experimental import enable_halving_search_cv  # noqa: F401
from sphinx_gallery.sorting import ExplicitOrder

import fastmlp

runpy.run_path("pictures/draw.py", run_name="__main__")

project = "fastmlp"
author = "The fastmlp developers"
copyright = author
version = release = fastmlp.__version__

extensions = [
    "myst_parser",
    "numpydoc",
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx.ext.mathjax",
    "sphinx_design",
    "sphinx_gallery.gen_gallery",
    "sphinx-mathjax-offline",  # so that equations need no network
]
exclude_patterns = ["_build"]
templates_path = ["_templates"]
nitpicky = True
# Single backticks in docstrings are names, and become links where there is a page. Many have none,
# such as parameters.
default_role = "py:obj"
nitpick_ignore_regex = [("py:obj", ".*")]

# Pages -------------------------------------------------------------------------------------------

myst_enable_extensions = ["colon_fence", "dollarmath"]
myst_heading_anchors = 3

# Docstrings --------------------------------------------------------------------------------------

autodoc_typehints = "none"  # numpydoc's sections have the types
autodoc_member_order = "bysource"
autodoc_preserve_defaults = True
maximum_signature_line_length = 72
numpydoc_show_class_members = False  # the templates list them
autosummary_generate = True
toc_object_entries_show_parents = "hide"

# Examples ----------------------------------------------------------------------------------------

#: What most people look for comes first, what is not run when the site is built last.
ORDER = [
    "plot_digits.py",
    "plot_numpy_network.py",
    "plot_table_from_csv.py",
    "plot_regression.py",
    "plot_text.py",
    "plot_early_stopping.py",
    "plot_hyperparameter_search.py",
    "*",
    "larger_than_memory.py",
    "onnx_web_service.py",
]
suppress_warnings = ["sphinx_gallery.space_in_filename"]  # those of folders above do no harm
sphinx_gallery_conf = {
    "examples_dirs": "../examples",
    "gallery_dirs": "examples",
    "filename_pattern": "/plot_",  # others are shown, but not run
    "abort_on_example_error": True,
    "within_subsection_order": ExplicitOrder(ORDER),
    "doc_module": ("fastmlp",),
    "reference_url": {"fastmlp": None},
    "show_memory": False,
    "download_all_examples": False,
}

# The theme ---------------------------------------------------------------------------------------

html_theme = "pydata_sphinx_theme"
html_title = "fastmlp"
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_copy_source = html_show_sourcelink = False
html_theme_options = {
    "logo": {"text": "fastmlp"},
    "github_url": "https://github.com/fastmlp/fastmlp",
    "header_links_before_dropdown": 7,
    "navbar_align": "left",
    "navigation_with_keys": False,
    "show_toc_level": 2,
    "secondary_sidebar_items": ["page-toc"],
    "footer_start": ["copyright"],
    "footer_end": [],
}
# Pages without others below them would have an empty sidebar.
html_sidebars = {page: [] for page in ("index", "start", "tutorial")}
