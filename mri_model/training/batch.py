"""Batch size and precision, where the recipe leaves them to the device."""

import torch

from mri_model.training.recipe import Recipe

BASE_BATCH_SIZE = 32
"""The batch size that the learning rates of ``modern`` were chosen for."""
MAX_BATCH_SIZE = 256
FEWEST_STEPS = 24
"""An epoch keeps at least this many steps: larger batches would leave a small data set too few of them."""


def choose_batch_size(recipe: Recipe, device: torch.device, n_images: int) -> int:
    """The recipe's batch size, or a choice if that is 0.

    ``BASE_BATCH_SIZE`` on a CPU, where larger batches are not faster. On a GPU the largest power of two that leaves
    ``FEWEST_STEPS`` steps in an epoch; the trainer halves it while it does not fit into memory.
    """
    if recipe.batch_size:
        return recipe.batch_size
    if device.type == "cpu":
        return BASE_BATCH_SIZE
    size = BASE_BATCH_SIZE
    while size * 2 <= MAX_BATCH_SIZE and n_images >= FEWEST_STEPS * size * 2:
        size *= 2
    return size


def base_batch_size(recipe: Recipe) -> int:
    """The batch size that the recipe's learning rate belongs to: a given one, or ``BASE_BATCH_SIZE``."""
    return recipe.batch_size or BASE_BATCH_SIZE


def choose_precision(recipe: Recipe, device: torch.device) -> str:
    """``fp32`` or ``bf16``: the recipe's, or for ``auto`` bf16 if the device computes in it natively.

    On AVX512-BF16 it doubles the rate; on a CPU without it is 5 to 10 times slower than fp32.
    """
    if recipe.precision != "auto":
        return recipe.precision
    if device.type == "cuda":
        native = torch.cuda.is_bf16_supported(including_emulation=False)
    else:
        native = torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported()
    return "bf16" if native else "fp32"
