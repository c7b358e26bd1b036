"""Who chooses architectures: an LSTM that learns (ENAS), or a die that does not.

Source of the LSTM: github.com/melodyguan/enas, `src/cifar10/general_controller.py` and `main.py`,
of Pham et al. (2018), arXiv:1802.03268: one layer of 64 units, all weights drawn from
U(-0.1, 0.1). For each layer it makes two steps. The first gives the logits of the six operations;
its choice, embedded, is the next input. The second asks each earlier input whether to add it:
`v . tanh(W1 h_j + W2 h)` is the logit of yes, its negative that of no; the sum of the chosen ones
over one more than their number is the next input. All logits become `c * tanh(logit / T)`.

Two departures. The entropy is the true one, over all answers; theirs is -p log p of the sampled
answer. And the penalty on skips measures the probability that is sampled from; theirs takes the
sigmoid of the logit of yes, which is another number.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor, nn

from cifar_lessons.enas.space import OPERATIONS, Architecture, Layer

HIDDEN = 64
SPREAD = 0.1  # first weights lie between its two signs


@dataclass(frozen=True)
class Sample:
    """Architectures that were drawn, and what the controller thought while it drew them.

    Shapes: log_prob (B,), in nats; entropy (B,), in nats, summed over the choices of a network;
    skip_kl (B,), mean over layers of KL(probability of a skip || target), summed over its inputs;
    operations (B, N, 6) and skips (B, N, N - 1), probabilities. Of skips, those that a layer
    cannot have are 0.
    """

    architectures: list[Architecture]
    log_prob: Tensor
    entropy: Tensor
    skip_kl: Tensor
    operations: Tensor
    skips: Tensor

    def summary(self) -> dict[str, float]:
        """Return means over the sample: entropy, share of skips, and each operation."""
        shares = self.operations.detach().mean(dim=(0, 1)).tolist()
        layers = self.operations.shape[1]
        possible = layers * (layers - 1) / 2
        return {
            "entropy": self.entropy.detach().mean().item(),
            "skip_share": self.skips.detach().sum(dim=(1, 2)).mean().item() / possible,
            **{f"p_{op}": p for op, p in zip(OPERATIONS, shares, strict=True)},
        }


class Chooser(Protocol):
    """What draws architectures."""

    def sample(self, count: int, rng: torch.Generator) -> Sample:
        """Draw `count` of them; all randomness comes from `rng`."""
        ...


class Controller(nn.Module):
    """The LSTM."""

    def __init__(
        self,
        layers: int,
        *,
        tanh_constant: float = 1.5,
        temperature: float = 1.0,
        skip_target: float = 0.4,
        hidden: int = HIDDEN,
    ) -> None:
        """Draw first weights from PyTorch's global stream.

        Args:
            layers: N >= 1.
            tanh_constant: c > 0. No choice of six can get more than e**c / (e**c + 5 * e**-c).
            temperature: T > 0.
            skip_target: Share of skips in (0, 1) that the penalty pulls to.
            hidden: Units of the LSTM.
        """
        super().__init__()
        self.layers = layers
        self.tanh_constant, self.temperature = tanh_constant, temperature
        self.skip_target = skip_target
        self.cell = nn.LSTMCell(hidden, hidden, bias=False)
        self.start = nn.Parameter(torch.empty(1, hidden))
        self.embedding = nn.Embedding(len(OPERATIONS), hidden)
        self.choose = nn.Linear(hidden, len(OPERATIONS), bias=False)
        self.of_input = nn.Linear(hidden, hidden, bias=False)  # W1
        self.of_now = nn.Linear(hidden, hidden, bias=False)  # W2
        self.answer = nn.Linear(hidden, 1, bias=False)  # v
        for weight in self.parameters():
            nn.init.uniform_(weight, -SPREAD, SPREAD)

    def squash(self, logits: Tensor) -> Tensor:
        """Return `c * tanh(logits / T)`."""
        return self.tanh_constant * torch.tanh(logits / self.temperature)

    def sample(self, count: int, rng: torch.Generator) -> Sample:
        """Draw architectures; gradients flow through their log-probabilities."""
        return self._walk(count, rng, None)

    def score(self, architectures: Sequence[Architecture]) -> Sample:
        """Return the same of given architectures: how likely the controller would draw them."""
        return self._walk(len(architectures), None, architectures)

    def _walk(
        self, count: int, rng: torch.Generator | None, given: Sequence[Architecture] | None
    ) -> Sample:
        inputs = self.start.expand(count, -1)
        state = (torch.zeros_like(inputs), torch.zeros_like(inputs))
        log_prob, entropy = torch.zeros(count), torch.zeros(count)
        anchors: list[Tensor] = []  # of the inputs, (B, hidden)
        kls, operations, skips = [], [], []
        chosen: list[tuple[Tensor, Tensor]] = []
        for number in range(1, self.layers + 1):
            state = self.cell(inputs, state)
            logits = self.squash(self.choose(state[0])).log_softmax(dim=1)  # (B, 6)
            p = logits.exp()
            if given is None:
                op = torch.multinomial(p.detach(), 1, generator=rng)[:, 0]  # (B,)
            else:
                names = list(OPERATIONS)
                op = torch.tensor([names.index(a.operations[number - 1]) for a in given])
            log_prob = log_prob + logits.gather(1, op[:, None])[:, 0]
            entropy = entropy - (p * logits).sum(dim=1)
            operations.append(p)
            inputs = self.embedding(op)
            state = self.cell(inputs, state)
            yes = torch.zeros(count, 0)
            inputs = self.start.expand(count, -1)
            p_yes = torch.zeros(count, self.layers - 1)
            if number > 1:
                keys = torch.stack(anchors, dim=1)  # (B, number - 1, hidden)
                asked = torch.tanh(self.of_input(keys) + self.of_now(state[0])[:, None])
                q = self.answer(asked)[..., 0]  # (B, number - 1)
                both = self.squash(torch.stack([-q, q], dim=2)).log_softmax(dim=2)  # no, yes
                p = both.exp()
                if given is None:
                    yes = (torch.rand(q.shape, generator=rng) < p[..., 1].detach()).float()
                else:
                    yes = torch.tensor(
                        [[float(j in a.layers[number - 1].skips) for j in range(number - 1)]
                         for a in given]
                    )  # fmt: skip
                log_prob = log_prob + (yes * both[..., 1] + (1 - yes) * both[..., 0]).sum(dim=1)
                entropy = entropy - (p * both).sum(dim=(1, 2))
                target = torch.tensor([1 - self.skip_target, self.skip_target]).log()
                kls.append((p * (both - target)).sum(dim=(1, 2)))
                p_yes = torch.cat([p[..., 1], p_yes[:, number - 1 :]], dim=1)
                inputs = (yes[..., None] * keys).sum(dim=1) / (1 + yes.sum(dim=1, keepdim=True))
            anchors.append(state[0])
            skips.append(p_yes)
            chosen.append((op, yes))
        return Sample(
            architectures=_spelled(chosen, count) if given is None else list(given),
            log_prob=log_prob,
            entropy=entropy,
            skip_kl=torch.stack(kls).mean(dim=0) if kls else torch.zeros(count),
            operations=torch.stack(operations, dim=1),
            skips=torch.stack(skips, dim=1),
        )


def _spelled(chosen: Sequence[tuple[Tensor, Tensor]], count: int) -> list[Architecture]:
    """Return choices of each layer, (B,) and (B, inputs), as architectures."""
    names = list(OPERATIONS)
    return [
        Architecture(
            tuple(
                Layer(names[int(op[b])], tuple(yes[b].nonzero()[:, 0].tolist()))
                for op, yes in chosen
            )
        )
        for b in range(count)
    ]


class Uniform:
    """Every architecture is equally likely: random search with shared weights.

    Source of the control: Li & Talwalkar (2019), arXiv:1902.07638, section 3.3.
    """

    def __init__(self, layers: int) -> None:
        """Remember N, the number of layers."""
        self.layers = layers

    def sample(self, count: int, rng: torch.Generator) -> Sample:
        """Draw architectures; nothing can be learned from their log-probabilities."""
        n, kinds = self.layers, len(OPERATIONS)
        chosen = [
            (
                torch.randint(kinds, (count,), generator=rng),
                (torch.rand(count, k, generator=rng) < 0.5).float(),
            )
            for k in range(n)
        ]
        entropy = n * torch.tensor(float(kinds)).log() + n * (n - 1) / 2 * torch.tensor(2.0).log()
        return Sample(
            architectures=_spelled(chosen, count),
            log_prob=-entropy.expand(count),
            entropy=entropy.expand(count),
            skip_kl=torch.zeros(count),
            operations=torch.full((count, n, kinds), 1 / kinds),
            skips=torch.full((count, n, n - 1), 0.5).tril(-1),
        )
