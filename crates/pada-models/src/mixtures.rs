//! The factors of mixtures of operations, and the edges that they multiply.

use std::collections::BTreeMap;

use pada_graph::{
    GraphBuilder, GraphError, Init, MixedDecision, MixtureGate, Mixtures, NodeId, Pool, Shape, WeightId,
    WeightLayout, WeightSpec,
};

/// Settings of a supernet that mixes the operations of a decision.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MixtureSettings {
    /// The output of every operation is multiplied by a number that a search chooses, as in DARTS.
    Factors {
        /// K: operations see the first C / K channels of an edge, and the others pass by. 1 stands for all channels. With a larger K every
        /// edge has a weight of its own.
        ///
        /// Source: Xu et al., *PC-DARTS*, ICLR 2020; <https://github.com/yuhuixu1993/PC-DARTS>, `model_search.py`.
        channel_parts: usize,
    },
    /// Every channel of every operation is multiplied by a number that the network computes from the outputs of all operations of the edge:
    /// sigmoid(W₂ · relu(W₁ · average over pixels)). With O operations of C channels, W₁ is `[C, O · C]` and W₂ `[O · C, C]`; every edge of every
    /// cell has its own.
    ///
    /// Source: Sun et al., *AGNAS*, ICML 2022; <https://github.com/Sunzh1996/AGNAS> @bbeb8a5, `Darts_Search_Space/model_search.py`.
    Attention,
}

impl Default for MixtureSettings {
    fn default() -> Self {
        Self::Factors { channel_parts: 1 }
    }
}

impl MixtureSettings {
    /// Returns the number of parts into which channels are divided.
    pub fn channel_parts(self) -> usize {
        match self {
            Self::Factors { channel_parts } => channel_parts,
            Self::Attention => 1,
        }
    }
}

/// The factors of a network, the share of channels that operations see, and attention.
#[derive(Clone, Debug)]
pub(crate) struct Mixed {
    pub(crate) mixtures: Mixtures,
    channel_parts: usize,
    /// By cell and decision; empty without attention.
    attention: BTreeMap<(usize, usize), Attention>,
}

/// The two linear layers of an edge. Their biases are constants.
#[derive(Clone, Copy, Debug)]
struct Attention {
    squeeze: (WeightId, WeightId),
    excite: (WeightId, WeightId),
}

/// An edge whose operations may have attention.
pub(crate) struct AttentionEdge {
    /// Index of the cell in the network.
    pub(crate) cell: usize,
    pub(crate) decision: usize,
    /// Prefix of the names of weights.
    pub(crate) name: String,
    /// Number of channels of each operation.
    pub(crate) channels: usize,
}

/// An edge whose operations are mixed.
pub(crate) struct MixedEdge<'a> {
    /// Index of the cell in the network.
    pub(crate) cell: usize,
    pub(crate) decision: usize,
    /// The operations to compute.
    pub(crate) ops: &'a [u8],
    /// The stride of the edge.
    pub(crate) stride: usize,
    /// Shape of the output.
    pub(crate) shape: Shape,
}

impl Mixed {
    /// Appends the factors to a layout. The initial factors are those of equal probabilities. With attention, `edges` are all edges of all cells.
    pub(crate) fn new(
        layout: &mut WeightLayout,
        settings: MixtureSettings,
        [decisions, ops]: [usize; 2],
        mixed: Vec<MixedDecision>,
        edges: impl IntoIterator<Item = AttentionEdge>,
    ) -> Self {
        let channel_parts = settings.channel_parts();
        let mut buffer = |name: &str, shape: Vec<usize>, value: f32| {
            let init = Init::Constant(value);
            layout.push_buffer(WeightSpec { name: name.to_owned(), shape, init, owner: None })
        };
        let factors = buffer("mixture.factors", vec![decisions, ops], 1.0 / ops as f32);
        let weights = (channel_parts > 1).then(|| buffer("mixture.edges", vec![decisions], 1.0));
        let mut mixtures = Mixtures { factors, edges: weights, decisions: mixed, gates: vec![] };
        let mut attention = BTreeMap::new();
        if settings == MixtureSettings::Attention {
            for edge in edges {
                let of = Attention::new(layout, &edge, ops);
                mixtures.gates.push(MixtureGate { weight: of.excite.0, decision: edge.decision });
                attention.insert((edge.cell, edge.decision), of);
            }
        }
        Self { mixtures, channel_parts, attention }
    }

    /// Appends the factors of a chain of layers.
    pub(crate) fn of_layers(layout: &mut WeightLayout, layers: usize, ops: usize) -> Self {
        let decisions = (0..layers).map(|layer| MixedDecision { decision: layer, node: layer }).collect();
        Self::new(layout, MixtureSettings::default(), [layers, ops], decisions, [])
    }

