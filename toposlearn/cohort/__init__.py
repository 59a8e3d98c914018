"""Simulated people from real anatomy, with ground truth: shape, contrast, lesions, scanner, BIDS on disk."""

from toposlearn.cohort.deformation import PoseRange
from toposlearn.cohort.people import DIAGNOSES, LESIONS, SITES, Person, draw_person
from toposlearn.cohort.recipes import FULL, PLAIN, Recipe, recipe_named
from toposlearn.cohort.subject import Subject, simulate
from toposlearn.cohort.writing import write_cohort

__all__ = [
    "DIAGNOSES",
    "FULL",
    "LESIONS",
    "PLAIN",
    "SITES",
    "Person",
    "PoseRange",
    "Recipe",
    "Subject",
    "draw_person",
    "recipe_named",
    "simulate",
    "write_cohort",
]
