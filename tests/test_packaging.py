"""The files around the package agree with each other."""

import os
import re
import tomllib
from pathlib import Path

import pytest
import yaml

from toposlearn.commands import app

ROOT = Path(__file__).parents[1]
SETTINGS = tomllib.loads((ROOT / "pyproject.toml").read_text())
PROJECT = SETTINGS["project"]
CONDA_NAMES = {"pytorch": "torch"}  # conda-forge's name of it
NAMED = {"torch", "monai", "jupyterlab", "ipywidgets", "nibabel", "matplotlib", "papermill"}


@pytest.fixture(scope="module")
def environment():
    return yaml.safe_load((ROOT / "environment.yml").read_text())


def test_every_data_file_is_part_of_the_package():
    package = ROOT / "toposlearn"
    patterns = SETTINGS["tool"]["setuptools"]["package-data"]["toposlearn"]
    files = {path for path in package.rglob("*") if path.is_file() and path.suffix not in (".py", ".pyc")}
    assert sorted(files - {path for pattern in patterns for path in package.glob(pattern)}) == []


def test_environment_takes_python_and_the_package_from_pyproject_and_the_rest_from_conda_forge(environment):
    assert environment["channels"] == ["conda-forge", "nodefaults"]
    assert f"python={PROJECT['requires-python'].removeprefix('>=')}" in environment["dependencies"]
    assert {"pip": ["-e .[dev]"]} in environment["dependencies"]


def test_environment_shows_the_named_packages_with_the_bounds_of_pyproject(environment):
    listed = [line for line in environment["dependencies"] if isinstance(line, str)]
    packages = [line for line in listed if not re.match(r"(python=|pip$)", line)]
    names = [re.match(r"[\w-]+", line).group() for line in packages]
    as_pip = {CONDA_NAMES.get(name, name) + line[len(name) :] for name, line in zip(names, packages, strict=True)}
    assert {CONDA_NAMES.get(name, name) for name in names} == NAMED
    assert as_pip <= set(PROJECT["dependencies"])


def test_the_constraints_fit_the_bounds():
    lines = (ROOT / "requirements" / "ci-constraints.txt").read_text().splitlines()
    pins = dict(line.split("==") for line in lines if line and not line.startswith("#"))
    plain = r"\d+\.\d+\.\d+"
    assert all(re.fullmatch(plain, pin) for pin in pins.values()), "a local part such as +cpu fits one machine only"
    extras = PROJECT["optional-dependencies"]
    asked = PROJECT["dependencies"] + extras["homology"] + extras["data"]
    bounds = dict(re.match(r"([\w-]+)>=([\d.]+)", line).groups() for line in asked if ">=" in line)
    assert set(pins) == {"torch", "ipyniivue", "gudhi", "SimpleITK", "pooch", "python-calamine"}
    for name, pin in pins.items():
        assert [*map(int, pin.split("."))] >= [*map(int, bounds[name].split("."))]


def test_the_tests_have_every_optional_dependency():
    extras = PROJECT["optional-dependencies"]
    assert {line for name, lines in extras.items() if name != "dev" for line in lines} <= set(extras["dev"])


def test_citation_names_this_version_and_the_paper():
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    assert citation["version"] == PROJECT["version"]
    assert citation["license"] == PROJECT["license"] == "Apache-2.0"
    assert "2605.14654" in citation["references"][0]["url"]


def test_ci_runs_the_commands():
    script = ROOT / ".ci" / "run"
    assert os.access(script, os.X_OK)
    lines = script.read_text().splitlines()
    assert lines[0] == "#!/usr/bin/env bash"
    assert "set -euo pipefail" in lines
    called = [line for line in lines if line.startswith("make ")]
    assert called == ["make test", "make run", "make browser-test", "make notebook-test"]
    workflow = yaml.safe_load((ROOT / ".github" / "workflows" / "ci.yml").read_text())
    assert {"run": ".ci/run"} in workflow["jobs"]["run"]["steps"]


def test_the_makefile_calls_commands_that_exist():
    called = re.findall(r"-m toposlearn (\w+)", (ROOT / "Makefile").read_text())
    known = {command.name or command.callback.__name__ for command in app.registered_commands}
    assert "all" in called
    assert set(called) <= known
