use super::Tensor;
use crate::{DType, TensorError};

fn counting(dims: &[usize]) -> Tensor {
    let count = i32::try_from(dims.iter().product::<usize>()).unwrap();
    Tensor::from_vec(dims, (0..count).collect()).unwrap()
}

#[test]
fn views_copy_nothing_and_read_right() {
    let tensor = counting(&[2, 3]);
    let turned = tensor.permute(&[1, 0]).unwrap();
    assert!(!turned.is_contiguous());
    assert_eq!(turned.to_vec::<i32>().unwrap(), [0, 3, 1, 4, 2, 5]);
    let backwards = tensor.slice(1, 2, 2, -2).unwrap();
    assert_eq!(backwards.to_vec::<i32>().unwrap(), [2, 0, 5, 3]);
    let row = tensor.slice(0, 1, 1, 1).unwrap();
    assert_eq!(row.as_slice::<i32>().unwrap(), [3, 4, 5]);
    let wide = row.broadcast_to(&[2, 2, 3]).unwrap();
    assert_eq!(wide.to_vec::<i32>().unwrap(), [3, 4, 5, 3, 4, 5, 3, 4, 5, 3, 4, 5]);
    assert_eq!(turned.reshape([6]).unwrap().as_slice::<i32>().unwrap(), [0, 3, 1, 4, 2, 5]);
}

#[test]
fn views_outside_the_tensor_are_refused() {
    let tensor = counting(&[2, 3]);
    assert!(tensor.slice(1, 1, 3, 1).is_err());
    assert!(tensor.slice(1, 0, 2, -1).is_err());
    assert!(tensor.slice(2, 0, 1, 1).is_err());
    assert!(tensor.permute(&[0, 0]).is_err());
    assert!(tensor.broadcast_to(&[3, 3]).is_err());
}

#[test]
fn absurd_and_wrong_sizes_are_errors() {
    assert!(matches!(
        Tensor::zeros(DType::F32, [usize::MAX, 8]),
        Err(TensorError::TooLarge { .. })
    ));
    assert!(matches!(Tensor::zeros(DType::F32, [1 << 60]), Err(TensorError::TooLarge { .. })));
    assert!(Tensor::from_bytes(DType::I64, [2], &[0; 15]).is_err());
    assert_eq!(
        Tensor::from_bytes(DType::Bool, [2], &[1, 7]),
        Err(TensorError::Bool { at: 1, value: 7 })
    );
}

#[test]
fn elements_of_every_number_type_convert() {
    let packed = Tensor::from_bytes(DType::I4, [3], &[0x8f, 0x07]).unwrap();
    assert_eq!(packed.to_i64_vec().unwrap(), [-1, -8, 7]);
    assert_eq!(packed.to_f32_vec().unwrap(), [-1.0, -8.0, 7.0]);
    let half = Tensor::vector(vec![half::f16::from_f32(1.5)]);
    assert_eq!(half.to_f64_vec().unwrap(), [1.5]);
}

#[test]
fn writing_needs_sole_ownership() {
    let mut tensor = Tensor::zeros(DType::F32, [2]).unwrap();
    tensor.as_mut_slice::<f32>().unwrap()[1] = 2.0;
    let other = tensor.clone();
    assert!(tensor.as_mut_slice::<f32>().is_none());
    assert_eq!(other.to_vec::<f32>().unwrap(), [0.0, 2.0]);
}

#[test]
fn dimensions_beside_a_zero_must_be_addressable_too() {
    for dims in [vec![0, usize::MAX, 2], vec![usize::MAX, 2, 0]] {
        assert!(Tensor::zeros(DType::F32, dims).is_err());
    }
    let empty = Tensor::zeros(DType::F32, vec![0, 1 << 40]).unwrap();
    assert!(empty.is_contiguous() && empty.byte_len() == 0);
}
