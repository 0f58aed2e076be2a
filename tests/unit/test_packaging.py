"""The lists of packages agree with each other."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import yaml

from ua3dtalk import __version__
from ua3dtalk.workflow import SYSTEM_PACKAGES


def project(root: Path) -> dict:
    return tomllib.loads((root / "pyproject.toml").read_text())["project"]


def name(requirement: str) -> str:
    return re.sub(r"[-_.]+", "-", re.split(r"[<>=!\[; ]", requirement.strip())[0]).lower()


def test_conda_environment_equals_the_package(root: Path) -> None:
    packages = yaml.safe_load((root / "envs" / "ua3dtalk.yaml").read_text())["dependencies"][-1]["pip"]
    wanted = project(root)
    assert packages == wanted["dependencies"] + wanted["optional-dependencies"]["demo"]


def test_every_dependency_is_pinned(root: Path) -> None:
    lines = [line for line in (root / "constraints.txt").read_text().splitlines() if line and not line.startswith("#")]
    assert all("==" in line and "+" not in line for line in lines)
    pinned = {name(line) for line in lines}
    wanted = project(root)
    every = [*wanted["dependencies"], *(one for group in wanted["optional-dependencies"].values() for one in group)]
    assert {name(one) for one in every} <= pinned


def test_the_version_is_said_once_and_again(root: Path) -> None:
    assert project(root)["version"] == __version__


def test_system_packages_are_the_same_everywhere(root: Path) -> None:
    for file in ("Makefile", "Containerfile", "docs/cluster.md", "docs/troubleshooting.md", "docs/tutorial.md"):
        assert SYSTEM_PACKAGES in (root / file).read_text(), file
    assert all(package in (root / ".ci" / "run").read_text() for package in SYSTEM_PACKAGES.split())


def test_the_container_has_what_the_package_needs(root: Path) -> None:
    text = (root / "Containerfile").read_text()
    images = re.findall(r"^FROM (\S+)", text, re.M)
    assert len(set(images)) == 1, "what is built on one image runs on it"
    version = re.search(r"python:(\d+)\.(\d+)", images[0])
    lowest, highest = re.findall(r"3\.(\d+)", project(root)["requires-python"])
    assert version is not None
    assert int(lowest) <= int(version[2]) < int(highest)
    extras = re.search(r"'\.\[([\w,]+)\]'", text)
    assert extras is not None
    assert set(extras[1].split(",")) <= set(project(root)["optional-dependencies"])
    copied = [part for line in re.findall(r"^COPY (?!--from)(.+) \S+$", text, re.M) for part in line.split()]
    assert {"Snakefile", "rules", "workflow_scripts", "ua3dtalk", "native", "constraints.txt"} <= set(copied)
    assert all((root / part).exists() for part in copied)
    assert text.rstrip().splitlines()[-1].startswith("CMD [")
    assert re.findall(r"^USER (.+)", text, re.M) == ["ua3dtalk"], "not root"
    assert all("rm -rf /var/lib/apt/lists" in part for part in text.split("RUN ")[1:] if "apt-get" in part)
