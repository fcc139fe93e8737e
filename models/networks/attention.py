"""Attention at the bottleneck: where in the face a generator is to look."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class SelfAttention(nn.Module):
    """y = x + γ·v(Σ_i softmax_i(f(x_i)ᵀ g(x_j)) · h(x_i)): every position sees all others.

    Zhang et al., SAGAN (2019), eqs. 1–3: f, g, h and v are 1×1 convolutions, the inner ones to an
    eighth of the channels. γ starts at 0, so that the layer starts as the identity.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        inner = max(1, channels // 8)
        self.key, self.query, self.value = (
            nn.Conv2d(channels, inner, 1, bias=False) for _ in range(3)
        )
        self.out = nn.Conv2d(inner, channels, 1, bias=False)
        self.gamma = nn.Parameter(torch.zeros(()))

    def forward(self, x: Tensor) -> Tensor:
        """[N, C, H, W] → the same shape; memory grows with (H·W)² at worst."""
        query, key, value = (  # each [N, H·W, C/8]
            layer(x).flatten(2).mT for layer in (self.query, self.key, self.value)
        )
        # Scale 1: SAGAN does not divide by the root of the length as transformers do.
        seen = F.scaled_dot_product_attention(query, key, value, scale=1.0)
        return x + self.gamma * self.out(seen.mT.unflatten(2, x.shape[2:]))


class ClassActivationAttention(nn.Module):
    """Features weighed by how much each channel says of the domain.

    Kim et al., U-GAT-IT (2020), §3.1.1: two linear classifiers, η on the averages and on the maxima
    of the channels, tell images of the encoder's own domain from others (loss `cam`). Their weights
    scale the channels, and a 1×1 convolution brings both versions back to C. A discriminator's tell
    real images from translations (§3.1.2), and its `activation` is its own.
    """

    def __init__(self, channels: int, activation: nn.Module | None = None) -> None:
        super().__init__()
        self.of_mean = nn.Linear(channels, 1, bias=False)
        self.of_maximum = nn.Linear(channels, 1, bias=False)
        self.join = nn.Conv2d(2 * channels, channels, 1)
        self.activation = activation or nn.ReLU()

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """[N, C, H, W] → the same shape, activated, and the classifiers' logits [N, 2]."""
        logits = [self.of_mean(x.mean((2, 3))), self.of_maximum(x.amax((2, 3)))]
        weights = torch.cat([self.of_mean.weight, self.of_maximum.weight], dim=1)
        weighed = torch.cat([x, x], dim=1) * weights[:, :, None, None]
        return self.activation(self.join(weighed)), torch.cat(logits, dim=1)
