"""PyTorch: its recurrent layers in a loop over windows that detaches the state."""

import torch
from torch import nn

from tests.benchmarks.peers import data
from tests.benchmarks.peers.protocol import serve
from tests.benchmarks.shapes import EMBEDDING, IDS

LAYERS = {"lstm": nn.LSTM, "gru": nn.GRU, "rnn": nn.RNN}


class Network(nn.Module):
    """Ids or features -> recurrent layers -> logits."""

    def __init__(self, shape):
        super().__init__()
        self.embedding = None if shape.features else nn.Embedding(IDS, EMBEDDING)
        self.recurrent = LAYERS[shape.kind](
            shape.features or EMBEDDING, shape.units, shape.layers, batch_first=True
        )
        self.last = nn.Linear(shape.units, IDS)

    def forward(self, x, state):
        if self.embedding is not None:
            x = self.embedding(x)
        x, state = self.recurrent(x, state)
        return self.last(x), state


def detach(state):
    """The state's value, without its past."""
    if isinstance(state, tuple):
        return tuple(part.detach() for part in state)
    return state.detach()


def build(shape, bfloat16=False):
    """The loop that PyTorch's users write, with mixed precision on demand."""
    torch.manual_seed(0)
    # A GPU, where the benchmark lets it be seen.
    device = "cuda" if torch.cuda.is_available() else "cpu"
    network = Network(shape).to(device)
    optimizer = torch.optim.Adam(network.parameters(), 1e-3)
    loss_function = nn.CrossEntropyLoss()
    inputs, targets = (
        torch.from_numpy(part).to(device) for part in data.windows(shape)
    )
    targets = targets.long()

    def train(windows):
        state, total = None, torch.zeros((), device=device)
        for x, y in zip(inputs[:windows], targets[:windows], strict=True):
            if state is not None:
                state = detach(state)
            with torch.autocast(device, torch.bfloat16, enabled=bfloat16):
                logits, state = network(x, state)
                loss = loss_function(logits.flatten(0, 1), y.flatten())
            optimizer.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(network.parameters(), 1.0)
            optimizer.step()
            total += loss.detach()
        return total.item() / windows

    return train


if __name__ == "__main__":
    serve(build, {"PyTorch": torch.__version__})
