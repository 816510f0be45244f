//! What processes executed, in order of time.

/// A program that a process ran from a moment on. Texts are numbers in
/// [`Found::names`](super::find::Found::names).
#[derive(Clone, Copy, Debug)]
pub(super) struct Image {
    pub(super) ts_ns: i64,
    pub(super) comm: u32,
    pub(super) cmdline: u32,
}

/// The programs of some processes.
#[derive(Debug, Default)]
pub(super) struct Images(Vec<OfForest>);

#[derive(Debug, Default)]
struct OfForest {
    /// Where those of each node begin, and where the last ones end.
    starts: Vec<u32>,
    images: Vec<Image>,
}

impl Images {
    /// The images by node, for each forest with its number of nodes; those of
    /// the same time in the order that they are given in.
    pub(super) fn new(forests: impl Iterator<Item = (usize, Vec<(u32, Image)>)>) -> Self {
        Self(
            forests
                .map(|(n, images)| OfForest::new(n, images))
                .collect(),
        )
    }

    /// Those of a process.
    pub(super) fn of(&self, forest: usize, node: u32) -> &[Image] {
        let Some(of) = self.0.get(forest) else {
            return &[];
        };
        match of.starts.get(node as usize..node as usize + 2) {
            Some([start, end]) => &of.images[*start as usize..*end as usize],
            _ => &[],
        }
    }
}

impl OfForest {
    fn new(nodes: usize, mut images: Vec<(u32, Image)>) -> Self {
        images.sort_by_key(|(node, image)| (*node, image.ts_ns));
        let mut starts = vec![0; nodes + 1];
        for (node, _) in &images {
            starts[*node as usize + 1] += 1;
        }
        for node in 0..nodes {
            starts[node + 1] += starts[node];
        }
        let images = images.into_iter().map(|(_, image)| image).collect();
        Self { starts, images }
    }
}
