"""The committed case table is the one that the cases make: none missing, none left over, none with another verdict."""

from dataclasses import replace

from tests.cases.case import drift
from tests.cases.catalogue import all_cases
from tests.cases.table import PAGE, expectations, render


def test_the_committed_table_is_that_of_the_cases() -> None:
    """What the engines say is held to the expectations by the cases themselves, so nothing is played here."""
    cases = all_cases()
    assert PAGE.read_text(encoding="utf-8") == render(cases, expectations(cases)), "run 'make cases'"


def test_a_verdict_of_its_own_shows_in_the_table() -> None:
    """Another verdict or another word of a peer makes another table."""
    case = all_cases()[0]
    said = expectations([case])
    page = render([case], said)
    other = replace(said[case.id], dry_run=drift(("/a|b", "added"), manager="x"), fix="quota")
    assert "drift: + `/a\\|b` x | no drift | quota |" in render([case], {case.id: other})
    assert "| not so |" in render([replace(case, flux="not so")], said)
    assert page.count("| = |") == 1


def test_every_case_says_what_its_peers_do() -> None:
    """The table has no empty column, and each number has a title."""
    for case in all_cases():
        assert case.argocd, case.id
        assert case.flux, case.id
        assert case.title, case.id


def test_the_local_engine_misses_no_drift() -> None:
    """It may say too much where only the server can know better, never "no drift" where the server says drift."""
    for case in all_cases():
        assert case.expect_local.fields >= case.expect.fields, case.id
        assert bool(case.expect_local.state) >= bool(case.expect.state), case.id
