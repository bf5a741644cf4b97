//! Weights that an ONNX file keeps in files beside it, as PyTorch exports by default.
//!
//! Only files in the model's folder are read, and only those whose length is what the tensors say.

use std::collections::HashMap;
use std::fs::File;
use std::io::{Read as _, Seek as _, SeekFrom};
use std::path::{Component, Path, PathBuf};

use super::error::GraphError;
use super::onnx_proto::{EXTERNAL, GraphProto, TensorProto};

/// Puts all weights that are elsewhere into the graph. Without a folder there are none elsewhere.
///
/// Nothing is read before all files are as long as they must be.
pub(super) fn inline(graph: &mut GraphProto, folder: Option<&Path>) -> Result<(), GraphError> {
    // Of each file, how far its tensors reach, how much of it is still unread, and its length.
    let mut files: HashMap<PathBuf, (u64, u64, u64)> = HashMap::new();
    let mut places = Vec::new();
    for tensor in tensors(graph) {
        let folder = folder.ok_or_else(|| GraphError::ExternalData(tensor.name.clone()))?;
        let fault = |what: String| GraphError::External { tensor: tensor.name.clone(), what };
        let (path, offset, length) = place(tensor, folder).map_err(fault)?;
        let (length, end, total) = extent(&path, offset, length).map_err(fault)?;
        let (reach, unread, _) = files.entry(path.clone()).or_insert((0, total, total));
        *reach = end.max(*reach);
        // No small file fills the memory by being named often.
        *unread = unread.checked_sub(length).ok_or_else(|| {
            fault(format!("{} holds less than the tensors in it together", path.display()))
        })?;
        places.push((path, offset, length));
    }
    if let Some((path, (end, _, total))) = files.into_iter().find(|(_, (end, _, all))| end < all) {
        return Err(GraphError::External {
            tensor: graph.name.clone(),
            what: format!(
                "{} holds {total} bytes, of which the model's tensors are {end}: it belongs to \
                 another model",
                path.display()
            ),
        });
    }
    for (tensor, (path, offset, length)) in tensors(graph).zip(places) {
        let fault = |what: String| GraphError::External { tensor: tensor.name.clone(), what };
        tensor.raw_data = read(&path, offset, length).map_err(fault)?;
        tensor.data_location = 0;
        tensor.external_data.clear();
    }
    Ok(())
}

/// All tensors whose numbers are elsewhere, in the same order each time.
fn tensors(graph: &mut GraphProto) -> impl Iterator<Item = &mut TensorProto> {
    let constants = graph.node.iter_mut().flat_map(|node| &mut node.attribute);
    let constants = constants.filter_map(|attribute| attribute.t.as_mut());
    let all = graph.initializer.iter_mut().chain(constants);
    all.filter(|tensor| tensor.data_location == EXTERNAL)
}

/// The file of a tensor, where it begins there, and its length if that is said.
fn place(tensor: &TensorProto, folder: &Path) -> Result<(PathBuf, u64, Option<u64>), String> {
    let field = |key: &str| {
        tensor.external_data.iter().find(|entry| entry.key == key).map(|entry| entry.value.as_str())
    };
    let number = |key: &str| {
        let parse = |text: &str| text.parse::<u64>().map_err(|_| format!("{key} `{text}`"));
        field(key).map(parse).transpose()
    };
    let location = field("location").ok_or("no file is named")?;
    let relative = Path::new(location);
    let inside = relative.components().all(|part| matches!(part, Component::Normal(_)));
    if !inside || location.is_empty() {
        return Err(format!("`{location}` is not within the model's folder"));
    }
    let path = folder.join(relative);
    let missing = |error| format!("{}: {error}; copy it beside the model", path.display());
    // What a link leads to must be within the folder, too.
    let real = path.canonicalize().map_err(missing)?;
    if !folder.canonicalize().is_ok_and(|folder| real.starts_with(folder)) {
        return Err(format!("`{location}` leads out of the model's folder"));
    }
    Ok((path, number("offset")?.unwrap_or(0), number("length")?))
}

/// Bytes of a tensor, where it ends, and bytes of its file.
fn extent(path: &Path, offset: u64, length: Option<u64>) -> Result<(u64, u64, u64), String> {
    let metadata = path.metadata().map_err(|error| format!("{}: {error}", path.display()))?;
    let total = metadata.len();
    let rest = total.checked_sub(offset);
    let length = length.or(rest);
    match (length, length.and_then(|length| offset.checked_add(length))) {
        (Some(length), Some(end)) if metadata.is_file() && end <= total => Ok((length, end, total)),
        _ => Err(format!("{} holds {total} bytes, too few for it", path.display())),
    }
}

fn read(path: &Path, offset: u64, length: u64) -> Result<Vec<u8>, String> {
    let read = || {
        let mut file = File::open(path)?;
        file.seek(SeekFrom::Start(offset))?;
        let mut bytes = Vec::new();
        file.take(length).read_to_end(&mut bytes)?;
        Ok::<_, std::io::Error>(bytes)
    };
    read().map_err(|error| format!("{}: {error}", path.display()))
}
