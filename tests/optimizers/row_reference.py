"""Row optimisers in plain NumPy, on dense gradients: what the sparse updates should equal."""

import numpy as np


class AdamReference:
    def __init__(self, shape):
        self.m, self.v, self.t = np.zeros(shape), np.zeros(shape), 0

    def step(self, gradient, rows):
        """The step of `rows`; moments of other rows stay as they are."""
        self.t += 1
        self.m[rows] = 0.9 * self.m[rows] + 0.1 * gradient[rows]
        self.v[rows] = 0.999 * self.v[rows] + 0.001 * gradient[rows] ** 2
        scale = np.sqrt(1 - 0.999 ** self.t) / (1 - 0.9 ** self.t)
        return scale * self.m[rows] / (np.sqrt(self.v[rows]) + 1e-7)


class AdagradReference:
    def __init__(self, shape):
        self.total = np.zeros(shape[0])

    def step(self, gradient, rows):
        self.total[rows] += (gradient[rows] ** 2).mean(1)
        return gradient[rows] / (np.sqrt(self.total[rows])[:, None] + 1e-8)


REFERENCES = {"lazy_adam": AdamReference, "rowwise_adagrad": AdagradReference}


def train_reference(name, table, batches, learning_rate, weight_decay=0.0):
    """The table after one update per (ids, gradients) of `batches`; row 0 is padding."""
    table = table.astype(np.float64)
    reference = REFERENCES[name](table.shape)
    for ids, gradients in batches:
        dense = np.zeros_like(table)
        np.add.at(dense, ids, gradients)
        rows = np.setdiff1d(ids, [0])
        step = reference.step(dense, rows)
        table[rows] -= learning_rate * (step + weight_decay * table[rows])
    return table
