"""Simulated people from real anatomy, with ground truth: shape, contrast, pathology, scanner, BIDS on disk."""

from toposlearn.cohort.deformation import PoseRange
from toposlearn.cohort.people import DIAGNOSES, SITES, Person, draw_person
from toposlearn.cohort.subject import Subject, simulate
from toposlearn.cohort.writing import write_cohort

__all__ = ["DIAGNOSES", "SITES", "Person", "PoseRange", "Subject", "draw_person", "simulate", "write_cohort"]
