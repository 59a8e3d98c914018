"""The network: MONAI's Swin encoder, a top-down path, a light decoder; and weights on disk."""

from toposlearn.models.taco import Taco, TacoOutput
from toposlearn.models.weights import load_weights, model_card, save_weights

__all__ = ["Taco", "TacoOutput", "load_weights", "model_card", "save_weights"]
