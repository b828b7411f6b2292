//! Files of numpy, files written here, and files made to break the reader.

use remuda::{DType, Tensor};

use super::{read, write};

fn file(version: u8, header: &str, data: &[u8]) -> Vec<u8> {
    let mut bytes = b"\x93NUMPY".to_vec();
    bytes.extend([version, 0]);
    if version == 1 {
        bytes.extend(u16::try_from(header.len()).unwrap().to_le_bytes());
    } else {
        bytes.extend(u32::try_from(header.len()).unwrap().to_le_bytes());
    }
    bytes.extend(header.as_bytes());
    bytes.extend(data);
    bytes
}

const PAIR: &str = "{'descr': '<i2', 'fortran_order': False, 'shape': (2,), }";

#[test]
fn every_version_is_read() {
    for version in 1..=3 {
        let tensor = read(&file(version, PAIR, &[1, 0, 255, 255])).unwrap();
        assert_eq!(tensor, Tensor::vector(vec![1i16, -1]));
    }
}

#[test]
fn bytes_are_swapped_and_columns_become_rows() {
    let header = "{'descr': '>u2', 'fortran_order': True, 'shape': (2, 3)}";
    let tensor = read(&file(1, header, &[0, 1, 0, 4, 0, 2, 0, 5, 0, 3, 0, 6])).unwrap();
    assert_eq!(tensor, Tensor::from_vec([2, 3], vec![1u16, 2, 3, 4, 5, 6]).unwrap());
    let header = "{'descr': '>c8', 'fortran_order': False, 'shape': ()}";
    let bytes = [1.5f32.to_be_bytes(), (-2.0f32).to_be_bytes()].concat();
    let want = [1.5f32.to_le_bytes(), (-2.0f32).to_le_bytes()].concat();
    assert_eq!(read(&file(1, header, &bytes)).unwrap().to_le_bytes(), want);
}

#[test]
fn what_is_written_is_read_back() {
    for dtype in DType::plain().filter(|&dtype| super::header::code(dtype).is_some()) {
        for dims in [vec![], vec![0], vec![3], vec![2, 1, 3]] {
            let tensor = Tensor::zeros(dtype, dims).unwrap();
            let bytes = write(&tensor).unwrap();
            assert_eq!(read(&bytes).unwrap(), tensor);
            let elements = tensor.byte_len();
            assert_eq!((bytes.len() - elements) % 64, 0, "elements are aligned");
        }
    }
}

#[test]
fn types_that_numpy_lacks_are_widened() {
    let small = Tensor::from_bytes(DType::I4, [2], &[0x7f]).unwrap();
    assert_eq!(read(&write(&small).unwrap()).unwrap(), Tensor::vector(vec![-1i8, 7]));
    let brain = Tensor::from_vec([1], vec![remuda::bf16::from_f32(1.5)]).unwrap();
    assert_eq!(read(&write(&brain).unwrap()).unwrap(), Tensor::vector(vec![1.5f32]));
    let text = Tensor::from_strings([1], vec!["a".to_owned()]).unwrap();
    let error = write(&text).unwrap_err().to_string();
    assert_eq!(error, "elements of type `string` are not supported");
}

#[test]
fn broken_files_are_refused_with_the_reason() {
    let with = |descr: &str, shape: &str| {
        format!("{{'descr': {descr}, 'fortran_order': False, 'shape': {shape}}}")
    };
    let cases = [
        (b"PK\x03\x04".to_vec(), "expected a `.npy` file of version 1, 2 or 3"),
        (file(4, PAIR, &[]), "expected a `.npy` file of version 1, 2 or 3"),
        (b"\x93NUMPY\x01\x00\xff\xff{".to_vec(), "the header is broken: it is cut off"),
        (b"\x93NUMPY\x02\x00\xff\xff\xff\xff{".to_vec(), "the header is broken: it is too long"),
        (file(1, PAIR, &[1, 0, 2]), "expected 4 bytes of elements, got 3"),
        (file(1, "{}", &[]), "the header is broken: an entry is missing"),
        (file(1, "{'descr': '<f4'", &[]), "the header is broken: the dictionary does not end"),
        (file(1, "{'descr", &[]), "the header is broken: a quoted text is expected"),
        (file(1, "{'spam': 1}", &[]), "the header is broken: an entry is unknown"),
        (file(1, &with("'<f4'", "(-1,)"), &[]), "the header is broken: a dimension is no number"),
        (file(1, &with("'<f4'", "(1 2)"), &[]), "the header is broken: the tuple does not end"),
        (
            file(1, &with("'<f4'", "(4294967296, 4294967296)"), &[]),
            "the header is broken: the dimensions overflow",
        ),
        (
            file(1, &with("'<f4'", "(99999999999999999999,)"), &[]),
            "the header is broken: a dimension is no number",
        ),
        (
            file(1, &with("'<f4'", &format!("({})", "1,".repeat(65))), &[0; 4]),
            "the header is broken: there are too many dimensions",
        ),
        (file(1, &with("'|O'", "(1,)"), &[0; 8]), "elements of type `|O` are not supported"),
        (file(1, &with("'<U3'", "(1,)"), &[0; 12]), "elements of type `<U3` are not supported"),
        (
            file(1, &with("[('a', '<f4')]", "(1,)"), &[]),
            "elements of type `structure` are not supported",
        ),
        (file(1, &with("'\u{e9}4'", "(1,)"), &[]), "elements of type `\u{e9}4` are not supported"),
    ];
    for (bytes, want) in cases {
        assert_eq!(read(&bytes).unwrap_err().to_string(), want);
    }
    assert!(read(&file(1, &with("'|b1'", "(1,)"), &[2])).is_err(), "a boolean of 2");
}

#[test]
fn no_prefix_of_a_file_makes_the_reader_panic() {
    let whole = file(1, PAIR, &[1, 0, 2, 0]);
    for end in 0..whole.len() {
        assert!(read(&whole[..end]).is_err());
    }
}
