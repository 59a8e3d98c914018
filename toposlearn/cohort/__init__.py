"""Simulated people from real anatomy, with ground truth: shape, contrast, lesions, scanner, BIDS on disk."""

from toposlearn.cohort.recipes import FULL, PLAIN, Recipe, recipe_named
from toposlearn.cohort.subject import Subject, simulate
from toposlearn.cohort.traits import DIAGNOSES, LESIONS, SITES, Traits, draw_traits
from toposlearn.cohort.writing import write_cohort
