"""Recipes: valid settings of a cohort, and how they are described on disk."""

import pytest

from toposlearn.cohort import FULL, PLAIN, Recipe, recipe_named


def test_the_plain_recipe_has_an_empty_description():
    assert PLAIN.to_dict() == {}
    assert recipe_named("plain", voxels=None, modalities=None) == PLAIN
    assert (PLAIN.shape, PLAIN.spacing) == ((96, 112, 96), 2.0)


def test_the_description_holds_what_differs():
    recipe = recipe_named("full", voxels=64, misregister_mm=5.0)
    assert recipe.to_dict() == {"name": "full", "modalities": FULL.modalities, "voxels": 64, "misregister_mm": 5.0}
    assert (recipe.shape, recipe.spacing) == ((64, 64, 64), 3.5)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"name": "rich"}, "recipe must be plain or full, got 'rich'"),
        ({"modalities": ("T1w", "dwi")}, "recipe plain has no dwi: choose from T1w, T2w, FLAIR, PDw"),
        ({"modalities": ()}, "modalities must be one or more"),
        ({"modalities": ("T1w", "T1w")}, "each once"),
        ({"voxels": 8}, "voxels must be 16 to 256, got 8"),
        ({"misregister_mm": -1.0}, "misregister_mm must be 0 to 100"),
        ({"misregister_degrees": 181.0}, "misregister_degrees must be 0 to 180"),
    ],
)
def test_impossible_settings_are_refused(changes, message):
    with pytest.raises(ValueError, match=message):
        Recipe(**changes)
    with pytest.raises(ValueError, match=r"recipe must be plain or full, got '3T'"):
        recipe_named("3T")
