"""The loss terms of TACO. Pure functions give one direction of one term; `TacoLoss` holds the settings of the total."""

from toposlearn.losses.inter import inter_instance_loss, inter_triplets, plain_inter_loss
from toposlearn.losses.intra import intra_instance_loss, intra_triplets, plain_intra_loss
from toposlearn.losses.listwise import listwise_loss, neighborhoods
from toposlearn.losses.matching import match_subjects
from toposlearn.losses.reconstruction import reconstruction_loss
from toposlearn.losses.token_pairs import TokenPairs
from toposlearn.losses.total import TacoLoss, TacoTerms
from toposlearn.topology.correspondence import ordered_pairs
