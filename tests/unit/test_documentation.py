"""The documentation's links work, and the names of code in it exist."""

from __future__ import annotations

import configparser
import re
from pathlib import Path

import pytest

from django_geventpool.checks import ids
from django_geventpool.checks.documentation import SITE, link_of

REPOSITORY = "https://github.com/geventpool/celery-geventpool/"
ROOT = Path(__file__).parent.parent.parent
ARCHITECTURE = ROOT / "docs" / "architecture.md"
PACKAGES = (ROOT / "django_geventpool", ROOT / "celery_geventpool")
PAGES = sorted(
    page
    for page in (*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md"), *ROOT.glob("*/README.md"))
    if not page.parent.name.startswith(".")
)


def without_code(page: Path) -> str:
    """Return the text of a page without its blocks of code."""
    return re.sub(r"^```.*?^```", "", page.read_text(), flags=re.MULTILINE | re.DOTALL)


def anchors(page: Path) -> set[str]:
    """Return what can follow ``#`` in links to a page."""
    text = without_code(page)
    headings = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    slugs = {re.sub(r"[^\w\- ]", "", heading.lower()).strip().replace(" ", "-") for heading in headings}
    return slugs | set(re.findall(r"^\((.+)\)=$", text, re.MULTILINE))


def links(page: Path) -> list[str]:
    """Return the targets of a page's links and pictures that are no URLs."""
    return [target for target in re.findall(r"\]\(([^)\s]+)\)", without_code(page)) if "://" not in target]


def test_the_readme_is_short_and_its_links_work_everywhere() -> None:
    readme = ROOT / "README.md"
    assert len(readme.read_text().splitlines()) <= 130
    assert links(readme) == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_to_the_site_and_the_repository_lead_to_what_is_here(page: Path) -> None:
    text = without_code(page)
    places = [
        *(
            (ROOT / "docs" / f"{name}.md", anchor)
            for name, anchor in re.findall(rf"{SITE}([\w-]+)\.html#?([\w-]*)", text)
        ),
        *(
            (ROOT / path, anchor)
            for path, anchor in re.findall(rf"{REPOSITORY}(?:blob|tree)/main/([^)#\s]+)#?([\w-]*)", text)
        ),
    ]
    for file, anchor in places:
        assert file.exists(), f"{file}: no such file"
        assert not anchor or anchor in anchors(file), f"{file}: no heading {anchor}"


def test_the_links_of_checks_lead_to_their_explanations() -> None:
    explained = anchors(ROOT / "docs" / "checks.md")
    wanted = {link_of(check_id).partition("#")[2] for name, check_id in vars(ids).items() if name.isupper()}
    assert wanted
    assert wanted <= explained
    assert link_of(ids.WRONG_OPTIONS).startswith(f"{SITE}checks.html#")


def law_numbers() -> list[int]:
    """Return the numbers of the pool's laws in the page, in order."""
    section = ARCHITECTURE.read_text().partition("## The laws of the pool\n")[2].partition("\n## ")[0]
    return [int(number) for number in re.findall(r"^(\d+)\. ", section, re.MULTILINE)]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_to_files_and_headings(page: Path) -> None:
    for target in links(page):
        path, _, anchor = target.partition("#")
        file = (page.parent / path) if path else page
        assert file.exists(), f"{target}: no such file"
        if anchor:
            assert anchor in anchors(file), f"{target}: no such heading"


def test_the_laws_are_numbered_and_tests_cite_none_that_is_missing() -> None:
    numbers = law_numbers()
    assert numbers == list(range(1, len(numbers) + 1))
    cited = {
        (file.name, int(number))
        for file in (ROOT / "tests").rglob("*.py")
        for numbers_of_citation in re.findall(r"\bLaws? (\d+(?:(?:, | and |, and )\d+)*)", file.read_text())
        for number in re.findall(r"\d+", numbers_of_citation)
    }
    assert len(cited) > 10
    assert not {(file, number) for file, number in cited if number not in numbers}


def test_the_page_of_the_architecture_names_what_there_is() -> None:
    text = without_code(ARCHITECTURE)
    for path in re.findall(r"`([\w/]+\.py)`", text):
        found = [base for base in (ROOT, *PACKAGES) if (base / path).is_file()]
        folders = [folder for package in PACKAGES for folder in package.iterdir() if (folder / path).is_file()]
        assert found or folders, f"{path} is gone"
    sources = [file.read_text() for package in PACKAGES for file in package.rglob("*.py")]
    for name, method in re.findall(r"`([A-Z]\w+)\.(\w+)`", text):
        homes = [source for source in sources if re.search(rf"^class {name}\b", source, re.MULTILINE)]
        assert any(re.search(rf"^    def {method}\b", home, re.MULTILINE) for home in homes), f"no {name}.{method}"
    # The names of functions, settings and signals in the page all have an underscore.
    for name in re.findall(r"`([A-Za-z]+(?:_[A-Za-z]+)+)`", text):
        assert any(re.search(rf"\b{name}\b", source) for source in sources), f"{name} is gone"


def test_commands_of_tox_name_environments_and_labels_that_there_are() -> None:
    config = configparser.ConfigParser(interpolation=None)
    config.read(ROOT / "tox.ini")
    environments = {section.removeprefix("testenv:") for section in config.sections()}
    labels = {line.partition("=")[0].strip() for line in config["tox"]["labels"].splitlines() if "=" in line}
    for page in (*PAGES, *(ROOT / ".github" / "workflows").glob("*.yml")):
        for kind, name in re.findall(r"\btox (?:run-parallel )?-([em]) ([\w-]+)", page.read_text()):
            if not name.startswith("py3"):
                assert name in (environments if kind == "e" else labels), f"{page.name}: tox -{kind} {name}"
        for name in re.findall(r"bash \.ci/run ([\w-]+)", page.read_text()):
            assert name in labels, f"{page.name}: bash .ci/run {name}"
