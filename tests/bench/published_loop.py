"""The yardstick: CycleGAN's training step as it was published, in plain eager PyTorch.

Zhu et al., Unpaired Image-to-Image Translation using Cycle-Consistent Adversarial Networks (2017),
§4 and §7: float32, one pair a step, two ResNet generators, two 70×70 PatchGANs, least squares,
λ = 10, identity loss of 0.5·λ, a pool of 50 images, Adam. It shares no code with `models`. Where it
departs from the published script it is the faster for it: no bias before an instance norm, which
would remove it, and images that lie on the device already, as float.
"""

from __future__ import annotations

import random
from itertools import chain

import torch
import torch.nn.functional as F
from torch import Tensor, nn

LAMBDA, IDENTITY = 10.0, 0.5
LR, BETAS = 2e-4, (0.5, 0.999)
POOL = 50
PRINT_EVERY = 100  # steps between two looks of the published script at the losses


def blocks_for(image_size: int) -> int:
    """§7.2: 6 residual blocks for images of 128 px, 9 for 256 px and more."""
    return 6 if image_size <= 128 else 9


class Residual(nn.Module):
    """R256 of §7.2."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for _ in range(2):
            layers += [nn.ReflectionPad2d(1), nn.Conv2d(channels, channels, 3, bias=False)]
            layers += [nn.InstanceNorm2d(channels), nn.ReLU(True)]
        self.layers = nn.Sequential(*layers[:-1])

    def forward(self, x: Tensor) -> Tensor:
        """[N, C, H, W] → the same shape."""
        return x + self.layers(x)


def generator(blocks: int, ngf: int = 64) -> nn.Sequential:
    """c7s1-64, d128, d256, R256 × blocks, u128, u64, c7s1-3 of §7.2; images in [-1, 1]."""

    def norm(channels: int) -> list[nn.Module]:
        return [nn.InstanceNorm2d(channels), nn.ReLU(True)]

    layers: list[nn.Module] = [nn.ReflectionPad2d(3), nn.Conv2d(3, ngf, 7, bias=False), *norm(ngf)]
    for wide in (ngf, 2 * ngf):
        layers += [nn.Conv2d(wide, 2 * wide, 3, 2, 1, bias=False), *norm(2 * wide)]
    layers += [Residual(4 * ngf) for _ in range(blocks)]
    for wide in (4 * ngf, 2 * ngf):
        up = nn.ConvTranspose2d(wide, wide // 2, 3, 2, 1, output_padding=1, bias=False)
        layers += [up, *norm(wide // 2)]
    layers += [nn.ReflectionPad2d(3), nn.Conv2d(ngf, 3, 7), nn.Tanh()]
    return nn.Sequential(*layers)


def discriminator(ndf: int = 64) -> nn.Sequential:
    """C64-C128-C256-C512 of §7.2 and the convolution to one score a patch."""
    layers: list[nn.Module] = [nn.Conv2d(3, ndf, 4, 2, 1), nn.LeakyReLU(0.2, True)]
    for wide, stride in ((ndf, 2), (2 * ndf, 2), (4 * ndf, 1)):
        layers += [nn.Conv2d(wide, 2 * wide, 4, stride, 1, bias=False)]
        layers += [nn.InstanceNorm2d(2 * wide), nn.LeakyReLU(0.2, True)]
    return nn.Sequential(*layers, nn.Conv2d(8 * ndf, 1, 4, 1, 1))


class Pool:
    """§4.2: discriminators see a history of 50 images; half the time an older one comes out."""

    def __init__(self) -> None:
        self.images: list[Tensor] = []

    def query(self, image: Tensor) -> Tensor:
        """One detached image [1, 3, S, S] → one such image."""
        if len(self.images) < POOL:
            self.images.append(image)
            return image
        if random.random() < 0.5:
            return image
        place = random.randrange(POOL)
        older, self.images[place] = self.images[place], image
        return older


def all_real(scores: Tensor) -> Tensor:
    """(D − 1)², the mean over patches."""
    return F.mse_loss(scores, torch.ones_like(scores))


def all_fake(scores: Tensor) -> Tensor:
    """D², the mean over patches."""
    return F.mse_loss(scores, torch.zeros_like(scores))


class PublishedCycleGAN:
    """Both translators, what judges them, and one training step. A: photos, B: anime."""

    def __init__(self, image_size: int, device: torch.device | str = "cpu") -> None:
        blocks = blocks_for(image_size)
        self.to_b, self.to_a = generator(blocks).to(device), generator(blocks).to(device)
        self.judge_a, self.judge_b = discriminator().to(device), discriminator().to(device)
        for weight in chain(self.generator_weights(), self.discriminator_weights()):
            if weight.dim() == 4:
                nn.init.normal_(weight, 0.0, 0.02)  # §7.1
            else:
                nn.init.zeros_(weight)  # a bias
        self.optimizer_g = torch.optim.Adam(self.generator_weights(), LR, BETAS)
        self.optimizer_d = torch.optim.Adam(self.discriminator_weights(), LR, BETAS)
        self.pool_a, self.pool_b = Pool(), Pool()
        self.steps = 0
        self.told: list[float] = []  # the losses at the last look

    def generator_weights(self) -> list[nn.Parameter]:
        """Of both generators."""
        return [*self.to_b.parameters(), *self.to_a.parameters()]

    def discriminator_weights(self) -> list[nn.Parameter]:
        """Of both discriminators."""
        return [*self.judge_a.parameters(), *self.judge_b.parameters()]

    def judges_learn(self, learn: bool) -> None:
        """Switch the gradients of the discriminators' weights on or off."""
        for weight in self.discriminator_weights():
            weight.requires_grad_(learn)

    def step(self, real_a: Tensor, real_b: Tensor) -> dict[str, Tensor]:
        """Float [1, 3, S, S] in [-1, 1] each; updates all weights, returns the losses (0-d)."""
        fake_b, fake_a = self.to_b(real_a), self.to_a(real_b)
        returned_a, returned_b = self.to_a(fake_b), self.to_b(fake_a)

        self.judges_learn(False)
        self.optimizer_g.zero_grad()
        losses = {
            "identity_a": F.l1_loss(self.to_a(real_a), real_a) * LAMBDA * IDENTITY,
            "identity_b": F.l1_loss(self.to_b(real_b), real_b) * LAMBDA * IDENTITY,
            "adversarial_a": all_real(self.judge_a(fake_a)),
            "adversarial_b": all_real(self.judge_b(fake_b)),
            "cycle_a": F.l1_loss(returned_a, real_a) * LAMBDA,
            "cycle_b": F.l1_loss(returned_b, real_b) * LAMBDA,
        }
        torch.stack(list(losses.values())).sum().backward()
        self.optimizer_g.step()

        self.judges_learn(True)
        self.optimizer_d.zero_grad()
        judged = {
            "a": (self.judge_a, real_a, self.pool_a.query(fake_a.detach())),
            "b": (self.judge_b, real_b, self.pool_b.query(fake_b.detach())),
        }
        for name, (judge, real, fake) in judged.items():
            loss = 0.5 * (all_real(judge(real)) + all_fake(judge(fake)))  # halved: §7.1
            loss.backward()
            losses[f"discriminator_{name}"] = loss
        self.optimizer_d.step()

        self.steps += 1
        if self.steps % PRINT_EVERY == 0:
            self.told = [loss.item() for loss in losses.values()]
        return losses
