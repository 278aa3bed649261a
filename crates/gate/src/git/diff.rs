//! The lines that commits add, read from `git log --patch`. Lines of files stand in hunks whose numbers of lines are known
//! before, so nothing in a file can be taken for anything else.

/// What begins the line of a commit: its format begins with NUL, which no other line outside of a hunk has.
pub const COMMIT_FORMAT: &str = "--format=%x00%H";

/// What git shows in place of a submodule's contents, before the id of its commit.
const SUBMODULE: &[u8] = b"Subproject commit ";

/// What one line of the output is.
#[derive(Debug, PartialEq, Eq)]
pub enum DiffLine<'a> {
    Commit(&'a str),
    /// The id of the file's contents after the change. Lines follow only where git compares them.
    Contents(&'a str),
    /// What follows is added to this file, as git shows its name.
    File(&'a [u8]),
    /// What follows is added from this line of the file on.
    Hunk(u64),
    /// An added line: a merge's, where no parent has it.
    Added(&'a [u8]),
    Other,
}

/// The reader's place in the output.
#[derive(Default)]
pub struct DiffReader {
    /// Lines of the hunk that are to come: of each parent's file, and of the new one.
    left: Vec<u64>,
    /// The id after the change.
    contents: String,
    is_in_submodule: bool,
}

/// The output is not as git writes it.
#[derive(Debug, PartialEq, Eq)]
pub struct Malformed;

impl DiffReader {
    /// Reads one line, without its line feed.
    pub fn read<'a>(&mut self, line: &'a [u8]) -> Result<DiffLine<'a>, Malformed> {
        if self.left.iter().any(|left| *left > 0) {
            return self.read_in_hunk(line);
        }
        if let Some(id) = line.strip_prefix(b"\0") {
            return std::str::from_utf8(id).map(DiffLine::Commit).map_err(|_| Malformed);
        }
        if let Some(ids) = line.strip_prefix(b"index ") {
            let ids = std::str::from_utf8(ids).map_err(|_| Malformed)?;
            let (_, new) = ids.split_once("..").ok_or(Malformed)?;
            let new = new.split(' ').next().unwrap_or_default();
            (self.contents, self.is_in_submodule) = (new.to_owned(), false);
            return Ok(DiffLine::Contents(new));
        }
        if let Some(name) = line.strip_prefix(b"+++ ") {
            let name = name.strip_suffix(b"\t").unwrap_or(name);
            return Ok(DiffLine::File(name.strip_prefix(b"b/").unwrap_or(name)));
        }
        if line.starts_with(b"@@") {
            let start = self.begin_hunk(line).ok_or(Malformed)?;
            return Ok(DiffLine::Hunk(start));
        }
        Ok(DiffLine::Other)
    }

    /// Whether the lines are not of a file with the contents' id, but git's own of a submodule, whose commit can have any id.
    /// True from the line on that says so.
    pub fn is_in_submodule(&self) -> bool {
        self.is_in_submodule
    }

    /// Reads `@@ -1,2 +3,4 @@ …`, with one more `@` and one more range for each parent after the first. Returns where the
    /// new file's lines begin.
    fn begin_hunk(&mut self, line: &[u8]) -> Option<u64> {
        let marks = line.iter().take_while(|byte| **byte == b'@').count();
        let rest = line.get(marks..)?.strip_prefix(b" ")?;
        self.left.clear();
        let mut ranges = rest.split(|byte| *byte == b' ');
        let mut start = 0;
        for index in 0..marks {
            let range = std::str::from_utf8(ranges.next()?).ok()?;
            let range = range.strip_prefix(if index + 1 == marks { '+' } else { '-' })?;
            let (from, count) = range.split_once(',').unwrap_or((range, "1"));
            start = from.parse().ok()?;
            self.left.push(count.parse().ok()?);
        }
        let end = ranges.next()?;
        (end.len() == marks && end.iter().all(|byte| *byte == b'@')).then_some(start)
    }

    fn read_in_hunk<'a>(&mut self, line: &'a [u8]) -> Result<DiffLine<'a>, Malformed> {
        // `\ No newline at end of file`
        if line.starts_with(b"\\") {
            return Ok(DiffLine::Other);
        }
        let (new, parents) = self.left.split_last_mut().ok_or(Malformed)?;
        let (columns, text) = line.split_at_checked(parents.len()).ok_or(Malformed)?;
        let is_gone = columns.contains(&b'-');
        for (column, left) in columns.iter().zip(parents) {
            match column {
                b'-' => *left = left.checked_sub(1).ok_or(Malformed)?,
                b' ' if !is_gone => *left = left.checked_sub(1).ok_or(Malformed)?,
                b' ' | b'+' => {}
                _ => return Err(Malformed),
            }
        }
        if is_gone {
            return Ok(DiffLine::Other);
        }
        *new = new.checked_sub(1).ok_or(Malformed)?;
        // No file holds its own id.
        self.is_in_submodule |= text.strip_prefix(SUBMODULE).is_some_and(|id| id == self.contents.as_bytes());
        Ok(if columns.iter().all(|column| *column == b'+') { DiffLine::Added(text) } else { DiffLine::Other })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The added lines, each with the file and the line before it that says where they begin.
    fn added(text: &str) -> Result<Vec<String>, Malformed> {
        let (mut reader, mut found, mut place) = (DiffReader::default(), Vec::new(), String::new());
        for line in text.lines() {
            match reader.read(line.as_bytes())? {
                DiffLine::Commit(id) => place = id.to_owned(),
                DiffLine::File(name) => place = String::from_utf8_lossy(name).into_owned(),
                DiffLine::Hunk(start) => place = format!("{}:{start}", place.split(':').next().unwrap()),
                DiffLine::Added(text) => found.push(format!("{place} {}", String::from_utf8_lossy(text))),
                DiffLine::Contents(id) => found.push(id.to_owned()),
                DiffLine::Other => {}
            }
        }
        Ok(found)
    }

    #[test]
    fn a_line_of_a_file_is_nothing_else() {
        let text = "\0aa\n\ndiff --git a/f b/f\n--- a/f\n+++ b/f\n@@ -1,2 +1,3 @@ fn\n-+++ b/no\n-x\n++++ b/no\n+\0bb\n+@@ -1 +1 @@\n\
                    \\ No newline at end of file\ndiff --git a/g b/g\n+++ b/g\n@@ -0,0 +7 @@\n+last\n";
        let wanted = ["f:1 +++ b/no", "f:1 \0bb", "f:1 @@ -1 +1 @@", "g:7 last"];
        assert_eq!(added(text).unwrap(), wanted);
    }

    #[test]
    fn of_a_merge_only_what_no_parent_has_is_added() {
        let text = "\0aa\n\ndiff --combined f\n--- a/f\n+++ b/f\n@@@ -1,1 -1,0 +1,1 @@@\n +main\n@@@ -3,0 -2,0 +3,1 @@@\n++EVIL\n\
                    @@@ -4,1 -3,1 +5,0 @@@\n--gone\n@@@ -5,1 -4,0 +5,0 @@@\n- gone\ndiff --combined g\n+++ b/g\n@@@ -1,0 -1,0 +1,1 @@@\n++new\n";
        assert_eq!(added(text).unwrap(), ["f:3 EVIL", "g:1 new"]);
    }

    /// A file can say the same of another id; a merge's line need not be new in every parent.
    #[test]
    fn a_submodule_is_no_file_with_its_id() {
        for (hunk, is_submodule) in [
            ("@@ -0,0 +1 @@\n+Subproject commit 34\n", true),
            ("@@@ -1,1 -1,1 +1,1 @@@\n -x\n +Subproject commit 34\n", true),
            ("@@ -0,0 +1 @@\n+Subproject commit 35\n", false),
            ("@@ -1 +0,0 @@\n-Subproject commit 34\n", false),
        ] {
            let mut reader = DiffReader::default();
            for line in format!("index 12..34\n+++ b/f\n{hunk}").lines() {
                reader.read(line.as_bytes()).unwrap();
            }
            assert_eq!(reader.is_in_submodule(), is_submodule, "{hunk}");
            reader.read(b"index 12..34").unwrap();
            assert!(!reader.is_in_submodule());
        }
    }

    #[test]
    fn contents_have_their_id() {
        let text = "\0aa\nindex 12..34\nBinary files a/f and b/f differ\nindex 12,56..78 100644\nindex 12..9a 100644\n\
                    +++ b/f\n@@ -0,0 +1 @@\n+index 1..2\n";
        assert_eq!(added(text).unwrap(), ["34", "78", "9a", "f:1 index 1..2"]);
    }

    #[test]
    fn what_git_does_not_write_is_an_error() {
        for text in
            ["@@ -1 +1 @@\nx\n", "@@ x\n", "@@ -1,1 @@\n", "@@ -a +1 @@\n", "@@ -0,0 +1,1 @@\n-x\n", "@@ -1 +1\n"]
        {
            assert_eq!(added(text), Err(Malformed), "{text}");
        }
    }
}