    /// Adds a layer whose operations are mixed.
    ///
    /// # Errors
    /// Returns [`GraphError::NoMixture`] if no operation is computed: a layer, unlike an edge, cannot be zero.
    pub(crate) fn layer(
        &self,
        g: &mut GraphBuilder<'_>,
        x: NodeId,
        decision: usize,
        ops: &[u8],
        layout: &WeightLayout,
        op: impl FnMut(&mut GraphBuilder<'_>, NodeId, u8) -> Result<NodeId, GraphError>,
    ) -> Result<NodeId, GraphError> {
        if ops.is_empty() {
            return Err(GraphError::NoMixture);
        }
        // Only an edge without operations reads stride and shape.
        self.edge(
            g,
            x,
            &MixedEdge { cell: decision, decision, ops, stride: 1, shape: g.shape(x) },
            layout,
            op,
        )
    }

    /// Returns the number of channels that operations see, of `channels`.
    pub(crate) fn seen(channels: usize, settings: Option<MixtureSettings>) -> usize {
        settings.map_or(channels, |settings| (channels / settings.channel_parts()).max(1))
    }

    /// Adds an edge whose operations are mixed: the sum of factor times output, times the weight of the edge, or the sum of outputs times
    /// attention.
    pub(crate) fn edge(
        &self,
        g: &mut GraphBuilder<'_>,
        x: NodeId,
        edge: &MixedEdge<'_>,
        layout: &WeightLayout,
        mut op: impl FnMut(&mut GraphBuilder<'_>, NodeId, u8) -> Result<NodeId, GraphError>,
    ) -> Result<NodeId, GraphError> {
        if let Some(attention) = self.attention.get(&(edge.cell, edge.decision)) {
            return attention.edge(g, x, edge, layout, op);
        }
        let mixtures = &self.mixtures;
        let y = self.around(g, x, edge.stride, |g, x| {
            let mut terms = Vec::with_capacity(edge.ops.len());
            for &digit in edge.ops {
                let value = op(g, x, digit)?;
                terms.push(g.scale(value, mixtures.factors, mixtures.index(layout, edge.decision, digit)));
            }
            match terms.is_empty() {
                true => Ok(g.zero(Shape { channels: g.shape(x).channels, ..edge.shape })),
                false => g.add(&terms),
            }
        })?;
        Ok(match mixtures.edges {
            Some(weights) => g.scale(y, weights, edge.decision),
            None => y,
        })
    }

    /// Applies an operation to the first channels, concatenates the others, and shuffles all. With all channels in one part, the operation sees
    /// them as they are.
    pub(crate) fn around(
        &self,
        g: &mut GraphBuilder<'_>,
        x: NodeId,
        stride: usize,
        op: impl FnOnce(&mut GraphBuilder<'_>, NodeId) -> Result<NodeId, GraphError>,
    ) -> Result<NodeId, GraphError> {
        let (parts, channels) = (self.channel_parts, g.shape(x).channels);
        if parts == 1 {
            return op(g, x);
        }
        let seen = channels / parts;
        let [first, rest] = [0..seen, seen..channels].map(|range| g.select_channels(x, range.collect()));
        let changed = op(g, first)?;
        let passed = match stride {
            1 => rest,
            _ => g.max_pool(rest, Pool { kernel: 2, stride, padding: 0 })?,
        };
        let whole = g.concat(&[changed, passed])?;
        // As a channel shuffle with `parts` groups: view as [parts, C / parts], transpose, flatten.
        let order = (0..channels).map(|i| i % parts * seen + i / parts).collect();
        Ok(g.select_channels(whole, order))
    }
}

impl Attention {
    fn new(layout: &mut WeightLayout, edge: &AttentionEdge, ops: usize) -> Self {
        let AttentionEdge { name, channels, .. } = edge;
        let all = ops * channels;
        let mut linear = |part: &str, [out, fan_in]: [usize; 2]| {
            let spec = |name: String, shape, init| WeightSpec { name, shape, init, owner: None };
            let weight = format!("{name}.attention.{part}.weight");
            let weight = layout.push(spec(weight, vec![out, fan_in], Init::Uniform { fan_in }));
            // The public code has no bias.
            let bias = format!("{name}.attention.{part}.bias");
            (weight, layout.push_buffer(spec(bias, vec![out], Init::Constant(0.0))))
        };
        Self { squeeze: linear("squeeze", [*channels, all]), excite: linear("excite", [all, *channels]) }
    }

    /// Adds the outputs of all operations, each times its attention. An operation that is not computed has zeros as its output.
    fn edge(
        &self,
        g: &mut GraphBuilder<'_>,
        x: NodeId,
        edge: &MixedEdge<'_>,
        layout: &WeightLayout,
        mut op: impl FnMut(&mut GraphBuilder<'_>, NodeId, u8) -> Result<NodeId, GraphError>,
    ) -> Result<NodeId, GraphError> {
        let [hidden, all] = [self.squeeze.0, self.excite.0].map(|id| layout.spec(id).shape[0]);
        let shape = Shape { channels: hidden, ..edge.shape };
        let slices: Vec<_> =
            (0..all).step_by(hidden).map(|first| (first..first + hidden).collect()).collect();
        let mut values = Vec::with_capacity(slices.len());
        for digit in 0..slices.len() as u8 {
            let is_computed = edge.ops.contains(&digit);
            values.push(if is_computed { op(g, x, digit)? } else { g.zero(shape) });
        }
        let outputs = g.concat(&values)?;
        let mean = g.global_avg_pool(outputs);
        let squeezed = g.linear(mean, self.squeeze.0, self.squeeze.1)?;
        let squeezed = g.relu(squeezed);
        let attention = g.linear(squeezed, self.excite.0, self.excite.1)?;
        let outputs = g.gate(outputs, attention)?;
        let terms: Vec<_> = slices.into_iter().map(|order| g.select_channels(outputs, order)).collect();
        g.add(&terms)
    }
}
