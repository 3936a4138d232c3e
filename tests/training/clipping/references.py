"""The clipping rules in NumPy, written from their papers with plain loops."""

import numpy as np


def norm(gradients):
    return np.sqrt(sum(float((g**2).sum()) for g in gradients))


def scaled(gradients, bound):
    length = norm(gradients)
    return [g * bound / length if length > bound else g for g in gradients]


class GlobalNorm:
    def __init__(self, max_norm):
        self.max_norm = max_norm

    def clip(self, gradients, weights):
        return scaled(gradients, self.max_norm)


class VariableNorm(GlobalNorm):
    def clip(self, gradients, weights):
        return [scaled([g], self.max_norm)[0] for g in gradients]


class Value:
    def __init__(self, bound):
        self.bound = bound

    def clip(self, gradients, weights):
        return [np.clip(g, -self.bound, self.bound) for g in gradients]


class AGC:
    def __init__(self, clip_factor=0.01, eps=1e-3):
        self.clip_factor, self.eps = clip_factor, eps

    def clip(self, gradients, weights):
        result = []
        for g, w in zip(gradients, weights, strict=True):
            if g.ndim < 2:
                bound = self.clip_factor * max(norm([w]), self.eps)
                result.append(scaled([g], bound)[0])
                continue
            out = np.empty_like(g)
            for unit in range(g.shape[-1]):
                bound = self.clip_factor * max(norm([w[..., unit]]), self.eps)
                out[..., unit] = scaled([g[..., unit]], bound)[0]
            result.append(out)
        return result


class AutoClip:
    def __init__(self, percentile=10, history=1000):
        self.percentile, self.history, self.norms = percentile, history, []

    def clip(self, gradients, weights):
        self.norms = [*self.norms, norm(gradients)][-self.history :]
        return scaled(gradients, np.percentile(self.norms, self.percentile))


class ZClip:
    def __init__(self, threshold=2.5, momentum=0.97, warmup=25, max_norm=None):
        self.threshold, self.momentum = threshold, momentum
        self.warmup, self.max_norm = warmup, max_norm or np.inf
        self.first, self.mean, self.variance = [], None, None

    def clip(self, gradients, weights):
        length = norm(gradients)
        if len(self.first) < self.warmup:
            bound = min(length, self.max_norm)
            self.first.append(bound)
            self.mean, self.variance = np.mean(self.first), np.var(self.first)
            return scaled(gradients, bound)
        deviation = np.sqrt(self.variance)
        z = (length - self.mean) / (deviation + 1e-6)
        bound = length
        if z > self.threshold:
            bound = self.mean + self.threshold * deviation / (z / self.threshold)
        bound = min(bound, self.max_norm)
        keep = self.momentum
        self.mean = keep * self.mean + (1 - keep) * bound
        self.variance = keep * self.variance + (1 - keep) * (bound - self.mean) ** 2
        return scaled(gradients, bound)
