"""The network: MONAI's Swin encoder, a top-down path, a light decoder; its cost; and weights on disk."""

from toposlearn.models.cost import preset_table
from toposlearn.models.taco import Taco, TacoOutput
from toposlearn.models.weights import Readout, load_readout, load_weights, model_card, save_weights
