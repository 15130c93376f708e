"""How vectors travel along the edges of a graph: by a product with its matrix, or by attention of nodes to neighbours.

Sources: He et al., "LightGCN: Simplifying and Powering Graph Convolution Network for Recommendation", SIGIR 2020, eq. 7
and 8; Veličković et al., "Graph Attention Networks", ICLR 2018, eq. 3 to 6.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
import numpy as np
from keras import ops
from scipy import sparse


class MeanOfLayers:
    """LightGCN: the mean of the nodes' own vectors and of what one to `num_layers` steps along the edges bring.

    A step is the product with the graph's matrix, which must be symmetric. So the mean of steps is one symmetric map,
    and
    its gradient is the map itself: it needs no transpose, and keeps nothing from the forward pass. With a matrix that
        is not
    symmetric it computes vectors, but must not be trained through. Under TensorFlow it uses the kernel for compressed
    rows, which is several times faster than gathering along edges.
    """

    def __init__(self, matrix: sparse.csr_matrix, num_layers: int) -> None:
        edges = matrix.tocoo()
        self.num_nodes, self.num_layers = matrix.shape[0], num_layers
        self.targets, self.sources = ops.convert_to_tensor(edges.row), ops.convert_to_tensor(edges.col)
        self.weights = ops.convert_to_tensor(edges.data.astype(np.float32))
        self.has_kernel = keras.backend.backend() == "tensorflow"

    def __call__(self, nodes: Any) -> Any:
        """From vectors of shape (num_nodes, dim) to vectors of that shape, float32."""

        @ops.custom_gradient
        def mean(nodes: Any) -> Any:
            def gradient(*args: Any, upstream: Any = None) -> Any:
                return self._mean(args[0] if upstream is None else upstream)

            return self._mean(nodes), gradient

        return mean(nodes)

    def _mean(self, nodes: Any) -> Any:
        step = self._step_by_compressed_rows() if self.has_kernel else self._step_along_edges
        total = layer = nodes
        for _ in range(self.num_layers):
            layer = step(layer)
            total = total + layer
        return total / (self.num_layers + 1)

    def _step_along_edges(self, nodes: Any) -> Any:
        along_edges = ops.take(nodes, self.sources, axis=0) * self.weights[:, None]
        return ops.segment_sum(along_edges, self.targets, num_segments=self.num_nodes)

    def _step_by_compressed_rows(self) -> Callable[[Any], Any]:
        import tensorflow as tf

        # Rows compressed outside of a trace cannot enter it, so each way, forward and back, compresses them once.
        places = tf.cast(tf.stack([self.targets, self.sources], axis=1), tf.int64)
        shape = tf.constant([self.num_nodes, self.num_nodes], dtype=tf.int64)
        rows = tf.raw_ops.SparseTensorToCSRSparseMatrix(indices=places, values=self.weights, dense_shape=shape)

        def step(nodes: Any) -> Any:
            product = tf.raw_ops.SparseMatrixMatMul(a=rows, b=nodes)
            product.set_shape(nodes.shape)
            return product

        return step


@keras.saving.register_keras_serializable("nightjar")
class GraphAttention(keras.layers.Layer):
    """Each node's vector becomes a mean of its neighbours' vectors, weighted by a learnt attention.

    Takes nodes (num_nodes, dim), and for every edge its source, its target and the logarithm of its weight, which the
    attention starts from. A node without any incoming edge, even from itself, becomes zero.

    Source: Veličković et al., "Graph Attention Networks", ICLR 2018, eq. 3 to 6.
    """

    def __init__(self, num_heads: int, dropout: float, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.num_heads, self.dropout = num_heads, dropout
        self.drop = keras.layers.Dropout(dropout)

    def build(self, nodes_shape: tuple[int | None, ...], *_: Any) -> None:
        dim = nodes_shape[-1]
        assert dim is not None, "the nodes' vectors have a fixed length"
        self.head_dim = dim // self.num_heads
        self.project = self.add_weight(shape=(dim, self.num_heads, self.head_dim), name="project")
        self.looks_from = self.add_weight(shape=(self.num_heads, self.head_dim), name="looks_from")
        self.looks_at = self.add_weight(shape=(self.num_heads, self.head_dim), name="looks_at")

    def call(self, nodes: Any, sources: Any, targets: Any, log_weights: Any, training: bool = False) -> Any:
        """Computes the nodes' new vectors, in the layer's compute dtype.

        Args:
            nodes: shape (num_nodes, dim).
            sources: shape (num_edges,), int32.
            targets: shape (num_edges,), int32.
            log_weights: shape (num_edges,).
            training: whether attention is dropped out.

        Returns:
            Shape (num_nodes, dim).
        """
        num_nodes = ops.shape(nodes)[0]
        heads = ops.einsum("nd,dhk->nhk", nodes, self.project)
        asks = ops.sum(heads * self.looks_from, axis=-1)  # (num_nodes, num_heads)
        answers = ops.sum(heads * self.looks_at, axis=-1)
        affinity = ops.leaky_relu(ops.take(asks, targets, axis=0) + ops.take(answers, sources, axis=0), 0.2)
        attention = segment_softmax(affinity + log_weights[:, None], targets, num_nodes)
        attention = self.drop(attention, training=training)
        brought = ops.take(heads, sources, axis=0) * attention[..., None]  # (num_edges, num_heads, head_dim)
        return ops.reshape(ops.segment_sum(brought, targets, num_segments=num_nodes), (-1, nodes.shape[-1]))

    def compute_output_shape(self, nodes_shape: tuple[int | None, ...], *_: Any) -> tuple[int | None, ...]:
        return nodes_shape

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "num_heads": self.num_heads, "dropout": self.dropout}


def segment_softmax(logits: Any, segments: Any, num_segments: Any) -> Any:
    """The softmax within each segment.

    Args:
        logits: shape (n, heads).
        segments: the segment of each row, int32. Shape (n,).
        num_segments: number of segments.

    Returns:
        Shape (n, heads).
    """
    largest = ops.take(ops.segment_max(logits, segments, num_segments=num_segments), segments, axis=0)
    odds = ops.exp(logits - ops.stop_gradient(largest))
    total = ops.take(ops.segment_sum(odds, segments, num_segments=num_segments), segments, axis=0)
    return odds / total
