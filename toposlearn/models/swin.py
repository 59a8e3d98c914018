"""MONAI's Swin encoder: one channel in, five feature maps out, each half as fine as the one before."""

from __future__ import annotations

from monai.networks.nets.swin_unetr import SwinTransformer

from toposlearn.config import ModelConfig


def swin_encoder(config: ModelConfig) -> SwinTransformer:
    """A one-channel encoder; maps have `config.stage_features` channels at `config.stage_strides`.

    ``mergingv2`` is MONAI's corrected patch merging: the first version reads some of the eight neighbors twice and
    others never.
    """
    return SwinTransformer(
        in_chans=1,
        embed_dim=config.feature_size,
        window_size=(config.window_size,) * 3,
        patch_size=(config.patch_size,) * 3,
        depths=config.depths,
        num_heads=config.num_heads,
        downsample="mergingv2",
        use_v2=config.use_v2,
        spatial_dims=3,
    )
