import pytest
import torch

from toposlearn.losses import reconstruction_loss


def volume(seed=0):
    return torch.randn(2, 1, 4, 5, 6, generator=torch.Generator().manual_seed(seed))


def test_mean_squared_error():
    assert float(reconstruction_loss(volume() + 3, volume())) == pytest.approx(9.0, abs=1e-5)
    torch.testing.assert_close(
        reconstruction_loss(volume(), volume(1)), torch.nn.functional.mse_loss(volume(), volume(1))
    )


def test_mask_counts_its_voxels_only():
    mask = volume(2) > 0
    spoiled = torch.where(mask, volume() + 2, volume() + 100)
    assert float(reconstruction_loss(spoiled, volume(), mask)) == pytest.approx(4.0, abs=1e-5)


def test_one_mask_for_all_channels():
    two = volume().expand(2, 3, 4, 5, 6)
    mask = volume(2) > 0
    torch.testing.assert_close(reconstruction_loss(two + 1, two, mask), torch.tensor(1.0))


def test_empty_mask_is_an_exact_zero_with_a_zero_gradient():
    prediction = volume().requires_grad_()
    loss = reconstruction_loss(prediction, volume(1), torch.zeros(2, 1, 4, 5, 6, dtype=torch.bool))
    loss.backward()
    assert float(loss.detach()) == 0.0
    assert torch.equal(prediction.grad, torch.zeros_like(prediction))


def test_nan_is_not_hidden():
    prediction = volume()
    prediction[0, 0, 0, 0, 0] = torch.nan
    assert torch.isnan(reconstruction_loss(prediction, volume()))


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision(dtype):
    prediction = (1e3 * volume()).to(dtype).requires_grad_()  # its square overflows float16
    loss = reconstruction_loss(prediction, volume(1))
    loss.backward()
    assert loss.dtype == torch.float32
    torch.testing.assert_close(loss, torch.nn.functional.mse_loss(prediction.float(), volume(1)))
    assert torch.isfinite(prediction.grad).all()


def test_errors_name_the_argument():
    with pytest.raises(ValueError, match="prediction and volume must have one shape"):
        reconstruction_loss(volume(), volume()[:1])
    with pytest.raises(ValueError, match="mask must be bool of shape"):
        reconstruction_loss(volume(), volume(), torch.ones(2, 1, 4, 5, 6))
    with pytest.raises(ValueError, match="mask must be bool of shape"):
        reconstruction_loss(volume(), volume(), torch.ones(2, 1, 4, 5, 5, dtype=torch.bool))
