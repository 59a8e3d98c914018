"""The network: MONAI's Swin encoder, a top-down path, a light decoder; its cost; weights on disk, in and out."""

from toposlearn.models.checkpoint_import import import_encoder, import_weights, read_checkpoint
from toposlearn.models.cost import preset_table
from toposlearn.models.export import export_to_monai, monai_state, swin_unetr_arguments
from toposlearn.models.hub import from_pretrained, save_pretrained
from toposlearn.models.key_report import KeyReport, load_reported
from toposlearn.models.taco import Taco, TacoOutput
from toposlearn.models.weights import Readout, load_readout, load_weights, model_card, save_weights
