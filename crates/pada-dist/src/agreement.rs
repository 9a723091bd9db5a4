use crate::{DistError, ProcessGroup};

impl ProcessGroup {
    /// Refuses, on every rank alike, where a rank has another text than rank 0 under one of the names. Of texts with several lines the
    /// first that differs is named.
    ///
    /// # Errors
    /// [`DistError::Disagreement`], or another where a rank hangs.
    pub fn agree(&self, facts: &[(&str, String)]) -> Result<(), DistError> {
        let message = facts.iter().map(|(_, text)| text.as_str()).collect::<Vec<_>>().join("\0");
        let all = self.gather(message.into_bytes())?;
        let texts = |rank: usize| -> Vec<String> {
            String::from_utf8_lossy(&all[rank]).split('\0').map(str::to_owned).collect()
        };
        let first = texts(0);
        for peer in 1..self.size() {
            let theirs = texts(peer);
            for (place, (what, _)) in facts.iter().enumerate() {
                let [first, theirs] =
                    [&first, &theirs].map(|list| list.get(place).map_or("", |s| s.as_str()));
                if let Some((first, theirs)) = first_difference(first, theirs) {
                    let what = (*what).to_owned();
                    return Err(DistError::Disagreement { peer, what, first, theirs });
                }
            }
        }
        Ok(())
    }

    /// The first rank whose bytes are not those of rank 0.
    ///
    /// # Errors
    /// [`DistError`] where a rank hangs.
    pub fn odd_one(&self, message: Vec<u8>) -> Result<Option<usize>, DistError> {
        let all = self.gather(message)?;
        Ok(all.iter().position(|other| *other != all[0]))
    }
}

/// The first lines of two texts that differ.
fn first_difference(a: &str, b: &str) -> Option<(String, String)> {
    let (mut a, mut b) = (a.lines(), b.lines());
    loop {
        match (a.next(), b.next()) {
            (None, None) => return None,
            (a, b) if a == b => {}
            (a, b) => return Some((a.unwrap_or("nothing").to_owned(), b.unwrap_or("nothing").to_owned())),
        }
    }
}
