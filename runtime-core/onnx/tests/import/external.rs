//! Weights in other files.

use std::sync::Arc;

use remuda_onnx::{ExternalData, ImportError, ImportOptions};
use remuda_tensor::{Memory, Tensor};

use crate::pb::{
    File, INITIALIZER, OUTPUT, Pb, graph, import_with, info, model, refusal, refusal_with, tensor,
};

/// A folder with one file.
struct OneFile;

impl ExternalData for OneFile {
    fn open(&self, location: &str) -> Result<Arc<dyn Memory>, ImportError> {
        let bytes: Vec<u8> =
            [1.0f32, 2.0, 3.0].iter().flat_map(|value| value.to_le_bytes()).collect();
        match location {
            "weights" => Ok(Arc::new(File(bytes))),
            _ => Err(ImportError::resource("there is no such file").at("test folder")),
        }
    }
}

fn options() -> ImportOptions {
    ImportOptions { external: Some(Arc::new(OneFile)), ..Default::default() }
}

/// A model of one weight of two floats, stored as these entries say.
fn stored(entries: &[(&str, &str)]) -> Pb {
    let entry = |(key, value): &(&str, &str)| Pb::new().bytes(1, key).bytes(2, value);
    let weight = entries
        .iter()
        .fold(tensor("w", 1, &[2]).int(14, 1), |weight, pair| weight.add(13, &entry(pair)));
    model(&graph(&[(INITIALIZER, weight), (OUTPUT, info("w", 1, &["2"]))]))
}

#[test]
fn external_weights_are_views_of_their_file() {
    let entries = [("location", "weights"), ("offset", "4"), ("length", "8"), ("checksum", "?")];
    for entries in [&entries[..], &entries[..2]] {
        let model = import_with(&stored(entries), &options()).unwrap();
        let weight = model.graph.find_value("w").unwrap();
        let expected = Tensor::vector(vec![2f32, 3.0]);
        assert_eq!(model.graph.value(weight).constant(), Some(&expected));
    }
}

#[test]
fn ranges_that_do_not_fit_are_refused() {
    let error = |entries: &[(&str, &str)]| refusal_with(&stored(entries), &options());
    let place = "graph `main`, tensor `w`: ";
    assert_eq!(
        error(&[("location", "weights"), ("offset", "8")]),
        format!("invalid: {place}external data `weights` has 12 bytes, expected 8 from 8 on")
    );
    assert_eq!(
        error(&[("location", "weights"), ("offset", "18446744073709551615"), ("length", "8")]),
        format!(
            "invalid: {place}external data `weights` has 12 bytes, expected 8 from 18446744073709551615 on"
        )
    );
    assert_eq!(
        error(&[("location", "weights"), ("length", "4")]),
        format!("invalid: {place}dimensions [2] of `f32` need 8 bytes, got 4")
    );
    assert_eq!(
        error(&[("location", "weights"), ("offset", "-4")]),
        format!("invalid: {place}`offset` of external data is `-4`, no size")
    );
    assert_eq!(
        error(&[("offset", "0")]),
        format!("invalid: {place}its external data has no `location`")
    );
    assert_eq!(
        error(&[("location", "other")]),
        format!("resource: graph `main`, tensor `w`, test folder: there is no such file")
    );
}

#[test]
fn without_a_folder_external_data_is_refused() {
    assert_eq!(
        refusal(&stored(&[("location", "weights")])),
        "unsupported: graph `main`, tensor `w`: its data is in the file `weights`, and the model was not opened from a folder"
    );
}
