"""Registration of images by mutual information: the classical way to find corresponding places in two people."""

from toposlearn.registration.pair import Kind, center_map, register
from toposlearn.registration.people import Registrations, inverse_map, register_people
