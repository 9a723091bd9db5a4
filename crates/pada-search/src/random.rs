use crate::{Search, SearchError};

/// Scores `n` different random architectures, or all within the limits where there are fewer.
///
/// # Errors
/// [`SearchError`]
pub fn random<E>(search: &mut Search<'_, E>, n: usize) -> Result<(), SearchError<E>> {
    search.start(n).map(drop)
}
