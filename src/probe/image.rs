//! What the bottle's own image is built from, so that a change of it is noticed.

use crate::exit::UserError;
use crate::facts::digest;
use crate::manifest::Image;
use std::fs;
use std::path::Path;

/// A text that changes when the sources of the bottle's image change.
///
/// # Errors
/// `UserError` for a Dockerfile or context that is not there.
pub fn image_source(image: &Image) -> Result<String, UserError> {
    Ok(match image {
        Image::Default => String::new(),
        Image::Name(name) => name.clone(),
        Image::Dockerfile { path, context } => {
            let text = fs::read(path).map_err(|e| UserError::unreadable(path, &e))?;
            let mut all = format!("{:016x}", digest(&text));
            if let Some(folder) = context {
                list_context(folder, &mut all)?;
            }
            format!("{:016x}", digest(all.as_bytes()))
        }
    })
}

/// Appends the names, sizes and times of everything below a build context.
fn list_context(folder: &Path, all: &mut String) -> Result<(), UserError> {
    use std::os::unix::fs::MetadataExt;
    let mut entries: Vec<_> =
        fs::read_dir(folder).and_then(Iterator::collect).map_err(|e| UserError::unreadable(folder, &e))?;
    entries.sort_by_key(fs::DirEntry::file_name);
    for entry in entries {
        let path = entry.path();
        let meta = fs::symlink_metadata(&path).map_err(|e| UserError::unreadable(&path, &e))?;
        all.push_str(&format!("\n{} {} {}.{}", path.display(), meta.len(), meta.mtime(), meta.mtime_nsec()));
        if meta.is_dir() {
            list_context(&path, all)?;
        }
    }
    Ok(())
}
