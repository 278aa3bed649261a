//! Finds the name that the user probably meant, for suggestions in error messages.

/// The name with the fewest edits from `wrong`; `None` if even that one differs in more than a third of its characters.
pub fn nearest<'a>(wrong: &str, names: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    names
        .into_iter()
        .map(|name| (distance(wrong, name), name))
        .filter(|(edits, name)| *edits <= (name.len().max(wrong.len())).div_ceil(3))
        .min()
        .map(|(_, name)| name)
}

/// Count of edits (insert, delete, replace, swap two neighbours) between two short words.
fn distance(a: &str, b: &str) -> usize {
    let (a, b): (Vec<char>, Vec<char>) = (a.chars().collect(), b.chars().collect());
    let mut rows: Vec<Vec<usize>> = vec![(0..=b.len()).collect()];
    for i in 1..=a.len() {
        let mut row = vec![i];
        for j in 1..=b.len() {
            let cost = usize::from(a[i - 1] != b[j - 1]);
            let mut best = (rows[i - 1][j] + 1).min(row[j - 1] + 1).min(rows[i - 1][j - 1] + cost);
            if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                best = best.min(rows[i - 2][j - 2] + 1);
            }
            row.push(best);
        }
        rows.push(row);
    }
    rows[a.len()][b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_name_is_near() {
        assert_eq!(nearest("fixre", ["fixer", "writer"]), Some("fixer"));
        assert_eq!(nearest("hots", ["host", "port"]), Some("host"));
        assert_eq!(nearest("zebra", ["host", "port"]), None);
    }
}
