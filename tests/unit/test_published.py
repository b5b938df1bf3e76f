import pytest

from d4rl_automl.data import catalogue
from d4rl_automl.evaluation import published


def test_the_scores_of_corls_readme() -> None:
    # BC and TD3+BC of the table of final scores, github.com/tinkoff-ai/CORL.
    shown = published.beside({"halfcheetah-medium-v2": "d4rl", "hopper-medium-v2": "d4rl"})
    found = shown.set_index(["dataset", "method"])[["score", "std"]]
    assert tuple(found.loc["halfcheetah-medium-v2", "BC"]) == (42.40, 0.19)
    assert tuple(found.loc["halfcheetah-medium-v2", "TD3+BC"]) == (48.10, 0.18)
    assert set(shown["convention"]) == {"final"}
    assert set(shown["source"]) == {"CORL README@eeeeef2, 4 seeds"}
    assert not shown.duplicated(["dataset", "method"]).any()


def test_other_providers_have_none() -> None:
    assert published.beside({"hopper-medium-embedded-v1": "embedded"}).empty
    assert published.beside({"hopper-medium-v2": "file", "walker2d-medium-v2": "embedded"}).empty


def test_one_row_per_convention_and_source() -> None:
    table = published.read()
    assert not table.duplicated(["dataset", "method", "convention", "source"]).any()
    scored = table[table["score"].notna()]
    assert scored[["convention", "source"]].notna().all(axis=None)
    assert table.loc[table["score"].isna(), "note"].eq("not read at a source").all()
    versions = table["dataset"].str.rsplit("-", n=1).str[1]
    assert set(versions) == {"v0", "v2"}
    # What is called v2 exists in the catalogue under that name.
    assert set(table["dataset"][versions == "v2"]) <= set(catalogue.names())


@pytest.mark.parametrize("method", ["MBOP", "MOPO", "BRAC", "MOReL"])
def test_numbers_older_than_the_v2_data_are_not_called_v2(method: str) -> None:
    table = published.read()
    quoted = table[(table["method"] == method) & (table["convention"] == "as quoted")]
    assert len(quoted) == 9
    assert quoted["dataset"].str.endswith("-v0").all()


def test_what_is_called_ten_percent_cloning_is_not_one_thing() -> None:
    table = published.read()
    corls = table[(table["method"] == "10% BC") & table["source"].str.startswith("CORL")]
    assert len(corls) == 30
    assert corls["note"].str.startswith("not the Decision Transformer's").all()
