//! The factors of mixtures of operations, and the edges that they multiply.

use pada_graph::{
    GraphBuilder, GraphError, Init, MixedDecision, Mixtures, NodeId, Pool, Shape, WeightLayout, WeightSpec,
};

/// Settings of a supernet that mixes the operations of a decision.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MixtureSettings {
    /// K: operations see the first C / K channels of an edge, and the others pass by. 1 stands for all channels. With a larger K every edge has
    /// a weight of its own.
    ///
    /// Source: Xu et al., *PC-DARTS*, ICLR 2020; <https://github.com/yuhuixu1993/PC-DARTS>, `model_search.py`.
    pub channel_parts: usize,
}

/// The factors of a network, and the share of channels that operations see.
#[derive(Clone, Debug)]
pub(crate) struct Mixed {
    pub(crate) mixtures: Mixtures,
    channel_parts: usize,
}

/// An edge whose operations are mixed.
pub(crate) struct MixedEdge<'a> {
    pub(crate) decision: usize,
    /// The operations to compute.
    pub(crate) ops: &'a [u8],
    /// The stride of the edge.
    pub(crate) stride: usize,
    /// Shape of the output.
    pub(crate) shape: Shape,
}

impl Mixed {
    /// Appends the factors to a layout. The initial factors are those of equal probabilities.
    pub(crate) fn new(
        layout: &mut WeightLayout,
        settings: MixtureSettings,
        [decisions, ops]: [usize; 2],
        mixed: Vec<MixedDecision>,
    ) -> Self {
        let mut buffer = |name: &str, shape: Vec<usize>, value: f32| {
            let init = Init::Constant(value);
            layout.push_buffer(WeightSpec { name: name.to_owned(), shape, init, owner: None })
        };
        let factors = buffer("mixture.factors", vec![decisions, ops], 1.0 / ops as f32);
        let edges = (settings.channel_parts > 1).then(|| buffer("mixture.edges", vec![decisions], 1.0));
        let mixtures = Mixtures { factors, edges, decisions: mixed };
        Self { mixtures, channel_parts: settings.channel_parts }
    }

    /// Appends the factors of a chain of layers.
    pub(crate) fn of_layers(layout: &mut WeightLayout, layers: usize, ops: usize) -> Self {
        let decisions = (0..layers).map(|layer| MixedDecision { decision: layer, node: layer }).collect();
        Self::new(layout, MixtureSettings { channel_parts: 1 }, [layers, ops], decisions)
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
        self.edge(g, x, &MixedEdge { decision, ops, stride: 1, shape: g.shape(x) }, layout, op)
    }

    /// Returns the number of channels that operations see, of `channels`.
    pub(crate) fn seen(channels: usize, settings: Option<MixtureSettings>) -> usize {
        settings.map_or(channels, |settings| (channels / settings.channel_parts).max(1))
    }

    /// Adds an edge whose operations are mixed: the sum of factor times output, times the weight of the edge.
    pub(crate) fn edge(
        &self,
        g: &mut GraphBuilder<'_>,
        x: NodeId,
        edge: &MixedEdge<'_>,
        layout: &WeightLayout,
        mut op: impl FnMut(&mut GraphBuilder<'_>, NodeId, u8) -> Result<NodeId, GraphError>,
    ) -> Result<NodeId, GraphError> {
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
