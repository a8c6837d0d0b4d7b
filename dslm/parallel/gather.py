"""Bytes of every rank, brought together as tensors: nothing that is received is ever run."""

from __future__ import annotations

import torch


def gather_bytes(content: bytes, device: torch.device) -> list[bytes]:
    """What each rank gives, in the order of the ranks; every rank must call it.

    Args:
        content: this rank's, of any length.
        device: on which the ranks exchange tensors.
    """
    ranks = torch.distributed.get_world_size()
    size = torch.tensor([len(content)], device=device)
    sizes = [torch.empty_like(size) for _ in range(ranks)]
    torch.distributed.all_gather(sizes, size)
    lengths = [int(one) for one in sizes]
    own = torch.zeros(max(*lengths, 1), dtype=torch.uint8)
    if content:
        own[: len(content)] = torch.frombuffer(bytearray(content), dtype=torch.uint8)
    own = own.to(device)
    padded = [torch.empty_like(own) for _ in range(ranks)]
    torch.distributed.all_gather(padded, own)
    pairs = zip(padded, lengths, strict=True)
    return [one[:length].cpu().numpy().tobytes() for one, length in pairs]
